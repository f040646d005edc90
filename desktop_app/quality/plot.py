"""A picture of how divergences are spread: their percentiles on a logarithmic scale, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from desktop_app.plots import Line, Panel, svg
from desktop_app.quality.figures import percentiles

_STEPS = 200
_LEAST = 1e-8
"""Nats; less is rounding."""


def plot_svg(divergences: Sequence[float], title: str) -> str:
    """Return a picture: the share of tokens from left to right, the divergence that they stay below from bottom to top."""
    values = [max(_LEAST, value) for value in percentiles(divergences, _STEPS)]
    low, high = math.floor(math.log10(values[0])), math.ceil(math.log10(values[-1]))
    high = max(high, low + 1)

    def up(value: float) -> float:
        return (math.log10(value) - low) / (high - low)

    line = Line("", [(step / _STEPS, up(value)) for step, value in enumerate(values)])
    across = [(tenth / 10, f"{tenth * 10} %") for tenth in range(0, 11, 2)]
    ticks = [(up(10.0**power), f"1e{power}") for power in range(low, high + 1)]
    return svg(Panel(title, "tokens with at most this divergence", "KL divergence, nats", across, ticks, [line]))
