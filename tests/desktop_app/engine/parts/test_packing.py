"""An engine part goes to another computer as one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app.engine.parts.packing import pack_part
from desktop_app.engine.parts.store import PartStore
from models.errors import BadFile, ZhiyinError
from tests.desktop_app.engine.parts.test_store import FILES, KEY, release_key
from tests.support.engine_parts import part_archive

__all__ = ["release_key"]


@pytest.mark.usefixtures("release_key")
def test_a_part_is_added_elsewhere_from_the_pack_of_it(tmp_path: Path) -> None:
    part = PartStore(tmp_path / "here").add(part_archive(tmp_path / "a.zip", FILES, KEY))
    assert pack_part(part, tmp_path / "pack.zip")
    there = PartStore(tmp_path / "there").add(tmp_path / "pack.zip")
    assert there.manifest == part.manifest
    assert {name: (there.folder / name).read_bytes() for name in FILES} == FILES


@pytest.mark.usefixtures("release_key")
def test_without_a_signature_it_stays_without(tmp_path: Path) -> None:
    part = PartStore(tmp_path / "here").add(part_archive(tmp_path / "a.zip", FILES), unsigned=True)
    assert not pack_part(part, tmp_path / "pack.zip")
    with pytest.raises(BadFile, match="not signed"):
        PartStore(tmp_path / "there").add(tmp_path / "pack.zip")
    assert PartStore(tmp_path / "there").add(tmp_path / "pack.zip", unsigned=True).manifest == part.manifest


@pytest.mark.usefixtures("release_key")
def test_a_damaged_part_is_not_handed_on(tmp_path: Path) -> None:
    part = PartStore(tmp_path / "here").add(part_archive(tmp_path / "a.zip", FILES, KEY))
    (part.folder / "LICENSE.txt").write_bytes(b"other")
    with pytest.raises(BadFile, match=r"LICENSE\.txt is damaged"):
        pack_part(part, tmp_path / "pack.zip")
    assert not (tmp_path / "pack.zip").exists()
    with pytest.raises(ZhiyinError, match="cannot"):
        pack_part(part, tmp_path / "missing" / "pack.zip")
