"""The models of this computer: their facts, and what is done with their files."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QInputDialog, QListWidget

from desktop_app.library.packs import read_pack
from desktop_app.paths import models_folder
from desktop_app.ui.models.model_picker import ModelPicker
from desktop_app.ui.models.my_models_dialog import MyModelsDialog
from desktop_app.ui.models.removal_question import RemovalQuestion
from tests.support.window import Person


def test_facts_checks_names_and_packs(
    person: Person, starter_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = models_folder() / "Tea.gguf"
    shutil.copy(starter_gguf, made)
    person.services.library.refresh()
    person.wait(lambda: len(person.services.library.models) == 2)
    person.find(ModelPicker).own_asked.emit()
    dialog = person.find(MyModelsDialog)
    models = dialog.findChild(QListWidget)
    row = next(row for row in range(2) if models.item(row).text().startswith("Tea "))
    models.setCurrentRow(1 - row)
    person.wait(lambda: "Licence: apache-2.0" in person.sentences(dialog))
    assert "Loaded last: not known" not in person.sentences(dialog), "it is in use"
    assert not dialog._rename.isEnabled()
    person.click("Unload", dialog)
    person.wait(lambda: person.model_state == "none")
    models.setCurrentRow(row)
    person.wait(lambda: "Loaded last: not known" in person.sentences(dialog))
    person.click("Verify", dialog)
    digest = sha256(made.read_bytes()).hexdigest()
    person.wait(lambda: f"Its checksum is {digest}" in person.sentences(dialog))
    pack = tmp_path / "tea.pack"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(pack), ""))
    person.click("Export…", dialog)
    person.wait(lambda: "can be opened by Zhiyin on any computer" in person.sentences(dialog))
    assert list(read_pack(pack).files) == ["Tea.gguf"]
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("Green tea", True))
    person.click("Rename…", dialog)
    person.wait(lambda: any(model.name == "Green tea" for model in person.services.library.models))
    person.wait(lambda: "Green tea.gguf" in person.sentences(dialog))
    person.click("Remove…", dialog)
    person.wait(lambda: person.window.findChild(RemovalQuestion) is not None)
    person.click("Keep", person.find(RemovalQuestion))
