"""A file on a host, read like one that is here: blocks are fetched as they are needed, and kept."""

from __future__ import annotations

from collections.abc import Sequence

from converter.hub.remote_headers import ReadPart
from converter.hub.selection import RemoteFile
from models.errors import BadFile

_BLOCK = 1 << 16
_MOST_FETCHED = 1 << 27
"""Bytes of one file: more than any header has."""


class RemoteStream:
    """A remote file, fetched in blocks as it is read."""

    def __init__(self, file: RemoteFile, read: ReadPart) -> None:
        """Fetch nothing yet."""
        self._file, self._fetch = file, read
        self._blocks: dict[int, bytes] = {}
        self._place = 0

    def at(self, start: int, count: int) -> bytes:
        """Return so many bytes from a place on.

        Raises:
            BadFile: together more than any header has.
        """
        stop = min(start + count, self._file.size)
        numbers = range(start // _BLOCK, -(-stop // _BLOCK))
        self._fetch_blocks([number for number in numbers if number not in self._blocks])
        data = b"".join(self._blocks[number] for number in numbers)
        skipped = start - numbers.start * _BLOCK
        return data[skipped : skipped + max(0, stop - start)]

    def _fetch_blocks(self, numbers: Sequence[int]) -> None:
        """Fetch all blocks from the first to the last one at once."""
        if not numbers:
            return
        if (len(self._blocks) + len(numbers)) * _BLOCK > _MOST_FETCHED:
            raise BadFile("{path} has an absurdly long header.", path=self._file.name)
        first, stop = numbers[0] * _BLOCK, min((numbers[-1] + 1) * _BLOCK, self._file.size)
        data = self._fetch(self._file, first, stop - 1)
        for number in range(numbers[0], numbers[-1] + 1):
            start = number * _BLOCK - first
            self._blocks[number] = data[start : start + _BLOCK]

    def read(self, size: int = -1) -> bytes:
        """Return bytes from the position on."""
        data = self.at(self._place, self._file.size if size < 0 else size)
        self._place += len(data)
        return data

    def readline(self, size: int) -> bytes:
        """Return a line from the position on, of so many bytes at most."""
        stop, data = self._place, b""
        while len(data) < size and stop < self._file.size and not data.endswith(b"\n"):
            step = min(_BLOCK - stop % _BLOCK, size - len(data))
            line, newline, _ = self.at(stop, step).partition(b"\n")
            data, stop = data + line + newline, stop + len(line) + len(newline)
        self._place = stop
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        """Set the position."""
        self._place = place + (0, self._place, self._file.size)[whence]
        return self._place

    def tell(self) -> int:
        """Return the position."""
        return self._place

    def seekable(self) -> bool:
        """Tell that it has positions."""
        return True

    def close(self) -> None:
        """Nothing is open."""
