"""Engine parts as files: what is taken, what is refused, and what a crash or a damaged state file leaves."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

import resources
from desktop_app.engine.parts.manifest import MANIFEST, SIGNATURE
from desktop_app.engine.parts.store import PartStore
from models.errors import BadFile, ZhiyinError
from tests.support.engine_parts import part_archive

FILES = {"libggml-vulkan.so": b"plug-in" * 1000, "LICENSE.txt": b"MIT"}
KEY = SigningKey(b"k" * 32)


@pytest.fixture
def store(tmp_path: Path) -> PartStore:
    return PartStore(tmp_path / "engine")


@pytest.fixture
def release_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "release.pub"
    path.write_text(KEY.verify_key.encode().hex())
    monkeypatch.setattr(resources, "RELEASE_KEY", path)
    monkeypatch.setattr("desktop_app.release_key.RELEASE_KEY", path)


def left_in(store: PartStore) -> list[str]:
    folder = store._folder
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


@pytest.mark.usefixtures("release_key")
def test_a_signed_part_is_taken_and_used(store: PartStore, tmp_path: Path) -> None:
    part = store.add(part_archive(tmp_path / "a.zip", FILES, KEY))
    assert part.in_use
    assert {path.name for path in part.folder.iterdir()} == {*FILES, MANIFEST, SIGNATURE}
    assert (part.folder / "libggml-vulkan.so").read_bytes() == FILES["libggml-vulkan.so"]
    assert store.add(part_archive(tmp_path / "a.zip", FILES, KEY)).manifest.id == part.manifest.id, (
        "once more is no harm"
    )
    assert left_in(store) == [part.manifest.id]


@pytest.mark.usefixtures("release_key")
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"system": "win-x86_64"}, "is an engine part for win-x86_64, but this computer needs"),
        ({"llama_cpp_python": "0.3.1"}, "was built for the engine 0.3.1, but this Zhiyin has"),
        ({"format": 2}, "is an engine part for a newer Zhiyin"),
        ({"part": "base"}, "is the base of an engine, which comes with Zhiyin"),
        ({"part": "../vulkan"}, "is not an engine part"),
        ({"files": {}}, "is not an engine part"),
        ({"files": {"../evil.so": {"size": 1, "sha256": "0" * 64}}}, "is not an engine part"),
        ({"files": {".hidden": {"size": 1, "sha256": "0" * 64}}}, "is not an engine part"),
        ({"files": {"a": {"size": 1, "sha256": "0" * 64}}}, "is damaged: a is missing"),
        ({"files": {"LICENSE.txt": {"size": 3, "sha256": "0" * 64}}}, "LICENSE.txt has another content"),
        ({"files": {"LICENSE.txt": {"size": -1, "sha256": "0" * 64}}}, "is not an engine part"),
        ({"files": "all"}, "is not an engine part"),
    ],
)
def test_a_part_that_does_not_fit_is_refused(
    store: PartStore, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    archive = part_archive(tmp_path / "a.zip", FILES, KEY, changes=changes)
    with pytest.raises(BadFile, match=sentence):
        store.add(archive)
    assert left_in(store) == []


@pytest.mark.usefixtures("release_key")
def test_unsigned_and_wrongly_signed_parts_need_the_users_word(store: PartStore, tmp_path: Path) -> None:
    for key in (None, SigningKey(b"x" * 32)):
        archive = part_archive(tmp_path / "a.zip", FILES, key)
        with pytest.raises(BadFile, match="is not signed by the makers of Zhiyin") as caught:
            store.add(archive)
        assert caught.value.code == "unsigned"
        assert store.parts() == []
    assert store.add(archive, unsigned=True).in_use


@pytest.mark.usefixtures("release_key")
def test_every_flipped_byte_of_a_library_is_noticed(store: PartStore, tmp_path: Path) -> None:
    good = part_archive(tmp_path / "a.zip", FILES, KEY)
    with zipfile.ZipFile(good) as packed:
        manifest, signature = packed.read(MANIFEST), packed.read(SIGNATURE)
    for place in (0, 3500, 6999):
        content = bytearray(FILES["libggml-vulkan.so"])
        content[place] ^= 1
        bad = tmp_path / "b.zip"
        with zipfile.ZipFile(bad, "w") as packed:
            for name, data in {**FILES, "libggml-vulkan.so": bytes(content)}.items():
                packed.writestr(name, data)
            packed.writestr(MANIFEST, manifest)
            packed.writestr(SIGNATURE, signature)
        with pytest.raises(BadFile, match="another content"):
            store.add(bad)
    for cut in (0, 10, 100, good.stat().st_size - 1):
        (tmp_path / "c.zip").write_bytes(good.read_bytes()[:cut])
        with pytest.raises(BadFile):
            store.add(tmp_path / "c.zip")
    assert left_in(store) == []


def test_choosing_removing_and_going_back(store: PartStore, tmp_path: Path) -> None:
    old = store.add(part_archive(tmp_path / "a.zip", FILES), unsigned=True).manifest.id
    new = store.add(part_archive(tmp_path / "b.zip", {**FILES, "LICENSE.txt": b"new"}), unsigned=True).manifest.id
    cuda = store.add(
        part_archive(tmp_path / "c.zip", {"libggml-cuda.so": b"x"}, part="cuda"), unsigned=True
    ).manifest.id
    assert used(store) == [cuda, new], "CUDA before Vulkan"
    store.use("cpu")
    assert used(store) == []
    store.use("vulkan")
    assert used(store) == [new]
    store.use("auto")
    store.use(old)
    assert used(store) == [old]
    store.roll_back()
    assert used(store) == [cuda, new]
    store.remove(new)
    assert used(store) == [cuda]
    with pytest.raises(ZhiyinError, match="There is no engine part metal here"):
        store.use("metal")
    assert {part.manifest.id for part in store.parts()} == {old, cuda}


def used(store: PartStore) -> list[str]:
    return [part.manifest.id for part in store.parts() if part.in_use]


def test_a_part_that_came_along_is_used_until_another_is_chosen_and_stays(tmp_path: Path) -> None:
    bundled = tmp_path / "bundle"
    store = PartStore(tmp_path / "engine", bundled)
    source = PartStore(tmp_path / "made")
    made = source.add(part_archive(tmp_path / "a.zip", FILES), unsigned=True)
    bundled.mkdir()
    made.folder.rename(bundled / "vulkan")
    assert used(store) == [made.manifest.id]
    with pytest.raises(ZhiyinError, match="came with Zhiyin"):
        store.remove("vulkan")
    other = store.add(part_archive(tmp_path / "b.zip", {**FILES, "LICENSE.txt": b"2"}), unsigned=True).manifest.id
    assert used(store) == [other]
    store.remove(other)
    assert used(store) == [made.manifest.id]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"mode": 3}', b"\xff" * 100, b"[" * 100_000])
def test_a_damaged_state_file_loses_no_part(store: PartStore, tmp_path: Path, content: bytes) -> None:
    part = store.add(part_archive(tmp_path / "a.zip", FILES), unsigned=True)
    (store._folder / "parts.json").write_bytes(content)
    assert [found.manifest.id for found in store.parts()] == [part.manifest.id]
    store.use("vulkan")
    assert used(store) == [part.manifest.id]
