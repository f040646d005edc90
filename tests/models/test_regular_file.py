"""Pipes, devices and sockets are refused at once, and so are links to them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from models.errors import BadFile
from models.regular_file import open_regular, read_regular

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "pipe-link", "device-link"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.gguf"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        target = tmp_path / "target" if kind == "pipe-link" else Path("/dev/zero")
        if kind == "pipe-link":
            os.mkfifo(target)
        path.symlink_to(target)
    with pytest.raises(BadFile, match="is a pipe or a device, not a file"):
        open_regular(path)


def test_a_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    file, link = tmp_path / "blob", tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    link.symlink_to(file)
    assert read_regular(link) == b"GGUF"
    with open_regular(file) as stream:
        assert stream.read() == b"GGUF"


def test_a_folder_and_nothing_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none")
