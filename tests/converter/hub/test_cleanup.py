"""Deleting downloads that were converted: real files, and everything else stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from converter.hub.cleanup import delete_download, delete_fetched, delete_rest, kept_downloads
from converter.hub.manifest import LOCK, NOTE, earlier_conversion, note_conversion, read_manifest, write_manifest
from models.errors import ZhiyinError


def fetched(folder: Path, files: dict[str, bytes], repository: str = "org/tea") -> Path:
    """Write a download as the Hub's code leaves it."""
    entries = {}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        entries[name] = {"size": len(content), "digest": "0" * 40, "mtime": (folder / name).stat().st_mtime_ns}
    write_manifest(folder, {"repository": repository, "page": "p", "commit": "c1", "files": entries})
    return folder


def model(tmp_path: Path, name: str = "tea.gguf") -> Path:
    path = tmp_path / "models" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"GGUF")
    return path


def left(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_only_what_was_fetched_and_converted_goes(tmp_path: Path) -> None:
    downloads = tmp_path / "downloads"
    tea = fetched(downloads / "org--tea", {"config.json": b"{}", "w/a.safetensors": b"x" * 100, "ready.gguf": b"GGUF"})
    (tea / "mine.txt").write_text("of the user")
    own = tmp_path / "own"
    own.mkdir()
    (own / "model.safetensors").write_bytes(b"of the user")
    (downloads / "linked").symlink_to(fetched(own, {"model.safetensors": b"of the user"}))
    note_conversion(own, own, "c1", "Q8_0", model(tmp_path))
    assert kept_downloads(downloads) == []
    made = model(tmp_path)
    note_conversion(tea, tea, "c1", "Q8_0", made)
    [kept] = kept_downloads(downloads)
    assert (kept.name, kept.bytes, kept.models) == ("org/tea", 102, (made,))
    delete_download(kept)
    assert left(tea) - {LOCK} == {NOTE, "mine.txt", "ready.gguf"}
    assert (own / "model.safetensors").exists()
    assert kept_downloads(downloads) == []
    assert set(read_manifest(tea)["files"]) == {"ready.gguf"}
    assert earlier_conversion(tea, tea, "c1", "Q8_0") == (made, True)


def test_one_of_several_checkpoints_goes_alone(tmp_path: Path) -> None:
    folder = fetched(tmp_path / "d" / "BlinkDL--rwkv", {"small.pth": b"s", "large.pth": b"large"}, "BlinkDL/rwkv")
    note_conversion(folder, folder / "small.pth", "c1", "Q8_0", model(tmp_path))
    [kept] = kept_downloads(tmp_path / "d")
    assert kept.name == "BlinkDL/rwkv/small.pth"
    delete_download(kept)
    assert left(folder) - {LOCK} == {NOTE, "large.pth"}


def test_a_noted_name_that_leads_outside_is_left_alone(tmp_path: Path) -> None:
    folder = fetched(tmp_path / "d" / "org--tea", {"a.bin": b"a"})
    outside = tmp_path / "precious.bin"
    outside.write_bytes(b"p")
    (folder / "link.bin").symlink_to(outside)
    note = read_manifest(folder)
    entry = note["files"]["a.bin"]
    write_manifest(
        folder, note | {"files": dict.fromkeys(("a.bin", "../../precious.bin", str(outside), "link.bin"), entry)}
    )
    note_conversion(folder, folder, "c1", "Q8_0", model(tmp_path))
    [kept] = kept_downloads(tmp_path / "d")
    delete_download(kept)
    assert outside.read_bytes() == b"p"
    assert not (folder / "a.bin").exists()


def test_the_only_copy_and_one_in_use_are_kept(tmp_path: Path) -> None:
    folder = fetched(tmp_path / "d" / "org--tea", {"a.bin": b"a"})
    made = model(tmp_path)
    note_conversion(folder, folder, "c1", "Q8_0", made)
    [kept] = kept_downloads(tmp_path / "d")
    with FileLock(folder / LOCK), pytest.raises(ZhiyinError, match="being downloaded or converted by another"):
        delete_download(kept)
    made.unlink()
    with pytest.raises(ZhiyinError, match=r"org/tea is gone; convert it again"):
        delete_download(kept)
    assert (folder / "a.bin").exists()
    assert kept_downloads(tmp_path / "d") == []


def test_what_the_system_refuses_is_said(tmp_path: Path) -> None:
    folder = fetched(tmp_path / "d" / "org--tea", {"a.bin": b"a"})
    note_conversion(folder, folder, "c1", "Q8_0", model(tmp_path))
    [kept] = kept_downloads(tmp_path / "d")
    (folder / "a.bin").unlink()
    (folder / "a.bin").mkdir()  # what no system unlinks
    with pytest.raises(ZhiyinError, match=r"a\.bin cannot be deleted: .+; close what uses it"):
        delete_download(kept)


CARDS = {"README.md": b"r", "LICENSE": b"l", "config.json": b"{}"}


def test_with_its_last_model_a_download_goes_whole(tmp_path: Path) -> None:
    folder = fetched(tmp_path / "d" / "org--tea", CARDS | {"Q4/tea-Q4.gguf": b"GGUF", "tea-Q8.gguf": b"GGUF"})
    delete_fetched(folder, [folder / "Q4" / "tea-Q4.gguf"])
    assert left(folder) - {LOCK} == {NOTE, *CARDS, "tea-Q8.gguf"}
    delete_fetched(folder, [folder / "tea-Q8.gguf"])
    assert not folder.exists()


def test_what_was_not_fetched_stays(tmp_path: Path) -> None:
    folder = fetched(tmp_path / "d" / "org--tea", CARDS | {"tea.gguf": b"GGUF"})
    (folder / "LICENSE").unlink()
    (folder / "LICENSE").symlink_to(tmp_path / "precious")
    (tmp_path / "precious").write_text("of the user")
    (folder / "mine").mkdir()
    (folder / "mine" / "README.md").write_text("of the user")
    delete_fetched(folder, [folder / "tea.gguf"])
    assert left(folder) - {LOCK} == {"mine/README.md", "LICENSE"}
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize("use", ["model.safetensors", ".tea-Q8.gguf.12345678.part", "made", "locked", "linked"])
def test_what_is_of_use_stays_with_its_cards(use: str, tmp_path: Path) -> None:
    weights = {use: b"w"} if use.endswith("safetensors") else {}
    folder = fetched(tmp_path / "d" / "org--tea", CARDS | weights)
    if use.endswith("part"):
        (folder / use).write_bytes(b"half of it")
    if use == "made":
        note_conversion(folder, folder, "c1", "Q8_0", model(tmp_path))
    if use == "linked":
        (tmp_path / "link").symlink_to(folder)
        delete_rest(tmp_path / "link")
    elif use == "locked":
        with FileLock(folder / LOCK):
            delete_rest(folder)
    else:
        delete_rest(folder)
    assert set(CARDS) <= left(folder)
    assert (folder / NOTE).exists()
