"""Our graph of dense decoders against llama.cpp: one file, the same context, both in memory at once and taking turns, one thread.

    uv run python -m tests.benchmarks.bench_dense_graph FOLDER [--rule transformers] [--quant Q4_K_M] [--layers 8]
        [--prompt 512] [--rounds 5] [--plain]

A generated checkpoint (hidden size 2048) is converted into FOLDER, and both are deleted at the end. It was trained with 2048
tokens, its configuration says: with a context of 2048 llama.cpp computes it, with one more our graph does. `--rule` chooses the
family: Qwen, InternLM2, or the first InternLM, which turns all cached keys anew for each token. Times are the processor's, so
that what else the computer does counts little. `--plain`: without repacking the weights for the processor, which llama.cpp
cannot on processors with AMX (see `engine.backends.has_working_repack`).
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.backends import prepare_environment
from desktop_app.engine.graph import weights
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import LoadSettings, SamplingSettings
from desktop_app.engine.runner import Runner
from desktop_app.engine.sampler import Sampler
from models.dynamic_rotary import INTERNLM, QWEN, TRANSFORMERS
from tests.support.large_checkpoint import write_large_checkpoint

ROWS, TRAINED, TURN = 32000, 2048, 16
COMMON: dict[str, Any] = {
    "hidden_size": 2048,
    "num_attention_heads": 16,
    "vocab_size": ROWS,
    "intermediate_size": 5632,
    "max_position_embeddings": TRAINED,
    "rms_norm_eps": 1e-6,
}
CONFIGS: dict[str, dict[str, Any]] = {
    QWEN: {
        "architectures": ["QWenLMHeadModel"],
        "intermediate_size": 2 * 5632,
        "kv_channels": 128,
        "seq_length": TRAINED,
        "use_dynamic_ntk": True,
        "use_logn_attn": True,
    },
    TRANSFORMERS: {"architectures": ["InternLM2ForCausalLM"], "rope_scaling": {"type": "dynamic", "factor": 2.0}},
    INTERNLM: {"architectures": ["InternLMForCausalLM"], "bias": True, "rotary": {"base": 10000, "type": "dynamic"}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rule", default=TRANSFORMERS, choices=CONFIGS)
    parser.add_argument("--quant", default="Q4_K_M")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    prepare_environment()
    if options.plain:
        weights.repacking_buffer_type = lambda cpu, type_, shape: None
    path, source = options.folder / "dense.gguf", options.folder / "checkpoint"
    try:
        write_large_checkpoint(source, COMMON | CONFIGS[options.rule] | {"num_hidden_layers": options.layers})
        convert(ConvertRequest(source, path, options.quant, tokenizer="none"))
        compare(path, options)
    finally:
        path.unlink(missing_ok=True)
        shutil.rmtree(source, ignore_errors=True)


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
    runner.truncate(0)
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
