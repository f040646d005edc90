"""Tiny checkpoints with random weights, in the layout of LLaMA and of its nearest relatives."""

from __future__ import annotations

from typing import Any

import numpy as np

Checkpoint = tuple[dict[str, Any], dict[str, np.ndarray]]
"""config.json, and float32 weights of its shapes."""


class RandomWeights:
    """Draws weights of a size that keeps activations near 1."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def matrix(self, *shape: int) -> np.ndarray:
        return (self._rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    def norm(self, count: int) -> np.ndarray:
        return (1 + 0.1 * self._rng.standard_normal(count)).astype(np.float32)

    def bias(self, count: int) -> np.ndarray:
        return (0.3 * self._rng.standard_normal(count)).astype(np.float32)


def random_llama(seed: int = 0, *, biases: tuple[str, ...] = (), **changes: Any) -> Checkpoint:
    """Return a LLaMA whose projections named in `biases` (without "_proj") have biases; `changes` go into the configuration."""
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
    draw = RandomWeights(seed)
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    size = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * size, config["num_key_value_heads"] * size
    weights = {
        "model.embed_tokens.weight": draw.matrix(config["vocab_size"], hidden),
        "model.norm.weight": draw.norm(hidden),
    }
    if not config["tie_word_embeddings"]:
        weights["lm_head.weight"] = draw.matrix(config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        shapes = {
            "self_attn.q": (queries, hidden),
            "self_attn.k": (keys, hidden),
            "self_attn.v": (keys, hidden),
            "self_attn.o": (hidden, queries),
            "mlp.gate": (inner, hidden),
            "mlp.up": (inner, hidden),
            "mlp.down": (hidden, inner),
        }
        weights[prefix + "input_layernorm.weight"] = draw.norm(hidden)
        weights[prefix + "post_attention_layernorm.weight"] = draw.norm(hidden)
        for name, shape in shapes.items():
            weights[f"{prefix}{name}_proj.weight"] = draw.matrix(*shape)
            if name.split(".")[1] in biases:
                weights[f"{prefix}{name}_proj.bias"] = draw.bias(shape[0])
    return config, weights


def random_qwen2(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a Qwen2: LLaMA with biases of queries, keys and values."""
    config = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "rope_theta": 1e6, **changes}
    return random_llama(seed, biases=("q", "k", "v"), **config)


def random_qwen3(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a Qwen3: LLaMA with norms of each head's query and key, heads wider than the model."""
    named = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 32, "attention_bias": False}
    config, weights = random_llama(seed, **{**named, **changes})
    draw = RandomWeights(seed + 1)
    for layer in range(config["num_hidden_layers"]):
        for part in "qk":
            weights[f"model.layers.{layer}.self_attn.{part}_norm.weight"] = draw.norm(config["head_dim"])
    return config, weights


def random_qwen3_moe(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a Qwen3 whose feed-forward networks are mixtures of 8 experts."""
    mixture = {"num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 48, "norm_topk_prob": True}
    named = {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", **mixture}
    return with_experts(random_qwen3(seed, **{**named, **changes}), seed, "mlp.", ("gate_proj", "up_proj", "down_proj"))


def random_qwen2_moe(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a Qwen1.5-MoE: a mixture of 8 experts and one that all tokens share."""
    mixture = {"num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 48, "norm_topk_prob": False}
    named = {"architectures": ["Qwen2MoeForCausalLM"], "model_type": "qwen2_moe", "decoder_sparse_step": 1, **mixture}
    named |= {"shared_expert_intermediate_size": 80}
    config, weights = random_qwen2(seed, **{**named, **changes})
    with_experts((config, weights), seed, "mlp.", ("gate_proj", "up_proj", "down_proj"))
    draw = RandomWeights(seed + 3)
    hidden, inner = config["hidden_size"], config["shared_expert_intermediate_size"]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}.mlp.shared_expert"
        weights[f"{prefix}_gate.weight"] = draw.matrix(1, hidden)
        weights |= {f"{prefix}.{name}_proj.weight": draw.matrix(inner, hidden) for name in ("gate", "up")}
        weights[f"{prefix}.down_proj.weight"] = draw.matrix(hidden, inner)
    return config, weights


def random_mixtral(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a Mixtral with 4 experts."""
    named = {"architectures": ["MixtralForCausalLM"], "num_local_experts": 4, "num_experts_per_tok": 2}
    return with_experts(random_llama(seed, **{**named, **changes}), seed, "block_sparse_moe.", ("w1", "w3", "w2"))


def with_experts(checkpoint: Checkpoint, seed: int, part: str, names: tuple[str, str, str]) -> Checkpoint:
    """Put mixtures in the place of the feed-forward networks, but for the layers that a configuration leaves dense."""
    config, weights = checkpoint
    step, dense = config.get("decoder_sparse_step", 1), config.get("mlp_only_layers", ())
    draw = RandomWeights(seed + 2)
    count = config.get("num_experts") or config["num_local_experts"]
    inner, hidden = config.get("moe_intermediate_size") or config["intermediate_size"], config["hidden_size"]
    for layer in range(config["num_hidden_layers"]):
        if layer in dense or (layer + 1) % step:
            continue
        prefix = f"model.layers.{layer}."
        for name in ("gate", "up", "down"):
            del weights[f"{prefix}mlp.{name}_proj.weight"]
        weights[f"{prefix}{part}gate.weight"] = 2 * draw.matrix(count, hidden)
        for expert in range(count):
            for name, shape in zip(names, ((inner, hidden), (inner, hidden), (hidden, inner)), strict=True):
                weights[f"{prefix}{part}experts.{expert}.{name}.weight"] = draw.matrix(*shape)
    return config, weights
