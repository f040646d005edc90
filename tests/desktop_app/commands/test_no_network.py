"""Nothing goes to a network unasked: the system's calls of each command and of all its processes are looked at."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from converter.hub.repository import DownloadRequest, download
from desktop_app.connections import connections
from desktop_app.network import ASKED, OFFLINE, ONLINE, switch
from desktop_app.paths import downloads_folder
from tests.support.checkpoints import write_checkpoint
from tests.support.hub_server import HubServer, Repository
from tests.support.random_llama import random_llama
from tests.support.serving import STARTER, served
from tests.support.tiny_gguf import tiny_gguf

ROOT = Path(__file__).parents[3]
_NETWORK = re.compile(r"\b(AF_INET6?|AF_PACKET|sin6?_addr)\b")

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")


def network_calls(words: list[str], tmp_path: Path, **environment: str) -> list[str]:
    """Run a command to its end, and return what it and its processes asked of a network."""
    log = tmp_path / "calls"
    traced = ["strace", "-f", "-qq", "-e", "trace=network", "-o", str(log), *words]
    done = subprocess.run(
        traced, cwd=ROOT, env=os.environ | environment, capture_output=True, timeout=240, input=b"", check=False
    )
    if b"PTRACE" in done.stderr:
        pytest.skip("this system lets nobody look")
    assert done.returncode == 0, done.stderr.decode()
    return [line for line in log.read_text(errors="replace").splitlines() if _NETWORK.search(line)]


def test_the_check_sees_what_there_is(tmp_path: Path) -> None:
    child = "import socket; socket.socket(socket.AF_INET6)"
    program = f"import socket, subprocess, sys; socket.socket(); subprocess.run([sys.executable, '-c', {child!r}])"
    calls = network_calls([sys.executable, "-c", program], tmp_path)
    assert sum("socket(AF_INET" in call for call in calls) == 2


def connects(log: Path) -> list[tuple[str, int]]:
    """Return every address that was connected to."""
    calls = [
        line for line in log.read_text(errors="replace").splitlines() if " connect(" in line and _NETWORK.search(line)
    ]
    matches = [re.search(r'sin6?_port=htons\((\d+)\).*?"([^"]+)"', line) for line in calls]
    assert None not in matches, calls
    return [(match[2], int(match[1])) for match in matches if match is not None]


@pytest.mark.parametrize(
    "command",
    ["chat", "convert", "fit", "fit NAME", "models", "models import", "tokenize", "hardware", "doctor", "window"],
)
def test_a_command_asks_no_network(command: str, starter_gguf: Path, tmp_path: Path) -> None:
    """With settings of a network, which must not be followed either."""
    checkpoint = tmp_path / "checkpoint"
    config, weights = random_llama(vocab_size=320)
    write_checkpoint(checkpoint, config, weights)
    out = str(tmp_path / "out.gguf")
    words = {
        "chat": ["chat", "-m", str(starter_gguf), "--prompt", "Hi", "--max-tokens", "2", "--ctx", "256"],
        "convert": ["convert", str(checkpoint), "--quant", "Q8_0", "--tokenizer", "none", "--out", out],
        "fit": ["fit", str(starter_gguf)],
        "fit NAME": ["fit", "Qwen/Qwen3-0.6B"],
        "models": ["models", "list"],
        "models import": ["models", "import", str(starter_gguf)],
        "tokenize": ["tokenize", str(starter_gguf), "Hi"],
        "hardware": ["hardware"],
        "doctor": ["doctor"],
        "window": ["--smoke-test"],
    }[command]
    settings = {"HF_TOKEN": "hf_secret", "ALL_PROXY": "socks5://127.0.0.1:9", "HF_ENDPOINT": "http://127.0.0.1:9"}
    assert network_calls([sys.executable, "-m", "desktop_app.cli", *words], tmp_path, **settings) == []


@pytest.mark.slow
@pytest.mark.usefixtures("data_home")
@pytest.mark.parametrize("position", [OFFLINE, ONLINE])
@pytest.mark.parametrize("command", ["chat", "convert", "fit", "window"])
def test_in_other_positions_it_asks_none_either(
    command: str, position: str, starter_gguf: Path, tmp_path: Path
) -> None:
    """Online too: nothing was downloaded that could be published anew."""
    switch(position)
    test_a_command_asks_no_network(command, starter_gguf, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("position", [ONLINE, ASKED, OFFLINE])
def test_the_server_connects_to_nobody(position: str, data_home: Path, tmp_path: Path) -> None:
    switch(position)
    log = tmp_path / "calls"
    with served(data_home, before=("strace", "-D", "-f", "-qq", "-e", "trace=network", "-o", str(log))) as server:
        assert "SmolLM2" in httpx2.get(f"{server.address}/v1/models", timeout=60).text
        body = {"model": STARTER, "max_tokens": 2, "messages": [{"role": "user", "content": "Hi"}]}
        assert httpx2.post(f"{server.address}/v1/chat/completions", json=body, timeout=120).json()["choices"]
    assert connects(log) == []
    assert connections() == []


@pytest.mark.slow
@pytest.mark.usefixtures("data_home")
def test_the_list_of_connections_is_what_the_system_saw(tmp_path: Path) -> None:
    config, weights = random_llama(vocab_size=320)
    files = {path.name: path.read_bytes() for path in write_checkpoint(tmp_path / "tea", config, weights).iterdir()}
    with HubServer({"org/tea": Repository({"main": files})}) as hub, HubServer() as content:
        content.repositories, hub.content_at = hub.repositories, content.endpoint
        words = ["convert", "org/tea", "--tokenizer", "none", "--quant", "Q8_0", "--out", str(tmp_path / "out.gguf")]
        program = [sys.executable, "-m", "desktop_app.cli", *words]
        assert network_calls(program, tmp_path, HF_ENDPOINT=hub.endpoint) != []
        listed = [(entry.host, entry.port) for entry in connections()]
        assert len(listed) == len(hub.requests) + len(content.requests)
        assert set(connects(tmp_path / "calls")) == set(listed)
        assert len(set(listed)) == 2, "the hub and where it redirects to"


@pytest.mark.usefixtures("data_home")
def test_offline_a_download_opens_no_socket(tmp_path: Path) -> None:
    switch(OFFLINE)
    program = [sys.executable, "-m", "desktop_app.cli"]
    log = tmp_path / "calls"
    traced = ["strace", "-f", "-qq", "-e", "trace=network", "-o", str(log), *program, "pull", "Qwen/Qwen3-0.6B"]
    done = subprocess.run(traced, cwd=ROOT, capture_output=True, timeout=240, input=b"", check=False)
    if b"PTRACE" in done.stderr:
        pytest.skip("this system lets nobody look")
    assert done.returncode == 1
    assert b"switched to offline" in done.stderr
    assert not _NETWORK.search(log.read_text(errors="replace"))


_WINDOW = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from desktop_app.network import watch
watch()
from desktop_app.ui.services import Services
application = QApplication([])
services = Services(application)
if sys.argv[1] == "asks":
    services.newer.looked.connect(lambda *_: application.quit())
else:
    QTimer.singleShot(6000, application.quit)
services.begin()
application.exec()
services.close()
"""


@pytest.mark.slow
@pytest.mark.usefixtures("data_home")
@pytest.mark.parametrize("position", [ONLINE, ASKED, OFFLINE])
def test_the_window_asks_by_itself_where_it_may_and_its_list_says_so(position: str, tmp_path: Path) -> None:
    file = tiny_gguf(tmp_path / "made" / "tea-Q8_0.gguf").read_bytes()
    with HubServer({"org/tea": Repository({"main": {"tea-Q8_0.gguf": file}})}) as hub:
        download(DownloadRequest("org/tea", downloads_folder(), endpoint=hub.endpoint))
        switch(position)
        before = len(hub.requests)
        words = [sys.executable, "-c", _WINDOW, "asks" if position == ONLINE else "does not ask"]
        calls = network_calls(words, tmp_path, QT_QPA_PLATFORM="offscreen")
        asked = hub.requests[before:]
        seen = connects(tmp_path / "calls")
    assert [request.path for request in asked] == (["/api/models/org/tea"] if position == ONLINE else [])
    assert [(entry.host, entry.port) for entry in connections()] == seen
    assert bool(calls) == (position == ONLINE)
