"""Several computers as one: what a worker lends is asked with a sentence for every failure, and its loss ends no chat."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.hub import permission
from desktop_app.cli import main
from desktop_app.engine.client import Engine, EngineDied
from desktop_app.engine.lender import Lender
from desktop_app.engine.protocol import Generate, Load, LoadSettings, Logits, Progress, SamplingSettings, Text, Update
from desktop_app.engine.workers import WorkerFailed, ask_workers, networks, read_worker
from desktop_app.planning.load_plan import LoadPlanner
from models.errors import ZhiyinError
from tests.support.lending import PORT, add_rpc_part, namespaces, worker

pytestmark = pytest.mark.usefixtures("data_home")
HELLO = struct.pack("<Q", 28) + bytes([7, 0, 0, 0]) + bytes(24)


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """Answer each question of one connection with the next bytes, then close."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    for data in answers:
                        connection.recv(65536)
                        connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def failure(*answers: bytes) -> str:
    with answering(*answers) as address, pytest.raises(WorkerFailed) as caught:
        ask_workers([address])
    return str(caught.value)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("gpu", f"gpu:{PORT}"),
        ("192.168.1.5:7000", "192.168.1.5:7000"),
        ("[fd00::1]:7000", "[fd00::1]:7000"),
        ("fd00::1", f"[fd00::1]:{PORT}"),
    ],
)
def test_addresses(typed: str, address: str) -> None:
    assert read_worker(typed) == address


@pytest.mark.parametrize("typed", ["", "http://gpu", "gpu:99999", "two words", "gpu,other", "me@gpu"])
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(WorkerFailed):
        read_worker(typed)


def test_workers_that_do_not_answer_are_sentences() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(WorkerFailed, match="the connection was refused"):
        ask_workers([address])
    assert "the connection was closed early" in failure()
    assert "the connection was closed early" in failure(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert "speaks version 6" in failure(HELLO.replace(b"\x07", b"\x06"))
    assert "the connection was closed early" in failure(HELLO, struct.pack("<QI", 4, 0))


def test_offline_a_worker_elsewhere_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = permission._Gate()
    gate.is_offline = lambda: True
    monkeypatch.setattr(permission, "_gate", gate)
    with pytest.raises(WorkerFailed, match="switched to offline"):
        ask_workers(["192.168.1.5:50052"])


def test_only_who_is_allowed_gets_in() -> None:
    heard: list[tuple[str, str]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lender = Lender(listener, networks(["192.168.1.0/24", "fd00::1"]), 1, lambda *told: heard.append(told))
        assert lender.lets_in("192.168.1.77")
        assert lender.lets_in("::ffff:192.168.1.77")
        assert lender.lets_in("fd00::1")
        assert not lender.lets_in("192.168.2.1")
        assert not lender.lets_in("127.0.0.1")
        threading.Thread(target=lender.serve, daemon=True).start()
        with socket.create_connection(listener.getsockname()) as connection:
            assert connection.recv(1) == b""
    assert heard == [("127.0.0.1", "refused")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--listen", "0.0.0.0:0"], "Say who may connect"),
        (["--listen", "127.0.0.1:0", "--allow", "everybody"], "is no address"),
        (["--listen", "127.0.0.1:0"], "need the engine part rpc"),
    ],
)
def test_a_worker_says_what_it_lacks(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", *options]) == 1
    assert words in capsys.readouterr().err


def test_an_engine_says_that_the_part_is_missing(starter_gguf: Path) -> None:
    with Engine(workers=["127.0.0.1:1"]) as engine, pytest.raises(ZhiyinError, match="need the engine part rpc"):
        engine.submit(Load(starter_gguf))


def logits_of(engine: Engine, path: Path, out: Path, split: tuple[float, ...]) -> np.ndarray:
    settings = LoadSettings(
        context=512, kv_type="f32", logit_rows=64, threads=1, gpu_layers=-1 if split else 0, tensor_split=split
    )
    engine.submit(Load(path, settings)).result(120)
    engine.submit(Logits(tuple(range(100, 164)), out)).result(120)
    found: np.ndarray = np.load(out)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_computers_together_compute_what_one_does(count: int, starter_gguf: Path, tmp_path: Path) -> None:
    """With this one, `count` computers: each of the others has its part of the layers."""
    add_rpc_part()
    with Engine() as engine:
        alone = logits_of(engine, starter_gguf, tmp_path / "alone.npy", ())
    with ExitStack() as stack:
        places = stack.enter_context(namespaces(count - 1))
        workers = [
            stack.enter_context(
                worker("--listen", f"{there}:{PORT}", "--allow", here, "--threads", "1", namespace=name)
            )[0]
            for name, there, here in places
        ]
        engine = stack.enter_context(Engine(workers=workers))
        for split in ((1.0,) * (count - 1), (1.0, *(3.0,) * (count - 2))):
            together = logits_of(engine, starter_gguf, tmp_path / "together.npy", split)
            assert np.abs(together - alone).max() < 1e-3
        planned = LoadPlanner(engine).plan(starter_gguf, LoadSettings(), context=512)
        assert planned.plan.best is not None
        assert planned.plan.best.shares[1].device == "RPC0"
        assert {link.worker for link in engine.links.values()} == set(workers)
        assert all(link.bytes_per_second > 1e6 and 0 < link.round_trip < 1 for link in engine.links.values())


@pytest.mark.slow
def test_a_worker_that_falls_silent_is_lost(starter_gguf: Path) -> None:
    add_rpc_part()
    with ExitStack() as stack:
        ((name, there, here),) = stack.enter_context(namespaces(1))
        options = ("--listen", f"{there}:{PORT}", "--allow", here)
        address, _ = stack.enter_context(worker(*options, namespace=name))
        engine = stack.enter_context(Engine(workers=[address]))
        engine.submit(Load(starter_gguf, LoadSettings(context=1024))).result(120)

        def pull_the_cable(update: Update) -> None:
            if isinstance(update, Text):
                subprocess.run(["ip", "link", "set", "zyo0", "down"], check=True)

        with pytest.raises(EngineDied) as died:
            engine.submit(ASKED, pull_the_cable).result(120)
        assert died.value.code == "worker-lost"


ASKED = Generate(
    ({"role": "user", "content": "Count. " * 300},),
    SamplingSettings(temperature=0, max_tokens=40, logit_bias=((2, -100),)),
)


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["load", "prompt", "reply", "between"])
def test_a_worker_killed_in_each_phase_is_a_sentence(phase: str, starter_gguf: Path) -> None:
    add_rpc_part()
    with worker("--listen", "127.0.0.1:0") as (address, process), Engine(workers=[address]) as engine:

        def kill(update: Update, when: Callable[[Any], bool]) -> None:
            if when(update) and process.poll() is None:
                process.send_signal(signal.SIGKILL)

        def job(request: Any, when: Callable[[Any], bool] = lambda _: False) -> Any:
            return engine.submit(request, lambda update: kill(update, when)).result(120)

        load = Load(starter_gguf, LoadSettings(context=2048))
        whens: dict[str, Callable[[Any], bool]] = {
            "load": lambda update: isinstance(update, Progress) and update.phase == "load",
            "prompt": lambda update: isinstance(update, Progress) and update.phase == "prompt",
            "reply": lambda update: isinstance(update, Text),
        }
        died: pytest.ExceptionInfo[EngineDied]
        if phase == "load":
            with pytest.raises(EngineDied) as died:
                job(load, whens["load"])
                job(ASKED)
        else:
            job(load)
            if phase == "between":
                assert job(ASKED).tokens > 0
                process.kill()
                process.wait()
            with pytest.raises(EngineDied) as died:
                job(ASKED, whens.get(phase, lambda _: False))
        assert died.value.code == "worker-lost"
        assert address in str(died.value)
        with pytest.raises(WorkerFailed, match="the connection was refused"):
            engine.submit(ASKED)
        with worker("--listen", address) as (again, _):
            assert again == address
            if phase == "load":
                job(load)
            assert job(ASKED).tokens > 0  # the model was loaded again by itself
    assert not subprocess.run(["pgrep", "-f", "desktop_app.cli --lend"], capture_output=True, check=False).stdout
