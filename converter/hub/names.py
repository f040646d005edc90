"""File names as a host lists them: which of them every operating system can store and show."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from models.errors import BadFile

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/(?!\.{1,2}$)[\w.-]{1,96}")
"""ORG/NAME."""
MOST_FOLDERS = 64
"""Above one file."""
_LONGEST_PART = 255
"""Bytes of a file's or a folder's name: what file systems allow."""
_LONGEST_NAME = 1024
_JOINERS = "\u200c\u200d"
"""OutputFilter, in emoji and in Persian, though they count as format characters."""
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Control characters, direction and other formats, halves of characters, ends of lines."""
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)
_OURS = re.compile(r"\.hub\.json|\.lock|\..*\.part", re.IGNORECASE)
"""What a download's folder holds besides the repository's files."""


def check_names(repository: str, names: Iterable[str]) -> None:
    """Check all names of a repository.

    Raises:
        BadFile: one leads outside the folder, or is no name that a user or a disk could read.
    """
    for name in names:
        if _leads_outside(name):
            raise BadFile(
                "{name} holds a file named {file!r}, which points outside its folder; nothing was fetched: get the "
                "model elsewhere.",
                code="unsafe-name",
                name=repository,
                file=name[:80],
            )
        if _has_unseen(name):
            raise BadFile(
                "{name} holds a file named {file!r}, with characters that nobody can see; nothing was fetched: get the "
                "model elsewhere.",
                code="unsafe-name",
                name=repository,
                file=name[:80],
            )
        if _is_too_long(name):
            raise BadFile(
                "{name} holds a file whose name no disk can keep ({file!r} and more); nothing was fetched: get the "
                "model elsewhere.",
                code="unsafe-name",
                name=repository,
                file=name[:80],
            )


def is_harmless(name: str) -> bool:
    """Tell whether `check_names` has nothing against a name."""
    return not (_leads_outside(name) or _has_unseen(name) or _is_too_long(name))


def check_kept_names(repository: str, names: Iterable[str], *, one_case: bool) -> None:
    """Check the names of those files of a repository that are to be kept.

    Args:
        repository: its name, for the sentence.
        names: of the files; `check_names` had nothing against them.
        one_case: the disk takes capitals and small letters for the same.

    Raises:
        BadFile: some system cannot keep one, or two of them would be one file.
    """
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        if any(_is_refused_somewhere(part) for part in name.split("/")) or _OURS.fullmatch(name):
            raise BadFile(
                "{name} holds a file named {file!r}, which not every system can keep; nothing was fetched: get the "
                "model elsewhere.",
                code="unsafe-name",
                name=repository,
                file=name,
            )
        key = unicodedata.normalize("NFC", name).casefold() if one_case else name
        above = ["/".join(key.split("/")[:depth]) for depth in range(1, key.count("/") + 1)]
        other = seen.get(key) or folders.get(key) or next((seen[folder] for folder in above if folder in seen), None)
        if other is not None:
            raise BadFile(
                "{name} holds two files that would be one here ({file} and {other}); nothing was fetched: get the model "
                "elsewhere.",
                code="unsafe-name",
                name=repository,
                file=name,
                other=other,
            )
        seen[key] = name
        folders.update(dict.fromkeys(above, name))


def _leads_outside(name: str) -> bool:
    rooted = name.startswith("/") or "\\" in name or re.match("[A-Za-z]:", name) is not None
    return rooted or any(part in ("..", ".", "") for part in name.split("/"))


def _has_unseen(name: str) -> bool:
    return not name.isprintable() and any(
        unicodedata.category(mark) in _UNSEEN and mark not in _JOINERS for mark in name
    )


def _is_too_long(name: str) -> bool:
    parts = name.split("/")
    longest = max(len(part.encode()) for part in parts)
    return longest > _LONGEST_PART or len(name.encode()) > _LONGEST_NAME or len(parts) > MOST_FOLDERS


def _is_refused_somewhere(part: str) -> bool:
    return bool(_RESERVED.fullmatch(part)) or part.endswith((".", " ")) or any(mark in part for mark in '<>:"|?*')
