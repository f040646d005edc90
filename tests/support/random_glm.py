"""Tiny GLM checkpoints with random weights, in the publisher's layouts and that of transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

Checkpoint = tuple[dict[str, Any], dict[str, np.ndarray]]


class _Random:
    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def matrix(self, rows: int, columns: int) -> np.ndarray:
        return (self._rng.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)

    def scale(self, count: int) -> np.ndarray:
        return (1 + 0.1 * self._rng.standard_normal(count)).astype(np.float32)

    def bias(self, count: int) -> np.ndarray:
        return (0.1 * self._rng.standard_normal(count)).astype(np.float32)


def random_chatglm(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a checkpoint in the layout of ChatGLM2, ChatGLM3 and GLM-4."""
    config: dict[str, Any] = {
        "architectures": ["ChatGLMModel"],
        "model_type": "chatglm",
        "add_bias_linear": False,
        "add_qkv_bias": True,
        "apply_residual_connection_post_layernorm": False,
        "ffn_hidden_size": 96,
        "hidden_size": 64,
        "kv_channels": 16,
        "layernorm_epsilon": 1e-5,
        "multi_query_attention": True,
        "multi_query_group_num": 2,
        "num_attention_heads": 4,
        "num_layers": 2,
        "original_rope": True,
        "padded_vocab_size": 128,
        "post_layer_norm": True,
        "rmsnorm": True,
        "seq_length": 1024,
        "tie_word_embeddings": False,
        "eos_token_id": 2,
        "pad_token_id": 0,
        **changes,
    }
    random = _Random(seed)
    hidden, inner, rows = config["hidden_size"], config["ffn_hidden_size"], config["padded_vocab_size"]
    groups = config["multi_query_group_num"] if config["multi_query_attention"] else config["num_attention_heads"]
    packed = hidden + 2 * groups * config["kv_channels"]
    weights = {
        "transformer.embedding.word_embeddings.weight": random.matrix(rows, hidden),
        "transformer.rotary_pos_emb.inv_freq": random.scale(config["kv_channels"] // 4),
        "transformer.encoder.final_layernorm.weight": random.scale(hidden),
        "transformer.output_layer.weight": random.matrix(rows, hidden),
    }
    for layer in range(config["num_layers"]):
        name = f"transformer.encoder.layers.{layer}."
        weights |= {
            name + "input_layernorm.weight": random.scale(hidden),
            name + "self_attention.query_key_value.weight": random.matrix(packed, hidden),
            name + "self_attention.query_key_value.bias": random.bias(packed),
            name + "self_attention.dense.weight": random.matrix(hidden, hidden),
            name + "post_attention_layernorm.weight": random.scale(hidden),
            name + "mlp.dense_h_to_4h.weight": random.matrix(2 * inner, hidden),
            name + "mlp.dense_4h_to_h.weight": random.matrix(hidden, inner),
        }
        if not config["add_qkv_bias"]:
            del weights[name + "self_attention.query_key_value.bias"]
    return config, weights


def random_glm(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a checkpoint in the layout of transformers: GlmForCausalLM, or Glm4ForCausalLM by `architectures`."""
    config: dict[str, Any] = {
        "architectures": ["GlmForCausalLM"],
        "model_type": "glm",
        "attention_bias": True,
        "head_dim": 16,
        "hidden_act": "silu",
        "hidden_size": 64,
        "intermediate_size": 96,
        "max_position_embeddings": 1024,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "pad_token_id": 0,
        "partial_rotary_factor": 0.5,
        "rms_norm_eps": 1.5625e-07,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "vocab_size": 128,
        **changes,
    }
    random = _Random(seed)
    hidden, inner, rows, size = (config[key] for key in ("hidden_size", "intermediate_size", "vocab_size", "head_dim"))
    counts = {
        "q": config["num_attention_heads"],
        "k": config["num_key_value_heads"],
        "v": config["num_key_value_heads"],
    }
    weights = {"model.embed_tokens.weight": random.matrix(rows, hidden), "model.norm.weight": random.scale(hidden)}
    if not config["tie_word_embeddings"]:
        weights["lm_head.weight"] = random.matrix(rows, hidden)
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        for part, count in counts.items():
            weights[f"{name}self_attn.{part}_proj.weight"] = random.matrix(count * size, hidden)
            if config["attention_bias"]:
                weights[f"{name}self_attn.{part}_proj.bias"] = random.bias(count * size)
        weights |= {
            name + "self_attn.o_proj.weight": random.matrix(hidden, counts["q"] * size),
            name + "mlp.gate_up_proj.weight": random.matrix(2 * inner, hidden),
            name + "mlp.down_proj.weight": random.matrix(hidden, inner),
            name + "input_layernorm.weight": random.scale(hidden),
            name + "post_attention_layernorm.weight": random.scale(hidden),
        }
        if config["architectures"] == ["Glm4ForCausalLM"]:
            weights[name + "post_self_attn_layernorm.weight"] = random.scale(hidden)
            weights[name + "post_mlp_layernorm.weight"] = random.scale(hidden)
    return config, weights


def random_chatglm1(seed: int = 0, **changes: Any) -> Checkpoint:
    """Return a checkpoint in the layout of ChatGLM-6B."""
    config: dict[str, Any] = {
        "architectures": ["ChatGLMModel"],
        "model_type": "chatglm",
        "bos_token_id": 104,
        "eos_token_id": 105,
        "gmask_token_id": 101,
        "mask_token_id": 100,
        "pad_token_id": 3,
        "hidden_size": 64,
        "inner_hidden_size": 256,
        "layernorm_epsilon": 1e-5,
        "max_sequence_length": 512,
        "num_attention_heads": 4,
        "num_layers": 2,
        "position_encoding_2d": True,
        "vocab_size": 128,
        **changes,
    }
    random = _Random(seed)
    hidden, inner, rows = config["hidden_size"], config["inner_hidden_size"], config["vocab_size"]
    weights = {
        "transformer.word_embeddings.weight": random.matrix(rows, hidden),
        "transformer.final_layernorm.weight": random.scale(hidden),
        "transformer.final_layernorm.bias": random.bias(hidden),
        "lm_head.weight": random.matrix(rows, hidden),
    }
    for layer in range(config["num_layers"]):
        name = f"transformer.layers.{layer}."
        weights[name + "attention.rotary_emb.inv_freq"] = random.scale(hidden // config["num_attention_heads"] // 4)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{name}{norm}.weight"] = random.scale(hidden)
            weights[f"{name}{norm}.bias"] = random.bias(hidden)
        for linear, shape in (
            ("attention.query_key_value", (3 * hidden, hidden)),
            ("attention.dense", (hidden, hidden)),
            ("mlp.dense_h_to_4h", (inner, hidden)),
            ("mlp.dense_4h_to_h", (hidden, inner)),
        ):
            weights[f"{name}{linear}.weight"] = random.matrix(*shape)
            weights[f"{name}{linear}.bias"] = random.bias(shape[0])
    return config, weights


def quantized_by_publisher(weights: dict[str, np.ndarray], bits: int, *layers: str) -> dict[str, np.ndarray]:
    """Return the checkpoint as the publisher's INT8 and INT4 repositories hold it: matrices of blocks (and `layers`) quantized.

    Source: THUDM/chatglm-6b, quantization.py, `QuantizedLinear` and `compress_int4_weight`.
    """
    result: dict[str, np.ndarray] = {}
    for name, weight in weights.items():
        if weight.ndim != 2 or not (".layers." in name or name in layers):
            result[name] = weight.astype(np.float16) if weight.ndim == 2 else weight
            continue
        scale = (np.abs(weight).max(-1) / (2 ** (bits - 1) - 1)).astype(np.float16)
        numbers = np.round(weight / scale.astype(np.float32)[:, None]).astype(np.int8)
        if bits == 4:
            numbers = (numbers[:, 0::2] << 4 | numbers[:, 1::2] & 15).astype(np.int8)
        result |= {name: numbers, name + "_scale": scale}
    return result
