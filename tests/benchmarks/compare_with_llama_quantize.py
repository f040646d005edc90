"""Compares every tensor's bytes with llama.cpp's own llama-quantize, for every type.

    python -m tests.benchmarks.compare_with_llama_quantize PATH/TO/llama-quantize [FOLDER ...]

Each checkpoint is converted to F32 by us and quantized by llama-quantize, and converted directly by us; FOLDER names a real
checkpoint to compare besides the random ones. How to build llama-quantize: see CONTRIBUTING.md.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import gguf
import numpy as np

from converter.pipeline import ConvertRequest, convert
from converter.recipes import recipe_names
from tests.support.checkpoints import write_checkpoint
from tests.support.random_gguf import write_mixture
from tests.support.random_llama import random_llama

SHAPES: dict[str, dict[str, object]] = {
    "plain": {"num_hidden_layers": 9, "hidden_size": 256, "intermediate_size": 512},
    "tied": {"num_hidden_layers": 17, "hidden_size": 256, "intermediate_size": 256, "tie_word_embeddings": True},
    "grouped-by-4": {
        "num_hidden_layers": 8,
        "hidden_size": 512,
        "intermediate_size": 768,
        "num_attention_heads": 8,
    },
    "rows-of-32": {"num_hidden_layers": 8, "hidden_size": 288, "intermediate_size": 544, "num_attention_heads": 6},
    "odd-rows": {"num_hidden_layers": 3, "hidden_size": 80, "intermediate_size": 144},
    "tied-rows-of-32": {
        "num_hidden_layers": 3,
        "hidden_size": 96,
        "intermediate_size": 512,
        "tie_word_embeddings": True,
    },
}


def tensors(path: Path) -> dict[str, tuple[str, bytes]]:
    return {tensor.name: (tensor.tensor_type.name, tensor.data.tobytes()) for tensor in gguf.GGUFReader(path).tensors}


def differences(ours: Path, theirs: Path) -> list[str]:
    """Return a line for each tensor that differs."""
    a, b = tensors(ours), tensors(theirs)
    lines = [f"{name}: only in one file" for name in sorted(a.keys() ^ b.keys())]
    for name in sorted(a.keys() & b.keys()):
        if a[name][0] != b[name][0]:
            lines.append(f"{name}: {a[name][0]} here, {b[name][0]} there")
        elif a[name][1] != b[name][1]:
            lines.append(f"{name}: the {a[name][0]} bytes differ")
    return lines


def importance_for(path: Path, out: Path) -> Path:
    """Write a random importance matrix for all matrices of a model."""
    rng = np.random.default_rng(7)
    writer = gguf.GGUFWriter(out, "")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["random"])
    writer.add_uint32("imatrix.chunk_count", 3)
    writer.add_uint32("imatrix.chunk_size", 512)
    for tensor in gguf.GGUFReader(path).tensors:
        shape = [int(n) for n in reversed(tensor.shape)]
        if len(shape) < 2 or "norm" in tensor.name or tensor.name == "token_embd.weight":
            continue
        matrices = shape[0] if len(shape) == 3 else 1
        writer.add_tensor(f"{tensor.name}.in_sum2", rng.random((matrices, shape[-1]), np.float32) * 100)
        counts = np.full((matrices, 1), 512.0, np.float32)
        counts[1:2] = 0  # an expert that nothing went through
        writer.add_tensor(f"{tensor.name}.counts", counts)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def sources(folder: Path, named: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for experts in (4, 8):
        yield f"{experts} experts", write_mixture(folder / f"mixture-{experts}.gguf", experts)
    for name, changes in SHAPES.items():
        config, weights = random_llama(**changes)  # type: ignore[arg-type]
        yield name, write_checkpoint(folder / name, config, weights)
    for path in named:
        yield path, Path(path)


def main(program: str, *named: str) -> int:
    bad = compared = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for label, source in sources(folder, named):
            wide = folder / "wide.gguf"
            convert(ConvertRequest(source, wide, "F32", tokenizer="none"))
            matrix = importance_for(wide, folder / "importance.gguf")
            for quant in recipe_names():
                for imatrix in (None, matrix):
                    ours, theirs = folder / "ours.gguf", folder / "theirs.gguf"
                    convert(ConvertRequest(source, ours, quant, tokenizer="none", imatrix=imatrix))
                    option = [] if imatrix is None else ["--imatrix", str(imatrix)]
                    subprocess.run([program, *option, wide, theirs, quant, "2"], check=True, capture_output=True)
                    lines = differences(ours, theirs)
                    compared += len(tensors(ours))
                    bad += len(lines)
                    for line in lines[:8]:
                        print(f"{label}, {quant}{', importance' if imatrix else ''}: {line}", flush=True)
            print(f"{label}: done", flush=True)
    print(f"{compared} tensors compared, {bad} differ")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
