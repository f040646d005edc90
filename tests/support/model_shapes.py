"""config.json of published models, as far as sizes go: for tests of memory, which need shapes and no weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from desktop_app.library.catalogue import catalogue

_OF_THE_CATALOGUE = (
    "Llama-3.2-1B", "Llama-2-7B", "Llama-3-8B", "Llama-2-13B", "Qwen2.5-0.5B", "Qwen2.5-7B", "Qwen3-0.6B", "Qwen3-8B",
    "Qwen3-30B-A3B", "Qwen1.5-MoE-A2.7B", "Mixtral-8x7B", "Baichuan-7B", "Baichuan-13B", "Baichuan2-7B", "Qwen-7B",
    "InternLM-7B", "InternLM2-7B", "InternLM3-8B", "MiniCPM-2B", "ChatGLM3-6B", "GLM-4-9B", "GLM-4-9B-0414", "RWKV-6-1.6B",
    "RWKV-6-7B", "RWKV-7-0.1B", "RWKV-7-2.9B", "ChatGLM-6B", "RWKV-4-0.4B",
    "MiniCPM3-4B", "DeepSeek-V2-Lite", "GLM-4.7-Flash", "Hunyuan-1.8B", "ERNIE-4.5-0.3B", "Granite-3.3-2B", "SmolLM3-3B",
    "Phi-3.5-mini", "Phi-4-mini", "Gemma-2-2B", "Gemma-3-4B", "Qwen3.5-0.8B", "Qwen3.5-4B", "gpt-oss-20B", "GLM-4.5-Air",
    "DeepSeek-MoE-16B", "Qwen3.5-35B-A3B", "Granite-4.0-H-1B", "Granite-4.0-H-Tiny",
)  # fmt: skip
_OTHERS: dict[str, dict[str, Any]] = {
    "SmolLM2-135M": {
        "architectures": ["LlamaForCausalLM"],
        "rms_norm_eps": 1e-05,
        "max_position_embeddings": 8192,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    },
    "Mistral-7B-v0.1": {
        "architectures": ["MistralForCausalLM"],
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32000,
        "rms_norm_eps": 1e-05,
        "max_position_embeddings": 32768,
        "sliding_window": 4096,
    },
}
SHAPES: Mapping[str, Mapping[str, Any]] = _OTHERS | {name: catalogue().shapes[name] for name in _OF_THE_CATALOGUE}
