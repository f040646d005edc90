"""JinaBERT: jina-embeddings-v2, BERT with ALiBi in place of positions and a gated feed-forward network.

Source of the layout: Günther et al. 2023 (Jina Embeddings 2), the publisher's modeling_bert.py in jina-bert-implementation and in
jina-bert-v2-qk-post-norm (jina-embeddings-v2-base-code), and llama.cpp, src/models/jina-bert-v2.cpp. ALiBi is symmetric: each
head subtracts its slope times the distance of two tokens (Press et al. 2021).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from models.config import Config
from models.decoder import Shapes, Sizes, linear, read_sizes
from models.embedding import Pooling, embedding_metadata
from models.errors import UnsupportedModel
from models.family import Blueprint, Family, OutputTensor, Source
from models.layers import as_is
from models.vocab import read_vocabulary
from models.vocab.special import ending_as_published
from models.vocab.vocabulary import Vocabulary

_SEGMENTS = "tokenizer.ggml.token_type_count"
_PREFIX = "bert."


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    _refuse_other_forms(config)
    sizes = read_sizes(config)
    prefix = _PREFIX if shapes and any(name.startswith(_PREFIX) for name in shapes) else ""
    types = config.int("type_vocab_size", default=2, minimum=1)
    parameters, metadata = embedding_metadata(config, Pooling.MEAN)
    embeddings = f"{prefix}embeddings."
    return Blueprint(
        architecture="jina-bert-v2",
        parameters={
            "block_count": sizes.layers,
            "context_length": config.int("max_position_embeddings", default=8192, minimum=1),
            "embedding_length": sizes.hidden,
            "feed_forward_length": sizes.intermediate_size,
            "attention.head_count": sizes.heads,
            "attention.layer_norm_epsilon": config.float("layer_norm_eps", default=1e-12, minimum=0),
            "attention.causal": False,
            "vocab_size": sizes.vocabulary,
            **parameters,
        },
        tensors=(
            as_is("token_embd.weight", f"{embeddings}word_embeddings.weight", sizes.vocabulary, sizes.hidden),
            as_is("token_types.weight", f"{embeddings}token_type_embeddings.weight", types, sizes.hidden, exact=True),
            *_norm("token_embd_norm", f"{embeddings}LayerNorm", sizes.hidden),
            *(tensor for layer in range(sizes.layers) for tensor in _layer(sizes, layer, shapes, prefix)),
        ),
        vocabulary_size=sizes.vocabulary,
        metadata={_SEGMENTS: types, **metadata},
        default_quant="Q8_0",
        read_vocabulary=_vocabulary,
    )


def _vocabulary(folder: Path, config: Config) -> Vocabulary:
    """Return the vocabulary: WordPiece in English, elsewhere BPE as RoBERTa has it, whose texts end in a token."""
    vocabulary = read_vocabulary(folder, config)
    return vocabulary if vocabulary.model == "bert" else ending_as_published(vocabulary, folder)


def _refuse_other_forms(config: Config) -> None:
    for key, default, computed in (
        ("hidden_act", "gelu", "gelu"),
        ("feed_forward_type", "original", "geglu"),
        ("position_embedding_type", "absolute", "alibi"),
    ):
        asked = config.str(key, default=default)
        if asked != computed:
            raise UnsupportedModel(
                "{path} asks for {key} {asked!r}, but llama.cpp computes {computed!r} for this family.",
                path=config.origin,
                key=key,
                asked=asked[:40],
                computed=computed,
            )
    if any("SequenceClassification" in name for name in config.classes):
        raise UnsupportedModel(
            "{path}: llama.cpp computes the vectors of this family, not its scores; choose bge-reranker.",
            path=config.origin,
        )


def _layer(sizes: Sizes, layer: int, shapes: Shapes, prefix: str) -> list[OutputTensor]:
    source, target = f"{prefix}encoder.layer.{layer}.", f"blk.{layer}."
    hidden = sizes.hidden
    square = (hidden, hidden)
    tensors = [
        *linear(f"{target}attn_q", f"{source}attention.self.query", square, shapes, bias=True),
        *linear(f"{target}attn_k", f"{source}attention.self.key", square, shapes, bias=True),
        *linear(f"{target}attn_v", f"{source}attention.self.value", square, shapes, bias=True),
        *linear(f"{target}attn_output", f"{source}attention.output.dense", square, shapes, bias=True),
        *_norm(f"{target}attn_output_norm", f"{source}attention.output.LayerNorm", hidden),
    ]
    for part in ("q", "k"):
        if shapes and f"{source}attention.self.layer_norm_{part}.weight" in shapes:
            tensors += _norm(f"{target}attn_{part}_norm", f"{source}attention.self.layer_norm_{part}", hidden)
    return tensors + _feed_forward(sizes, source, target, shapes)


def _feed_forward(sizes: Sizes, source: str, target: str, shapes: Shapes) -> list[OutputTensor]:
    """Return the gated network; the later code has the other names, another norm, and both halves the other way round."""
    hidden, inner = sizes.hidden, sizes.intermediate_size
    later = shapes is not None and f"{source}mlp.up_gated_layer.weight" in shapes
    both = Source(f"{source}mlp.{'up_gated_layer' if later else 'gated_layers'}.weight", (2 * inner, hidden))
    halves = ("ffn_up", "ffn_gate") if later else ("ffn_gate", "ffn_up")
    norms = (
        [
            *_norm(f"{target}attn_norm_2", f"{source}layer_norm_1", hidden),
            *_norm(f"{target}layer_output_norm", f"{source}layer_norm_2", hidden),
        ]
        if later
        else _norm(f"{target}layer_output_norm", f"{source}mlp.layernorm", hidden)
    )
    return [
        *(
            OutputTensor(
                f"{target}{name}.weight", (inner, hidden), (both,), partial(_rows, start=number * inner, count=inner)
            )
            for number, name in enumerate(halves)
        ),
        *linear(
            f"{target}ffn_down", f"{source}mlp.{'down_layer' if later else 'wo'}", (hidden, inner), shapes, bias=True
        ),
        *norms,
    ]


def _rows(table: np.ndarray, *, start: int, count: int) -> np.ndarray:
    return table[start : start + count]


def _norm(target: str, source: str, size: int) -> list[OutputTensor]:
    return [as_is(f"{target}.{part}", f"{source}.{part}", size) for part in ("weight", "bias")]


FAMILY = Family(
    name="jina_bert",
    title="JinaBERT (embeddings)",
    classes=("JinaBertModel", "JinaBertForMaskedLM", "JinaBertForSequenceClassification"),
    blueprint=_blueprint,
)
