"""What a quantization loses, predicted by its types: held to what was published and measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desktop_app.planning.divergence import grade, predicted_divergence
from desktop_app.planning.planner import plan
from desktop_app.system.read_speed import Weights
from tests.desktop_app.planning.test_planner import COMPUTERS, LLAMA_8B, model

PUBLISHED = {
    "Q8_0": 0.001355,
    "Q6_K": 0.005452,
    "Q5_K_M": 0.010762,
    "Q5_K_S": 0.016595,
    "Q4_K_M": 0.031273,
    "Q4_K_S": 0.043136,
    "Q4_0": 0.07194,
    "Q3_K_M": 0.101913,
    "Q2_K": 0.445132,
}
"""Mean KL divergence of Llama 3 8B without an importance matrix: llama.cpp, tools/perplexity/README.md."""


def test_published_divergences_are_predicted() -> None:
    predicted = {c.quant: c.divergence for c in model(LLAMA_8B, *PUBLISHED).candidates}
    for quant, measured in PUBLISHED.items():
        assert measured / 1.6 < predicted[quant] < 1.6 * measured, quant
    assert predicted_divergence({"F16": Weights(10**9, 10)}) == 0.0
    assert predicted_divergence({}) == 0.0
    small, large = (predicted_divergence({"Q4_K": Weights(size, 10)}) for size in (10**8, 10**9))
    assert small > large


def test_types_that_are_rare_lie_where_their_bits_put_them() -> None:
    by_type = {name: predicted_divergence({name: Weights(10**9, 10)}) for name in ("IQ2_XXS", "Q2_K", "IQ3_S", "Q4_K")}
    assert list(by_type.values()) == sorted(by_type.values(), reverse=True)


@pytest.mark.parametrize(
    ("divergence", "word"),
    [(0.0, "exact"), (0.001, "excellent"), (0.03, "good"), (0.1, "fair"), (0.4, "poor")],
)
def test_a_divergence_has_a_word(divergence: float, word: str) -> None:
    assert grade(divergence) == word


def test_what_was_measured_stands_above_the_prediction() -> None:
    found = model(LLAMA_8B, "Q4_K_M", "Q4_0")
    computer = COMPUTERS["16 GB Windows"]
    best = plan(found, computer).best
    assert best is not None
    assert (best.quant, best.quality, best.is_measured) == ("Q4_K_M", "good", False)
    better = replace(found.candidates[1], measured=0.01)
    best = plan(replace(found, candidates=(found.candidates[0], better)), computer).best
    assert best is not None
    assert (best.quant, best.quality, best.is_measured) == ("Q4_0", "excellent", True)
