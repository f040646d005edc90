"""Tiny MiniCPM3 and DeepSeek checkpoints with random weights, with the keys of the published configurations."""

from __future__ import annotations

from typing import Any

from tests.support.random_llama import Checkpoint, RandomWeights


def random_minicpm3(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a MiniCPM3 with tied embeddings."""
    named: dict[str, Any] = {
        "architectures": ["MiniCPM3ForCausalLM"],
        "model_type": "minicpm3",
        "rms_norm_eps": 1e-5,
        "q_lora_rank": 48,
        "kv_lora_rank": 32,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 8,
        "v_head_dim": 16,
        "scale_emb": 12,
        "scale_depth": 1.4,
        "dim_model_base": 256,
        "tie_word_embeddings": True,
        **changes,
    }
    return _random(seed, named)


def random_deepseek(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a DeepSeek-V2-Lite of 3 layers, whose first has no experts."""
    named: dict[str, Any] = {
        "architectures": ["DeepseekV2ForCausalLM"],
        "model_type": "deepseek_v2",
        "rms_norm_eps": 1e-6,
        "q_lora_rank": None,
        "kv_lora_rank": 32,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 8,
        "v_head_dim": 24,
        "first_k_dense_replace": 1,
        "moe_intermediate_size": 48,
        "n_routed_experts": 8,
        "n_shared_experts": 2,
        "num_experts_per_tok": 3,
        "norm_topk_prob": False,
        "routed_scaling_factor": 1.0,
        "scoring_func": "softmax",
        "topk_method": "greedy",
        "n_group": 1,
        "topk_group": 1,
        "tie_word_embeddings": False,
        **changes,
    }
    return _random(seed, named)


def random_deepseek3(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a DeepSeek-V3: latent queries, experts in 4 groups of which 2 count, chosen with a bias."""
    named = {"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "q_lora_rank": 48}
    named |= {
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "norm_topk_prob": True,
        "routed_scaling_factor": 2.5,
    }
    return random_deepseek(seed, **{**named, "n_group": 4, "topk_group": 2, **changes})


def _random(seed: int, named: dict[str, Any]) -> Checkpoint:
    config: dict[str, Any] = {
        "hidden_act": "silu",
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 512,
        "rope_theta": 10000.0,
        "vocab_size": 128,
        **named,
    }
    draw, hidden = RandomWeights(seed), config["hidden_size"]
    weights = {
        "model.embed_tokens.weight": draw.matrix(config["vocab_size"], hidden),
        "model.norm.weight": draw.norm(hidden),
    }
    if not config["tie_word_embeddings"]:
        weights["lm_head.weight"] = draw.matrix(config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        weights[prefix + "input_layernorm.weight"] = draw.norm(hidden)
        weights[prefix + "post_attention_layernorm.weight"] = draw.norm(hidden)
        weights |= {f"{prefix}self_attn.{name}": array for name, array in _attention(config, draw).items()}
        dense = layer < config.get("first_k_dense_replace", config["num_hidden_layers"])
        if dense:
            weights |= _mlp(f"{prefix}mlp.", config["intermediate_size"], hidden, draw)
            continue
        inner = config["moe_intermediate_size"]
        weights |= _mlp(f"{prefix}mlp.shared_experts.", inner * config["n_shared_experts"], hidden, draw)
        weights[f"{prefix}mlp.gate.weight"] = 2 * draw.matrix(config["n_routed_experts"], hidden)
        if config["scoring_func"] == "sigmoid":
            weights[f"{prefix}mlp.gate.e_score_correction_bias"] = draw.bias(config["n_routed_experts"])
        for expert in range(config["n_routed_experts"]):
            weights |= _mlp(f"{prefix}mlp.experts.{expert}.", inner, hidden, draw)
    return config, weights


def _attention(config: dict[str, Any], draw: RandomWeights) -> dict[str, Any]:
    hidden, heads, rank = config["hidden_size"], config["num_attention_heads"], config["kv_lora_rank"]
    still, rotary_dim, value = config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]
    narrow = config["q_lora_rank"]
    queries = {"q_proj.weight": draw.matrix(heads * (still + rotary_dim), hidden)}
    if narrow:
        queries = {
            "q_a_proj.weight": draw.matrix(narrow, hidden),
            "q_a_layernorm.weight": draw.norm(narrow),
            "q_b_proj.weight": draw.matrix(heads * (still + rotary_dim), narrow),
        }
    return queries | {
        "kv_a_proj_with_mqa.weight": draw.matrix(rank + rotary_dim, hidden),
        "kv_a_layernorm.weight": draw.norm(rank),
        "kv_b_proj.weight": draw.matrix(heads * (still + value), rank),
        "o_proj.weight": draw.matrix(hidden, heads * value),
    }


def _mlp(prefix: str, inner: int, hidden: int, draw: RandomWeights) -> dict[str, Any]:
    return {
        f"{prefix}gate_proj.weight": draw.matrix(inner, hidden),
        f"{prefix}up_proj.weight": draw.matrix(inner, hidden),
        f"{prefix}down_proj.weight": draw.matrix(hidden, inner),
    }
