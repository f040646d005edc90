"""Tokenizer files of wrong types, absurd numbers and hostile lengths: one sentence, in little memory."""

from __future__ import annotations

import base64
import json
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.vocab import read_vocabulary
from models.vocab.byte_level import written
from models.vocab.rwkv_world import read_world_file

LETTERS = {written(bytes([byte])): byte for byte in range(256)}
GOOD: dict[str, Any] = {
    "added_tokens": [{"id": 256, "content": "<s>", "special": True}],
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, {"type": "ByteLevel"}]},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}]},
    "model": {"type": "BPE", "vocab": LETTERS, "merges": []},
}


def write(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(json.dumps(content), "utf-8")


def changed(path: str, value: Any) -> dict[str, Any]:
    document = json.loads(json.dumps(GOOD))
    *parents, last = path.split(".")
    part = document
    for parent in parents:
        part = part[parent]
    part[last] = value
    return dict(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model", []),
        ("model.vocab", {"a": "1"}),
        ("model.vocab", {"a": True}),
        ("model.vocab", {"a": 1.5}),
        ("model.vocab", {"a": 10**30}),
        ("model.vocab", {"a": 0, "b": 0}),
        ("model.vocab", {}),
        ("model.merges", "a b"),
        ("model.merges", [["a", 1]]),
        ("model.merges", ["ab"]),
        ("model.merges", ["a b c"]),
        ("model.merges", [["a", ""]]),
        ("model.unk_token", 5),
        ("model.byte_fallback", "no"),
        ("model.ignore_merges", 1),
        ("added_tokens", {"a": 1}),
        ("added_tokens", [{"id": 10**9, "content": "a"}]),
        ("added_tokens", [{"id": 400_000, "content": "new"}]),
        ("added_tokens", [{"id": -1, "content": "a"}]),
        ("added_tokens", [{"id": True, "content": "a"}]),
        ("added_tokens", [{"id": 5, "content": ["a"]}]),
        ("normalizer", "NFC"),
        ("normalizer", {"type": "Sequence", "normalizers": 5}),
        ("normalizer", {"type": ["NFC"]}),
        ("pre_tokenizer", 3),
        ("pre_tokenizer", {"type": "Sequence", "pretokenizers": {"type": "Digits"}}),
        ("pre_tokenizer", {"type": "Split", "pattern": 1}),
        ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": 1}}),
        ("post_processor", [1]),
        ("post_processor", {"type": "Sequence", "processors": 5}),
        ("post_processor", {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": 5}}]}),
    ],
)
def test_wrong_values_in_tokenizer_json_are_refused(path: str, value: Any, tmp_path: Path) -> None:
    write(tmp_path, "tokenizer.json", GOOD)
    assert len(read_vocabulary(tmp_path, Config({})).tokens) == 257
    write(tmp_path, "tokenizer.json", changed(path, value))
    with pytest.raises(BadFile, match=r"tokenizer\.json.*download it again\."):
        read_vocabulary(tmp_path, Config({}))


OTHERS: dict[str, dict[str, Any]] = {
    "WordLevel": {"vocab": {"a": 0, "<unk>": 1}, "unk_token": "<unk>"},
    "WordPiece": {"vocab": {"a": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}, "unk_token": "[UNK]"},
    "Unigram": {"vocab": [["<unk>", 0.0], ["a", -1.0]], "unk_id": 0},
}
_IDS = [{"a": 0, "b": 0}, {"a": -1}, {"a": "1"}, {"a": 10**30}, {"a": 0, "b": 400_000}]
_SCORES = [[["a"]], [["a", "b"]], [[1, 0.0]], [["a", 0.0, 1]], "ab", {"a": 0}]


@pytest.mark.parametrize(
    ("kind", "vocab"),
    [
        *((kind, vocab) for kind in ("WordLevel", "WordPiece") for vocab in ({}, [], None, *_IDS)),
        *(("Unigram", vocab) for vocab in ([], {}, None, *_SCORES)),
    ],
)
def test_wrong_vocabularies_of_other_models_are_refused(kind: str, vocab: Any, tmp_path: Path) -> None:
    write(tmp_path, "tokenizer.json", {"model": {"type": kind, **OTHERS[kind]}})
    assert len(read_vocabulary(tmp_path, Config({})).tokens) == len(OTHERS[kind]["vocab"])
    write(tmp_path, "tokenizer.json", {"model": {"type": kind, **OTHERS[kind], "vocab": vocab}})
    with pytest.raises(BadFile, match=r"tokenizer\.json.*download it again\."):
        read_vocabulary(tmp_path, Config({}))


@pytest.mark.parametrize("kind", ["CharBPE"])
def test_other_models_with_the_same_keys_are_not_taken_for_bpe(kind: str, tmp_path: Path) -> None:
    write(tmp_path, "tokenizer.json", changed("model.type", kind))
    with pytest.raises(UnsupportedModel, match=kind):
        read_vocabulary(tmp_path, Config({}))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer_config.json", {"bos_token": 5}),
        ("tokenizer_config.json", {"eos_token": {"content": 5}}),
        ("tokenizer_config.json", {"add_bos_token": "yes"}),
        ("tokenizer_config.json", {"chat_template": 5}),
        ("tokenizer_config.json", {"chat_template": [{"name": "default"}]}),
        ("special_tokens_map.json", {"pad_token": ["a"]}),
        ("special_tokens_map.json", []),
        ("generation_config.json", {"eos_token_id": "2"}),
        ("generation_config.json", {"eos_token_id": [[2]]}),
        ("generation_config.json", {"bos_token_id": True}),
    ],
)
def test_wrong_values_beside_a_tokenizer_are_refused(name: str, content: Any, tmp_path: Path) -> None:
    write(tmp_path, "tokenizer.json", GOOD)
    write(tmp_path, name, content)
    with pytest.raises(BadFile, match=name):
        read_vocabulary(tmp_path, Config({}))


def test_ids_are_read_as_publishers_write_them(tmp_path: Path) -> None:
    write(tmp_path, "tokenizer.json", GOOD)
    write(tmp_path, "generation_config.json", {"eos_token_id": [7.0, 8], "pad_token_id": -1})
    vocabulary = read_vocabulary(tmp_path, Config({"bos_token_id": None}))
    assert vocabulary.ends == (7, 8)
    assert "padding" not in vocabulary.special


@pytest.mark.parametrize(
    "added", [{"added_tokens.json": {"a": 10**9}}, {"tokenizer_config.json": {"added_tokens_decoder": {"x": {}}}}]
)
def test_tokens_added_beside_a_model_are_checked(added: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, "vocab.json", LETTERS)
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    assert read_vocabulary(tmp_path, Config({})).merges == ["a b"]
    for name, content in added.items():
        write(tmp_path, name, content)
    with pytest.raises(BadFile, match=next(iter(added))):
        read_vocabulary(tmp_path, Config({}))


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    write(tmp_path, "tokenizer.json", changed("added_tokens", [{"id": 3_999_999, "content": "a"}]))
    tracemalloc.start()
    with pytest.raises(BadFile):
        read_vocabulary(tmp_path, Config({}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def varint(number: int) -> bytes:
    out = b""
    while number >= 128:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


PIECE = b"\x0a\x01a\x15" + struct.pack("<f", 0.0)


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a" + varint(2**62) + PIECE,
        b"\x0a" + varint(len(PIECE)) + PIECE + b"\x0a\x07\x0a\x01a\x15" + struct.pack("<f", float("nan"))[:3],
        b"\x0a\x08\x0a\x01a\x15" + struct.pack("<f", float("nan")),
        b"\x0a\x05\x0a\x01a\x18\x09",
        b"\x0a" + varint(len(PIECE)) + PIECE + b"\x1a\x06\x12\x04\xff\xff\xff\xff",
        b"\x08\x01" * 2_200_000,
    ],
    ids=["length", "cut", "nan", "type", "charsmap", "fields"],
)
def test_hostile_sentencepiece_models_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(BadFile, match=r"tokenizer\.model"):
        read_vocabulary(tmp_path, Config({}))


@pytest.mark.parametrize(
    "more",
    [b"A" * 3_000_000, b"".join(base64.b64encode(bytes([n % 256]) * 1024) + b" %d\n" % (300 + n) for n in range(300))],
    ids=["no end of line", "long tokens"],
)
def test_ranks_that_would_take_minutes_are_refused(more: bytes, tmp_path: Path) -> None:
    letters = b"".join(b"%s %d\n" % (base64.b64encode(bytes([byte])), byte) for byte in range(256))
    (tmp_path / "qwen.tiktoken").write_bytes(letters)
    assert read_vocabulary(tmp_path, Config({})).tokens
    (tmp_path / "qwen.tiktoken").write_bytes(letters + more)
    with pytest.raises(BadFile, match=r"qwen\.tiktoken"):
        read_vocabulary(tmp_path, Config({}))


def test_rules_in_code_are_found_among_many_sums(tmp_path: Path) -> None:
    letters = b"".join(b"%s %d\n" % (base64.b64encode(bytes([byte])), byte) for byte in range(256))
    (tmp_path / "qwen.tiktoken").write_bytes(letters)
    sums = "\n".join(f"x{n} = y" + " + 'a'" * 900 for n in range(40))
    (tmp_path / "tokenization_x.py").write_text(f"{sums}\nRULE = r'\\p{{L}}' + '+'\n")
    assert "\\\\p{L}+" in str(read_vocabulary(tmp_path, Config({})).warnings[0])


@pytest.mark.parametrize("line", ["300 " + "(" * 2000 + " 1", "300 -" + "-" * 2000 + "1 1", "5 'a' 1", "9999999 'a' 1"])
def test_a_damaged_line_of_rwkvs_vocabulary_is_named(line: str, tmp_path: Path) -> None:
    lines = [f"{number} {bytes([number])!r} 1" for number in range(256)]
    (tmp_path / "rwkv_vocab.txt").write_text("\n".join([*lines, line]))
    with pytest.raises(BadFile, match="line 257"):
        read_world_file(tmp_path / "rwkv_vocab.txt", 300)
