"""Settings of embedding models: pooling, normalisation, the longest text, prefixes for each kind of text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from models.config import Config
from models.family import Metadata

QUERY_PREFIX = "zhiyin.embedding.query_prefix"
"""GGUF key: what stands in front of a question."""
DOCUMENT_PREFIX = "zhiyin.embedding.document_prefix"
"""GGUF key: what stands in front of a passage."""
NORMALIZED = "zhiyin.embedding.normalize"
"""GGUF key: vectors have the length 1; so they have where a file does not say."""
MOST_TOKENS = "zhiyin.embedding.max_tokens"
"""GGUF key: longer texts are cut, as the publisher's code does; the context where a file does not say."""
POOLING = "pooling_type"
"""GGUF key below the architecture's prefix, a `Pooling`."""
ENCODERS = (
    "bert",
    "jina-bert-v2",
    "jina-bert-v3",
    "nomic-bert",
    "nomic-bert-moe",
    "modern-bert",
    "neo-bert",
    "eurobert",
)
"""Architectures of llama.cpp that have no cache: each token sees all others."""


class Pooling(IntEnum):
    """How the vectors of tokens become one, as llama.cpp numbers it (`llama_pooling_type`)."""

    NONE = 0
    MEAN = 1
    CLS = 2
    LAST = 3
    RANK = 4
    """A classification head on top: a score of a pair of texts."""


@dataclass(frozen=True)
class Prefixes:
    """The instruction prefixes of each kind of text."""

    query: str = ""
    document: str = ""


_KNOWN: tuple[tuple[re.Pattern[str], Pooling, Prefixes], ...] = (
    (re.compile(r"(^|-)e5-(small|base|large)(?!.*instruct)"), Pooling.MEAN, Prefixes("query: ", "passage: ")),
    (re.compile(r"bge-(small|base|large)-zh"), Pooling.CLS, Prefixes("为这个句子生成表示以用于检索相关文章：")),
    (
        re.compile(r"bge-(small|base|large)-en"),
        Pooling.CLS,
        Prefixes("Represent this sentence for searching relevant passages: "),
    ),
    (re.compile(r"bge-"), Pooling.CLS, Prefixes()),
    (re.compile(r"(^|-)gte-(small|base|large)-zh"), Pooling.CLS, Prefixes()),
    (
        re.compile(r"qwen3-embedding"),
        Pooling.LAST,
        Prefixes(
            "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
        ),
    ),
    (
        re.compile(r"embeddinggemma"),
        Pooling.MEAN,
        Prefixes("task: search result | query: ", "title: none | text: "),
    ),
)
"""Names of published models -> what their model cards say; a checkpoint's own files count before it."""


def embedding_metadata(config: Config, usual: Pooling) -> tuple[Metadata, Metadata]:
    """Return the parameters (below the architecture's prefix) and the whole keys of an embedding model.

    Args:
        config: of the checkpoint, with its modules.
        usual: the family's pooling, where neither modules nor the model's name say.
    """
    modules = config.modules
    named = next((entry for entry in _KNOWN if any(entry[0].search(name) for name in config.names)), None)
    pooling, prefixes = (usual, Prefixes()) if named is None else named[1:]
    keys: Metadata = {NORMALIZED: True}
    if modules is not None:
        pooling = Pooling[modules.pooling.upper()]
        query, document = modules.prompt("query"), modules.prompt("document", "passage")
        prefixes = Prefixes(query or prefixes.query, document or prefixes.document)
        keys[NORMALIZED] = modules.normalized
        if modules.most_tokens:
            keys[MOST_TOKENS] = modules.most_tokens
    return {POOLING: int(pooling)}, keys | {QUERY_PREFIX: prefixes.query, DOCUMENT_PREFIX: prefixes.document}


def is_embedding(architecture: str, parameters: Metadata) -> bool:
    """Tell by a GGUF file's keys whether the model measures texts instead of writing them."""
    pooling = parameters.get(POOLING)
    return architecture in ENCODERS or architecture == "gemma-embedding" or (isinstance(pooling, int) and pooling > 0)
