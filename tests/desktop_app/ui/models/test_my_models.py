"""The models of this computer: their facts, and what is done with their files."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QFileDialog, QInputDialog, QLineEdit, QListWidget, QSpinBox
from shiboken6 import isValid

from desktop_app.chat.choices import Choices
from desktop_app.chat.conversation import Conversation
from desktop_app.library.installed_model import ModelSettings
from desktop_app.library.model_settings import all_model_settings
from desktop_app.library.packs import read_pack
from desktop_app.paths import models_folder
from desktop_app.ui.models import my_models_dialog
from desktop_app.ui.models.duplicates_dialog import DuplicatesDialog
from desktop_app.ui.models.model_picker import ModelPicker
from desktop_app.ui.models.model_settings_dialog import ModelSettingsDialog
from desktop_app.ui.models.my_models_dialog import MyModelsDialog
from desktop_app.ui.models.removal_question import RemovalQuestion
from desktop_app.ui.widgets.name_question import ask_name
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
    assert "From: HuggingFaceTB/SmolLM2-135M-Instruct, comes with Zhiyin" in person.sentences(dialog)
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
    _set_some(person, dialog)
    monkeypatch.setattr(my_models_dialog, "ask_name", lambda *_: "Green tea")
    person.click("Rename…", dialog)
    person.wait(lambda: any(model.name == "Green tea" for model in person.services.library.models))
    person.wait(lambda: "Green tea.gguf" in person.sentences(dialog))
    person.wait(lambda: "Settings of its own: context, threads, choice of words" in person.sentences(dialog))
    person.click("Remove…", dialog)
    person.wait(lambda: person.window.findChild(RemovalQuestion) is not None)
    person.click("Keep", person.find(RemovalQuestion))


def _set_some(person: Person, dialog: MyModelsDialog) -> None:
    """Set the context, the temperature and the threads of the chosen model."""
    person.click("Settings of its own…", dialog)
    form = person.find(ModelSettingsDialog)
    context = next(box for box in form.findChildren(QComboBox) if box.accessibleName() == "Context")
    context.setCurrentIndex(context.findData(2048))
    next(box for box in form.findChildren(QDoubleSpinBox) if box.accessibleName() == "Temperature").setValue(0.25)
    next(box for box in form.findChildren(QSpinBox) if box.accessibleName() == "Threads").setValue(1)
    person.click("Close", form)
    person.wait(lambda: "Settings of its own: context, threads, choice of words" in person.sentences(dialog))


def test_what_is_set_for_the_model_in_use_counts_at_once(person: Person) -> None:
    starter = person.services.library.models[0]
    own = ModelSettings(1024, 1, "Answer with one word.", {"max_tokens": 2, "temperature": 0})
    person.services.model_care.store_settings(starter, own, lambda _: None)
    person.wait(lambda: person.services.models.state.context == 1024 and person.model_state == "ready")
    planned = person.services.models.state.planned
    assert planned is not None and planned.settings.threads == 1
    assert person.services.settings.context == 0, "of this model alone"
    person.ask("Name a hot drink.")
    assert person.services.chats.list.tree.path(person.services.chats.list.current.leaf)[-1].facts["tokens"] == 2
    person.services.models.reload_with_context(768)
    person.wait(lambda: person.services.models.state.context == 768 and person.model_state == "ready")
    assert all_model_settings()[starter.identifier].context == 768


def test_a_chat_finds_its_model_under_its_new_name(person: Person, starter_gguf: Path) -> None:
    shutil.copy(starter_gguf, models_folder() / "Tea.gguf")
    person.services.library.refresh()
    person.wait(lambda: len(person.services.library.models) == 2)
    tea, starter = sorted(person.services.library.models, key=lambda model: model.starter)
    chat = Conversation(choices=Choices(model=tea.identifier))
    person.services.model_care.rename(tea, "Green", lambda error: pytest.fail(str(error)))
    person.wait(lambda: any(model.name == "Green" for model in person.services.library.models))
    model = person.services.chats.replies.model_of(chat)
    assert model is not None and model.name == "Green"
    assert person.services.chats.replies.model_of(Conversation(choices=Choices(model=starter.identifier))) == starter


def test_a_question_after_unloading_loads_the_model_again(person: Person) -> None:
    person.find(ModelPicker).own_asked.emit()
    dialog = person.find(MyModelsDialog)
    person.wait(lambda: "Licence: apache-2.0" in person.sentences(dialog))
    person.click("Unload", dialog)
    person.click("Close", dialog)
    person.wait(lambda: person.model_state == "none")
    person.services.settings.max_tokens = 2
    assert person.ask("Name a hot drink.")
    assert person.model_state == "ready"
    assert person.services.chats.replies.model_of(Conversation()) is None, "a new chat has the one that is chosen"


def test_a_closed_dialog_does_not_hear_of_models(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    person.find(ModelPicker).own_asked.emit()
    dialog = person.find(MyModelsDialog)
    person.click("Close", dialog)
    person.wait(lambda: not isValid(dialog))
    person.services.models.reload()
    person.wait(lambda: person.model_state == "ready")
    assert "Traceback" not in capsys.readouterr().err


def test_the_field_for_a_name_shows_it_whole(person: Person) -> None:
    name, widths = "Qwen3-30B-A3B-Instruct-2507-Q4_K_M", []

    def look() -> None:
        field = person.find(QInputDialog).findChild(QLineEdit)
        assert field is not None
        widths.append(field.width() - field.fontMetrics().horizontalAdvance(name))
        person.find(QInputDialog).accept()

    QTimer.singleShot(100, look)
    assert ask_name(person.window, "Rename", "New name:", f" {name} ") == name
    assert widths[0] > 20


def test_what_is_here_twice_is_found_and_one_of_it_removed(
    person: Person, starter_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(starter_gguf, models_folder() / "Tea.gguf")
    theirs = tmp_path / "lm" / "models" / "org" / "tea" / "Other tea.gguf"
    theirs.parent.mkdir(parents=True)
    shutil.copy(starter_gguf, theirs)
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "lm"))
    person.services.library.refresh()
    person.wait(lambda: len(person.services.library.models) == 2)
    person.find(ModelPicker).own_asked.emit()
    person.click("Find duplicates…", person.find(MyModelsDialog))
    dialog = person.find(DuplicatesDialog)
    person.wait(lambda: dialog._tree.topLevelItemCount() == 1)
    group = dialog._tree.topLevelItem(0)
    rows = {group.child(number).text(0): group.child(number) for number in range(group.childCount())}
    assert "llama.cpp: Other tea" in rows
    assert "are taken twice" in person.sentences(dialog)
    dialog._tree.setCurrentItem(rows["llama.cpp: Other tea"])
    assert not dialog._remove.isEnabled(), "it is another program's"
    dialog._tree.setCurrentItem(rows["Tea"])
    person.click("Remove…", dialog)
    person.wait(lambda: person.window.findChildren(RemovalQuestion))
    assert theirs.read_bytes() == starter_gguf.read_bytes()
