"""Downloads over several connections: `python -m tests.benchmarks.bench_download [MEGABYTES]`.

A Hub on this computer, in a process of its own, gives each connection 20 MB/s and answers after 50 ms; then as fast as it can.
Prints bytes per second and processor seconds per GB of one connection, of Zhiyin, of curl, and of curl followed by a checksum
(Zhiyin's include it), and the ratios. Processor seconds depend little on what else the computer does; the speeds do.
"""

from __future__ import annotations

import hashlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from converter.hub import transfer
from converter.hub.repository import DownloadRequest, download
from tests.support.hub_server import HubServer, Repository

_NAME, _FILE = "org/model", "m-Q8_0.gguf"
_SPEED, _DELAY = 20e6, 0.05
_ROUNDS = 3


@dataclass(frozen=True)
class _Measured:
    """The fastest round."""

    speed: float
    """Bytes per second."""
    processor: float
    """Seconds per GB, of the system's too, without the server's."""

    def __str__(self) -> str:
        return f"{self.speed / 1e6:.0f} MB/s ({self.processor:.2f} s/GB)"


def main() -> None:
    """Measure and print."""
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else 400) * 1e6)
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
            _curl(endpoint)  # the server has computed its digests now
            transfer._SEVERAL_FROM = 1 << 60
            one = _best(partial(_fetch, endpoint), size)
            transfer._SEVERAL_FROM = several
            ours = _best(partial(_fetch, endpoint), size)
            curl = _best(partial(_curl, endpoint), size)
            checked = _best(partial(_curl, endpoint, check=True), size)
            server.kill()
        kind = f"{speed / 1e6:.0f} MB/s a connection, {delay * 1000:.0f} ms" if speed else "as fast as it can"
        print(f"{kind}: one connection {one}, Zhiyin {ours}, curl {curl}, curl and a checksum {checked};")
        ratios = (ours.speed / peer.speed for peer in (one, curl, checked))
        print("    {:.2f} times one connection, {:.2f} times curl, {:.2f} times curl and a checksum".format(*ratios))


def _serve(size: int, speed: float, delay: float) -> None:
    with HubServer() as hub:
        hub.faults.bytes_per_second, hub.faults.delay = speed, delay
        hub.repositories[_NAME] = Repository({"main": {_FILE: np.random.default_rng(1).bytes(size)}})
        print(hub.endpoint, flush=True)
        sys.stdin.read()


def _best(work: Callable[[], None], size: int) -> _Measured:
    """Return the fastest of some rounds."""
    rounds = []
    for _ in range(_ROUNDS):
        begin, used = time.perf_counter(), _processor_seconds()
        work()
        seconds = time.perf_counter() - begin
        rounds.append(_Measured(size / seconds, (_processor_seconds() - used) / size * 1e9))
    return max(rounds, key=lambda measured: measured.speed)


def _processor_seconds() -> float:
    """Return those of this process and of the commands that it waited for; the server is not waited for."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))


def _fetch(endpoint: str) -> None:
    folder = Path(tempfile.mkdtemp())
    download(DownloadRequest(_NAME, folder, endpoint=endpoint))
    shutil.rmtree(folder)


def _curl(endpoint: str, *, check: bool = False) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        subprocess.run(["curl", "-sL", f"{endpoint}/{_NAME}/resolve/main/{_FILE}", "-o", str(path)], check=True)
        if check:
            with path.open("rb") as file:  # OpenSSL's, four times as fast here as the sha256sum of a plain coreutils
                digest, buffer = hashlib.sha256(), memoryview(bytearray(1 << 20))
                while count := file.readinto(buffer):
                    digest.update(buffer[:count])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _serve(int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
    else:
        main()
