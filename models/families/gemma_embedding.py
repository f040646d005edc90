"""EmbeddingGemma: Gemma 3 whose tokens see those behind them too, and two linear layers behind the mean.

Source of the layout: transformers, models/gemma3/modeling_gemma3.py (`use_bidirectional_attention`), and the modules of
sentence-transformers. llama.cpp sees half a window to each side.
"""

from __future__ import annotations

from dataclasses import replace

from models.config import Config
from models.decoder import Shapes
from models.embedding import Pooling, embedding_metadata
from models.errors import UnsupportedModel
from models.families.gemma import gemma_blueprint
from models.family import Blueprint, Family
from models.layers import as_is, without_prefix

_PLACES = ("dense_2", "dense_3")


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    inner = gemma_blueprint(config.changed(use_bidirectional_attention=False), shapes)
    parameters, metadata = embedding_metadata(config, Pooling.MEAN)
    bare = shapes is not None and "embed_tokens.weight" in shapes
    tensors = [without_prefix(tensor) if bare else tensor for tensor in inner.tensors]
    dense = () if config.modules is None else config.modules.dense
    if len(dense) not in (0, 2):
        raise UnsupportedModel(
            "{path}: llama.cpp computes two linear layers behind this model, not {count}.",
            path=config.origin,
            count=len(dense),
        )
    for place, module in zip(_PLACES, dense, strict=False):
        source = f"{module.folder}.linear.weight"
        tensors.append(as_is(f"{place}.weight", source, module.outputs, module.inputs))
        parameters |= {f"{place}_feat_in": module.inputs, f"{place}_feat_out": module.outputs}
    return replace(
        inner,
        architecture="gemma-embedding",
        parameters=inner.parameters | {"attention.causal": False} | parameters,
        tensors=tuple(tensors),
        metadata=metadata,
        default_quant="Q8_0",
    )


def _is_embedding_model(config: Config) -> bool:
    """Tell it from a Gemma 3 that was saved without its head."""
    return config.modules is not None or config.bool("use_bidirectional_attention", default=False)


FAMILY = Family(
    name="gemma_embedding",
    title="EmbeddingGemma",
    classes=("Gemma3TextModel",),
    blueprint=_blueprint,
    recognise=_is_embedding_model,
)
