"""Tiny gpt-oss checkpoints with random weights, with the keys of the published configuration."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.random_llama import Checkpoint, RandomWeights, random_llama

YARN = {"rope_type": "yarn", "factor": 8.0, "beta_fast": 32.0, "beta_slow": 1.0}
YARN |= {"original_max_position_embeddings": 64, "truncate": False}


def random_gpt_oss(seed: int = 0, *, packed: bool = True, **changes: Any) -> Checkpoint:
    """Return a gpt-oss of 3 layers and 8 experts, in MXFP4 as published or (`packed` False) as transformers saves it widened."""
    named: dict[str, Any] = {
        "architectures": ["GptOssForCausalLM"],
        "model_type": "gpt_oss",
        "num_hidden_layers": 3,
        "head_dim": 32,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "sliding_window": 16,
        "swiglu_limit": 7.0,
        "num_local_experts": 8,
        "num_experts_per_tok": 3,
        "rope_theta": 150000.0,
        "rope_scaling": YARN,
        "attention_bias": True,
        **({"quantization_config": {"quant_method": "mxfp4"}} if packed else {}),
        **changes,
    }
    config, weights = random_llama(seed, biases=("q", "k", "v", "o"), **named)
    draw, rng = RandomWeights(seed + 1), np.random.default_rng(seed + 2)
    hidden, inner, count = config["hidden_size"], config["intermediate_size"], config["num_local_experts"]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for name in ("gate", "up", "down"):
            del weights[f"{prefix}mlp.{name}_proj.weight"]
        weights[f"{prefix}self_attn.sinks"] = draw.bias(config["num_attention_heads"])
        weights[f"{prefix}mlp.router.weight"] = 2 * draw.matrix(count, hidden)
        weights[f"{prefix}mlp.router.bias"] = draw.bias(count)
        for name, rows, columns in (("gate_up_proj", 2 * inner, hidden), ("down_proj", hidden, inner)):
            source = f"{prefix}mlp.experts.{name}"
            weights[f"{source}_bias"] = 4 * draw.matrix(count, rows)  # large enough to reach the limits
            if packed:
                blocks = (count, rows, columns // 32)
                weights[f"{source}_blocks"] = rng.integers(0, 256, (*blocks, 16), np.uint8)
                weights[f"{source}_scales"] = rng.integers(122, 126, blocks, np.uint8)
            else:
                weights[source] = 2 * draw.matrix(count, columns, rows)
    return config, weights
