"""Finds out which program wrote a file, an archive or a folder of chats, and reads them. All of it is untrusted."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from desktop_app.chat.imports import chatgpt, jan, lm_studio, open_webui, zhiyin
from desktop_app.chat.imports.chat import Chat
from models.errors import BadFile
from models.regular_file import open_regular
from models.system_reasons import system_reason
from models.untrusted_json import InvalidJSON, decode

LARGEST = 1 << 30
"""Bytes of one file of chats."""
_MOST_FILES = 20_000
_JAN = ("thread.json", "messages.jsonl")
_SOURCES: tuple[tuple[str, Any, Callable[[Any], Chat | None]], ...] = (
    ("mapping", chatgpt.Exported, chatgpt.chat_of),
    ("chat", open_webui.Exported, open_webui.chat_of),
)


class UnknownExport(BadFile):
    """A file is no export of chats that we know."""


@dataclass
class Found:
    """The chats read from an export."""

    chats: list[Chat] = field(default_factory=list)
    unreadable: int = 0
    """Chats that were left out because they are damaged."""

    def take(self, read: Callable[[], Chat | None]) -> None:
        """Add a chat, unless it is empty or cannot be read."""
        try:
            chat = read()
        except (InvalidJSON, msgspec.MsgspecError, RecursionError):
            self.unreadable += 1
            return
        if chat is not None:
            self.chats.append(chat)


Files = dict[str, Callable[[], bytes]]
"""Contents by their names, of a folder or an archive."""


def read_chats(path: Path) -> Found:
    """Return the chats of a file, an archive or a folder.

    Raises:
        UnknownExport: no program that we know wrote it, or all of it is damaged.
        BadFile: it cannot be read.
    """
    result = Found()
    try:
        if path.is_dir():
            _read_all(_folder(path), result)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _read_all(_archive(archive), result)
        else:
            _read_file(path.name, _content(path), result)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error
    if not result.chats:
        raise UnknownExport(
            "{path} holds no chats that can be read; choose an export of ChatGPT, LM Studio, Jan, Open WebUI or Zhiyin.",
            path=path,
        )
    return result


def _content(path: Path) -> bytes:
    with open_regular(path) as file:
        return _bounded(path.name, file.read(LARGEST + 1))


def _bounded(name: str, data: bytes) -> bytes:
    if len(data) > LARGEST:
        raise BadFile("{path} is larger than {size} MB, which no export of chats is.", path=name, size=LARGEST >> 20)
    return data


def _folder(folder: Path) -> Files:
    """Return the files of a folder that may hold chats, without following links to folders."""
    files: Files = {}
    for path in sorted(folder.rglob("*.json*")):
        if len(files) < _MOST_FILES and path.is_file():
            files[path.relative_to(folder).as_posix()] = lambda path=path: _content(path)  # type: ignore[misc]
    return files


def _archive(archive: zipfile.ZipFile) -> Files:
    """Return an archive's files; nothing is written to the disk."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir() and ".json" in entry.filename]

    def content(entry: zipfile.ZipInfo) -> bytes:
        with archive.open(entry) as file:
            return _bounded(entry.filename, file.read(LARGEST + 1))

    return {entry.filename: lambda entry=entry: content(entry) for entry in entries[:_MOST_FILES]}  # type: ignore[misc]


def _read_all(files: Files, result: Found) -> None:
    """Read an archive's or a folder's files: the chats of ChatGPT, of Jan's threads, or whatever there is."""
    chatgpts = [name for name in files if PurePosixPath(name).name.startswith("conversations")]
    threads = {str(PurePosixPath(name).parent) for name in files if PurePosixPath(name).name == _JAN[1]}
    for folder in sorted(threads):
        _read_thread(folder, files, result)
    rest = [name for name in files if PurePosixPath(name).name not in _JAN]
    for name in chatgpts or ([] if threads else rest):
        _read_file(name, files[name](), result)


def _read_thread(folder: str, files: Files, result: Found) -> None:
    def read() -> Chat | None:
        about = files.get(str(PurePosixPath(folder) / _JAN[0]))
        thread = decode(about(), jan.Thread) if about is not None else jan.Thread()
        return jan.chat_of(thread, _lines(files[str(PurePosixPath(folder) / _JAN[1])]()), folder)

    result.take(read)


def _lines(data: bytes) -> Iterator[jan.Line]:
    """Yield the messages of a file with one a line; a line that was cut off is left out."""
    for line in data.splitlines():
        if line.strip():
            try:
                yield decode(line, jan.Line)
            except InvalidJSON:
                continue


def _read_file(name: str, data: bytes, result: Found) -> None:
    if name.endswith(".jsonl"):
        result.take(lambda: jan.chat_of(jan.Thread(), _lines(data), PurePosixPath(name).parent.name or name))
        return
    try:
        entries = (
            msgspec.json.decode(data, type=list[msgspec.Raw]) if data.lstrip()[:1] == b"[" else [msgspec.Raw(data)]
        )
    except (msgspec.MsgspecError, RecursionError):
        result.unreadable += 1
        return
    for entry in entries:
        _read_entry(name, entry, result)


def _read_entry(name: str, entry: msgspec.Raw, result: Found) -> None:
    """Read one chat, or our own file of several."""
    try:
        keys = msgspec.json.decode(entry, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        result.unreadable += 1
        return
    if "zhiyin" in keys:
        for raw in _list(keys.get("chats")):
            result.take(lambda raw=raw: zhiyin.chat_of(decode(raw, zhiyin.Exported)))  # type: ignore[misc]
    elif "messages" in keys and "mapping" not in keys:
        result.take(lambda: lm_studio.chat_of(decode(entry, lm_studio.Exported), name))
    else:
        for key, kind, chat_of in _SOURCES:
            if key in keys:
                result.take(lambda kind=kind, chat_of=chat_of: chat_of(decode(entry, kind)))  # type: ignore[misc]
                return


def _list(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    try:
        return [] if raw is None else msgspec.json.decode(raw, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return []
