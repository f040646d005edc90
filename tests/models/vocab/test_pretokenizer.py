"""The names of splitting rules: each named rule against llama.cpp itself, and what happens with a new one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tokenizers
from tokenizers import pre_tokenizers

from models.config import Config
from models.vocab import read_vocabulary
from models.vocab.cutting import KEY as CUTS
from models.vocab.pretokenizer import LIMITS, NAMED_RULES, Rules, name_pretokenizer, name_rules
from models.vocab.structures import Step
from models.vocab.vocabulary import Vocabulary
from tests.support.vocabularies import encode, load, varied_texts

BY_CODE = {"kimi-k2"}
"""llama.cpp runs a hand-written splitter, after the publisher's expressions; the tokenizers library lacks the set operation."""


def split(expression: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


@pytest.fixture(scope="module")
def merged_across() -> tokenizers.Tokenizer:
    """Train BPE on whole texts, so that its merges reach over every place where rules could cut."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=1500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(
        (text[at : at + 12] for text in varied_texts(500) for at in range(0, len(text), 6)), trainer
    )
    return tokenizer


@pytest.mark.parametrize("name", sorted(NAMED_RULES.keys() - BY_CODE))
def test_named_rules_cut_as_the_publishers(name: str, merged_across: tokenizers.Tokenizer, tmp_path: Path) -> None:
    rules = NAMED_RULES[name]
    document = json.loads(merged_across.to_str())
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [*map(split, rules.expressions), byte_level]}
    document["model"]["ignore_merges"] = rules.ignore_merges
    (tmp_path / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert (vocabulary.pre, vocabulary.warnings) == (name, ())
    assert (CUTS in vocabulary.extra) is (name in LIMITS)
    reference = tokenizers.Tokenizer.from_str(json.dumps(document))
    found = load(vocabulary, tmp_path)
    for text in varied_texts(300):
        assert encode(found, text) == reference.encode(text, add_special_tokens=False).ids, text


PUBLISHED: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [{"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}],
    "smollm": [{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "use_regex": True}],
    "deepseek-coder": [
        split("[\r\n]"),
        split(r"\s?\p{L}+"),
        split(r"\s?\p{P}+"),
        split("[一-龥ࠀ-一가-퟿]+"),
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "use_regex": False},
    ],
}
"""Other ways in which publishers write the rules in tokenizer.json."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_forms_are_recognised(name: str) -> None:
    steps = msgspec.convert({"type": "Sequence", "pretokenizers": PUBLISHED[name]}, Step)
    assert name_pretokenizer(steps, ignore_merges=False, added=()) == (name, LIMITS.get(name))


@pytest.mark.parametrize(
    ("expression", "nearest"),
    [
        (
            NAMED_RULES["qwen2"].expressions[0].replace(r"\p{N}|", r"\p{N}{1,2}|"),
            {"qwen2", "chatglm-bpe", "seed-coder"},
        ),
        (NAMED_RULES["gpt-4o"].expressions[0].replace("[\\r\\n/]*", "[\\r\\n]*"), {"gpt-4o", "kimi-k2"}),
        (NAMED_RULES["gpt-2"].expressions[0].replace("'s|", ""), {"gpt-2"}),
    ],
)
def test_a_new_rule_gets_the_nearest_name_and_a_warning(expression: str, nearest: set[str]) -> None:
    name, warning = name_rules(Rules((expression,)))
    assert name in nearest
    assert warning is not None
    assert name in str(warning)


@pytest.mark.parametrize("expression", ["", "(", "[", "a" * 100_000, "(((a+)+)+$" * 50, "|" * 5000, "\\"])
def test_odd_rules_do_no_harm(expression: str) -> None:
    name, warning = name_rules(Rules((expression,)))
    assert name in NAMED_RULES
    assert warning


def test_many_nested_sequences_are_read_in_their_order() -> None:
    step = Step("Digits", individual_digits=True)
    for _ in range(20_000):
        step = Step("Sequence", pretokenizers=[step])
    steps = Step("Sequence", pretokenizers=[step, Step("ByteLevel")])
    assert name_pretokenizer(steps, ignore_merges=False, added=()) == ("smollm", None)


def test_llama_cpp_knows_every_name(tmp_path: Path) -> None:
    letters = [chr(code) for code in range(33, 127)]
    for name in (*NAMED_RULES, "glm4"):
        vocabulary = Vocabulary("gpt2", pre=name, tokens=list(letters), types=[1] * len(letters), merges=["a b"])  # type: ignore[list-item]
        assert load(vocabulary, tmp_path).size == len(letters)
