"""Both rankings together find what the better one finds, and what shares no word with its question."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app.documents.embedder import Embedder
from desktop_app.library.embedding_model import bundled_embedding_model
from tests.benchmarks.bench_retrieval import recalls


@pytest.mark.slow
@pytest.mark.parametrize("language", ["zh", "en"])
def test_recall_among_the_first_five(language: str, tmp_path: Path) -> None:
    model = bundled_embedding_model()
    assert model is not None
    with Embedder(model) as embedder:
        found = recalls(language, embedder, tmp_path)
    for kind in ("all", "shared", "unshared"):
        assert found["both", kind] >= max(found["words", kind], found["meaning", kind])
    assert found["both", "unshared"] >= found["words", "unshared"] + 0.2
    assert found["both", "all"] >= 0.9
