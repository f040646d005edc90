"""Keys and values of chats on disk: files of up to 256 tokens, each named by all that was read up to its end.

A turn adds files and changes none, so that a long chat is not written again and again. Chats that begin alike (instructions,
tools, a document) find the same files. A file belongs to the chat whose folder it lies in. It is a cache: what is damaged, or was
written with another model, is passed over, and those tokens are read again.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import numpy as np

from converter.atomic_write import write_file
from desktop_app.engine.state.cells import Assembly, Cells, layout_from
from desktop_app.sequences import common_prefix

BLOCK = 256
"""Tokens of a file; the last one of a chat has fewer."""
SUFFIX = ".kv"
_DIGEST = 16
_HEAD = struct.Struct(f"<8s{_DIGEST}s{_DIGEST}sIIII")
"""Magic, what it follows, what it ends in, its first token's place, its tokens, the layout's bytes, the checksum of the rest."""
_MAGIC = b"zhiyin01"
_LARGEST_LAYOUT = 1 << 16


@dataclass(frozen=True)
class Block:
    """A file that holds some of a prompt's tokens."""

    path: Path
    start: int
    used: int
    """Its tokens that the prompt has too."""


def write(folder: Path, identity: str, tokens: Sequence[int], cells: Cells) -> None:
    """Write what no chat's file holds yet of a sequence into a chat's folder.

    Args:
        folder: of the chat.
        identity: of the loaded model.
        tokens: what was read.
        cells: what is remembered of them.

    Raises:
        OSError: it cannot be written.
    """
    known = _by_end(folder.parent)
    written = []
    for start, end, before, after in _chain(identity, tokens):
        path = known.get(after)
        if path is None:
            path = folder / _name(start, before, after)
            _write_block(path, start, tokens[start:end], before, after, cells)
        written.append(path)
    _touch(written)
    _remove_outgrown(folder, identity, tokens)


def find(states: Path, identity: str, prompt: Sequence[int]) -> list[Block]:
    """Return the files in chats' folders that hold the beginning of a prompt, in their order."""
    following = _by_beginning(states)
    chain: list[Block] = []
    at, before = 0, _root(identity)
    while at < len(prompt):
        block, after = _longest(following.get(before, ()), at, prompt)
        if block is None:
            break
        chain.append(block)
        at, before = at + block.used, after
        if not after:
            break
    return chain


def assembled(chain: Sequence[Block], identity: str, sequence: int, streams: int) -> Assembly | None:
    """Return the state of what `find` found; None: a file is damaged, and removed.

    Args:
        chain: files, at least one.
        identity: as `find` was given it.
        sequence: into which the state goes.
        streams: of the context.
    """
    state: Assembly | None = None
    before = _root(identity)
    for block in chain:
        try:
            with block.path.open("rb") as file:
                head = _Head.of(file)
                if state is None:
                    layout = layout_from(head.layout)
                    state = None if layout is None else Assembly(layout, _end(chain), sequence, streams)
                fits = state is not None and head.fits(block, before, state) and _take(file, head, block, state)
        except (OSError, ValueError, struct.error):
            fits = False
        if not fits:
            with suppress(OSError):
                block.path.unlink()
            return None
        before = head.after
    _touch([block.path for block in chain])
    return state


def _end(chain: Sequence[Block]) -> int:
    return chain[-1].start + chain[-1].used


@dataclass(frozen=True)
class _Head:
    """The header in front of the rows."""

    before: bytes
    after: bytes
    start: int
    count: int
    checksum: int
    layout: bytes
    tokens: bytes

    @classmethod
    def of(cls, file: BinaryIO) -> _Head:
        """Read it; raises `ValueError` or `struct.error` where it is none."""
        magic, before, after, start, count, size, checksum = _HEAD.unpack(file.read(_HEAD.size))
        if magic != _MAGIC or not 0 < count <= BLOCK or size > _LARGEST_LAYOUT:
            raise ValueError("no file of a chat")
        return cls(before, after, start, count, checksum, file.read(size), file.read(4 * count))

    def fits(self, block: Block, before: bytes, state: Assembly) -> bool:
        """Tell whether the rows are those that are looked for."""
        place = self.before == before and self.start == block.start and self.count >= block.used
        return place and self.layout == state.layout.stored()


def _take(file: BinaryIO, head: _Head, block: Block, state: Assembly) -> bool:
    """Read a file's rows into their places; return whether they are whole."""
    checksum = zlib.crc32(head.layout + head.tokens)
    for target in state.rows:
        place = target[block.start : block.start + block.used]
        rows = place if block.used == head.count else np.empty((head.count, target.shape[1]), np.uint8)
        if file.readinto(rows.data) != rows.nbytes:  # type: ignore[attr-defined]
            return False
        checksum = zlib.crc32(rows.data, checksum)
        if rows is not place:
            place[:] = rows[: block.used]
    return checksum == head.checksum and not file.read(1)


def _write_block(path: Path, start: int, tokens: Sequence[int], before: bytes, after: bytes, cells: Cells) -> None:
    layout, ids = cells.layout.stored(), np.array(tokens, np.int32).tobytes()
    rows = [np.ascontiguousarray(part).data for part in cells.part(start, start + len(tokens))]
    checksum = zlib.crc32(layout + ids)
    for part in rows:
        checksum = zlib.crc32(part, checksum)
    head = _HEAD.pack(_MAGIC, before, after, start, len(tokens), len(layout), checksum)

    def content(file: BinaryIO) -> None:
        file.write(head + layout + ids)
        file.writelines(rows)

    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, content, private=True)


def _longest(paths: Sequence[Path], at: int, prompt: Sequence[int]) -> tuple[Block | None, bytes]:
    """Return the file that holds most of a prompt from a place on, and what its end is called; b"": it is not used whole."""
    best: Block | None = None
    ends = b""
    for path in paths:
        tokens = _tokens_of(path, at)
        used = common_prefix(tokens, prompt[at : at + len(tokens)])
        if used > (best.used if best is not None else 0):
            best = Block(path, at, used)
            ends = _ends(path)[1] if used == len(tokens) else b""
    return best, ends


def _tokens_of(path: Path, at: int) -> list[int]:
    """Return the tokens of a file that begins at a place; [] where it is another file than its name says."""
    try:
        with path.open("rb") as file:
            head = _Head.of(file)
    except (OSError, ValueError, struct.error):
        return []
    ids: list[int] = np.frombuffer(head.tokens[: len(head.tokens) // 4 * 4], np.int32).tolist()
    as_named = head.start == at and len(ids) == head.count and (head.before, head.after) == _ends(path)
    return ids if as_named and _after(head.before, ids) == head.after else []


def _remove_outgrown(folder: Path, identity: str, tokens: Sequence[int]) -> None:
    """Remove a chat's files whose tokens a longer one has now."""
    following = _by_beginning(folder.parent)
    for start, end, before, after in _chain(identity, tokens):
        for path in following.get(before, ()):
            if path.parent == folder and _ends(path)[1] != after:
                shorter = _tokens_of(path, start)
                if shorter and len(shorter) < end - start and list(tokens[start : start + len(shorter)]) == shorter:
                    with suppress(OSError):
                        path.unlink()


def _chain(identity: str, tokens: Sequence[int]) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Yield the first and the last place of each file of a sequence, and the names of what is before it and of its end."""
    before = _root(identity)
    for start in range(0, len(tokens), BLOCK):
        end = min(start + BLOCK, len(tokens))
        after = _after(before, tokens[start:end])
        yield start, end, before, after
        before = after


def _root(identity: str) -> bytes:
    return blake2b(identity.encode(), digest_size=_DIGEST).digest()


def _after(before: bytes, tokens: Sequence[int]) -> bytes:
    return blake2b(before + np.array(tokens, np.int32).tobytes(), digest_size=_DIGEST).digest()


def _name(start: int, before: bytes, after: bytes) -> str:
    return f"{start:08d}-{before.hex()}-{after.hex()}{SUFFIX}"


def _ends(path: Path) -> tuple[bytes, bytes]:
    """Return what a file's name says that it follows, and that it ends in; empty where it is no such name."""
    parts = path.stem.split("-")
    try:
        return (bytes.fromhex(parts[1]), bytes.fromhex(parts[2])) if len(parts) == 3 else (b"", b"")
    except ValueError:
        return b"", b""


def files(states: Path) -> Iterator[Path]:
    """Yield all files of all chats."""
    with suppress(OSError):
        for folder in os.scandir(states):
            if folder.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    yield from (Path(file.path) for file in os.scandir(folder.path) if file.name.endswith(SUFFIX))


def _by_beginning(states: Path) -> dict[bytes, list[Path]]:
    by_beginning: dict[bytes, list[Path]] = {}
    for path in files(states):
        by_beginning.setdefault(_ends(path)[0], []).append(path)
    return by_beginning


def _by_end(states: Path) -> dict[bytes, Path]:
    return {_ends(path)[1]: path for path in files(states)}


def _touch(paths: Sequence[Path]) -> None:
    """Note that files were used: the others make room first."""
    now = time.time()  # one moment for all: of files used together the last ones go first
    for path in paths:
        with suppress(OSError):
            os.utime(path, (now, now))
