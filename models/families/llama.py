"""LLaMA 1, 2 and 3.x, and every model published in their layout.

Source of the layout: transformers, models/llama/modeling_llama.py.
"""

from __future__ import annotations

from collections.abc import Collection

from models.config import Config
from models.errors import UnsupportedModel
from models.family import Blueprint, Family, OutputTensor
from models.layers import as_is, changed, only_present, rotary_pairs
from models.rotary import llama3_factors, rotary_parameters


def _blueprint(config: Config, names: Collection[str] | None) -> Blueprint:
    hidden = config.int("hidden_size", minimum=1)
    heads = config.int("num_attention_heads", minimum=1)
    head_size = config.int("head_dim", default=hidden // heads)
    if config.str("hidden_act", default="silu") not in ("silu", "swish"):
        raise UnsupportedModel(
            f"{config.origin} asks for the activation {config.data['hidden_act']!r}; LLaMA uses silu."
        )
    vocabulary = config.int("vocab_size", minimum=1)
    return Blueprint(
        architecture="llama",
        parameters={
            "block_count": config.int("num_hidden_layers", minimum=1),
            "context_length": config.int("max_position_embeddings", "max_sequence_length", default=2048),
            "embedding_length": hidden,
            "feed_forward_length": config.int("intermediate_size", minimum=1),
            "attention.head_count": heads,
            "attention.head_count_kv": config.int("num_key_value_heads", default=heads),
            "attention.layer_norm_rms_epsilon": config.float("rms_norm_eps", default=1e-6),
            "attention.key_length": head_size,
            "attention.value_length": head_size,
            "rope.dimension_count": head_size,
            "vocab_size": vocabulary,
            **rotary_parameters(config),
        },
        tensors=_tensors(config, names, hidden, head_size, vocabulary),
        vocabulary_size=vocabulary,
    )


def _tensors(
    config: Config, names: Collection[str] | None, hidden: int, head_size: int, vocabulary: int
) -> tuple[OutputTensor, ...]:
    tensors = [
        as_is("token_embd.weight", "model.embed_tokens.weight", vocabulary, hidden),
        as_is("output_norm.weight", "model.norm.weight", hidden),
    ]
    if not config.bool("tie_word_embeddings", default=False):
        tensors.append(as_is("output.weight", "lm_head.weight", vocabulary, hidden))
    for layer in range(config.int("num_hidden_layers")):
        tensors += _layer(config, names, layer, hidden, head_size)
    return (*tensors, *llama3_factors(config, head_size))


def _layer(
    config: Config, names: Collection[str] | None, layer: int, hidden: int, head_size: int
) -> list[OutputTensor]:
    heads = config.int("num_attention_heads")
    kv_heads = config.int("num_key_value_heads", default=heads)
    queries, keys = heads * head_size, kv_heads * head_size
    inner = config.int("intermediate_size")
    source, target = f"model.layers.{layer}.", f"blk.{layer}."
    attention, mlp = f"{source}self_attn.", f"{source}mlp."
    tensors = [
        as_is(f"{target}attn_norm.weight", f"{source}input_layernorm.weight", hidden),
        changed(f"{target}attn_q.weight", f"{attention}q_proj.weight", (queries, hidden), rotary_pairs(heads)),
        changed(f"{target}attn_k.weight", f"{attention}k_proj.weight", (keys, hidden), rotary_pairs(kv_heads)),
        as_is(f"{target}attn_v.weight", f"{attention}v_proj.weight", keys, hidden),
        as_is(f"{target}attn_output.weight", f"{attention}o_proj.weight", hidden, queries),
        as_is(f"{target}ffn_norm.weight", f"{source}post_attention_layernorm.weight", hidden),
        as_is(f"{target}ffn_gate.weight", f"{mlp}gate_proj.weight", inner, hidden),
        as_is(f"{target}ffn_up.weight", f"{mlp}up_proj.weight", inner, hidden),
        as_is(f"{target}ffn_down.weight", f"{mlp}down_proj.weight", hidden, inner),
    ]
    biases = [
        changed(f"{target}attn_q.bias", f"{attention}q_proj.bias", (queries,), rotary_pairs(heads)),
        changed(f"{target}attn_k.bias", f"{attention}k_proj.bias", (keys,), rotary_pairs(kv_heads)),
        as_is(f"{target}attn_v.bias", f"{attention}v_proj.bias", keys),
        as_is(f"{target}attn_output.bias", f"{attention}o_proj.bias", hidden),
        as_is(f"{target}ffn_gate.bias", f"{mlp}gate_proj.bias", inner),
        as_is(f"{target}ffn_up.bias", f"{mlp}up_proj.bias", inner),
        as_is(f"{target}ffn_down.bias", f"{mlp}down_proj.bias", hidden),
    ]
    declared = names
    if declared is None and not config.bool("attention_bias", "bias", default=False):
        declared = ()
    return [*tensors, *only_present(biases, declared)]


FAMILY = Family(
    name="llama",
    title="LLaMA",
    classes=("LlamaForCausalLM", "LLaMAForCausalLM"),
    blueprint=_blueprint,
)
