"""The standard streams of a command: closed ones are replaced, text is UTF-8, control characters are shown, never obeyed."""

from __future__ import annotations

import codecs
import io
import locale
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast

from models.errors import ZhiyinError
from models.visible import visible_lines

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, with which it begins
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def prepare_streams() -> None:
    """Make the three streams usable, whatever the caller closed, and print Chinese also where the system's encoding cannot."""
    _open_descriptors()
    if sys.stdin is None:
        sys.stdin = _null("r")
    if sys.stdout is None:
        sys.stdout = cast(TextIO, _Closed())
    if sys.stderr is None:
        sys.stderr = _null("w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def show_control_characters() -> None:
    """Let no text reach a terminal as its command: names in files and a model's words are anybody's."""
    if sys.stdout.isatty():
        sys.stdout = _Shown(sys.stdout.buffer, "utf-8", "replace", line_buffering=True)
    if sys.stderr.isatty():
        sys.stderr = _Shown(sys.stderr.buffer, "utf-8", "replace", line_buffering=True)


def write_error_text(text: str) -> None:
    """Write to stderr; where it takes nothing any more, nobody is there to be told."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        redirect_to_null(2)


def redirect_to_null(descriptor: int) -> None:
    """Drop what a stream still holds and gets, so that Python does not try again at its end."""
    with suppress(OSError):
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, descriptor)
        os.close(null)


def decode_text(raw: bytes) -> str:
    """Return bytes of anybody's file or pipe as text: by their byte order mark, as UTF-8, or in the system's encoding."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            return raw.decode(encoding, errors="replace")
    for encoding in ("utf-8", locale.getpreferredencoding(False)):
        with suppress(UnicodeDecodeError, LookupError):
            return raw.decode(encoding)
    return raw.decode("utf-8", errors="replace")


class _Shown(io.TextIOWrapper):
    """A terminal on which control characters are escaped."""

    def write(self, text: str) -> int:
        super().write(visible_lines(text))
        return len(text)


class _Closed(io.StringIO):
    """Standard output that the caller closed: there is no result where nobody gets it."""

    def write(self, text: str) -> int:
        if text:
            raise ZhiyinError(
                "Standard output is closed, so that no result can be printed; run the command with it open."
            )
        return 0


def _open_descriptors() -> None:
    """Open descriptors that are closed on the null device: else the next file that is opened would be a standard stream."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _null(mode: str) -> TextIO:
    return cast(TextIO, Path(os.devnull).open(mode, encoding="utf-8"))
