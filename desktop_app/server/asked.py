"""Shared by requests of all protocols: sampling, and the texts in a message's content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from desktop_app.engine.protocol import SamplingSettings
from desktop_app.library.installed_model import InstalledModel
from desktop_app.server.errors import APIError

_SEED_BITS = 0x7FFFFFFF


def sampling_settings(model: InstalledModel, **given: Any) -> SamplingSettings:
    """Return how tokens are chosen: as the client asks (None: it does not), as set for the model, or as its publisher says."""
    asked = {name: value for name, value in given.items() if value is not None}
    if "seed" in asked:
        asked["seed"] &= _SEED_BITS
    return SamplingSettings(**{**model.sampling, **_own_sampling(model), **asked})


def _own_sampling(model: InstalledModel) -> dict[str, Any]:
    own: dict[str, Any] = dict(model.own.sampling)
    if own.get("seed", 0) < 0:
        own["seed"] = None  # another one each time
    return own


def with_instructions(model: InstalledModel, messages: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return the messages, behind the instructions that the user set for the model where the client sends none."""
    instructed = any(message.get("role") in ("system", "developer") for message in messages)
    if instructed or not (model.own.instructions or "").strip():
        return tuple(messages)
    return ({"role": "system", "content": model.own.instructions}, *messages)


def stop_texts(stop: str | list[str] | None) -> tuple[str, ...]:
    """Return the texts that end a reply."""
    texts = [stop] if isinstance(stop, str) else stop or []
    return tuple(text for text in texts if text)


def text_of(content: Any, where: str, kinds: frozenset[str] = frozenset({"text"})) -> str:
    """Return a content, a text or a list of parts, as one text.

    Args:
        content: as the client sent it.
        where: names it in an error.
        kinds: the types of parts whose `text` counts.

    Raises:
        APIError: a part is no text.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise APIError(400, f"Invalid value for '{where}': it must be a text or a list of parts.", param=where)
    return "".join(_text(part, f"{where}[{number}]", kinds) for number, part in enumerate(content))


def _text(part: Any, where: str, kinds: frozenset[str]) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, Mapping) else None
    text = part.get("text") if isinstance(part, Mapping) else None
    if kind in kinds and isinstance(text, str):
        return text
    message = f"Invalid value for '{where}': a model of this server reads texts only, not {kind or 'this'}."
    raise APIError(400, message, code="invalid_value", param=where)


def needs_message(messages: list[Any], where: str = "messages") -> None:
    """Raise APIError where there is nothing to reply to."""
    if not messages:
        raise APIError(400, f"Invalid value for '{where}': it must hold a message.", code="invalid_value", param=where)
