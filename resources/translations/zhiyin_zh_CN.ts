<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="zh_CN" sourcelanguage="en">
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
        <source>Write a message (Shift+Enter for a new line)</source>
        <translation>输入消息（Shift+Enter 换行）</translation>
    </message>
    <message>
        <source>Write a message (Ctrl+Enter sends)</source>
        <translation>输入消息（Ctrl+Enter 发送）</translation>
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
        <source>Drop a GGUF file to import it</source>
        <translation>松开鼠标即可导入 GGUF 文件</translation>
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
        <source>The engine stopped unexpectedly; your chats are safe. It starts again with your next message.</source>
        <translation>引擎意外停止，您的对话都已保存。发送下一条消息时它会重新启动。</translation>
    </message>
    <message>
        <source>There is not enough memory for this model with this context.</source>
        <translation>内存不足，无法以当前上下文运行此模型。</translation>
    </message>
    <message>
        <source>The model could not be loaded.</source>
        <translation>无法加载模型。</translation>
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
        <source>Chats cannot be saved now, so this session&apos;s chats are lost when Zhiyin ends. {reason}</source>
        <translation>目前无法保存对话，知音退出后本次的对话将会丢失。{reason}</translation>
    </message>
    <message>
        <source>The settings could not be saved: {reason}</source>
        <translation>无法保存设置：{reason}</translation>
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
        <source>The context is full; start a new chat or choose a larger context in the settings.</source>
        <translation>上下文已满；请开始新对话，或在设置中选择更大的上下文。</translation>
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
        <source>Temperature</source>
        <translation>温度</translation>
    </message>
    <message>
        <source>Instructions</source>
        <translation>系统提示</translation>
    </message>
    <message>
        <source>What the assistant should always know or do</source>
        <translation>希望助手始终了解或遵守的内容</translation>
    </message>
    <message>
        <source>The context is how much of a chat the model keeps in mind; a larger one needs more memory.</source>
        <translation>上下文是模型能记住的对话长度；越大占用的内存越多。</translation>
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
</context>
<context>
    <name>Welcome</name>
    <message>
        <source>What shall we talk about?</source>
        <translation>今天聊点什么？</translation>
    </message>
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
    <name>_Failure</name>
    <message>
        <source>The engine stopped unexpectedly; the chat is kept. Try again, or use a smaller context.</source>
        <translation>引擎意外停止，对话已保留。请重试，或使用更小的上下文。</translation>
    </message>
    <message>
        <source>There is not enough memory for this model with this context.</source>
        <translation>内存不足，无法以当前上下文运行此模型。</translation>
    </message>
    <message>
        <source>The chat no longer fits the context; start a new chat or choose a larger context.</source>
        <translation>对话已超出上下文；请开始新对话，或选择更大的上下文。</translation>
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
    <name>_Thought</name>
    <message>
        <source>Thinking…</source>
        <translation>正在思考…</translation>
    </message>
    <message>
        <source>Thought</source>
        <translation>思考过程</translation>
    </message>
</context>
</TS>
