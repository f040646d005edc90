"""Rotary positions: what config.json says about base and scaling, in llama.cpp's words and, past its limits, in ours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from models.config import Config
from models.dynamic_rotary import SMALLEST, TRANSFORMERS, DynamicRotary
from models.errors import BadFile, UnsupportedModel
from models.family import Metadata, OutputTensor
from models.sentence import Sentence

_DEFAULT_BASE = 10000.0
_DEFAULT_CONTEXT = 2048
_LONGEST = 2**31 - 1
_LEAST, _MOST = 1e-3, 1e4
"""Of any factor by which positions or vectors are scaled."""
_SMALLEST = 2
_SHORTEST_YARN = 7
"""Tokens: in fewer no dimension turns once (2 pi), and the bounds of YaRN's correction lie below the first."""
_YARN_BETAS = {"beta_fast": 32.0, "beta_slow": 1.0}
"""The values that llama.cpp computes with; it reads others only for architectures that are not ours."""


@dataclass(frozen=True)
class Rotary:
    """Everything about a model's positions."""

    parameters: Metadata
    """`context_length` and `rope.*`, below the architecture's prefix."""
    tensors: tuple[OutputTensor, ...] = ()
    """Divisors of the frequencies."""
    warnings: tuple[Sentence, ...] = ()
    """Why the context is shorter than the configuration promises."""

    def limited(self, length: int, reason: Sentence) -> Rotary:
        """Return the same with a context of at most `length` tokens, and `reason` as a warning where that shortens it."""
        if length >= self.parameters["context_length"]:
            return self
        return replace(self, parameters=self.parameters | {"context_length": length}, warnings=(*self.warnings, reason))

    def dynamic(self, positions: DynamicRotary) -> Rotary:
        """Return the same with a context that ends where `positions` begin to change, for llama.cpp, and these for us."""
        length = min(positions.trained, self.parameters["context_length"])
        warning = Sentence(
            "llama.cpp runs this model up to {count} tokens, the length that it was trained with. Where a longer context is "
            "asked for, Zhiyin computes it by itself: there positions change with the length of the text, as in the publisher's "
            "code.",
            count=length,
        )
        parameters = self.parameters | positions.parameters | {"context_length": length}
        return replace(self, parameters=parameters, warnings=(*self.warnings, warning))


def read_rotary(config: Config, size: int, *, factors: bool = True, llama3: bool = True, dynamic: str = "") -> Rotary:
    """Read base, scaling and context length.

    "dynamic" scaling changes nothing within the trained length, which is all that is declared for llama.cpp; publishers name the
    length that it reaches (InternLM-20B: 16K of 4K trained, Atom-7B-Chat: 32K).

    Args:
        config: in the words of transformers.
        size: dimensions of a head that rotate.
        factors: llama.cpp reads tensors of divisors for this architecture.
        llama3: those of Llama 3.1's scaling, too, besides LongRoPE's.
        dynamic: the rule in `models.dynamic_rotary` that the publisher's code follows past the trained length with "dynamic"
            scaling; "": our own runner does not compute this architecture.

    Raises:
        BadFile: so many dimensions cannot rotate.
        UnsupportedModel: a scaling that llama.cpp does not compute.
    """
    if size < _SMALLEST or size % 2:
        raise BadFile(
            "{path}: {rotary_dim} rotating dimensions of a head cannot be; download it again.",
            path=config.origin,
            rotary_dim=size,
        )
    scaling = _scaling(config)
    kind = scaling.str("rope_type", "type", default="default").lower()
    context = _trained_length(config)
    parameters: Metadata = {"context_length": context, "rope.freq_base": rotary_base(config)}
    if kind == "dynamic" and "alpha" not in scaling:
        return _dynamic(Rotary(parameters), config, scaling, size, dynamic)
    if kind in ("default", "none"):
        return Rotary(parameters)
    if kind == "linear":
        factor = scaling.float("factor", minimum=_LEAST, maximum=_MOST)
        linear = {"rope.scaling.type": "linear", "rope.scaling.factor": factor}
        return Rotary(parameters if factor == 1 else parameters | linear)
    if kind == "yarn":
        return Rotary(parameters | _yarn(scaling, context))
    if kind == "llama3" and factors and llama3:
        return Rotary(parameters, (_llama3_factors(scaling, rotary_base(config), size),))
    if kind in ("longrope", "su") and factors:
        return _longrope(parameters, scaling, config, size)
    raise UnsupportedModel(
        "{path} asks for rotary scaling of type {kind!r}, which llama.cpp does not compute for this family.",
        path=config.origin,
        kind=kind[:40],
    )


def read_windowed_rotary(config: Config, size: int, *, dense: bool, first_window: int = 28) -> Rotary:
    """Read Qwen's positions up to where its layers begin to see less than everything, which llama.cpp does not compute.

    Both of Qwen's ways are meant: a sliding window in the layers from `max_window_layers` on, and the chunks of the models for a
    million tokens. Until then every layer attends to all tokens.

    Args:
        config: in the words of transformers.
        size: dimensions of a head that rotate.
        dense: no mixture of experts, so that our own runner computes "dynamic" scaling where there is nothing of both.
        first_window: the first layer with a window, where the configuration does not say.
    """
    ends = list(_ends_of_full_attention(config, first_window))
    rotary = read_rotary(config, size, factors=False, dynamic=TRANSFORMERS if dense and not ends else "")
    for length, reason in ends:
        rotary = rotary.limited(length, reason)
    return rotary


def _ends_of_full_attention(config: Config, first_window: int) -> Iterator[tuple[int, Sentence]]:
    listed = config.entries("layer_types", str)
    first = config.int("max_window_layers", default=first_window)
    slides = first < config.int("num_hidden_layers") if listed is None else "sliding_attention" in listed
    if slides and config.bool("use_sliding_window", default=False):
        window = config.int("sliding_window", default=4096, minimum=1)
        yield window, without_sliding_window(window)
    chunks = config.section("dual_chunk_attention_config")
    if chunks.data:
        end = chunks.int("original_max_position_embeddings", default=32768, minimum=1)
        yield (
            end,
            Sentence(
                "The context ends at {count} tokens: llama.cpp does not compute this model's attention by chunks.",
                count=end,
            ),
        )


def without_sliding_window(length: int) -> Sentence:
    """Return why the context ends where a model's layers begin to see less than everything."""
    return Sentence(
        "The context ends at {count} tokens: llama.cpp does not compute this model's sliding window.", count=length
    )


def rotary_base(config: Config) -> float:
    """Return the base of the rotary frequencies."""
    outside = config.float("rope_theta", default=_DEFAULT_BASE, minimum=1)
    return _scaling(config).float("rope_theta", default=outside, minimum=1)


def _dynamic(rotary: Rotary, config: Config, scaling: Config, size: int, rule: str) -> Rotary:
    """Return positions that change past `max_position_embeddings`, whatever other lengths a configuration names."""
    trained = config.int("max_position_embeddings", default=int(rotary.parameters["context_length"]), minimum=1)
    end = min(trained, scaling.int("original_max_position_embeddings", default=trained, minimum=1))
    factor = scaling.float("factor", default=1.0, minimum=_LEAST, maximum=_MOST)
    rotary = replace(rotary, parameters=rotary.parameters | {"context_length": end})
    if rule and size >= SMALLEST and trained > 1:
        return rotary.dynamic(DynamicRotary(rule, trained, float(rotary.parameters["rope.freq_base"]), size, factor))
    reason = Sentence(
        "The context ends at {count} tokens, the length this model was trained with: beyond it the publisher's code changes "
        "positions with the length of the text, which llama.cpp does not compute.",
        count=end,
    )
    return replace(rotary, warnings=(reason,))


def _trained_length(config: Config) -> int:
    """Return the largest of the lengths that a configuration may name (Vicuna's names its longer one separately)."""
    names = ("max_position_embeddings", "max_sequence_length", "model_max_length")
    return max((config.int(name, minimum=1) for name in names if name in config), default=_DEFAULT_CONTEXT)


def _yarn(scaling: Config, context: int) -> Metadata:
    """Return YaRN's keys. Source: Peng et al. 2023, and transformers, modeling_rope_utils.py.

    llama.cpp lengthens the rotated vectors by 1 + 0.1 ln(factor); `attn_factor` corrects this to what the configuration says.
    `attention_factor` is the whole length; `attn_factor` (DeepSeek-R1-0528-Qwen3-8B) is vLLM's, a correction already.
    """
    for name, usual in _YARN_BETAS.items():
        if scaling.float(name, default=usual) != usual:
            raise UnsupportedModel(
                "{path}: llama.cpp computes YaRN with a {key} of {value:g} only.",
                path=scaling.origin,
                key=name,
                value=usual,
            )
    if not is_truncated(scaling):
        raise UnsupportedModel(
            "{path}: llama.cpp computes YaRN with whole correction bounds only.", path=scaling.origin
        )
    trained = scaling.int("original_max_position_embeddings", default=context, minimum=_SHORTEST_YARN)
    factor = scaling.float("factor", default=context / trained, minimum=_LEAST, maximum=_MOST)
    usual_length = _mscale(factor, 1.0)
    correction = scaling.float("attn_factor", default=1.0, minimum=_LEAST, maximum=_MOST)
    if "attention_factor" in scaling:
        correction = scaling.float("attention_factor", minimum=_LEAST, maximum=_MOST) / usual_length
    elif "mscale" in scaling and "mscale_all_dim" in scaling:
        weights = [scaling.float(name, minimum=0, maximum=_MOST) for name in ("mscale", "mscale_all_dim")]
        if all(weights):
            correction = _mscale(factor, weights[0]) / _mscale(factor, weights[1]) / usual_length
    metadata: Metadata = {
        "context_length": max(context, min(int(factor * trained), _LONGEST)),
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": factor,
        "rope.scaling.original_context_length": trained,
    }
    return metadata if correction == 1 else metadata | {"rope.scaling.attn_factor": correction}


def is_truncated(scaling: Config) -> bool:
    """Tell whether YaRN's bounds are whole numbers; to transformers a null says that they are not."""
    return scaling.bool("truncate", default="truncate" not in scaling.data)


def _mscale(factor: float, weight: float) -> float:
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0


def _llama3_factors(scaling: Config, base: float, size: int) -> OutputTensor:
    """Return `rope_freqs.weight` [size / 2] for Llama 3.1's scaling.

    Each factor divides the frequency of one pair of dimensions. Source: Meta's llama-models, `apply_scaling`.
    """
    factor = scaling.float("factor", default=8.0, minimum=_LEAST, maximum=_MOST)
    low = scaling.float("low_freq_factor", default=1.0, minimum=_LEAST, maximum=_MOST)
    high = scaling.float("high_freq_factor", default=4.0, minimum=_LEAST, maximum=_MOST)
    trained = scaling.int("original_max_position_embeddings", default=8192, minimum=1)
    if low >= high:
        raise BadFile(
            "{path}: 'low_freq_factor' must be below 'high_freq_factor'; download it again.", path=scaling.origin
        )

    def factors() -> np.ndarray:
        wavelengths = 2 * math.pi * base ** (np.arange(0, size, 2, dtype=np.float32) / np.float32(size))
        smooth = (trained / wavelengths - low) / (high - low)
        between = 1 / ((1 - smooth) / factor + smooth)
        result = np.where(wavelengths > trained / low, factor, between)
        return np.where(wavelengths < trained / high, 1.0, result).astype(np.float32)

    return OutputTensor("rope_freqs.weight", (size // 2,), (), factors)


def _longrope(parameters: Metadata, scaling: Config, config: Config, size: int) -> Rotary:
    """Return LongRoPE's two sets of divisors, for contexts up to and beyond the trained one.

    Source: Ding et al. 2024; the length of the rotated vectors as in MiniCPM4's and Phi-3's code.
    """
    context = int(parameters["context_length"])
    trained = scaling.int(
        "original_max_position_embeddings",
        default=config.int("original_max_position_embeddings", default=context, minimum=2),
        minimum=2,
    )
    stretch = scaling.float("factor", default=context / trained, minimum=_LEAST, maximum=_MOST)
    usual = math.sqrt(1 + math.log(stretch) / math.log(trained)) if stretch > 1 else 1.0
    length = scaling.float("attention_factor", default=usual, minimum=_LEAST, maximum=_MOST)
    tensors = tuple(
        OutputTensor(f"rope_factors_{name}.weight", (size // 2,), (), partial(np.array, divisors, np.float32))
        for name, divisors in (
            ("long", _divisors(scaling, "long_factor", size)),
            ("short", _divisors(scaling, "short_factor", size)),
        )
    )
    keys = {
        "rope.scaling.type": "longrope",
        "rope.scaling.original_context_length": trained,
        "rope.scaling.attn_factor": length,
    }
    return Rotary(parameters | keys, tensors)


def _divisors(scaling: Config, name: str, size: int) -> Sequence[float]:
    values = scaling.entries(name, float) or []
    if len(values) != size // 2 or not all(0 < value <= _MOST for value in values):
        raise BadFile(
            "{path}: {key!r} must be {count} positive numbers; download it again.",
            path=scaling.origin,
            key=name,
            count=size // 2,
        )
    return values


def _scaling(config: Config) -> Config:
    """Return the section on rotary positions; where layers of several kinds have one each, that of full attention."""
    section = config.section("rope_parameters", "rope_scaling")
    return section.section("full_attention") if "full_attention" in section else section
