"""Tiktoken's files against the tiktoken library, with Qwen's rules, GLM-4's and unknown ones."""

from __future__ import annotations

import base64
import json
import unicodedata
from pathlib import Path

import pytest
import tiktoken
import tokenizers

from models.config import Config
from models.errors import BadFile
from models.vocab import read_vocabulary
from models.vocab.byte_level import written
from models.vocab.pretokenizer import NAMED_RULES
from models.vocab.tiktoken import is_rank_file, read_tiktoken
from models.vocab.vocabulary import NORMALIZATION, TokenType
from tests.support.vocabularies import encode, load, varied_texts

QWEN = NAMED_RULES["qwen2"].expressions[0]
LLAMA3 = NAMED_RULES["llama-bpe"].expressions[0]


def trained_ranks(size: int) -> dict[bytes, int]:
    """Train byte-level BPE on varied texts; ids are ranks, as tiktoken has them."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(varied_texts(1500), trainer)
    letters = {written(bytes([byte])): byte for byte in range(256)}
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return {bytes(letters[letter] for letter in token): rank for rank, (token, _) in enumerate(vocabulary)}


@pytest.fixture(scope="module")
def ranks() -> dict[bytes, int]:
    return trained_ranks(1500)


def write(path: Path, ranks: dict[bytes, int]) -> Path:
    path.write_bytes(b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in ranks.items()))
    return path


def library(ranks: dict[bytes, int], pattern: str) -> tiktoken.Encoding:
    return tiktoken.Encoding("test", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def test_qwen_encodes_as_tiktoken(ranks: dict[bytes, int], tmp_path: Path) -> None:
    path = write(tmp_path / "qwen.tiktoken", ranks)
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert vocabulary.pre == "qwen2"
    assert vocabulary.tokens[len(ranks) + 1] == "<|im_start|>"
    assert len(vocabulary.tokens) == len(ranks) + 208
    assert vocabulary.extra[NORMALIZATION] == "NFC"
    assert is_rank_file(path)
    found, reference = load(vocabulary, tmp_path), library(ranks, QWEN)
    for text in varied_texts(2000):
        assert encode(found, text) == reference.encode_ordinary(unicodedata.normalize("NFC", text))


def test_hunyuan_encodes_as_tiktoken(ranks: dict[bytes, int], tmp_path: Path) -> None:
    """Its code numbers tokens in the order of their lines; config.json names a wrong token for the beginning."""
    write(tmp_path / "hy.tiktoken", {token: rank + 5 for token, rank in ranks.items()})
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|eos|>"}), "utf-8")
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": len(ranks) + 3}), "utf-8")
    vocabulary = read_vocabulary(tmp_path, Config({"bos_token_id": 1}))
    first = len(ranks)
    assert (vocabulary.pre, vocabulary.warnings, len(vocabulary.tokens)) == ("qwen2", (), first + 210)
    assert vocabulary.special == {"bos": first + 1, "eos": first + 3, "padding": first + 4}
    assert [vocabulary.tokens[number] for number in vocabulary.special.values()] == [
        "<|startoftext|>",
        "<|eos|>",
        "<|pad|>",
    ]
    assert vocabulary.tokens[-1] == "<|extra_204|>"
    found, reference = load(vocabulary, tmp_path), library(ranks, QWEN)
    for text in varied_texts(2000):
        assert encode(found, text) == reference.encode_ordinary(unicodedata.normalize("NFC", text))


def test_a_tokenizer_model_of_ranks_encodes_as_tiktoken(ranks: dict[bytes, int], tmp_path: Path) -> None:
    """GLM-4's layout: the rules in the code, special tokens in tokenizer_config.json."""
    write(tmp_path / "tokenizer.model", ranks)
    code = f'class T:\n    def __init__(self):\n        pat_str = "|".join([r"""{LLAMA3[:30]}""" + r"""{LLAMA3[30:]}"""])\n'
    (tmp_path / "tokenization_chatglm.py").write_text(code, "utf-8")
    first = len(ranks)
    added = {"added_tokens_decoder": {str(first): {"content": "<|endoftext|>", "special": True}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(added), "utf-8")
    vocabulary = read_vocabulary(tmp_path, Config({"eos_token_id": [first]}))
    assert (vocabulary.pre, vocabulary.warnings) == ("chatglm-bpe", ())
    assert vocabulary.types[first] is TokenType.CONTROL
    assert vocabulary.special["eos"] == first
    found, reference = load(vocabulary, tmp_path), library(ranks, LLAMA3)
    for text in varied_texts(2000):
        assert encode(found, text) == reference.encode_ordinary(text)


def test_tokens_that_merging_does_not_reach_are_looked_up(ranks: dict[bytes, int], tmp_path: Path) -> None:
    unreached = "知觅世".encode()
    more = ranks | {unreached: len(ranks)}
    write(tmp_path / "tokenizer.model", more)
    (tmp_path / "tokenization_x.py").write_text(f'PAT_STR = r"""{LLAMA3}"""\n', "utf-8")
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert vocabulary.pre == "llama-bpe"
    found, reference = load(vocabulary, tmp_path), library(more, LLAMA3)
    assert reference.encode_ordinary("知觅世") == [len(ranks)]
    for text in ["知觅世", *varied_texts(500)]:
        assert encode(found, text) == reference.encode_ordinary(text)


def test_missing_rules_are_said(ranks: dict[bytes, int], tmp_path: Path) -> None:
    vocabulary = read_tiktoken(write(tmp_path / "tokenizer.model", ranks), {})
    assert "tokenization_*.py" in str(vocabulary.warnings[0])


def test_glm4s_class_says_its_rules_where_no_code_was_downloaded(ranks: dict[bytes, int], tmp_path: Path) -> None:
    path = write(tmp_path / "tokenizer.model", ranks)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ChatGLM4Tokenizer"}', "utf-8")
    vocabulary = read_tiktoken(path, {})
    assert (vocabulary.pre, vocabulary.warnings) == ("chatglm-bpe", ())


def test_code_beside_is_read_and_never_run(ranks: dict[bytes, int], tmp_path: Path) -> None:
    write(tmp_path / "tokenizer.model", ranks)
    (tmp_path / "tokenization_evil.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\nX = r'\\p{{L}}+'\n", "utf-8"
    )
    read_vocabulary(tmp_path, Config({}))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", [b"", b"!!!! 3\n", b"QQ== x\n", b"QQ==\n", b"IQ== 1\nIQ== 1\n"])
def test_damaged_ranks_are_refused(damage: bytes, ranks: dict[bytes, int], tmp_path: Path) -> None:
    path = write(tmp_path / "qwen.tiktoken", ranks)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + damage + (whole[: len(whole) // 2] if damage == b"" else b""))
    with pytest.raises(BadFile):
        read_tiktoken(path, {})
