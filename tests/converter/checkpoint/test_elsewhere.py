"""Folders without weights that can be read, and weights in another layout: the sentence names what is there and the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from models.errors import BadFile
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama


def refused(folder: Path) -> str:
    with pytest.raises(BadFile) as caught:
        convert(ConvertRequest(folder, folder.with_name("model.gguf"), "F32", tokenizer="none"))
    return str(caught.value)


def file(folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 64)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda folder: write_checkpoint(folder / "checkpoint-500", *random_llama()),
            ("folders in it", "checkpoint-500"),
        ),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "model.SafeTensors"),
            ("capital", "model.SafeT"),
        ),
        (lambda folder: file(folder, "global_step9/mp_rank_00_model_states.pt"), ("DeepSpeed", "zero_to_fp32.py")),
        (lambda folder: file(folder, "__0_0.distcp"), ("PyTorch's distributed", "save_pretrained")),
        (lambda folder: file(folder, "flax_model.msgpack"), ("Flax",)),
        (lambda folder: file(folder, "tf_model.h5"), ("TensorFlow",)),
        (lambda folder: file(folder, "onnx/model.onnx"), ("ONNX", "model.onnx")),
        (lambda folder: file(folder, "openvino_model.xml"), ("OpenVINO",)),
        (lambda folder: file(folder, "weights.npz"), ("MLX",)),
        (lambda folder: file(folder, "notes.txt"), ("holds no weights", "download")),
    ],
)
def test_what_is_there_is_named(make: Callable[[Path], object], words: tuple[str, ...], tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", *random_llama())
    if words[0] != "capital":
        (folder / "model.safetensors").unlink()
    make(folder)
    said = refused(folder)
    assert all(word in said for word in words), said


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    assert "empty folder" in refused(tmp_path / "checkpoint")


@pytest.mark.parametrize("ending", ["qkv_proj.weight", "q_proj.parametrizations.weight.original0"])
def test_another_layout_is_named_by_what_it_has(ending: str, tmp_path: Path) -> None:
    config, weights = random_llama()
    weights[f"model.layers.0.self_attn.{ending}"] = np.ones((8, 8), np.float32)
    del weights["model.layers.0.self_attn.q_proj.weight"]
    said = refused(write_checkpoint(tmp_path / "checkpoint", config, weights))
    assert ending in said
    assert "save_pretrained" in said


def test_a_part_of_a_download_is_told_to_be_fetched(tmp_path: Path) -> None:
    config, weights = random_llama()
    del weights["model.layers.0.self_attn.q_proj.weight"]
    assert "download it all" in refused(write_checkpoint(tmp_path / "checkpoint", config, weights))
