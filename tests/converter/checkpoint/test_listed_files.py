"""An index that is not true of its files: tensors are read from the file that holds them, and what is wrong is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from converter.checkpoint.weight_files import open_weight_file, open_weights
from converter.pipeline import ConvertRequest, plan
from models.errors import BadFile
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.random_llama import random_llama
from tests.support.torch_files import write_torch

CONFIG, WEIGHTS = random_llama(5)
NAMES = tuple(WEIGHTS)
NORM = "model.norm.weight"
FORMATS = {
    "safetensors": ("model.safetensors.index.json", "model-0000{}-of-00002.safetensors", write_safetensors),
    "PyTorch": ("pytorch_model.bin.index.json", "pytorch_model-0000{}-of-00002.bin", write_torch),
}
Edit = Callable[[dict[str, str], str, str], None]
"""Changes a weight map whose tensors are in two files."""


def all_in_the_first(weight_map: dict[str, str], first: str, second: str) -> None:
    weight_map.update(dict.fromkeys(weight_map, first))


def swapped(weight_map: dict[str, str], first: str, second: str) -> None:
    weight_map.update({name: first if file == second else second for name, file in weight_map.items()})


def a_file_that_never_was(weight_map: dict[str, str], first: str, second: str) -> None:
    weight_map.update({name: file.replace("00002-of", "00003-of") for name, file in weight_map.items()})


def one_in_the_wrong_file(weight_map: dict[str, str], first: str, second: str) -> None:
    weight_map[NAMES[1]] = first


def without_the_second(weight_map: dict[str, str], first: str, second: str) -> None:
    for name in [name for name, file in weight_map.items() if file == second]:
        del weight_map[name]


def written(folder: Path, format_: str, edit: Edit | None = None, without: str = "") -> tuple[Path, list[str]]:
    """Write a model in two files with an index; returns the folder and the files' names."""
    index, pattern, write = FORMATS[format_]
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG), "utf-8")
    files, weight_map = [pattern.format(number) for number in (1, 2)], {}
    for file, names in zip(files, (NAMES[::2], NAMES[1::2]), strict=True):
        write(folder / file, {name: WEIGHTS[name] for name in names if name != without})
        weight_map |= dict.fromkeys(names, file)
    if edit is not None:
        edit(weight_map, *files)
    (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}), "utf-8")
    return folder, files


def warnings(folder: Path) -> list[str]:
    return [str(note) for note in plan(ConvertRequest(folder, tokenizer="none")).warnings if ".index.json" in str(note)]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("edit", [all_in_the_first, swapped, a_file_that_never_was, one_in_the_wrong_file])
def test_tensors_are_read_from_the_file_that_holds_them(tmp_path: Path, format_: str, edit: Edit) -> None:
    folder, files = written(tmp_path / "model", format_, edit)
    checkpoint = open_weights(folder)
    assert all(np.array_equal(checkpoint.read(name), WEIGHTS[name]) for name in NAMES)
    checkpoint.close()
    assert any(FORMATS[format_][0] in note and f"{files[1]} holds it" in note for note in warnings(folder))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_of_the_series_that_no_index_names_is_read(tmp_path: Path, format_: str) -> None:
    folder, files = written(tmp_path / "model", format_, without_the_second)
    for open_ in (open_weights, lambda folder: open_weight_file(folder / files[1])):
        checkpoint = open_(folder)
        assert all(np.array_equal(checkpoint.read(name), WEIGHTS[name]) for name in NAMES)
        checkpoint.close()
    assert [f"does not name {files[1]}" in note for note in warnings(folder)] == [True]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_tensor_that_no_file_holds_is_named_with_its_file(tmp_path: Path, format_: str) -> None:
    folder, files = written(tmp_path / "model", format_, without=NORM)
    home = files[NAMES.index(NORM) % 2]
    with pytest.raises(BadFile, match=f"{NORM} is in {home}, but no file here holds it; download {home} again"):
        plan(ConvertRequest(folder, tokenizer="none"))


def test_one_that_is_not_needed_is_said(tmp_path: Path) -> None:
    def edit(weight_map: dict[str, str], first: str, second: str) -> None:
        weight_map["model.layers.0.self_attn.q_proj.bias"] = second

    folder, _ = written(tmp_path / "model", "safetensors", edit)
    assert ["q_proj.bias is in model-00002-of-00002" in note for note in warnings(folder)] == [True]


def test_other_files_are_looked_into_for_what_the_index_names(tmp_path: Path) -> None:
    folder, files = written(tmp_path / "model", "safetensors", all_in_the_first)
    (folder / files[1]).rename(folder / "rest.safetensors")
    write_safetensors(folder / "others.safetensors", {"unknown": np.zeros(2, np.float32)})
    checkpoint = open_weights(folder)
    assert set(checkpoint.tensors) == set(NAMES)
    checkpoint.close()
    assert "rest.safetensors holds it" in warnings(folder)[0]


def test_shards_of_an_older_save_do_not_fill_gaps(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model", CONFIG, WEIGHTS, shards=3)
    index = (folder / FORMATS["safetensors"][0]).read_text("utf-8")
    write_checkpoint(folder, *random_llama(6), shards=2)
    (folder / FORMATS["safetensors"][0]).write_text(index, "utf-8")
    (folder / "model-00003-of-00003.safetensors").unlink()
    with pytest.raises(BadFile, match=r"two sets of weights that differ|lacks model-00003-of-00003"):
        open_weights(folder)


def test_a_true_index_is_no_matter(tmp_path: Path) -> None:
    folder, _ = written(tmp_path / "model", "safetensors")
    assert warnings(folder) == []
