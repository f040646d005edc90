"""A picture of how divergences are spread: their percentiles on a logarithmic scale, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from desktop_app.quality.figures import percentiles

_WIDTH, _HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 24, 48, 52
_STEPS = 200
_LEAST = 1e-8
"""Nats; less is rounding."""
_STYLE = "text{font:13px sans-serif;fill:#333}.grid{stroke:#ddd}.line{fill:none;stroke:#2b6cb0;stroke-width:2}"


def plot_svg(divergences: Sequence[float], title: str) -> str:
    """Return a picture: the share of tokens from left to right, the divergence that they stay below from bottom to top."""
    values = [max(_LEAST, value) for value in percentiles(divergences, _STEPS)]
    low, high = math.floor(math.log10(values[0])), math.ceil(math.log10(values[-1]))
    high = max(high, low + 1)

    def across(share: float) -> float:
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def up(value: float) -> float:
        return _HEIGHT - _BOTTOM - (math.log10(value) - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<text x="{_LEFT}" y="28">{escape(title)}</text>']
    for power in range(low, high + 1):
        y = up(10.0**power)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">1e{power}</text>')
    for tenth in range(0, 11, 2):
        x = across(tenth / 10)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle">{tenth * 10} %</text>')
    parts.append(
        f'<text x="{across(0.5):.0f}" y="{_HEIGHT - 10}" text-anchor="middle">tokens with at most this divergence</text>'
    )
    parts.append(
        f'<text x="16" y="{_HEIGHT / 2:.0f}" transform="rotate(-90 16 {_HEIGHT / 2:.0f})" text-anchor="middle">'
    )
    parts.append("KL divergence, nats</text>")
    points = " ".join(f"{across(step / _STEPS):.1f},{up(value):.1f}" for step, value in enumerate(values))
    parts.append(f'<polyline class="line" points="{points}"/>')
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    background = '<rect width="100%" height="100%" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{_STYLE}</style>{background}{"".join(parts)}</svg>\n'
