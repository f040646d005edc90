"""Tiny checkpoints with random weights of LLaMA's near relatives, with the keys of the published configurations."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.random_llama import Checkpoint, RandomWeights, random_llama, with_experts


def random_hunyuan(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a Hunyuan whose heads are wider than the model."""
    named = {"architectures": ["HunYuanDenseV1ForCausalLM"], "model_type": "hunyuan_v1_dense", "head_dim": 32}
    scaling = {"type": "dynamic", "alpha": 1000.0, "factor": 1.0, "beta_fast": 32, "beta_slow": 1}
    named |= {"rope_scaling": scaling, "use_qk_norm": True, "tie_word_embeddings": True}
    config, weights = random_llama(seed, **{**named, **changes})
    draw = RandomWeights(seed + 1)
    for layer in range(config["num_hidden_layers"]):
        for part in ("query", "key"):
            weights[f"model.layers.{layer}.self_attn.{part}_layernorm.weight"] = draw.norm(config["head_dim"])
    return config, weights


def random_ernie(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return an ERNIE 4.5 with tied embeddings."""
    named = {"architectures": ["Ernie4_5ForCausalLM"], "model_type": "ernie4_5", "head_dim": 32, "use_bias": False}
    return random_llama(seed, **{**named, "tie_word_embeddings": True, "rope_theta": 500000.0, **changes})


def random_granite(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a Granite with multipliers like the published ones."""
    named = {"architectures": ["GraniteForCausalLM"], "model_type": "granite", "attention_multiplier": 0.09}
    named |= {"embedding_multiplier": 12.0, "residual_multiplier": 0.22, "logits_scaling": 8.0}
    return random_llama(seed, **{**named, "tie_word_embeddings": True, **changes})


def random_smollm3(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a SmolLM3 of 5 layers, the fourth without positions."""
    named = {"architectures": ["SmolLM3ForCausalLM"], "model_type": "smollm3", "num_hidden_layers": 5}
    return random_llama(seed, **{**named, "no_rope_layers": [1, 1, 1, 0, 1], "tie_word_embeddings": True, **changes})


def random_phi3(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a Phi-3, whose queries, keys and values are packed, and gate and up."""
    named = {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "original_max_position_embeddings": 512}
    config, weights = random_llama(seed, **{**named, "pad_token_id": 0, **changes})
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for packed, parts in (("self_attn.qkv", "qkv"), ("mlp.gate_up", ("gate", "up"))):
            group = packed.split(".")[0]
            rows = [weights.pop(f"{prefix}{group}.{part}_proj.weight") for part in parts]
            weights[f"{prefix}{packed}_proj.weight"] = np.concatenate(rows)
    return config, weights


def random_gemma2(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a Gemma 2: a window of 32 tokens in every second layer, scores and logits capped."""
    named = {"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "num_hidden_layers": 4, "head_dim": 32}
    named |= {"hidden_activation": "gelu_pytorch_tanh", "sliding_window": 32, "sliding_window_pattern": 2}
    named |= {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "query_pre_attn_scalar": 32}
    return _gemma(seed, {**named, "pad_token_id": 0, **changes})


def random_gemma3(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a Gemma 3: windows with a rotary base of their own in five of six layers, norms of queries and keys."""
    named = {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "num_hidden_layers": 7,
        "head_dim": 32,
    }
    named |= {"hidden_activation": "gelu_pytorch_tanh", "sliding_window": 32, "sliding_window_pattern": 6}
    named |= {"rope_theta": 1e6, "rope_local_base_freq": 10000.0, "query_pre_attn_scalar": 32}
    config, weights = _gemma(seed, {**named, "pad_token_id": 0, **changes})
    draw = RandomWeights(seed + 2)
    for layer in range(config["num_hidden_layers"]):
        for part in "qk":
            weights[f"model.layers.{layer}.self_attn.{part}_norm.weight"] = draw.norm(config["head_dim"]) - 1
    return config, weights


def _gemma(seed: int, named: dict[str, Any]) -> Checkpoint:
    config, weights = random_llama(seed, **{"rms_norm_eps": 1e-6, "tie_word_embeddings": True, **named})
    draw, hidden = RandomWeights(seed + 1), config["hidden_size"]
    for layer in range(config["num_hidden_layers"]):
        for place in ("pre", "post"):
            weights[f"model.layers.{layer}.{place}_feedforward_layernorm.weight"] = draw.norm(hidden)
    for name in [name for name in weights if name.endswith("norm.weight")]:
        weights[name] = weights[name] - 1
    return config, weights


def with_eyes(checkpoint: Checkpoint, model: str, prefix: str) -> Checkpoint:
    """Return a model of text as the part for text of a model that sees.

    Args:
        checkpoint: the model of text.
        model: class of the whole.
        prefix: what the part's tensors begin with, in the place of `model.`.
    """
    config, weights = checkpoint
    text = {key: value for key, value in config.items() if key not in ("architectures", "tie_word_embeddings")}
    whole = {"architectures": [model], "text_config": text, "vision_config": {"hidden_size": 8}}
    whole["tie_word_embeddings"] = config["tie_word_embeddings"]
    moved = {prefix + n.removeprefix("model.") if n.startswith("model.") else n: a for n, a in weights.items()}
    moved["vision_tower.patch.weight"] = RandomWeights(9).matrix(8, 8)
    return whole, moved


def random_qwen35(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a Qwen3.5 of 5 layers: the fourth has attention, the others a gated delta rule with 2 key and 4 value heads."""
    scaling = {"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25, "mrope_interleaved": True}
    named = {"architectures": ["Qwen3_5ForCausalLM"], "model_type": "qwen3_5_text", "num_hidden_layers": 5}
    named |= {"head_dim": 32, "rms_norm_eps": 1e-6, "rope_parameters": {**scaling, "mrope_section": [2, 1, 1]}}
    named |= {"linear_conv_kernel_dim": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 16}
    named |= {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "tie_word_embeddings": True}
    named |= {"layer_types": ["linear_attention"] * 3 + ["full_attention", "linear_attention"], **changes}
    config, weights = random_llama(seed, **named)
    draw, hidden = RandomWeights(seed + 1), config["hidden_size"]
    keys, values = (config[f"linear_num_{part}_heads"] * 16 for part in ("key", "value"))
    for layer, kind in enumerate(config["layer_types"]):
        prefix = f"model.layers.{layer}."
        if kind == "full_attention":
            queries = config["num_attention_heads"] * config["head_dim"]
            weights[prefix + "self_attn.q_proj.weight"] = draw.matrix(2 * queries, hidden)
            weights |= {f"{prefix}self_attn.{part}_norm.weight": draw.norm(config["head_dim"]) for part in "qk"}
            continue
        for name in [name for name in weights if name.startswith(prefix + "self_attn.")]:
            del weights[name]
        weights |= {
            f"{prefix}linear_attn.in_proj_qkv.weight": draw.matrix(2 * keys + values, hidden),
            f"{prefix}linear_attn.in_proj_z.weight": draw.matrix(values, hidden),
            f"{prefix}linear_attn.in_proj_a.weight": draw.matrix(config["linear_num_value_heads"], hidden),
            f"{prefix}linear_attn.in_proj_b.weight": draw.matrix(config["linear_num_value_heads"], hidden),
            f"{prefix}linear_attn.A_log": draw.bias(config["linear_num_value_heads"]),
            f"{prefix}linear_attn.dt_bias": draw.bias(config["linear_num_value_heads"]),
            f"{prefix}linear_attn.conv1d.weight": draw.matrix(2 * keys + values, 1, 4),
            f"{prefix}linear_attn.out_proj.weight": draw.matrix(hidden, values),
        }
    for name in [name for name in weights if name.endswith("norm.weight")]:
        weights[name] = weights[name] - 1
    for layer, kind in enumerate(config["layer_types"]):
        if kind == "linear_attention":  # this norm is stored as it multiplies
            weights[f"model.layers.{layer}.linear_attn.norm.weight"] = draw.norm(16)
    return config, weights


def random_qwen35_moe(seed: int = 0, *, packed: bool = True, **changes: Any) -> Checkpoint:
    """Return a Qwen3.5 with 8 experts and a shared one; `packed`: those of a layer in one tensor, as published."""
    named: dict[str, Any] = {
        "architectures": ["Qwen3_5MoeForCausalLM"],
        "model_type": "qwen3_5_moe_text",
        "num_experts": 8,
    }
    named |= {"num_experts_per_tok": 3, "moe_intermediate_size": 48, "shared_expert_intermediate_size": 80}
    config, weights = random_qwen35(seed, **{**named, "tie_word_embeddings": False, **changes})
    with_experts((config, weights), seed, "mlp.", ("gate_proj", "up_proj", "down_proj"))
    del config["intermediate_size"]
    draw, hidden, inner = RandomWeights(seed + 3), config["hidden_size"], config["shared_expert_intermediate_size"]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}.mlp."
        weights[f"{prefix}shared_expert_gate.weight"] = draw.matrix(1, hidden)
        weights |= {f"{prefix}shared_expert.{name}_proj.weight": draw.matrix(inner, hidden) for name in ("gate", "up")}
        weights[f"{prefix}shared_expert.down_proj.weight"] = draw.matrix(hidden, inner)
        if packed:
            gate, up, down = (
                np.stack([weights.pop(f"{prefix}experts.{expert}.{name}_proj.weight") for expert in range(8)])
                for name in ("gate", "up", "down")
            )
            weights |= {
                f"{prefix}experts.gate_up_proj": np.concatenate([gate, up], 1),
                f"{prefix}experts.down_proj": down,
            }
    return config, weights


def random_granite4(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a Granite 4 of 4 layers, the third with attention, and 8 experts beside a shared one (0: the shared one alone)."""
    named: dict[str, Any] = {"architectures": ["GraniteMoeHybridForCausalLM"], "model_type": "granitemoehybrid"}
    named |= {"num_hidden_layers": 4, "layer_types": ["mamba", "mamba", "attention", "mamba"], "intermediate_size": 48}
    named |= {
        "shared_intermediate_size": 96,
        "num_local_experts": 8,
        "num_experts_per_tok": 3,
        "tie_word_embeddings": True,
    }
    named |= {"mamba_n_heads": 8, "mamba_n_groups": 1, "mamba_d_state": 32, "mamba_d_conv": 4, "mamba_expand": 2}
    named |= {"mamba_d_head": 16, "mamba_conv_bias": True, "mamba_proj_bias": False, "position_embedding_type": "nope"}
    named |= {
        "attention_multiplier": 0.09,
        "embedding_multiplier": 12.0,
        "residual_multiplier": 0.22,
        "logits_scaling": 6.0,
    }
    config, weights = random_llama(seed, **{**named, **changes})
    draw, hidden, inner = RandomWeights(seed + 1), config["hidden_size"], config["intermediate_size"]
    heads, count, shared = config["mamba_n_heads"], config["num_local_experts"], config["shared_intermediate_size"]
    channels = 2 * hidden + 2 * config["mamba_n_groups"] * config["mamba_d_state"]
    for layer, kind in enumerate(config["layer_types"]):
        prefix = f"model.layers.{layer}."
        left = ("mlp.", "self_attn.") if kind == "mamba" else ("mlp.",)
        for name in [name for name in weights if name.startswith(tuple(prefix + part for part in left))]:
            del weights[name]
        weights[prefix + "shared_mlp.input_linear.weight"] = draw.matrix(2 * shared, hidden)
        weights[prefix + "shared_mlp.output_linear.weight"] = draw.matrix(hidden, shared)
        if count:
            weights[prefix + "block_sparse_moe.router.layer.weight"] = 2 * draw.matrix(count, hidden)
            weights[prefix + "block_sparse_moe.input_linear.weight"] = draw.matrix(count, 2 * inner, hidden)
            weights[prefix + "block_sparse_moe.output_linear.weight"] = draw.matrix(count, hidden, inner)
        if kind == "mamba":
            weights |= {
                f"{prefix}mamba.in_proj.weight": draw.matrix(2 * hidden + channels + heads, hidden),
                f"{prefix}mamba.conv1d.weight": draw.matrix(channels, 1, 4),
                f"{prefix}mamba.conv1d.bias": draw.bias(channels),
                f"{prefix}mamba.out_proj.weight": draw.matrix(hidden, 2 * hidden),
                f"{prefix}mamba.norm.weight": draw.norm(2 * hidden),
            } | {f"{prefix}mamba.{name}": draw.bias(heads) for name in ("dt_bias", "A_log", "D")}
    return config, weights
