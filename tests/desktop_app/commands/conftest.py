"""Commands in the tests' own process."""

from __future__ import annotations

import pytest

from desktop_app.commands.terminal import ProgressLine


@pytest.fixture(autouse=True)
def as_just_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the minute without a line of progress from each test on, as a process of its own does."""
    monkeypatch.setattr(ProgressLine, "_said", None)
