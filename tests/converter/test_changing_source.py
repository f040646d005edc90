"""A source that another program changes while it is converted: one sentence that names it, and nothing is left."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from converter.checkpoint import Checkpoint
from converter.checkpoint.gguf_file import GGUFFile
from converter.checkpoint.open import open_checkpoint
from converter.gguf_header import _FileBytes
from converter.pipeline import ConvertRequest, convert
from converter.progress import Progress
from models.errors import BadFile
from tests.support.adapters import random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama
from tests.support.torch_files import write_torch_checkpoint

Change = Callable[[Path], None]


def shorten(path: Path) -> None:
    """Leave the header: everything that is read from here on lies behind the end."""
    os.truncate(path, path.stat().st_size // 3)


def rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-64, os.SEEK_END)
        file.write(bytes(64))


def exchange(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """A source of each layout, and which of its files is changed."""
    folder = tmp_path_factory.mktemp("sources")
    config, weights = random_llama(hidden_size=256, intermediate_size=1024, vocab_size=512, num_hidden_layers=3)
    convert(
        ConvertRequest(
            write_checkpoint(folder / "plain", config, weights), folder / "plain.gguf", "F16", tokenizer="none"
        )
    )
    return {
        "safetensors": (folder / "plain", "model.safetensors"),
        "shards": (
            write_checkpoint(folder / "shards", config, weights, shards=2),
            "model-00002-of-00002.safetensors",
        ),
        "torch": (write_torch_checkpoint(folder / "torch", config, weights, shards=1), "pytorch_model.bin"),
        "gguf": (folder / "plain.gguf", ""),
    }


def copied(source: Path, folder: Path) -> Path:
    if source.is_file():
        (folder / source.name).write_bytes(source.read_bytes())
        return folder / source.name
    target = folder / source.name
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


@pytest.mark.parametrize("change", [shorten, rewrite, exchange])
@pytest.mark.parametrize("layout", ["safetensors", "shards", "torch", "gguf"])
def test_the_change_is_said_and_nothing_is_left(
    layout: str, change: Change, sources: dict[str, tuple[Path, str]], tmp_path: Path
) -> None:
    original, name = sources[layout]
    source = copied(original, tmp_path)
    changed = source / name if name else source
    before = sorted(tmp_path.iterdir())
    started: list[Progress] = []

    def listen(progress: Progress) -> None:
        if progress.bytes_done and not started:
            started.append(progress)
            change(changed)

    with pytest.raises(BadFile, match="changed or shortened while it was read") as caught:
        convert(ConvertRequest(source, tmp_path / "out.gguf", "Q8_0", tokenizer="none", threads=1), listen)
    assert str(changed) in str(caught.value)
    assert started
    assert sorted(tmp_path.iterdir()) == before


def test_a_changed_adapter_is_said(sources: dict[str, tuple[Path, str]], tmp_path: Path) -> None:
    base, _ = sources["safetensors"]
    checkpoint = open_checkpoint(base)
    adapter = write_adapter(
        tmp_path / "adapter", random_adapter({name: checkpoint.read(name) for name in checkpoint.tensors})
    )

    def listen(progress: Progress) -> None:
        rewrite(adapter / "adapter_model.safetensors")

    with pytest.raises(BadFile, match="changed or shortened") as caught:
        convert(ConvertRequest(base, tmp_path / "out.gguf", "Q8_0", tokenizer="none", lora=(adapter,)), listen)
    assert "adapter_model.safetensors" in str(caught.value)
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize("layout", ["safetensors", "torch", "gguf"])
def test_shortened_between_two_reads(layout: str, sources: dict[str, tuple[Path, str]], tmp_path: Path) -> None:
    """The readers alone: mapped, this would end the process by SIGBUS."""
    original, name = sources[layout]
    source = copied(original, tmp_path)
    checkpoint: Checkpoint = GGUFFile(source) if source.is_file() else open_checkpoint(source)
    first, *_, last = checkpoint.tensors
    checkpoint.read(first)
    shorten(source / name if name else source)
    with pytest.raises(BadFile, match="changed or shortened"):
        for tensor in (first, last):
            checkpoint.read(tensor)
    with pytest.raises(BadFile, match="changed or shortened"):
        checkpoint.check()


def test_a_source_that_is_deleted_meanwhile_is_read_to_its_end(
    sources: dict[str, tuple[Path, str]], tmp_path: Path
) -> None:
    original, name = sources["safetensors"]
    source = copied(original, tmp_path)
    if os.name == "nt":
        pytest.skip("Windows deletes no open file")
    out = tmp_path / "out.gguf"
    convert(
        ConvertRequest(source, out, "F16", tokenizer="none"),
        lambda _: (source / name).unlink(missing_ok=True),
    )
    assert out.read_bytes() == (original.parent / "plain.gguf").read_bytes()


def test_a_header_that_is_shortened_while_it_is_read(starter_gguf: Path, tmp_path: Path) -> None:
    """Mapped, this would end the process by SIGBUS."""
    path = tmp_path / "model.gguf"
    data = starter_gguf.read_bytes()[:4_000_000]
    path.write_bytes(data)
    with path.open("rb", buffering=0) as file:
        head = _FileBytes(path, file)
        assert head[:4] == b"GGUF"
        assert head[300_000:600_000] == data[300_000:600_000]
        assert head[10:20] == data[10:20]
        os.truncate(path, 1_000_000)
        with pytest.raises(BadFile, match="is truncated: its header ends"):
            head[900_000:1_100_000]
