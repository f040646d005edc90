"""Pictures of measurements as SVG, without a library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from converter.atomic_write import write_file
from models.system_errors import OTHER_PLACE, cannot_write

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 48, 52
_COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1")
_STYLE = "text{font:13px sans-serif;fill:#333}.grid{stroke:#ddd}.line{fill:none;stroke-width:2}"
_KEY_WIDTH = 150


def write_picture(path: Path, picture: str) -> None:
    """Write a picture whole or not at all; raises `ZhiyinError`."""
    data = picture.encode()
    try:
        write_file(path, lambda file: file.write(data))
    except OSError as error:
        raise cannot_write(path, error, OTHER_PLACE) from error


Ticks = Sequence[tuple[float, str]]
"""Places from 0 to 1 on an axis, with what is written there."""


@dataclass(frozen=True)
class Line:
    """Points of a picture, from 0 to 1 in both directions."""

    name: str
    """In the key; "": there is none."""
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """A picture with two axes."""

    title: str
    across: str
    up: str
    across_ticks: Ticks
    up_ticks: Ticks
    lines: Sequence[Line]


def svg(*panels: Panel) -> str:
    """Return panels below each other as one picture."""
    height = HEIGHT * len(panels)
    parts = [
        f'<g transform="translate(0 {HEIGHT * number})">{_drawn(panel)}</g>' for number, panel in enumerate(panels)
    ]
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    background = '<rect width="100%" height="100%" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{_STYLE}</style>{background}{"".join(parts)}</svg>\n'


def _across(place: float) -> float:
    return LEFT + place * (WIDTH - LEFT - RIGHT)


def _up(place: float) -> float:
    return HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)


def _drawn(panel: Panel) -> str:
    parts = [f'<text x="{LEFT}" y="22">{escape(panel.title)}</text>']
    for place, text in panel.up_ticks:
        y = _up(place)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>')
    for place, text in panel.across_ticks:
        x = _across(place)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{escape(text)}</text>')
    parts.append(f'<text x="{_across(0.5):.0f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(panel.across)}</text>')
    middle = HEIGHT / 2
    turned = f'transform="rotate(-90 16 {middle:.0f})" text-anchor="middle"'
    parts.append(f'<text x="16" y="{middle:.0f}" {turned}>{escape(panel.up)}</text>')
    parts += [_line(number, line) for number, line in enumerate(panel.lines)]
    return "".join(parts)


def _line(number: int, line: Line) -> str:
    colour = _COLOURS[number % len(_COLOURS)]
    points = " ".join(f"{_across(x):.1f},{_up(y):.1f}" for x, y in line.points)
    drawn = f'<polyline class="line" stroke="{colour}" points="{points}"/>'
    if line.name:
        x = LEFT + number * _KEY_WIDTH
        drawn += f'<line x1="{x}" x2="{x + 20}" y1="{TOP - 12}" y2="{TOP - 12}" stroke="{colour}" stroke-width="2"/>'
        drawn += f'<text x="{x + 26}" y="{TOP - 8}">{escape(line.name)}</text>'
    return drawn


def linear_ticks(largest: float) -> tuple[float, Ticks]:
    """Return the end of an axis from 0 to at least `largest`, and its ticks at round numbers."""
    power = 10.0 ** math.floor(math.log10(largest)) if largest > 0 else 1.0
    step = next(power * part for part in (0.2, 0.5, 1, 2) if largest <= 6 * power * part)
    count = max(1, math.ceil(largest / step))
    return step * count, [(number / count, f"{step * number:g}") for number in range(count + 1)]
