"""Saves tiny models of every family by transformers, and each again without one key of its config.json, with their logits.

In an environment of its own that has torch and transformers, from the repository's root:

    PATH/TO/python -m tests.benchmarks.make_transformers_models FOLDER [MODEL_TYPE ...]

What transformers itself refuses without a key is left out. `compare_with_transformers` converts all of them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from tests.data.transformers.make import CASES, SIZES
from tests.data.transformers.weights import IDS, values

_ALWAYS = ("model_type", "transformers_version", "dtype")


def main() -> None:
    """Write the folders and print how many there are of each case."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)  # the models are tiny
    target, only = Path(sys.argv[1]), sys.argv[2:]
    for name, said in CASES.items():
        model_type = name.partition(" ")[0]
        if only and model_type not in only:
            continue
        folder = target / name.replace(" ", "-")
        shutil.rmtree(folder, ignore_errors=True)
        AutoModelForCausalLM.from_config(CONFIG_MAPPING[model_type](**(SIZES | said))).float().save_pretrained(folder)
        weights = folder / "model.safetensors"
        save_file({key: values(key, a.shape) for key, a in load_file(weights).items()}, weights, {"format": "pt"})
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        made = _with_logits(folder) + sum(_without(folder, config, key) for key in config if key not in _ALWAYS)
        print(name, made, flush=True)


def _without(folder: Path, config: dict[str, Any], key: str) -> bool:
    other = folder.with_name(f"{folder.name}--without-{key}")
    shutil.rmtree(other, ignore_errors=True)
    other.mkdir()
    os.link(folder / "model.safetensors", other / "model.safetensors")
    (other / "config.json").write_text(json.dumps({name: value for name, value in config.items() if name != key}))
    return _with_logits(other)


def _with_logits(folder: Path) -> bool:
    found = _logits(folder)
    if found is None:
        shutil.rmtree(folder)
        return False
    np.save(folder / "logits.npy", found)
    return True


def _logits(folder: Path) -> np.ndarray | None:
    """Return what transformers computes; None: it refuses the folder."""
    try:
        model, said = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
        if said["missing_keys"] or said["unexpected_keys"] or said["mismatched_keys"]:
            return None
        with torch.no_grad():
            found: np.ndarray = model.eval()(input_ids=torch.tensor([IDS])).logits[0].numpy()
    except Exception:  # whatever keeps transformers from loading or computing it
        return None
    return found.astype(np.float32)


if __name__ == "__main__":
    main()
