"""What a mixture by measurement is likely to be before anything is measured: between the usual quantizations of its size.

It loses no more than a usual one of the same bytes would, as far as the measuring succeeds; so what is said is rather too bad.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from desktop_app.library.source_facts import Assessment, SourceFacts
from desktop_app.planning.configuration import DeviceAllocation, RunConfiguration
from desktop_app.planning.footprint import RunShape, uses_graph_runner
from desktop_app.quality.chunks import CONTEXT
from desktop_app.quality.target import MixtureTarget

_STEPS = 1000
"""Into which the sizes are divided where the largest that fits is looked for."""
_WHOLE_BITS = 16


class MixtureOffers:
    """The mixtures that a source can become, by their size."""

    def __init__(self, facts: SourceFacts, assessment: Assessment) -> None:
        """Nothing is computed yet; of two quantizations with the same bytes the nearer to the original counts."""
        self._facts = facts
        by_size: dict[int, RunConfiguration] = {}
        for quant, option in assessment.options.items():
            if quant in facts.offers:
                by_size.setdefault(facts.offers[quant], option)
        self._ladder = sorted(by_size.items(), key=lambda step: step[0])

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes of the smallest and of the largest that are offered."""
        return self._ladder[0][0], self._ladder[-1][0]

    def size_of(self, target: MixtureTarget) -> int:
        """Return about the bytes of the file for a target."""
        least, most = self.sizes
        if target.size:
            wanted = target.size
        elif target.bits:
            wanted = most - int(self._facts.parameters * (_WHOLE_BITS - target.bits) / 8)
        else:
            steps = [least + (most - least) * step // _STEPS for step in range(_STEPS, -1, -1)]
            wanted = next((size for size in steps if not self.option(size).shortfall), least)
        return max(least, min(wanted, most))

    def bits_of(self, size: int) -> float:
        """Return the bits for each weight of a file."""
        return _WHOLE_BITS - 8 * (self.sizes[1] - size) / max(1, self._facts.parameters)

    def option(self, size: int) -> RunConfiguration:
        """Return about how a mixture of a size would run."""
        sizes = [bytes_ for bytes_, _ in self._ladder]
        place = min(max(1, bisect_left(sizes, size)), len(sizes) - 1)
        (low, below), (high, above) = self._ladder[place - 1 : place + 1]
        part = min(1.0, max(0.0, (size - low) / (high - low)))
        mixture: RunConfiguration = replace(
            above,
            quant="",
            divergence=_divergence(below.divergence, above.divergence, part),
            tokens_per_second=_speed(below.tokens_per_second, above.tokens_per_second, part),
            shares=_shares(below.shares, above.shares, part),
            is_measured=False,
        )
        return mixture


def mixture_offers(facts: SourceFacts, assessment: Assessment | None) -> MixtureOffers | None:
    """Return what a source can become by measuring; None: it cannot be measured, or too little is known of it."""
    if assessment is None or facts.ready or facts.model is None or facts.request.lora or not facts.parameters:
        return None
    if uses_graph_runner(facts.model.architecture, facts.model.parameters, RunShape(CONTEXT)):
        return None  # llama.cpp's own runner collects the importance matrix
    known = {facts.offers[quant] for quant in assessment.options if quant in facts.offers}
    return MixtureOffers(facts, assessment) if len(known) > 1 else None


def _divergence(below: float, above: float, part: float) -> float:
    if not above:
        return below * (1 - part)
    return math.exp((1 - part) * math.log(below) + part * math.log(above))


def _speed(below: float | None, above: float | None, part: float) -> float | None:
    if not below or not above:
        return None
    return 1 / ((1 - part) / below + part / above)


def _shares(
    below: Sequence[DeviceAllocation], above: Sequence[DeviceAllocation], part: float
) -> tuple[DeviceAllocation, ...]:
    """Return what devices hold; where layers would move between them, what the larger file takes."""
    if [(share.device, share.layers) for share in below] != [(share.device, share.layers) for share in above]:
        return tuple(above)
    return tuple(
        replace(more, weights=round((1 - part) * less.weights + part * more.weights))
        for less, more in zip(below, above, strict=True)
    )
