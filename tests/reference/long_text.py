"""Texts past a model's trained length in plain NumPy, float64, as its publisher's code reads and continues them.

The prompt is computed at once, each token of the reply by itself behind the keys and values that the code caches. Sources:

- Qwen (modeling_qwen.py of Qwen-7B, `QWenModel.forward`): `ntk_alpha_list` is computed where the input is as long as the cache
  with it (a prompt) and taken from `_ntk_alpha_cached_list` else; keys are cached after their rotation.
- transformers (modeling_rope_utils.py, `dynamic_frequency_update`; modeling_internlm2.py of InternLM2.5 the same): `inv_freq` is
  computed anew whenever the largest position so far grows past `max_position_embeddings`; keys are cached after their rotation.
- InternLM (modeling_internlm.py of InternLM-20B, `InternLMAttention.forward`): keys are cached before their rotation and all are
  rotated with the base of the cache's length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.reference import internlm2
from tests.reference.llama import Weights, linear, rms_norm, silu, softmax
from tests.reference.qwen import frequencies_of
from tests.reference.rotary import rotary_frequencies

Frequencies = Callable[[int, int], np.ndarray]
"""(length of the prompt, length of the text so far) -> angle per position of each pair of dimensions."""


@dataclass
class LongText:
    """A model in LLaMA's words, and how its positions go on."""

    config: Mapping[str, Any]
    weights: Weights
    frequencies: Frequencies
    cached_before_rotation: bool = False
    log_n_from: int = 0
    """0: queries are not multiplied by log n."""
    _keys: list[list[np.ndarray]] = field(default_factory=list)
    _values: list[list[np.ndarray]] = field(default_factory=list)
    _length: int = 0
    _prompt: int = 0

    def replied(self, prompt: Sequence[int], reply: Sequence[int]) -> np.ndarray:
        """Return the logits at every position of a fresh prompt and its reply: [len(prompt) + len(reply), vocabulary]."""
        layers = self.config["num_hidden_layers"]
        self._keys, self._values = [[] for _ in range(layers)], [[] for _ in range(layers)]
        self._length, self._prompt = 0, len(prompt)
        return np.concatenate([self._step(prompt), *(self._step([token]) for token in reply)])

    def _step(self, ids: Sequence[int]) -> np.ndarray:
        eps, get = self.config["rms_norm_eps"], lambda name: self.weights[name].astype(np.float64)
        x = get("model.embed_tokens.weight")[np.asarray(ids)] * self.config.get("scale_emb", 1)
        share = self.config.get("scale_depth", 0) / math.sqrt(self.config["num_hidden_layers"]) or 1.0
        for layer in range(self.config["num_hidden_layers"]):
            prefix = f"model.layers.{layer}."
            h = rms_norm(x, get(prefix + "input_layernorm.weight"), eps)
            x = x + share * self._attention(layer, prefix + "self_attn.", h)
            h = rms_norm(x, get(prefix + "post_attention_layernorm.weight"), eps)
            gated = silu(linear(self.weights, prefix + "mlp.gate_proj", h)) * linear(
                self.weights, prefix + "mlp.up_proj", h
            )
            x = x + share * linear(self.weights, prefix + "mlp.down_proj", gated)
        self._length += len(ids)
        x = rms_norm(x, get("model.norm.weight"), eps)
        x = x / (self.config["hidden_size"] / self.config.get("dim_model_base", self.config["hidden_size"]))
        return x @ get("model.embed_tokens.weight" if self.config["tie_word_embeddings"] else "lm_head.weight").T

    def _attention(self, layer: int, prefix: str, x: np.ndarray) -> np.ndarray:
        heads = self.config["num_attention_heads"]
        kv_heads = self.config.get("num_key_value_heads") or heads
        q, k, v = (
            linear(self.weights, f"{prefix}{name}_proj", x).reshape(len(x), count, -1)
            for name, count in (("q", heads), ("k", kv_heads), ("v", kv_heads))
        )
        if prefix + "q_norm.weight" in self.weights:
            q, k = (
                rms_norm(part, self.weights[f"{prefix}{name}_norm.weight"], self.config["rms_norm_eps"])
                for name, part in (("q", q), ("k", k))
            )
        places = np.arange(self._length, self._length + len(x))
        frequencies = self.frequencies(self._prompt, self._length + len(x))
        q = turned(q, places, frequencies)
        if self.log_n_from:
            q = q * np.array([max(math.log(place + 1, self.log_n_from), 1.0) for place in places])[:, None, None]
        if not self.cached_before_rotation:
            k = turned(k, places, frequencies)
        self._keys[layer].append(k)
        self._values[layer].append(v)
        keys, values = np.concatenate(self._keys[layer]), np.concatenate(self._values[layer])
        if self.cached_before_rotation:
            keys = turned(keys, np.arange(len(keys)), frequencies)
        keys, values = (np.repeat(part, heads // kv_heads, axis=1) for part in (keys, values))
        scores = np.einsum("qhd,khd->hqk", q, keys) / math.sqrt(q.shape[-1])
        scores = np.where(np.arange(len(keys)) <= places[:, None], scores, -np.inf)
        found = np.einsum("hqk,khd->qhd", softmax(scores), values).reshape(len(x), -1)
        return linear(self.weights, prefix + "o_proj", found)


def turned(x: np.ndarray, places: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Rotate the first dimensions of [n, heads, size] by these places; their two halves pair up."""
    count = 2 * len(frequencies)
    first, second = np.split(x[..., :count], 2, axis=-1)
    angles = places[:, None, None] * frequencies
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin, x[..., count:]], axis=-1)


def of_transformers(config: Mapping[str, Any], weights: Weights) -> LongText:
    """Return a LLaMA, Qwen3, InternLM3 or MiniCPM with "dynamic" scaling."""
    return LongText(config, weights, lambda prompt, length: rotary_frequencies(config, length))


def of_internlm2(config: Mapping[str, Any], weights: Weights) -> LongText:
    """Return an InternLM2 or InternLM2.5."""
    return of_transformers(config, internlm2.as_llama(config, weights))


def of_internlm(config: Mapping[str, Any], weights: Weights) -> LongText:
    """Return an InternLM-7B or 20B, whose `rotary` says what others' `rope_scaling` and `rope_theta` do."""
    own = config["rotary"]
    scaling = {"type": own["type"], "factor": own.get("scaling_factor", 1.0)}
    said = {**config, "rope_theta": own["base"], "rope_scaling": scaling}
    return LongText(said, weights, lambda prompt, length: rotary_frequencies(said, length), cached_before_rotation=True)


def of_qwen(config: Mapping[str, Any], weights: Weights) -> LongText:
    """Return a first-generation Qwen."""
    renamed = {
        "model.embed_tokens.weight": weights["transformer.wte.weight"],
        "model.norm.weight": weights["transformer.ln_f.weight"],
        "lm_head.weight": weights["lm_head.weight"],
    }
    names = {"attn.c_proj": "self_attn.o_proj", "mlp.w1": "mlp.up_proj", "mlp.w2": "mlp.gate_proj"}
    names |= {"mlp.c_proj": "mlp.down_proj", "ln_1": "input_layernorm", "ln_2": "post_attention_layernorm"}
    for layer in range(config["num_hidden_layers"]):
        source, target = f"transformer.h.{layer}.", f"model.layers.{layer}."
        for kind in ("weight", "bias"):
            packed = np.split(weights[f"{source}attn.c_attn.{kind}"], 3)
            for name, part in zip("qkv", packed, strict=True):
                renamed[f"{target}self_attn.{name}_proj.{kind}"] = part
        renamed |= {f"{target}{ours}.weight": weights[f"{source}{theirs}.weight"] for theirs, ours in names.items()}
    said = {**config, "rms_norm_eps": config["layer_norm_epsilon"]}
    log_n = config["seq_length"] if config["use_logn_attn"] else 0
    return LongText(said, renamed, lambda prompt, length: frequencies_of(config, prompt), log_n_from=log_n)
