"""InternLM2 and 2.5: a plugin's call is JSON, the interpreter's is code, each between control tokens.

Source: InternLM/InternLM, chat/chat_format.md, and lmdeploy's serving of internlm2_5-7b-chat.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from models.chat.calls.json_calls import calls_of
from models.chat.calls.notation import (
    INTERPRETERS,
    CallNotation,
    CallRead,
    Tools,
    broken,
    interpreter_call,
    no_json,
    read_json,
)
from models.chat.reply import ToolCall, called, functions

START, END, PLUGIN, INTERPRETER = "<|action_start|>", "<|action_end|>", "<|plugin|>", "<|interpreter|>"


def _read(text: str, tools: Tools, final: bool) -> CallRead | None:
    end = text.find(END)
    if end < 0 and not final:
        return None
    body = text[len(START) : end if end >= 0 else len(text)].strip()
    return CallRead(len(text) if end < 0 else end + len(END), _calls(body, tools))


def _calls(body: str, tools: Tools) -> tuple[ToolCall, ...]:
    if body.startswith(INTERPRETER):
        code = body[len(INTERPRETER) :].strip().removeprefix("```python").removeprefix("```").removesuffix("```")
        return (interpreter_call(code, tools),)
    value = read_json(body.removeprefix(PLUGIN), 0)
    return calls_of(value[0], tools) if value else (broken(no_json("The call", body.removeprefix(PLUGIN))),)


def with_tools(messages: Tools, tools: Tools) -> list[Mapping[str, Any]]:
    """Return messages that list the tools and write calls and results as turns, which the template does not know.

    A plugin's turns carry its mark in their role: the template writes `<|im_start|>ROLE`.
    """
    plugins = [function for function in functions(tools) if function.get("name") not in INTERPRETERS]
    turns: list[Mapping[str, Any]] = []
    if plugins:
        turns.append({"role": f"system name={PLUGIN}", "content": json.dumps(plugins, ensure_ascii=False)})
    if len(plugins) < len(functions(tools)):
        turns.append({"role": f"system name={INTERPRETER}", "content": _INTERPRETER_PROMPT})
    first = [message for message in messages[:1] if message.get("role") == "system"]
    called_last = PLUGIN
    result: list[Mapping[str, Any]] = [*first, *turns]
    for message in messages[len(first) :]:
        calls = message.get("tool_calls")
        if isinstance(calls, (list, tuple)) and calls:
            made = [called(call) for call in calls]
            called_last = INTERPRETER if made[-1].name in INTERPRETERS else PLUGIN
            result.append(
                {"role": "assistant", "content": f"{message.get('content') or ''}{''.join(map(_written, made))}"}
            )
        elif message.get("role") == "tool":
            result.append({"role": f"environment name={called_last}", "content": message.get("content") or ""})
        else:
            result.append(message)
    return result


def _written(call: ToolCall) -> str:
    if call.name in INTERPRETERS:
        return f"{START}{INTERPRETER}\n```python\n{call.arguments.get('code', '')}\n```{END}\n"
    plugin = json.dumps({"name": call.name, "parameters": dict(call.arguments)}, ensure_ascii=False)
    return f"{START}{PLUGIN}\n{plugin}{END}\n"


_INTERPRETER_PROMPT = (
    "You now have access to a Python environment capable of running Jupyter notebook code. When you send a message that contains "
    "code, it is run, and its output is returned to you."
)

INTERNLM2 = CallNotation(_read, (START,), (END, PLUGIN, INTERPRETER), marks=(START, END, PLUGIN, INTERPRETER))
