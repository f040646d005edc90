"""A folder with several sets of weights: the user is asked where they differ, and leftovers are no weights."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from converter.checkpoint.prepared import open_prepared
from converter.checkpoint.weight_files import open_weights
from converter.pipeline import ConvertRequest, plan
from models.errors import BadFile
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.random_llama import Checkpoint, random_llama
from tests.support.torch_files import write_torch

INDEX = "model.safetensors.index.json"
NAME = "model.layers.0.mlp.up_proj.weight"
OLD, NEW = random_llama(5), random_llama(6)


def read(folder: Path, weights: str = "") -> np.ndarray:
    checkpoint = open_weights(folder, Path(weights) if weights else None)
    try:
        return checkpoint.read(NAME)
    finally:
        checkpoint.close()


def is_of(model: Checkpoint, values: np.ndarray) -> bool:
    return bool(np.array_equal(values, model[1][NAME]))


def question(folder: Path) -> str:
    with pytest.raises(BadFile) as caught:
        read(folder)
    return str(caught.value)


def old_shards_and_a_new_file(folder: Path) -> Path:
    write_checkpoint(folder, *OLD, shards=2)
    write_safetensors(folder / "model.safetensors", NEW[1])
    return folder


def test_a_new_file_beside_old_shards_is_a_question(tmp_path: Path) -> None:
    folder = old_shards_and_a_new_file(tmp_path)
    said = question(folder)
    assert f"--weights model.safetensors or --weights {INDEX}" in said


@pytest.mark.parametrize(
    ("named", "model"),
    [
        ("model.safetensors", NEW),
        (INDEX, OLD),
        ("model-00002-of-00002.safetensors", OLD),
    ],
)
def test_the_named_set_is_read(tmp_path: Path, named: str, model: Checkpoint) -> None:
    folder = old_shards_and_a_new_file(tmp_path)
    assert is_of(model, read(folder, named))
    assert is_of(model, read(folder, str(folder / named)))
    assert is_of(model, open_prepared(folder, Path(named)).read(NAME))
    assert plan(ConvertRequest(folder, weights=Path(named), tokenizer="none")).tensors
    if not named.endswith(".json"):
        assert is_of(model, open_prepared(folder / named).read(NAME))


def test_a_name_that_is_no_weights_is_refused(tmp_path: Path) -> None:
    folder = old_shards_and_a_new_file(tmp_path)
    for named in ("config.json", "nothing.safetensors"):
        with pytest.raises(BadFile, match="is no file of weights"):
            read(folder, named)


def test_a_stale_index_is_left_aside(tmp_path: Path) -> None:
    folder = old_shards_and_a_new_file(tmp_path)
    for shard in folder.glob("model-*.safetensors"):
        shard.unlink()
    assert is_of(NEW, read(folder))


def test_a_stale_index_beside_other_shards_is_left_aside(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, *NEW, shards=3)
    index = json.loads((tmp_path / INDEX).read_text())
    stale = {name: file.replace("00003", "00009") for name, file in index["weight_map"].items()}
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": stale}))
    assert is_of(NEW, read(tmp_path))


def test_half_of_the_shards_beside_a_whole_file_is_a_question(tmp_path: Path) -> None:
    folder = old_shards_and_a_new_file(tmp_path)
    (folder / "model-00001-of-00002.safetensors").unlink()
    assert "model.safetensors" in question(folder)
    assert is_of(NEW, read(folder, "model.safetensors"))
    with pytest.raises(BadFile, match="lacks model-00001-of-00002"):
        read(folder, INDEX)


def test_missing_shards_are_named(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, *NEW, shards=3)
    (tmp_path / INDEX).unlink()
    assert is_of(NEW, read(tmp_path))  # numbers tell as well as an index does
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    assert "lacks model-00002-of-00003.safetensors (1 of 3 files)" in question(tmp_path)


def test_two_series_without_an_index_are_a_question(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, *OLD, shards=2)
    write_checkpoint(tmp_path, *NEW, shards=3)
    (tmp_path / INDEX).unlink()
    assert "model-00001-of-00002.safetensors" in question(tmp_path)
    assert is_of(NEW, read(tmp_path, "model-00001-of-00003.safetensors"))


def test_equal_sets_are_no_question(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, *NEW, shards=2)
    write_safetensors(tmp_path / "model.safetensors", NEW[1])
    write_torch(tmp_path / "pytorch_model.bin", NEW[1])
    assert is_of(NEW, read(tmp_path))


def test_the_same_model_rounded_is_no_question(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, *NEW)
    write_torch(tmp_path / "pytorch_model.bin", {k: v.astype(ml_dtypes.bfloat16) for k, v in NEW[1].items()})
    assert is_of(NEW, read(tmp_path))


def test_other_weights_in_the_other_format_are_a_question(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, *OLD)
    write_torch(tmp_path / "pytorch_model.bin", NEW[1])
    assert "model.safetensors and pytorch_model.bin" in question(tmp_path)
    assert is_of(NEW, read(tmp_path, "pytorch_model.bin"))
    assert is_of(OLD, read(tmp_path, "model.safetensors"))


def test_one_changed_tensor_is_a_difference(tmp_path: Path) -> None:
    changed = NEW[1] | {NAME: NEW[1][NAME] + np.float32(1e-3)}
    write_checkpoint(tmp_path, *NEW, shards=2)
    write_safetensors(tmp_path / "model.safetensors", changed)
    assert "two sets of weights that differ" in question(tmp_path)


def test_what_training_leaves_behind_is_no_weights(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, *NEW)
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(b"no weights")
    write_safetensors(tmp_path / "adapter_model.safetensors", OLD[1])
    write_safetensors(tmp_path / "consolidated.safetensors", {"layers.0.wq": np.zeros((2, 2), np.float32)})
    assert is_of(NEW, read(tmp_path))


def test_files_with_other_tensors_belong_together(tmp_path: Path) -> None:
    names = list(NEW[1])
    write_checkpoint(tmp_path, NEW[0], {name: NEW[1][name] for name in names[:5]})
    write_safetensors(tmp_path / "more.safetensors", {name: NEW[1][name] for name in names[5:]})
    assert is_of(NEW, read(tmp_path))


def test_an_index_that_lists_nothing_is_left_aside(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, *NEW)
    (tmp_path / INDEX).write_text('{"metadata": {}, "weight_map": {}}')
    assert is_of(NEW, read(tmp_path))


@pytest.mark.parametrize("said", ['{"weight_map":', '{"weight_map": null}', "[]", ""])
def test_a_damaged_index_beside_the_whole_file_counts_for_none(tmp_path: Path, said: str) -> None:
    folder = write_checkpoint(tmp_path / "model", *NEW)
    (folder / INDEX).write_text(said, "utf-8")
    assert is_of(NEW, read(folder))
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    with pytest.raises(BadFile, match=r"index\.json"):
        read(folder)


def test_what_macos_leaves_beside_files_is_no_weights(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model", *NEW)
    (folder / "._model.safetensors").write_bytes(b"\0\5\x16\7" + bytes(100))
    assert is_of(NEW, read(folder))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_pointer_of_git_lfs_is_named(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path / "model", *NEW)
    (folder / "model.safetensors").unlink()
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "utf-8")
    assert "only a pointer of Git LFS" in question(folder)
