"""Texts are cut by the publishers' own steps where llama.cpp has none that cut alike: against the tokenizers library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import pre_tokenizers

from models.config import Config
from models.vocab import read_vocabulary
from models.vocab.byte_pairs import BytePairs
from models.vocab.cutting import KEY, Cutting
from models.vocab.piece_rules import PieceRules
from models.vocab.publisher_regex import NotTaken, compiled
from tests.support.vocabularies import encode, load, varied_texts

Document = dict[str, Any]
TEXTS = [*varied_texts(150), "a-b--c 12345 x", "हिन्दी ภาษาไทย", "  \u3000 x", "!\n/ //\n\n/x"]


def split(pattern: str, behavior: str = "Isolated", *, invert: bool = False, kind: str = "Regex") -> Document:
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def byte_level(**said: bool) -> Document:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False, **said}


GPT2 = byte_level(use_regex=True)
STEPS: dict[str, list[Document]] = {
    "nothing": [byte_level()],
    "digits together": [{"type": "Digits", "individual_digits": False}, GPT2],
    "at most two digits": [split(r"\p{N}{1,2}|[^\r\n\p{L}\p{N}]?\p{L}+|\s+(?!\S)|\s+"), byte_level()],
    "not only spaces": [split(r"\S+|\P{L}+"), byte_level()],
    "merged with what is before": [split(" ", "MergedWithPrevious", kind="String"), byte_level()],
    "merged with what follows": [split(" ", "MergedWithNext", kind="String"), byte_level()],
    "left out": [split(" ", "Removed", kind="String"), byte_level()],
    "matches alone": [split(r"\p{L}+| ", "Removed", invert=True), byte_level()],
    "runs": [split(r"\s", "Contiguous"), byte_level()],
    "words": [{"type": "WhitespaceSplit"}, byte_level()],
    "at a character": [{"type": "CharDelimiterSplit", "delimiter": "-"}, byte_level()],
    "punctuation alone": [{"type": "Punctuation", "behavior": "Isolated"}, GPT2],
    "punctuation left out": [{"type": "Punctuation", "behavior": "Removed"}, GPT2],
    "five characters": [{"type": "FixedLength", "length": 5}, byte_level()],
    "lines": [split("\n", kind="String"), GPT2],
}


@pytest.fixture(scope="module")
def document() -> Document:
    """Train BPE on whole texts, so that its merges reach over every place where steps could cut."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=1500, initial_alphabet=alphabet, show_progress=False)
    parts = (text[at : at + 12] for text in varied_texts(500) for at in range(0, len(text), 6))
    tokenizer.train_from_iterator(parts, trainer)
    found: Document = json.loads(tokenizer.to_str())
    return found


@pytest.mark.parametrize("ignore_merges", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_steps_of_publishers(document: Document, tmp_path: Path, name: str, ignore_merges: bool) -> None:
    steps = {"type": "Sequence", "pretokenizers": STEPS[name]}
    changed = document | {"pre_tokenizer": steps, "model": document["model"] | {"ignore_merges": ignore_merges}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(changed), "utf-8")
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert vocabulary.warnings == ()
    assert KEY in vocabulary.extra
    reference, found = tokenizers.Tokenizer.from_str(json.dumps(changed)), load(vocabulary, tmp_path)
    for text in TEXTS:
        assert encode(found, text) == reference.encode(text, add_special_tokens=False).ids, text


@pytest.mark.parametrize(
    "steps",
    [
        [{"type": "RandomWhitespaceSplit"}, byte_level()],
        [split(r"\p{Han}"), byte_level()],
        [split("(a+)+"), byte_level()],
        [split(""), byte_level()],
    ],
    ids=str,
)
def test_steps_that_are_not_known_are_said(document: Document, tmp_path: Path, steps: list[Document]) -> None:
    changed = document | {"pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(changed), "utf-8")
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert len(vocabulary.warnings) == 1
    assert KEY not in vocabulary.extra


@pytest.mark.parametrize(
    "expression",
    ["(", ")", "a)", "[", "[a", "*", "a**", "(?P<x>a)", "(?#x)", r"\1", r"\k", r"\p{Han}", r"\p", r"[a&&b]", "[[:alpha:]]",
     "(a+b*)+", "(?:a*)*", "a*b*c*d*e*", "a" * 5000, "(?i", "\\", r"\N{DIGIT ONE}", "[z-a]", "a{99999}", "(" * 2000 + ")" * 2000],
)  # fmt: skip
def test_expressions_that_are_not_taken(expression: str) -> None:
    with pytest.raises(NotTaken):
        compiled(expression)


@pytest.mark.parametrize(
    "damaged",
    [b"", b"[", b"{}", b"[1]", b'[{"expression": "("}]', b'[{"behavior": "x"}]', b"[" + b'{"length":1},' * 99],
)
def test_damaged_steps_are_an_error(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Cutting.of_json(damaged)


def test_long_pieces_take_no_longer_than_their_length_times_its_logarithm() -> None:
    letters = {"a": 0, "b": 1, "aa": 2, "aaaa": 3}
    pairs = BytePairs(letters, [(0, 0), (2, 2)], PieceRules())
    assert pairs.tokenize("a" * 400_001 + "b") == [3] * 100_000 + [0, 1]
    assert pairs.tokenize("xaax") == [2]
