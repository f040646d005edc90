"""A sample of the damaged files that `tests.benchmarks.fuzz_readers` tries by the ten thousand."""

from __future__ import annotations

import random

import pytest

from models.errors import ZhiyinError
from tests.support.damaged_files import Kind, kinds

NAMES = (
    "model llama",
    "model gpt_oss",
    "model qwen35",
    "tokenizer.json",
    "tokenizer.json with byte fallback",
    "vocab.json",
    "sentencepiece bpe",
    "icetk",
    "glm4",
    "rwkv world",
    "shards",
    "safetensors",
    "torch zip",
    "torch legacy",
    "meta llama",
    "adapter",
    "old importance",
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    return kinds(tmp_path_factory.mktemp("kinds"), NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_read_or_refused_by_a_sentence(name: str, good: dict[str, Kind]) -> None:
    refused = 0
    for number in range(20):
        files = good[name].damage(random.Random(f"sample {name} {number}"))
        try:
            good[name].smoke_load(files)
        except ZhiyinError as error:
            refused += 1
            assert str(error).endswith("."), error
            assert "\n" not in str(error)
            assert len(str(error)) < 1000
    assert refused
