"""BERT and XLM-RoBERTa as embedding and reranking models.

Among them are MiniLM, bge-small, -base, -large and bge-m3, gte, multilingual-e5 and bge-reranker.

Source of the layout: transformers, models/bert/modeling_bert.py and models/xlm_roberta/modeling_xlm_roberta.py. llama.cpp
computes GELU by its approximation with tanh, from a table of 16-bit floats: vectors agree to three or four digits.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from models.config import Config
from models.decoder import Shapes, Sizes, linear, read_sizes
from models.embedding import Pooling, embedding_metadata
from models.errors import UnsupportedModel
from models.family import Blueprint, Family, OutputTensor, Source
from models.layers import as_is

_PREFIXES = ("bert.", "roberta.")
_SEGMENTS = "tokenizer.ggml.token_type_count"


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    _refuse_other_forms(config)
    sizes = read_sizes(config)
    prefix = next((p for p in _PREFIXES if shapes and any(name.startswith(p) for name in shapes)), "")
    ranks = any("SequenceClassification" in name for name in config.classes)
    offset = _first_position(config)
    positions = config.int("max_position_embeddings", minimum=offset + 1)
    types = config.int("type_vocab_size", default=2, minimum=1)
    parameters, metadata = embedding_metadata(config, Pooling.MEAN)
    tensors = [
        *_embeddings(sizes, shapes, f"{prefix}embeddings.", (positions, offset), types),
        *(tensor for layer in range(sizes.layers) for tensor in _layer(sizes, layer, shapes, prefix)),
        *(_head(sizes, shapes, config) if ranks else ()),
    ]
    if ranks:
        parameters["pooling_type"] = int(Pooling.RANK)
    return Blueprint(
        architecture="bert",
        parameters={
            "block_count": sizes.layers,
            "context_length": positions - offset,
            "embedding_length": sizes.hidden,
            "feed_forward_length": sizes.intermediate_size,
            "attention.head_count": sizes.heads,
            "attention.layer_norm_epsilon": config.float("layer_norm_eps", default=1e-12, minimum=0),
            "attention.causal": False,
            "vocab_size": sizes.vocabulary,
            **parameters,
        },
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        metadata={_SEGMENTS: types, **metadata},
        default_quant="Q8_0",
    )


def _refuse_other_forms(config: Config) -> None:
    if config.str("hidden_act", default="gelu") != "gelu":
        raise UnsupportedModel(
            "{path} asks for the activation {activation!r}, but llama.cpp computes gelu for this family.",
            path=config.origin,
            activation=config.str("hidden_act")[:40],
        )
    if config.str("position_embedding_type", default="absolute") != "absolute":
        raise UnsupportedModel(
            "{path}: llama.cpp computes this family with absolute positions only.", path=config.origin
        )
    if "BertForSequenceClassification" in config.classes:
        raise UnsupportedModel(
            "{path}: this reranker marks question and passage by token types, which llama.cpp does not do; choose bge-reranker.",
            path=config.origin,
        )


def _first_position(config: Config) -> int:
    """Return the number of a text's first position: RoBERTa counts from behind the padding token's id."""
    is_roberta = any("roberta" in name.lower() for name in config.classes)
    return config.int("pad_token_id", default=1) + 1 if is_roberta else 0


def _embeddings(
    sizes: Sizes, shapes: Shapes, source: str, positions: tuple[int, int], types: int
) -> list[OutputTensor]:
    count, offset = positions
    table = Source(f"{source}position_embeddings.weight", (count, sizes.hidden))
    return [
        as_is("token_embd.weight", f"{source}word_embeddings.weight", sizes.vocabulary, sizes.hidden),
        OutputTensor(
            "position_embd.weight",
            (count - offset, sizes.hidden),
            (table,),
            partial(_from_row, start=offset) if offset else None,
            exact=True,
        ),
        as_is("token_types.weight", f"{source}token_type_embeddings.weight", types, sizes.hidden, exact=True),
        *_norm("token_embd_norm", f"{source}LayerNorm", sizes.hidden, shapes),
    ]


def _from_row(table: np.ndarray, *, start: int) -> np.ndarray:
    return table[start:]


def _layer(sizes: Sizes, layer: int, shapes: Shapes, prefix: str) -> list[OutputTensor]:
    source, target = f"{prefix}encoder.layer.{layer}.", f"blk.{layer}."
    hidden, inner = sizes.hidden, sizes.intermediate_size
    square = (hidden, hidden)
    return [
        *linear(f"{target}attn_q", f"{source}attention.self.query", square, shapes, bias=True),
        *linear(f"{target}attn_k", f"{source}attention.self.key", square, shapes, bias=True),
        *linear(f"{target}attn_v", f"{source}attention.self.value", square, shapes, bias=True),
        *linear(f"{target}attn_output", f"{source}attention.output.dense", square, shapes, bias=True),
        *_norm(f"{target}attn_output_norm", f"{source}attention.output.LayerNorm", hidden, shapes),
        *linear(f"{target}ffn_up", f"{source}intermediate.dense", (inner, hidden), shapes, bias=True),
        *linear(f"{target}ffn_down", f"{source}output.dense", (hidden, inner), shapes, bias=True),
        *_norm(f"{target}layer_output_norm", f"{source}output.LayerNorm", hidden, shapes),
    ]


def _norm(target: str, source: str, size: int, shapes: Shapes) -> tuple[OutputTensor, OutputTensor]:
    """Return a norm's scale and shift, which the first checkpoints call gamma and beta."""
    first = shapes is not None and f"{source}.gamma" in shapes
    scale, shift = ("gamma", "beta") if first else ("weight", "bias")
    return as_is(f"{target}.weight", f"{source}.{scale}", size), as_is(f"{target}.bias", f"{source}.{shift}", size)


def _head(sizes: Sizes, shapes: Shapes, config: Config) -> list[OutputTensor]:
    """Return the classification head, which gives a pair of texts one score.

    Raises:
        UnsupportedModel: it gives several.
    """
    labels = config.section("id2label").data
    if len(labels) not in (0, 1) or config.int("num_labels", default=1) != 1:
        raise UnsupportedModel(
            "{path}: this model sorts texts into {count} kinds; choose an embedding or reranking model.",
            path=config.origin,
            count=max(len(labels), config.int("num_labels", default=1)),
        )
    hidden = sizes.hidden
    return [
        *linear("cls", "classifier.dense", (hidden, hidden), shapes, bias=True),
        *linear("cls.output", "classifier.out_proj", (1, hidden), shapes, bias=True),
    ]


FAMILY = Family(
    name="bert",
    title="BERT and XLM-RoBERTa (embeddings)",
    classes=(
        "BertModel",
        "BertForMaskedLM",
        "BertForSequenceClassification",
        "XLMRobertaModel",
        "XLMRobertaForMaskedLM",
        "XLMRobertaForSequenceClassification",
    ),
    blueprint=_blueprint,
)
