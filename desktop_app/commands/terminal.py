"""Output of the commands: facts on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, ClassVar, NoReturn

from desktop_app.commands.streams import write_error_text
from models.visible import visible, visible_lines

INTERRUPTED = 130
"""The exit code after Ctrl+C, as shells have it."""

_ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_BAR = 24
_WIDE = 60
"""Columns from which on there is room for the bar."""
_USUAL = 80
_MINUTE = 60.0
_SURROGATE = re.compile("[\ud800-\udfff]")


def end_in_order() -> None:
    """Let `kill` and a closed terminal end this process as Ctrl+C does: what is under way clears up after itself."""
    if threading.current_thread() is threading.main_thread():
        for number in _ENDINGS:
            if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
                signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # a second one would interrupt the clearing up
    raise SystemExit(128 + number)


def print_json(value: Any) -> None:
    """Print one JSON document on stdout, as RFC 8259 has it: what is no number there (NaN, infinity) is null."""
    value = _finite(value)
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str, allow_nan=False)
    # A name's bytes that are no UTF-8 can only be written escaped.
    print(text if not _SURROGATE.search(text) else json.dumps(value, indent=2, default=str, allow_nan=False))


def _finite(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()  # NumPy's numbers and arrays
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(rows: Iterable[Sequence[str]]) -> None:
    """Print rows on stdout with aligned columns, names and values in them escaped; the last column is not padded."""
    table = [[visible(cell) for cell in row] for row in rows]
    if not table:
        return
    widths = [max(columns_of(row[column]) for row in table) for column in range(len(table[0]) - 1)]
    for row in table:
        print("  ".join([*(_padded(cell, width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1]]))


def say(text: str) -> None:
    """Tell the user something on stderr."""
    write_error_text(visible_lines(text) + "\n")


def counted(count: int, thing: str) -> str:
    """Return a number of things in English: 1 file, 2 files."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def human_bytes(count: float) -> str:
    """Return a size as people write it: 4.1 GB (decimal units, as shops and file managers use them)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: Chinese characters take two."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth  # takes a tenth of a second

    width = wcswidth(text)
    return width if width >= 0 else 2 * len(text)  # it holds something that the library cannot tell


def cut_to_columns(text: str, columns: int) -> str:
    """Return a text of one line that is no wider than a terminal; where something is left out, it ends in an ellipsis."""
    if columns_of(text) <= columns:
        return text
    text = text[:columns]
    while text and columns_of(text) >= columns:
        text = text[:-1]
    return text + "…"


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - columns_of(text))


class ProgressLine:
    """One line on stderr, no wider than the terminal, that is drawn over and over; elsewhere a line a minute."""

    _said: ClassVar[float | None] = None
    """When the last line was printed where there is no terminal, or the first one could have been."""

    def __init__(self) -> None:
        """Find out where it is drawn."""
        self._on = sys.stderr.isatty()
        self._drawn = 0
        if ProgressLine._said is None:
            ProgressLine._said = time.monotonic()

    def show(self, part: float, text: str) -> None:
        """Draw the bar at `part` (0 to 1)."""
        part = max(0.0, min(1.0, part))
        line = f"{part:4.0%}  {visible(text)}"
        if self._on:
            self._draw(line, part)
        elif time.monotonic() - (ProgressLine._said or 0) >= _MINUTE:
            ProgressLine._said = time.monotonic()
            say(line.strip())

    def clear(self) -> None:
        """Take the line away."""
        if self._on and self._drawn:
            self._write("\r" + " " * min(self._drawn, _columns() - 1) + "\r")
            self._drawn = 0

    def _draw(self, line: str, part: float) -> None:
        columns = _columns() - 1  # in the last one a terminal may go on to the next line
        if columns >= _WIDE:
            done = round(part * _BAR)
            line = f"{'█' * done}{'░' * (_BAR - done)} {line}"
        line = cut_to_columns(line, columns)
        width = columns_of(line)
        self._write("\r" + line + " " * (min(self._drawn, columns) - width))
        self._drawn = width

    def _write(self, text: str) -> None:
        """Write past the stream that escapes control characters; nobody is told where the terminal is gone."""
        with suppress(OSError, ValueError):
            sys.stderr.flush()
            sys.stderr.buffer.write(text.encode())
            sys.stderr.buffer.flush()


def _columns() -> int:
    """Return the width of the terminal behind stderr, which the user may change at any time."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL
    except (OSError, ValueError):
        return _USUAL
