"""Reads mutated files for hours if need be: every one must end in tensors or in one clear refusal.

    python -m tests.benchmarks.fuzz_readers [COUNT] [SEED]

Prints, for each kind of file, how many were refused, the slowest (in processor time, which other programs do not distort) and
the most memory that any took above the start.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np

from converter.checkpoint import Checkpoint
from converter.checkpoint.gguf_file import GGUFFile
from converter.checkpoint.safetensors import SafetensorsFile
from converter.checkpoint.torch_pickle import TorchPickleFile
from converter.importance import read_importance
from models.errors import ZhiyinError
from tests.support.checkpoints import write_safetensors
from tests.support.random_gguf import write_mixture

SAVED = Path(__file__).parents[1] / "data" / "torch"
INTERESTING = (0, 1, 127, 128, 255, *b'R}(cQ.tr\x8a\x96"[]{}:,0959')
HEAD = 6000


def seeds(folder: Path) -> dict[str, tuple[Callable[[Path], object], list[bytes]]]:
    rng = np.random.default_rng(0)
    write_safetensors(folder / "a.safetensors", {f"layer.{n}.weight": rng.random((4, 8), np.float32) for n in range(6)})
    write_mixture(folder / "a.gguf", 4, layers=1, width=32, inner=32)
    matrix = gguf.GGUFWriter(folder / "m.gguf", "")
    matrix.add_tensor("a.weight.in_sum2", np.ones((2, 8), np.float32))
    matrix.add_tensor("a.weight.counts", np.ones((2, 1), np.float32))
    matrix.write_header_to_file()
    matrix.write_kv_data_to_file()
    matrix.write_tensors_to_file()
    matrix.close()
    torch = [(SAVED / name).read_bytes() for name in ("plain_zip.bin", "plain_legacy.bin", "module_zip.pt")]
    old = b"\2\0\0\0" + (b"\1\0\0\0a\1\0\0\0\2\0\0\0" + b"\0\0\x80?" * 2) * 2 + b"\1\0\0\0\4\0\0\0text"
    return {
        "safetensors": (lambda path: read_all(SafetensorsFile(path)), [(folder / "a.safetensors").read_bytes()]),
        "torch": (lambda path: read_all(TorchPickleFile(path)), torch),
        "gguf": (lambda path: read_all(GGUFFile(path)), [(folder / "a.gguf").read_bytes()]),
        "imatrix": (read_importance, [(folder / "m.gguf").read_bytes(), old]),
    }


def read_all(checkpoint: Checkpoint) -> None:
    for name in checkpoint.tensors:
        np.asarray(checkpoint.read(name)).reshape(-1)[:1].astype(np.float32)
    checkpoint.close()


def mutated(rng: random.Random, good: bytes) -> bytes:
    """Change bytes, repeat, remove or insert a run, or cut the end off; most often in the head."""
    data = bytearray(good)
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8, 20))):
        at = rng.randrange(min(len(data), HEAD if rng.random() < 0.9 else len(data)) or 1)
        action = rng.randrange(10)
        if action < 6 or not data:
            data[at : at + 1] = bytes([rng.choice(INTERESTING) if rng.random() < 0.6 else rng.randrange(256)])
        elif action == 6:
            data[at : at + 8] = rng.choice((b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f", b"\0\0\0\0\0\1\0\0"))
        elif action == 7:
            del data[at : at + rng.randint(1, 40)]
        elif action == 8:
            data[at:at] = data[at : at + rng.randint(1, 200)] * rng.choice((1, 1, 1, 50))
        else:
            del data[rng.randrange(len(data)) :]
    return bytes(data)


def main(count: int = 100_000, seed: int = 0) -> int:
    rng = random.Random(seed)
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        kinds = seeds(folder)
        path = folder / "mutated"
        for kind, (read, good) in kinds.items():
            refused, slowest = 0, 0.0
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for _ in range(count // len(kinds)):
                data = mutated(rng, rng.choice(good))
                path.write_bytes(data)
                start = time.process_time()
                try:
                    read(path)
                except ZhiyinError:
                    refused += 1
                except Exception as error:
                    failed += 1
                    Path(f"fuzz-{kind}-{failed}").write_bytes(data)
                    print(f"{kind}: {type(error).__name__}: {error}", flush=True)
                slowest = max(slowest, time.process_time() - start)
            more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            print(
                f"{kind}: {count // len(kinds)} files, {refused} refused, slowest {slowest:.3f} s of processor, "
                f"{more:.0f} MB more",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
