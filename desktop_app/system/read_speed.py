"""Speed of matrix products as the engine measured it: plain data."""

from __future__ import annotations

import math
from typing import NamedTuple

from msgspec import Struct, field

TYPES = ("F32", "F16", "Q8_0", "Q6_K", "Q5_K", "Q5_0", "Q4_K", "Q4_0", "Q4_1", "IQ4_XS", "Q3_K", "Q2_K")
"""The ggml types that are measured."""
_ALIKE = {"BF16": "F16", "Q5_1": "Q5_0", "IQ4_NL": "Q4_0", "MXFP4": "Q4_0"}
"""Types that are not measured -> those with as many bits and the same kind of arithmetic."""
_STEADY = 1.5
"""Times that two measurements may differ by: then it is not this computer's speed that was measured."""


class Weights(NamedTuple):
    """Weights of one type that a token is multiplied by."""

    bytes: int
    rows: int
    """Numbers that come out."""


class ReadSpeed(Struct, frozen=True, tag=True, tag_field="kind"):
    """Seconds that the cores together need for products of weights with a vector, by ggml type.

    It is counted in processor time, so other programs that want the cores too hardly change it.
    """

    by_type: dict[str, float]
    """Bytes of weights per second."""
    threads: int = 0
    """That read them: the number that is fastest here; 0: not known."""
    row_seconds: dict[str, float] = field(default_factory=dict)
    """What each row takes besides: sums, calls. Small matrices have many rows for their bytes."""
    spread: float = 1.0
    """How many times faster one measurement was than the other."""
    repacked: tuple[str, ...] = ()
    """Types that ggml repacks for this processor: copies in memory of its own."""
    copied: float = math.inf
    """Bytes a second that memory gives which is no file's: a model with a repacked type is not mapped, nor are caches."""

    @property
    def disturbed(self) -> bool:
        """Two measurements differ too much for a true picture."""
        return self.spread > _STEADY

    def of(self, type_name: str, *, copied: bool = False) -> float:
        """Return the bytes per second of a type, or of the slowest one where it was not measured.

        `copied`: where it is not read in a mapped file's pages.
        """
        seconds = self.by_type.get(_ALIKE.get(type_name, type_name), min(self.by_type.values()))
        return min(seconds, self.copied) if copied else seconds

    def of_row(self, type_name: str) -> float:
        """Return the seconds that a row of a type takes besides."""
        return self.row_seconds.get(_ALIKE.get(type_name, type_name), 0.0)
