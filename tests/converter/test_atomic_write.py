"""Small files: whole or not at all, also on a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from converter.atomic_write import write_whole

resource = pytest.importorskip("resource", reason="limits a file's size, in place of a full disk")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    write_whole(path, "知音")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(path, "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text("utf-8") == "知音"
    assert list(tmp_path.iterdir()) == [path]
