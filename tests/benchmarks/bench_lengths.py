"""Prompts and replies over the length of a chat, against llama.cpp's bare calls on the same file, threads and sizes.

    uv run python -m tests.benchmarks.bench_lengths [--model FILE] [--lengths 512 1024 2048 4096 8192] [--rounds 10] [--tokens 32]

Both read a prompt of each length and write some tokens after it, in turns (ABBA), each in a context of its own with one thread;
the median of the rounds' ratios counts. Times are the processor's, so that what else the computer does counts little.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np

from desktop_app.engine.backends import prepare_environment
from desktop_app.engine.load import load_runner
from desktop_app.engine.measuring import speeds
from desktop_app.engine.protocol import LoadSettings
from desktop_app.engine.runner import Runner
from desktop_app.library.installed import Library

LEAST = 0.98


def main() -> int:
    """Print each length's ratios; return 1 where one is less than promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a GGUF file (default: the starter model)")
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048, 4096, 8192])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=32)
    arguments = parser.parse_args()
    starter = Library(Path(tempfile.mkdtemp())).starter()
    path = arguments.model or (starter.path if starter else parser.error("the starter model is not installed"))
    prepare_environment()
    context = max(arguments.lengths) + arguments.tokens + 1
    runner = load_runner(path, LoadSettings(context=context, threads=1), lambda part: None)
    drawn = np.random.default_rng(1).integers(0, runner.info.vocabulary_size, max(arguments.lengths)).tolist()
    good = True
    with patch.object(time, "perf_counter", time.process_time):
        for length in arguments.lengths:
            good &= compared(runner, drawn[:length], arguments.tokens, arguments.rounds)  # type: ignore[arg-type]
    runner.close()
    return 0 if good else 1


def compared(runner: Runner, ids: Sequence[int], tokens: int, rounds: int) -> bool:
    """Print one length's ratios; return whether they are as promised."""
    speeds(runner, ids[:64], 1)
    ratios: list[tuple[float, float]] = []
    for number in range(rounds):
        found = {}
        for is_bare in (False, True) if number % 2 else (True, False):
            found[is_bare] = runner.bare_speeds(ids, tokens) if is_bare else speeds(runner, ids, tokens)
        ratios.append((found[True][0] / found[False][0], found[True][1] / found[False][1]))
    good = True
    for what, values in zip(("reads", f"writes {tokens} after"), zip(*ratios, strict=True), strict=True):
        middle = statistics.median(values)
        good &= middle >= LEAST
        less = "" if middle >= LEAST else f"; LESS than {LEAST}"
        spread = f"from {min(values):.3f} to {max(values):.3f}, {rounds} rounds"
        print(f"{what} {len(ids)} tokens: {middle:.3f} times llama.cpp's speed ({spread}){less}", flush=True)
    return good


if __name__ == "__main__":
    raise SystemExit(main())
