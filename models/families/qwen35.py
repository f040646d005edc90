"""Qwen3.5, dense and with experts: three layers with a gated delta rule, whose memory does not grow, to each with attention.

Source of the layout: transformers, models/qwen3_5/modeling_qwen3_5.py and models/qwen3_5_moe/modeling_qwen3_5_moe.py, where all
experts of a layer lie in two tensors; Yang et al. 2024 (gated delta networks). Norms are stored as what is added to 1. Where a
key head serves several value heads, llama.cpp wants value heads ordered by their place among those of a key head first. Images
are left out, and so are the layers `mtp.` that guess further tokens.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from models.config import Config
from models.decoder import (
    Mixture,
    Shapes,
    Sizes,
    decoder_parameters,
    embeddings,
    experts,
    gated_mlp,
    norms,
    read_mixture,
    read_sizes,
    require_silu,
    shared_expert,
)
from models.errors import BadFile, UnsupportedModel
from models.family import Blueprint, Family, Metadata, OutputTensor, Source, Transform
from models.language_part import LEFT_OUT, is_part, text_config, text_tensors
from models.layers import as_is
from models.rotary import read_rotary

_DEFAULTS: dict[str, Any] = {
    "head_dim": 256,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
}
"""What transformers takes where a configuration is silent."""
_SHARED = "expert_shared_feed_forward_length"
_INTERVAL = 4
_ROTARY_PART = 0.25
"""Part of each head that rotates, where the configuration is silent."""


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    outer, config = config, text_config(config, _DEFAULTS)
    require_silu(config)
    if config.bool("attention_bias", default=False):
        raise UnsupportedModel("{path}: llama.cpp computes this family's attention without biases.", path=config.origin)
    mixture = _read_mixture(config)
    if mixture is not None and "intermediate_size" not in config:
        config = config.changed(intermediate_size=mixture.intermediate_size)
    sizes, delta = read_sizes(config), _Delta(config)
    recurrent = _recurrent_layers(config, sizes.layers)
    scaling = config.section("rope_parameters", "rope_scaling")
    outside = config.float("partial_rotary_factor", default=_ROTARY_PART, minimum=0.01, maximum=1)
    part = scaling.float("partial_rotary_factor", default=outside, minimum=0.01, maximum=1)
    rotary_dim = int(sizes.head_dim * part)
    rotary = read_rotary(config, rotary_dim, factors=False)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    tensors[1] = _raised(tensors[1])
    for layer in range(sizes.layers):
        before, after = norms(layer, sizes.hidden)
        after = OutputTensor(f"blk.{layer}.post_attention_norm.weight", after.shape, after.sources)
        tensors += [_raised(before), _raised(after)]
        tensors += delta.tensors(layer, sizes.hidden) if recurrent[layer] else _attention(sizes, layer)
        tensors += gated_mlp(sizes, layer, shapes) if mixture is None else _experts(sizes, layer, shapes, mixture)
    return Blueprint(
        architecture="qwen35" if mixture is None else "qwen35moe",
        parameters=decoder_parameters(config, sizes)
        | rotary.parameters
        | delta.parameters
        | ({} if mixture is None else mixture.parameters)
        | {
            "attention.recurrent_layers": recurrent,
            "rope.dimension_count": rotary_dim,
            "rope.dimension_sections": _sections(rotary_dim // 2),
        },
        tensors=text_tensors(tensors, shapes),
        vocabulary_size=sizes.vocabulary,
        warnings=(*rotary.warnings, *((LEFT_OUT,) if is_part(outer) else ())),
    )


def _read_mixture(config: Config) -> Mixture | None:
    """Return the experts, None in a dense model; the shares of those in use always sum up to 1."""
    if "num_experts" not in config:
        return None
    mixture = read_mixture(config)
    shared = config.int("shared_expert_intermediate_size", minimum=1)
    return replace(mixture, parameters=mixture.parameters | {_SHARED: shared})


def _experts(sizes: Sizes, layer: int, shapes: Shapes, mixture: Mixture) -> list[OutputTensor]:
    """Return router, experts (packed as transformers writes them, or each by itself) and the shared one."""
    prefix, inner, hidden = f"model.layers.{layer}.mlp.", mixture.intermediate_size, sizes.hidden
    tensors = experts(layer, mixture.count, inner, hidden)
    if shapes is None or any(name.endswith(".mlp.experts.gate_up_proj") for name in shapes):
        both = Source(f"{prefix}experts.gate_up_proj", (mixture.count, 2 * inner, hidden))
        parts = (("gate", slice(inner)), ("up", slice(inner, None)))
        tensors = [
            tensors[0],
            *(
                OutputTensor(
                    f"blk.{layer}.ffn_{name}_exps.weight",
                    (mixture.count, inner, hidden),
                    (both,),
                    partial(_rows, chosen=chosen),
                )
                for name, chosen in parts
            ),
            as_is(f"blk.{layer}.ffn_down_exps.weight", f"{prefix}experts.down_proj", mixture.count, hidden, inner),
        ]
    return [*tensors, *shared_expert(sizes, layer, shapes, intermediate_size=mixture.parameters[_SHARED])]


def _rows(packed: np.ndarray, *, chosen: slice) -> np.ndarray:
    return packed[:, chosen]


def _recurrent_layers(config: Config, layers: int) -> list[bool]:
    listed = config.entries("layer_types", str)
    if listed is None:
        every = config.int("full_attention_interval", default=_INTERVAL, minimum=1)
        return [(layer + 1) % every != 0 for layer in range(layers)]
    if len(listed) != layers:
        raise BadFile(
            "{path}: 'layer_types' must have {layers} entries; download it again.", path=config.origin, layers=layers
        )
    return [kind == "linear_attention" for kind in listed]


def _sections(pairs: int) -> list[int]:
    """Return how many of the pairs that turn do so with time, height and width, every third with each.

    Text does not tell them apart, but pairs that no section counts would not turn in llama.cpp.
    """
    return [max(0, -(-(pairs - first) // 3)) for first in range(3)] + [0]


def _attention(sizes: Sizes, layer: int) -> list[OutputTensor]:
    """Return attention whose queries come with a gate for what it gives, head by head."""
    source, target = f"model.layers.{layer}.self_attn.", f"blk.{layer}.attn_"
    hidden, size = sizes.hidden, sizes.head_dim
    return [
        as_is(f"{target}q.weight", f"{source}q_proj.weight", 2 * sizes.queries, hidden),
        as_is(f"{target}k.weight", f"{source}k_proj.weight", sizes.keys, hidden),
        as_is(f"{target}v.weight", f"{source}v_proj.weight", sizes.keys, hidden),
        as_is(f"{target}output.weight", f"{source}o_proj.weight", hidden, sizes.queries),
        _raised(as_is(f"{target}q_norm.weight", f"{source}q_norm.weight", size)),
        _raised(as_is(f"{target}k_norm.weight", f"{source}k_norm.weight", size)),
    ]


class _Delta:
    """The layers with a gated delta rule."""

    def __init__(self, config: Config) -> None:
        self._size = config.int("linear_key_head_dim", minimum=1)
        self._keys = config.int("linear_num_key_heads", minimum=1)
        self._values = config.int("linear_num_value_heads", minimum=1)
        self._kernel = config.int("linear_conv_kernel_dim", minimum=2)
        if config.int("linear_value_head_dim") != self._size or self._values % self._keys:
            raise UnsupportedModel(
                "{path}: llama.cpp computes Qwen3.5 with key and value heads of one size, as many or a multiple.",
                path=config.origin,
            )

    @property
    def parameters(self) -> Metadata:
        return {
            "ssm.conv_kernel": self._kernel,
            "ssm.state_size": self._size,
            "ssm.group_count": self._keys,
            "ssm.time_step_rank": self._values,
            "ssm.inner_size": self._values * self._size,
        }

    def tensors(self, layer: int, hidden: int) -> list[OutputTensor]:
        source, target = f"model.layers.{layer}.linear_attn.", f"blk.{layer}."
        values, inner = self._values, self._values * self._size
        packed = 2 * self._keys * self._size + inner
        behind = packed - inner

        def made(name: str, theirs: str, shape: tuple[int, ...], move: Transform | None) -> OutputTensor:
            return OutputTensor(f"{target}{name}", shape, (Source(f"{source}{theirs}", shape),), move)

        kernel = Source(f"{source}conv1d.weight", (packed, 1, self._kernel))
        return [
            made("attn_qkv.weight", "in_proj_qkv.weight", (packed, hidden), self._tiled(self._size, behind)),
            made("attn_gate.weight", "in_proj_z.weight", (inner, hidden), self._tiled(self._size)),
            made("ssm_alpha.weight", "in_proj_a.weight", (values, hidden), self._tiled(1)),
            made("ssm_beta.weight", "in_proj_b.weight", (values, hidden), self._tiled(1)),
            made("ssm_a", "A_log", (values,), partial(_decay, tiled=self._tiled(1))),
            made("ssm_dt.bias", "dt_bias", (values,), self._tiled(1)),
            OutputTensor(
                f"{target}ssm_conv1d.weight",
                (packed, self._kernel),
                (kernel,),
                partial(_squeezed, tiled=self._tiled(self._size, behind)),
                exact=True,
            ),
            as_is(f"{target}ssm_norm.weight", f"{source}norm.weight", self._size),
            made(
                "ssm_out.weight", "out_proj.weight", (hidden, inner), partial(_columns, tiled=self._tiled(self._size))
            ),
        ]

    def _tiled(self, rows: int, behind: int = 0) -> Transform:
        """Return the order of value heads that have `rows` rows each and follow `behind` other rows."""
        return partial(_tiled, groups=self._keys, rows=rows, behind=behind)


def _tiled(array: np.ndarray, *, groups: int, rows: int, behind: int) -> np.ndarray:
    heads = array[behind:].reshape(groups, -1, rows, *array.shape[1:])
    moved = heads.swapaxes(0, 1).reshape(array[behind:].shape)
    return np.concatenate([array[:behind], moved]) if behind else moved


def _columns(array: np.ndarray, *, tiled: Transform) -> np.ndarray:
    return tiled(array.T).T


def _squeezed(array: np.ndarray, *, tiled: Transform) -> np.ndarray:
    return tiled(array[:, 0])


def _decay(logarithm: np.ndarray, *, tiled: Transform) -> np.ndarray:
    return tiled(-np.exp(logarithm.astype(np.float32)))


def _raised(norm: OutputTensor) -> OutputTensor:
    return OutputTensor(norm.name, norm.shape, norm.sources, _plus_one)


def _plus_one(weight: np.ndarray) -> np.ndarray:
    return np.asarray(weight.astype(np.float32) + 1)


FAMILY = Family(
    name="qwen35",
    title="Qwen3.5",
    classes=(
        "Qwen3_5ForCausalLM",
        "Qwen3_5ForConditionalGeneration",
        "Qwen3_5MoeForCausalLM",
        "Qwen3_5MoeForConditionalGeneration",
    ),
    blueprint=_blueprint,
    language_part=True,
)
