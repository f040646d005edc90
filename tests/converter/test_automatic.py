"""`--quant auto`: what fits, and what it says when nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest

from converter.automatic import cache_bytes
from converter.pipeline import ConvertRequest, plan
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama

FIXED = 400 * 1024 * 1024


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config, weights = random_llama(hidden_size=256, intermediate_size=512, vocab_size=320)
    return write_checkpoint(tmp_path_factory.mktemp("source") / "tiny", config, weights)


def chosen(source: Path, memory: int) -> tuple[str, tuple[str, ...]]:
    planned = plan(ConvertRequest(source, tokenizer="none", memory=memory))
    return planned.recipe.name, planned.warnings


def test_the_usual_mixture_where_it_fits(source: Path) -> None:
    assert chosen(source, 0) == ("Q4_K_M", ())
    assert chosen(source, 1 << 40) == ("Q4_K_M", ())


def test_a_smaller_one_where_it_does_not(source: Path) -> None:
    sizes = {q: plan(ConvertRequest(source, quant=q, tokenizer="none")).size for q in ("Q4_K_M", "Q3_K_M", "Q2_K")}
    cache = 2 * 2 * 2 * 64 * 2 * 4096  # key and value, layers, heads, head size, bytes, tokens
    name, warnings = chosen(source, FIXED + cache + sizes["Q3_K_M"])
    assert name == "Q3_K_M"
    assert "Q4_K_M" in warnings[0]
    name, warnings = chosen(source, 1)
    assert name == "Q2_K"
    assert "smaller model" in warnings[0]


def test_the_cache_of_llama_7b() -> None:
    """2 (key and value) x 32 layers x 4096 wide x 2 bytes x 4096 tokens: 2 GiB."""
    assert cache_bytes({"block_count": 32, "embedding_length": 4096, "attention.head_count": 32}) == 2 << 30
    assert cache_bytes({"block_count": 24, "embedding_length": 2048}) == 0
