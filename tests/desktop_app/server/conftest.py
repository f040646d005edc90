"""A server for the tests of one file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.serving import Served, add_talkers, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`zhiyin serve` with the starter, `caller` and `thinker`."""
    home = tmp_path_factory.mktemp("served")
    add_talkers(home, tmp_path_factory.mktemp("talkers"))
    with served(home, "--ctx", "1024") as running:
        yield running
