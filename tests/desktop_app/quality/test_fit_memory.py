"""A mixture for what is free fills it: loaded, it takes hardly less, and never more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.bench_fit_memory import filled_memory
from tests.support.checkpoints import outline_of_gguf

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is counted otherwise"),
]
CONTEXT = 512


def test_memory_is_filled_and_never_more(starter_gguf: Path, tmp_path: Path) -> None:
    source = outline_of_gguf(starter_gguf, tmp_path / "source", max_position_embeddings=CONTEXT)
    for filled in filled_memory(source, tmp_path, (300_000_000, 330_000_000), CONTEXT):
        assert 0.995 * filled.allowed <= filled.planned <= filled.allowed, filled
        assert 0.995 * filled.allowed <= filled.measured <= filled.allowed, filled
