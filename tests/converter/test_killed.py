"""A conversion that ends badly at any moment leaves no file under the final name, and the next run clears up."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from converter.pipeline import ConvertRequest, convert
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama

ROOT = Path(__file__).parents[2]
CHILD = """
import sys
from pathlib import Path
from converter.pipeline import ConvertRequest, convert
print("ready", flush=True)
convert(ConvertRequest(Path(sys.argv[1]), Path(sys.argv[2]), "Q4_K_M", tokenizer="none", threads=1))
"""
FILLED = """
import shutil, sys
from pathlib import Path
from converter.pipeline import ConvertRequest, convert
from models.errors import ZhiyinError
source, disk = Path(sys.argv[1]), Path(sys.argv[2])
request = ConvertRequest(source, disk / "out.gguf", "Q4_K_M", tokenizer="none", threads=1)

def fill(progress):
    if progress.bytes_done > progress.bytes_total // 3:
        with open(disk / "other", "ab") as other:
            other.write(bytes(shutil.disk_usage(disk).free))

try:
    convert(request, fill)
except ZhiyinError as error:
    print(error)
print(sorted(path.name for path in disk.iterdir()))
(disk / "other").unlink()
convert(request)
print(sorted(path.name for path in disk.iterdir()))
"""
MOMENTS = int(os.environ.get("ZHIYIN_KILLS", "6"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config, weights = random_llama(hidden_size=256, intermediate_size=1024, vocab_size=1024, num_hidden_layers=6)
    return write_checkpoint(tmp_path_factory.mktemp("source") / "tiny", config, weights)


def start(source: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(source), str(out)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_at_any_moment(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    whole = convert(ConvertRequest(source, out, "Q4_K_M", tokenizer="none"))
    right = out.read_bytes()
    out.unlink()
    rng = random.Random(0)
    killed = 0
    for _ in range(MOMENTS):
        child = start(source, out)
        time.sleep(rng.uniform(0, 1.2) * whole.seconds)
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
        if child.stdout is not None:
            child.stdout.close()
        if out.exists():
            assert out.read_bytes() == right
            out.unlink()
    assert killed
    convert(ConvertRequest(source, out, "Q4_K_M", tokenizer="none"))
    assert [path.name for path in tmp_path.iterdir()] == ["out.gguf"]
    assert out.read_bytes() == right


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that is mounted for a moment")
def test_the_disk_fills_up(source: Path, tmp_path: Path) -> None:
    """On a small file system in memory, another program takes all that is left when a third is written."""
    mounted = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    script = 'mount -t tmpfs -o size=16m tmpfs "$1"; exec "$2" -c "$3" "$4" "$1"'
    if subprocess.run([*mounted, 'mount -t tmpfs tmpfs "$0"', tmp_path], capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    command = [*mounted, script, "sh", str(tmp_path), sys.executable, FILLED, str(source)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sentence, full, again = done.stdout.splitlines()
    assert "out.gguf cannot be written: No space left on device" in sentence
    assert (full, again) == ("['other']", "['out.gguf']")
