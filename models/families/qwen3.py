"""Qwen3, dense, and what is published in its layout: DeepSeek-R1-0528-Qwen3-8B, Qwen3-Embedding, Qwen3-Reranker.

Source of the layout: transformers, models/qwen3/modeling_qwen3.py. An embedding model is told by the modules beside it, a
reranker by its name alone, as in llama.cpp's converter: it is a language model whose logits of two words are the answer.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from models.config import Config
from models.decoder import (
    Shapes,
    attention,
    decoder_parameters,
    embeddings,
    gated_mlp,
    head_norms,
    norms,
    read_sizes,
    require_silu,
)
from models.embedding import Pooling, embedding_metadata
from models.family import Blueprint, Family, OutputTensor, Source
from models.layers import without_prefix
from models.rotary import read_windowed_rotary
from models.vocab import read_vocabulary
from models.vocab.special import ending_as_published
from models.vocab.vocabulary import Vocabulary

_YES, _NO = 9693, 2152
"""Ids of "yes" and "no" in the vocabulary that all models of Qwen3 share."""


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    model = _language_model(config, shapes)
    if any("qwen3-reranker" in name for name in config.names):
        return _reranker(model)
    if config.modules is not None or any("qwen3-embedding" in name for name in config.names):
        return _embedding_model(model, config, shapes)
    return model


def _language_model(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config, head_dim=128)
    rotary = read_windowed_rotary(config, sizes.head_dim, dense=True)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=False)
        tensors += head_norms(sizes, layer)
        tensors += gated_mlp(sizes, layer, shapes)
    return Blueprint(
        architecture="qwen3",
        parameters=decoder_parameters(config, sizes) | rotary.parameters,
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


def _embedding_model(model: Blueprint, config: Config, shapes: Shapes) -> Blueprint:
    """Return the model without a head; its checkpoint lacks the "model." in front of names."""
    parameters, metadata = embedding_metadata(config, Pooling.LAST)
    bare = shapes is not None and "embed_tokens.weight" in shapes
    tensors = (tensor for tensor in model.tensors if tensor.name != "output.weight")
    return replace(
        model,
        parameters=model.parameters | parameters,
        tensors=tuple(without_prefix(tensor) if bare else tensor for tensor in tensors),
        metadata=metadata,
        read_vocabulary=_read_vocabulary,
        default_quant="Q8_0",
    )


def _read_vocabulary(folder: Path, config: Config) -> Vocabulary:
    return ending_as_published(read_vocabulary(folder, config), folder)


def _reranker(model: Blueprint) -> Blueprint:
    """Return the model with a head of two rows: llama.cpp takes the softmax of yes and no."""
    others = tuple(tensor for tensor in model.tensors if tensor.name != "output.weight")
    head = next((tensor for tensor in model.tensors if tensor.name == "output.weight"), model.tensors[0])
    hidden = head.shape[-1]
    answers = OutputTensor("cls.output.weight", (2, hidden), (Source(head.sources[0].name, head.shape),), _answers)
    return replace(
        model,
        parameters=model.parameters | {"pooling_type": int(Pooling.RANK), "classifier.output_labels": ["yes", "no"]},
        tensors=(*others, answers),
        default_quant="Q8_0",
    )


def _answers(head: np.ndarray) -> np.ndarray:
    return head[[_YES, _NO]]


FAMILY = Family(
    name="qwen3",
    title="Qwen3",
    classes=("Qwen3ForCausalLM", "Qwen3Model"),
    blueprint=_blueprint,
)
