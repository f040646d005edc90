"""Folders of the user's own: their models are on the list, their files stay as they are, and a disk may go away."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from desktop_app.library.further_folders import add_folder, further_folders, take_off_folder
from desktop_app.library.installed import Library
from desktop_app.paths import data_folder, models_folder, use_storage
from models.errors import ZhiyinError
from tests.support.commands import zhiyin
from tests.support.hub_server import HubServer, Repository
from tests.support.tiny_gguf import tiny_gguf

pytestmark = pytest.mark.usefixtures("data_home")


def whole(folder: Path) -> dict[str, tuple[int, str]]:
    """Return times and contents of everything in a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(file): (file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files}


def names() -> list[str]:
    return [model.name for model in Library(models_folder()).models() if not model.starter]


def test_models_are_read_where_they_lie_and_nothing_there_changes(tmp_path: Path) -> None:
    tea, coffee = tmp_path / "first" / "deep" / "tea.gguf", tmp_path / "second" / "coffee.gguf"
    tiny_gguf(tea, part=1)
    tiny_gguf(coffee, part=2)
    unfinished = coffee.with_name(".coffee.gguf.zhiyin-new-1")
    unfinished.write_bytes(b"another program's")
    before = whole(tmp_path)
    for folder in ("first", "second"):
        assert zhiyin("models", "folders", "--add", str(tmp_path / folder)).returncode == 0
    assert names() == ["coffee", "tea"]
    listed = json.loads(zhiyin("models", "folders", "--json").stdout)
    assert listed["new_models"] == str(models_folder())
    assert [entry["path"] for entry in listed["further"]] == [str(tmp_path / "first"), str(tmp_path / "second")]
    done = zhiyin("models", "remove", "tea")
    assert done.returncode == 1
    assert f"lies in {tmp_path / 'first'}, a folder of your own" in done.stderr
    assert zhiyin("models", "rename", "tea", "green tea").returncode == 0
    assert names() == ["coffee", "green tea"]
    assert whole(tmp_path) == before
    take_off_folder(tmp_path / "first")
    assert names() == ["coffee"]
    add_folder(tmp_path / "first")
    assert names() == ["coffee", "green tea"], "what was set for it is kept"


def test_a_disk_that_is_away_is_said_in_one_sentence_and_comes_back(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    tiny_gguf(stick / "tea.gguf")
    add_folder(stick)
    away = stick.rename(tmp_path / "unplugged")
    done = zhiyin("models")
    assert done.returncode == 0
    assert done.stderr.count("is not there now; connect its disk") == 1
    assert [entry.path for entry in Library(models_folder()).listing().broken] == [stick]
    assert json.loads(zhiyin("models", "folders", "--json").stdout)["further"][0]["is_there"] is False
    removed = zhiyin("models", "remove", str(stick))
    assert removed.returncode == 1
    assert "connect its disk" in removed.stderr
    away.rename(stick)
    assert names() == ["tea"]
    shutil.rmtree(stick)
    assert zhiyin("models", "folders", "--remove", str(stick)).returncode == 0
    assert further_folders() == []


def test_a_storage_folder_that_is_away_is_said_and_nothing_is_put_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = tmp_path / "disk"
    storage.mkdir()
    use_storage(storage, None)
    tiny_gguf(models_folder() / "tea.gguf")
    assert names() == ["tea"]
    storage.rename(tmp_path / "unplugged")
    coffee = tiny_gguf(tmp_path / "coffee-Q8_0.gguf", part=2)
    with HubServer({"org/coffee": Repository({"main": {coffee.name: coffee.read_bytes()}})}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        for words in (("pull", "org/coffee"), ("models", "import", str(coffee)), ("convert", "org/coffee")):
            done = zhiyin(*words)
            assert done.returncode == 1
            assert "is not there now; connect its disk" in done.stderr
    assert zhiyin("models").stderr.count("connect its disk") == 1
    assert not storage.exists()
    (tmp_path / "unplugged").rename(storage)
    assert names() == ["tea"]


@pytest.mark.parametrize("kind", ["none", "file", "own", "around", "inside"])
def test_what_is_no_further_folder_is_refused_in_one_sentence(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "listed" / "inside").mkdir(parents=True)
    add_folder(tmp_path / "listed")
    folder = {"own": models_folder(), "around": data_folder().parent, "inside": tmp_path / "listed" / "inside"}
    with pytest.raises(ZhiyinError):
        add_folder(folder.get(kind, tmp_path / kind))
    assert further_folders() == [tmp_path / "listed"]
