"""Reading and searching in folders that the user granted, and nowhere else.

A path is resolved, links and `..` included, before it is held against the granted folders, and what is opened is held to be
the file that was looked at: a link put there in between leads nowhere. Devices, pipes and sockets are never opened.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from desktop_app.assistant.tool import Output, Tool, ToolFailed, ToolResult, schema, text_argument
from models.system_reasons import system_reason

_LARGEST = 2 << 20
"""Bytes of a file that are read."""
_MOST_NAMES = 500
_MOST_FOUND = 100
_MOST_FILES = 20_000
_LINE = 300

_PATH = {"type": "string", "description": "a path below one of the folders, or absolute"}


class Folders:
    """The folders that the user granted."""

    def __init__(self, granted: Sequence[Path]) -> None:
        """Take folders that exist."""
        self._roots = [path.resolve() for path in granted]

    def tools(self) -> list[Tool]:
        """Return the tools that read in them."""
        named = ", ".join(map(str, self._roots))
        return [
            Tool("list_folder", f"Lists a folder. Folders that may be read: {named}", schema(path=_PATH), self._list),
            Tool(
                "read_file",
                f"Reads a text file. Folders that may be read: {named}",
                schema(("path",), path=_PATH, first_line={"type": "integer"}, last_line={"type": "integer"}),
                self._read,
            ),
            Tool(
                "search_files",
                "Finds files whose name or text holds some words, in either case.",
                schema(("words",), words={"type": "string"}, path=_PATH),
                self._search,
            ),
        ]

    def resolve(self, path: str) -> Path:
        """Return where a path leads to; raises `ToolFailed` where that is outside of the granted folders."""
        if "\0" in path:
            raise ToolFailed("{path} is no path.", path=path.replace("\0", "")[:200])
        inside: list[Path] = []
        for root in self._roots:
            with suppress(OSError, RuntimeError, ValueError):
                target = (root / path).resolve()
                inside += [target] if any(target == other or other in target.parents for other in self._roots) else []
        if inside:
            return next((target for target in inside if target.exists()), inside[0])
        raise ToolFailed("{path} lies outside of the folders that may be read.", path=path[:200])

    def _list(self, arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
        text = text_argument(arguments, "path", "")
        if not text.strip() and len(self._roots) > 1:
            return ToolResult("\n".join(f"{root}/" for root in self._roots))
        folder = self.resolve(text or ".")
        try:
            with os.scandir(folder) as entries:
                names = sorted(_described(entry) for entry in entries)
        except OSError as error:
            raise ToolFailed("{path} cannot be listed: {reason}.", path=text, reason=system_reason(error)) from None
        more = f"\n… and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        return ToolResult("\n".join(names[:_MOST_NAMES]) + more if names else "The folder is empty.")

    def _read(self, arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
        path = self.resolve(text_argument(arguments, "path"))
        data = _contents(path)
        if b"\0" in data[:8192]:
            raise ToolFailed("{path} is no text file.", path=path)
        lines = data.decode("utf-8", "replace").splitlines(keepends=True)
        first, last = arguments.get("first_line"), arguments.get("last_line")
        start = max(first, 1) - 1 if isinstance(first, int) else 0
        end = last if isinstance(last, int) else len(lines)
        return ToolResult("".join(lines[start:end]) or "There is nothing there.")

    def _search(self, arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
        words = text_argument(arguments, "words").casefold()
        if not words.strip():
            raise ToolFailed("Say what to search for.")
        text = text_argument(arguments, "path", "")
        starts = [self.resolve(text)] if text.strip() else self._roots
        matches: list[str] = []
        for number, path in enumerate(file for start in starts for file in _files(start)):
            if stop.is_set() or number >= _MOST_FILES or len(matches) >= _MOST_FOUND:
                break
            matches += _matches(path, words)
        return ToolResult("\n".join(matches[:_MOST_FOUND]) or "Nothing was found.")


def _described(entry: os.DirEntry[str]) -> str:
    """Return a name with what it is."""
    if entry.is_symlink():
        return f"{entry.name} (link)"
    if entry.is_dir(follow_symlinks=False):
        return f"{entry.name}/"
    if entry.is_file(follow_symlinks=False):
        return f"{entry.name} ({entry.stat(follow_symlinks=False).st_size} bytes)"
    return f"{entry.name} (no file)"


def _contents(path: Path) -> bytes:
    """Return what a file at a resolved path holds, up to a size; raises `ToolFailed` for what is no ordinary file."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ToolFailed("{path} is no ordinary file.", path=path)
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            if path.resolve() != path or not os.path.samestat(path.lstat(), os.fstat(file.fileno())):
                raise ToolFailed("{path} was exchanged while it was opened.", path=path)
            return file.read(_LARGEST)
    except OSError as error:
        raise ToolFailed("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from None


def _files(start: Path) -> Iterator[Path]:
    """Yield the ordinary files below a folder, links not followed, hidden folders left out."""
    if start.is_file():
        yield start
    for folder, folders, names in os.walk(start):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (path for path in (Path(folder, name) for name in sorted(names)) if not path.is_symlink())


def _matches(path: Path, words: str) -> list[str]:
    """Return where a file holds words; at most five places."""
    if words in path.name.casefold():
        return [str(path)]
    try:
        data = _contents(path)
    except ToolFailed:
        return []
    if b"\0" in data[:8192]:
        return []
    lines = enumerate(data.decode("utf-8", "replace").splitlines(), 1)
    return [f"{path}:{number}: {line.strip()[:_LINE]}" for number, line in lines if words in line.casefold()][:5]
