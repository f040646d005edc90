"""A host that falls silent: it is said, the speed is not a stale one, and a stop is heard whatever is waited for."""

from __future__ import annotations

import random
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from converter import progress as progress_module
from converter.hub import connection as hub_connection
from converter.hub.repository import download, preview
from converter.hub.request import DownloadRequest
from converter.progress import Meter, Progress
from models.errors import Cancelled, ZhiyinError
from tests.support import hostile_answers as hostile
from tests.support.hub_server import HubServer, Repository
from tests.support.proxies import listening

NAME = "org/model"
CONTENT = random.Random(2).randbytes(2_000_000)


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        running.repositories[NAME] = Repository({"main": {"m-Q8_0.gguf": CONTENT}})
        yield running


def test_a_silent_host_is_said_and_a_stop_is_heard(server: HubServer, tmp_path: Path) -> None:
    part = hostile.head(
        b"Content-Range: bytes 0-1999999/2000000", b"Content-Length: 2000000", status=b"HTTP/1.1 206 Partial Content"
    )
    server.raw["^/cdn/"] = hostile.slow(server, part + CONTENT[:1_000_000], piece=b"")
    stop, seen = threading.Event(), []

    def hear(progress: Progress) -> None:
        seen.append(progress)
        if progress.stalled:
            stop.set()

    with pytest.raises(Cancelled):
        download(DownloadRequest(NAME, tmp_path, endpoint=server.endpoint), hear, stop.is_set)
    last = seen[-1]
    assert (last.bytes_done, last.bytes_per_second, last.seconds_left) == (1_000_000, 0, None)
    assert not server.closing.is_set(), "the host is still silent"
    server.raw.clear()
    server.requests.clear()
    assert download(DownloadRequest(NAME, tmp_path, endpoint=server.endpoint)).fetched == 1_000_000
    assert server.fetched("m-Q8_0.gguf") == ["bytes=1000000-1999999"]


@pytest.mark.parametrize("silent", ["list", "redirect", "after connecting"])
def test_a_stop_is_heard_before_anything_came(server: HubServer, tmp_path: Path, silent: str) -> None:
    asked, stop = threading.Event(), threading.Event()

    def wait(client: socket.socket) -> None:
        asked.set()
        server.closing.wait()

    def answer(request: object) -> Iterator[bytes]:
        if silent == "redirect":
            yield hostile.head(f"Location: http://127.0.0.1:{port}/".encode(), status=b"HTTP/1.1 302 Found")
        asked.set()
        server.closing.wait()

    with listening(wait) as port:
        server.raw["^/api/"] = answer
        endpoint = server.endpoint if silent != "after connecting" else f"http://127.0.0.1:{port}"

        def hear(progress: Progress) -> None:
            assert (progress.stalled, progress.bytes_total, progress.bytes_per_second) == (True, 0, 0)
            stop.set()

        with pytest.raises(Cancelled):
            download(DownloadRequest(NAME, tmp_path, endpoint=endpoint), hear, stop.is_set)
        assert asked.is_set()
        assert not server.closing.is_set(), "the host is still silent"
        server.closing.set()


@contextmanager
def full_queue() -> Iterator[int]:
    """Lend a port of this computer that answers no connection: as many wait there as may."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as stack:
        address = server.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield address[1]


@pytest.fixture
def silent_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Names of `.test` are looked up until the end of the test."""
    resolve, over = socket.getaddrinfo, threading.Event()

    def look_up(host: Any, *rest: Any, **more: Any) -> Any:
        if str(host).endswith(".test"):
            over.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return resolve(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield over
    over.set()


SILENT = {
    "name": ("http://hub.test", {}, "name-resolution", "The name hub.test cannot be resolved"),
    "proxy's name": ("http://hub.example", {"HTTP_PROXY": "http://proxy.test:3128"}, "proxy", "(its name cannot be re"),
    "host": ("http://127.0.0.1:{port}", {}, "unreachable", "cannot be reached (it did not answer in time)"),
    "proxy": ("http://hub.example", {"HTTP_PROXY": "http://127.0.0.1:{port}"}, "proxy", "(it did not answer in time)"),
    "SOCKS": ("http://hub.example", {"ALL_PROXY": "socks5://127.0.0.1:{port}"}, "proxy", "(it did not answer in time)"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="a full queue refuses elsewhere")
@pytest.mark.parametrize("case", SILENT)
def test_what_hangs_before_the_host_is_not_blamed_on_it(
    case: str, silent_names: threading.Event, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hub_connection, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(hub_connection, "_LOOK_UP_SECONDS", 0.1)
    endpoint, settings, code, words = SILENT[case]
    with full_queue() as port:
        for name, value in settings.items():
            monkeypatch.setenv(name, value.format(port=port))
        with pytest.raises(ZhiyinError) as caught:
            preview(DownloadRequest(NAME, tmp_path, endpoint=endpoint.format(port=port)))
    assert (caught.value.code, words in str(caught.value)) == (code, True), caught.value


@pytest.mark.skipif(sys.platform != "linux", reason="a full queue refuses elsewhere")
@pytest.mark.parametrize("case", SILENT)
def test_while_it_hangs_it_is_said_and_a_stop_is_heard(
    case: str, silent_names: threading.Event, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    endpoint, settings, *_ = SILENT[case]
    stop = threading.Event()

    def hear(progress: Progress) -> None:
        assert (progress.stalled, progress.bytes_total, progress.bytes_per_second) == (True, 0, 0)
        stop.set()

    with full_queue() as port:
        for name, value in settings.items():
            monkeypatch.setenv(name, value.format(port=port))
        with pytest.raises(Cancelled):
            download(DownloadRequest(NAME, tmp_path, endpoint=endpoint.format(port=port)), hear, stop.is_set)
    assert not silent_names.is_set(), "the name is still looked up"


def test_the_speed_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: clock)
    seen: list[Progress] = []
    meter = Meter(seen.append, 1_000_000, 1, "downloading", resumed=100_000)
    for second in range(1, 21):
        clock = float(second)
        meter.add(10_000 if second <= 10 else 1_000, "x")
    assert seen[9].bytes_per_second == pytest.approx(10_000)
    assert (seen[9].resumed, seen[9].bytes_left) == (100_000, 800_000)
    assert seen[-1].bytes_per_second == pytest.approx(1_000)
    assert seen[-1].seconds_left == pytest.approx((1_000_000 - 210_000) / 1_000)
    clock = 21.9
    meter.add(0, "x")
    assert not seen[-1].stalled
    clock = 22.1
    meter.add(0, "x")
    assert (seen[-1].stalled, seen[-1].bytes_per_second, seen[-1].seconds_left) == (True, 0, None)
    clock = 22.3
    meter.add(5_000, "x")
    assert not seen[-1].stalled
    assert seen[-1].bytes_per_second > 0
    clock = 40.0
    meter.add(-215_000, "x")
    assert not seen[-1].stalled
    assert seen[-1].bytes_per_second == 0
