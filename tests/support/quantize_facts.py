"""Models that reach every rule of the mixtures, and how the types that llama-quantize chose for them are noted.

A note is one letter a layer for each kind of tensor: short enough to be kept (tests/data/llama_quantize_types.json), long enough
to see which layer differs. `tests/benchmarks/compare_with_llama_quantize.py --facts` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np

from tests.support.checkpoints import write_checkpoint
from tests.support.random_gguf import write_mixture
from tests.support.random_llama import random_llama

LETTERS = {
    "F32": "f", "F16": "h", "Q8_0": "8", "Q6_K": "6", "Q5_K": "5", "Q5_1": "b", "Q5_0": "a", "Q4_K": "4", "Q4_1": "d",
    "Q4_0": "c", "IQ4_NL": "n", "IQ4_XS": "x", "Q3_K": "3", "Q2_K": "2", "BF16": "B",
}  # fmt: skip
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


def write_importance(path: Path, out: Path) -> Path:
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


def notes(types: Mapping[str, str]) -> dict[str, str]:
    """Return, for each kind of matrix, its types in the order of the layers."""
    found: dict[str, dict[int, str]] = {}
    for name, type_ in types.items():
        match = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.weight", name)
        if match and "norm" not in match[2]:
            found.setdefault(match[2], {})[int(match[1] or 0)] = LETTERS[type_]
    return {kind: "".join(layers[number] for number in sorted(layers)) for kind, layers in sorted(found.items())}
