"""Fetches one file over HTTP: goes on where an earlier run stopped, checks the digest, gives the name last.

huggingface-hub 2.x throws a partial file away whenever a download fails (`_download_to_tmp_and_move`) and checks sizes only, so
the transfer is here. It is plain HTTP, which mirrors serve too, in ranges: the Hub's content network refuses answers above 50 GB.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from converter.hub.connection import Answer, Connection, Place
from converter.hub.network_errors import ELSEWHERE, BadAnswer, Refused, Unreachable
from converter.hub.parts import PART, PartsInOrder
from converter.hub.selection import RemoteFile
from models.errors import BadFile, ZhiyinError
from models.sentence import Sentence

_CHUNK = 1024 * 1024
_SEVERAL_FROM = 2 * PART
"""Bytes that are missing: with less, several connections bring nothing."""
_RANGE = 8 * 1024**3
"""Most bytes of one answer."""
_ATTEMPTS = 5
"""In a row that bring next to nothing."""
_PROGRESS = 16 * 1024
"""Bytes that make an attempt a good one: with less, a server could hold a download for ever."""
PAUSE = 1.0
"""Seconds before the first new attempt; each further one waits twice as long."""
MOST_PAUSE = 900.0
"""Seconds that a host may ask to wait; where it wants more, the download ends and says so."""
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")


class Interrupted(ZhiyinError):
    """The connection was lost for good; what came is kept."""


Again = Callable[[Sentence, float], None]
"""Hears why a request failed and in how many seconds it is made again, from any thread."""


def _unheard(reason: Sentence, seconds: float) -> None:
    """Nobody wants to hear of attempts."""


def digest_of(path: Path, file: RemoteFile, check: Callable[[], None]) -> str:
    """Return the digest of a local file, of the kind that the Hub gave for it; `check` may raise to stop."""
    digest = _digest(file)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            check()
            digest.update(chunk)
    return str(digest.hexdigest())


def partial_path(target: Path, file: RemoteFile) -> Path:
    """Return where the bytes of an unfinished file are: another content has another name."""
    return target.with_name(f".{target.name}.{file.digest[:16]}.part")


def fetch(
    connection: Connection,
    url: str,
    file: RemoteFile,
    target: Path,
    count: Callable[[int], None],
    check: Callable[[], None],
    again: Again = _unheard,
) -> None:
    """Fetch a file and give it its name when its digest is right.

    Args:
        connection: to its host.
        url: where it is.
        file: what it must be.
        target: its path.
        count: told of bytes that came, about ten times a second while none come (0); a negative number when some must come again.
        check: called between chunks and while waiting; raises to stop, which keeps what came.
        again: hears of failures that are followed by another attempt.

    Raises:
        Interrupted: the server could not be reached, several times in a row.
        BadFile: the content is not what the Hub lists.
        BadAnswer: it is another part of the file than asked for.
        Refused: the server says no.
        OSError: the disk is full, or cannot be written.
    """
    partial = partial_path(target, file)
    transfer = _Transfer(connection, url, file, partial, count, check, again)
    try:
        transfer.run()
    finally:
        with suppress(OSError):
            if file.size and not partial.stat().st_size:
                partial.unlink()  # nothing came
    if transfer.digest.hexdigest() != file.digest:
        partial.unlink()
        count(-file.size)
        raise BadFile(
            "{name} came with another content than the Hub lists (its checksum differs) and was thrown away; run the same "
            "command again, or choose another --endpoint.",
            name=target.name,
        )
    partial.replace(target)


def read_small(connection: Connection, url: str, file: RemoteFile, most: int) -> bytes:
    """Return the bytes of a small file, which is not kept; `most` are the bytes that such a file may have.

    Raises:
        BadFile: it is larger than any configuration, or the content is not what the Hub lists.
        Refused: the server says no.
        Unreachable: it cannot be reached.
    """
    if file.size > most:
        raise BadFile(
            "{name} is larger than {count} MB, which is none; choose another repository.",
            name=file.name,
            count=most // 1024**2,
        )
    data = connection.read(url, file.size).data
    digest = _digest(file)
    digest.update(data)
    if digest.hexdigest() != file.digest:
        raise BadFile(
            "{name} came with another content than the Hub lists; try again, or choose another --endpoint.",
            name=file.name,
        )
    return data


def read_part(connection: Connection, url: str, file: RemoteFile, first: int, last: int) -> bytes:
    """Return some bytes of a file, the last one included; they are not verified before the whole file is here.

    Raises:
        BadFile: the server sends whole files only.
        BadAnswer: it sends another part.
        Refused: it says no.
        Unreachable: it cannot be reached.
    """

    def ask() -> Answer:
        with connection.stream(url, {"Range": f"bytes={first}-{last}"}) as answer:
            if not _is_part(answer):
                raise BadFile(
                    "{host} sends whole files only, no beginnings of them; fetch the model first (zhiyin pull), then "
                    "ask again with its name.",
                    host=urlsplit(url).hostname,
                )
            _check_part(answer, file, first, last)
            answer.take_all(last + 1 - first)
            return answer

    answer = connection.patiently(ask)
    if len(answer.data) <= last - first:
        raise _other_part(file)
    return answer.data


class _Transfer:
    """One file on its way."""

    def __init__(
        self,
        connection: Connection,
        url: str,
        file: RemoteFile,
        partial: Path,
        count: Callable[[int], None],
        check: Callable[[], None],
        again: Again,
    ) -> None:
        self._connection = connection
        self._url = url
        self._file = file
        self._partial = partial
        self._count = count
        self._check = check
        self._again = again
        self._have = 0
        self.digest = _digest(file)

    def run(self) -> None:
        """Fetch until all bytes are there, in as many attempts as it takes while there is progress."""
        with self._partial.open("a+b") as stream:
            self._read_what_is_there(stream)
            if self._file.size - self._have >= _SEVERAL_FROM:
                self._fetch_parts(stream)
            patience = _Patience(self._file, self._again)
            while self._have < self._file.size:
                before = self._have
                try:
                    self._request(stream)
                except Unreachable as error:
                    self._wait(patience.pause_after(error, self._have - before, self._have))
            stream.flush()
            os.fsync(stream.fileno())

    def _fetch_parts(self, stream: Any) -> None:
        """Fetch by several connections what is missing; where the host sends whole files only, nothing."""
        source = _PartSource(self._connection, self._url, self._file, self._again)
        parts = PartsInOrder(source.fetch, self._have, self._file.size, self._came)
        try:
            for data in parts:
                stream.write(data)
                self.digest.update(data)
                self._have += len(data)
        except _WholeFileOnly:
            pass
        finally:
            if parts.lost:
                self._count(-parts.lost)

    def _came(self, count: int) -> None:
        self._count(count)
        self._check()  # after it: what came is given back where it is lost

    def _read_what_is_there(self, stream: Any) -> None:
        stream.seek(0)
        while chunk := stream.read(_CHUNK):
            self._check()
            self.digest.update(chunk)
            self._have += len(chunk)
        if self._have > self._file.size:
            self._start_again(stream)

    def _request(self, stream: Any) -> None:
        """Ask for the bytes that are missing and write what comes."""
        last = min(self._have + _RANGE, self._file.size) - 1
        with self._connection.stream(self._url, {"Range": f"bytes={self._have}-{last}"}, self._tick) as answer:
            if _is_part(answer):
                _check_part(answer, self._file, self._have, last)
            else:
                last = self._file.size - 1  # the server sends the whole file, from its start
                self._start_again(stream)
            for chunk in answer.pieces():
                self._check()
                piece = chunk[: last + 1 - self._have]
                if not piece:
                    break  # whatever else a server sends is not of this file
                stream.write(piece)
                self.digest.update(piece)
                self._have += len(piece)
                self._count(len(piece))
        if self._have <= last:
            raise _closed_early(self._url)

    def _start_again(self, stream: Any) -> None:
        stream.seek(0)
        stream.truncate()
        self._count(-self._have)
        self._have = 0
        self.digest = _digest(self._file)

    def _tick(self) -> None:
        """Say that nothing comes, and hear whether to stop."""
        self._check()
        self._count(0)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._tick()
            time.sleep(min(left, 0.1))


class _Patience:
    """How often a file, or a part of one, is asked for again."""

    def __init__(self, file: RemoteFile, again: Again) -> None:
        self._file = file
        self._again = again
        self._failures = 0

    def pause_after(self, error: Unreachable, progress: int, have: int) -> float:
        """Return the seconds to wait before the next attempt.

        Args:
            error: what ended the last one.
            progress: bytes that it brought.
            have: bytes of the file that are here.

        Raises:
            Interrupted: that was one too many.
        """
        weight = 2 if error.code == "stalled" else 1  # which took its time already
        self._failures = 0 if progress >= _PROGRESS else self._failures + weight
        asked = float(error.values.get("wait", 0))
        if self._failures >= _ATTEMPTS or asked > MOST_PAUSE:
            raise Interrupted(
                "{name} stopped at {have} of {size} bytes ({reason}); what came is kept: run the same command again and it goes "
                "on from there.",
                code=error.code,
                name=self._file.name,
                have=have,
                size=self._file.size,
                reason=error.values["reason"],
            ) from error
        pause = max(PAUSE * 2.0**self._failures, asked)
        self._again(error.values["reason"], pause)
        return pause


class _WholeFileOnly(Exception):
    """The host sends no parts."""


class _Unwanted(Exception):
    """Nobody waits for the part any more."""


class _PartSource:
    """Fetches parts of one file, on any thread; where the host redirects to is asked once for all of them."""

    def __init__(self, connection: Connection, url: str, file: RemoteFile, again: Again) -> None:
        self._connection = connection
        self._url = url
        self._file = file
        self._again = again
        self._place = Place(url)

    def fetch(self, first: int, into: memoryview, count: Callable[[int], None], stop: threading.Event) -> None:
        """Fetch the bytes from `first` on, as many as fit; what came is kept between attempts."""
        have, patience = 0, _Patience(self._file, self._again)
        while have < len(into):
            before = have
            try:
                for piece in self._request(first + have, first + len(into), stop):
                    into[have : have + len(piece)] = piece
                    have += len(piece)
                    count(len(piece))
            except Unreachable as error:
                pause = patience.pause_after(error, have - before, first + have)
                if stop.wait(pause):
                    raise _Unwanted from error

    def _request(self, start: int, end: int, stop: threading.Event) -> Iterator[bytes]:
        """Give the bytes from `start` to before `end` as they come; none where the place has to be asked for again."""

        def tick() -> None:
            if stop.is_set():
                raise _Unwanted

        place, left = self._place, end - start
        try:
            with self._connection.stream(place, {"Range": f"bytes={start}-{end - 1}"}, tick) as answer:
                if not _is_part(answer):
                    raise _WholeFileOnly
                _check_part(answer, self._file, start, end - 1)
                self._place = answer.place
                for chunk in answer.pieces():
                    tick()
                    piece = chunk[:left]
                    if not piece:
                        break
                    left -= len(piece)
                    yield piece
        except Refused:
            if place.url == self._url:
                raise
            self._place = Place(self._url)  # what the host redirected to is good for some minutes only
            return
        if left:
            raise _closed_early(self._url)


def _closed_early(url: str) -> Unreachable:
    return Unreachable(
        "{host} sends less than it says; {elsewhere}.",
        reason=Sentence("the connection was closed early"),
        host=urlsplit(url).hostname,
        elsewhere=ELSEWHERE,
    )


def _digest(file: RemoteFile) -> Any:
    """Return the hash that the Hub lists: SHA-256 for large files, git's own for small ones."""
    if len(file.digest) == hashlib.sha256().digest_size * 2:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def _is_part(answer: Answer) -> bool:
    """Tell whether an answer is a part of a file; ModelScope sends parts with status 200."""
    return answer.status == _PARTIAL_CONTENT or bool(answer.header("Content-Range"))


def _check_part(answer: Answer, file: RemoteFile, first: int, last: int) -> None:
    """Raise `BadAnswer` where an answer is not the part that was asked for."""
    match = _CONTENT_RANGE.fullmatch(answer.header("Content-Range").strip())
    if match is None or int(match[1]) != first or int(match[2]) > last or match[3] not in ("*", str(file.size)):
        raise _other_part(file)


def _other_part(file: RemoteFile) -> BadAnswer:
    return BadAnswer(
        "{name} does not come as it was asked for: the server sends another part of it; {elsewhere}.",
        name=file.name,
        elsewhere=ELSEWHERE,
    )


_PARTIAL_CONTENT = 206
