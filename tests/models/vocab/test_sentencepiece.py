"""Sentencepiece models trained here against the sentencepiece library: BPE as LLaMA and Baichuan train it, and unigram."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from models.config import Config
from models.errors import BadFile
from models.vocab import read_vocabulary
from models.vocab.sentencepiece import CHARSMAP
from models.vocab.vocabulary import TokenType
from tests.support.vocabularies import encode, load, varied_texts

LLAMA: dict[str, Any] = {
    "model_type": "bpe",
    "byte_fallback": True,
    "split_digits": True,
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "allow_whitespace_only_pieces": True,
}
BAICHUAN = LLAMA | {"add_dummy_prefix": False}
SYMBOLS = LLAMA | {"add_dummy_prefix": False, "user_defined_symbols": ["<用户>", "<AI>", "\n", "\t", "知音"]}
UNIGRAM: dict[str, Any] = {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc"}
PLAIN_UNIGRAM = UNIGRAM | {
    "normalization_rule_name": "identity",
    "add_dummy_prefix": False,
    "remove_extra_whitespaces": False,
}
KINDS = {"llama": LLAMA, "baichuan": BAICHUAN, "symbols": SYMBOLS, "unigram": UNIGRAM, "plain-unigram": PLAIN_UNIGRAM}


def trained(options: dict[str, Any]) -> bytes:
    """Train on half of the characters, so that others are unknown."""
    out = io.BytesIO()
    lines = [line for text in varied_texts(1200) for line in text.replace("\0", "").split("\n") if line]
    settings = {"vocab_size": 1400, "character_coverage": 0.98, "hard_vocab_limit": False, "minloglevel": 2, **options}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=out, **settings)
    return out.getvalue()


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    return request.param, trained(KINDS[request.param])


def test_ids_are_the_librarys(kind: tuple[str, bytes], tmp_path: Path) -> None:
    name, data = kind
    (tmp_path / "tokenizer.model").write_bytes(data)
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert vocabulary.model == ("t5" if "unigram" in name else "llama")
    assert vocabulary.warnings == ()
    assert (CHARSMAP in vocabulary.extra) == (name == "unigram")
    reference = sentencepiece.SentencePieceProcessor(model_proto=data)
    found = load(vocabulary, tmp_path)
    for text in varied_texts(2000):
        asked = f"<用户>{text}<AI>" if name == "symbols" else text
        assert encode(found, asked) == reference.encode(asked), asked


def test_pieces_scores_types_and_special_ids_are_the_librarys(kind: tuple[str, bytes], tmp_path: Path) -> None:
    _, data = kind
    (tmp_path / "tokenizer.model").write_bytes(data)
    vocabulary = read_vocabulary(tmp_path, Config({}))
    reference = sentencepiece.SentencePieceProcessor(model_proto=data)
    ids = range(reference.vocab_size())
    assert vocabulary.tokens == [reference.id_to_piece(number) for number in ids]
    assert vocabulary.scores == [reference.get_score(number) for number in ids]
    asked = {
        TokenType.CONTROL: reference.is_control,
        TokenType.UNKNOWN: reference.is_unknown,
        TokenType.BYTE: reference.is_byte,
        TokenType.UNUSED: reference.is_unused,
    }
    for kind_, question in asked.items():
        assert [number for number in ids if vocabulary.types[number] is kind_] == [n for n in ids if question(n)]
    assert (vocabulary.special["bos"], vocabulary.special["eos"], vocabulary.special["unknown"]) == (
        reference.bos_id(),
        reference.eos_id(),
        reference.unk_id(),
    )


def test_a_space_in_front_of_a_space(tmp_path: Path) -> None:
    """transformers 5's class of Llama 2 has one blank less here than the publisher's own library."""
    data = trained(LLAMA)
    (tmp_path / "tokenizer.model").write_bytes(data)
    found = load(read_vocabulary(tmp_path, Config({})), tmp_path)
    reference = sentencepiece.SentencePieceProcessor(model_proto=data)
    for text in (" ", " a", "  a", " .", " \n"):
        ids = encode(found, text)
        assert ids == reference.encode(text)
        assert "".join(map(reference.id_to_piece, ids)).startswith("\u2581\u2581")
    after = encode(found, "</s> a", special=True)
    assert after == [reference.eos_id(), *reference.encode(" a")]


def test_added_tokens_lie_behind_the_pieces(tmp_path: Path) -> None:
    data = trained(LLAMA)
    (tmp_path / "tokenizer.model").write_bytes(data)
    size = sentencepiece.SentencePieceProcessor(model_proto=data).vocab_size()
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<|im_end|>": size + 1, "<pad>": size}), "utf-8")
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, size + 1]}), "utf-8")
    vocabulary = read_vocabulary(tmp_path, Config({"eos_token_id": 2}))
    assert vocabulary.tokens[size:] == ["<pad>", "<|im_end|>"]
    assert vocabulary.metadata()["tokenizer.ggml.eot_token_id"] == size + 1
    found = load(vocabulary, tmp_path)
    assert found.is_end(2)
    assert found.is_end(size + 1)
    assert encode(found, "<|im_end|>", special=True)[-1] == size + 1
    assert size + 1 not in encode(found, "<|im_end|>")


def test_more_ends_than_llama_cpp_has_keys_for(tmp_path: Path) -> None:
    data = trained(LLAMA)
    (tmp_path / "tokenizer.model").write_bytes(data)
    ends = [2, 300, 301, 302, 303]
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}), "utf-8")
    found = load(read_vocabulary(tmp_path, Config({})), tmp_path)
    assert [number for number in range(found.size) if found.is_end(number)] == ends


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"normalization_rule_name": "nmt_nfkc"}, "full-width"),
        ({"remove_extra_whitespaces": True}, "repeated spaces"),
        ({"model_type": "unigram"}, "in bytes"),
    ],
)
def test_what_llama_cpp_does_not_do_is_said(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(trained(LLAMA | options))
    assert said in str(read_vocabulary(tmp_path, Config({})).warnings[0])


def test_tokens_of_one_text_do_not_end_the_process(tmp_path: Path) -> None:
    data = trained(LLAMA)
    (tmp_path / "tokenizer.model").write_bytes(data)
    size = sentencepiece.SentencePieceProcessor(model_proto=data).vocab_size()
    added = {str(number): {"content": "<x>", "special": True} for number in (size, size + 1)}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}), "utf-8")
    assert load(read_vocabulary(tmp_path, Config({})), tmp_path).size == size + 2


def test_damaged_models_are_refused(tmp_path: Path) -> None:
    data = trained(LLAMA)
    rng = random.Random(3)
    for _ in range(200):
        damaged = bytearray(data[: rng.randrange(len(data))])
        for _ in range(rng.randrange(4)):
            if damaged:
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / "tokenizer.model").write_bytes(damaged)
        try:
            read_vocabulary(tmp_path, Config({}))
        except BadFile as error:
            assert "tokenizer" in str(error)
