"""A random embedding model and a random reranking model, installed."""

from __future__ import annotations

from pathlib import Path

from converter.pipeline import ConvertRequest, convert
from desktop_app.paths import models_folder
from tests.support.checkpoints import write_checkpoint
from tests.support.random_bert import random_bert, unigram, wordpiece


def write_search_models(scratch: Path) -> None:
    """Put `measures.gguf` and `ranks.gguf` into the models folder; `scratch` takes their checkpoints."""
    words, pieces = unigram(), wordpiece()
    ranking = random_bert(
        tokens=words.get_vocab_size(),
        architectures=["XLMRobertaForSequenceClassification"],
        model_type="xlm-roberta",
        pad_token_id=1,
        type_vocab_size=1,
        id2label={"0": "LABEL_0"},
    )
    for name, checkpoint, tokenizer in (
        ("ranks", ranking, words),
        ("measures", random_bert(tokens=pieces.get_vocab_size()), pieces),
    ):
        write_checkpoint(scratch / name, *checkpoint)
        tokenizer.save(str(scratch / name / "tokenizer.json"))
        convert(ConvertRequest(scratch / name, models_folder() / f"{name}.gguf", "F32"))
