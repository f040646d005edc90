"""Attention through narrow latent vectors (MLA): what MiniCPM3 and DeepSeek share of it.

Queries, and keys with values, are products of two matrices with a norm between them; the part of each key that rotates is one for
all heads. Source: DeepSeek-AI 2024 (DeepSeek-V2, section 2.1); names as in the publishers' code.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.config import Config
from models.errors import BadFile
from models.family import OutputTensor
from models.layers import as_is


@dataclass(frozen=True)
class LatentSizes:
    """The sizes that determine the shapes of the attention's tensors."""

    heads: int
    hidden: int
    query_rank: int
    """Width of the latent queries; 0: queries are made by one matrix."""
    rank: int
    """Width of the latent keys and values."""
    qk_nope_head_dim: int
    """Dimensions of a query head that do not rotate."""
    qk_rope_head_dim: int
    """Dimensions of a query head that rotate."""
    value: int
    """Dimensions of a value head."""

    @property
    def head(self) -> int:
        """Dimensions of a query head."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim


def read_latent_sizes(config: Config) -> LatentSizes:
    """Read the sizes.

    Raises:
        BadFile: one is missing or cannot be.
    """
    heads, hidden = config.int("num_attention_heads", minimum=1), config.int("hidden_size", minimum=1)
    sizes = LatentSizes(
        heads=heads,
        hidden=hidden,
        query_rank=config.int("q_lora_rank", default=0),
        rank=config.int("kv_lora_rank", minimum=1),
        qk_nope_head_dim=config.int("qk_nope_head_dim", minimum=1),
        qk_rope_head_dim=config.int("qk_rope_head_dim", minimum=2),
        value=config.int("v_head_dim", default=max(hidden // heads, 1), minimum=1),
    )
    if sizes.qk_rope_head_dim % 2 or config.int("num_key_value_heads", default=heads) != heads:
        raise BadFile(
            "{path}: {rotary_dim} rotating dimensions, {heads} query heads and other numbers of this attention do "
            "not fit together; download it again.",
            path=config.origin,
            rotary_dim=sizes.qk_rope_head_dim,
            heads=heads,
        )
    return sizes


def latent_queries(sizes: LatentSizes, layer: int) -> list[OutputTensor]:
    """Return the query's matrices and the norm between them."""
    source, target = f"model.layers.{layer}.self_attn.", f"blk.{layer}.attn_"
    rows = sizes.heads * sizes.head
    if not sizes.query_rank:
        return [as_is(f"{target}q.weight", f"{source}q_proj.weight", rows, sizes.hidden)]
    return [
        as_is(f"{target}q_a.weight", f"{source}q_a_proj.weight", sizes.query_rank, sizes.hidden),
        as_is(f"{target}q_a_norm.weight", f"{source}q_a_layernorm.weight", sizes.query_rank),
        as_is(f"{target}q_b.weight", f"{source}q_b_proj.weight", rows, sizes.query_rank),
    ]


def latent_keys(sizes: LatentSizes, layer: int) -> list[OutputTensor]:
    """Return what makes the latent keys and values, its norm, and the attention's output."""
    source, target = f"model.layers.{layer}.self_attn.", f"blk.{layer}.attn_"
    return [
        as_is(
            f"{target}kv_a_mqa.weight",
            f"{source}kv_a_proj_with_mqa.weight",
            sizes.rank + sizes.qk_rope_head_dim,
            sizes.hidden,
        ),
        as_is(f"{target}kv_a_norm.weight", f"{source}kv_a_layernorm.weight", sizes.rank),
        as_is(f"{target}output.weight", f"{source}o_proj.weight", sizes.hidden, sizes.heads * sizes.value),
    ]
