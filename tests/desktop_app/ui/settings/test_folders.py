"""Further folders of models in the settings: added, shown, taken off; their models come and go at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QListWidget

from desktop_app.library.further_folders import further_folders
from desktop_app.paths import models_folder
from desktop_app.ui.settings.folders_row import FoldersRow
from tests.support.tiny_gguf import tiny_gguf
from tests.support.window import Person


def test_a_folder_is_added_and_taken_off(person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_gguf(tmp_path / "mine" / "tea.gguf")

    def names() -> set[str]:
        return {model.name for model in person.services.library.models}

    person.window.open_settings("models")
    row = person.find(FoldersRow)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(models_folder()))
    person.click("Add a folder…", row)
    assert "lie in one another" in person.sentences(row)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "mine"))
    person.click("Add a folder…", row)
    person.wait(lambda: "tea" in names())
    assert "lie in one another" not in person.sentences(row)
    row.findChild(QListWidget).setCurrentRow(0)
    person.click("Take off the list", row)
    person.wait(lambda: "tea" not in names())
    assert further_folders() == []
    assert (tmp_path / "mine" / "tea.gguf").is_file()
