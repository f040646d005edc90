"""Memory bandwidth as the engine measured it: plain data."""

from __future__ import annotations

from msgspec import Struct

TYPES = ("F32", "F16", "Q8_0", "Q6_K", "Q5_K", "Q5_0", "Q4_K", "Q4_0", "Q4_1", "IQ4_XS", "Q3_K", "Q2_K")
"""The ggml types that are measured."""
_ALIKE = {"BF16": "F16", "Q5_1": "Q5_0", "IQ4_NL": "Q4_0", "MXFP4": "Q4_0"}
"""Types that are not measured -> those with as many bits and the same kind of arithmetic."""
_UNDISTURBED = 0.8
"""A smaller part of the cores' time tells of other programs, not of this computer."""


class ReadSpeed(Struct, frozen=True, tag=True, tag_field="kind"):
    """Bytes of weights per second that the cores together read, by ggml type."""

    by_type: dict[str, float]
    threads: int = 0
    """That read them: the number that is fastest here; 0: not known."""
    processor_share: float = 1.0
    """Part of the cores' time that the measurement got; others had the rest."""

    @property
    def disturbed(self) -> bool:
        """Other programs were too busy for a true picture: this computer is faster than that."""
        return self.processor_share < _UNDISTURBED

    def of(self, type_name: str) -> float:
        """Return the speed of a type, or of the slowest one where it was not measured."""
        return self.by_type.get(_ALIKE.get(type_name, type_name), min(self.by_type.values()))
