"""Which files are models, what they are called, and which one a name means."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from pathlib import Path

import pytest

from desktop_app.library.first_model import first_model
from desktop_app.library.installed import Library, finished_models
from desktop_app.library.installed_model import BrokenModel, InstalledModel
from desktop_app.library.model_names import AmbiguousModel
from desktop_app.paths import models_folder
from models.errors import BadFile, ZhiyinError
from tests.support.tiny_gguf import tiny_gguf

STARTER = "SmolLM2-135M-Instruct"
on_posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such names or files")


@pytest.fixture
def library(data_home: Path) -> Library:
    return Library(models_folder())


def _names(library: Library) -> list[str]:
    return [model.name for model in library.models() if not model.starter]


def _broken(library: Library) -> dict[str, str]:
    return {broken.name: str(broken.error) for broken in library.listing().broken}


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Chain-of-Thought-7B.gguf", "Chain-of-Thought-7B"),
        ("state-of-the-art-00002.gguf", "state-of-the-art-00002"),
        ("Upper.GGUF", "Upper"),
        ("weights.bin", "weights.bin"),
        ("Qwen2.5-7B", "Qwen2.5-7B"),
        ("知音.gguf", "知音"),
        ("two words .gguf", "two words "),
        pytest.param("dots...gguf", "dots..", marks=on_posix),
        pytest.param("end.gguf ", "end.gguf ", marks=on_posix),
        pytest.param("new\nline\x1b[31m.gguf", "new\\nline\\x1b[31m", marks=on_posix),
        pytest.param("left\u202efgpj.gguf", "left\\u202efgpj", marks=on_posix),
    ],
)
def test_every_good_file_is_listed_and_found(library: Library, file: str, name: str) -> None:
    path = tiny_gguf(models_folder() / "folder" / file)
    assert _names(library) == [name]
    for text in (name, file, str(path), f"folder/{file}"):
        assert library.find(text).path == path
    library.remove(library.removal(library.find_installed(name)))
    assert not path.exists()


@on_posix
def test_a_name_that_is_no_utf_8_is_imported_listed_and_removed(library: Library, tmp_path: Path) -> None:
    try:
        path = tiny_gguf(tmp_path / "caf\udce9.gguf")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    library.import_file(path)
    assert _names(library) == ["caf\\udce9"]
    assert library.find("caf\\udce9").path == path
    library.remove(library.removal(library.find_installed(str(path))))
    assert _names(library) == []


def test_the_two_spellings_of_unicode_are_one_name(library: Library) -> None:
    path = tiny_gguf(models_folder() / unicodedata.normalize("NFD", "Modèle.gguf"))
    assert library.find(unicodedata.normalize("NFC", "Modèle")).path == path
    assert library.find(unicodedata.normalize("NFD", "Modèle")).path == path


def test_what_is_no_model_is_left_out(library: Library) -> None:
    folder = models_folder()
    tiny_gguf(folder / ".model.gguf.abcdefgh.part" / "model.gguf")
    tiny_gguf(folder / ".Trash-1000" / "deleted.gguf")
    tiny_gguf(folder / "._model.gguf")
    tiny_gguf(folder / "adapter.gguf", kind="adapter")
    tiny_gguf(folder / "mmproj.gguf", "clip", kind="mmproj")
    tiny_gguf(folder / "old-mmproj.gguf", "clip")
    tiny_gguf(folder / "matrix.gguf", kind="imatrix")
    (folder / "README.md").write_text("GGUF files of a tea model")
    (folder / "config.json").write_text("{}")
    assert _names(library) == []
    assert _broken(library) == {}


def test_damaged_files_are_said(library: Library) -> None:
    folder = models_folder()
    (folder / "text.gguf").write_text("Dear reader")
    (folder / "empty.gguf").write_bytes(b"")
    whole = tiny_gguf(folder / "cut.gguf").read_bytes()
    (folder / "cut.gguf").write_bytes(whole[:-16])
    (folder / "gone.gguf").symlink_to(folder / "nowhere")
    tiny_gguf(folder / "part-00002-of-00003.gguf")
    tiny_gguf(folder / "part-00003-of-00003.gguf")
    tiny_gguf(folder / "renamed.gguf", parts=3)
    assert _names(library) == []
    found = _broken(library)
    assert set(found) == {"text", "empty", "cut", "gone", "part-00002-of-00003", "renamed"}
    assert "not a GGUF file" in found["text"]
    assert "truncated" in found["cut"]
    assert "part-00001-of-00003.gguf" in found["part-00002-of-00003"]
    for name in found:
        with pytest.raises(BadFile):
            library.find(name)
        library.remove(library.removal(library.find_installed(name)))
    assert list(folder.iterdir()) == []


@pytest.mark.timeout(30)
@on_posix
def test_pipes_and_devices_are_no_models(library: Library, tmp_path: Path) -> None:
    folder = models_folder()
    os.mkfifo(folder / "pipe.gguf")
    os.mkfifo(folder / "pipe")
    (folder / "zero.gguf").symlink_to("/dev/zero")
    (folder / "zero").symlink_to("/dev/zero")
    assert _names(library) == []
    assert set(_broken(library)) == {"pipe", "zero"}
    for path in (folder / "pipe.gguf", folder / "zero"):
        for use in (library.import_file, lambda path: library.find(str(path))):
            with pytest.raises(BadFile, match="is a pipe or a device"):
                use(path)
    library.remove(library.removal(library.find_installed("pipe")))
    assert not (folder / "pipe.gguf").exists()


def test_folder_links_are_followed_once(library: Library, tmp_path: Path) -> None:
    folder, elsewhere = models_folder(), tmp_path / "elsewhere"
    path = tiny_gguf(elsewhere / "deep" / "lent.gguf")
    (folder / "link").symlink_to(elsewhere)
    (folder / "again").symlink_to(elsewhere)
    (elsewhere / "circle").symlink_to(elsewhere)
    (elsewhere / "deep" / "back").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    assert _names(library) == ["lent"]
    with pytest.raises(ZhiyinError, match="that a link in"):
        library.removal(library.find("lent"))
    assert path.exists()


def test_a_link_to_everything_ends_and_is_said(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop_app.library.scan._MOST_FILES", 50)
    for number in range(20):
        for file in range(5):
            (tmp_path / "all" / str(number)).mkdir(parents=True, exist_ok=True)
            (tmp_path / "all" / str(number) / str(file)).write_bytes(b"x")
    tiny_gguf(models_folder() / "mine.gguf")
    (models_folder() / "everything").symlink_to(tmp_path / "all")
    assert _names(library) == ["mine"]
    assert any("ended; remove that link" in sentence for sentence in _broken(library).values())


def _cached(cache: Path, organisation: str, files: dict[str, Path]) -> Path:
    """Lay files out as huggingface_hub's cache does; return the snapshot's folder."""
    repository = cache / f"models--{organisation}--tea-GGUF"
    snapshot = repository / "snapshots" / ("0" * 40)
    (repository / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for name, file in files.items():
        blob = repository / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        file.replace(blob)
        (snapshot / name).symlink_to(Path("..", "..", "blobs", blob.name))
    return snapshot


def test_a_file_of_the_hugging_face_cache_has_its_name_there(library: Library, tmp_path: Path) -> None:
    snapshot = _cached(tmp_path / "hub", "org", {"tea-Q4_0.gguf": tiny_gguf(tmp_path / "x.gguf")})
    model = library.import_file(snapshot / "tea-Q4_0.gguf")
    assert (model.name, model.origin) == ("tea-Q4_0", "org/tea-GGUF")
    assert model.sha256 == hashlib.sha256(model.path.read_bytes()).hexdigest()
    assert model.path == snapshot / "tea-Q4_0.gguf"
    copied = library.import_file(snapshot / "tea-Q4_0.gguf", copy=True)
    assert copied.path == models_folder() / "tea-Q4_0.gguf"
    assert not copied.path.is_symlink()
    (models_folder() / "cache").symlink_to(tmp_path / "hub")
    assert sorted(_names(library)) == ["tea-Q4_0", "tea-Q4_0"], "no blob is listed"


def test_a_split_model_counts_and_copies_all_its_parts(library: Library, tmp_path: Path) -> None:
    names = [f"big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    parts = {name: tiny_gguf(tmp_path / name, part=number, parts=3) for number, name in enumerate(names)}
    size = sum(path.stat().st_size for path in parts.values())
    snapshot = _cached(tmp_path / "hub", "org", parts)
    assert library.import_file(snapshot / names[1]).path == snapshot / names[0], "any part stands for the model"
    copied = library.import_file(snapshot / names[0], copy=True)
    assert copied.bytes == size
    assert [model.bytes for model in library.models() if not model.starter] == [size] * 2
    assert sorted(path.name for path in models_folder().iterdir()) == sorted([*names, "imported.json"])
    library.remove(library.removal(copied))
    assert [path.name for path in models_folder().iterdir()] == ["imported.json"]
    assert all((snapshot / name).exists() for name in names)


def test_a_name_of_two_models_is_never_one_of_them(library: Library, tmp_path: Path) -> None:
    one = tiny_gguf(models_folder() / "same.gguf")
    two = tiny_gguf(models_folder() / "other" / "same.gguf")
    three = library.import_file(tiny_gguf(tmp_path / "same.gguf")).path
    for text in ("same", "same.gguf"):
        for find in (library.find, library.find_installed):
            with pytest.raises(AmbiguousModel) as caught:
                find(text)
            assert {entry.path for entry in caught.value.candidates} == {one, two, three}
            assert all(str(path) in str(caught.value) for path in (one, two, three))
    for path in (one, two, three):
        assert library.find(str(path)).path == path
        assert library.find(library.find(str(path)).label).path == path
    assert library.find("other/same.gguf").path == two
    assert len({model.label for model in library.models()}) == 4
    library.remove(library.removal(library.find_installed(str(two))))
    assert (one.exists(), two.exists(), three.exists()) == (True, False, True)


def test_a_file_here_and_a_model_of_its_name_are_two(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed, here = tiny_gguf(models_folder() / "same.gguf"), tiny_gguf(tmp_path / "same.gguf")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AmbiguousModel):
        library.find("same.gguf")
    assert library.find("./same.gguf").path == here
    assert library.find("same").path == installed
    here.write_text("a text is no model")
    assert library.find("same.gguf").path == installed
    monkeypatch.chdir(models_folder())
    assert library.find("same.gguf").path == installed


def test_one_file_by_several_paths_is_one_model(library: Library, tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "folder" / "tea.gguf")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    library.import_file(path)
    library.import_file(tmp_path / "link" / "tea.gguf")
    library.import_file(tmp_path / "folder" / ".." / "folder" / "tea.gguf")
    (models_folder() / "tea.gguf").symlink_to(path)
    assert _names(library) == ["tea"]
    assert json.loads((models_folder() / "imported.json").read_text("utf-8")) == [str(path)]


def test_hard_links_in_two_folders_are_two_models(library: Library) -> None:
    path = tiny_gguf(models_folder() / "tea.gguf")
    (models_folder() / "copy").mkdir()
    os.link(path, models_folder() / "copy" / "tea.gguf")
    assert _names(library) == ["tea", "tea"]
    with pytest.raises(AmbiguousModel):
        library.find("tea")


def test_the_model_used_last_is_said_when_it_is_gone(library: Library, tmp_path: Path) -> None:
    path = library.import_file(tiny_gguf(tmp_path / "mine.gguf")).path
    other = tiny_gguf(models_folder() / "other.gguf")
    os.utime(other, (1, 1))
    last = library.find("mine").identifier
    model, missed = first_model(library.listing(), last)
    assert (model.path, missed) == (path, None)
    path.unlink()
    model, missed = first_model(library.listing(), last)
    assert model.path == other
    assert str(missed).startswith(f"mine cannot be used, so other is used. {path} is not there any more;")
    path.write_text("damaged")
    assert "is not a GGUF file" in str(first_model(library.listing(), last)[1])
    library.remove(library.removal(library.find_installed("mine")))
    assert "not there any more" in str(first_model(library.listing(), last)[1])
    assert path.exists()


def test_a_damaged_file_does_not_hand_its_place_on_silently(library: Library) -> None:
    other = tiny_gguf(models_folder() / "other.gguf")
    os.utime(other, (1, 1))
    assert first_model(library.listing(), "") == (library.find("other"), None)
    (models_folder() / "newest.gguf").write_bytes(other.read_bytes()[:50])
    model, missed = first_model(library.listing(), "")
    assert model.path == other
    assert "newest cannot be used, so other is used." in str(missed)


def test_a_moved_data_folder_keeps_the_model_used_last(library: Library, data_home: Path, tmp_path: Path) -> None:
    last = library.import_file(tiny_gguf(models_folder() / "sub" / "mine.gguf")).identifier
    data_home.rename(tmp_path / "moved")
    listing = Library(tmp_path / "moved" / "models").listing()
    model, missed = first_model(listing, last)
    assert (model.name, missed) == ("mine", None)


@pytest.mark.parametrize("damage", [b"", b"\x00" * 50, b"{}", b'["/a.gguf", 7, "", "b.gguf"]', b"[" * 100_000])
def test_a_damaged_list_of_imported_models_is_put_aside(library: Library, damage: bytes, tmp_path: Path) -> None:
    path = models_folder() / "imported.json"
    path.write_bytes(damage)
    assert _names(library) == []
    [aside] = path.parent.glob("imported.json.damaged-*")
    assert aside.read_bytes() == damage
    library.import_file(tiny_gguf(tmp_path / "mine.gguf"))
    assert _names(library) == ["mine"]
    assert set(_broken(library)) == ({"a"} if b"/a.gguf" in damage else set())


def test_folders_are_told_apart_from_models(tmp_path: Path) -> None:
    bare = tiny_gguf(tmp_path / "collection" / "Upper-of-All.GGUF")
    plain = tiny_gguf(tmp_path / "collection" / "no ending")
    tiny_gguf(tmp_path / "collection" / ".half.gguf")
    assert set(finished_models(tmp_path / "collection")) == {bare, plain}
    (tmp_path / "collection" / "config.json").write_text("{}")
    assert finished_models(tmp_path / "collection") == []
    assert finished_models(plain) == [plain]
    (tmp_path / "notes.txt").write_text("GGUF is a format.")
    assert finished_models(tmp_path / "notes.txt") == []


def test_types_of_what_is_found(library: Library) -> None:
    (models_folder() / "text.gguf").write_text("Dear reader")
    tiny_gguf(models_folder() / "good.gguf")
    assert isinstance(library.find_installed("good"), InstalledModel)
    assert isinstance(library.find_installed("text"), BrokenModel)
    with pytest.raises(ZhiyinError, match="comes with the application"):
        library.removal(library.find_installed(STARTER))


def test_a_file_that_no_runner_takes_is_not_imported(tmp_path: Path, starter_gguf: Path) -> None:
    data = starter_gguf.read_bytes()
    at = data.index(b"llama.block_count") + len(b"llama.block_count") + 4
    path = tmp_path / "deep.gguf"
    path.write_bytes(data[:at] + (2**31 - 1).to_bytes(4, "little") + data[at + 4 :])
    library = Library(tmp_path / "models")
    with pytest.raises(BadFile, match="block_count is 2147483647"):
        library.import_file(path)
    assert [model.starter for model in library.models()] == [True]
