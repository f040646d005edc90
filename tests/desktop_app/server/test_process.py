"""The server in a process of its own, as the window runs it."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import psutil
import pytest

from desktop_app.server.process import Answered, Ready, ServerProcess, ServerSettings, network_address
from models.errors import ZhiyinError

ROOT = Path(__file__).parents[3]
WAIT = 120


class News:
    """What a server tells."""

    def __init__(self, settings: ServerSettings) -> None:
        self.ready: Ready | None = None
        self.answered: list[Answered] = []
        self.error: ZhiyinError | None = None
        self.is_ready, self.has_ended = threading.Event(), threading.Event()
        self.process = ServerProcess(settings, self._take, self.answered.append, self._end)

    def _take(self, ready: Ready) -> None:
        self.ready = ready
        self.is_ready.set()

    def _end(self, error: ZhiyinError | None) -> None:
        self.error = error
        self.has_ended.set()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
    return port


def test_it_answers_until_it_is_stopped() -> None:
    news = News(ServerSettings(port=free_port()))
    try:
        assert news.is_ready.wait(WAIT)
        assert news.ready is not None
        assert news.ready.key == ""
        assert httpx.get(f"{news.ready.address}/v1/models").status_code == 200
    finally:
        news.process.close()
    assert news.has_ended.wait(WAIT)
    assert news.error is None
    assert [(one.path, one.status) for one in news.answered] == [("/v1/models", 200)]


def test_on_the_network_it_wants_a_key_and_names_an_address_of_this_computer(data_home: Path) -> None:
    news = News(ServerSettings("0.0.0.0", free_port()))  # noqa: S104 - the case itself
    try:
        assert news.is_ready.wait(WAIT)
        assert news.ready is not None
        port = news.ready.address.rpartition(":")[2]
        assert f"//{network_address()}:" in news.ready.address
        models = f"http://127.0.0.1:{port}/v1/models"
        assert httpx.get(models).status_code == 401
        assert httpx.get(models, headers={"Authorization": f"Bearer {news.ready.key}"}).status_code == 200
    finally:
        news.process.close()


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        news = News(ServerSettings(port=taken.getsockname()[1]))
        assert news.has_ended.wait(WAIT)
    assert news.error is not None
    assert "end the program that uses it" in str(news.error)


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_it_ends_with_the_process_that_started_it() -> None:
    code = (
        "import time; from desktop_app.server.process import *\n"
        f"ServerProcess(ServerSettings(port={free_port()}), lambda r: print(r.address, flush=True), print, print)\n"
        "time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith("http://127.0.0.1:")
        children = psutil.Process(parent.pid).children(recursive=True)
        assert children
        parent.kill()
        _, alive = psutil.wait_procs(children, WAIT)
    assert alive == []


def test_the_address_for_others_is_one_of_this_computer() -> None:
    own = {one.address for addresses in psutil.net_if_addrs().values() for one in addresses}
    assert network_address() in own | {"127.0.0.1"}
    ipaddress.ip_address(network_address())
