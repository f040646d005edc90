"""What a repository's configuration and index say of its weights is held to the weights, as for a folder that is here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.checkpoint.open import open_checkpoint
from converter.hub import repository as hub
from converter.hub.repository import download
from converter.hub.request import Download, DownloadRequest, Preview
from models.errors import ZhiyinError
from models.families import family_of
from tests.support.checkpoints import write_safetensors
from tests.support.hub_server import HubServer, Repository
from tests.support.random_llama import random_llama

NAME = "org/model-1B"
CONFIG, WEIGHTS = random_llama(5)
INDEX = "model.safetensors.index.json"
NEW, OLD = "model.safetensors", ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with HubServer() as running:
        yield running


def stored(folder: Path, tensors: Mapping[str, np.ndarray], dtype: str | None = "BF16") -> bytes:
    write_safetensors(folder / "x.safetensors", tensors, dtype)
    return (folder / "x.safetensors").read_bytes()


def put(server: HubServer, files: Mapping[str, bytes], **said: Any) -> None:
    config = json.dumps(CONFIG | said).encode()
    server.repositories[NAME] = Repository({"main": {"config.json": config, **files}})


def preview(server: HubServer, folder: Path) -> Preview:
    return hub.preview(DownloadRequest(NAME, folder / "downloads", endpoint=server.endpoint))


def get(server: HubServer, folder: Path, file: str = "") -> Download:
    return download(DownloadRequest(f"{NAME}{file}", folder / "downloads", endpoint=server.endpoint))


SAYINGS: dict[str, dict[str, Any]] = {
    "GPTQ": {"quantization_config": {"quant_method": "gptq", "bits": 4}},
    "bitsandbytes": {"quantization_config": {"load_in_4bit": True}},
    "an unknown one": {"quantization_config": {"quant_method": "newest"}},
    "compressed-tensors": {"compression_config": {"quant_method": "compressed-tensors", "format": "pack-quantized"}},
}


@pytest.mark.parametrize("saying", SAYINGS)
def test_a_stale_quantization_is_not_believed(server: HubServer, tmp_path: Path, saying: str) -> None:
    weights = stored(tmp_path, WEIGHTS)
    put(server, {NEW: weights}, **SAYINGS[saying])
    config = preview(server, tmp_path).config
    assert config is not None
    assert family_of(config).name == "llama"
    assert not any("quant" in key or "compression" in key for key in config.data)
    fetched = [request for request in server.requests if request.path.endswith(NEW)]
    assert fetched
    assert all(request.range for request in fetched)
    assert not (tmp_path / "downloads").exists()


def test_a_quantization_that_the_tensors_bear_out_is_believed(server: HubServer, tmp_path: Path) -> None:
    packed = {name.replace(".weight", ".qweight"): np.zeros((8, 8), np.int32) for name in WEIGHTS}
    put(server, {NEW: stored(tmp_path, packed, None)}, **SAYINGS["GPTQ"])
    config = preview(server, tmp_path).config
    assert config is not None
    with pytest.raises(ZhiyinError, match="quantized as GPTQ"):
        family_of(config)


def test_a_damaged_header_leaves_the_configuration_believed(server: HubServer, tmp_path: Path) -> None:
    put(server, {NEW: b"no header"}, **SAYINGS["GPTQ"])
    config = preview(server, tmp_path).config
    assert config is not None
    assert "quantization_config" in config


def index(*files: str) -> bytes:
    return json.dumps({"weight_map": {str(number): file for number, file in enumerate(files)}}).encode()


def halves(folder: Path) -> dict[str, bytes]:
    names = list(WEIGHTS)
    parts = ({name: WEIGHTS[name] for name in names[half::2]} for half in (0, 1))
    return {file: stored(folder, part) for file, part in zip(OLD, parts, strict=True)}


@pytest.mark.parametrize("left", [{}, {OLD[0]: b"one of two"}])
def test_a_stale_index_alone_does_not_count(server: HubServer, tmp_path: Path, left: dict[str, bytes]) -> None:
    put(server, {INDEX: index(*OLD), NEW: stored(tmp_path, WEIGHTS), **left})
    assert preview(server, tmp_path).weights > 0
    done = get(server, tmp_path)
    assert {path.name for path in done.files} == {"config.json", INDEX, NEW}
    with_all = open_checkpoint(done.source)
    assert set(with_all.tensors) == set(WEIGHTS)
    with_all.close()


@pytest.mark.parametrize("with_index", [True, False])
def test_two_sets_of_weights_are_a_question(server: HubServer, tmp_path: Path, with_index: bool) -> None:
    put(server, halves(tmp_path) | {NEW: stored(tmp_path, WEIGHTS)} | ({INDEX: index(*OLD)} if with_index else {}))
    assert set(preview(server, tmp_path).models) == {NEW, OLD[0]}
    with pytest.raises(ZhiyinError, match=r"two sets of weights; say which one is meant: org/model-1B/model") as caught:
        get(server, tmp_path)
    assert f"{NAME}/{OLD[0]}" in str(caught.value)
    assert f"{NAME}/{NEW}" in str(caught.value)


@pytest.mark.parametrize(("file", "wanted"), [(NEW, {NEW}), (OLD[0], set(OLD)), (OLD[1], set(OLD))])
def test_the_set_that_is_named_comes(server: HubServer, tmp_path: Path, file: str, wanted: set[str]) -> None:
    put(server, halves(tmp_path) | {NEW: stored(tmp_path, WEIGHTS), INDEX: index(*OLD)})
    done = get(server, tmp_path, f"/{file}")
    assert {path.name for path in done.files} == {"config.json"} | wanted
    checkpoint = open_checkpoint(done.source)
    assert set(checkpoint.tensors) == set(WEIGHTS)
    checkpoint.close()


@pytest.mark.parametrize("named", [(OLD[0], OLD[0]), (OLD[0], "model-00003-of-00002.safetensors"), (OLD[1], OLD[0])])
def test_an_index_that_names_the_wrong_files_of_a_series_gets_it_all(
    server: HubServer, tmp_path: Path, named: tuple[str, str]
) -> None:
    put(server, halves(tmp_path) | {INDEX: index(*named)})
    assert preview(server, tmp_path).weights > 0
    done = get(server, tmp_path)
    assert {path.name for path in done.files} == {"config.json", INDEX, *OLD}
    checkpoint = open_checkpoint(done.source)
    assert set(checkpoint.tensors) == set(WEIGHTS)
    checkpoint.close()
