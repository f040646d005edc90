"""DeepSeek-V2-Lite, DeepSeek-V3, GLM-4.7-Flash and what else has this layout: latent attention, and experts beside shared ones.

Source: the publisher's modeling_deepseek.py of DeepSeek-V2-Lite and DeepSeek-V3; transformers, models/deepseek_v3 and
models/glm4_moe_lite. llama.cpp keeps only the latent vectors in its cache: the matrix that makes keys and values of them is cut
in two, and the keys' part transposed, to be multiplied with queries. Layers beyond `num_hidden_layers` guess further tokens; they
are left out.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from models.config import Config
from models.decoder import (
    Shapes,
    Sizes,
    decoder_parameters,
    embeddings,
    norms,
    read_sizes,
    require_silu,
)
from models.errors import UnsupportedModel
from models.family import Blueprint, Family, Metadata, OutputTensor, Source
from models.latent import LatentSizes, latent_keys, latent_queries, read_latent_sizes
from models.rotary import Rotary, read_rotary
from models.shared_experts import feed_forward, read_routing

_LITE_LAYERS = (26, 27)
"""Models of as many layers make queries by one matrix, llama.cpp believes; of the others it wants to be told."""
_LISTS_LAYERS = "glm4moeliteforcausallm"
_SIGMOID_CLASSES = ("deepseekv3forcausallm", _LISTS_LAYERS)


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    config = _with_dense_layers(config)
    require_silu(config)
    latent = read_latent_sizes(config)
    sizes = read_sizes(config, head_dim=latent.qk_rope_head_dim)
    if config.bool("attention_bias", default=False):
        raise UnsupportedModel("{path}: llama.cpp computes this family's attention without biases.", path=config.origin)
    if not config.bool("rope_interleave", default=True):
        raise UnsupportedModel(
            "{path}: llama.cpp rotates neighbouring elements only in this family.", path=config.origin
        )
    rotary = _scaled(read_rotary(config, latent.qk_rope_head_dim, factors=False), config)
    sigmoid = _has_sigmoid(config)
    if not sigmoid and config.bool("norm_topk_prob", default=False):
        raise UnsupportedModel(
            "{path}: 'norm_topk_prob' is true, which the publisher's code and transformers compute in two ways in this family; "
            "choose a model without it.",
            path=config.origin,
        )
    routing = read_routing(config, sigmoid=sigmoid)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += latent_queries(latent, layer)
        tensors += latent_keys(latent, layer)
        tensors += _keys_and_values(latent, layer)
        tensors += feed_forward(config, sizes, layer, shapes, sigmoid=sigmoid)
    return Blueprint(
        architecture="deepseek2",
        parameters=decoder_parameters(config, sizes)
        | rotary.parameters
        | _latent_parameters(config, sizes, latent)
        | routing
        | {"leading_dense_block_count": config.int("first_k_dense_replace", default=0)},
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


def _with_dense_layers(config: Config) -> Config:
    """Return the configuration with `first_k_dense_replace`, where it lists the layers instead, as GLM-4.7-Flash does.

    Raises:
        UnsupportedModel: a dense layer follows one with experts.
    """
    listed = config.entries("mlp_layer_types", str)
    if listed is None:
        lite = any(name.lower() == _LISTS_LAYERS for name in config.classes) and "first_k_dense_replace" not in config
        return config.changed(first_k_dense_replace=1) if lite else config
    dense = next((layer for layer, kind in enumerate(listed) if kind != "dense"), len(listed))
    if listed != ["dense"] * dense + ["sparse"] * (len(listed) - dense):
        raise UnsupportedModel(
            "{path}: llama.cpp wants the layers without experts before all others in this family.", path=config.origin
        )
    return config.changed(first_k_dense_replace=dense)


def _scaled(rotary: Rotary, config: Config) -> Rotary:
    """Return the positions with YaRN in this architecture's words: scores grow by its factor, rotated vectors do not.

    Raises:
        UnsupportedModel: both grow, or another scaling is asked for; no published model does.
    """
    kind = rotary.parameters.get("rope.scaling.type")
    if kind == "linear":  # llama.cpp changes the scores by its factor, too
        raise UnsupportedModel(
            "{path} asks for rotary scaling of type {kind!r}, which llama.cpp does not compute for this family.",
            path=config.origin,
            kind=kind,
        )
    if kind != "yarn":
        return rotary
    scaling = config.section("rope_parameters", "rope_scaling")
    weights = [scaling.float(name, default=0.0, minimum=0, maximum=100) for name in ("mscale", "mscale_all_dim")]
    if weights[0] != weights[1] or not weights[0]:
        raise UnsupportedModel(
            "{path}: llama.cpp computes this family's YaRN with 'mscale' and 'mscale_all_dim' alike only.",
            path=scaling.origin,
        )
    kept = {key: value for key, value in rotary.parameters.items() if key != "rope.scaling.attn_factor"}
    return Rotary(kept | {"rope.scaling.yarn_log_multiplier": 0.1 * weights[1]}, warnings=rotary.warnings)


def _latent_parameters(config: Config, sizes: Sizes, latent: LatentSizes) -> Metadata:
    """Return the keys of the attention; what lies in the cache is one head of a latent vector and the rotating part."""
    lite = sizes.layers in _LITE_LAYERS
    if lite and latent.query_rank:
        raise UnsupportedModel(
            "{path}: llama.cpp takes {layers} layers for DeepSeek-V2-Lite, whose queries are not latent.",
            path=config.origin,
            layers=sizes.layers,
        )
    return {
        "attention.head_count_kv": 1,
        **({} if lite else {"attention.q_lora_rank": latent.query_rank}),
        "attention.kv_lora_rank": latent.rank,
        "attention.key_length": latent.rank + latent.qk_rope_head_dim,
        "attention.value_length": latent.rank,
        "attention.key_length_mla": latent.head,
        "attention.value_length_mla": latent.value,
        "rope.dimension_count": latent.qk_rope_head_dim,
    }


def _has_sigmoid(config: Config) -> bool:
    named = config.str("scoring_func", default="")
    if named not in ("", "softmax", "sigmoid"):
        raise UnsupportedModel(
            "{path}: llama.cpp does not weigh experts by {kind!r} in this family.", path=config.origin, kind=named[:40]
        )
    return named == "sigmoid" if named else any(name.lower() in _SIGMOID_CLASSES for name in config.classes)


def _keys_and_values(latent: LatentSizes, layer: int) -> list[OutputTensor]:
    """Return `kv_b_proj` cut in two: [heads, rank, still] for keys, [heads, value, rank] for values."""
    source = Source(
        f"model.layers.{layer}.self_attn.kv_b_proj.weight",
        (latent.heads * (latent.qk_nope_head_dim + latent.value), latent.rank),
    )
    cut = partial(_cut, heads=latent.heads, qk_nope_head_dim=latent.qk_nope_head_dim)
    return [
        OutputTensor(
            f"blk.{layer}.attn_k_b.weight",
            (latent.heads, latent.rank, latent.qk_nope_head_dim),
            (source,),
            partial(cut, keys=True),
        ),
        OutputTensor(
            f"blk.{layer}.attn_v_b.weight",
            (latent.heads, latent.value, latent.rank),
            (source,),
            partial(cut, keys=False),
        ),
    ]


def _cut(packed: np.ndarray, *, heads: int, qk_nope_head_dim: int, keys: bool) -> np.ndarray:
    by_head = packed.reshape(heads, -1, packed.shape[-1])
    return by_head[:, :qk_nope_head_dim].swapaxes(1, 2) if keys else by_head[:, qk_nope_head_dim:]


FAMILY = Family(
    name="deepseek2",
    title="DeepSeek-V2-Lite, DeepSeek-V3 and GLM-4.7-Flash",
    classes=("DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "Glm4MoeLiteForCausalLM"),
    blueprint=_blueprint,
)
