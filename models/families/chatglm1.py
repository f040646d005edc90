"""ChatGLM-6B, the first generation: our own architecture `chatglm1`, which the graph runner computes.

Source of the layout: THUDM/chatglm-6b, modeling_chatglm.py.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from models.chat.glm import CHATGLM1
from models.config import Config
from models.decoder import Shapes
from models.errors import UnsupportedModel
from models.family import Blueprint, Family, OutputTensor, Shape, Source
from models.glm import matrix
from models.layers import as_is
from models.vocab.icetk import read_icetk_vocabulary

_RESIDUAL_SCALE = math.sqrt(2 * 28)
"""The published code never tells its blocks how many layers there are, so their default of 28 counts always."""


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    hidden = config.int("hidden_size", minimum=1)
    heads = config.int("num_attention_heads", minimum=1)
    rows = config.int("vocab_size", minimum=1)
    if not config.bool("position_encoding_2d", default=True):
        raise UnsupportedModel(
            "{path} has one-dimensional positions, which no published ChatGLM-6B has.", path=config.origin
        )
    if "pre_seq_len" in config:
        raise UnsupportedModel(
            "{path} is of a P-Tuning checkpoint (pre_seq_len), which holds no model; convert the model it was "
            "tuned on.",
            path=config.origin,
        )
    if hidden % heads or hidden // heads % 4:
        raise UnsupportedModel("{path}: hidden_size must be a multiple of four times the heads.", path=config.origin)
    tensors = [
        matrix("token_embd.weight", "transformer.word_embeddings.weight", (rows, hidden), shapes),
        *_affine("output_norm", "transformer.final_layernorm", hidden),
        matrix("output.weight", "lm_head.weight", (rows, hidden), shapes),
    ]
    for layer in range(config.int("num_layers", "num_hidden_layers", minimum=1)):
        tensors += _layer(config, shapes, layer)
    sop = config.int("bos_token_id")
    return Blueprint(
        architecture="chatglm1",
        parameters={
            "block_count": config.int("num_layers", "num_hidden_layers"),
            "context_length": config.int("max_sequence_length", default=2048, minimum=1),
            "embedding_length": hidden,
            "feed_forward_length": config.int("inner_hidden_size", default=4 * hidden, minimum=1),
            "attention.head_count": heads,
            "attention.layer_norm_epsilon": config.float("layernorm_epsilon", default=1e-5),
            "rope.freq_base": 10000.0,
            "residual_scale": _RESIDUAL_SCALE,
            "mask_token_id": config.int("mask_token_id", default=max(sop - 4, 0)),
            "gmask_token_id": config.int("gmask_token_id", default=max(sop - 3, 0)),
            "sop_token_id": sop,
            "vocab_size": rows,
        },
        tensors=tuple(tensors),
        vocabulary_size=rows,
        read_vocabulary=read_icetk_vocabulary,
        chat=CHATGLM1,
    )


def _layer(config: Config, shapes: Shapes, layer: int) -> list[OutputTensor]:
    hidden = config.int("hidden_size")
    heads = config.int("num_attention_heads")
    intermediate_size = config.int("inner_hidden_size", default=4 * hidden)
    source, target = f"transformer.layers.{layer}.", f"blk.{layer}."
    packed = f"{source}attention.query_key_value"
    tensors = [*_affine(f"{target}attn_norm", f"{source}input_layernorm", hidden)]
    for number, part in enumerate("qkv"):
        rows = partial(_of_each_head, heads=heads, part=number)
        name = f"{target}attn_{part}"
        shape = (3 * hidden, hidden)
        tensors += [
            matrix(f"{name}.weight", f"{packed}.weight", (hidden, hidden), shapes, stored=shape, rows=rows),
            OutputTensor(f"{name}.bias", (hidden,), (Source(f"{packed}.bias", (3 * hidden,)),), rows),
        ]
    return [
        *tensors,
        *_linear(f"{target}attn_output", f"{source}attention.dense", (hidden, hidden), shapes),
        *_affine(f"{target}ffn_norm", f"{source}post_attention_layernorm", hidden),
        *_linear(f"{target}ffn_up", f"{source}mlp.dense_h_to_4h", (intermediate_size, hidden), shapes),
        *_linear(f"{target}ffn_down", f"{source}mlp.dense_4h_to_h", (hidden, intermediate_size), shapes),
    ]


def _affine(name: str, source: str, size: int) -> list[OutputTensor]:
    return [as_is(f"{name}.{part}", f"{source}.{part}", size) for part in ("weight", "bias")]


def _linear(name: str, source: str, shape: Shape, shapes: Shapes) -> list[OutputTensor]:
    return [
        matrix(f"{name}.weight", f"{source}.weight", shape, shapes),
        as_is(f"{name}.bias", f"{source}.bias", shape[0]),
    ]


def _of_each_head(packed: np.ndarray, *, heads: int, part: int) -> np.ndarray:
    """Return the queries (0), keys (1) or values (2) of rows [heads, 3, head size]."""
    parts = packed.reshape(heads, 3, -1, *packed.shape[1:])
    return np.ascontiguousarray(parts[:, part]).reshape(-1, *packed.shape[1:])


FAMILY = Family(
    name="chatglm1",
    title="ChatGLM-6B",
    classes=("ChatGLMModel", "ChatGLMForConditionalGeneration"),
    model_types=("chatglm",),
    blueprint=_blueprint,
    recognise=lambda config: "position_encoding_2d" in config or "inner_hidden_size" in config,
)
