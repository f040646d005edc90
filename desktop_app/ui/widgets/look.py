"""Text size and density of the window."""

from __future__ import annotations

from dataclasses import dataclass

SIZES = (80, 90, 100, 110, 125, 150, 175, 200)
"""Percent of the system's font."""
WIDTHS = {"normal": 780, "wide": 1080, "full": 16_777_215}
"""The widest column of messages, in pixels: longer lines are hard to read; the last is Qt's limit."""


@dataclass(frozen=True)
class Look:
    """Text size and density."""

    text_size: int = 100
    """Percent of the system's font."""
    compact: bool = False
    """Less room between lines, messages and rows."""

    @property
    def line_height(self) -> float:
        """Of the font's size: as high as lines with Chinese need, so that all lines are the same."""
        return 1.4 if self.compact else 1.65

    @property
    def message_gap(self) -> int:
        """Pixels above and below a message."""
        return 2 if self.compact else 6

    @property
    def paragraph_gap(self) -> int:
        """Pixels between two paragraphs."""
        return 6 if self.compact else 10

    @property
    def row_padding(self) -> int:
        """Pixels above and below a row of a list."""
        return 3 if self.compact else 7


def larger(percent: int, steps: int) -> int:
    """Return the text size that is some steps further, down where negative, at the end the last one."""
    nearest = min(range(len(SIZES)), key=lambda index: abs(SIZES[index] - percent))
    return SIZES[max(0, min(len(SIZES) - 1, nearest + steps))]


_current = Look()


def current() -> Look:
    """Return the look in use."""
    return _current


def set_current(look: Look) -> None:
    """Set what `current` returns."""
    global _current  # noqa: PLW0603  (one application, one look)
    _current = look
