"""Models and downloads in another folder: moved whole or not at all, wherever a move is cut off."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from converter.hub.manifest import alone, earlier_conversion, note_conversion, write_manifest
from desktop_app import paths
from desktop_app.library import storage
from desktop_app.library.installed import Library
from desktop_app.library.storage import Moving, finish_move, move_storage, storage_bytes
from desktop_app.paths import downloads_folder, left_storage, models_folder, storage_folder
from models.errors import Cancelled, ZhiyinError
from tests.converter.hub.test_cleanup import fetched


class Killed(BaseException):
    """As good as a kill: nothing in between catches it."""


def unheard(_: Moving) -> None:
    """Progress that nobody looks at."""


def never() -> bool:
    return False


@pytest.fixture
def filled(data_home: Path, starter_gguf: Path) -> Path:
    """Fill the storage: a model that was made here, and one that lies in its download."""
    made = models_folder() / "deep" / "Tea.gguf"
    made.parent.mkdir()
    shutil.copy(starter_gguf, made)
    folder = fetched(downloads_folder() / "org--tea", {"config.json": b"{}", "model.safetensors": b"x" * 5000})
    note_conversion(folder, folder, "c0ffee", "Q8_0", made)
    ready = fetched(downloads_folder() / "org--coffee", {"m.gguf": starter_gguf.read_bytes()})
    Library(models_folder()).import_file(ready / "m.gguf")
    (models_folder() / "empty.txt").touch()
    return data_home


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in storage.FOLDERS
        for path in (folder / name).rglob("*")
        if path.is_file() and not path.name.endswith(".lock") and path.name not in (".hub.json", "imported.json")
    }


def names() -> list[str]:
    return sorted(model.name for model in Library(models_folder()).models() if not model.starter)


def test_everything_moves_and_is_found_there(filled: Path, tmp_path: Path) -> None:
    before, target, seen = content(filled), tmp_path / "disk" / "Zhiyin", []
    assert move_storage(target, seen.append, never) == target
    assert storage_folder() == target
    assert (models_folder(), downloads_folder()) == (target / "models", target / "downloads")
    assert content(target) == before
    assert not (filled / "models").exists()
    assert not (filled / "downloads").exists()
    assert names() == ["Tea", "m"]
    made, current = earlier_conversion(
        downloads_folder() / "org--tea", downloads_folder() / "org--tea", "c0ffee", "Q8_0"
    )
    assert (made, current) == (target / "models" / "deep" / "Tea.gguf", True)
    assert seen[-1].bytes_done == seen[-1].bytes_total
    assert left_storage() is None
    move_storage(filled, unheard, never)
    assert content(filled) == before
    assert not (filled / "storage.txt").exists(), "it is as it was"
    assert names() == ["Tea", "m"]


def test_a_kill_anywhere_loses_nothing(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, target = content(filled), tmp_path / "new"
    steps: list[str] = []

    def dies_at(last: int, name: str) -> None:
        real = getattr(storage, name)

        def call(*arguments: object) -> object:
            steps.append(name)
            if len(steps) > last:
                raise Killed
            return real(*arguments)

        monkeypatch.setattr(storage, name, call)

    for last in range(12):
        steps.clear()
        with monkeypatch.context():
            for name in ("_state", "_correct_paths", "use_storage", "finish_move"):
                dies_at(last, name)
            with contextlib.suppress(Killed):
                move_storage(target, unheard, never)
        monkeypatch.undo()
        monkeypatch.setenv("ZHIYIN_HOME", str(filled))
        assert content(storage_folder()) == before, f"killed at step {last}"
        assert names() == ["Tea", "m"]
        if storage_folder() == target:
            break
    else:
        move_storage(target, unheard, never)
    finish_move()
    assert content(target) == before
    assert content(filled) == {}
    assert left_storage() is None


def test_a_stop_leaves_everything_where_it_was(filled: Path, tmp_path: Path) -> None:
    before, seen = content(filled), []
    with pytest.raises(Cancelled):
        move_storage(tmp_path / "new", seen.append, lambda: bool(seen))
    assert (storage_folder(), content(filled)) == (filled, before)
    assert not list((tmp_path / "new").rglob("*.moving"))


def test_what_is_copied_is_compared(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(filled)
    monkeypatch.setattr(storage._Copy, "_digest", lambda self, path: b"another")
    with pytest.raises(ZhiyinError, match="other bytes"):
        move_storage(tmp_path / "new", unheard, never)
    assert (storage_folder(), content(filled)) == (filled, before)


def test_folders_that_will_not_do(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    for target, words in (
        (tmp_path / "full", "is not empty"),
        (filled, "already"),
        (models_folder() / "inside", "already"),
    ):
        with pytest.raises(ZhiyinError, match=words):
            move_storage(target, unheard, never)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ZhiyinError, match="too little room"):
        move_storage(tmp_path / "new", unheard, never)
    assert storage_bytes() > 5000


def test_a_download_under_way_is_waited_for(filled: Path, tmp_path: Path) -> None:
    folder = downloads_folder() / "org--tea"
    write_manifest(folder, {"repository": "org/tea", "page": "https://huggingface.co/org/tea"})
    with alone(folder, "org/tea"), pytest.raises(ZhiyinError, match="wait for it"):
        move_storage(tmp_path / "new", unheard, never)
    assert storage_folder() == filled


def test_a_disk_that_is_away_gets_no_folder_in_its_place(data_home: Path, tmp_path: Path) -> None:
    paths.use_storage(tmp_path / "away" / "Zhiyin", None)
    assert models_folder() == tmp_path / "away" / "Zhiyin" / "models"
    assert not (tmp_path / "away").exists()
    assert Library(models_folder()).models()[0].starter
