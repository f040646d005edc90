"""ChatGLM2-6B, ChatGLM3-6B, GLM-4-9B and CodeGeeX2 in the publisher's own layout: llama.cpp's `chatglm`.

Source of the layout: THUDM/chatglm2-6b, THUDM/chatglm3-6b and THUDM/glm-4-9b-chat, modeling_chatglm.py.
"""

from __future__ import annotations

from models.chat.glm import chatglm_chat
from models.config import Config
from models.decoder import Shapes
from models.errors import UnsupportedModel
from models.family import Blueprint, Family, Metadata, OutputTensor
from models.glm import matrix
from models.layers import as_is
from models.vocab.chatglm import read_chatglm_vocabulary

_BASE = 10000.0


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    _refuse_other_blocks(config)
    heads = config.int("num_attention_heads", minimum=1)
    rows = config.int("padded_vocab_size", "vocab_size", minimum=1)
    return Blueprint(
        architecture="chatglm",
        parameters={
            "block_count": config.int("num_layers", "num_hidden_layers", minimum=1),
            "context_length": config.int("seq_length", default=2048, minimum=1),
            "embedding_length": config.int("hidden_size", minimum=1),
            "feed_forward_length": config.int("ffn_hidden_size", minimum=1),
            "attention.head_count": heads,
            "attention.head_count_kv": _groups(config),
            "attention.layer_norm_rms_epsilon": config.float("layernorm_epsilon", default=1e-5),
            "rope.dimension_count": _head_dim(config) // 2,
            "vocab_size": rows,
            **_rotary(config),
        },
        tensors=_tensors(config, shapes, rows),
        vocabulary_size=rows,
        read_vocabulary=read_chatglm_vocabulary,
        chat=chatglm_chat(config),
    )


def _refuse_other_blocks(config: Config) -> None:
    """Raise `UnsupportedModel` for switches that no published model sets and llama.cpp does not compute."""
    for key, published in (
        ("rmsnorm", True),
        ("post_layer_norm", True),
        ("add_bias_linear", False),
        ("apply_residual_connection_post_layernorm", False),
    ):
        if config.bool(key, default=published) is not published:
            raise UnsupportedModel(
                "{path} sets {key!r} as no published ChatGLM does; llama.cpp cannot run it.",
                path=config.origin,
                key=key,
            )
    if "pre_seq_len" in config:
        raise UnsupportedModel(
            "{path} is of a P-Tuning checkpoint (pre_seq_len), which holds no model; convert the model it was "
            "tuned on.",
            path=config.origin,
        )
    if _head_dim(config) * config.int("num_attention_heads") != config.int("hidden_size"):
        raise UnsupportedModel(
            "{path}: kv_channels times heads must be hidden_size for llama.cpp to run it.", path=config.origin
        )


def _head_dim(config: Config) -> int:
    return config.int(
        "kv_channels", default=config.int("hidden_size") // config.int("num_attention_heads", minimum=1), minimum=4
    )


def _groups(config: Config) -> int:
    heads = config.int("num_attention_heads")
    shared = config.bool("multi_query_attention", default=False)
    return config.int("multi_query_group_num", minimum=1) if shared else heads


def _rotary(config: Config) -> Metadata:
    """Return what `rope_ratio` means: ChatGLM2-6B-32K divides the positions by it, all later models multiply the base."""
    ratio = config.float("rope_ratio", default=1.0, minimum=1e-3, maximum=1e6)
    if "chatglm2" in config.str("_name_or_path", default="").lower() and ratio != 1.0:
        return {"rope.freq_base": _BASE, "rope.scaling.type": "linear", "rope.scaling.factor": ratio}
    return {"rope.freq_base": _BASE * ratio}


def _tensors(config: Config, shapes: Shapes, rows: int) -> tuple[OutputTensor, ...]:
    hidden = config.int("hidden_size")
    tensors = [
        matrix("token_embd.weight", "transformer.embedding.word_embeddings.weight", (rows, hidden), shapes),
        as_is("output_norm.weight", "transformer.encoder.final_layernorm.weight", hidden),
    ]
    if not config.bool("tie_word_embeddings", default=False):
        tensors.append(matrix("output.weight", "transformer.output_layer.weight", (rows, hidden), shapes))
    for layer in range(config.int("num_layers", "num_hidden_layers")):
        tensors += _layer(config, shapes, layer)
    return tuple(tensors)


def _layer(config: Config, shapes: Shapes, layer: int) -> list[OutputTensor]:
    """Return one block; llama.cpp takes the packed projections as they are: queries, keys, values; gate, up."""
    hidden, intermediate_size = config.int("hidden_size"), config.int("ffn_hidden_size")
    packed = hidden + 2 * _groups(config) * _head_dim(config)
    source, target = f"transformer.encoder.layers.{layer}.", f"blk.{layer}."
    attention, mlp = f"{source}self_attention.", f"{source}mlp."
    has_bias = config.bool("add_qkv_bias", default=False)
    bias = [as_is(f"{target}attn_qkv.bias", f"{attention}query_key_value.bias", packed)] if has_bias else []
    return [
        as_is(f"{target}attn_norm.weight", f"{source}input_layernorm.weight", hidden),
        matrix(f"{target}attn_qkv.weight", f"{attention}query_key_value.weight", (packed, hidden), shapes),
        *bias,
        matrix(f"{target}attn_output.weight", f"{attention}dense.weight", (hidden, hidden), shapes),
        as_is(f"{target}ffn_norm.weight", f"{source}post_attention_layernorm.weight", hidden),
        matrix(f"{target}ffn_up.weight", f"{mlp}dense_h_to_4h.weight", (2 * intermediate_size, hidden), shapes),
        matrix(f"{target}ffn_down.weight", f"{mlp}dense_4h_to_h.weight", (hidden, intermediate_size), shapes),
    ]


FAMILY = Family(
    name="chatglm",
    title="ChatGLM2, ChatGLM3, GLM-4",
    classes=("ChatGLMModel", "ChatGLMForConditionalGeneration"),
    model_types=("chatglm",),
    blueprint=_blueprint,
    recognise=lambda config: "position_encoding_2d" not in config and "inner_hidden_size" not in config,
)
