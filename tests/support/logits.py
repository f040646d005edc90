"""Logits of a GGUF file through the product's own engine process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import LOGIT_ROWS, AdapterUse, Load, LoadSettings, Logits


def engine_logits(
    engine: Engine, path: Path, ids: Sequence[int], out: Path, *adapters: AdapterUse, kv_type: str = "f32"
) -> np.ndarray:
    """Return float32 [len(ids), vocabulary]; an F32 cache by default and no GPU, so that only the weights' type is measured."""
    settings = LoadSettings(context=max(64, len(ids)), kv_type=kv_type, threads=2, gpu_layers=0, logit_rows=LOGIT_ROWS)
    engine.submit(Load(path, settings, adapters)).result(60)
    return loaded_logits(engine, ids, out)


def loaded_logits(engine: Engine, ids: Sequence[int], out: Path) -> np.ndarray:
    """Return float32 [len(ids), vocabulary] of the model that is loaded."""
    engine.submit(Logits(tuple(ids), out)).result(60)
    return np.load(out)
