"""The file that a conversion writes: one writer, one name, verified before it is there, and no file of anybody lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from converter.atomic_write import is_unfinished, replace_file, sync
from converter.pipeline import ConvertRequest, convert
from converter.progress import Progress
from models.errors import BadFile, ZhiyinError
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama

ROOT = Path(__file__).parents[2]
WAITING = """
import sys
from pathlib import Path
from converter.pipeline import ConvertRequest, convert
waited = []
def wait(progress):
    if not waited:
        waited.append(True)
        print("writing", flush=True)
        sys.stdin.readline()
convert(ConvertRequest(Path(sys.argv[1]), Path(sys.argv[2]), "Q8_0", tokenizer="none"), wait)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config, weights = random_llama(hidden_size=256, intermediate_size=1024, vocab_size=512, num_hidden_layers=3)
    return write_checkpoint(tmp_path_factory.mktemp("source") / "tiny", config, weights)


@pytest.fixture(scope="module")
def right(source: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("right") / "out.gguf"
    convert(ConvertRequest(source, out, "Q8_0", tokenizer="none"))
    return out.read_bytes()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def other_names(folder: Path) -> dict[str, Path]:
    """Return further ways to say `folder / "out.gguf"`."""
    (folder.parent / "link").symlink_to(folder, target_is_directory=True)
    return {
        "the same": folder / "out.gguf",
        "relative": Path(os.path.relpath(folder / "out.gguf")),
        "over a link": folder.parent / "link" / "out.gguf",
        "roundabout": folder / ".." / folder.name / "out.gguf",
        "a part": folder / "out-00001-of-00002.gguf",
    }


@pytest.mark.parametrize("way", ["the same", "relative", "over a link", "roundabout", "a part"])
def test_the_second_is_told_and_the_first_is_untouched(way: str, source: Path, right: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    command = [sys.executable, "-c", WAITING, str(source), str(folder / "out.gguf")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "writing\n"
        out = other_names(folder)[way]
        with pytest.raises(ZhiyinError, match="is being written by another Zhiyin") as caught:
            convert(ConvertRequest(source, out, "Q8_0", tokenizer="none"))
        assert caught.value.code == "busy"
        convert(ConvertRequest(source, folder / "other.gguf", "Q8_0", tokenizer="none"))
        first.communicate("\n")
    assert first.returncode == 0
    assert names(folder) == ["other.gguf", "out.gguf"]
    assert (folder / "out.gguf").read_bytes() == right


@pytest.mark.slow
def test_many_at_once(source: Path, right: bytes, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"

    def run(_: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "desktop_app.cli", "convert", str(source), "--quant", "Q8_0", "--tokenizer"]
        return subprocess.run(
            [*command, "none", "--out", str(out)], cwd=ROOT, capture_output=True, text=True, check=False
        )

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(run, range(6)))
    assert any(one.returncode == 0 for one in done)
    for one in done:
        assert one.returncode == 0 or "is being written by another Zhiyin" in one.stderr, one.stderr
    assert names(tmp_path) == ["out.gguf"]
    assert out.read_bytes() == right


def test_what_is_verified_is_what_gets_the_name(source: Path, tmp_path: Path) -> None:
    """Another file takes the place of the verified one while it is tried: it does not get the name."""

    def swap(path: Path) -> str:
        other = path.with_name("other")
        other.write_bytes(path.read_bytes())
        other.replace(path)
        return ""

    with pytest.raises(BadFile, match="is not what was written"):
        convert(ConvertRequest(source, tmp_path / "out.gguf", "Q8_0", tokenizer="none"), smoke_load=swap)
    assert names(tmp_path) == []


@pytest.mark.parametrize("phase", ["converting", "checking"])
def test_the_work_is_removed_meanwhile(phase: str, source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    out = folder / "out.gguf"
    out.write_bytes(b"earlier")

    def remove(progress: Progress) -> None:
        if progress.phase == phase:
            for path in folder.iterdir():
                if is_unfinished(path):
                    shutil.rmtree(path)

    with pytest.raises(BadFile, match=r"out\.gguf"):
        convert(ConvertRequest(source, out, "Q8_0", tokenizer="none"), remove)
    assert names(folder) == ["out.gguf"]
    assert out.read_bytes() == b"earlier"


def test_the_folder_is_removed_meanwhile(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(BadFile, match=r"out\.gguf"):
        convert(
            ConvertRequest(source, folder / "out.gguf", "Q8_0", tokenizer="none"),
            lambda _: shutil.rmtree(folder, ignore_errors=True),
        )
    assert not folder.exists()


@pytest.mark.parametrize("kind", ["itself", "hard link", "link", "shard"])
def test_a_file_of_the_source_is_not_overwritten(kind: str, source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(source, folder)
    wide = tmp_path / "wide.gguf"
    convert(ConvertRequest(source, wide, "F16", tokenizer="none"))
    out = tmp_path / "out.gguf"
    if kind == "hard link":
        out.hardlink_to(wide)
    elif kind == "link":
        out.symlink_to(wide)
    request = {
        "itself": ConvertRequest(wide, wide, "Q8_0"),
        "shard": ConvertRequest(folder, folder / "model.safetensors", "Q8_0", tokenizer="none"),
    }.get(kind, ConvertRequest(wide, out, "Q8_0"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(BadFile, match="is a file of the source"):
        convert(request)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_target_may_lie_in_the_sources_folder(source: Path, right: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(source, folder)
    for _ in range(2):  # the second replaces the first one's result
        convert(ConvertRequest(folder, folder / "out.gguf", "Q8_0", tokenizer="none"))
    assert (folder / "out.gguf").read_bytes() == right
    assert names(folder) == [*names(source), "out.gguf"]


def test_a_link_is_replaced_and_not_followed(source: Path, right: bytes, tmp_path: Path) -> None:
    """A downloaded folder may hold a link of the customary name that leads to any file of the user's."""
    precious, out = tmp_path / "precious", tmp_path / "out.gguf"
    precious.write_bytes(b"precious")
    out.symlink_to(precious)
    convert(ConvertRequest(source, out, "Q8_0", tokenizer="none"))
    assert precious.read_bytes() == b"precious"
    assert (out.is_symlink(), out.read_bytes()) == (False, right)


def test_an_earlier_split_model_never_stands_with_parts_of_two(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ConvertRequest(source, tmp_path / "out.gguf", "Q8_0", tokenizer="none", split_max_size=1_500_000)
    first, *others = convert(request).parts
    assert len(others) > 1
    rename = os.replace

    def fail_at_the_second(path: Path, target: Path) -> None:
        if Path(target) == others[1]:
            raise OSError(28, "No space left on device")
        rename(path, target)

    monkeypatch.setattr("converter.pipeline.replace_file", fail_at_the_second)
    with pytest.raises(BadFile, match="cannot be written: No space left"):
        convert(request)
    assert names(tmp_path) == [path.name for path in others]
    monkeypatch.undo()
    assert list(convert(request).parts) == [first, *others]
    assert names(tmp_path) == [path.name for path in (first, *others)]


def test_a_file_system_without_flush_or_locks(
    source: Path, right: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(fcntl, "flock", refuse)
    convert(ConvertRequest(source, tmp_path / "out.gguf", "Q8_0", tokenizer="none"))
    assert (tmp_path / "out.gguf").read_bytes() == right
    assert names(tmp_path) == ["out.gguf"]


def test_a_disk_that_fails_to_flush_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with (tmp_path / "file").open("wb") as file, pytest.raises(OSError, match="Input/output"):
        sync(file.fileno())


def test_a_file_system_that_renames_over_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.replace

    def strict(path: Path, target: Path) -> None:
        if Path(target).exists():
            raise FileExistsError(17, "File exists")
        rename(path, target)

    monkeypatch.setattr(os, "replace", strict)
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_bytes(b"new")
    old.write_bytes(b"old")
    replace_file(new, old)
    assert old.read_bytes() == b"new"
