"""The graph runner against llama.cpp: a ChatGLM-6B shape beside a LLaMA of the same layers, width and file size.

    uv run python -m tests.benchmarks.bench_graph_runner FOLDER [--quant Q4_0 Q4_K_M] [--layers 28] [--prompt 64] [--rounds 9]
        [--plain]

Both begin as checkpoints in F16 of the published layouts with random weights (12.5 GB each at 28 layers), which the product's
converter quantizes. Everything is written to FOLDER, which needs 30 GB at 28 layers, and deleted as soon as it has served.

Both models are in memory at once. A round is a turn of 16 tokens of each, and who begins changes from round to round, so that
what else the computer does hits both; the ratio is the median over the rounds. The share of Python is all the time of a step
outside ggml's computation of the graph. What ChatGLM takes is measured in a process of its own and compared with the plan.
`--plain`: without repacking the weights for the processor, which llama.cpp cannot on processors with AMX (see
`engine.backends.has_working_repack`).
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.backends import has_working_repack, prepare_environment
from desktop_app.engine.graph import weights
from desktop_app.engine.graph.devices import Scheduler
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import LoadSettings, SamplingSettings
from desktop_app.engine.runner import Runner
from desktop_app.engine.sampler import Sampler
from tests.benchmarks.bench_footprint import planned_and_measured
from tests.support.large_checkpoint import write_large_checkpoint

HIDDEN, HEADS, INNER, ROWS = 4096, 32, 16384, 130528
LLAMA_INNER = 11008
TURN = 16
CONTEXT = 1024
LEAST_RATIO, LARGEST_SHARE = 0.9, 0.03
IN_GGML = [0.0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quant", nargs="+", default=["Q4_0", "Q4_K_M"])
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    prepare_environment()
    if options.plain:
        weights.repacking_buffer_type = lambda cpu, type_, shape: None
    count_time_in_ggml()
    work = options.folder / "graph-runner"
    good = True
    try:
        files = [
            converted(work / name, config, options)
            for name, config in (("chatglm1", chatglm_config(options.layers)), ("llama", llama_config(options.layers)))
        ]
        for quant in options.quant:
            paths = [of_quant[quant] for of_quant in files]
            good &= report(quant, paths, options)
            for path in paths:
                path.unlink()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0 if good else 1


def chatglm_config(layers: int) -> dict[str, Any]:
    """Return THUDM/chatglm-6b's config.json of today, with so many layers."""
    return {
        "architectures": ["ChatGLMModel"],
        "model_type": "chatglm",
        "bos_token_id": 130004,
        "eos_token_id": 130005,
        "gmask_token_id": 130001,
        "mask_token_id": 130000,
        "hidden_size": HIDDEN,
        "inner_hidden_size": INNER,
        "layernorm_epsilon": 1e-05,
        "max_sequence_length": 2048,
        "num_attention_heads": HEADS,
        "num_layers": layers,
        "position_encoding_2d": True,
        "vocab_size": ROWS,
    }


def llama_config(layers: int) -> dict[str, Any]:
    """Return a LLaMA of as many weights: what the three matrices of its MLP have more, its vocabulary has less."""
    more = layers * HIDDEN * (3 * LLAMA_INNER - 2 * INNER)
    return {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": HIDDEN,
        "intermediate_size": LLAMA_INNER,
        "max_position_embeddings": 2048,
        "num_attention_heads": HEADS,
        "num_hidden_layers": layers,
        "num_key_value_heads": HEADS,
        "rms_norm_eps": 1e-05,
        "vocab_size": ROWS - more // (2 * HIDDEN),
    }


def converted(folder: Path, config: dict[str, Any], options: argparse.Namespace) -> dict[str, Path]:
    """Generate a checkpoint, convert it to every quantization asked for, and delete it."""
    start = time.perf_counter()
    source = write_large_checkpoint(folder / "checkpoint", config)
    size = sum(file.stat().st_size for file in source.iterdir())
    print(f"{folder.name}: a checkpoint of {size / 1e9:.2f} GB in {time.perf_counter() - start:.0f} s", flush=True)
    files = {}
    for quant in options.quant:
        files[quant] = folder / f"{quant}.gguf"
        result = convert(ConvertRequest(source, files[quant], quant, tokenizer="none", threads=options.threads))
        print(f"{folder.name}: {quant}, {result.size / 1e9:.3f} GB in {result.seconds:.0f} s", flush=True)
    shutil.rmtree(source)
    return files


def report(quant: str, paths: list[Path], options: argparse.Namespace) -> bool:
    """Measure one quantization and print what came out; return whether everything is as promised."""
    planned, measured = planned_and_measured(paths[0], CONTEXT, "f16")
    speed = compare(paths, options)
    sizes = " and ".join(f"{path.stat().st_size / 1e9:.3f} GB" for path in paths)
    print(f"{quant}, {options.layers} layers, files of {sizes}")
    print(f"weights repacked for the processor: graph runner {not options.plain}, llama.cpp {has_working_repack()}")
    print(f"memory at {CONTEXT} tokens: planned {planned / 1e6:.0f} MB, measured {measured / 1e6:.0f} MB")
    print(f"prompt of {options.prompt}: {speed.prompt[0]:.2f} s, llama.cpp {speed.prompt[1]:.2f} s")
    print(f"tokens/s: graph runner {speed.tokens[0]:.3f}, llama.cpp {speed.tokens[1]:.3f}")
    print(
        f"ratio, median of {options.rounds} rounds: {speed.ratio:.3f} (from {speed.lowest:.3f} to {speed.highest:.3f})"
    )
    print(f"Python's share of a step: {100 * speed.share:.2f} %", flush=True)
    good = speed.ratio >= LEAST_RATIO and speed.share < LARGEST_SHARE and measured <= planned
    print(f"{quant}: {'as promised' if good else 'NOT as promised'}", flush=True)
    return good


@dataclass(frozen=True)
class Speed:
    """Medians over the rounds; the graph runner first."""

    prompt: list[float]
    """Seconds."""
    tokens: list[float]
    """A second."""
    ratio: float
    """Of tokens a second, in the same round."""
    lowest: float
    highest: float
    share: float
    """Of a step's time, what is not ggml's."""


def compare(paths: list[Path], options: argparse.Namespace) -> Speed:
    settings = LoadSettings(context=CONTEXT, threads=options.threads)
    runners = [load_runner(path, settings, lambda part: None) for path in paths]
    prompt = [read_prompt(runner, options.prompt) for runner in runners]
    samplers = [Sampler(SamplingSettings(temperature=0), runner.info.vocabulary_size, ()) for runner in runners]
    seconds: list[list[float]] = [[], []]
    shares = []
    for number in range(options.rounds + 1):
        for index in (0, 1) if number % 2 else (1, 0):
            IN_GGML[0] = 0.0
            seconds[index].append(decode(runners[index], samplers[index]))
            if index == 0:
                shares.append(1 - IN_GGML[0] / seconds[0][-1])
    for runner in runners:
        runner.close()
    ours, theirs = (turns[1:] for turns in seconds)  # the first round warms up
    ratios = [llama / chatglm for chatglm, llama in zip(ours, theirs, strict=True)]
    return Speed(
        prompt,
        [TURN / statistics.median(turns) for turns in (ours, theirs)],
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        statistics.median(shares[1:]),
    )


def read_prompt(runner: Runner, count: int) -> float:
    ids = np.random.default_rng(1).integers(0, 1000, count).tolist()
    if runner.info.architecture == "chatglm1":
        ids = [*ids[:-2], 130001, 130004]
    runner.decode(ids[: count // 2])  # the pages of the file come into memory
    runner.truncate(0)
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
    raise SystemExit(main())
