<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="zh_CN" sourcelanguage="en">
<context>
    <name>AdapterDialog</name>
    <message>
        <source>Merge an adapter</source>
        <translation>合并 LoRA</translation>
    </message>
    <message>
        <source>{adapter} is a LoRA adapter: it changes another model. It was trained on {base}.</source>
        <translation>{adapter} 是一个 LoRA：它用来修改另一个模型，训练时所用的模型是 {base}。</translation>
    </message>
    <message>
        <source>{adapter} is a LoRA adapter: it changes another model. Choose the one that it was trained on.</source>
        <translation>{adapter} 是一个 LoRA：它用来修改另一个模型。请选择训练时所用的模型。</translation>
    </message>
    <message>
        <source>Choose the folder of that model…</source>
        <translation>选择那个模型的文件夹…</translation>
    </message>
    <message>
        <source>Merge</source>
        <translation>合并</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Result: {name} ({quant}, {size})</source>
        <translation>结果：{name}（{quant}，{size}）</translation>
    </message>
    <message>
        <source>The folder of the model that the adapter was trained on</source>
        <translation>训练这个 LoRA 时所用模型的文件夹</translation>
    </message>
</context>
<context>
    <name>Catalogue</name>
    <message>
        <source>goes on with texts, no chat</source>
        <translation>只续写文本，不对话</translation>
    </message>
    <message>
        <source>licence: see its page</source>
        <translation>许可证见其主页</translation>
    </message>
    <message>
        <source>even {quant} needs {size} more memory than is free</source>
        <translation>即使用 {quant}，内存也还差 {size}</translation>
    </message>
    <message>
        <source>its sizes are not known</source>
        <translation>大小未知</translation>
    </message>
    <message>
        <source>{size} to download</source>
        <translation>下载 {size}</translation>
    </message>
    <message>
        <source>{size} on disk</source>
        <translation>占用磁盘 {size}</translation>
    </message>
    <message>
        <source>{needed} of disk needed, {free} free</source>
        <translation>需要 {needed} 磁盘空间，可用 {free}</translation>
    </message>
    <message>
        <source>context {count}</source>
        <translation>上下文 {count}</translation>
    </message>
    <message>
        <source>context without limit</source>
        <translation>上下文不受限制</translation>
    </message>
    <message>
        <source>Get</source>
        <translation>获取</translation>
    </message>
    <message>
        <source>Chat</source>
        <translation>对话</translation>
    </message>
    <message>
        <source>installed</source>
        <translation>已安装</translation>
    </message>
</context>
<context>
    <name>CataloguePage</name>
    <message>
        <source>Get models</source>
        <translation>获取模型</translation>
    </message>
    <message>
        <source>Back to the chat</source>
        <translation>回到对话</translation>
    </message>
    <message>
        <source>Search: name, language, use</source>
        <translation>搜索：名称、语言、用途</translation>
    </message>
    <message>
        <source>Search models</source>
        <translation>搜索模型</translation>
    </message>
    <message>
        <source>Fits this computer</source>
        <translation>这台电脑放得下</translation>
    </message>
    <message>
        <source>Models</source>
        <translation>模型</translation>
    </message>
    <message>
        <source>Show all models</source>
        <translation>显示全部模型</translation>
    </message>
    <message>
        <source>Finding out what fits this computer…</source>
        <translation>正在计算这台电脑放得下哪些模型…</translation>
    </message>
    <message>
        <source>{count} of {total} models fit this computer now. They are converted here, after the download.</source>
        <translation>{total} 个模型中，这台电脑现在放得下 {count} 个。下载之后在本机转换。</translation>
    </message>
    <message>
        <source>No model here is about “{words}”.</source>
        <translation>没有与“{words}”相关的模型。</translation>
    </message>
    <message>
        <source>No model fits this computer now; close other programs, or choose a smaller context.</source>
        <translation>这台电脑现在一个模型也放不下；请关闭其他程序，或改用更小的上下文。</translation>
    </message>
    <message>
        <source>waits</source>
        <translation>等待中</translation>
    </message>
    <message>
        <source>Fetching {percent} %</source>
        <translation>下载 {percent}%</translation>
    </message>
    <message>
        <source>Converting {percent} %</source>
        <translation>转换 {percent}%</translation>
    </message>
    <message>
        <source>Checking {percent} %</source>
        <translation>检查 {percent}%</translation>
    </message>
</context>
<context>
    <name>ChatView</name>
    <message>
        <source>To the newest message</source>
        <translation>到最新消息</translation>
    </message>
    <message>
        <source>Chat</source>
        <translation>对话</translation>
    </message>
    <message>
        <source>Reading… {percent} %</source>
        <translation>正在阅读… {percent}%</translation>
    </message>
</context>
<context>
    <name>CodeBox</name>
    <message>
        <source>code</source>
        <translation>代码</translation>
    </message>
    <message>
        <source>Copy code</source>
        <translation>复制代码</translation>
    </message>
    <message>
        <source>Code</source>
        <translation>代码</translation>
    </message>
</context>
<context>
    <name>Composer</name>
    <message>
        <source>Message</source>
        <translation>消息</translation>
    </message>
    <message>
        <source>Write a message</source>
        <translation>输入消息</translation>
    </message>
    <message>
        <source>Enter sends, Shift+Enter begins a new line</source>
        <translation>Enter 发送，Shift+Enter 换行</translation>
    </message>
    <message>
        <source>Ctrl+Enter sends, Enter begins a new line</source>
        <translation>Ctrl+Enter 发送，Enter 换行</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>停止</translation>
    </message>
    <message>
        <source>Send</source>
        <translation>发送</translation>
    </message>
</context>
<context>
    <name>Core</name>
    <message>
        <source>The engine was ended by the system, most likely because memory ran out; choose a smaller context or a smaller model. Nothing of the chat is lost.</source>
        <translation>引擎被系统终止，很可能是内存不足；请使用更小的上下文或更小的模型。对话内容没有丢失。</translation>
    </message>
    <message>
        <source>The engine crashed ({signal}); try again, and choose another model if it happens again. Nothing of the chat is lost.</source>
        <translation>引擎崩溃了（{signal}）；请重试，如果再次发生，请换一个模型。对话内容没有丢失。</translation>
    </message>
    <message>
        <source>The engine ended by itself (code {code}); try again, and look at its log if it happens again. Nothing of the chat is lost.</source>
        <translation>引擎意外退出（代码 {code}）；请重试，如果再次发生，请查看它的日志。对话内容没有丢失。</translation>
    </message>
    <message>
        <source>This chat needs {needed} tokens, but the loaded context holds {room}; load the model with a larger context or start a new chat.</source>
        <translation>这段对话需要 {needed} 个词元，而当前上下文只能容纳 {room} 个；请在设置中选择更大的上下文，或开始新对话。</translation>
    </message>
    <message>
        <source>A context of {count} tokens for {name} does not fit in memory; choose a smaller one.</source>
        <translation>内存不足，{name} 无法使用 {count} 个词元的上下文；请选择更小的上下文。</translation>
    </message>
    <message>
        <source>{name} does not fit in memory; choose a smaller quantization or close other programs.</source>
        <translation>内存放不下 {name}；请选择更小的量化版本，或关闭其他程序。</translation>
    </message>
    <message>
        <source>{path} is not a GGUF file; choose a file that a converter wrote, or convert the checkpoint.</source>
        <translation>{path} 不是 GGUF 文件；请选择转换工具生成的文件，或先转换模型。</translation>
    </message>
    <message>
        <source>{path} is truncated: tensor {tensor} ends {count} bytes after the end of the file; download it again.</source>
        <translation>{path} 不完整：张量 {tensor} 超出文件末尾 {count} 字节；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is truncated: its head ends in the middle; download it again.</source>
        <translation>{path} 不完整：文件头在中途结束；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is damaged: {what}; download it again.</source>
        <translation>{path} 已损坏（{what}）；请重新下载。</translation>
    </message>
    <message>
        <source>{path} is GGUF version {version}; Zhiyin reads versions 2 and 3: convert it again.</source>
        <translation>{path} 是 GGUF 第 {version} 版，知音只能读取第 2 版和第 3 版；请重新转换。</translation>
    </message>
    <message>
        <source>{path} is a folder; convert it first: {command}</source>
        <translation>{path} 是一个文件夹；请先转换它：{command}</translation>
    </message>
    <message>
        <source>{path} cannot be read: {reason}.</source>
        <translation>无法读取 {path}（{reason}）。</translation>
    </message>
    <message>
        <source>{path} cannot be loaded by llama.cpp ({reason}); convert or download it again.</source>
        <translation>llama.cpp 无法加载 {path}（{reason}）；请重新转换或下载。</translation>
    </message>
    <message>
        <source>The disk is full, so {path} cannot take more; free some space.</source>
        <translation>磁盘已满，{path} 无法继续写入；请清理一些空间。</translation>
    </message>
    <message>
        <source>{path} cannot be written; allow writing to it.</source>
        <translation>无法写入 {path}；请允许写入该文件。</translation>
    </message>
    <message>
        <source>{path} cannot be opened; allow reading and writing in its folder.</source>
        <translation>无法打开 {path}；请允许读写所在文件夹。</translation>
    </message>
    <message>
        <source>{path} is in use by another program; close it.</source>
        <translation>{path} 正被其他程序使用；请关闭该程序。</translation>
    </message>
    <message>
        <source>{path} is damaged; start Zhiyin again to recover what can be read.</source>
        <translation>{path} 已损坏；请重新启动知音，以恢复可读取的内容。</translation>
    </message>
    <message>
        <source>Base: {base} ({family}, {count} tokens)</source>
        <translation>底座：{base}（{family}，词表 {count}）</translation>
    </message>
    <message>
        <source>Adapter {number}: {path} changes {matrices} matrices (rank {rank}); {count} tokens from here</source>
        <translation>第 {number} 个 LoRA：{path} 修改 {matrices} 个矩阵（秩 {rank}）；此后词表为 {count}</translation>
    </message>
    <message>
        <source>Adapter {number}: {path} changes {matrices} matrices (rank {rank}) and brings {whole} whole tensors; {count} tokens from here</source>
        <translation>第 {number} 个 LoRA：{path} 修改 {matrices} 个矩阵（秩 {rank}），并带来 {whole} 个完整张量；此后词表为 {count}</translation>
    </message>
    <message>
        <source>Adapter {number}: {path} brings {whole} whole tensors; {count} tokens from here</source>
        <translation>第 {number} 个 LoRA：{path} 带来 {whole} 个完整张量；此后词表为 {count}</translation>
    </message>
    <message>
        <source>Tokenizer: {path}</source>
        <translation>分词器：{path}</translation>
    </message>
    <message>
        <source>{base} is GGUF, which nothing can be merged into; name the original checkpoint, or convert the adapter alone by --as-adapter and use it with `zhiyin chat --adapter`.</source>
        <translation>{base} 是 GGUF 文件，不能把 LoRA 合并进去；请选择原始模型，或者用 --as-adapter 单独转换这个 LoRA，再用 `zhiyin chat --adapter` 加载。</translation>
    </message>
    <message>
        <source>{path}: this checkpoint is already quantized as {method}; download the original repository, whose weights are F16, BF16 or F32.</source>
        <translation>{path}：这个模型已经用 {method} 量化过；请下载原始仓库，其中的权重是 F16、BF16 或 F32。</translation>
    </message>
    <message>
        <source>{path}: {name} takes images or sound as well, and Zhiyin converts models of text only; choose the text model of the same family.</source>
        <translation>{path}：{name} 还能接收图像或声音，而知音只转换纯文本模型；请选择同系列的文本模型。</translation>
    </message>
    <message>
        <source>{path}: {name} judges texts and writes none; choose a chat or base model.</source>
        <translation>{path}：{name} 只给文本打分，不会生成文本；请选择对话模型或基础模型。</translation>
    </message>
    <message>
        <source>{path} names {name}, which Zhiyin cannot convert; the known families are: {families}.</source>
        <translation>{path} 写的是 {name}，知音还不能转换；目前支持的系列有：{families}。</translation>
    </message>
    <message>
        <source>The context ends at {count} tokens: llama.cpp does not compute this model's sliding window.</source>
        <translation>上下文到 {count} 个词元为止：llama.cpp 不支持这个模型的滑动窗口。</translation>
    </message>
    <message>
        <source>The context ends at {count} tokens: llama.cpp does not compute this model's attention by chunks.</source>
        <translation>上下文到 {count} 个词元为止：llama.cpp 不支持这个模型的分块注意力。</translation>
    </message>
    <message>
        <source>The context ends at {count} tokens, the length this model was trained with: beyond it the publisher's code changes positions and attention with the length of the text, which llama.cpp does not compute.</source>
        <translation>上下文到 {count} 个词元为止，这是模型训练时的长度：超出之后，发布者的代码会随文本长度改变位置编码和注意力，而 llama.cpp 不支持这样计算。</translation>
    </message>
    <message>
        <source>The context ends at {count} tokens, the length this model was trained with: beyond it the publisher's code changes positions with the length of the text, which llama.cpp does not compute.</source>
        <translation>上下文到 {count} 个词元为止，这是模型训练时的长度：超出之后，发布者的代码会随文本长度改变位置编码，而 llama.cpp 不支持这样计算。</translation>
    </message>
    <message>
        <source>Left out, since this architecture has no place for it: {names} (tensors: {count}).</source>
        <translation>没有写入（这种架构里没有对应的位置）：{names}（张量数：{count}）。</translation>
    </message>
    <message>
        <source>{base} is an adapter itself; give it with --lora and name its base with --base.</source>
        <translation>{base} 本身也是一个 LoRA；请选择它所对应的底座模型。</translation>
    </message>
    <message>
        <source>{adapter} brings a vocabulary of {count} tokens, but {base} has {known} already: an adapter like it has been merged into the base, or the order is wrong; use the original base and name the adapters in the order of their training.</source>
        <translation>{adapter} 带来的词表大小是 {count}，但 {base} 已经有 {known}：底座里已经合并过类似的 LoRA，或者顺序不对；请使用原始底座，并按训练顺序合并。</translation>
    </message>
    <message>
        <source>{base} holds the embeddings of {adapter} already: the adapter has been merged into it, and merging it twice would spoil the model; convert it as it is, or name the original base.</source>
        <translation>{base} 里已经有 {adapter} 的词向量：这个 LoRA 已经合并过了，再合并一次会损坏模型；请直接转换它，或者选择原始底座。</translation>
    </message>
    <message>
        <source>{adapter} (Chinese-Alpaca-{kind}) was trained on top of Chinese-LLaMA's own adapter, which {base} with its {count} tokens lacks; name both in this order: {order}.</source>
        <translation>{adapter}（Chinese-Alpaca-{kind}）是在 Chinese-LLaMA 的 LoRA 之上训练的，而词表大小为 {count} 的 {base} 里没有它；请按这个顺序给出两者：{order}。</translation>
    </message>
    <message>
        <source>{adapter} was trained with a vocabulary of {count} tokens, but {base} has {known}; name the base (or the adapter before it) that has the same vocabulary.</source>
        <translation>{adapter} 训练时的词表大小是 {count}，但 {base} 是 {known}；请选择词表相同的底座（或者先合并它之前的 LoRA）。</translation>
    </message>
    <message>
        <source>{adapter} was trained for a model of width {width}, but {base} has the width {known} (tensor {tensor}: {shapes}); take the adapter and the base of the same size.</source>
        <translation>{adapter} 是为宽度 {width} 的模型训练的，但 {base} 的宽度是 {known}（张量 {tensor}：{shapes}）；请使用同样大小的 LoRA 和底座。</translation>
    </message>
    <message>
        <source>{adapter} changes {tensor}, which {base} of the family {family} does not have ({part} of its {total} tensors are missing there); name the base that it was trained on.</source>
        <translation>{adapter} 修改的 {tensor} 在 {base}（{family}）里不存在（{total} 个张量中缺少 {part}）；请选择它训练时所用的底座。</translation>
    </message>
    <message>
        <source>{base} has no config.json, which says what model it is; download it from the same place.</source>
        <translation>{base} 里没有说明模型结构的 config.json；请从同一来源下载。</translation>
    </message>
    <message>
        <source>{base} holds no weights (*.safetensors, *.bin, *.pth); download the whole checkpoint.</source>
        <translation>{base} 里没有权重文件（*.safetensors、*.bin、*.pth）；请下载完整的模型。</translation>
    </message>
    <message>
        <source>Even {quant} with {context} tokens of context needs {bytes}, {missing} more than is free now; close other programs or choose a smaller model.</source>
        <translation>即使是 {quant}、上下文 {context} 个词元，也需要 {bytes}，比现在可用的内存多 {missing}；请关闭其他程序或选择更小的模型。</translation>
    </message>
    <message>
        <source>Even {quant} with {context} tokens of context needs {bytes}, {missing} more than is free now; a {type} cache fits, a context of {count} fits.</source>
        <translation>即使是 {quant}、上下文 {context} 个词元，也需要 {bytes}，比现在可用的内存多 {missing}；改用 {type} 缓存或 {count} 个词元的上下文就放得下。</translation>
    </message>
    <message>
        <source>Even {quant} with {context} tokens of context needs {bytes}, {missing} more than is free now; a {type} cache fits.</source>
        <translation>即使是 {quant}、上下文 {context} 个词元，也需要 {bytes}，比现在可用的内存多 {missing}；改用 {type} 缓存就放得下。</translation>
    </message>
    <message>
        <source>Even {quant} with {context} tokens of context needs {bytes}, {missing} more than is free now; a context of {count} fits.</source>
        <translation>即使是 {quant}、上下文 {context} 个词元，也需要 {bytes}，比现在可用的内存多 {missing}；改用 {count} 个词元的上下文就放得下。</translation>
    </message>
    <message>
        <source>Even {quant} with a context without limit needs {bytes}, {missing} more than is free now; close other programs or choose a smaller model.</source>
        <translation>即使是上下文不受限制的 {quant}，也需要 {bytes}，比现在可用的内存多 {missing}；请关闭其他程序或选择更小的模型。</translation>
    </message>
    <message>
        <source>The engine's log {path} cannot be written ({reason}); move it away or allow writing to it.</source>
        <translation>无法写入引擎日志 {path}（{reason}）；请移走该文件，或允许写入它。</translation>
    </message>
    <message>
        <source>The data folder {path} cannot be used ({reason}); set ZHIYIN_HOME to a folder that can be written.</source>
        <translation>无法使用数据文件夹 {path}（{reason}）；请允许写入该文件夹，或将环境变量 ZHIYIN_HOME 设为可写入的文件夹。</translation>
    </message>
    <message>
        <source>Zhiyin is running already with the data folder {path}, but does not answer; end it, then start it again.</source>
        <translation>知音已在运行（数据文件夹 {path}），但没有响应；请先结束它，然后重新启动。</translation>
    </message>
    <message>
        <source>The chats in {path} were written by a newer Zhiyin; install that version again. The file was not touched.</source>
        <translation>{path} 中的对话由更新版本的知音写入；请重新安装该版本。文件未被改动。</translation>
    </message>
    <message>
        <source>{path} cannot be used ({reason}).</source>
        <translation>无法使用 {path}（{reason}）。</translation>
    </message>
</context>
<context>
    <name>Dates</name>
    <message>
        <source>Today</source>
        <translation>今天</translation>
    </message>
    <message>
        <source>Yesterday</source>
        <translation>昨天</translation>
    </message>
    <message>
        <source>Last 7 days</source>
        <translation>最近 7 天</translation>
    </message>
    <message>
        <source>Last 30 days</source>
        <translation>最近 30 天</translation>
    </message>
    <message>
        <source>MMMM yyyy</source>
        <translation>yyyy年M月</translation>
    </message>
</context>
<context>
    <name>Fit</name>
    <message>
        <source>fits on the GPU</source>
        <translation>显卡放得下</translation>
    </message>
    <message>
        <source>fits</source>
        <translation>放得下</translation>
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
        <source>Use a {type} cache</source>
        <translation>使用 {type} 缓存</translation>
    </message>
    <message>
        <source>Use a context of {count}</source>
        <translation>上下文改为 {count}</translation>
    </message>
    <message>
        <source>All {count} layers on the GPU</source>
        <translation>全部 {count} 层在显卡上</translation>
    </message>
    <message>
        <source>{part} of {count} layers on the GPU</source>
        <translation>{count} 层中有 {part} 层在显卡上</translation>
    </message>
    <message>
        <source>On the processor</source>
        <translation>由处理器运行</translation>
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
        <source>{part} of {free} free in main memory</source>
        <translation>占用内存 {part}（可用 {free}）</translation>
    </message>
    <message>
        <source>{part} of {free} free on {device}</source>
        <translation>占用 {device} {part}（可用 {free}）</translation>
    </message>
    <message>
        <source>about {count} tokens a second</source>
        <translation>约每秒 {count} 个词元</translation>
    </message>
</context>
<context>
    <name>Licences</name>
    <message>
        <source>Apache-2.0 (and the Llama 2 Community License)</source>
        <translation>Apache-2.0（以及 Llama 2 Community License）</translation>
    </message>
    <message>
        <source>MIT (and the Llama licences)</source>
        <translation>MIT（以及 Llama 的许可证）</translation>
    </message>
    <message>
        <source>Baichuan model licences</source>
        <translation>百川模型许可协议</translation>
    </message>
    <message>
        <source>Code Apache-2.0; weights free for research, commercial use on application</source>
        <translation>代码 Apache-2.0；权重研究免费，商用需申请</translation>
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
        <source>Tongyi Qianwen License; 0.5B, 1.8B and 4B: Tongyi Qianwen Research License</source>
        <translation>通义千问许可协议；0.5B、1.8B 与 4B：通义千问研究许可协议</translation>
    </message>
    <message>
        <source>Tongyi Qianwen License; 1.8B: Tongyi Qianwen Research License</source>
        <translation>通义千问许可协议；1.8B：通义千问研究许可协议</translation>
    </message>
</context>
<context>
    <name>MainWindow</name>
    <message>
        <source>Import a GGUF file</source>
        <translation>导入 GGUF 文件</translation>
    </message>
    <message>
        <source>GGUF models (*.gguf);;All files (*)</source>
        <translation>GGUF 模型 (*.gguf);;所有文件 (*)</translation>
    </message>
    <message>
        <source>Zhiyin</source>
        <translation>知音</translation>
    </message>
    <message>
        <source>Show or hide the chats</source>
        <translation>显示或隐藏对话列表</translation>
    </message>
    <message>
        <source>New chat</source>
        <translation>新对话</translation>
    </message>
    <message>
        <source>Drop a GGUF file to import it, or the folder of a LoRA adapter to merge it</source>
        <translation>松开即可导入 GGUF 文件，或者合并 LoRA 文件夹</translation>
    </message>
    <message>
        <source>Choose or import a model first.</source>
        <translation>请先选择或导入一个模型。</translation>
    </message>
    <message>
        <source>Import a GGUF file…</source>
        <translation>导入 GGUF 文件…</translation>
    </message>
    <message>
        <source>The chat was deleted.</source>
        <translation>对话已删除。</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>撤销</translation>
    </message>
    <message>
        <source>{name} was imported and is being loaded.</source>
        <translation>已导入 {name}，正在加载。</translation>
    </message>
    <message>
        <source>The file was not imported. {reason}</source>
        <translation>文件未导入。{reason}</translation>
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
        <source>Try again</source>
        <translation>重试</translation>
    </message>
    <message>
        <source>Use a smaller context</source>
        <translation>使用更小的上下文</translation>
    </message>
    <message>
        <source>The model could not be loaded. {reason}</source>
        <translation>无法加载模型。{reason}</translation>
    </message>
    <message>
        <source>Your newest messages are not saved yet. {reason}</source>
        <translation>最新的消息尚未保存。{reason}</translation>
    </message>
    <message>
        <source>The file of your chats was damaged. What could be read was saved; the damaged file is {file}.</source>
        <translation>对话文件已损坏。可读取的内容已经恢复；损坏的文件保存在 {file}。</translation>
    </message>
    <message>
        <source>The settings could not be saved: {reason}</source>
        <translation>无法保存设置：{reason}</translation>
    </message>
    <message>
        <source>Load it all the same</source>
        <translation>仍然加载</translation>
    </message>
</context>
<context>
    <name>MessageWidget</name>
    <message>
        <source>Copy</source>
        <translation>复制</translation>
    </message>
    <message>
        <source>Previous version</source>
        <translation>上一个版本</translation>
    </message>
    <message>
        <source>Next version</source>
        <translation>下一个版本</translation>
    </message>
</context>
<context>
    <name>ModelPicker</name>
    <message>
        <source>Choose a model</source>
        <translation>选择模型</translation>
    </message>
    <message>
        <source>{name} · loading {percent} %</source>
        <translation>{name} · 正在加载 {percent}%</translation>
    </message>
    <message>
        <source>Model: {name}</source>
        <translation>模型：{name}</translation>
    </message>
    <message>
        <source>Import a GGUF file…</source>
        <translation>导入 GGUF 文件…</translation>
    </message>
    <message>
        <source>Get models…</source>
        <translation>获取模型…</translation>
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
    <name>QuestionWidget</name>
    <message>
        <source>Edit</source>
        <translation>编辑</translation>
    </message>
    <message>
        <source>Show more ({count} characters)</source>
        <translation>显示更多（还有 {count} 个字符）</translation>
    </message>
</context>
<context>
    <name>ReplyFailure</name>
    <message>
        <source>Try again</source>
        <translation>重试</translation>
    </message>
    <message>
        <source>Use a smaller context</source>
        <translation>使用更小的上下文</translation>
    </message>
    <message>
        <source>The context is full, so the reply ends here.</source>
        <translation>上下文已满，回答到此中断。</translation>
    </message>
    <message>
        <source>Answer with a context of {count}</source>
        <translation>使用 {count} 的上下文回答</translation>
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
        <source>Choose another model</source>
        <translation>选择其他模型</translation>
    </message>
</context>
<context>
    <name>ReplyWidget</name>
    <message>
        <source>Answer again</source>
        <translation>重新回答</translation>
    </message>
    <message>
        <source>Stopped.</source>
        <translation>已停止。</translation>
    </message>
    <message>
        <source>Zhiyin was closed before this was finished.</source>
        <translation>回答完成之前知音已关闭。</translation>
    </message>
    <message>
        <source>The reply reached the longest length that the settings allow.</source>
        <translation>回答已达到设置中的最大长度。</translation>
    </message>
    <message>
        <source>The model answered nothing.</source>
        <translation>模型没有给出回答。</translation>
    </message>
    <message>
        <source>{speed} tokens/s</source>
        <translation>{speed} 词元/秒</translation>
    </message>
</context>
<context>
    <name>SettingsDialog</name>
    <message>
        <source>Settings</source>
        <translation>设置</translation>
    </message>
    <message>
        <source>General</source>
        <translation>通用</translation>
    </message>
    <message>
        <source>Replies</source>
        <translation>回答</translation>
    </message>
    <message>
        <source>Sampling</source>
        <translation>采样</translation>
    </message>
    <message>
        <source>Appearance</source>
        <translation>外观</translation>
    </message>
    <message>
        <source>Language</source>
        <translation>语言</translation>
    </message>
    <message>
        <source>Send with</source>
        <translation>发送快捷键</translation>
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
        <source>Temperature</source>
        <translation>温度</translation>
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
        <source>Min-p</source>
        <translation>Min-p</translation>
    </message>
    <message>
        <source>Repeat penalty</source>
        <translation>重复惩罚</translation>
    </message>
    <message>
        <source>Seed</source>
        <translation>随机种子</translation>
    </message>
    <message>
        <source>Longest reply (tokens)</source>
        <translation>最长回答（词元）</translation>
    </message>
    <message>
        <source>What the assistant should always know or do</source>
        <translation>希望助手始终了解或遵守的内容</translation>
    </message>
    <message>
        <source>The context is how much of a chat the model keeps in mind; a larger one needs more memory. Automatic takes what fits in the memory that is free.</source>
        <translation>上下文是模型能记住的对话长度；越大占用的内存越多。“自动”按可用内存选择。</translation>
    </message>
    <message>
        <source>No limit</source>
        <translation>不限</translation>
    </message>
    <message>
        <source>Another each time</source>
        <translation>每次随机</translation>
    </message>
    <message>
        <source>Reset to defaults</source>
        <translation>恢复默认值</translation>
    </message>
    <message>
        <source>Like the system</source>
        <translation>跟随系统</translation>
    </message>
    <message>
        <source>Light</source>
        <translation>浅色</translation>
    </message>
    <message>
        <source>Dark</source>
        <translation>深色</translation>
    </message>
    <message>
        <source>{count} tokens</source>
        <translation>{count} 词元</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
    </message>
    <message>
        <source>Automatic</source>
        <translation>自动</translation>
    </message>
    <message>
        <source>Lower temperatures give steadier answers, 0 always the most likely one; higher ones surprise more. What you do not change follows the recommendation of the publisher of the model in use, where there is one.</source>
        <translation>温度越低，回答越稳定，0 表示总是选择可能性最大的词；温度越高，回答越出人意料。没有改动的数值采用当前模型发布者推荐的数值（如果有）。</translation>
    </message>
    <message>
        <source>The model in use keeps a chat of any length in mind at the same cost: it has no context to set.</source>
        <translation>当前模型可以记住任意长度的对话，占用的内存不变，因此无需设置上下文。</translation>
    </message>
    <message>
        <source>  (recommended by the publisher)</source>
        <translation>（发布者推荐）</translation>
    </message>
</context>
<context>
    <name>Sidebar</name>
    <message>
        <source>New chat</source>
        <translation>新对话</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>设置</translation>
    </message>
    <message>
        <source>Chats</source>
        <translation>对话</translation>
    </message>
    <message>
        <source>Your chats will be listed here. They stay on this computer.</source>
        <translation>您的对话会列在这里，并且只保存在这台电脑上。</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>重命名</translation>
    </message>
    <message>
        <source>Delete</source>
        <translation>删除</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>获取模型</translation>
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
</context>
<context>
    <name>Welcome</name>
    <message>
        <source>Explain why the sky is blue, in two sentences.</source>
        <translation>用两句话解释天空为什么是蓝色的。</translation>
    </message>
    <message>
        <source>Write a short, friendly birthday message.</source>
        <translation>写一段简短亲切的生日祝福。</translation>
    </message>
    <message>
        <source>Give me three ideas for a quick dinner.</source>
        <translation>推荐三道快手晚餐。</translation>
    </message>
    <message>
        <source>What shall we talk about?</source>
        <translation>今天聊点什么？</translation>
    </message>
    <message>
        <source>Import a GGUF file…</source>
        <translation>导入 GGUF 文件…</translation>
    </message>
    <message>
        <source>No model is installed yet. Import a GGUF file, or drop one on this window.</source>
        <translation>尚未安装模型。请导入 GGUF 文件，或把文件拖到此窗口。</translation>
    </message>
    <message>
        <source>You are talking to SmolLM2-135M, a tiny English model that comes along so that you can begin at once. It makes many mistakes; import a larger model for real work.</source>
        <translation>当前模型是随附的 SmolLM2-135M，一个很小的英文模型，让您可以马上开始。它不擅长中文，也常常出错；正式使用请导入更大的模型。</translation>
    </message>
    <message>
        <source>Everything stays on this computer.</source>
        <translation>一切都只保存在这台电脑上。</translation>
    </message>
    <message>
        <source>Get models</source>
        <translation>获取模型</translation>
    </message>
</context>
<context>
    <name>_Editor</name>
    <message>
        <source>Send</source>
        <translation>发送</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>取消</translation>
    </message>
    <message>
        <source>Message</source>
        <translation>消息</translation>
    </message>
</context>
<context>
    <name>Start</name>
    <message>
        <source>Zhiyin cannot start</source>
        <translation>知音无法启动</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>关闭</translation>
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
    <name>QAbstractFileIconProvider</name>
    <message>
        <source>Drive</source>
        <translation>驱动器</translation>
    </message>
    <message>
        <source>Folder</source>
        <translation>文件夹</translation>
    </message>
    <message>
        <source>File Folder</source>
        <translation>文件夹</translation>
    </message>
</context>
<context>
    <name>_LongText</name>
    <message>
        <source>Long text · {count} characters</source>
        <translation>长文本 · {count} 个字符</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>移除</translation>
    </message>
</context>
</TS>
