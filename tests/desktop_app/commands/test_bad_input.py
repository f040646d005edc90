"""Damaged and unfit input, as a user meets it: one clear sentence, exit code 1, and no file left behind."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.families import families
from tests.support.checkpoints import write_checkpoint
from tests.support.commands import zhiyin
from tests.support.random_llama import random_llama

CONFIG, WEIGHTS = random_llama()


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _good(folder: Path) -> Path:
    return write_checkpoint(folder, CONFIG, WEIGHTS)


def _without_config(folder: Path) -> Path:
    (_good(folder) / "config.json").unlink()
    return folder


def _unknown(folder: Path) -> Path:
    return write_checkpoint(folder, {**CONFIG, "architectures": ["MartianForCausalLM"]}, WEIGHTS)


def _truncated(folder: Path) -> Path:
    path = _good(folder) / "model.safetensors"
    os.truncate(path, path.stat().st_size - 1000)
    return folder


def _without_shard(folder: Path) -> Path:
    (write_checkpoint(folder, CONFIG, WEIGHTS, shards=3) / "model-00002-of-00003.safetensors").unlink()
    return folder


CHECKPOINTS: list[tuple[Callable[[Path], Path], list[str]]] = [
    (_empty, ["is an empty folder"]),
    (_without_config, ["has no config.json"]),
    (_unknown, ["MartianForCausalLM", *(family.title for family in families())]),
    (_truncated, ["model.safetensors is truncated: 1000 bytes", "download it again"]),
    (_without_shard, ["lacks model-00002-of-00003.safetensors"]),
]


def refused(*arguments: str) -> str:
    """Run a command that must fail and return its sentence."""
    done = zhiyin(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


@pytest.mark.parametrize(("make", "words"), CHECKPOINTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_checkpoint_that_cannot_be_converted(make: Callable[[Path], Path], words: list[str], tmp_path: Path) -> None:
    source = make(tmp_path / "source")
    sentence = refused(
        "convert", str(source), "--quant", "F16", "--tokenizer", "none", "--out", str(tmp_path / "o.gguf")
    )
    assert not [word for word in [str(source), *words] if word not in sentence]
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("command", [["models", "import"], ["chat", "--prompt", "hi", "-m"]], ids=["import", "chat"])
def test_a_gguf_file_that_is_none(command: list[str], starter_gguf: Path, tmp_path: Path) -> None:
    text, short = tmp_path / "letter.gguf", tmp_path / "short.gguf"
    text.write_text("Dear Sir or Madam", "utf-8")
    shutil.copy(starter_gguf, short)
    os.truncate(short, short.stat().st_size // 2)
    assert f"{text} is not a GGUF file" in refused(*command, str(text))
    assert f"{short} is truncated" in refused(*command, str(short))
    assert "is a folder; convert it first" in refused(*command, str(tmp_path))
    assert [model["starter"] for model in json.loads(zhiyin("models", "--json").stdout)] == [True]


def test_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    source = _good(tmp_path / "source")
    convert = ["convert", str(source), "--quant", "F16", "--tokenizer", "none", "--out"]
    assert "is not a folder" in refused(*convert, str(tmp_path / "nowhere" / "o.gguf"))
    assert "is a folder" in refused(*convert, str(tmp_path))
    (tmp_path / "file").touch()
    assert "is not a folder" in refused(*convert, str(tmp_path / "file" / "o.gguf"))
    if sys.platform == "linux":
        assert "o.gguf" in refused(*convert, "/proc/o.gguf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "source"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a file that is none")
def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    source = _good(tmp_path / "source")
    os.mkfifo(tmp_path / "pipe")
    sentence = refused("convert", str(source), "--tokenizer", "none", "--out", str(tmp_path / "pipe"), "--quant", "F16")
    assert "not an ordinary file" in sentence
    assert (tmp_path / "pipe").is_fifo()


def test_a_log_that_cannot_be_written(data_home: Path) -> None:
    log = data_home / "logs" / "engine.log"
    log.mkdir(parents=True)
    assert f"The engine's log {log} cannot be written" in refused("tokenize", "SmolLM2-135M-Instruct", "x")
