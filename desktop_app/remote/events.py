"""Server-sent events of OpenAI's protocol: pieces of bytes in, JSON objects out. Untrusted, so bounded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from desktop_app.remote.failures import broken_off, unreadable
from models.sentence import Sentence

_LONGEST_LINE = 4 << 20
_END = "[DONE]"


def events(pieces: Iterable[bytes], place: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a stream until its end, which has a mark of its own.

    Raises:
        ZhiyinError: what comes is no stream of objects, or ends without the mark before any of them said that it is whole.
    """
    is_complete = False
    for line in _lines(pieces, place):
        name, colon, value = line.partition(b":")
        if name != b"data" or not colon:
            continue  # comments that keep the connection open, names and numbers of events
        text = value.strip().decode("utf-8", "replace")
        if text == _END:
            return
        event = _object(text, place)
        yield event
        is_complete = is_complete or _is_last(event)
    if not is_complete:
        raise broken_off(place)


def read_object(pieces: Iterable[bytes], place: str) -> dict[str, Any]:
    """Return the one object of an answer that is no stream; raises `ZhiyinError`."""
    return _object(b"".join(pieces).decode("utf-8", "replace"), place)


def _lines(pieces: Iterable[bytes], place: str) -> Iterator[bytes]:
    held = bytearray()
    for piece in pieces:
        held += piece
        *lines, rest = bytes(held).split(b"\n")
        held = bytearray(rest)
        if len(held) > _LONGEST_LINE:
            raise unreadable(place, Sentence("a line is too long"))
        yield from (line.rstrip(b"\r") for line in lines)
    if held:
        yield bytes(held)


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError):
        raise unreadable(place, Sentence("it is no JSON")) from None
    if not isinstance(decoded, dict):
        raise unreadable(place, Sentence("it is no object"))
    return decoded


def _is_last(event: dict[str, Any]) -> bool:
    """Tell whether an event says why the reply ended: some servers send no mark behind it."""
    choices = event.get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and choice.get("finish_reason") for choice in choices
    )
