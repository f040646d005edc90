"""Downloads over several connections: `python -m tests.benchmarks.bench_download [MEGABYTES]`.

A Hub on this computer, in a process of its own, gives each connection 20 MB/s and answers after 50 ms; then as fast as it can.
Prints the bytes per second of one connection, of Zhiyin, and of curl, and their ratios.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from converter.hub import transfer
from converter.hub.repository import DownloadRequest, download
from tests.support.hub_server import HubServer, Repository

_NAME, _FILE = "org/model", "m-Q8_0.gguf"
_SPEED, _DELAY = 20e6, 0.05
_ROUNDS = 2


def main() -> None:
    """Measure and print."""
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else 200) * 1e6)
    several = transfer._SEVERAL_FROM
    for speed, delay in ((_SPEED, _DELAY), (0.0, 0.0)):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.bench_download", "--serve", str(size), str(speed), str(delay)],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stdout is not None
            endpoint = server.stdout.readline().strip()
            transfer._SEVERAL_FROM = 1 << 60
            one = _best(partial(_fetch, endpoint), size)
            transfer._SEVERAL_FROM = several
            ours = _best(partial(_fetch, endpoint), size)
            curl = _best(partial(_curl, endpoint), size)
            server.kill()
        kind = f"{speed / 1e6:.0f} MB/s a connection, {delay * 1000:.0f} ms" if speed else "as fast as it can"
        print(
            f"{kind}: one connection {one / 1e6:.0f} MB/s, Zhiyin {ours / 1e6:.0f} MB/s, curl {curl / 1e6:.0f} MB/s; "
            f"{ours / one:.2f} times one connection, {ours / curl:.2f} times curl"
        )


def _serve(size: int, speed: float, delay: float) -> None:
    with HubServer() as hub:
        hub.faults.bytes_per_second, hub.faults.delay = speed, delay
        hub.repositories[_NAME] = Repository({"main": {_FILE: random.Random(1).randbytes(size)}})
        print(hub.endpoint, flush=True)
        sys.stdin.read()


def _best(work: Callable[[], None], size: int) -> float:
    """Return the bytes per second of the fastest round."""
    seconds = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return size / min(seconds)


def _fetch(endpoint: str) -> None:
    folder = Path(tempfile.mkdtemp())
    download(DownloadRequest(_NAME, folder, endpoint=endpoint))
    shutil.rmtree(folder)


def _curl(endpoint: str) -> None:
    """Fetch and check, as we do."""
    with tempfile.TemporaryDirectory() as folder:
        command = f"curl -sL {endpoint}/{_NAME}/resolve/main/{_FILE} -o {folder}/file && sha256sum {folder}/file"
        subprocess.run(["sh", "-c", command], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _serve(int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
    else:
        main()
