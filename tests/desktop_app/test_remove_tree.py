"""Removing folders that a program nested as deep as it could."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from desktop_app.chat.history import History
from desktop_app.remove_tree import remove_tree


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 1,500 folders in each other and a link that leads out."""
    folder = tmp_path / "work" / "chat"
    folder.mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("kept")
    monkeypatch.chdir(folder)
    for _ in range(1500):
        Path("d").mkdir()
        Path("link").symlink_to(tmp_path / "kept")
        os.chdir("d")
    os.chdir(tmp_path)
    return folder


def test_nothing_is_left_of_it_and_links_are_not_followed(deep: Path, tmp_path: Path) -> None:
    remove_tree(deep)
    assert not deep.exists()
    assert (tmp_path / "kept" / "file").read_text() == "kept"


def test_chats_open_though_a_program_left_such_a_folder(deep: Path, tmp_path: Path) -> None:
    History(tmp_path / "chats.sqlite3").close()
    assert not deep.exists()
