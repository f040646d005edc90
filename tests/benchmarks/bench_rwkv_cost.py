"""RWKV: the cost of a token does not grow with the text before it.

    uv run python -m tests.benchmarks.bench_rwkv_cost [--position 32000] [--turns 60]

For RWKV-4 (graph runner) and for RWKV-6 and 7 (llama.cpp), small random models of head size 64: the time of a token near position
100 and near a late position, and resident memory at both. Each model has two runners, one early and one late, that take many
short turns, now the one first and now the other; the early one goes back to a snapshot. So what else the computer does hits both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.backends import prepare_environment
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import LoadSettings
from desktop_app.engine.runner import Runner
from tests.support.checkpoints import write_safetensors
from tests.support.random_rwkv import random_rwkv

TURN = 40
EARLY = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--position", type=int, default=32000)
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    prepare_environment()
    for version in ("4", "6", "7"):
        with tempfile.TemporaryDirectory() as folder:
            measure(version, Path(folder), options)


def measure(version: str, folder: Path, options: argparse.Namespace) -> None:
    write_safetensors(folder / "RWKV-x.safetensors", random_rwkv(version, hidden=256, layers=4, rows=512))
    out = folder / "model.gguf"
    convert(ConvertRequest(folder / "RWKV-x.safetensors", out, "Q8_0", tokenizer="none"))
    settings = LoadSettings(context=0, threads=options.threads)
    early, late = (load_runner(out, settings, lambda part: None) for _ in range(2))
    for runner in (early, late):
        run(runner, 1000)
    memory = psutil.Process().memory_info().rss
    while len(late.tokens) < options.position - options.turns * TURN // 2:
        run(late, 1000)
    early.keep(0)
    run(early, EARLY - TURN // 2)
    early.remember()
    seconds: dict[Runner, list[float]] = {early: [], late: []}
    for turn in range(options.turns):
        early.keep(EARLY - TURN // 2)
        for runner in (early, late) if turn % 2 else (late, early):
            start = time.perf_counter()
            run(runner, TURN)
            seconds[runner].append((time.perf_counter() - start) / TURN)
    grown = psutil.Process().memory_info().rss - memory
    first, second = (statistics.median(seconds[runner]) for runner in (early, late))
    best = min(seconds[late]) / min(seconds[early])
    print(f"RWKV-{version} ({early.info.architecture}): {first * 1e3:.3f} ms a token near {EARLY},")
    print(
        f"  {second * 1e3:.3f} ms near {len(late.tokens):,}; ratio of medians {second / first:.3f}, of the best turns {best:.3f};"
    )
    print(f"  resident memory since token 1,000: {grown / 1e6:+.2f} MB")
    for runner in (early, late):
        runner.close()


def run(runner: Runner, count: int) -> None:
    for number in range(count):
        runner.decode((number % 500,))


if __name__ == "__main__":
    main()
