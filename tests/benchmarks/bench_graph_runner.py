"""The graph runner against llama.cpp: a ChatGLM-6B shape beside a GPT-NeoX made of the same tensors, llama.cpp's nearest.

    uv run python -m tests.benchmarks.bench_graph_runner FOLDER [--quant Q4_0 Q4_K_M] [--layers 28] [--prompt 64 512] [--rounds 9]
        [--threads 1] [--plain]

It begins as a checkpoint in F16 of the published layout with random weights (12.5 GB at 28 layers), which the product's
converter quantizes. GPT-NeoX has the same norms, biases and MLP; its query, key and value are one matrix, whose last third is
the query's again where the value has another type. Everything is written to FOLDER, which needs 25 GB at 28 layers, and deleted
as soon as it has served.

Both models are in memory at once. A round is a prompt of each length or a turn of 16 tokens of each, and who begins changes
from round to round, so that what else the computer does hits both; the ratios are medians over the rounds, above 1 where ours
is faster. With one thread times are the processor's. llama.cpp computes of the last layer only what is asked for, and so does
ours: with few layers that counts. The share of Python is all the time of a step outside ggml's computation of the graph. What
ChatGLM takes is measured in a process of its own and compared with the plan. `--plain`: without repacking the weights for the
processor, which llama.cpp cannot on processors with AMX (see `engine.backends.has_working_repack`).
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
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
TURN = 16
CONTEXT = 1024
LEAST_RATIO, LEAST_PROMPT_RATIO, LARGEST_SHARE = 0.9, 0.95, 0.03
IN_GGML = [0.0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quant", nargs="+", default=["Q4_0", "Q4_K_M"])
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--prompt", type=int, nargs="+", default=[64, 512])
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
        files = converted(work, chatglm_config(options.layers), options)
        for quant, path in files.items():
            twin = write_twin(path, path.with_name(f"{quant}-gptneox.gguf"))
            good &= report(quant, [path, twin], options)
            path.unlink()
            twin.unlink()
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


def write_twin(path: Path, out: Path) -> Path:
    """Write a ChatGLM-6B's tensors as a GPT-NeoX, which llama.cpp runs; what it computes means nothing."""
    reader = gguf.GGUFReader(path)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    layers = sum(name.endswith("attn_norm.weight") for name in tensors)
    writer = gguf.GGUFWriter(out, "gptneox")
    writer.add_context_length(2048)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(INNER)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_head_count(HEADS)
    writer.add_parallel_residual(False)
    writer.add_layer_norm_eps(1e-5)
    writer.add_vocab_size(ROWS)
    writer.add_tokenizer_model("none")
    for name, tensor in tensors.items():
        if not any(f".attn_{part}." in name for part in "qkv"):
            writer.add_tensor(name, tensor.data, raw_dtype=tensor.tensor_type)
    for layer in range(layers):
        for kind in ("weight", "bias"):
            query, key, value = (tensors[f"blk.{layer}.attn_{part}.{kind}"] for part in "qkv")
            last = value if value.tensor_type == query.tensor_type else query
            data = np.concatenate([query.data, key.data, last.data])
            writer.add_tensor(f"blk.{layer}.attn_qkv.{kind}", data, raw_dtype=query.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


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
    for count, ours, theirs, ratio in speed.prompts:
        print(f"prompt of {count}: {ours:.2f} s, llama.cpp {theirs:.2f} s, ratio {ratio:.3f}")
    print(f"tokens/s: graph runner {speed.tokens[0]:.3f}, llama.cpp {speed.tokens[1]:.3f}")
    print(
        f"ratio, median of {options.rounds} rounds: {speed.ratio:.3f} (from {speed.lowest:.3f} to {speed.highest:.3f})"
    )
    print(f"Python's share of a step: {100 * speed.share:.2f} %", flush=True)
    good = speed.ratio >= LEAST_RATIO and speed.share < LARGEST_SHARE and measured <= planned
    good &= all(ratio >= LEAST_PROMPT_RATIO for *_, ratio in speed.prompts)
    print(f"{quant}: {'as promised' if good else 'NOT as promised'}", flush=True)
    return good


@dataclass(frozen=True)
class Speed:
    """Medians over the rounds; the graph runner first."""

    prompts: list[tuple[int, float, float, float]]
    """Tokens, seconds of both, and the ratio in the same round."""
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
    clock = time.process_time if options.threads == 1 else time.perf_counter
    prompts = [read_prompts(runners, count, options.rounds, clock) for count in options.prompt]
    samplers = [Sampler(SamplingSettings(temperature=0), runner.info.vocabulary_size, ()) for runner in runners]
    seconds: list[list[float]] = [[], []]
    shares = []
    for number in range(options.rounds + 1):
        for index in (0, 1) if number % 2 else (1, 0):
            IN_GGML[0] = 0.0
            seconds[index].append(decode(runners[index], samplers[index], clock))
            if index == 0:
                shares.append(1 - IN_GGML[0] / seconds[0][-1])
    for runner in runners:
        runner.close()
    ours, theirs = (turns[1:] for turns in seconds)  # the first round warms up
    ratios = [neox / chatglm for chatglm, neox in zip(ours, theirs, strict=True)]
    return Speed(
        prompts,
        [TURN / statistics.median(turns) for turns in (ours, theirs)],
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        statistics.median(shares[1:]),
    )


def read_prompts(
    runners: list[Runner], count: int, rounds: int, clock: Callable[[], float]
) -> tuple[int, float, float, float]:
    ids = np.random.default_rng(1).integers(0, 1000, count).tolist()
    prompts = [[*ids[:-2], 130001, 130004], ids]
    seconds: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        for index in (0, 1) if number % 2 else (1, 0):
            runners[index].truncate(0)
            start = clock()
            runners[index].decode(prompts[index])
            seconds[index].append(clock() - start)
    ours, theirs = (turns[1:] for turns in seconds)  # in the first round the pages of the files come into memory
    ratio = statistics.median(neox / chatglm for chatglm, neox in zip(ours, theirs, strict=True))
    return count, statistics.median(ours), statistics.median(theirs), ratio


def decode(runner: Runner, sampler: Sampler, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(TURN):
        runner.decode((runner.sample(sampler),))
    return clock() - start


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
