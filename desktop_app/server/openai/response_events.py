"""The items of a response, and the events that build them up while it streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from desktop_app.server.replies import Call, Part, Piece, new_id


def message_item(text: str) -> dict[str, Any]:
    """Return an answer."""
    return {
        "type": "message",
        "id": f"msg_{new_id()}",
        "status": "completed",
        "role": "assistant",
        "content": [_text_part(text)],
    }


def reasoning_item(text: str) -> dict[str, Any]:
    """Return a thought."""
    content = [{"type": "reasoning_text", "text": text}]
    return {"type": "reasoning", "id": f"rs_{new_id()}", "summary": [], "content": content}


def tool_item(call: Call) -> dict[str, Any]:
    """Return a call."""
    return {
        "type": "function_call",
        "id": f"fc_{new_id()}",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": "completed",
    }


class ResponseEvents:
    """Makes events of a reply's parts; `items` are those that are finished."""

    def __init__(self) -> None:
        """Begin a response."""
        self.items: list[dict[str, Any]] = []
        self._number = 0
        self._open: dict[str, Any] | None = None
        self._text = ""

    def numbered(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event with its number."""
        self._number += 1
        return {**event, "sequence_number": self._number - 1}

    def of(self, part: Part) -> Iterator[dict[str, Any]]:
        """Yield the events of a part."""
        if isinstance(part, Piece):
            if part.reasoning:
                yield from self._add("reasoning", part.reasoning)
            if part.content:
                yield from self._add("message", part.content)
        else:
            yield from self._called(part)

    def close(self, *, needs_item: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the events that finish the open item; `needs_item`: there is to be at least one."""
        if needs_item and self._open is None and not self.items:
            yield from self._begin("message")
        item = self._open
        if item is None:
            return
        self._open = None
        place = self._place(item)
        if item["type"] == "message":
            yield self.numbered({"type": "response.output_text.done", **place, "text": self._text, "logprobs": []})
            part = _text_part(self._text)
            yield self.numbered({"type": "response.content_part.done", **place, "part": part})
        else:
            yield self.numbered({"type": "response.reasoning_text.done", **place, "text": self._text})
            part = {"type": "reasoning_text", "text": self._text}
        done = {**item, "content": [part]} | ({"status": "completed"} if item["type"] == "message" else {})
        yield from self._finish(done)

    def _add(self, kind: str, text: str) -> Iterator[dict[str, Any]]:
        if self._open is None or self._open["type"] != kind:
            yield from self.close()
            yield from self._begin(kind)
        item = self._open or {}
        self._text += text
        name = "output_text" if kind == "message" else "reasoning_text"
        extra: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
        yield self.numbered({"type": f"response.{name}.delta", **self._place(item), "delta": text, **extra})

    def _begin(self, kind: str) -> Iterator[dict[str, Any]]:
        item = message_item("") if kind == "message" else reasoning_item("")
        self._open, self._text = item, ""
        begun = {**item, "content": []} | ({"status": "in_progress"} if kind == "message" else {})
        yield self.numbered({"type": "response.output_item.added", "output_index": len(self.items), "item": begun})
        if kind == "message":
            part = _text_part("")
            yield self.numbered({"type": "response.content_part.added", **self._place(item), "part": part})

    def _called(self, call: Call) -> Iterator[dict[str, Any]]:
        yield from self.close()
        item = tool_item(call)
        place = {"item_id": item["id"], "output_index": len(self.items)}
        begun = {**item, "arguments": "", "status": "in_progress"}
        yield self.numbered({"type": "response.output_item.added", "output_index": len(self.items), "item": begun})
        delta = {"type": "response.function_call_arguments.delta", **place, "delta": call.arguments}
        yield self.numbered(delta)
        done = {"type": "response.function_call_arguments.done", **place, "arguments": call.arguments}
        yield self.numbered({**done, "name": call.name})
        yield from self._finish(item)

    def _finish(self, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        place = len(self.items)
        self.items.append(item)
        yield self.numbered({"type": "response.output_item.done", "output_index": place, "item": item})

    def _place(self, item: dict[str, Any]) -> dict[str, Any]:
        return {"item_id": item["id"], "output_index": len(self.items), "content_index": 0}


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
