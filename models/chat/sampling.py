"""The publisher's recommended sampling, as stored in a GGUF file (`general.sampling.*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEYS = {
    "temp": ("temperature", 100.0),
    "top_k": ("top_k", 2**31 - 1),
    "top_p": ("top_p", 1.0),
    "min_p": ("min_p", 1.0),
    "penalty_repeat": ("repeat_penalty", 100.0),
}
"""Name below `general.sampling.` -> our name, the largest sensible value."""


def recommended_sampling(metadata: Mapping[str, Any]) -> dict[str, float]:
    """Return temperature, top_k, top_p, min_p and repeat_penalty as far as the file names them; nonsense is left out."""
    sampling: dict[str, float] = {}
    for theirs, (ours, largest) in _KEYS.items():
        value = metadata.get(f"general.sampling.{theirs}")
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= largest:
            sampling[ours] = int(value) if ours == "top_k" else float(value)
    if sampling.get("repeat_penalty") == 0:
        del sampling["repeat_penalty"]
    return sampling
