"""What is known of an installed model, its bytes, and another name for it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from converter.hub.manifest import earlier_conversion, note_conversion
from desktop_app.library.installed import Library
from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.model_care import model_facts, note_use, verify_model
from desktop_app.library.renaming import rename_model
from desktop_app.paths import downloads_folder, models_folder
from models.errors import BadFile, Cancelled, ZhiyinError
from tests.converter.hub.test_cleanup import fetched


@pytest.fixture
def tea(data_home: Path, starter_gguf: Path) -> InstalledModel:
    assert data_home
    shutil.copy(starter_gguf, models_folder() / "Tea.gguf")
    folder = fetched(downloads_folder() / "org--tea", {"config.json": b"{}"})
    note_conversion(folder, folder, "c0ffee", "Q8_0", models_folder() / "Tea.gguf")
    return found("Tea")


def found(name: str) -> InstalledModel:
    return Library(models_folder()).find(name)


def test_where_it_comes_from_and_when_it_was_used(tea: InstalledModel, starter_gguf: Path) -> None:
    facts = model_facts(tea)
    assert (facts.commit, facts.made_here, facts.used, facts.is_ours) == ("c0ffee", True, 0.0, True)
    assert facts.licence == "apache-2.0"
    assert facts.model.origin == "org/tea"
    note_use(tea, 7.0)
    note_use(replace(tea, identifier="other"), 8.0)
    assert model_facts(tea).used == 7.0
    ready = fetched(downloads_folder() / "org--coffee", {"m.gguf": starter_gguf.read_bytes()}, "org/coffee")
    facts = model_facts(Library(models_folder()).import_file(ready / "m.gguf"))
    assert (facts.commit, facts.made_here, facts.is_ours) == ("c1", False, False)


def test_its_bytes_are_compared_with_what_its_host_listed(tea: InstalledModel) -> None:
    seen: list[tuple[int, int]] = []
    digest = sha256(tea.path.read_bytes()).hexdigest()
    assert verify_model(tea, seen.append, lambda: False) == digest
    assert seen[-1] == (tea.bytes, tea.bytes)
    assert verify_model(replace(tea, sha256=digest), seen.append, lambda: False) == digest
    with pytest.raises(BadFile, match="checksum differs"):
        verify_model(replace(tea, sha256="0" * 64), seen.append, lambda: False)
    with pytest.raises(Cancelled):
        verify_model(tea, seen.append, lambda: True)
    with tea.path.open("r+b") as file:
        file.truncate(tea.bytes // 2)
    with pytest.raises(BadFile):
        verify_model(tea, seen.append, lambda: False)


def test_another_name(tea: InstalledModel) -> None:
    target = rename_model(tea, "Green tea")
    assert (target.name, tea.path.exists()) == ("Green tea.gguf", False)
    assert found("Green tea").origin == "org/tea"
    folder = downloads_folder() / "org--tea"
    assert earlier_conversion(folder, folder, "c0ffee", "Q8_0") == (target, True)
    renamed = found("Green tea")
    for name in ("", "a/b", "..", "a\x07b", "x" * 200, "C:tea"):
        with pytest.raises(ZhiyinError, match="cannot be a file's name"):
            rename_model(renamed, name)
    with pytest.raises(ZhiyinError, match="there already"):
        rename_model(renamed, "Green tea.gguf")
    with pytest.raises(ZhiyinError, match="cannot be a file's name"):
        rename_model(renamed, "tea-00001-of-00002")
