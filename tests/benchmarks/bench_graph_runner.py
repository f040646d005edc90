"""The graph runner against llama.cpp: a ChatGLM-6B shape beside a LLaMA of the same layers, width and file size.

    uv run python -m tests.benchmarks.bench_graph_runner FOLDER [--quant Q4_0] [--layers 28] [--prompt 64] [--rounds 5]
        [--plain]

Both are in memory at once and take turns of 16 tokens, so that what else the computer does hits both; the files (4 GB each at 28
layers) are written to FOLDER and deleted. The share of Python is all the time of a step outside ggml's computation of the graph.
`--plain`: without rearranging the weights for the processor, which llama.cpp cannot on processors with AMX (see
`engine.backends.has_working_repack`).
"""

from __future__ import annotations

import argparse
import statistics
import time
from math import sqrt
from pathlib import Path

import numpy as np

from desktop_app.engine.backends import has_working_repack, prepare_environment
from desktop_app.engine.graph import weights
from desktop_app.engine.graph.backends import Scheduler
from desktop_app.engine.protocol import LoadSettings, SamplingSettings
from desktop_app.engine.runner import Runner, load_runner
from desktop_app.engine.sampler import Sampler
from tests.support.large_gguf import chatglm1_shapes, llama_shapes, write_large_gguf

HIDDEN, HEADS, INNER, ROWS = 4096, 32, 16384, 130528
LLAMA_INNER = 11008
TURN = 16
IN_GGML = [0.0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quant", default="Q4_0")
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    prepare_environment()
    if options.plain:
        weights._repacking_types = lambda cpu: []
    options.folder.mkdir(parents=True, exist_ok=True)
    paths = [options.folder / "chatglm1.gguf", options.folder / "llama.gguf"]
    try:
        write_models(*paths, options.quant, options.layers)
        compare(paths, options)
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def write_models(chatglm: Path, llama: Path, quant: str, layers: int) -> None:
    common = {
        "context_length": 2048,
        "embedding_length": HIDDEN,
        "block_count": layers,
        "attention.head_count": HEADS,
    }
    special = {"residual_scale": sqrt(56), "mask_token_id": 130000, "gmask_token_id": 130001, "sop_token_id": 130004}
    norm = {"attention.layer_norm_epsilon": 1e-5, "rope.freq_base": 10000.0}
    write_large_gguf(
        chatglm,
        "chatglm1",
        {**common, **norm, **special, "feed_forward_length": INNER, "vocab_size": ROWS},
        chatglm1_shapes(HIDDEN, INNER, layers, ROWS),
        quant,
    )
    # As many weights: what the three matrices of its MLP have more, its vocabulary has less.
    more = layers * HIDDEN * (3 * LLAMA_INNER - 2 * INNER)
    rows = ROWS - more // (2 * HIDDEN)
    write_large_gguf(
        llama,
        "llama",
        {
            **common,
            "attention.head_count_kv": HEADS,
            "attention.layer_norm_rms_epsilon": 1e-5,
            "rope.dimension_count": HIDDEN // HEADS,
            "feed_forward_length": LLAMA_INNER,
            "vocab_size": rows,
        },
        llama_shapes(HIDDEN, LLAMA_INNER, layers, rows),
        quant,
    )


def compare(paths: list[Path], options: argparse.Namespace) -> None:
    count_time_in_ggml()
    settings = LoadSettings(context=1024, threads=options.threads)
    runners = [load_runner(path, settings, lambda part: None) for path in paths]
    prompt_seconds = [read_prompt(runner, options.prompt) for runner in runners]
    sampler = [Sampler(SamplingSettings(temperature=0), runner.info.vocabulary_size, ()) for runner in runners]
    seconds: list[list[float]] = [[], []]
    shares = []
    for _ in range(options.rounds + 1):
        for index, runner in enumerate(runners):
            IN_GGML[0] = 0.0
            seconds[index].append(decode(runner, sampler[index]))
            if index == 0:
                shares.append(1 - IN_GGML[0] / seconds[0][-1])
    chatglm, llama = (TURN / statistics.median(turns[1:]) for turns in seconds)
    best = min(seconds[1][1:]) / min(seconds[0][1:])
    sizes = " and ".join(f"{path.stat().st_size / 1e9:.3f} GB" for path in paths)
    print(f"{options.quant}, {options.layers} layers, files of {sizes}")
    ours, theirs = not options.plain, has_working_repack()
    print(f"weights rearranged for the processor: graph runner {ours}, llama.cpp {theirs}")
    print(f"prompt of {options.prompt}: {prompt_seconds[0]:.2f} s, llama.cpp {prompt_seconds[1]:.2f} s")
    print(f"tokens/s: graph runner {chatglm:.3f}, llama.cpp {llama:.3f}; ratio of medians {chatglm / llama:.3f}")
    print(f"ratio of the best turns {best:.3f}")
    print(f"Python's share of a step: {100 * statistics.median(shares[1:]):.2f} %")
    for runner in runners:
        runner.close()


def read_prompt(runner: Runner, count: int) -> float:
    ids = np.random.default_rng(1).integers(0, 1000, count).tolist()
    if runner.info.architecture == "chatglm1":
        ids = [*ids[:-2], 130001, 130004]
    runner.decode(ids[: count // 2])  # the pages of the file come into memory
    runner.keep(0)
    start = time.perf_counter()
    runner.decode(ids)
    return time.perf_counter() - start


def decode(runner: Runner, sampler: Sampler) -> float:
    start = time.perf_counter()
    for _ in range(TURN):
        runner.decode((runner.sample(sampler),))
    return time.perf_counter() - start


def count_time_in_ggml() -> None:
    plain = Scheduler.compute

    def timed(self, builder):
        start = time.perf_counter()
        status = plain(self, builder)
        IN_GGML[0] += time.perf_counter() - start
        return status

    Scheduler.compute = timed


if __name__ == "__main__":
    main()
