"""Tokens per second as planned and as measured: `python -m tests.benchmarks.bench_planned_speed`.

The plan knows only how fast this computer reads weights of each type; the runner then writes tokens with models of published
shapes (all weights zero, which costs the same).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from desktop_app.engine.bandwidth import measure
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import LoadSettings
from desktop_app.planning.candidates import model_of_gguf
from desktop_app.planning.planner import Computer, option
from tests.support.model_shapes import SHAPES
from tests.support.sparse_gguf import sparse_gguf

CASES = (
    ("SmolLM2-135M", "Q8_0"),
    ("Qwen2.5-0.5B", "Q4_K_M"),
    ("Llama-3.2-1B", "Q6_K"),
    ("MiniCPM-2B", "Q4_K_M"),
    ("Llama-2-7B", "Q4_K_M"),
)
CONTEXT = 512
TOKENS = 24


def main() -> None:
    computer = Computer(free_bytes=1 << 40, total_bytes=1 << 40, process_bytes=0, speed=measure())
    print(f"{'model':14} {'quant':7} {'planned':>8} {'measured':>8} {'error':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for name, quant in CASES:
            path = Path(folder) / "model.gguf"
            sparse_gguf(SHAPES[name], quant, path)
            model = model_of_gguf(path)
            planned = option(model, model.candidates[0], computer, CONTEXT).tokens_per_second
            assert planned is not None
            measured = tokens_per_second(path)
            print(f"{name:14} {quant:7} {planned:8.2f} {measured:8.2f} {planned / measured - 1:+6.0%}", flush=True)


def tokens_per_second(path: Path) -> float:
    runner = load_runner(path, LoadSettings(context=CONTEXT, gpu_layers=0), lambda part: None)
    runner.decode([token % 97 for token in range(32)])
    times = []
    for token in range(TOKENS):
        start = time.perf_counter()
        runner.decode([token])
        times.append(time.perf_counter() - start)
    runner.close()
    return 1 / sorted(times)[TOKENS // 2]


if __name__ == "__main__":
    main()
