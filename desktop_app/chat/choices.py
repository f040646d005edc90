"""Settings of a single chat: its model, instructions, sampling and assistant. The rest is as in the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from desktop_app.settings import is_sampled


@dataclass(frozen=True)
class Choices:
    """Of one chat; whatever is left open is as in the settings."""

    model: str = ""
    """As `desktop_app.library.installed` identifies it; "": the one that is loaded."""
    instructions: str | None = None
    """Instead of the settings' system prompt; "": none at all."""
    sampling: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Some of `settings.SAMPLED`."""
    assistant: str = ""
    """The id of the assistant (`desktop_app.chat.assistants`) that the chat began with."""
    reads_from: str = ""
    """The id of the question from which on the model reads the chat (`desktop_app.chat.shortening`); "": from its first."""
    summary: str = ""
    """What the model wrote of the turns before."""

    def stored(self) -> dict[str, Any]:
        """Return what differs from the defaults, as JSON has it."""
        usual = asdict(Choices())
        return {name: value for name, value in asdict(self).items() if value != usual[name]}


def choices_from(stored: Any) -> Choices:
    """Return stored choices; what is damaged in them has its default."""
    if not isinstance(stored, Mapping):
        return Choices()
    known = {entry.name for entry in fields(Choices)}
    good = {name: value for name, value in stored.items() if name in known and _GOOD[name](value)}
    if "sampling" in good:
        good["sampling"] = {name: value for name, value in good["sampling"].items() if is_sampled(name, value)}
    return Choices(**good)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_GOOD = {
    "model": _is_text,
    "instructions": lambda value: value is None or isinstance(value, str),
    "sampling": lambda value: isinstance(value, Mapping),
    "assistant": _is_text,
    "reads_from": _is_text,
    "summary": _is_text,
}
