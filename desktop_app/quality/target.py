"""How large a mixture of types by measurement may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MixtureTarget:
    """One of the two; neither: as large as fits this computer."""

    size: int = 0
    """Bytes of the file."""
    bits: float = 0.0
    """For each weight on average."""

    @property
    def name(self) -> str:
        """What tells files that were made for it from others, without spaces."""
        if self.fits:
            return "mixture-fit"
        return f"mixture-{self.size}" if self.size else f"mixture-{self.bits}-bits"

    @property
    def fits(self) -> bool:
        """What is free on this computer decides, so that it is another size another time."""
        return not self.size and not self.bits
