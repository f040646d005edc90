"""Our graph of dense decoders against llama.cpp: one file, the same context, both in memory at once and taking turns, one thread.

    uv run python -m tests.benchmarks.bench_dense_graph FOLDER [--rule transformers] [--quant Q4_K_M] [--layers 16]
        [--prompt 1024] [--rounds 5] [--plain]

The file has a LLaMA's shape (hidden size 2048) and is deleted at the end. It says that it was trained with 2048 tokens: with a
context of 2048 llama.cpp computes it, with one more our graph does. `--rule internlm` turns all cached keys anew for each token.
Times are the processor's, so that what else the computer does counts little.
`--plain`: without rearranging the weights for the processor, which llama.cpp cannot on processors with AMX (see
`engine.backends.has_working_repack`).
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from desktop_app.engine.backends import prepare_environment
from desktop_app.engine.graph import weights
from desktop_app.engine.protocol import LoadSettings, SamplingSettings
from desktop_app.engine.runner import Runner, load_runner
from desktop_app.engine.sampler import Sampler
from models.dynamic_rotary import RULES, DynamicRotary
from tests.support.large_gguf import llama_shapes, write_large_gguf

HIDDEN, INNER, HEADS, ROWS, TRAINED = 2048, 5632, 16, 32000, 2048
TURN = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rule", default="transformers", choices=RULES)
    parser.add_argument("--quant", default="Q4_K_M")
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    prepare_environment()
    if options.plain:
        weights._repacking_types = lambda cpu: []
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / "dense.gguf"
    try:
        write_model(path, options)
        compare(path, options)
    finally:
        path.unlink(missing_ok=True)


def write_model(path: Path, options: argparse.Namespace) -> None:
    size = HIDDEN // HEADS
    parameters = {
        "context_length": TRAINED,
        "embedding_length": HIDDEN,
        "block_count": options.layers,
        "feed_forward_length": INNER,
        "vocab_size": ROWS,
        "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS,
        "attention.key_length": size,
        "attention.value_length": size,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.dimension_count": size,
        "rope.freq_base": 10000.0,
    }
    parameters |= DynamicRotary(options.rule, TRAINED, 10000.0, size, 2.0, log_n=options.rule == "qwen").parameters
    write_large_gguf(path, "llama", parameters, llama_shapes(HIDDEN, INNER, options.layers, ROWS), options.quant)


def compare(path: Path, options: argparse.Namespace) -> None:
    settings = [LoadSettings(context=context, gpu_layers=0, threads=1) for context in (TRAINED + 1, TRAINED)]
    runners = [load_runner(path, each, lambda part: None) for each in settings]
    read = [[read_prompt(runner, options.prompt) for runner in runners] for _ in range(3)]
    reading = [min(seconds) for seconds in zip(*read, strict=True)]
    samplers = [Sampler(SamplingSettings(temperature=0), runner.info.vocabulary_size, ()) for runner in runners]
    seconds: list[list[float]] = [[], []]
    for _ in range(options.rounds):
        for index, runner in enumerate(runners):
            seconds[index].append(decode(runner, samplers[index]))
    ours, theirs = (TURN / statistics.median(turns) for turns in seconds)
    print(f"{options.rule}, {options.quant}, {path.stat().st_size / 1e9:.2f} GB; graph, llama.cpp")
    print(
        f"prompt of {options.prompt}: {reading[0]:.2f} s, {reading[1]:.2f} s; ratio of speeds {reading[1] / reading[0]:.3f}"
    )
    print(f"behind it: {ours:.2f}, {theirs:.2f} tokens a second; ratio {ours / theirs:.3f}")
    for runner in runners:
        runner.close()


def read_prompt(runner: Runner, count: int) -> float:
    runner.keep(0)
    ids = np.random.default_rng(1).integers(0, ROWS, count).tolist()
    start = time.process_time()
    runner.decode(ids)
    return time.process_time() - start


def decode(runner: Runner, sampler: Sampler) -> float:
    start = time.process_time()
    for _ in range(TURN):
        runner.decode((runner.sample(sampler),))
    return time.process_time() - start


if __name__ == "__main__":
    main()
