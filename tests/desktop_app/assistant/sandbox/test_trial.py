"""The sandbox's trial: with a sandbox it finds nothing, without one it says what Python could do, and Python is not used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from desktop_app.assistant.sandbox import bubblewrap, linux, python_kernel, trial
from desktop_app.assistant.sandbox.pure_python import PurePython
from desktop_app.assistant.sandbox.trial import Outcome
from desktop_app.assistant.tools.python import Interpreter, unconfined

FREE = [sys.executable, "-m", "tests.support.free_kernel"]
LINUX = pytest.mark.skipif(not linux.Linux().is_there(), reason="this system has no sandbox")


@LINUX
@pytest.mark.parametrize("has_landlock", [True, False])
def test_a_sandbox_holds(has_landlock: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_landlock and bubblewrap.program() is None:
        pytest.skip("bubblewrap is not here, or may not work")
    if has_landlock and not linux.has_landlock():
        pytest.skip("this kernel has no Landlock")
    monkeypatch.setattr(linux, "has_landlock", lambda: has_landlock)
    assert trial.tried() == Outcome(True)


@LINUX
def test_an_open_sandbox_is_caught_and_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("private", "utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(python_kernel, "own_command", lambda _: FREE)
    monkeypatch.setattr(trial, "_outcomes", [])
    outcome = trial.outcome()
    assert outcome == Outcome(True, ("network", "read", "home", "write", "start", "fork", "signal"))
    assert not trial.is_enforced()
    interpreter = Interpreter(tmp_path / "work")
    assert not interpreter.is_confined
    assert isinstance(interpreter._kernel, PurePython)
    assert str(unconfined()) == (
        "A small interpreter runs instead of Python, without files and libraries: confined by this system, Python could still "
        "connect to a server, read other files, read your files, write elsewhere, start programs, start processes, end this "
        "application."
    )


@LINUX
@pytest.mark.parametrize("alone", ["network", "read", "write", "start"])
def test_one_hole_is_enough(alone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_kernel, "own_command", lambda _: [*FREE[:-1], "tests.support.leaking_kernel", alone])
    outcome = trial.tried()
    assert alone in outcome.breaches
    assert not outcome.holds


def test_a_python_that_does_not_start_or_does_not_answer_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (["/nowhere/python"], [sys.executable, "-c", "print('nonsense')"], [sys.executable, "-c", ""]):
        monkeypatch.setattr(python_kernel, "own_command", lambda _, command=command: command)
        assert trial.tried() == Outcome(False)
    monkeypatch.setattr(trial, "confinement", lambda: None)
    assert trial.tried() == Outcome(False)


def test_one_trial_counts_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_outcomes", [])
    calls: list[int] = []
    monkeypatch.setattr(trial, "tried", lambda: calls.append(1) or Outcome(True))
    assert trial.is_enforced()
    assert trial.is_enforced()
    assert len(calls) == 1
