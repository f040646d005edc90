"""Tiny LLaMA checkpoints with random weights."""

from __future__ import annotations

from typing import Any

import numpy as np


def random_llama(
    seed: int = 0, *, biases: bool = False, **changes: Any
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a configuration and float32 weights of its shapes."""
    config: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "vocab_size": 128,
        "tie_word_embeddings": False,
        "hidden_act": "silu",
        **changes,
    }
    rng = np.random.default_rng(seed)
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    size = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * size, config["num_key_value_heads"] * size

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)

    def vector(count: int) -> np.ndarray:
        return (1 + 0.1 * rng.standard_normal(count)).astype(np.float32)

    weights = {
        "model.embed_tokens.weight": matrix(config["vocab_size"], hidden),
        "model.norm.weight": vector(hidden),
    }
    if not config["tie_word_embeddings"]:
        weights["lm_head.weight"] = matrix(config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        shapes = {
            "self_attn.q_proj": (queries, hidden),
            "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden),
            "self_attn.o_proj": (hidden, queries),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
        }
        weights[prefix + "input_layernorm.weight"] = vector(hidden)
        weights[prefix + "post_attention_layernorm.weight"] = vector(hidden)
        for name, shape in shapes.items():
            weights[f"{prefix}{name}.weight"] = matrix(*shape)
            if biases and name.startswith("self_attn"):
                weights[f"{prefix}{name}.bias"] = 0.1 * vector(shape[0])
    return config, weights
