"""Messages brought to the form that a chat template takes.

Templates disagree about what a message is: some want a call's arguments as a mapping and some as JSON text, some take content as
a text and some as parts, some know no system message. Their text does not say which: short chats are rendered with them, as
llama.cpp does (common/jinja/caps.cpp). Where a template takes what was given, it stays as it was given. What every template gets
follows transformers (tokenization_utils_base.py, `_normalize_chat_messages`; chat_template_utils.py, `_alias_reasoning_fields`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from models.errors import ZhiyinError

Message = Mapping[str, Any]
Attempt = Callable[[Sequence[Message], Sequence[Mapping[str, Any]] | None], str | None]
"""(messages, tools) -> the prompt, None where the template fails."""

_WORD, _KEY, _VALUE, _NAME = "zyword", "zykey", "zyvalue", "zytool"
"""Looked for in prompts; no template holds them."""
_ID = "call00001"
"""Nine letters and digits: Mistral's templates refuse others."""
_QUESTION: Message = {"role": "user", "content": "?"}
_TOOL = {
    "type": "function",
    "function": {
        "name": _NAME,
        "description": "",
        "parameters": {"type": "object", "properties": {_KEY: {"type": "string", "description": ""}}, "required": []},
    },
}
_RESULT: Message = {"role": "tool", "name": _NAME, "tool_call_id": _ID, "content": "{}"}
_REASONING = ("reasoning_content", "thinking", "reasoning")
"""Names of a message's reasoning; the first is what templates read, gpt-oss's reads the second."""
_SAME_ROLES = {"developer": "system", "function": "tool"}
_GAP = "\n\n"
"""Between a system message and the question that it is put in front of."""


class TemplateForms:
    """The message forms that a template accepts, each probed when first needed."""

    def __init__(self, attempt: Attempt) -> None:
        """Take what renders the template."""
        self._attempt = attempt
        self._known: dict[tuple[str, ...], Any] = {}

    def fitted(self, messages: Sequence[Message]) -> list[Message]:
        """Return messages in OpenAI's form as the template takes them.

        Raises:
            ZhiyinError: a call's arguments are no JSON, or a message holds what is no text, and the template takes only that.
        """
        plain = [self._in_known_role(_plain(message)) for message in messages]
        if plain and plain[0].get("role") == "system" and not self.takes_system:
            plain = _merged_system(plain)
        return [self._fitted(message) for message in plain]

    @property
    def takes_question(self) -> bool:
        """Tell whether the template renders the shortest chat."""
        return bool(self._find(("question",), lambda: self._attempt([_question(self)], None) is not None))

    @property
    def takes_system(self) -> bool:
        """Tell whether the template shows a system message, or fails without one, too."""
        return bool(self._find(("system",), self._find_system))

    def _in_known_role(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return a message in OpenAI's older or newer word for its role, where the template leaves it out in the one it has."""
        role = str(message.get("role"))
        other = _SAME_ROLES.get(role)
        if other is None or self._find(("role", role), lambda: self._shows(role, _WORD)):
            return message
        return {**message, "role": other}

    def _fitted(self, message: Message) -> Message:
        calls, role = message.get("tool_calls"), str(message.get("role"))
        content = message.get("content")
        if isinstance(calls, list):
            message = self._with_calls(message, calls)
        elif content is None and not self._takes_absent(role):
            message = {**message, "content": ""}
        if isinstance(content, list):
            return message if self._takes_parts(role) else {**message, "content": _text(content)}
        if isinstance(content, str) and content and not self._takes_text(role) and self._takes_parts(role):
            return {**message, "content": [{"type": "text", "text": content}]}
        return message

    def _with_calls(self, message: Message, calls: list[Any]) -> Message:
        """Return a message whose calls have arguments of the wanted kind, and whose missing content does not hide them."""
        kinds, contents = self._find(("calls",), self._find_calls)
        fitted = {**message, "tool_calls": [_with_arguments(call, kinds) for call in calls]}
        content = fitted.pop("content", ...)
        hides = (content is ... or content == "") and bool(contents) and content not in contents
        if content is ... and not contents and not self._takes_absent(str(message.get("role"))):
            content = ""
        return fitted | _content(contents[0] if hides else content)

    def _takes_text(self, role: str) -> bool:
        return bool(self._find(("text", role), lambda: self._shows(role, _WORD)))

    def _takes_parts(self, role: str) -> bool:
        return bool(self._find(("parts", role), lambda: self._shows(role, [{"type": "text", "text": _WORD}])))

    def _takes_absent(self, role: str) -> bool:
        """Tell whether the template renders a message without content."""
        return bool(
            self._find(("absent", role), lambda: self._attempt([*self._before(role), {"role": role}], None) is not None)
        )

    def _find(self, key: tuple[str, ...], look: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = look()
        return self._known[key]

    def _shows(self, role: str, content: Any) -> bool:
        """Tell whether the template writes a content as what it says, and not as Python or JSON writes parts."""
        prompt = self._attempt([*self._before(role), {"role": role, "content": content}, *_after(role)], None)
        return prompt is not None and _WORD in prompt and "'type'" not in prompt and '"type"' not in prompt

    def _before(self, role: str) -> list[Message]:
        """Return the messages that come before one of this role."""
        if role in ("assistant", "tool"):
            return [_question(self), *([self._with_calls(*_called())] if role == "tool" else [])]
        return []

    def _find_system(self) -> bool:
        if not self.takes_question:
            return True
        return self._shows("system", _WORD) or self._shows("system", [{"type": "text", "text": _WORD}])

    def _find_calls(self) -> tuple[tuple[type, ...], list[Any]]:
        """Return the kinds of arguments that come out right (`str`: JSON text, `dict`), and the contents that show a call.

        Contents are "", None and `Ellipsis` for none at all. Both are empty where nothing shows a call.
        """
        kinds: dict[type, None] = {}
        shown: list[tuple[Any, set[int]]] = []
        for content in (..., "", None):
            places: set[int] = set()
            for kind in (str, dict):
                chats = enumerate(self._calling(content, kind))
                right = {number for number, (chat, tools) in chats if _is_right(self._attempt(chat, tools))}
                kinds |= {kind: None} if right else {}
                places |= right
            shown.append((content, places))
        most = max(len(places) for _, places in shown)  # one that shows a last call may fail before a result
        return tuple(kinds), [content for content, places in shown if most and len(places) == most]

    def _calling(self, content: Any, kind: type) -> Iterator[tuple[list[Message], list[Mapping[str, Any]] | None]]:
        """Yield chats with a call: some templates want a result after it, or tools beside it."""
        arguments: Any = {_KEY: _VALUE}
        call = _call(json.dumps(arguments) if kind is str else arguments)
        turns: list[Message] = [_question(self), {"role": "assistant", **_content(content), "tool_calls": [call]}]
        yield [*turns, _RESULT], [_TOOL]
        yield turns, [_TOOL]
        yield [*turns, _RESULT], None


def _question(forms: TemplateForms) -> Message:
    """Return a question in the form of content that the template takes; the forms of questions need none."""
    parts = [{"type": "text", "text": "?"}]
    return _QUESTION if forms._takes_text("user") or not forms._takes_parts("user") else {**_QUESTION, "content": parts}


def _after(role: str) -> list[Message]:
    return [_QUESTION] if role in ("system", "assistant") else []


def _call(arguments: Any) -> Mapping[str, Any]:
    return {"id": _ID, "type": "function", "function": {"name": _NAME, "arguments": arguments}}


def _called() -> tuple[Message, list[Any]]:
    calls = [_call({_KEY: _VALUE})]
    return {"role": "assistant", "tool_calls": calls}, calls


def _content(content: Any) -> dict[str, Any]:
    return {} if content is ... else {"content": content}


def _is_right(prompt: str | None) -> bool:
    """Tell whether a prompt holds the call's arguments, neither escaped a second time nor as Python writes them."""
    if prompt is None or _KEY not in prompt or _VALUE not in prompt:
        return False
    return not any(wrong in prompt for wrong in (f'\\"{_KEY}', f"'{_KEY}'", "None"))


def _plain(message: Message) -> dict[str, Any]:
    """Return a message without keys that say nothing, its reasoning under every name that templates use."""
    kept = {key: value for key, value in message.items() if value is not None and (key, value) != ("tool_calls", [])}
    if isinstance(content := kept.get("content"), list):
        parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
        kept["content"] = parts if any(part != {"type": "text", "text": ""} for part in parts) else ""
    if isinstance(calls := kept.get("tool_calls"), list):
        kept["tool_calls"] = [_whole_call(call) for call in calls]
    reasoning = next((kept[name] for name in _REASONING if name in kept), None)
    return kept if reasoning is None else {"thinking": reasoning, **kept, _REASONING[0]: reasoning}


def _whole_call(call: Any) -> Any:
    """Return a call in OpenAI's form, where a message has its function alone, or not its type."""
    if not isinstance(call, Mapping):
        return call
    if isinstance(call.get("function"), Mapping):
        return {"type": "function", **call}
    if not isinstance(call.get("name"), str):
        return call
    outer = {key: value for key, value in call.items() if key not in ("name", "arguments")}
    return {"type": "function", **outer, "function": {"name": call["name"], "arguments": call.get("arguments")}}


def _merged_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the system messages that a chat begins with in front of the first question."""
    first_others = next((n for n, message in enumerate(messages) if message.get("role") != "system"), len(messages))
    others = messages[first_others:]
    texts = (_said(message.get("content", "")) for message in messages[:first_others])
    system = _GAP.join(text for text in texts if text.strip())
    if not system:
        return others
    first = next((number for number, message in enumerate(others) if message.get("role") == "user"), None)
    if first is None:
        return [{"role": "user", "content": system}, *others]
    question = others[first].get("content", "")
    if isinstance(question, list):
        merged: Any = _with_text_in_front(question, system)
    else:
        merged = f"{system}{_GAP}{question}" if question else system
    others[first] = {**others[first], "content": merged}
    return others


def _with_text_in_front(parts: list[Any], text: str) -> list[Any]:
    first = parts[0] if parts else None
    if isinstance(first, Mapping) and isinstance(first.get("text"), str):
        return [{**first, "text": f"{text}{_GAP}{first['text']}"}, *parts[1:]]
    return [{"type": "text", "text": text}, *parts]


def _said(content: Any) -> str:
    return _text(content) if isinstance(content, list) else str(content)


def _text(parts: Iterable[Any]) -> str:
    """Return the text of content in parts, a line for each."""
    texts = []
    for part in parts:
        text = part.get("text") if isinstance(part, Mapping) else part
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, Mapping) else None
            raise ZhiyinError(
                "A message holds a part of type {kind}, which this model's chat format has no place for; leave it out.",
                kind=str(kind)[:40],
            )
        texts.append(text)
    return "\n".join(texts)


def _with_arguments(call: Any, kinds: Sequence[type]) -> Any:
    """Return a call whose arguments are of one of these kinds; as it is where there are none."""
    if not isinstance(call, Mapping):
        return call
    if isinstance(call.get("function"), Mapping):
        return {**call, "function": _with_arguments(call["function"], kinds)}
    arguments = call.get("arguments")
    if (arguments is None or (isinstance(arguments, str) and not arguments.strip())) and kinds:
        arguments = {}
    if isinstance(arguments, str) and dict in kinds and str not in kinds:
        arguments = _parsed(arguments, str(call.get("name", "")))
    elif isinstance(arguments, Mapping) and str in kinds and dict not in kinds:
        arguments = json.dumps(arguments, ensure_ascii=False)
    return call if arguments is None else {**call, "arguments": arguments}


def _parsed(text: str, name: str) -> Mapping[str, Any]:
    """Return the mapping that a call's arguments are written in."""
    try:
        arguments = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, Mapping):
        raise ZhiyinError(
            "The arguments of a call of {name} in this chat are no JSON object; correct that message.", name=name or "-"
        )
    return arguments
