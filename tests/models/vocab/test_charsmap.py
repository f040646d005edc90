"""Compiled replacements: read back as they were given, by the reader that is held to sentencepiece itself."""

from __future__ import annotations

import random

import pytest

from models.vocab.charsmap import compile_charsmap
from models.vocab.normalizer import Normalizer


def normalizer(replacements: dict[str, str]) -> Normalizer:
    return Normalizer(compile_charsmap(replacements), (), add_dummy_prefix=False, remove_extra_whitespaces=False)


def test_each_text_is_replaced_and_no_other() -> None:
    rng = random.Random(3)
    characters = [chr(code) for code in range(0x80, 0x3000) if not 0x2000 <= code < 0x2100]
    given = {c: "".join(rng.choices("abc知音", k=rng.randint(0, 3))) for c in rng.sample(characters, 3000)}
    given |= {"ab": "x", "abc": "yy", "Ａ": "A"}
    made = normalizer(given)
    for text in [*characters, "ab", "abc", "abd", "a", "知"]:
        expected = given.get(text, given["ab"] + "d" if text == "abd" else text)
        assert made.normalize(text) == expected, text


def test_nothing_is_refused_but_what_the_form_cannot_hold() -> None:
    assert normalizer({}).normalize("知音") == "知音"
    for wrong in ({"": "a"}, {"a\0": "b"}, {"a": "\0"}):
        with pytest.raises(ValueError, match="null"):
            compile_charsmap(wrong)
