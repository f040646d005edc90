"""Models of other programs in "Add a model": offered by the name they have there, and used where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QComboBox

from desktop_app.ui.models.add_dialog import AddDialog
from tests.desktop_app.ui.conftest import OpenWindow


def test_a_model_of_another_program_is_one_click_away(
    open_window: OpenWindow, starter_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "org_tea.gguf").write_bytes(starter_gguf.read_bytes())
    monkeypatch.setenv("LLAMA_CACHE", str(cache))
    monkeypatch.setenv("HOME", str(tmp_path))
    person = open_window()
    person.window.add_model()
    dialog = person.find(AddDialog)
    offered = dialog.findChild(QComboBox)
    person.wait(offered.isVisible)
    assert offered.currentText().startswith("org_tea · llama.cpp · ")
    person.click("Use", dialog)
    person.wait(lambda: "org_tea" in [model.name for model in person.services.library.models])
    person.wait(lambda: person.model_state == "ready")
