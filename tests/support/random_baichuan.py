"""Tiny Baichuan checkpoints with random weights, with the keys of the published configurations."""

from __future__ import annotations

from typing import Any

from tests.support.random_llama import Checkpoint, RandomWeights

FIRST_7B = {"architectures": ["BaiChuanForCausalLM"], "max_position_embeddings": 4096}
FIRST_13B = {"architectures": ["BaichuanForCausalLM"], "model_max_length": 4096}
SECOND_7B = {
    "architectures": ["BaichuanForCausalLM"],
    "max_position_embeddings": 4096,
    "model_max_length": 4096,
    "z_loss_weight": 0,
}
SECOND_13B = {"architectures": ["BaichuanForCausalLM"], "model_max_length": 4096, "z_loss_weight": 0}


def random_baichuan(published: dict[str, Any], layers: int, *, heads: int = 6, seed: int = 0) -> Checkpoint:
    """Return a model of `layers` layers with one of the published configurations above."""
    config = {
        "model_type": "baichuan",
        "hidden_act": "silu",
        "hidden_size": 8 * heads,
        "intermediate_size": 64,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        "vocab_size": 96,
        **published,
    }
    draw, hidden, inner = RandomWeights(seed), 8 * heads, 64
    weights = {
        "model.embed_tokens.weight": draw.matrix(96, hidden),
        "model.norm.weight": draw.norm(hidden),
        "lm_head.weight": 3 * draw.matrix(96, hidden),
    }
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        weights |= {
            prefix + "input_layernorm.weight": draw.norm(hidden),
            prefix + "post_attention_layernorm.weight": draw.norm(hidden),
            prefix + "self_attn.W_pack.weight": draw.matrix(3 * hidden, hidden),
            prefix + "self_attn.o_proj.weight": draw.matrix(hidden, hidden),
            prefix + "mlp.gate_proj.weight": draw.matrix(inner, hidden),
            prefix + "mlp.up_proj.weight": draw.matrix(inner, hidden),
            prefix + "mlp.down_proj.weight": draw.matrix(hidden, inner),
        }
    return config, weights
