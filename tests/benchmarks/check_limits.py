"""The planner in control groups of 1, 2, 4 and 8 GB: its choice loads and runs, the next larger one exceeds the budget.

`python -m tests.benchmarks.check_limits` as root, where the memory controller can be written. The files are holes of the right
size; the chosen one reads a full batch and writes a token inside the group, the next larger one is measured outside of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from converter.recipes import find_recipe
from desktop_app.engine.client import Engine
from desktop_app.planning.candidates import LADDER, model_of_config
from desktop_app.planning.computer import computer_now
from desktop_app.planning.footprint import RunShape, footprint
from desktop_app.planning.planner import plan
from models.config import Config
from tests.support.model_shapes import SHAPES
from tests.support.sparse_gguf import sparse_gguf

GIGABYTE = 10**9
CASES = ((1, "Qwen2.5-0.5B"), (2, "RWKV-6-1.6B"), (4, "Llama-2-7B"), (8, "Llama-3-8B"))
CONTEXT = 1024
SMALLEST_BATCH = 128
"""Of those that the planner takes where memory is short."""
_ROOT = Path("/sys/fs/cgroup/memory")


def main() -> None:
    print(
        f"{'limit':>6} {'model':14} {'choice':7} {'planned MB':>10} {'of free':>8} {'ran':4} {'next':7} {'measured MB':>11} fits"
    )
    for gigabytes, name in CASES:
        check(gigabytes, name)


def check(gigabytes: int, name: str) -> None:
    group = _ROOT / f"zhiyin-{gigabytes}"
    group.mkdir(exist_ok=True)
    (group / "memory.limit_in_bytes").write_text(str(gigabytes * GIGABYTE))
    with tempfile.TemporaryDirectory() as folder:
        found = run("--plan", name, folder, group=group)
        ran = run("--run", str(Path(folder, "chosen.gguf")), str(found["batch"]), group=group)
        line = (
            f"{gigabytes:4} GB {name:14} {found['quant']:7} {found['planned'] / 1e6:10.0f} {found['free'] / 1e6:8.0f} "
        )
        line += f"{'yes' if ran else 'NO':4} "
        larger = ("F16", *LADDER)[LADDER.index(found["quant"])]
        path = Path(folder, "larger.gguf")
        sparse_gguf(SHAPES[name], find_recipe(larger).name, path)
        # The plan counts the tokenizer that these files lack.
        resident = run("--run", str(path), str(SMALLEST_BATCH))["resident"] + found["vocabulary"]
        line += f"{larger:7} {resident / 1e6:11.0f} {'YES' if resident <= found['free'] else 'no'}"
    group.rmdir()
    print(line, flush=True)


def run(*arguments: str, group: Path | None = None) -> dict[str, int]:
    """Run a part of this script in a process of its own, in a control group; {} where it was killed."""
    command = [sys.executable, "-m", "tests.benchmarks.check_limits", *arguments]

    def join() -> None:
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=join)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def make_plan(name: str, folder: str) -> None:
    model = model_of_config(Config(SHAPES[name]))
    with Engine() as engine:
        computer = replace(computer_now(engine, with_speed=False), speed=None)  # memory alone is to decide
    best = plan(model, computer, context=CONTEXT).best
    assert best is not None
    sparse_gguf(SHAPES[name], best.quant, Path(folder, "chosen.gguf"))
    vocabulary = footprint(model.architecture, model.parameters, (), RunShape(CONTEXT), model.tokens).vocabulary
    facts = {"quant": best.quant, "batch": best.batch, "planned": best.bytes, "free": best.shares[0].free}
    print(json.dumps(facts | {"vocabulary": vocabulary}))


def run_model(path: Path, batch: int) -> None:
    import psutil

    from desktop_app.engine.load import load_runner
    from desktop_app.engine.protocol import LoadSettings

    runner = load_runner(path, LoadSettings(context=CONTEXT, batch=batch, gpu_layers=0), lambda part: None)
    runner.decode([token % 97 for token in range(512)])
    runner.decode([7])
    print(json.dumps({"resident": psutil.Process().memory_info().rss}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--plan"]:
        make_plan(sys.argv[2], sys.argv[3])
    elif sys.argv[1:2] == ["--run"]:
        run_model(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
