"""Tokens per second as predicted and as measured: `python -m tests.benchmarks.bench_speed_prediction [NAME ...]`.

Run it on a quiet computer. The prediction knows a model's shape and what the engine measured of this computer, once quiet and
once beside two busy processes; the runner then writes tokens with models of these shapes (all weights zero, which costs the
same). None but the first two was used to fit the constants of
`desktop_app.planning.token_time`. At the end stands whether the order of a
model's quantizations is the same beside busy processes. It fails where a prediction is off by more than a quarter.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import combinations
from pathlib import Path
from typing import Any

from desktop_app.engine.bandwidth import measure
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import LoadSettings
from desktop_app.planning.candidates import LADDER, model_of_config, model_of_gguf
from desktop_app.planning.configuration import Computer, Model
from desktop_app.planning.planner import TOLD_APART, option
from desktop_app.system.read_speed import ReadSpeed
from models.config import Config
from models.errors import ZhiyinError
from tests.support.model_shapes import SHAPES
from tests.support.sparse_gguf import sparse_gguf

_LLAMA = SHAPES["SmolLM2-135M"]
OTHERS: Mapping[str, Mapping[str, Any]] = {
    "Gemma-3-270M": {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "rms_norm_eps": 1e-06,
        "max_position_embeddings": 32768,
        "hidden_size": 640,
        "intermediate_size": 2048,
        "num_hidden_layers": 18,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "vocab_size": 262144,
        "sliding_window": 512,
    },
    "LLaMA-1.17B": _LLAMA
    | {
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 22,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "vocab_size": 64000,
        "tie_word_embeddings": False,
    },
    "SmolLM2-360M": _LLAMA
    | {
        "hidden_size": 960,
        "intermediate_size": 2560,
        "num_hidden_layers": 32,
        "num_attention_heads": 15,
        "num_key_value_heads": 5,
    },
    "small mixture": SHAPES["Qwen3-30B-A3B"]
    | {
        "hidden_size": 1024,
        "num_hidden_layers": 16,
        "moe_intermediate_size": 768,
        "num_experts": 32,
        "num_experts_per_tok": 4,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "head_dim": 64,
        "vocab_size": 64000,
    },
    "other mixture": SHAPES["Qwen1.5-MoE-A2.7B"]
    | {"hidden_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 16, "num_key_value_heads": 16},
    "ChatGLM-6B, 6 blocks": SHAPES["ChatGLM-6B"] | {"num_layers": 6},
}
CASES = (
    ("Gemma-3-270M", "Q4_K_M"),  # this and the next one were used
    ("LLaMA-1.17B", "Q4_K_M"),
    ("Qwen2.5-0.5B", "Q4_K_M"),
    ("ERNIE-4.5-0.3B", "Q8_0"),
    ("SmolLM2-135M", "Q4_K_M"),
    ("SmolLM3-3B", "Q4_K_M"),
    ("MiniCPM3-4B", "Q4_K_M"),
    ("Phi-4-mini", "Q4_K_M"),
    ("Gemma-3-4B", "Q4_K_M"),
    ("Llama-3.2-1B", "Q3_K_M"),
    ("RWKV-7-2.9B", "Q8_0"),
    ("other mixture", "Q8_0"),
    ("ChatGLM-6B, 6 blocks", "Q4_K_M"),
    ("RWKV-4-0.4B", "F16"),
)
CONTEXT = 512
TOKENS = 24
BUSY = 2
ALLOWED = 0.25


def main(names: list[str]) -> int:
    speeds = [measure()]
    with busy_processes():
        speeds.append(measure())
    print(f"{'model':20} {'quant':7} {'quiet':>8} {'busy':>8} {'measured':>8} {'errors':>12}")
    worst = 0.0
    for name, quant in CASES:
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.gguf"
            sparse_gguf({**SHAPES, **OTHERS}[name], quant, path)
            predicted = [predict(model_of_gguf(path), speed)[0] for speed in speeds]
            measured = tokens_per_second(path)
        errors = [value / measured - 1 for value in predicted]
        worst = max(worst, *map(abs, errors))
        print(
            f"{name:20} {quant:7} {predicted[0]:8.2f} {predicted[1]:8.2f} {measured:8.2f} {errors[0]:+6.0%}{errors[1]:+6.0%}",
            flush=True,
        )
    reversed_pairs = reversals(*speeds)
    print(f"worst {worst:.0%}; quantizations whose order is another beside busy processes: {reversed_pairs or 'none'}")
    return 0 if worst <= ALLOWED and not reversed_pairs else 1


def predict(model: Model, speed: ReadSpeed) -> list[float]:
    """Return the tokens per second of every quantization."""
    computer = Computer(free_bytes=1 << 40, total_bytes=1 << 40, process_bytes=0, speed=speed, threads=speed.threads)
    found = [option(model, candidate, computer, CONTEXT).tokens_per_second for candidate in model.candidates]
    return [value or 0.0 for value in found]


def reversals(quiet: ReadSpeed, busy: ReadSpeed) -> list[str]:
    """Return the pairs, of those that the planner tells apart, of which the busy measurement says the contrary."""
    found = []
    for name in ("SmolLM2-360M", "Llama-3.2-1B", "Gemma-2-2B"):
        model = model_of_config(Config({**SHAPES, **OTHERS}[name]), quants=LADDER)
        rates = zip(model.candidates, predict(model, quiet), predict(model, busy), strict=True)
        for (one, before, then), (other, other_before, other_then) in combinations(rates, 2):
            if (before < other_before / TOLD_APART and then > other_then) or (
                other_before < before / TOLD_APART and other_then > then
            ):
                found.append(f"{name} {one.quant} and {other.quant}")
    return found


@contextmanager
def busy_processes() -> Iterator[None]:
    """Keep two processes busy."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def tokens_per_second(path: Path) -> float:
    runner = load_runner(path, LoadSettings(context=CONTEXT, gpu_layers=0), lambda part: None)
    runner.decode([token % 97 for token in range(64)])
    with suppress(ZhiyinError):  # llama.cpp's without a tokenizer
        runner.decode(
            runner.tokenize("", add_special=True, special=False)
        )  # ChatGLM-6B reads all again without its <sop>
    times = []
    for token in range(TOKENS):
        start = time.perf_counter()
        runner.decode([token])
        times.append(time.perf_counter() - start)
    runner.close()
    return 1 / sorted(times)[TOKENS // 4]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
