"""What the tests of assistants share: a model that takes no time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tiny_chat import tiny_chat


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random tiny model that knows no tools, so that its calls are JSON."""
    return tiny_chat(tmp_path_factory.mktemp("tiny"))
