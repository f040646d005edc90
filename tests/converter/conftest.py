"""One engine process for all of the converter's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from desktop_app.engine.client import Engine


@pytest.fixture(scope="package")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIYIN_HOME", str(tmp_path_factory.mktemp("engine")))
        with Engine() as running:
            yield running
