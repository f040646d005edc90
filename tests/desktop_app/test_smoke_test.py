"""`zhiyin --smoke-test`, from the sources: the same check that a bundle has to pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from desktop_app.library.installed import Library
from desktop_app.smoke_parts import TRIALS
from tests.support.commands import zhiyin

_OFFSCREEN = "This plugin does not support "
"""What Qt's platform without a screen says of a window's sizes."""


def test_it_loads_generates_and_draws_and_leaves_the_data_folder_alone(data_home: Path) -> None:
    before = list(data_home.iterdir())
    done = zhiyin("--smoke-test")
    facts = json.loads(done.stdout)
    said = [line for line in done.stderr.splitlines() if not line.startswith(_OFFSCREEN)]
    assert (done.returncode, said) == (0, [])
    assert facts["tokens"] == 8
    assert set(facts["parts"]) == {trial.name for trial in TRIALS}
    assert facts["text"].strip()
    assert facts["window"]["width"] >= 640
    assert facts["window"]["png_bytes"] > 10_000
    assert facts["versions"]["llama-cpp-python"] == "0.3.36"
    assert any(device["type"] == "cpu" for device in facts["devices"])
    assert list(data_home.iterdir()) == before


def test_a_missing_starter_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from desktop_app.cli import main

    monkeypatch.setattr(Library, "starter", lambda _: None)
    assert main(["--smoke-test"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "zhiyin: The starter model is missing from this installation; install Zhiyin again.\n"
