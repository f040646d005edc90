"""Files that appear whole or not at all: full disks, killed processes, two writers of one target."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from converter.atomic_write import (
    is_unfinished,
    locked,
    remove_leftovers,
    unfinished_folder,
    write_atomically,
    write_file,
    write_locked,
)
from models.errors import ZhiyinError

_HOLD = """
import sys
from pathlib import Path
from converter.atomic_write import locked, unfinished_folder, write_locked
target = Path(sys.argv[1])
with unfinished_folder(target) if sys.argv[2] == "folder" else locked(target) as folder:
    (folder / "half.gguf" if folder else target.with_name(f".{target.name}.abcd_123.part")).write_bytes(b"GGUF")
    print("ready", flush=True)
    sys.stdin.read()
"""
_COUNT = """
import sys
from pathlib import Path
from converter.atomic_write import locked, write_locked
path = Path(sys.argv[1])
for _ in range(25):
    with locked(path):
        write_locked(path, str(int(path.read_text()) + 1))
"""


def _holder(target: Path, kind: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(target), kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def _end(process: subprocess.Popen[bytes], number: int = getattr(signal, "SIGKILL", signal.SIGTERM)) -> None:
    process.send_signal(number)
    process.communicate()


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits a file's size, in place of a full disk")
    path = tmp_path / "settings.json"
    write_atomically(path, "知音")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_atomically(path, "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text("utf-8") == "知音"
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_that_is_no_unicode_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeError):
        write_atomically(tmp_path / "imported.json", "\ud800")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "chat.md", "")
    with pytest.raises(FileNotFoundError), unfinished_folder(tmp_path / "none" / "model.gguf"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_no_change_is_lost_between_processes(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.write_text("0")
    writers = [subprocess.Popen([sys.executable, "-c", _COUNT, str(path)]) for _ in range(8)]
    assert [writer.wait() for writer in writers] == [0] * 8
    assert path.read_text() == "200"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_the_leftovers_of_a_killed_process_are_removed(tmp_path: Path, kind: str) -> None:
    process = _holder(tmp_path / "model.gguf", kind)
    remove_leftovers(tmp_path)
    assert any(is_unfinished(path) for path in tmp_path.iterdir()), "its process is alive"
    _end(process)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_next_writer_removes_the_leftovers_of_its_target(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    _end(_holder(path, "file"))
    assert len(list(tmp_path.iterdir())) == 2
    with locked(path):
        write_locked(path, "{}")
    assert list(tmp_path.iterdir()) == [path]


def test_one_process_writes_a_target(tmp_path: Path) -> None:
    target = tmp_path / "model.gguf"
    process = _holder(target, "folder")
    with pytest.raises(ZhiyinError) as caught, unfinished_folder(target):
        pass
    assert str(target) in str(caught.value)
    assert caught.value.code == "busy"
    assert len(list(tmp_path.glob(".*.part/half.gguf"))) == 1, "the other one's work is untouched"
    with unfinished_folder(tmp_path / "other.gguf") as folder:
        assert is_unfinished(folder)
    _end(process)
    with unfinished_folder(target) as folder:
        (folder / "new").write_bytes(b"")
        assert [path for path in tmp_path.iterdir() if path.suffix == ".part"] == [folder]
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_earlier_versions_go_and_files_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / ".model.gguf.part").mkdir()
    (tmp_path / ".model.gguf.part" / "model.gguf").write_bytes(b"GGUF")
    (tmp_path / ".copy.gguf.part").write_bytes(b"GGUF")
    others = [".poetry.lock", ".lock", ".model.gguf.0123456789abcdef.part", ".notes.abcdefgh.part", "x.part", ".part"]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def test_a_large_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "logits.npy"
    assert write_file(path, lambda stream: stream.write(b"before")) == 6

    def give_up(stream: BinaryIO) -> None:
        stream.write(b"x" * 100_000)
        raise MemoryError

    with pytest.raises(MemoryError):
        write_file(path, give_up)
    assert [entry.name for entry in tmp_path.iterdir()] == ["logits.npy"]
    assert path.read_bytes() == b"before"


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
def test_only_private_files_are_kept_from_others(private: bool, mode: int, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_file(tmp_path / "a", lambda stream: stream.write(b"1"), private=private)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "mistyped" / "file", "text")
    assert not (tmp_path / "mistyped").exists()
