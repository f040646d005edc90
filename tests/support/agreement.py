"""How far a converted checkpoint's logits are from an independent forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from converter.pipeline import ConversionResult, ConvertRequest, convert
from desktop_app.engine.client import Engine
from tests.support.checkpoints import write_checkpoint
from tests.support.logits import engine_logits

Forward = Callable[[Mapping[str, Any], Mapping[str, np.ndarray], Sequence[int]], np.ndarray]


def converted(
    folder: Path,
    config: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    *,
    shards: int = 1,
    write: Callable[..., Path] = write_checkpoint,
) -> ConversionResult:
    """Write a checkpoint and convert it to F32."""
    source = write(folder / "checkpoint", config, weights, shards=shards)
    return convert(ConvertRequest(source, folder / "model.gguf", "F32", tokenizer="none"))


def random_ids(config: Mapping[str, Any], count: int) -> list[int]:
    """Return token ids that are the same in every run."""
    said = config.get("text_config") or config
    return np.random.default_rng(1).integers(0, said["vocab_size"], count).tolist()


def largest_error(
    engine: Engine,
    folder: Path,
    config: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    forward: Forward,
    *,
    count: int = 150,
    shards: int = 1,
) -> float:
    """Return the largest absolute difference of a logit, over all of `count` positions."""
    out = converted(folder, config, weights, shards=shards).path
    ids = random_ids(config, count)
    found = engine_logits(engine, out, ids, folder / "logits.npy")
    return float(np.abs(found - forward(config, weights, ids)).max())
