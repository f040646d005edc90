"""Assistants: instructions with a name, and with them the model, the sampling, the tools and the documents of new chats.

Some come along in each language (`resources/assistants`); the user's own, and what was changed of these, are in one small file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import resources
from desktop_app.chat.attachment import new_id
from desktop_app.chat.choices import Choices, choices_from
from desktop_app.chat.tool_choice import ToolChoice
from desktop_app.small_files import Parsed, SmallFile

_LONGEST_ICON = 2


@dataclass(frozen=True)
class Assistant:
    """One of them."""

    name: str
    icon: str = ""
    """One or two characters; "": the name's first."""
    instructions: str = ""
    model: str = ""
    """As `desktop_app.library.installed` identifies it; "": the one that is loaded."""
    sampling: Mapping[str, float] = field(default_factory=dict, hash=False)
    """As `Choices.sampling`."""
    tools: tuple[str, ...] = ()
    """The application's own, by their names (`ToolChoice.names`)."""
    servers: tuple[str, ...] = ()
    """MCP servers, by their names in the settings."""
    collections: tuple[str, ...] = ()
    """Of documents, which replies are looked for in."""
    id: str = field(default_factory=new_id)

    @property
    def sign(self) -> str:
        """The characters of its icon."""
        return self.icon or self.name[:1].upper()

    @property
    def choices(self) -> Choices:
        """The initial settings of a chat with it."""
        return Choices(self.model, self.instructions, self.sampling, self.id)

    @property
    def tool_choice(self) -> ToolChoice:
        """The tools that a chat with it has on."""
        return ToolChoice(self.tools, servers=self.servers)


@dataclass(frozen=True)
class Own:
    """The user's own assistants and changes."""

    kept: tuple[Assistant, ...] = ()
    """Those of the user's own, and changed ones under the id of that which came along."""
    removed: frozenset[str] = frozenset()
    """The ids of those that came along and are not wanted."""


def brought(language: str) -> list[Assistant]:
    """Return those that come along in a language; English where there are none in it."""
    folder = resources.FOLDER / "assistants"
    wanted = (f"{language}.json", "zh_CN.json" if language.startswith("zh") else "en.json")
    text = next(file for name in wanted if (file := folder.joinpath(name)).is_file()).read_text("utf-8")
    return [assistant for entry in json.loads(text) if (assistant := _assistant(entry)) is not None]


def all_of(language: str, own: Own) -> list[Assistant]:
    """Return all assistants: the user's own first, then those that come along, as they were changed."""
    changed = {one.id: one for one in own.kept}
    along = [one for one in brought(language) if one.id not in own.removed]
    known = {one.id for one in along}
    mine = [one for one in own.kept if one.id not in known and one.id not in own.removed]
    return [*mine, *(changed.get(one.id, one) for one in along)]


def with_one(own: Own, assistant: Assistant) -> Own:
    """Return it with an assistant that is new or changed."""
    kept = [assistant if one.id == assistant.id else one for one in own.kept]
    if assistant not in kept:
        kept.append(assistant)
    return replace(own, kept=tuple(kept), removed=own.removed - {assistant.id})


def without_one(own: Own, identifier: str) -> Own:
    """Return it without an assistant, whether it came along or not."""
    return Own(tuple(one for one in own.kept if one.id != identifier), own.removed | {identifier})


def own_file(path: Path) -> SmallFile[Own]:
    """Return the file of what the user made."""
    return SmallFile(path, Own, _parsed, _dumped)


def _dumped(own: Own) -> Any:
    return {"assistants": [asdict(one) for one in own.kept], "removed": sorted(own.removed)}


def _parsed(stored: Any) -> Parsed[Own]:
    entries, removed = stored["assistants"], stored["removed"]
    assistants = [_assistant(entry) for entry in entries]
    names = [name for name in removed if isinstance(name, str)]
    is_complete = None not in assistants and len(names) == len(removed)
    return Parsed(Own(tuple(one for one in assistants if one is not None), frozenset(names)), is_complete)


def _assistant(entry: Any) -> Assistant | None:
    """Return an assistant of its JSON; None: it has no name."""
    if not isinstance(entry, Mapping) or not _text(entry, "name").strip():
        return None
    choices = choices_from(entry)  # the same words for the same things
    return Assistant(
        _text(entry, "name").strip(),
        _text(entry, "icon")[:_LONGEST_ICON],
        choices.instructions or "",
        choices.model,
        choices.sampling,
        _texts(entry, "tools"),
        _texts(entry, "servers"),
        _texts(entry, "collections"),
        _text(entry, "id") or new_id(),
    )


def _text(entry: Mapping[Any, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _texts(entry: Mapping[Any, Any], key: str) -> tuple[str, ...]:
    value = entry.get(key)
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, (list, tuple)) else ()


def found_in(assistants: Sequence[Assistant], identifier: str) -> Assistant | None:
    """Return the assistant with an id."""
    return next((one for one in assistants if one.id == identifier), None)
