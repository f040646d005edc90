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
