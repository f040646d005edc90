"""Rotary positions that change with the length of the text once it is longer than what the model was trained with.

llama.cpp computes none of them. The keys of GGUF that say how a model goes on past its trained length are ours: other programs
ignore them, and run the same file up to `context_length`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.family import Metadata

if TYPE_CHECKING:
    import numpy as np

RULE = "rope.dynamic.rule"
"""The key, below the architecture's prefix, that only models have which go on past their trained length."""
_TRAINED_LENGTH, _FACTOR, _LOG_N = "rope.dynamic.trained_length", "rope.dynamic.factor", "rope.dynamic.log_n"
FIXED, QWEN, TRANSFORMERS, INTERNLM = RULES = ("fixed", "qwen", "transformers", "internlm")
"""Whose code chooses the base; fixed: it stays."""
SMALLEST = 4
"""Dimensions that must rotate: the base grows by a power of size / (size - 2)."""
_LONGEST = 2**31 - 1
_MOST_FACTOR = 1e4


@dataclass(frozen=True)
class DynamicRotary:
    """How a model's positions depend on the length of the text.

    Sources, each for a prompt that is computed at once and a reply token by token behind cached keys:

    - qwen: modeling_qwen.py (Qwen-7B), `QWenModel.forward` and `get_ntk_alpha`. The prompt's length chooses the base in steps,
      and the whole reply keeps it. `log_n` is `logn_tensor` of `QWenAttention`.
    - transformers: modeling_rope_utils.py, `dynamic_frequency_update`; InternLM2, 2.5 and 3 and MiniCPM do the same. The prompt's
      length chooses the base, and every token of the reply another one; cached keys stay rotated as they were.
    - internlm: modeling_internlm.py (InternLM-20B), `InternLMDynamicNTKScalingRotaryEmbedding`. The same bases, but keys are
      cached before they are rotated, and all are rotated with the newest base.

    The publishers' classes also remember lengths of earlier texts; here a text is computed as by a process that begins with it.
    """

    rule: str
    """One of `RULES`."""
    trained: int
    """Tokens up to which nothing changes."""
    base: float
    size: int
    """Dimensions of a head that rotate."""
    factor: float = 1.0
    log_n: bool = False
    """Queries past the trained length are multiplied by log(place) / log(trained length), places counted from 1."""

    @property
    def parameters(self) -> Metadata:
        """The keys that say so in GGUF, below the architecture's prefix."""
        return {
            RULE: self.rule,
            _TRAINED_LENGTH: self.trained,
            _FACTOR: self.factor,
            _LOG_N: self.log_n,
        }

    @property
    def turns_cached_keys(self) -> bool:
        """Keys are cached as they were before their rotation, and rotated anew for each step."""
        return self.rule == INTERNLM

    def base_at(self, index: int, prompt: int) -> float:
        """Return the base with which a token is computed.

        Args:
            index: of the token, from 0.
            prompt: length of the prompt; tokens with a larger index belong to the reply.
        """
        length = prompt if self.rule == QWEN else max(prompt, index + 1)
        if self.rule == FIXED or length <= self.trained:
            return self.base
        if self.rule == QWEN:
            growth = float(2 ** math.ceil(math.log(length / self.trained, 2) + 1) - 1)
        else:
            growth = self.factor * length / self.trained - (self.factor - 1)
        return float(self.base * growth ** (self.size / (self.size - 2)))

    def divisors(self, base: float) -> np.ndarray:
        """Return what positions are divided by to be angles, for each pair of dimensions: float32 [size / 2]."""
        import numpy as np

        exponents = np.arange(0, self.size, 2) / self.size
        return np.minimum(np.float64(base) ** exponents, np.finfo(np.float32).max).astype(np.float32)

    def query_scale(self, start: int, count: int) -> np.ndarray:
        """Return what the queries of `count` tokens from index `start` on are multiplied by: float32 [count]."""
        import numpy as np

        places = np.maximum(np.arange(start + 1, start + count + 1), self.trained)
        return (
            (np.log(places) / math.log(self.trained)).astype(np.float32) if self.log_n else np.ones(count, np.float32)
        )


def is_beyond_trained_context(parameters: Metadata, context: int) -> bool:
    """Tell whether a model is to hold more tokens than it was trained with, and can: then our own runner computes it.

    Args:
        parameters: the file's keys below its architecture's prefix.
        context: tokens that a chat may hold; 0: as many as the model was trained with.
    """
    trained: Any = parameters.get("context_length")
    return RULE in parameters and _is_number(trained) and context > trained


def dynamic_rotary(parameters: Metadata, base: float, size: int) -> DynamicRotary | None:
    """Return what a file's keys below its architecture's prefix say, or None where a model ends at its trained length.

    Args:
        parameters: the keys; of an untrusted file.
        base: within the trained length.
        size: dimensions of a head that rotate.

    Raises:
        ValueError: they make no sense.
    """
    if RULE not in parameters:
        return None
    values: list[Any] = [parameters.get(key) for key in (RULE, _TRAINED_LENGTH, _FACTOR, _LOG_N)]
    rule, trained, factor, log_n = values
    known = rule in RULES and isinstance(log_n, bool) and size >= SMALLEST
    lengths = _is_number(trained) and 2 <= trained <= _LONGEST and _is_number(factor) and 0 < factor <= _MOST_FACTOR
    if not known or not lengths:
        raise ValueError(f"{RULE}: {values}")
    return DynamicRotary(rule, trained, base, size, factor, log_n)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
