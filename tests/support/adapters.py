"""Makes adapters of PEFT's true layout with random numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.checkpoints import write_safetensors
from tests.support.torch_files import write_torch

PREFIX = "base_model.model."
ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def random_adapter(
    weights: Mapping[str, np.ndarray],
    targets: Sequence[str] = ("q_proj", "v_proj"),
    *,
    rank: int = 4,
    seed: int = 0,
    ranks: Mapping[str, int] | None = None,
    dora: bool = False,
    tokens: int = 0,
) -> dict[str, np.ndarray]:
    """Return an adapter's tensors for the layers whose names end in `targets`.

    Args:
        weights: the base's.
        targets: ends of module names.
        rank: of the layers that `ranks` does not name by their ends.
        seed: of the random numbers.
        ranks: by ends of module names.
        dora: with magnitudes.
        tokens: brings embeddings and head of so many rows.
    """
    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}

    def draw(*shape: int) -> np.ndarray:
        return (0.1 * rng.standard_normal(shape)).astype(np.float32)

    for name, weight in weights.items():
        module = name.removesuffix(".weight")
        if not module.endswith(tuple(targets)) or not name.endswith(".weight"):
            continue
        r = next((r for end, r in (ranks or {}).items() if module.endswith(end)), rank)
        if module.endswith("embed_tokens"):
            tensors[f"{PREFIX}{module}.lora_embedding_A"] = draw(r, weight.shape[0])
            tensors[f"{PREFIX}{module}.lora_embedding_B"] = draw(weight.shape[1], r)
            continue
        tensors[f"{PREFIX}{module}.lora_A.weight"] = draw(r, weight.shape[1])
        tensors[f"{PREFIX}{module}.lora_B.weight"] = draw(weight.shape[0], r)
        if dora:
            length = np.linalg.norm(weight, axis=1) * (1 + draw(weight.shape[0]))
            tensors[f"{PREFIX}{module}.lora_magnitude_vector"] = length.astype(np.float32)
    for name in ("model.embed_tokens", "lm_head") if tokens else ():
        tensors[f"{PREFIX}{name}.weight"] = draw(tokens, weights["model.embed_tokens.weight"].shape[1])
    return tensors


def write_adapter(folder: Path, tensors: Mapping[str, np.ndarray], *, torch: bool = False, **config: Any) -> Path:
    """Write adapter_config.json and the weights, as safetensors or in PyTorch's format."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "fan_in_fan_out": False, "bias": "none", **config}
    (folder / "adapter_config.json").write_text(json.dumps(described), "utf-8")
    if torch:
        write_torch(folder / "adapter_model.bin", tensors)
    else:
        write_safetensors(folder / "adapter_model.safetensors", tensors)
    return folder
