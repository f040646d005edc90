"""Baichuan and Baichuan2, 7B (rotary positions) and 13B (ALiBi), Base and Chat.

Sources: the publisher's modeling_baichuan.py of the four repositories. llama.cpp tells rotary positions from ALiBi by the number
of layers alone (32 and 40; any other number gets no positions at all), so a checkpoint with another number is written as an
architecture that computes the same: `llama`, or `refact` with ALiBi.
"""

from __future__ import annotations

import numpy as np

from models.chat.published import baichuan_chat
from models.config import Config
from models.decoder import Shapes, Sizes, decoder_parameters, embeddings, gated_mlp, norms, read_sizes, require_silu
from models.family import Blueprint, Family, Metadata, OutputTensor
from models.layers import as_is, rotary_pairs, row_parts
from models.rotary import read_rotary

_ROTARY_LAYERS, _ALIBI_LAYERS = 32, 40
_ROTARY_WIDTH, _ALIBI_WIDTH = 4096, 5120
_SECOND_VOCABULARY = 125696


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    alibi = _has_alibi(config)
    rotary = read_rotary(config, sizes.head_dim, factors=False)
    head = normalised_rows if _has_normalised_head(config) else None
    tensors = embeddings(sizes, shapes, tied=False, head=head)
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += _attention(sizes, layer, interleaved=not alibi)
        tensors += gated_mlp(sizes, layer, shapes)
    parameters: Metadata = decoder_parameters(config, sizes) | rotary.parameters
    return Blueprint(
        architecture=_architecture(sizes, alibi=alibi),
        parameters=parameters,
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        chat=baichuan_chat(config),
        warnings=rotary.warnings,
    )


def _has_alibi(config: Config) -> bool:
    """Tell 13B from 7B, which share a class name: only the configuration of 7B has `max_position_embeddings`."""
    if "BaiChuanForCausalLM" in config.classes:  # with this capital letter only Baichuan-7B
        return False
    width = config.int("hidden_size")
    if width in (_ROTARY_WIDTH, _ALIBI_WIDTH):
        return width == _ALIBI_WIDTH
    return "max_position_embeddings" not in config


def _has_normalised_head(config: Config) -> bool:
    """Tell the second generation (its NormHead) from the first: by what only its configuration has, or by its vocabulary."""
    return "z_loss_weight" in config or config.int("vocab_size") >= _SECOND_VOCABULARY


def _architecture(sizes: Sizes, *, alibi: bool) -> str:
    if alibi:
        return "baichuan" if sizes.layers == _ALIBI_LAYERS else "refact"
    return "baichuan" if sizes.layers == _ROTARY_LAYERS else "llama"


def _attention(sizes: Sizes, layer: int, *, interleaved: bool) -> list[OutputTensor]:
    source, target, hidden = f"model.layers.{layer}.self_attn.", f"blk.{layer}.attn_", sizes.hidden
    reorder = rotary_pairs(sizes.heads) if interleaved else None
    names = tuple(f"{target}{part}.weight" for part in "qkv")
    return [
        *row_parts(names, f"{source}W_pack.weight", (hidden,) * 3, hidden, then=(reorder, reorder, None)),
        as_is(f"{target}output.weight", f"{source}o_proj.weight", hidden, hidden),
    ]


def normalised_rows(rows: np.ndarray) -> np.ndarray:
    """Return rows of length 1, as NormHead makes them before its first product (torch.nn.functional.normalize)."""
    wide = rows.astype(np.float32)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    return np.asarray(wide / np.maximum(lengths, 1e-12))


FAMILY = Family(
    name="baichuan",
    title="Baichuan and Baichuan2",
    classes=("BaichuanForCausalLM", "BaiChuanForCausalLM"),
    model_types=("baichuan",),
    blueprint=_blueprint,
)
