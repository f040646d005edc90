"""What a repository's weights are is known by a few of their bytes, before they are fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.hub.competing import competing_set
from converter.hub.selection import SeveralModels
from desktop_app.cli import main
from models.errors import UnsupportedModel, ZhiyinError
from tests.converter.hub.test_stale_files import (
    NAME,
    NEW,
    OLD,
    WEIGHTS,
    get,
    halves,
    index,
    preview,
    put,
    server,
    stored,
)
from tests.support.hub_server import HubServer
from tests.support.torch_files import write_legacy_torch, write_torch

__all__ = ["server"]
BIN, MISTRAL = "pytorch_model.bin", "consolidated.safetensors"
OTHERS = {name: tensor + np.float32(0.25) for name, tensor in WEIGHTS.items()}


def as_torch(folder: Path, tensors: Mapping[str, np.ndarray]) -> bytes:
    write_torch(folder / "x.bin", tensors)
    return (folder / "x.bin").read_bytes()


def asked(server: HubServer, folder: Path) -> set[str]:
    """Return the sets that a download asks about, each by its first file."""
    try:
        get(server, folder)
    except SeveralModels as question:
        return {file.name for file in question.files}
    return set()


def fetched_whole(server: HubServer) -> list[str]:
    """Return the files of weights of which more than single ranges were fetched."""
    weights = (request for request in server.requests if request.path.endswith((".safetensors", ".bin")))
    return [request.path for request in weights if "resolve" in request.path and not request.range]


def test_the_same_weights_in_another_format_are_no_question(server: HubServer, tmp_path: Path) -> None:
    put(server, {NEW: stored(tmp_path, WEIGHTS, None), BIN: as_torch(tmp_path, WEIGHTS)})
    assert {path.name for path in get(server, tmp_path).files} == {"config.json", NEW}


def test_rounded_ones_are_the_same(server: HubServer, tmp_path: Path) -> None:
    put(server, {NEW: stored(tmp_path, WEIGHTS, "BF16"), BIN: as_torch(tmp_path, WEIGHTS)})
    assert asked(server, tmp_path) == set()


@pytest.mark.parametrize("shards", [1, 2])
def test_other_weights_in_another_format_are_a_question(server: HubServer, tmp_path: Path, shards: int) -> None:
    files = {NEW: stored(tmp_path, WEIGHTS, None)} if shards == 1 else halves(tmp_path)
    indexes = {} if shards == 1 else {"model.safetensors.index.json": index(*OLD)}
    put(server, files | indexes | {BIN: as_torch(tmp_path, OTHERS)})
    first = NEW if shards == 1 else OLD[0]
    assert asked(server, tmp_path) == {first, BIN}
    with pytest.raises(ZhiyinError, match=r"two sets of weights.*kB\).*kB\)"):
        get(server, tmp_path)
    assert fetched_whole(server) == []
    assert not list((tmp_path / "downloads").rglob("*.safetensors"))
    assert {path.name for path in get(server, tmp_path, f"/{BIN}").files} == {"config.json", BIN}


@pytest.mark.parametrize("alike", [True, False])
def test_mistrals_own_files(server: HubServer, tmp_path: Path, alike: bool) -> None:
    theirs = {name.removeprefix("model."): tensor for name, tensor in (WEIGHTS if alike else OTHERS).items()}
    put(server, {NEW: stored(tmp_path, WEIGHTS), MISTRAL: stored(tmp_path, theirs)})
    assert asked(server, tmp_path) == (set() if alike else {NEW, MISTRAL})


def test_of_an_older_format_the_size_tells(server: HubServer, tmp_path: Path) -> None:
    weights = stored(tmp_path, WEIGHTS)
    put(server, {NEW: weights, BIN: b"x" * (3 * len(weights))})
    assert asked(server, tmp_path) == {NEW, BIN}
    put(server, {NEW: weights, BIN: b"x" * len(weights)})
    assert asked(server, tmp_path) == set()


def packed(program: str) -> dict[str, np.ndarray]:
    """Return weights with one matrix as a program packs it."""
    name = "model.layers.0.mlp.down_proj"
    rest = {key: tensor for key, tensor in WEIGHTS.items() if key != f"{name}.weight"}
    small = {
        "int8": np.zeros((8, 8), np.int8),
        "uint8": np.zeros((32, 1), np.uint8),
        "int32": np.zeros((8, 8), np.int32),
    }
    scale = np.ones(8, np.float32)
    added: dict[str, dict[str, Any]] = {
        "GPTQ": {".qweight": small["int32"], ".scales": np.ones((1, 8), np.float16), ".g_idx": np.zeros(8, np.int32)},
        "bitsandbytes (LLM.int8)": {".weight": small["int8"], ".SCB": scale},
        "bitsandbytes (NF4)": {".weight": small["uint8"], ".weight.quant_state.bitsandbytes__nf4": small["uint8"]},
        "compressed-tensors": {".weight_packed": small["int32"], ".weight_scale": scale},
    }
    return rest | {name + ending: tensor for ending, tensor in added[program].items()}


@pytest.mark.parametrize("program", ["GPTQ", "bitsandbytes (LLM.int8)", "bitsandbytes (NF4)", "compressed-tensors"])
def test_weights_that_a_program_quantized_are_told_before(server: HubServer, tmp_path: Path, program: str) -> None:
    put(server, {NEW: stored(tmp_path, packed(program), None)})
    with pytest.raises(UnsupportedModel) as caught:
        get(server, tmp_path)
    assert f"already quantized by {program} (its tensor" in str(caught.value)
    assert fetched_whole(server) == []


def test_what_is_left_over_beside_floats_is_no_reason(server: HubServer, tmp_path: Path) -> None:
    left = {"model.layers.0.mlp.down_proj.SCB": np.ones(8, np.float32)}
    put(server, {NEW: stored(tmp_path, WEIGHTS | left, None)})
    assert preview(server, tmp_path).weights > 0


def test_gguf_files_and_others_have_no_sets() -> None:
    assert competing_set("org/model", (), (), lambda *_: b"") is None


@pytest.mark.parametrize("as_bin", [False, True])
@pytest.mark.parametrize("program", ["GPTQ", "bitsandbytes (LLM.int8)", "bitsandbytes (NF4)", "compressed-tensors"])
def test_a_preview_tells_them_too(server: HubServer, tmp_path: Path, program: str, as_bin: bool) -> None:
    tensors = packed(program)
    put(server, {BIN: as_torch(tmp_path, tensors)} if as_bin else {NEW: stored(tmp_path, tensors, None)})
    with pytest.raises(UnsupportedModel, match="already quantized by"):
        preview(server, tmp_path)
    with pytest.raises(UnsupportedModel, match="already quantized by"):
        get(server, tmp_path)
    assert fetched_whole(server) == []


def test_an_old_file_of_pytorch_is_told_by_its_pickles(server: HubServer, tmp_path: Path) -> None:
    write_legacy_torch(tmp_path / "x.bin", packed("GPTQ"))
    put(server, {BIN: (tmp_path / "x.bin").read_bytes()})
    with pytest.raises(UnsupportedModel, match="already quantized by GPTQ"):
        preview(server, tmp_path)
    assert fetched_whole(server) == []


def test_a_preview_asks_about_two_sets(server: HubServer, tmp_path: Path) -> None:
    put(server, {NEW: stored(tmp_path, WEIGHTS, None), BIN: as_torch(tmp_path, OTHERS)})
    found = preview(server, tmp_path)
    assert set(found.models) == {NEW, BIN}
    assert "two sets of weights" in str(found.question)
    put(server, {NEW: stored(tmp_path, WEIGHTS, None), BIN: as_torch(tmp_path, WEIGHTS)})
    assert not preview(server, tmp_path).models
    assert fetched_whole(server) == []


def test_fit_tells_both(server: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(server, {BIN: as_torch(tmp_path, packed("GPTQ"))})
    assert main(["fit", NAME, "--endpoint", server.endpoint]) == 1
    assert "already quantized by GPTQ" in capsys.readouterr().err
    put(server, {NEW: stored(tmp_path, WEIGHTS, None), BIN: as_torch(tmp_path, OTHERS)})
    assert main(["fit", NAME, "--endpoint", server.endpoint]) == 1
    assert f"two sets of weights; say which one is meant: {NAME}/{NEW}" in capsys.readouterr().err


def test_a_host_without_ranges_can_still_be_looked_at(server: HubServer, tmp_path: Path) -> None:
    put(server, {NEW: stored(tmp_path, WEIGHTS, None)})
    server.faults.ignore_ranges = True
    assert preview(server, tmp_path).weights > 0
    assert (get(server, tmp_path).folder / NEW).exists()


def test_a_stale_quantization_beside_pytorch_floats_is_not_believed(server: HubServer, tmp_path: Path) -> None:
    put(server, {BIN: as_torch(tmp_path, WEIGHTS)}, quantization_config={"quant_method": "gptq", "bits": 4})
    config = preview(server, tmp_path).config
    assert config is not None
    assert "quantization_config" not in config
