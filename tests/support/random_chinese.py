"""Tiny checkpoints of the first Qwen, InternLM and MiniCPM with random weights, with the names that their publishers gave."""

from __future__ import annotations

from typing import Any

from tests.support.random_llama import Checkpoint, RandomWeights, random_llama


def random_qwen(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a first-generation Qwen, trained with 64 tokens."""
    config: dict[str, Any] = {
        "architectures": ["QWenLMHeadModel"],
        "model_type": "qwen",
        "hidden_size": 64,
        "intermediate_size": 192,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "kv_channels": 16,
        "layer_norm_epsilon": 1e-6,
        "max_position_embeddings": 512,
        "seq_length": 64,
        "rotary_emb_base": 10000,
        "rotary_pct": 1.0,
        "no_bias": True,
        "scale_attn_weights": True,
        "tie_word_embeddings": False,
        "use_dynamic_ntk": True,
        "use_logn_attn": True,
        "vocab_size": 128,
        **changes,
    }
    draw, hidden, inner = RandomWeights(seed), config["hidden_size"], config["intermediate_size"] // 2
    weights = {
        "transformer.wte.weight": draw.matrix(config["vocab_size"], hidden),
        "transformer.ln_f.weight": draw.norm(hidden),
        "lm_head.weight": draw.matrix(config["vocab_size"], hidden),
    }
    for layer in range(config["num_hidden_layers"]):
        prefix = f"transformer.h.{layer}."
        weights |= {
            prefix + "ln_1.weight": draw.norm(hidden),
            prefix + "attn.c_attn.weight": draw.matrix(3 * hidden, hidden),
            prefix + "attn.c_attn.bias": draw.bias(3 * hidden),
            prefix + "attn.c_proj.weight": draw.matrix(hidden, hidden),
            prefix + "ln_2.weight": draw.norm(hidden),
            prefix + "mlp.w1.weight": draw.matrix(inner, hidden),
            prefix + "mlp.w2.weight": draw.matrix(inner, hidden),
            prefix + "mlp.c_proj.weight": draw.matrix(hidden, inner),
        }
    return config, weights


def random_internlm(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return an InternLM-7B (with biases), or a 20B with `bias=False`."""
    named = {"architectures": ["InternLMForCausalLM"], "model_type": "internlm", "bias": True, "num_key_value_heads": 4}
    named |= {"rotary": {"base": 20000, "type": "dynamic"}, "rope_theta": None, **changes}
    config, weights = random_llama(seed, biases=("q", "k", "v", "o") if named["bias"] else (), **named)
    return {key: value for key, value in config.items() if key not in ("rope_theta", "num_key_value_heads")}, weights


def random_internlm2(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return an InternLM2: 8 query heads in 2 groups."""
    config: dict[str, Any] = {
        "architectures": ["InternLM2ForCausalLM"],
        "model_type": "internlm2",
        "bias": False,
        "hidden_act": "silu",
        "hidden_size": 64,
        "intermediate_size": 96,
        "max_position_embeddings": 512,
        "num_attention_heads": 8,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
        "rope_scaling": {"factor": 2.0, "type": "dynamic"},
        "rope_theta": 1000000,
        "tie_word_embeddings": False,
        "vocab_size": 128,
        **changes,
    }
    draw, hidden, inner = RandomWeights(seed), config["hidden_size"], config["intermediate_size"]
    size = hidden // config["num_attention_heads"]
    packed = (config["num_attention_heads"] + 2 * config["num_key_value_heads"]) * size
    weights = {
        "model.tok_embeddings.weight": draw.matrix(config["vocab_size"], hidden),
        "model.norm.weight": draw.norm(hidden),
        "output.weight": draw.matrix(config["vocab_size"], hidden),
    }
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        weights |= {
            prefix + "attention_norm.weight": draw.norm(hidden),
            prefix + "attention.wqkv.weight": draw.matrix(packed, hidden),
            prefix + "attention.wo.weight": draw.matrix(hidden, hidden),
            prefix + "ffn_norm.weight": draw.norm(hidden),
            prefix + "feed_forward.w1.weight": draw.matrix(inner, hidden),
            prefix + "feed_forward.w3.weight": draw.matrix(inner, hidden),
            prefix + "feed_forward.w2.weight": draw.matrix(hidden, inner),
        }
    return config, weights


def random_internlm3(seed: int = 0, *, qkv_bias: bool = False, bias: bool = False, **changes: Any) -> Checkpoint:
    """Return an InternLM3, whose heads need not be as wide as the model."""
    biases = ("q", "k", "v") * qkv_bias + ("o", "gate", "up", "down") * bias
    named = {"architectures": ["InternLM3ForCausalLM"], "model_type": "internlm3", "head_dim": 32, **changes}
    named |= {"qkv_bias": qkv_bias, "bias": bias, "rope_scaling": {"factor": 6.0, "rope_type": "dynamic"}}
    return random_llama(seed, biases=biases, **named)


def random_minicpm(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a MiniCPM with tied embeddings, which its configuration does not mention."""
    named = {"architectures": ["MiniCPMForCausalLM"], "model_type": "minicpm", "scale_emb": 12, "scale_depth": 1.4}
    named |= {"dim_model_base": 16, "num_hidden_layers": 3, "tie_word_embeddings": True, **changes}
    config, weights = random_llama(seed, **named)
    return config, weights
