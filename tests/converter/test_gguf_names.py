"""What a file is say its first bytes; whether it is a part of a split model says its whole name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from converter.gguf_header import is_first_part, is_gguf, part_paths, read_gguf_header, split_parts
from models.errors import BadFile


@pytest.mark.parametrize(
    ("name", "first", "parts"),
    [
        ("Chain-of-Thought-7B.gguf", True, 1),
        ("state-of-the-art.gguf", True, 1),
        ("x-00002-of-00003", True, 1),
        ("x-00002-of-00003.gguf.bak", True, 1),
        ("x-2-of-3.gguf", True, 1),
        ("x-00000-of-00003.gguf", True, 1),
        ("x-00004-of-00003.gguf", True, 1),
        ("x-00001-of-00001.gguf", True, 1),
        ("x-00001-of-00003.gguf", True, 3),
        ("x-00002-of-00003.gguf", False, 3),
        ("Chain-of-Thought-00003-of-00003.GGUF", False, 3),
        ("a\nb-00001-of-00002.gguf", True, 2),
    ],
)
def test_parts_of_a_split_model(name: str, first: bool, parts: int) -> None:
    paths = part_paths(Path(name))
    assert is_first_part(Path(name)) is first
    assert len(paths) == parts
    assert Path(name) in paths
    assert len({path.suffix for path in paths}) == 1


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    for number in (1, 3):
        (tmp_path / f"x-0000{number}-of-00003.GGUF").write_bytes(b"GGUF")
    with pytest.raises(BadFile, match=r"x-00002-of-00003\.GGUF"):
        split_parts(tmp_path / "x-00001-of-00003.GGUF")


def test_first_bytes_say_what_a_file_is(tmp_path: Path, starter_gguf: Path) -> None:
    for name in ("weights.bin", "no ending", "x.GGUF", "notes.txt"):
        (tmp_path / name).symlink_to(starter_gguf)
        assert is_gguf(tmp_path / name)
    for name, content in {"text.gguf": b"Dear GGUF", "empty.gguf": b"", "short.gguf": b"GGU"}.items():
        (tmp_path / name).write_bytes(content)
        assert not is_gguf(tmp_path / name)
    assert not is_gguf(tmp_path)
    assert not is_gguf(tmp_path / "none.gguf")
    assert not is_gguf(Path("a\0b"))


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    (tmp_path / "link.gguf").symlink_to("/dev/zero")
    for name in ("pipe.gguf", "link.gguf"):
        assert not is_gguf(tmp_path / name)
        with pytest.raises(BadFile, match="is a pipe or a device"):
            read_gguf_header(tmp_path / name)
