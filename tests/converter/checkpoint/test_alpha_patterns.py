"""Patterns of alphas: the names that they mean, as PEFT's own function noted them (get_pattern_key of PEFT 0.21.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from converter.checkpoint.alpha_patterns import AlphaPatterns
from models.config import Config
from models.errors import BadFile, UnsupportedModel

PARTS = ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj", "mlp.experts.3.up_proj")
NAMES = [*(f"model.layers.{layer}.{part}" for layer in (0, 1, 11) for part in PARTS), "lm_head", "model.embed_tokens"]
NOTED = [
    (["q_proj"], "0---0---0-----"),
    (["^model.layers.0"], "--------------"),
    (["^model.layers.0.self_attn.q_proj"], "0-------------"),
    (["layers\\.1\\..*"], "----0000------"),
    ([".*\\.layers\\.[0-9]+\\..*attn\\.(q|v)_proj"], "00--00--00----"),
    ([".*.*.*.*proj"], "000000000000--"),
    (["q_proj|down_proj"], "0-0-0-0-0-0---"),
    (["proj"], "--------------"),
    (["_proj"], "--------------"),
    (["model"], "--------------"),
    (["model.layers.1.mlp.down_proj", ".*"], "11111101111111"),
    ([".*", "q_proj"], "00000000000000"),
    (["(?!.*experts).*\\.mlp\\..*"], "--0---0---0---"),
    (["\\d+\\.self_attn\\.\\w+"], "00--00--00----"),
    (["layers.1"], "--------------"),
    (["Q_PROJ", "(?:lm_head)"], "------------1-"),
    (["1{2}\\.mlp\\..*"], "----------00--"),
    (["embed_tokens$"], "-------------0"),
]
"""Patterns, and which of them each name has."""


def patterns(*keys: str) -> AlphaPatterns:
    return AlphaPatterns(Config({"alpha_pattern": {key: number for number, key in enumerate(keys)}}), Path("lora"))


@pytest.mark.parametrize(("keys", "noted"), NOTED)
def test_names_are_matched_as_peft_matches_them(keys: list[str], noted: str) -> None:
    alphas = patterns(*keys)
    found = [alphas.alpha(name) for name in NAMES]
    assert "".join("-" if alpha is None else str(int(alpha)) for alpha in found) == noted


@pytest.mark.parametrize("key", ["((a{99}){99}){99}", "a{99999999999}", "a{e<=1}", "x" * 1001])
def test_what_would_take_all_memory_is_refused(key: str) -> None:
    with pytest.raises(UnsupportedModel, match="too intricate"):
        patterns(key)


@pytest.mark.parametrize("key", ["[", "(", "*", r"\p{L}", r"\L<words>", "(?P<a>.)(?P<a>.)"])
def test_what_python_does_not_know_is_malformed(key: str) -> None:
    with pytest.raises((BadFile, UnsupportedModel), match=r"malformed|too intricate"):
        patterns(key)


def test_a_pattern_that_takes_years_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converter.checkpoint.alpha_patterns._SECONDS", 0.2)
    with pytest.raises(UnsupportedModel, match="too intricate"):
        patterns("(?:(?=(a+))a+)+b|(a|aa)+$x").alpha("a" * 200)
