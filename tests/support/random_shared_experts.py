"""Tiny GLM-4.5 and DeepSeekMoE checkpoints with random weights, with the keys of the published configurations."""

from __future__ import annotations

from typing import Any

from tests.support.random_llama import Checkpoint, RandomWeights, random_llama


def random_glm4_moe(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a GLM-4.5 of 3 layers, whose first has no experts, with the layer behind them that guesses a further token."""
    named: dict[str, Any] = {
        "architectures": ["Glm4MoeForCausalLM"],
        "model_type": "glm4_moe",
        "head_dim": 32,
        "attention_bias": True,
        "partial_rotary_factor": 0.5,
        "use_qk_norm": True,
        "rope_theta": 1e6,
        "norm_topk_prob": True,
        "routed_scaling_factor": 2.5,
        "n_group": 1,
        "topk_group": 1,
        "scoring_func": "sigmoid",
        "num_nextn_predict_layers": 1,
        **changes,
    }
    config, weights = _with_experts(*random_llama(seed, biases=("q", "k", "v"), **(_MIXED | named)), seed)
    draw = RandomWeights(seed + 4)
    if config["use_qk_norm"]:
        for layer in range(config["num_hidden_layers"]):
            for part in "qk":
                weights[f"model.layers.{layer}.self_attn.{part}_norm.weight"] = draw.norm(config["head_dim"])
    weights[f"model.layers.{config['num_hidden_layers']}.eh_proj.weight"] = draw.matrix(64, 128)
    return config, weights


def random_deepseek_moe(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a DeepSeekMoE of 3 layers, whose first has no experts."""
    named: dict[str, Any] = {
        "architectures": ["DeepseekForCausalLM"],
        "model_type": "deepseek",
        "attention_bias": False,
        "moe_layer_freq": 1,
        "norm_topk_prob": False,
        "scoring_func": "softmax",
        **changes,
    }
    return _with_experts(*random_llama(seed, **(_MIXED | named)), seed)


_MIXED: dict[str, Any] = {
    "num_hidden_layers": 3,
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 48,
    "n_routed_experts": 8,
    "n_shared_experts": 2,
    "num_experts_per_tok": 3,
}


def _with_experts(config: dict[str, Any], weights: dict[str, Any], seed: int) -> Checkpoint:
    draw = RandomWeights(seed + 1)
    hidden, inner, count = config["hidden_size"], config["moe_intermediate_size"], config["n_routed_experts"]
    for layer in range(config["first_k_dense_replace"], config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}.mlp."
        for name in ("gate", "up", "down"):
            del weights[f"{prefix}{name}_proj.weight"]
        weights[f"{prefix}gate.weight"] = 2 * draw.matrix(count, hidden)
        if config["scoring_func"] == "sigmoid":
            weights[f"{prefix}gate.e_score_correction_bias"] = draw.bias(count)
        parts = {f"experts.{expert}.": inner for expert in range(count)}
        for part, rows in (parts | {"shared_experts.": inner * config["n_shared_experts"]}).items():
            weights |= {f"{prefix}{part}{name}_proj.weight": draw.matrix(rows, hidden) for name in ("gate", "up")}
            weights[f"{prefix}{part}down_proj.weight"] = draw.matrix(hidden, rows)
    return config, weights
