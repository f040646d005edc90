"""Model packs: what goes in comes out on another data folder, and nothing of a damaged or hostile one is kept."""

from __future__ import annotations

import hashlib
import json
import random
import zipfile
from pathlib import Path

import pytest

from desktop_app.library.installed import Library
from desktop_app.library.packs import MANIFEST, SUFFIX, pack, read_pack, unpack
from models.errors import BadFile, ZhiyinError
from tests.support.commands import zhiyin
from tests.support.tiny_gguf import tiny_gguf


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "from"
    folder.mkdir()
    path = tiny_gguf(folder / "小模型 tiny.gguf")
    (folder / "LICENSE").write_text("Apache License", "utf-8")
    (folder / "other.bin").write_bytes(b"not packed")
    return path


@pytest.fixture
def made(model: Path, tmp_path: Path) -> Path:
    target = tmp_path / f"tiny{SUFFIX}"
    pack(model, target, origin="org/tiny")
    return target


def kept(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) if folder.exists() else []


def test_a_pack_opens_on_another_computer(made: Path, model: Path, tmp_path: Path) -> None:
    listed = read_pack(made)
    assert (listed.model, listed.origin, set(listed.files)) == (model.name, "org/tiny", {model.name, "LICENSE"})
    counted: list[int] = []
    path = unpack(made, tmp_path / "to", count=counted.append)
    assert path.read_bytes() == model.read_bytes()
    assert kept(tmp_path / "to") == [f"{model.stem} licence", f"{model.stem} licence/LICENSE", model.name]
    assert sum(counted) == sum(file.size for file in listed.files.values())
    assert unpack(made, tmp_path / "to") == path, "once more is no harm"


def test_the_library_takes_a_pack_as_it_takes_a_file(made: Path, model: Path, tmp_path: Path) -> None:
    library = Library(tmp_path / "to")
    assert library.import_file(made).name == model.stem
    assert [found.name for found in library.models() if not found.starter] == [model.stem]


def test_another_model_of_this_name_stays(made: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / model.name).write_bytes(b"GGUF of mine")
    with pytest.raises(BadFile, match="is there already"):
        unpack(made, tmp_path / "to")
    assert (tmp_path / "to" / model.name).read_bytes() == b"GGUF of mine"


@pytest.mark.parametrize("seed", range(12))
def test_of_a_damaged_pack_nothing_is_kept(made: Path, tmp_path: Path, seed: int) -> None:
    """One byte of the contents is flipped, or the file ends too soon."""
    chance, data = random.Random(seed), bytearray(made.read_bytes())
    if seed % 3 == 0:
        made.write_bytes(data[: chance.randrange(len(data))])
    else:
        with zipfile.ZipFile(made) as packed:
            entry = packed.infolist()[1]
        begin = data.index(b"GGUF", entry.header_offset)
        data[begin + chance.randrange(entry.file_size)] ^= 1 << chance.randrange(8)
        made.write_bytes(data)
    with pytest.raises(BadFile, match=r"is damaged"):
        unpack(made, tmp_path / "to")
    assert kept(tmp_path / "to") == []


def hostile(path: Path, name: str, **changes: object) -> Path:
    content = b"GGUF"
    listed = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    facts = {"format": 1, "model": name, "origin": "", "licence": "", "files": {name: listed}} | changes
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(MANIFEST, json.dumps(facts))
        packed.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name", ["../out.gguf", "/out.gguf", "C:out.gguf", "a/../../out.gguf", "con.gguf", "a\u202e.gguf"]
)
def test_no_name_leads_outside_or_deceives(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadFile):
        unpack(hostile(tmp_path / "a.zhiyin-pack", name), tmp_path / "to")
    assert kept(tmp_path / "to") == []


def test_a_pack_of_a_newer_zhiyin_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="update Zhiyin first"):
        read_pack(hostile(tmp_path / "a.zhiyin-pack", "a.gguf", format=2))


def test_what_is_no_model_is_not_packed_and_not_kept(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    with pytest.raises(ZhiyinError):
        pack(tmp_path / "bad.gguf", tmp_path / "bad.zhiyin-pack")
    assert not (tmp_path / "bad.zhiyin-pack").exists()
    with pytest.raises(ZhiyinError):
        unpack(hostile(tmp_path / "a.zhiyin-pack", "a.gguf"), tmp_path / "to")
    assert kept(tmp_path / "to") == []


def test_a_pack_chats_on_a_fresh_data_folder(starter_gguf: Path, tmp_path: Path) -> None:
    target = tmp_path / f"smol{SUFFIX}"
    done = zhiyin("models", "pack", str(starter_gguf), "--out", str(target), "--json")
    assert done.returncode == 0, done.stderr
    assert starter_gguf.name in json.loads(done.stdout)["files"]
    fresh = {"ZHIYIN_HOME": str(tmp_path / "fresh")}
    done = zhiyin("models", "unpack", str(target), **fresh)
    assert done.returncode == 0, done.stderr
    here = tmp_path / "fresh" / "models" / starter_gguf.name
    done = zhiyin("chat", "-m", str(here), "--prompt", "Hello", "--max-tokens", "4", "--ctx", "256", **fresh)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
