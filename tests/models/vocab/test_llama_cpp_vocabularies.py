"""Token ids that llama.cpp's own tests demand: vocabularies brought back to the publisher's files, read by us, run by the engine.

The vocabularies with their texts and ids lie in llama.cpp's sources (models/ggml-vocab-*.gguf, .inp, .out).
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from converter.gguf_header import read_gguf_header
from models.config import Config
from models.vocab import read_vocabulary
from models.vocab.pretokenizer import NAMED_RULES
from models.vocab.vocabulary import TokenType
from tests.support.vocabularies import encode, llama_cpp_vocabularies, load, varied_texts

Fields = dict[str, Any]
Step = dict[str, Any]


def byte_level(**options: bool) -> Step:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, **options}


def split(expression: str) -> Step:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


def digits(*, individual: bool) -> Step:
    return {"type": "Digits", "individual_digits": individual}


def in_turn(*steps: Step) -> Step:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def expressions(name: str) -> Step:
    """Return named rules as splits, and bytes behind them: the form of all newer tokenizers."""
    return in_turn(*map(split, NAMED_RULES[name].expressions), byte_level(use_regex=False))


BYTE_LEVEL: dict[str, tuple[Step, bool]] = {
    "gpt-2": (byte_level(), False),
    "mpt": (byte_level(), False),
    "starcoder": (in_turn(digits(individual=True), byte_level()), False),
    "refact": (in_turn(digits(individual=True), byte_level()), False),
    "command-r": (in_turn(digits(individual=True), byte_level()), False),
    "falcon": (expressions("falcon"), False),
    "llama-bpe": (expressions("llama-bpe"), True),
    "qwen2": (expressions("qwen2"), False),
    "qwen35": (expressions("qwen35"), False),
    "deepseek-llm": (expressions("deepseek-llm"), False),
    "deepseek-coder": (expressions("deepseek-coder"), False),
}
"""Vocabulary -> the publisher's pre-tokenizer, ignore_merges."""


def fields_of(path: Path) -> Fields:
    prefix = "tokenizer.ggml."
    metadata = read_gguf_header(path).metadata
    return {name[len(prefix) :]: value for name, value in metadata.items() if name.startswith(prefix)}


def cases(path: Path) -> list[tuple[str, list[int]]]:
    texts = path.with_name(f"{path.name}.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")[:-1]
    lines = path.with_name(f"{path.name}.out").read_text("utf-8").splitlines()
    return list(zip(texts, [[int(number) for number in line.split()] for line in lines], strict=True))


def write_tokenizer_json(folder: Path, fields: Fields, steps: Step, ignore_merges: bool) -> Path:
    tokens, types = fields["tokens"], fields["token_type"]
    added = [
        {
            "id": number,
            "content": token,
            "special": types[number] == TokenType.CONTROL,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for number, token in enumerate(tokens)
        if types[number] != TokenType.NORMAL
    ]
    model = {
        "type": "BPE",
        "vocab": {token: number for number, token in enumerate(tokens) if types[number] == TokenType.NORMAL},
        "merges": fields["merges"],
        "ignore_merges": ignore_merges,
    }
    document = {"version": "1.0", "added_tokens": added, "pre_tokenizer": steps, "model": model}
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return path


def sentencepiece_model(fields: Fields) -> bytes:
    """Return a model file of a vocabulary's pieces: BPE, with what LLaMA's normaliser says."""
    data = b""
    for token, score, kind in zip(fields["tokens"], fields["scores"], fields["token_type"], strict=True):
        text = token.encode()
        piece = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", score) + b"\x18" + bytes([kind])
        data += b"\x0a" + bytes([len(piece)]) + piece
    trainer = b"\x18\x02\x98\x02\x01"  # model_type BPE, byte_fallback
    normalizer = b"\x0a\x08identity\x18\x01\x20\x00"  # add_dummy_prefix, not remove_extra_whitespaces
    return data + b"\x12" + bytes([len(trainer)]) + trainer + b"\x1a" + bytes([len(normalizer)]) + normalizer


SLOW = ("command-r", "mpt", "refact")
"""Large, and no model of our users."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in BYTE_LEVEL]
)
def test_byte_level_ids(name: str, tmp_path: Path) -> None:
    source = llama_cpp_vocabularies() / f"ggml-vocab-{name}.gguf"
    fields = fields_of(source)
    write_tokenizer_json(tmp_path, fields, *BYTE_LEVEL[name])
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert vocabulary.warnings == ()
    assert [str(token) for token in vocabulary.tokens] == fields["tokens"]
    assert vocabulary.merges == fields["merges"]
    found = load(vocabulary, tmp_path)
    for text, ids in cases(source):
        assert encode(found, text) == ids, text


@pytest.mark.parametrize("name", ["llama-spm", "phi-3"])
def test_sentencepiece_ids(name: str, tmp_path: Path) -> None:
    source = llama_cpp_vocabularies() / f"ggml-vocab-{name}.gguf"
    fields = fields_of(source)
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(fields))
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert vocabulary.warnings == ()
    assert vocabulary.tokens == fields["tokens"]
    found = load(vocabulary, tmp_path)
    for text, ids in cases(source):
        assert encode(found, text) == ids, text


@pytest.mark.parametrize("name", ["llama-spm", "baichuan"])
def test_whole_sentencepiece_vocabularies_encode_as_the_library(name: str, tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    fields = fields_of(llama_cpp_vocabularies() / f"ggml-vocab-{name}.gguf")
    data = sentencepiece_model(fields)
    (tmp_path / "tokenizer.model").write_bytes(data)
    reference = sentencepiece.SentencePieceProcessor(model_proto=data)
    found = load(read_vocabulary(tmp_path, Config({})), tmp_path)
    for text in varied_texts(2000):
        assert encode(found, text) == reference.encode(text), text


def test_the_starter_models_ids(smollm2_outline: Path, tmp_path: Path) -> None:
    """SmolLM2's vocabulary, which is always here, against the tokenizers library."""
    vocabulary = read_vocabulary(smollm2_outline, Config({}))
    assert (vocabulary.pre, vocabulary.warnings) == ("smollm", ())
    reference = tokenizers.Tokenizer.from_file(str(smollm2_outline / "tokenizer.json"))
    found = load(vocabulary, tmp_path)
    for text in varied_texts(2000):
        assert encode(found, text) == reference.encode(text, add_special_tokens=False).ids, text
        assert encode(found, text, special=True) == reference.encode(text, add_special_tokens=False).ids, text
