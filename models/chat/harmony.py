"""Harmony, the chats of gpt-oss: a reply consists of messages, each with a channel and perhaps a recipient in its head.

Source: OpenAI's guide to the format (openai/harmony, docs/format.md) and the template of openai/gpt-oss-20b. `analysis` is a
thought, `final` the answer, `commentary` what is said between, or a tool call where a recipient stands in the head. Here a
thought becomes `<think>` … `</think>`, as other models write it, and a call a line `to=NAME` and its arguments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from models.chat.begun import CLOSE, OPEN, Written, has_thought, parts_of_thought
from models.chat.calls.notation import (
    INTERPRETERS,
    CallNotation,
    CallRead,
    Tools,
    broken,
    checked,
    interpreter_call,
    loads,
    no_json,
)
from models.chat.reply import called

_START, _CHANNEL, _MESSAGE, _END = "\ufdd3", "\ufdd1", "\ufdd2", "\ufdd4"
MARKS = {
    "<|start|>": _START,
    "<|channel|>": _CHANNEL,
    "<|message|>": _MESSAGE,
    "<|end|>": _END,
    "<|constrain|>": " ",
}
"""The control tokens of a reply, and the noncharacters that stand for them in its text: no text holds these."""
_PARTS = re.compile(f"([{_CHANNEL}-{_END}])")
_NAMED = re.compile(f"{_CHANNEL}\\s*(\\w+)")
_RECIPIENT = re.compile(f"to=([^\\s{_CHANNEL}]+)")
CALL_MARK = "\ufdd5"
"""Begins a call in the text that the scanner of calls sees; a noncharacter, as the others."""
_HEAD = re.compile(f"{CALL_MARK}to=(?:functions\\.)?(?P<name>\\S*)\n")


class HarmonyReply:
    """A reply's messages as one text, while it streams."""

    def __init__(self, call_mark: str = "") -> None:
        """Begin a reply; `call_mark` is put in front of calls."""
        self._call_mark = call_mark
        self._head: str | None = ""
        """Of the message that begins; None: inside a message."""
        self._marked = False
        self._thinking = False
        self._answered = False
        self._hidden = False

    def feed(self, text: str) -> str:
        """Take what the model wrote and return what can be shown."""
        return "".join(self._take(part) for part in _PARTS.split(text) if part)

    def finish(self, *, cut: bool = False) -> str:
        """Return the rest: what looked like a head and was all there is."""
        return "" if self._marked or self._head is None else self._head

    def _take(self, part: str) -> str:
        if part in MARKS.values() and part != " ":
            self._marked = True
        if part == _MESSAGE:
            return self._opened()
        if part in (_START, _END):
            self._head = ""
        elif part == _CHANNEL:
            self._head = (self._head or "") + part
        elif self._head is None:
            return "" if self._hidden else part
        elif not self._marked and not _may_be_head(self._head + part):  # no head at all: the prompt has written it
            self._head, self._answered = None, True
            return part
        else:
            self._head += part
        return ""

    def _opened(self) -> str:
        """Return what stands in front of the message that begins."""
        channels, recipient = _NAMED.findall(self._head or ""), _RECIPIENT.search(self._head or "")
        if recipient is not None and recipient[1] == "assistant":  # itself
            recipient = None
        self._head = None
        is_thought = recipient is None and channels[-1:] == ["analysis"]
        self._hidden = is_thought and self._answered  # between answers there is no place for it
        if is_thought:
            before = "\n\n" if self._thinking else f"{OPEN}\n"
            self._thinking = self._thinking or not self._answered
            return "" if self._answered else before
        before = f"\n{CLOSE}\n\n" if self._thinking else "\n\n" if self._answered else ""
        self._thinking, self._answered = False, True
        return before + (f"{self._call_mark}to={recipient[1]}\n" if recipient else "")


def _may_be_head(text: str) -> bool:
    return text[0].isspace() or text.startswith("to=") or "to=".startswith(text)


def _read(text: str, tools: Tools, final: bool) -> CallRead | None:
    """Read a call, which ends with the reply or where the next message begins."""
    head, end = _HEAD.match(text), text.find(CALL_MARK, 1)
    if not final and end < 0:
        return None
    body = text if end < 0 else text[:end]
    if head is None:
        return CallRead(len(body), (broken("The call has no name of a tool."),))
    content = body[head.end() :].strip()
    if head["name"] in INTERPRETERS and not content.startswith("{"):
        return CallRead(len(body), (interpreter_call(content, tools),))
    try:
        arguments = loads(content)
    except ValueError:
        return CallRead(len(body), (broken(no_json("The call", content), head["name"]),))
    return CallRead(len(body), (checked(head["name"], arguments, tools),))


NOTATION = CallNotation(_read, (CALL_MARK,))


def begun(text: str) -> list[Written]:
    """Return a reply that was cut off: its thought in `analysis`, its answer in `final`, whatever channel it had.

    Where the thought has ended and nothing follows it yet, which message comes next is the model's choice.
    """
    answer: str | None = text
    parts: list[Written] = []
    if has_thought(text):
        thought, answer = parts_of_thought(text)
        parts += [*_head("analysis"), Written(thought.strip("\n"))]
        if answer is not None:
            parts += [Written("<|end|>", True), Written("<|start|>", True), Written("assistant")]
    if answer:
        parts += [*_head("final"), Written(answer.lstrip())]
    return parts


def _head(channel: str) -> list[Written]:
    return [Written("<|channel|>", True), Written(channel), Written("<|message|>", True)]


def turns(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return messages as the template wants them: no thought in an answer, a call's arguments as an object."""
    return [_turn(message) if message.get("role") == "assistant" else message for message in messages]


def _turn(message: Mapping[str, Any]) -> dict[str, Any]:
    thought, _, answer = str(message.get("content") or "").rpartition(CLOSE)
    calls = message.get("tool_calls")
    if not isinstance(calls, (list, tuple)) or not calls:
        return {"role": "assistant", "content": answer.lstrip() if thought else answer}
    reasoning = message.get("reasoning_content") or thought.replace(OPEN, "", 1).strip() or answer
    functions = [{"name": call.name, "arguments": dict(call.arguments)} for call in map(called, calls)]
    return {
        "role": "assistant",
        "thinking": reasoning,
        "tool_calls": [{"function": function} for function in functions],
    }
