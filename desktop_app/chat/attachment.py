"""Attachments of a message: files, long texts that were pasted, passages. Name and text stay apart."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

PASTED = "pasted"
"""The kind of a long text that was pasted: it has no name."""
PASSAGES = "passages"
"""The kind of passages that were found in a collection of documents."""
TEXT = "text"
_BREAK = "\n\n"


def new_id() -> str:
    """Return an identifier that no other message, attachment or conversation has."""
    return os.urandom(16).hex()


@dataclass(frozen=True)
class Attachment:
    """One text that goes with a message."""

    name: str
    """A file's name, without its folder; "" for a text that was pasted."""
    text: str
    kind: str = TEXT
    """`PASTED`, `PASSAGES`, or a kind of file (`desktop_app.documents.kinds`)."""
    id: str = field(default_factory=new_id)
    path: str = ""
    """Where the file lay when it was attached; "": there is none."""

    def copy(self) -> Attachment:
        """Return the same for another message."""
        return replace(self, id=new_id())


@dataclass(frozen=True)
class Draft:
    """A message in the making."""

    text: str = ""
    attachments: tuple[Attachment, ...] = ()

    @property
    def is_blank(self) -> bool:
        """There is nothing to send."""
        return not self.attachments and not self.text.strip()


def whole_text(typed: str, attachments: Iterable[Attachment]) -> str:
    """Return a message as the model reads it: what was typed, and below it each attachment behind its name."""
    parts = [typed.strip(), *(f"{one.name}:{_BREAK}{one.text}" if one.name else one.text for one in attachments)]
    return _BREAK.join(part for part in parts if part)
