"""Measures what merging costs: time and peak memory of converting a 1.1B BF16 checkpoint with an adapter and without one.

    python -m tests.benchmarks.bench_merge FOLDER [--quant Q8_0] [--rank 64] [--threads 2]

FOLDER gets bench_convert's checkpoint (2.2 GB, kept) and, for a while, the results. The adapter changes all seven projections of
every layer and brings embeddings and head of 49,953 tokens, as Chinese-LLaMA's does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from tests.benchmarks.bench_convert import generate, measured, shapes
from tests.support.adapters import PREFIX, write_adapter

TOKENS = 49953
OURS = """
import sys
from pathlib import Path
from converter.pipeline import ConvertRequest, convert
source, out, quant, threads, *lora = sys.argv[1:]
convert(ConvertRequest(Path(source), Path(out), quant, tokenizer="none", threads=int(threads), lora=tuple(map(Path, lora))))
"""


def make_adapter(folder: Path, rank: int) -> Path:
    rng = np.random.default_rng(1)
    tensors: dict[str, np.ndarray] = {}
    for name, shape in shapes().items():
        if name.endswith("_proj.weight"):
            module = PREFIX + name.removesuffix(".weight")
            tensors[f"{module}.lora_A.weight"] = (rng.standard_normal((rank, shape[1]), np.float32) * 0.02).astype(
                np.float16
            )
            tensors[f"{module}.lora_B.weight"] = (rng.standard_normal((shape[0], rank), np.float32) * 0.02).astype(
                np.float16
            )
    for name in ("model.embed_tokens", "lm_head"):
        values = rng.standard_normal((TOKENS, shapes()[f"{name}.weight"][1]), np.float32) * 0.02
        tensors[f"{PREFIX}{name}.weight"] = values.astype(np.float16)
    return write_adapter(folder, tensors, r=rank, lora_alpha=2 * rank)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quant", default="Q8_0")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--threads", default="2")
    given = parser.parse_args()
    source = generate(given.folder / "checkpoint-1.1b")
    adapter = make_adapter(given.folder / f"adapter-{given.rank}", given.rank)
    out = given.folder / "merged.gguf"
    costs = []
    for name, lora in (("without", ()), ("with", (str(adapter),))):
        command = [sys.executable, "-c", OURS, str(source), str(out), given.quant, given.threads, *lora]
        cost = measured(command, Path(__file__).parents[2])
        print(
            f"{given.quant} {name} adapter: {cost.seconds:.1f} s ({cost.processor_seconds:.1f} s of processor time), peak "
            f"{cost.peak:.0f} MB ({cost.anonymous:.0f} MB without mapped files), {out.stat().st_size / 1e9:.2f} GB written",
            flush=True,
        )
        costs.append(cost)
        out.unlink()
    before, after = costs
    print(
        f"with / without: {after.seconds / before.seconds:.2f} of the time, "
        f"{after.processor_seconds / before.processor_seconds:.2f} of the processor time, {after.peak / before.peak:.2f} of the "
        f"peak, {after.anonymous / before.anonymous:.2f} without mapped files"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
