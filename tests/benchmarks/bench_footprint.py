"""Memory as planned and as measured, for models of published shapes: `python -m tests.benchmarks.bench_footprint [NAME]`.

The files are holes of the right size (zeros): they take memory like real weights. Each model is loaded in a process of its own
by the product's runner and reads a prompt that fills its context; what the process then holds is compared with the plan.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import LoadSettings
from desktop_app.planning.candidates import model_of_gguf
from desktop_app.planning.configuration import Computer
from desktop_app.planning.planner import option
from tests.support.model_shapes import SHAPES
from tests.support.sparse_gguf import sparse_gguf

BATCH = 512
CASES = (
    ("SmolLM2-135M", "F16", 2048, "f16"),
    ("SmolLM2-135M", "Q8_0", 4096, "f16"),
    ("SmolLM2-135M", "Q8_0", 2048, "q8_0"),
    ("Qwen2.5-0.5B", "Q4_K_M", 1024, "f16"),
    ("Qwen3-0.6B", "Q8_0", 2048, "f16"),
    ("Llama-3.2-1B", "Q4_K_M", 1024, "f16"),
    ("Llama-3.2-1B", "Q6_K", 1024, "q4_0"),
    ("MiniCPM-2B", "Q4_K_M", 512, "f16"),
    ("RWKV-7-0.1B", "Q8_0", 2048, "f16"),
    ("RWKV-6-1.6B", "Q4_K_M", 1024, "f16"),
    ("ChatGLM3-6B", "Q4_K_M", 512, "f16"),
    ("Llama-2-7B", "Q2_K", 512, "f16"),
    ("ChatGLM-6B", "Q4_0", 512, "f16"),
    ("ChatGLM-6B", "Q4_K_M", 1024, "f16"),
    ("RWKV-4-0.4B", "Q8_0", 1024, "f16"),
    ("Qwen3.5-0.8B", "Q4_K_M", 1024, "f16"),
    ("Granite-4.0-H-1B", "Q4_K_M", 1024, "f16"),
)


def main() -> None:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    print(f"{'model':14} {'quant':7} {'context':>7} {'cache':5} {'planned MB':>10} {'measured':>9} {'error':>7}")
    for name, quant, context, kv_type in CASES:
        if wanted in name:
            compare(name, quant, context, kv_type)


def compare(name: str, quant: str, context: int, kv_type: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        sparse_gguf(SHAPES[name], quant, path)
        planned, measured = planned_and_measured(path, context, kv_type)
    error = planned / measured - 1
    print(
        f"{name:14} {quant:7} {context:7} {kv_type:5} {planned / 1e6:10.1f} {measured / 1e6:9.1f} {error:+7.2%}",
        flush=True,
    )


def planned_and_measured(path: Path, context: int, kv_type: str) -> tuple[int, int]:
    """Return the bytes that a process takes by the plan, and those that one takes whose context is full.

    Of the snapshots of a recurrent model one is taken here, as at a chat's first turn; the plan's others are left out.
    """
    before, after = measured(path, context, kv_type)
    model = model_of_gguf(path)
    computer = Computer(free_bytes=1 << 40, total_bytes=1 << 40, process_bytes=before)
    planned = option(model, model.candidates[0], computer, context, kv_type)
    return planned.bytes - planned.snapshots * planned.state_bytes, after


def measured(path: Path, context: int, kv_type: str = "f16", batch: int = BATCH) -> tuple[int, int]:
    """Return the bytes that a process holds before it has a model, and with one whose context is full."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_footprint", "--measure", str(path), str(context), kv_type]
    done = subprocess.run([*command, str(batch)], capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    return before, after


def measure(path: Path, context: int, kv_type: str, batch: int) -> None:
    process = psutil.Process()
    import llama_cpp.llama_cpp as llama

    llama.llama_backend_init()
    before = process.memory_info().rss
    runner = load_runner(
        path, LoadSettings(context=context, kv_type=kv_type, gpu_layers=0, batch=batch), lambda part: None
    )
    runner.decode([token % 97 for token in range(context - 1)])
    runner.decode([7])
    runner.snapshot()
    print(json.dumps([before, process.memory_info().rss]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    else:
        main()
