"""Statistics over tokens: means, percentiles and their confidence intervals.

Definitions: tools/perplexity of llama.cpp. Intervals are those of 95 %: 1.96 of llama.cpp's standard errors around a mean, and
between two order statistics for a percentile (the binomial distribution in its normal approximation).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from desktop_app.engine.results import Divergences

_WIDTH = 1.96
"""Standard errors on either side: 95 %."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Quality:
    """How well a model predicts a text, and how near it is to its reference; None: there was no reference."""

    tokens: int
    """Tokens that were scored."""
    perplexity: float
    perplexity_reference: float | None
    kl_mean: float | None
    """Kullback-Leibler divergence of the next-token distributions from the reference's, in nats."""
    kl_median: float | None
    kl_99: float | None
    kl_max: float | None
    same_top: float | None
    """Share of the tokens, 0 to 1, at which both take the same next token to be the most probable one."""
    intervals: Mapping[str, Interval]
    """95 % confidence, by the name of the figure."""


def quality_of(compared: Divergences) -> Quality:
    """Return the figures against a reference."""
    divergences = sorted(compared.divergences)
    count = len(divergences)
    kl_mean, kl_error = _mean(divergences)
    same = sum(compared.same_top) / count
    same_error = math.sqrt(same * (1 - same) / max(1, count - 1))
    perplexity, around = _perplexity(compared.losses)
    reference, around_reference = _perplexity(compared.reference_losses)
    return Quality(
        tokens=count,
        perplexity=perplexity,
        perplexity_reference=reference,
        kl_mean=kl_mean,
        kl_median=_percentile(divergences, 0.5),
        kl_99=_percentile(divergences, 0.99),
        kl_max=divergences[-1],
        same_top=same,
        intervals={
            "perplexity": around,
            "perplexity_reference": around_reference,
            "kl_mean": _around(kl_mean, kl_error),
            "kl_median": _percentile_interval(divergences, 0.5),
            "kl_99": _percentile_interval(divergences, 0.99),
            "same_top": (max(0.0, same - _WIDTH * same_error), min(1.0, same + _WIDTH * same_error)),
        },
    )


def perplexity_of(losses: Sequence[float]) -> Quality:
    """Return what can be said without a reference."""
    perplexity, around = _perplexity(losses)
    return Quality(len(losses), perplexity, None, None, None, None, None, None, {"perplexity": around})


def percentiles(divergences: Sequence[float], count: int) -> list[float]:
    """Return the percentiles 0, 1 / count … 1 of divergences, for a plot."""
    values = sorted(divergences)
    return [_percentile(values, step / count) for step in range(count + 1)]


def _perplexity(losses: Sequence[float]) -> tuple[float, Interval]:
    mean, error = _mean(losses)
    return math.exp(mean), (math.exp(mean - _WIDTH * error), math.exp(mean + _WIDTH * error))


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error."""
    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / count
    return mean, math.sqrt(variance / max(1, count - 1))


def _around(mean: float, error: float) -> Interval:
    return mean - _WIDTH * error, mean + _WIDTH * error


def _percentile(values: Sequence[float], fraction: float) -> float:
    """Return a percentile of sorted values, between two of them by their distance."""
    place = fraction * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return (1 - (place - below)) * values[below] + (place - below) * values[above]


def _percentile_interval(values: Sequence[float], fraction: float) -> Interval:
    count = len(values)
    width = _WIDTH * math.sqrt(count * fraction * (1 - fraction))
    low, high = math.floor(fraction * count - width), math.ceil(fraction * count + width)
    return values[max(0, min(low, count - 1))], values[max(0, min(high, count - 1))]
