"""Measures the memory that converting a model of 13 billion parameters takes: it must fit a computer with 8 GB.

    python -m tests.benchmarks.peak_memory FOLDER [--type Q4_0] [--threads 2]

The checkpoint has LLaMA-2-13B's shapes in BF16, in 3 sparse files (all zeros: 26 GB long, nothing on the disk); the result is
real, 7.4 GB in Q4_0, and is removed. Peak memory counts mapped pages of the checkpoint too.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from math import prod
from pathlib import Path

from tests.benchmarks.bench_convert import CONFIG, OURS, measured

HIDDEN, INNER, LAYERS, HEADS, TOKENS = 5120, 13824, 40, 40, 32000
SHARDS = 3
ALLOWED = 1.5e9
"""Bytes, besides the largest tensor in F32."""


def shapes() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (TOKENS, HIDDEN)}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        square = {f"{prefix}self_attn.{name}_proj.weight": (HIDDEN, HIDDEN) for name in "qkvo"}
        wide = {f"{prefix}mlp.{name}_proj.weight": (INNER, HIDDEN) for name in ("gate", "up")}
        norms = {f"{prefix}{name}_layernorm.weight": (HIDDEN,) for name in ("input", "post_attention")}
        found |= {**square, **wide, f"{prefix}mlp.down_proj.weight": (HIDDEN, INNER), **norms}
    return found | {"model.norm.weight": (HIDDEN,), "lm_head.weight": (TOKENS, HIDDEN)}


def generate(folder: Path) -> Path:
    """Write the sparse checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    names, weight_map = list(shapes().items()), {}
    for number in range(SHARDS):
        file = f"model-{number + 1:05}-of-{SHARDS:05}.safetensors"
        header, offset = {}, 0
        for name, shape in names[number * len(names) // SHARDS : (number + 1) * len(names) // SHARDS]:
            end = offset + 2 * prod(shape)
            header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, end]}
            weight_map[name] = file
            offset = end
        text = json.dumps(header).encode()
        with (folder / file).open("wb") as stream:
            stream.write(struct.pack("<Q", len(text)) + text)
            stream.truncate(8 + len(text) + offset)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    sizes = {"hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS}
    heads = {"num_attention_heads": HEADS, "num_key_value_heads": HEADS}
    (folder / "config.json").write_text(json.dumps({**CONFIG, **sizes, **heads}))
    return folder


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--type", default="Q4_0")
    parser.add_argument("--threads", default="2")
    given = parser.parse_args()
    source, out = generate(given.folder / "sparse-13b"), given.folder / "out.gguf"
    cost = measured([sys.executable, "-c", OURS, str(source), str(out), given.type, given.threads])
    largest = 4 * max(map(prod, shapes().values()))
    allowed = (ALLOWED + largest) / 2**20
    print(f"{given.type}: {out.stat().st_size / 1e9:.1f} GB in {cost}; allowed {allowed:.0f} MB")
    out.unlink()
    return 0 if cost.peak <= allowed else 1


if __name__ == "__main__":
    raise SystemExit(main())
