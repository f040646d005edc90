"""Our own small files of JSON: what is damaged is put aside and said, and no change of another process is lost.

A user edits them, a power cut cuts them off: whatever they hold, the rest of the application works.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from converter.atomic_write import locked, write_locked
from desktop_app import reports
from models.errors import BadFile
from models.regular_file import open_regular
from models.system_reasons import system_reason

T = TypeVar("T")

_LARGEST = 8 * 1024 * 1024
"""Bytes; none of ours comes near."""


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """The parsed contents of a file."""

    value: T
    is_complete: bool = True
    """Nothing had to be left out as damaged."""


@dataclass(frozen=True)
class SmallFile(Generic[T]):
    """One file, and how its content is read and written."""

    path: Path
    empty: Callable[[], T]
    """What counts where there is no file, or nothing of it can be read."""
    parse: Callable[[Any], Parsed[T]]
    """Given any JSON. What it raises over wrong types and missing entries says that nothing can be made of it."""
    dump: Callable[[T], Any]

    def read(self) -> T:
        """Return what the file holds; what is damaged is left out, put aside and said."""
        return self._parsed().value

    def write(self, value: T) -> None:
        """Write the file whole or not at all; one that says the same already is left alone, for a disk takes a while.

        Raises:
            OSError: the folder cannot be written, or the disk is full.
        """
        text = _text(self.dump(value))
        if self._content() == text.encode():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path):
            write_locked(self.path, text)

    def change(self, change: Callable[[T], T]) -> None:
        """Read, change and write the file while no other process does.

        Raises:
            OSError: the folder cannot be written, or the disk is full.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path):
            write_locked(self.path, _text(self.dump(change(self._parsed(has_lock=True).value))))

    def _content(self) -> bytes | None:
        """Return the file's bytes, None: it is not there, or is not to be read now."""
        try:
            with open_regular(self.path) as file:
                return file.read(_LARGEST + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (IsADirectoryError, BadFile):
            return b""  # as good as damaged
        except OSError as error:
            reports.say(BadFile("{path} cannot be read: {reason}.", path=self.path, reason=system_reason(error)))
            return None

    def _parsed(self, *, has_lock: bool = False) -> Parsed[T]:
        data = self._content()
        if data is None:
            return Parsed(self.empty())
        parsed = self._decoded(data)
        if not parsed.is_complete:
            self._put_aside(parsed, data, has_lock)
        return parsed

    def _decoded(self, data: bytes) -> Parsed[T]:
        if len(data) <= _LARGEST:
            with suppress(ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
                return self.parse(json.loads(data))
        return Parsed(self.empty(), is_complete=False)

    def _put_aside(self, parsed: Parsed[T], data: bytes, has_lock: bool) -> None:
        """Give the damaged file another name, and write what could be read of it."""
        aside = free_path(self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"))
        try:
            if has_lock:
                self._replace(parsed, aside)
            else:
                with locked(self.path):
                    if self._content() != data:
                        return  # another process was here first
                    self._replace(parsed, aside)
        except OSError as error:
            reports.say(
                BadFile(
                    "{path} is damaged and cannot be put aside ({reason}); what can be read of it counts.",
                    path=self.path,
                    reason=system_reason(error),
                )
            )
            return
        reports.say(
            BadFile(
                "{path} was damaged; what could be read of it counts, and the damaged file is {aside} now.",
                path=self.path,
                aside=aside,
            )
        )

    def _replace(self, parsed: Parsed[T], aside: Path) -> None:
        self.path.replace(aside)
        if parsed.value != self.empty():
            write_locked(self.path, _text(self.dump(parsed.value)))


def free_path(path: Path) -> Path:
    """Return a path beside which nothing lies: itself, or with a number."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    # Lone surrogates stand for bytes of file names that are no UTF-8, which a file in UTF-8 can only hold escaped.
    return text if text.isascii() or _is_utf8(text) else json.dumps(value, indent=1)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
