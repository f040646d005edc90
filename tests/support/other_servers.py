"""Other programs' servers, run on this computer where an environment variable names them: llama-server, vLLM."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from desktop_app.engine.backends import has_working_repack
from tests.support.checkpoints import checkpoint_of_gguf

KEY = "secret"
NAME = "starter"
CONTEXT = 512
Command = Callable[[int, Path, Path], list[str]]


def llama_server(port: int, starter: Path, folder: Path) -> list[str]:
    """Return the command of llama-server with two slots."""
    program = os.environ.get("ZHIYIN_LLAMA_SERVER")
    if not program:
        pytest.skip("ZHIYIN_LLAMA_SERVER names no llama-server; tests/benchmarks/bench_server.py says how it is built")
    context = ("-c", str(2 * CONTEXT), "-np", "2")
    key = ("--port", str(port), "--api-key", KEY)
    repack = [] if has_working_repack() else ["--no-repack"]  # it crashes there
    return [program, "-m", str(starter), *key, *context, "-t", "1", "--jinja", "-a", NAME, *repack]


def vllm(port: int, starter: Path, folder: Path) -> list[str]:
    """Return the command of vLLM on the processor."""
    program = os.environ.get("ZHIYIN_VLLM")
    if not program:
        pytest.skip("ZHIYIN_VLLM names no vllm; docs/scaling.md says how it is installed for processors")
    checkpoint = str(checkpoint_of_gguf(starter, folder / "checkpoint"))
    options = ("--dtype", "float32", "--max-model-len", str(CONTEXT), "--enforce-eager")
    return [program, "serve", checkpoint, "--served-model-name", NAME, "--port", str(port), "--api-key", KEY, *options]


@contextmanager
def running(command_of: Command, starter: Path, folder: Path) -> Iterator[str]:
    """Run a server with the starter model as NAME, with KEY and CONTEXT tokens a request; give its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = command_of(port, starter, folder)
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder) as process,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            end = time.monotonic() + 600
            while not _is_ready(address):
                assert process.poll() is None, (folder / "log").read_text()[-2000:]
                assert time.monotonic() < end
                time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(60)


def _is_ready(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/health").status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False
