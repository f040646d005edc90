"""Nothing is imported from the working folder, PYTHONPATH or the user's own packages, whatever lies there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Devices
from desktop_app.processes.worker import Tell, in_process

LAUNCHER = Path(sys.executable).with_name("zhiyin" + (".cmd" if sys.platform == "win32" else ""))
OWN = ("models", "converter", "desktop_app", "resources", "tests")
DECOY = """
import pathlib
with open({ran!r}, "a") as file:
    file.write(__name__ + "\\n")
"""


def module_names() -> set[str]:
    """Return the top-level name of everything that a process could import here, and what Python itself looks for."""
    installed = {name for name in packages_distributions() if name.isidentifier()}
    return {*sys.stdlib_module_names, *installed, *OWN, "sitecustomize", "usercustomize", "cli", "engine"}


@pytest.fixture(scope="module")
def hostile(smollm2_outline: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a module and a package of every name beside its weights."""
    folder = tmp_path_factory.mktemp("hostile") / "model"
    folder.mkdir()
    for file in smollm2_outline.iterdir():
        os.link(file, folder / file.name)
    code = DECOY.format(ran=str(folder / "RAN"))
    for name in module_names():
        (folder / f"{name}.py").write_text(code)
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(code)
    return folder


def environment(folder: Path, python_path: str) -> dict[str, str]:
    """Return an environment in which Python's own settings name the hostile folder."""
    base = folder / "base"
    for user_site in (
        base / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages",
        base / "site",
    ):
        user_site.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "usercustomize.py", user_site)
    return {
        **os.environ,
        "PYTHONPATH": python_path,
        "PYTHONUSERBASE": str(base),
        "PYTHONSTARTUP": str(folder / "numpy.py"),
        "QT_QPA_PLATFORM": "offscreen",
    }


def ran(folder: Path) -> str:
    return (folder / "RAN").read_text() if (folder / "RAN").exists() else ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "."],
        ["convert", ".", "--quant", "Q8_0", "--out", "made/model.gguf"],
        ["chat", "-m", "made/model.gguf", "--prompt", "Hi", "--max-tokens", "2"],
        ["tokenize", "made/model.gguf", "Hi"],
        ["hardware"],
        ["models", "list"],
        ["doctor"],
        ["--smoke-test"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_runs_no_code_of_the_folder_it_is_started_in(hostile: Path, arguments: list[str]) -> None:
    check_nothing_of_it_runs(hostile, arguments, "")


@pytest.mark.parametrize(
    "command",
    [
        "doctor",
        # PYTHONPATH is read by the launcher alone, which is the same for every command.
        pytest.param("--smoke-test", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("python_path", [":", "."], ids=["empty", "dot"])
def test_pythonpath_names_no_code_to_run(hostile: Path, command: str, python_path: str) -> None:
    check_nothing_of_it_runs(hostile, [command], python_path)


def check_nothing_of_it_runs(hostile: Path, arguments: list[str], python_path: str) -> None:
    (hostile / "made").mkdir(exist_ok=True)
    done = subprocess.run(
        [str(LAUNCHER), *arguments],
        cwd=hostile,
        env=environment(hostile, python_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran(hostile) == ""
    assert done.returncode == 0, done.stderr


def modules_loaded(tell: Tell, cancelled: Callable[[], bool]) -> list[str]:
    return [str(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)]


def test_engine_and_worker_run_no_code_of_the_working_folder_whoever_starts_them(
    hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    for name, value in environment(hostile, str(hostile)).items():
        monkeypatch.setenv(name, value)
    with Engine() as engine:
        assert engine.submit(Devices()).result(60).devices
    loaded = in_process(modules_loaded, lambda _: None, threading.Event())
    assert not [file for file in loaded if file.startswith(str(hostile))]
    assert ran(hostile) == ""


def test_the_decoys_would_be_noticed(hostile: Path) -> None:
    command = [sys.executable, "-c", "import numpy"]
    subprocess.run(command, cwd=hostile, env=environment(hostile, ""), capture_output=True, check=False)
    assert "numpy" in ran(hostile)
    (hostile / "RAN").unlink()
