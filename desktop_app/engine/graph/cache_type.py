"""The ggml types of the key-value cache."""

from __future__ import annotations

from models.errors import ZhiyinError
from models.gguf_constants import GGMLQuantizationType


def cache_type(name: str) -> GGMLQuantizationType:
    """Return a type by its name in any letter case.

    Raises:
        ZhiyinError: there is none.
    """
    try:
        return GGMLQuantizationType[name.upper()]
    except KeyError:
        raise ZhiyinError("{name!r} is not a type for the KV cache; use f16, q8_0 or q4_0.", name=name) from None
