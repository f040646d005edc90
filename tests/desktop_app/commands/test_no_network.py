"""Nothing goes to a network unasked: the system's calls of each command and of all its processes are looked at."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from desktop_app.network import OFFLINE, switch
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama

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
