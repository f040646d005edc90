"""gpt-oss, 20B and 120B: experts published in four bits, attention with sinks, a sliding window in every second layer.

Source of the layout: transformers, models/gpt_oss/modeling_gpt_oss.py and integrations/mxfp4.py. Gate and up lie row by row in
turn in one matrix. Sinks are scores of nothing: they take part in each head's softmax and give no value. llama.cpp computes the
gate's activation (SwiGLU with a limit of 7 and a slope of 1.702) with these numbers only.
"""

from __future__ import annotations

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
    norms,
    read_sizes,
    require_silu,
)
from models.errors import BadFile, UnsupportedModel
from models.family import Blueprint, Family, Metadata, OutputTensor, Source
from models.gguf_constants import GGMLQuantizationType
from models.layers import as_is
from models.rotary import Rotary, is_truncated, read_rotary
from models.sentence import Sentence

_BASE = 150000.0
_SCALING = {"rope_type": "yarn", "factor": 32.0, "truncate": False, "original_max_position_embeddings": 4096}
"""What transformers takes where a configuration is silent."""
_ACTIVATION = {"swiglu_limit": 7.0, "swiglu_alpha": 1.702}
_BLOCK = 32
"""Elements of a block of MXFP4: 16 bytes of two 4-bit floats each, and one of their common exponent."""
_ROUNDED = Sentence(
    "llama.cpp rounds two bounds of this model's positions to whole numbers, which the publisher's code does not: in long chats "
    "it sees distant words a little differently."
)


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    _refuse_other_forms(config)
    sizes = read_sizes(config, head_dim=64)
    rotary = _read_rotary(config, sizes)
    experts = _Experts(config, sizes, shapes)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False), always_head=True)
    for layer in range(sizes.layers):
        before, after = norms(layer, sizes.hidden)
        tensors += [before, OutputTensor(f"blk.{layer}.post_attention_norm.weight", after.shape, after.sources)]
        tensors += attention(sizes, layer, shapes, interleaved=False, bias=True)
        tensors.append(as_is(f"blk.{layer}.attn_sinks.weight", f"model.layers.{layer}.self_attn.sinks", sizes.heads))
        tensors += experts.tensors(layer)
    return Blueprint(
        architecture="gpt-oss",
        parameters=decoder_parameters(config, sizes)
        | rotary.parameters
        | experts.parameters
        | {
            "attention.layer_norm_rms_epsilon": config.float("rms_norm_eps", default=1e-5, minimum=0),
        }
        | _windows(config, sizes.layers, int(rotary.parameters["context_length"])),
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
        default_quant="Q5_K_M",
    )


def _refuse_other_forms(config: Config) -> None:
    require_silu(config)
    for name, value in _ACTIVATION.items():
        if config.float(name, default=value) != value:
            raise UnsupportedModel(
                "{path}: llama.cpp computes this family with a {key!r} of {value:g} only.",
                path=config.origin,
                key=name,
                value=value,
            )
    if not config.bool("attention_bias", default=True):
        raise UnsupportedModel(
            "{path}: llama.cpp computes this family's attention with biases only.", path=config.origin
        )


def _read_rotary(config: Config, sizes: Sizes) -> Rotary:
    """Return the positions; YaRN's bounds, which the publisher does not round, are rounded in llama.cpp."""
    name = "rope_parameters" if "rope_parameters" in config else "rope_scaling"
    section = config.section(name)
    scaling = {key: value for key, value in (section.data if name in config else _SCALING).items() if key != "truncate"}
    is_rounded = scaling.get("rope_type", scaling.get("type")) != "yarn" or (name in config and is_truncated(section))
    base = config.float("rope_theta", default=_BASE, minimum=1)
    rotary = read_rotary(config.changed(rope_theta=base, **{name: scaling}), sizes.head_dim, factors=False)
    return rotary if is_rounded else Rotary(rotary.parameters, warnings=(*rotary.warnings, _ROUNDED))


def _windows(config: Config, layers: int, context: int) -> Metadata:
    """Return which layers see a window only: every second one, beginning with the first, where nothing else is said."""
    listed = config.entries("layer_types", str)
    kinds = {"sliding_attention": True, "full_attention": False}
    if listed is None:
        listed = [("sliding_attention", "full_attention")[layer % 2] for layer in range(layers)]
    if len(listed) != layers or not all(kind in kinds for kind in listed):
        raise BadFile(
            "{path}: 'layer_types' must have {layers} entries, sliding or full; download it again.",
            path=config.origin,
            layers=layers,
        )
    pattern = [kinds[kind] for kind in listed]
    window = config.int("sliding_window", default=128, minimum=1)
    if not any(pattern):  # llama.cpp refuses such a list
        pattern, window = [True] * layers, context
    return {"attention.sliding_window": window, "attention.sliding_window_pattern": pattern}


class _Experts:
    """The mixture in every layer, in four bits as published or widened (transformers' own layout, columns first)."""

    def __init__(self, config: Config, sizes: Sizes, shapes: Shapes) -> None:
        self._count = config.int("num_local_experts", "num_experts", minimum=1)
        self._used = config.int("num_experts_per_tok", "experts_per_token", minimum=1)
        self._intermediate_size, self._hidden = sizes.intermediate_size, sizes.hidden
        method = config.section("quantization_config").str("quant_method", default="")
        packed = "model.layers.0.mlp.experts.down_proj_blocks"
        self._packed = method.lower() == "mxfp4" if shapes is None else packed in shapes
        if self._packed and (self._intermediate_size % _BLOCK or self._hidden % _BLOCK):
            raise BadFile(
                "{path}: sizes of experts in MXFP4 must be multiples of {count}; download it again.",
                path=config.origin,
                count=_BLOCK,
            )
        self.parameters: Metadata = {
            **expert_counts(config, self._count, self._used),
            "expert_feed_forward_length": self._intermediate_size,
        }

    def tensors(self, layer: int) -> list[OutputTensor]:
        source, target = f"model.layers.{layer}.mlp.", f"blk.{layer}.ffn_"
        both = f"{source}experts.gate_up_proj"
        tensors = [
            as_is(f"{target}gate_inp.weight", f"{source}router.weight", self._count, self._hidden),
            as_is(f"{target}gate_inp.bias", f"{source}router.bias", self._count),
            self._matrix(
                f"{target}down_exps.weight", f"{source}experts.down_proj", self._hidden, self._intermediate_size
            ),
            as_is(f"{target}down_exps.bias", f"{source}experts.down_proj_bias", self._count, self._hidden),
        ]
        for first, name in enumerate(("gate", "up")):
            rows = slice(first, None, 2)
            tensors.append(
                self._matrix(f"{target}{name}_exps.weight", both, self._intermediate_size, self._hidden, rows, 2)
            )
            bias = Source(f"{both}_bias", (self._count, 2 * self._intermediate_size))
            shape = (self._count, self._intermediate_size)
            tensors.append(OutputTensor(f"{target}{name}_exps.bias", shape, (bias,), partial(_columns, chosen=rows)))
        return tensors

    def _matrix(
        self, name: str, source: str, rows: int, columns: int, chosen: slice = slice(None), times: int = 1
    ) -> OutputTensor:
        """Return a matrix of each expert [experts, rows, columns], of whose source's `times` as many rows some are chosen."""
        shape, stored = (self._count, rows, columns), rows * times
        if not self._packed:
            widened = Source(source, (self._count, columns, stored))
            return OutputTensor(name, shape, (widened,), partial(_transposed, chosen=chosen))
        scales = (self._count, stored, columns // _BLOCK)
        blocks = Source(f"{source}_blocks", (*scales, _BLOCK // 2), integers=True)
        sources = (blocks, Source(f"{source}_scales", scales, integers=True))
        return OutputTensor(
            name, shape, sources, partial(_repacked, chosen=chosen), encoding=GGMLQuantizationType.MXFP4
        )


def _columns(bias: np.ndarray, *, chosen: slice) -> np.ndarray:
    return bias[:, chosen]


def _transposed(weight: np.ndarray, *, chosen: slice) -> np.ndarray:
    return weight[:, :, chosen].swapaxes(1, 2)


def _repacked(blocks: np.ndarray, scales: np.ndarray, *, chosen: slice) -> np.ndarray:
    """Return ggml's blocks, uint8 [experts, rows, columns / 32 * 17], of the same numbers: only their places differ.

    Published bytes hold neighbours, the even element low; ggml's hold element n low and element n + 16 high, behind the exponent.
    """
    scales = scales[:, chosen]
    packed = np.empty((*scales.shape, 1 + _BLOCK // 2), np.uint8)
    packed[..., 0] = scales
    for expert, theirs in zip(packed, blocks[:, chosen], strict=True):  # one at a time: a layer's have 130 MB
        first, second = theirs[..., : _BLOCK // 4], theirs[..., _BLOCK // 4 :]
        expert[..., 1::2] = first & 0x0F | second << 4
        expert[..., 2::2] = first >> 4 | second & 0xF0
    return packed.reshape(*scales.shape[:-1], -1)


FAMILY = Family(
    name="gpt_oss",
    title="gpt-oss",
    classes=("GptOssForCausalLM",),
    blueprint=_blueprint,
    quantized=("mxfp4",),
)
