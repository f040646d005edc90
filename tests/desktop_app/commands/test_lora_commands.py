"""`zhiyin convert` with adapters and `--adapter`, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.hub.repository import download
from converter.hub.request import DownloadRequest
from desktop_app.paths import downloads_folder
from tests.reference.llama import forward
from tests.reference.lora import with_adapter
from tests.support.adapters import ALL, random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint
from tests.support.commands import zhiyin
from tests.support.hub_server import HubServer, Repository
from tests.support.random_llama import random_llama

IDS = (1, 2, 3, 100, 7)
GIVEN = ("--ids", ",".join(map(str, IDS)))


@pytest.fixture(scope="module")
def model() -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, np.ndarray]]:
    config, weights = random_llama(5)
    return config, weights, random_adapter(weights, ALL)


def logits(tmp_path: Path, *arguments: str) -> np.ndarray:
    out = tmp_path / "logits.npy"
    done = zhiyin("logits", *arguments, *GIVEN, "--out", str(out))
    assert done.returncode == 0, done.stderr
    return np.load(out)


def test_merging_shows_its_plan_first(model: Any, tmp_path: Path) -> None:
    config, weights, tensors = model
    base = write_checkpoint(tmp_path / "base", config, weights)
    more = random_adapter(weights, seed=1, tokens=140)
    first, second = write_adapter(tmp_path / "one", tensors), write_adapter(tmp_path / "two", more)
    out = tmp_path / "merged.gguf"
    options = ("--quant", "F32", "--out", str(out), "--tokenizer", "none")
    done = zhiyin("convert", "--base", str(base), "--lora", str(first), "--lora", str(second), *options)
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == f"Base: {base} (LLaMA, 128 tokens)"
    assert lines[1] == f"Adapter 1: {first} changes 14 matrices (rank 4); 128 tokens from here"
    assert (
        lines[2] == f"Adapter 2: {second} changes 4 matrices (rank 4) and brings 2 whole tensors; 140 tokens from here"
    )
    assert lines[4].startswith(f"Result: {out} (F32, ")
    merged = with_adapter(with_adapter(weights, tensors, scales=2.0), more, scales=2.0)
    assert np.abs(logits(tmp_path, str(out)) - forward(config, merged, IDS)).max() < 1e-4


def test_an_adapter_alone_fetches_the_base_that_it_names(model: Any, tmp_path: Path) -> None:
    config, weights, tensors = model
    base = write_checkpoint(tmp_path / "base", config, weights)
    lora = write_adapter(tmp_path / "lora", tensors, base_model_name_or_path="tiny/Base-1M")
    out = tmp_path / "merged.gguf"
    with HubServer() as server:
        server.repositories["tiny/Base-1M"] = Repository({"main": {f.name: f.read_bytes() for f in base.iterdir()}})
        options = ("--endpoint", server.endpoint, "--quant", "F32")
        adapter = zhiyin("convert", str(lora), "--as-adapter", "--out", str(tmp_path / "lora.gguf"), *options)
        assert (adapter.returncode, adapter.stdout) == (0, f"{tmp_path / 'lora.gguf'}\n"), adapter.stderr
        assert server.fetched("config.json")
        _, wide = random_llama(5, hidden_size=80)
        other = write_adapter(tmp_path / "wide", random_adapter(wide), base_model_name_or_path="tiny/Base-1M")
        refused = zhiyin("convert", str(other), *options)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "width 80" in refused.stderr
        assert not server.fetched("model.safetensors"), "its configuration alone says what fits"
        done = zhiyin("convert", str(lora), "--out", str(out), "--tokenizer", "none", *options)
    assert done.returncode == 0, done.stderr
    assert f"{lora} was trained on tiny/Base-1M" in done.stderr.splitlines()[0]
    wanted = forward(config, with_adapter(weights, tensors, scales=2.0), IDS)
    assert np.abs(logits(tmp_path, str(out)) - wanted).max() < 1e-4


@pytest.mark.parametrize("name", ["meta-llama/Llama-2-7b-hf", "someone/Base-7B"])
def test_a_base_that_came_from_modelscope_is_taken_from_there(name: str, model: Any, tmp_path: Path) -> None:
    """Where the name is another one, the catalogue knows it; a plain name given with --base means the Hub's."""
    config, weights, tensors = model
    base = write_checkpoint(tmp_path / "base", config, weights)
    lora = write_adapter(tmp_path / "lora", tensors, base_model_name_or_path=name)
    there = {"meta-llama/Llama-2-7b-hf": "modelscope/Llama-2-7b-ms"}.get(name, name)
    with HubServer() as server:
        server.repositories[there] = Repository({"master": {f.name: f.read_bytes() for f in base.iterdir()}})
        download(DownloadRequest(f"modelscope:{there}", downloads_folder(), endpoint=server.endpoint))
    out = tmp_path / "merged.gguf"
    options = ("--out", str(out), "--tokenizer", "none", "--quant", "F32")
    done = zhiyin("convert", str(lora), *options, HF_HUB_OFFLINE="1")
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert f"{lora} was trained on {name}, and modelscope:{there}, which was fetched before," in done.stderr
    refused = zhiyin("convert", str(lora), "--base", name, *options, HF_HUB_OFFLINE="1")
    assert refused.returncode == 1
    assert f"{name} is not here whole" in refused.stderr


def test_logits_with_an_adapter_and_its_scale(model: Any, tmp_path: Path) -> None:
    config, weights, tensors = model
    base = write_checkpoint(tmp_path / "base", config, weights)
    lora = write_adapter(tmp_path / "lora", tensors, base_model_name_or_path=str(base))
    file, out = tmp_path / "lora.gguf", tmp_path / "base.gguf"
    assert zhiyin("convert", str(lora), "--as-adapter", "--quant", "F32", "--out", str(file)).returncode == 0
    assert zhiyin("convert", str(base), "--quant", "F32", "--out", str(out), "--tokenizer", "none").returncode == 0
    found = logits(tmp_path, str(out), "--adapter", f"{file}:0.5")
    assert np.abs(found - forward(config, with_adapter(weights, tensors, scales=1.0), IDS)).max() < 1e-4
    refused = zhiyin("chat", "-m", str(file), "--prompt", "x")
    assert refused.returncode == 1
    assert "is an adapter, no model" in refused.stderr
    mistyped = zhiyin("chat", "-m", str(out), "--adapter", f"{file}:half", "--prompt", "x")
    assert mistyped.returncode == 2
    assert f"'half' is no scale for {file}" in mistyped.stderr


def test_wrong_usage_and_missing_bases(model: Any, tmp_path: Path) -> None:
    config, weights, tensors = model
    base = write_checkpoint(tmp_path / "base", config, weights)
    lora = write_adapter(tmp_path / "lora", tensors)
    for arguments, code, words in (
        ((str(base), "--base", str(base), "--lora", str(lora)), 2, "SOURCE is a model already"),
        ((str(base), "--as-adapter"), 2, "exactly one adapter"),
        (("--base", str(base)), 2, "SOURCE"),
        ((str(lora),), 1, "does not say which model"),
    ):
        done = zhiyin("convert", *arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert words in done.stderr
    config_file = lora / "adapter_config.json"
    config_file.write_text(
        json.dumps(json.loads(config_file.read_text()) | {"base_model_name_or_path": "C:\\models\\x"})
    )
    done = zhiyin("convert", str(lora))
    assert done.returncode == 1
    assert "name the folder or repository" in done.stderr
