"""What the commands print: facts on stdout, everything else on stderr."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Any, NoReturn

from models.visible import visible

INTERRUPTED = 130
"""The exit code after Ctrl+C, as shells have it."""

_ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_BAR = 24
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
    """Print one JSON document on stdout."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    # A name's bytes that are no UTF-8 can only be written escaped.
    print(text if not _SURROGATE.search(text) else json.dumps(value, indent=2, default=str))


def print_table(rows: Iterable[Sequence[str]]) -> None:
    """Print rows on stdout with aligned columns, names and values in them escaped; the last column is not padded."""
    table = [[visible(cell) for cell in row] for row in rows]
    if not table:
        return
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]) - 1)]
    for row in table:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1]]))


def say(text: str) -> None:
    """Tell the user something on stderr."""
    print(text, file=sys.stderr)


def human_bytes(count: float) -> str:
    """Return a size as people write it: 4.1 GB (decimal units, as shops and file managers use them)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


class ProgressLine:
    """One line on stderr that is drawn over and over; silent when stderr is not a terminal."""

    def __init__(self) -> None:
        """Find out whether there is anybody to see it."""
        self._on = sys.stderr.isatty()
        self._width = 0

    def show(self, part: float, text: str) -> None:
        """Draw the bar at `part` (0 to 1)."""
        if self._on:
            done = round(max(0.0, min(1.0, part)) * _BAR)
            self._draw(f"{'█' * done}{'░' * (_BAR - done)} {part:4.0%}  {text}")

    def clear(self) -> None:
        """Take the line away."""
        if self._on and self._width:
            self._draw("")
            sys.stderr.write("\r")
            sys.stderr.flush()

    def _draw(self, line: str) -> None:
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)
