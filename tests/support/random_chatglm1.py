"""Random ChatGLM-6B checkpoints in the publisher's layout."""

from __future__ import annotations

from typing import Any

import numpy as np


def random_chatglm1(
    seed: int = 0, *, hidden: int = 64, heads: int = 4, layers: int = 3, rows: int = 96, **changes: Any
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a configuration and float32 weights; the ids from 90 on are special."""
    config: dict[str, Any] = {
        "architectures": ["ChatGLMModel"],
        "model_type": "chatglm",
        "hidden_size": hidden,
        "inner_hidden_size": 4 * hidden,
        "num_layers": layers,
        "num_attention_heads": heads,
        "layernorm_epsilon": 1e-5,
        "max_sequence_length": 1024,
        "position_encoding_2d": True,
        "vocab_size": rows,
        "mask_token_id": 90,
        "gmask_token_id": 91,
        "bos_token_id": 92,
        "eos_token_id": 93,
        "pad_token_id": 3,
        **changes,
    }
    rng = np.random.default_rng(seed)

    def matrix(out: int, into: int) -> np.ndarray:
        return (rng.standard_normal((out, into)) / np.sqrt(into)).astype(np.float32)

    def around(center: float, size: int) -> np.ndarray:
        return (center + 0.1 * rng.standard_normal(size)).astype(np.float32)

    def norm(name: str) -> dict[str, np.ndarray]:
        return {f"{name}.weight": around(1, hidden), f"{name}.bias": around(0, hidden)}

    tensors = {"transformer.word_embeddings.weight": matrix(rows, hidden), "lm_head.weight": matrix(rows, hidden)}
    for layer in range(layers):
        block = f"transformer.layers.{layer}."
        tensors |= norm(f"{block}input_layernorm") | norm(f"{block}post_attention_layernorm")
        shapes = {
            "attention.query_key_value": (3 * hidden, hidden),
            "attention.dense": (hidden, hidden),
            "mlp.dense_h_to_4h": (4 * hidden, hidden),
            "mlp.dense_4h_to_h": (hidden, 4 * hidden),
        }
        for name, shape in shapes.items():
            tensors[f"{block}{name}.weight"] = matrix(*shape)
            tensors[f"{block}{name}.bias"] = around(0, shape[0])
    return config, tensors | norm("transformer.final_layernorm")
