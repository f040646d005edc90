"""MiniCPM3: MiniCPM's multipliers around attention through latent vectors.

Source: the publisher's modeling_minicpm.py of MiniCPM3-4B, and transformers, models/minicpm3. llama.cpp's `minicpm3` has the
published multipliers built in. The norms of the latent vectors have an epsilon of 1e-6 there and the configuration's (1e-5) here,
which changes logits by less than a millionth.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import Shapes, decoder_parameters, embeddings, gated_mlp, norms, read_sizes, require_silu
from models.errors import UnsupportedModel
from models.family import Blueprint, Family
from models.latent import LatentSizes, latent_keys, latent_queries, read_latent_sizes
from models.layers import as_is
from models.rotary import read_rotary

_MULTIPLIERS = {"scale_emb": 12.0, "scale_depth": 1.4, "dim_model_base": 256.0}


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    _require_published_multipliers(config)
    latent = read_latent_sizes(config)
    sizes = read_sizes(config, head_dim=latent.qk_rope_head_dim)
    if not latent.query_rank or config.bool("attention_bias", default=False):
        raise UnsupportedModel(
            "{path}: llama.cpp computes MiniCPM3 with latent queries and without biases.", path=config.origin
        )
    rotary = read_rotary(config, latent.qk_rope_head_dim, llama3=False)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=True))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += latent_queries(latent, layer)
        tensors += latent_keys(latent, layer)
        rows = latent.heads * (latent.qk_nope_head_dim + latent.value)
        source = f"model.layers.{layer}.self_attn.kv_b_proj.weight"
        tensors.append(as_is(f"blk.{layer}.attn_kv_b.weight", source, rows, latent.rank))
        tensors += gated_mlp(sizes, layer, shapes)
    return Blueprint(
        architecture="minicpm3",
        parameters=decoder_parameters(config, sizes) | rotary.parameters | _latent_parameters(latent),
        tensors=(*tensors, *rotary.tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


def _require_published_multipliers(config: Config) -> None:
    for key, published in _MULTIPLIERS.items():
        is_none = key in config.data and key not in config  # a null stands for no multiplier
        if is_none or config.float(key, default=published) != published:
            raise UnsupportedModel(
                "{path}: llama.cpp computes MiniCPM3 with a {key} of {value:g} only.",
                path=config.origin,
                key=key,
                value=published,
            )


def _latent_parameters(latent: LatentSizes) -> dict[str, int]:
    return {
        "attention.q_lora_rank": latent.query_rank,
        "attention.kv_lora_rank": latent.rank,
        "attention.key_length": latent.head,
        "attention.value_length": latent.value,
        "rope.dimension_count": latent.qk_rope_head_dim,
    }


FAMILY = Family(
    name="minicpm3",
    title="MiniCPM3",
    classes=("MiniCPM3ForCausalLM",),
    blueprint=_blueprint,
)
