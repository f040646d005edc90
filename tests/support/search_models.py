"""A random embedding model and a random reranking model, installed."""

from __future__ import annotations

from pathlib import Path

from converter.pipeline import ConvertRequest, convert
from desktop_app.paths import models_folder
from tests.support.checkpoints import write_checkpoint
from tests.support.random_bert import random_bert, unigram, wordpiece


def write_embedding_model(folder: Path) -> Path:
    """Write a random embedding model of 64 dimensions; each text has a vector of its own."""
    tokenizer = wordpiece()
    write_checkpoint(folder / "checkpoint", *random_bert(tokens=tokenizer.get_vocab_size()))
    tokenizer.save(str(folder / "checkpoint/tokenizer.json"))
    convert(ConvertRequest(folder / "checkpoint", folder / "measures.gguf", "F32"))
    return folder / "measures.gguf"


def write_search_models(scratch: Path) -> None:
    """Put `measures.gguf` and `ranks.gguf` into the models folder; `scratch` takes their checkpoints."""
    words = unigram()
    ranking = random_bert(
        tokens=words.get_vocab_size(),
        architectures=["XLMRobertaForSequenceClassification"],
        model_type="xlm-roberta",
        pad_token_id=1,
        type_vocab_size=1,
        id2label={"0": "LABEL_0"},
    )
    write_checkpoint(scratch / "ranks", *ranking)
    words.save(str(scratch / "ranks/tokenizer.json"))
    convert(ConvertRequest(scratch / "ranks", models_folder() / "ranks.gguf", "F32"))
    write_embedding_model(scratch).rename(models_folder() / "measures.gguf")
