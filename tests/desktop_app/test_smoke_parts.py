"""The trials of the smoke test: one for each dependency, and each failure named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import tomllib

from desktop_app import smoke_parts
from desktop_app.smoke_parts import TRIALS, Trial, try_parts
from models.errors import ZhiyinError

ROOT = Path(__file__).parents[2]
BY_THE_SMOKE_TEST_ITSELF = {"jinja2", "llama-cpp-python", "msgspec", "platformdirs", "psutil", "pyside6-essentials"}
"""The engine, its templates and protocol, the data folder, the window."""


def test_every_dependency_has_its_trial() -> None:
    """A new one comes with a trial that uses it, or a bundle may lack a part of it and nobody notices."""
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    declared = {re.split(r"[<>=~!; \[]", line)[0] for line in lines}
    tried = {name for trial in TRIALS for name in trial.needs}
    assert declared == tried | BY_THE_SMOKE_TEST_ITSELF


@pytest.mark.parametrize("name", ["documents", "converting", "server", "mcp", "terminal", "markdown", "signatures"])
def test_a_trial_passes(name: str, tmp_path: Path) -> None:
    (trial,) = (trial for trial in TRIALS if trial.name == name)
    assert trial.run(tmp_path)


def _missing(name: str) -> Callable[[Path], str]:
    def run(folder: Path) -> str:
        raise ModuleNotFoundError(f"No module named '{name}'")

    return run


def test_all_parts_that_fail_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = (Trial("a", (), _missing("x")), Trial("b", (), lambda folder: folder.name), Trial("c", (), _missing("y")))
    monkeypatch.setattr(smoke_parts, "TRIALS", trials)
    with pytest.raises(ZhiyinError) as failed:
        try_parts(tmp_path)
    assert "a: ModuleNotFoundError: No module named 'x'; c: ModuleNotFoundError: No module named 'y'" in str(
        failed.value
    )
    monkeypatch.setattr(smoke_parts, "TRIALS", trials[1:2])
    (tmp_path / "again").mkdir()
    assert try_parts(tmp_path / "again") == {"b": "0"}
