"""Granite 4: layers of Mamba-2, whose memory does not grow, with a few of attention between, dense or with experts.

Source of the layout: transformers, models/granitemoehybrid/modeling_granitemoehybrid.py; Dao and Gu 2024 (Mamba-2). The variants
"h" have no positions at all. Models of attention alone are Granite 3's layout with other names; llama.cpp's `granite` computes
them. Gate and up are packed in one matrix, of every expert, too.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from models.config import Config
from models.decoder import (
    Shapes,
    Sizes,
    attention,
    decoder_parameters,
    embeddings,
    expert_counts,
    granite_multipliers,
    norms,
    read_sizes,
    require_silu,
)
from models.errors import BadFile, UnsupportedModel
from models.family import Blueprint, Family, Metadata, OutputTensor, Source
from models.layers import as_is, row_parts
from models.rotary import read_rotary

_EXPANSION = 2
"""Of the model's width in Mamba layers, the only one that llama.cpp computes."""


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    recurrent = _recurrent_layers(config, sizes.layers)
    mixer = _Mixer(config, sizes) if any(recurrent) else None
    network = _Network(config, sizes)
    if mixer is None and network.count:
        raise UnsupportedModel(
            "{path}: llama.cpp computes Granite 4 with experts only where it has Mamba layers.", path=config.origin
        )
    rotary = read_rotary(config, sizes.head_dim, factors=False)
    bias = config.bool("attention_bias", default=False)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        if mixer is not None and recurrent[layer]:
            tensors += mixer.tensors(layer)
        else:
            tensors += attention(sizes, layer, shapes, interleaved=True, bias=bias)
        tensors += network.tensors(layer)
    parameters = (
        decoder_parameters(config, sizes) | rotary.parameters | granite_multipliers(config) | network.parameters
    )
    if mixer is not None:
        parameters |= mixer.parameters
        parameters["attention.head_count_kv"] = [0 if is_recurrent else sizes.kv_heads for is_recurrent in recurrent]
    return Blueprint(
        architecture="granite" if mixer is None else "granitehybrid",
        parameters=parameters | {"rope.scaling.finetuned": _has_positions(config, mixer is not None)},
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


def _has_positions(config: Config, hybrid: bool) -> bool:
    kind = config.str("position_embedding_type", default="nope")
    if kind not in ("rope", "nope"):
        raise UnsupportedModel(
            "{path}: llama.cpp computes Granite 4 without positions of type {kind!r}.",
            path=config.origin,
            kind=kind[:40],
        )
    if not hybrid and kind != "rope":
        raise UnsupportedModel(
            "{path}: llama.cpp computes Granite without Mamba layers with positions only.", path=config.origin
        )
    return kind == "rope"


def _recurrent_layers(config: Config, layers: int) -> list[bool]:
    kinds = {"mamba": True, "linear_attention": True, "attention": False, "full_attention": False}
    key = "layer_types" if "layer_types" in config else "layers_block_type"
    listed = config.entries(key, str) or []
    if len(listed) != layers or not all(kind in kinds for kind in listed):
        raise BadFile(
            "{path}: {key!r} must have {layers} entries, mamba or attention; download it again.",
            path=config.origin,
            key=key,
            layers=layers,
        )
    return [kinds[kind] for kind in listed]


class _Network:
    """The feed-forward network: experts beside a shared one, or the shared one alone."""

    def __init__(self, config: Config, sizes: Sizes) -> None:
        self._hidden, self._inner = sizes.hidden, sizes.intermediate_size
        self._shared = config.int("shared_intermediate_size", minimum=1)
        self.count = config.int("num_local_experts", default=0)
        self.parameters: Metadata = {"feed_forward_length": self._shared}
        if self.count:
            used = config.int("num_experts_per_tok", minimum=1)
            self.parameters = {
                **expert_counts(config, self.count, used),
                "feed_forward_length": self._inner,
                "expert_shared_feed_forward_length": self._shared,
            }

    def tensors(self, layer: int) -> list[OutputTensor]:
        source, target = f"model.layers.{layer}.", f"blk.{layer}.ffn_"
        suffix = "_shexp" if self.count else ""
        shared, hidden = self._shared, self._hidden
        names = (f"{target}gate{suffix}.weight", f"{target}up{suffix}.weight")
        tensors = [
            *row_parts(names, f"{source}shared_mlp.input_linear.weight", (shared, shared), hidden),
            as_is(f"{target}down{suffix}.weight", f"{source}shared_mlp.output_linear.weight", hidden, shared),
        ]
        return [*tensors, *self._experts(f"{source}block_sparse_moe.", target)] if self.count else tensors

    def _experts(self, source: str, target: str) -> list[OutputTensor]:
        count, inner, hidden = self.count, self._inner, self._hidden
        both = Source(f"{source}input_linear.weight", (count, 2 * inner, hidden))
        gate, up = (
            OutputTensor(f"{target}{name}_exps.weight", (count, inner, hidden), (both,), partial(_rows, chosen=chosen))
            for name, chosen in (("gate", slice(inner)), ("up", slice(inner, None)))
        )
        return [
            as_is(f"{target}gate_inp.weight", f"{source}router.layer.weight", count, hidden),
            gate,
            up,
            as_is(f"{target}down_exps.weight", f"{source}output_linear.weight", count, hidden, inner),
        ]


class _Mixer:
    """The layers of Mamba-2."""

    def __init__(self, config: Config, sizes: Sizes) -> None:
        self._hidden, self._inner = sizes.hidden, _EXPANSION * sizes.hidden
        self._heads = config.int("mamba_n_heads", minimum=1)
        self._groups = config.int("mamba_n_groups", default=1, minimum=1)
        self._state = config.int("mamba_d_state", minimum=1)
        self._kernel = config.int("mamba_d_conv", default=4, minimum=2)
        self._has_bias = config.bool("mamba_conv_bias", default=True)
        if config.int("mamba_expand", default=_EXPANSION) != _EXPANSION or config.bool(
            "mamba_proj_bias", default=False
        ):
            raise UnsupportedModel(
                "{path}: llama.cpp computes Granite 4 with a 'mamba_expand' of {factor} and without "
                "'mamba_proj_bias' only.",
                path=config.origin,
                factor=_EXPANSION,
            )
        if _limits_time_steps(config):
            raise UnsupportedModel(
                "{path}: llama.cpp computes Granite 4 without 'time_step_limit' only.", path=config.origin
            )
        if self._inner % self._heads or self._inner % self._groups or self._heads % self._groups:
            raise BadFile(
                "{path}: {heads} Mamba heads in {groups} groups do not fit {channels} channels; download it again.",
                path=config.origin,
                heads=self._heads,
                groups=self._groups,
                channels=self._inner,
            )

    @property
    def parameters(self) -> Metadata:
        return {
            "ssm.conv_kernel": self._kernel,
            "ssm.state_size": self._state,
            "ssm.group_count": self._groups,
            "ssm.time_step_rank": self._heads,
            "ssm.inner_size": self._inner,
        }

    def tensors(self, layer: int) -> list[OutputTensor]:
        source, target = f"model.layers.{layer}.mamba.", f"blk.{layer}.ssm_"
        channels = self._inner + 2 * self._groups * self._state
        rows = self._inner + channels + self._heads
        kernel = Source(f"{source}conv1d.weight", (channels, 1, self._kernel))
        bias = [as_is(f"{target}conv1d.bias", f"{source}conv1d.bias", channels)] if self._has_bias else []
        return [
            as_is(f"{target}in.weight", f"{source}in_proj.weight", rows, self._hidden),
            OutputTensor(f"{target}conv1d.weight", (channels, self._kernel), (kernel,), _squeezed, exact=True),
            *bias,
            as_is(f"{target}dt.bias", f"{source}dt_bias", self._heads),
            self._column(f"{target}a", f"{source}A_log", decay=True),
            self._column(f"{target}d", f"{source}D", decay=False),
            OutputTensor(
                f"{target}norm.weight",
                (self._groups, self._inner // self._groups),
                (Source(f"{source}norm.weight", (self._inner,)),),
                partial(np.reshape, shape=(self._groups, -1)),
                exact=True,
            ),
            as_is(f"{target}out.weight", f"{source}out_proj.weight", self._hidden, self._inner),
        ]

    def _column(self, name: str, source: str, *, decay: bool) -> OutputTensor:
        shape = (self._heads,)
        return OutputTensor(name, (self._heads, 1), (Source(source, shape),), partial(_upright, decay=decay))


def _limits_time_steps(config: Config) -> bool:
    """Tell whether time steps are held to less than everything from 0 on."""
    limits = config.entries("time_step_limit", float)
    return limits is not None and (len(limits) != 2 or limits[0] > 0 or limits[1] < math.inf)


def _upright(vector: np.ndarray, *, decay: bool) -> np.ndarray:
    return -np.exp(vector.astype(np.float32))[:, None] if decay else vector[:, None]


def _squeezed(kernel: np.ndarray) -> np.ndarray:
    return kernel[:, 0]


def _rows(packed: np.ndarray, *, chosen: slice) -> np.ndarray:
    return packed[:, chosen]


FAMILY = Family(
    name="granite_hybrid",
    title="Granite 4",
    classes=("GraniteMoeHybridForCausalLM",),
    blueprint=_blueprint,
)
