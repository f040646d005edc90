"""How fast a part's variant of the processor is against a build for this one: `python -m tests.benchmarks.bench_variants`.

Both run by turns, so that what else the computer does meets both. `packaging/engine/build.py base` makes dist/engine/base before;
the other one is what `uv sync` built. Prints the medians of tokens per second and their ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASE = ROOT / "dist" / "engine" / "base"


def measure(model: str, libraries: Path | None) -> tuple[float, float]:
    """Return the tokens per second of reading and writing, with the libraries of a folder or those that were built here."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"ZHIYIN_HOME": home}
        if libraries is not None:
            environment["LLAMA_CPP_LIB_PATH"] = str(libraries)
        command = [sys.executable, "-m", "desktop_app.cli", "bench", model, "--json"]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    return facts["prompt"]["median"], facts["generation"]["median"]


def main() -> None:
    """Measure by turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="SmolLM2-135M-Instruct.Q4_1")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rounds = [(measure(given.model, None), measure(given.model, BASE)) for _ in range(given.rounds)]
    for position, name in enumerate(("prompt", "reply")):
        native = statistics.median(there[position] for there, _ in rounds)
        chosen = statistics.median(here[position] for _, here in rounds)
        print(f"{name:7} built here {native:8.1f}  variant {chosen:8.1f} tokens/s  ratio {chosen / native:.3f}")


if __name__ == "__main__":
    main()
