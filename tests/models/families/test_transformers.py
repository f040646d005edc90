"""What transformers 5 saves of every family converts, and computes what transformers does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from desktop_app.engine.client import Engine
from models.transformers_configs import CONFIGS
from tests.data.transformers.weights import IDS, values
from tests.support.agreement import converted
from tests.support.logits import engine_logits

FOLDER = Path(__file__).parents[2] / "data" / "transformers"
CASES: dict[str, Any] = json.loads((FOLDER / "cases.json").read_text("utf-8"))
LOGITS = np.load(FOLDER / "logits.npz")
GELU_TABLE = 2e-2
"""llama.cpp takes Gemma's activation from a table of 16-bit floats."""
OF_THE_EYES = ("gemma3", "qwen3_5", "qwen3_5_moe")
"""Model types whose part for text has a type of its own."""


def _error(engine: Engine, folder: Path, name: str, config: dict[str, Any]) -> float:
    weights = {key: values(key, shape) for key, shape in CASES[name]["shapes"].items()}
    out = converted(folder, config, weights).path
    return float(np.abs(engine_logits(engine, out, IDS, folder / "logits.npy") - LOGITS[name]).max())


def _allowed(name: str) -> float:
    return GELU_TABLE if name.startswith("gemma") else 1e-4


@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_transformers(engine: Engine, tmp_path: Path, name: str) -> None:
    assert _error(engine, tmp_path, name, CASES[name]["config"]) < _allowed(name)


@pytest.mark.parametrize("name", [name for name in CASES if " " not in name])
def test_silent_keys_have_the_values_of_transformers(engine: Engine, tmp_path: Path, name: str) -> None:
    """Every key whose value is what the configuration class takes anyway is left out, and so is the class of the model."""
    config = dict(CASES[name]["config"])
    silent = CONFIGS[config["model_type"]].silent
    rotary = config.get("rope_parameters") or {}
    if rotary == {"rope_type": "default", "rope_theta": silent.get("rope_theta")}:
        del config["rope_parameters"]
    kept = {key: value for key, value in config.items() if key not in silent or silent[key] != value}
    del kept["architectures"]
    assert _error(engine, tmp_path, name, kept) < _allowed(name)


def test_every_model_type_has_a_case() -> None:
    tried = {case["config"]["model_type"] for case in CASES.values()}
    assert set(CONFIGS) - tried - set(OF_THE_EYES) == {"rwkv"}  # read off its tensors: test_rwkv.py
