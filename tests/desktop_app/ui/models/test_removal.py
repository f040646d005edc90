"""Removing models in the window: by the picker's menu, after a question that says what it frees."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QCheckBox, QMenu

from converter.hub.manifest import LOCK
from desktop_app.library.installed import Library
from desktop_app.paths import downloads_folder, models_folder
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.models.model_picker import ModelPicker
from desktop_app.ui.models.removal_question import RemovalQuestion
from tests.desktop_app.ui.conftest import OpenWindow
from tests.desktop_app.ui.models.test_conversions import checkpoint, publish
from tests.desktop_app.ui.models.test_models import a_copy, actions, model_name
from tests.support.hub_server import HubServer, Repository
from tests.support.tiny_gguf import tiny_gguf
from tests.support.trash import in_bin, no_bin
from tests.support.window import LONG, Person

STARTER = "SmolLM2-135M-Instruct"


def ask_to_remove(person: Person, name: str) -> RemovalQuestion:
    menu = actions(person)["Remove a model"].menu()
    assert isinstance(menu, QMenu)
    next(action for action in menu.actions() if action.text().split("\t")[0] == name).trigger()
    person.wait(lambda: person.window.findChild(RemovalQuestion) is not None)
    return person.find(RemovalQuestion)


def answer(person: Person, words: str) -> None:
    asked = person.find(RemovalQuestion)
    person.click(words, asked)
    person.wait(lambda: asked not in person.window.findChildren(RemovalQuestion))


def test_the_model_in_use_is_unloaded_and_deleted(open_window: OpenWindow, starter_gguf: Path) -> None:
    path = models_folder() / "mine.gguf"
    shutil.copy(starter_gguf, path)
    person = open_window(model="mine", max_tokens=0)
    person.wait(lambda: model_name(person) == "mine" and person.model_state == "ready")
    question = ask_to_remove(person, "mine")
    assert question.text() == "Remove mine?"
    assert f"{size(path.stat().st_size)} are free again when that is emptied" in question.informativeText()
    assert "is unloaded first" in question.informativeText()
    answer(person, "Keep")
    assert model_name(person) == "mine"
    person.send(LONG)
    person.wait(lambda: len(person.messages[-1][1]) > 20)
    ask_to_remove(person, "mine")
    answer(person, "Move to the bin")
    person.wait(lambda: model_name(person) == STARTER and person.model_state == "ready")
    assert not path.exists()
    assert in_bin() == {"mine.gguf"}
    assert "mine is in the system's bin." in person.sentences()
    assert person.services.chats.list.path[-1].state == "stopped"
    assert "Remove a model" not in actions(person), "the starter stays"
    person.services.settings.max_tokens = 4
    assert person.ask("Hello")


def test_where_there_is_no_bin_a_final_removal_is_asked_for(
    open_window: OpenWindow, starter_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = models_folder() / "mine.gguf"
    shutil.copy(starter_gguf, path)
    person = open_window(model=STARTER)
    person.wait(lambda: person.model_state == "ready")
    no_bin(monkeypatch)
    ask_to_remove(person, "mine")
    answer(person, "Move to the bin")
    person.wait(lambda: person.window.findChild(RemovalQuestion) is not None)
    question = person.find(RemovalQuestion)
    assert "cannot be moved to the system's bin (Permission denied)" in question.informativeText()
    assert {button.text() for button in question.buttons()} == {"Delete for good", "Keep"}
    assert path.exists()
    answer(person, "Delete for good")
    person.wait(lambda: not path.exists())


def test_a_model_that_is_gone_can_be_taken_off_the_list(person: Person, starter_gguf: Path, tmp_path: Path) -> None:
    path = a_copy(starter_gguf, tmp_path, "gone.gguf")
    person.services.library.import_file(path)
    person.wait(lambda: model_name(person) == "gone" and person.model_state == "ready")
    actions(person)[STARTER].trigger()
    person.wait(lambda: model_name(person) == STARTER and person.model_state == "ready")
    path.unlink()
    person.services.library.refresh()
    person.wait(lambda: person.services.library.listing.broken)
    assert "gone" not in actions(person)
    assert "its file is not there any more" in ask_to_remove(person, "gone").informativeText()
    answer(person, "Remove")
    person.wait(lambda: not person.services.library.listing.broken)
    assert "Remove a model" not in actions(person)


def test_a_file_of_the_persons_own_stays(person: Person, starter_gguf: Path, tmp_path: Path) -> None:
    path = a_copy(starter_gguf, tmp_path, "lent & found.gguf")
    person.window.import_files([str(path)])
    person.wait(lambda: model_name(person) == "lent & found" and person.model_state == "ready")
    actions(person)[STARTER].trigger()
    person.wait(lambda: model_name(person) == STARTER and person.model_state == "ready")
    question = ask_to_remove(person, "lent && found")
    assert "Remove lent & found?" in question.text()
    assert f"stays at {path}" in question.informativeText()
    assert "unloaded" not in question.informativeText()
    answer(person, "Remove")
    person.wait(lambda: [model.name for model in person.services.library.models] == [STARTER])
    assert path.exists()
    assert person.model_state == "ready"


def test_what_was_fetched_goes_too(open_window: OpenWindow, starter_gguf: Path, tmp_path: Path) -> None:
    with HubServer() as server:
        server.repositories["a/ready"] = Repository({"main": {"ready.gguf": starter_gguf.read_bytes()}})
        publish(server, "tiny/Tea-Chat", checkpoint(tmp_path / "tea"))
        person = open_window(endpoint=server.endpoint)
        jobs = [person.services.conversions.start(*what) for what in (("a/ready",), ("tiny/Tea-Chat", "Q8_0"))]
        person.wait(lambda: all(job.is_over for job in jobs))
    assert ask_to_remove(person, "ready").checkBox() is None
    answer(person, "Delete for good")
    person.wait(lambda: "ready was removed." in person.sentences())
    assert not list(downloads_folder().rglob("*.gguf"))
    made = models_folder() / "Tea-103K-Chat-Q8_0.gguf"
    weights = downloads_folder() / "tiny--Tea-Chat" / "model.safetensors"
    box = ask_to_remove(person, made.stem).checkBox()
    assert isinstance(box, QCheckBox)
    assert box.isChecked()
    box.setChecked(False)
    answer(person, "Keep")
    ask_to_remove(person, made.stem)
    with FileLock(weights.parent / LOCK):
        answer(person, "Delete for good")
        person.wait(lambda: "The model was not removed. tiny/Tea-Chat is being" in person.sentences())
    assert made.exists()
    assert "Chat now" in person.buttons()
    ask_to_remove(person, made.stem)
    answer(person, "Delete for good")
    person.wait(lambda: "Chat now" not in person.buttons())
    assert not made.exists()
    assert not weights.exists()


def test_a_model_is_known_by_one_path(
    open_window: OpenWindow, tmp_path: Path, data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(data_home, target_is_directory=True)
    monkeypatch.setenv("ZHIYIN_HOME", str(tmp_path / "link"))
    person = open_window()
    job = person.services.conversions.start(checkpoint(tmp_path / "Tea-Chat"))
    person.wait(lambda: job.is_over)
    person.click("Chat now")
    person.wait(lambda: person.model_state == "ready")
    assert "is unloaded first" in ask_to_remove(person, "Tea-103K-Chat-Q8_0").informativeText()
    answer(person, "Keep")


@pytest.mark.parametrize("delete", [True, False])
def test_the_keyboard_alone_removes_a_model(open_window: OpenWindow, starter_gguf: Path, delete: bool) -> None:
    path = models_folder() / "mine.gguf"
    shutil.copy(starter_gguf, path)
    person = open_window(model=STARTER)
    person.wait(lambda: person.model_state == "ready")
    menu = person.find(ModelPicker).menu()
    menu.popup(person.window.mapToGlobal(QPoint(100, 40)))
    for key in (Qt.Key.Key_Up, Qt.Key.Key_Right):
        QTest.keyClick(menu, key)
    *_, below = [action.menu() for action in menu.actions() if action.menu() is not None]
    QTest.keyClick(below, Qt.Key.Key_Return)
    person.wait(lambda: person.window.findChild(RemovalQuestion) is not None)
    question = person.find(RemovalQuestion)
    keep = question.defaultButton()
    assert keep.text() == "Keep"
    assert keep.hasFocus() or not question.isActiveWindow()
    remove = next(button for button in question.buttons() if button is not keep)
    QTest.keyClick(remove if delete else keep, Qt.Key.Key_Space)
    person.wait(lambda: person.window.findChild(RemovalQuestion) is None)
    person.wait(lambda: path.exists() is not delete)


def test_what_a_terminal_adds_and_removes_is_seen_when_the_user_comes_back(person: Person, tmp_path: Path) -> None:
    heard: list[str] = []
    person.services.library.changed.connect(lambda: heard.append("changed"))
    path = tiny_gguf(tmp_path / "tea.gguf")
    model = Library(models_folder()).import_file(path)
    come_back()
    person.wait(lambda: model in person.services.library.models)
    Library(models_folder()).remove(Library(models_folder()).removal(model), with_download=False, for_good=True)
    come_back()
    person.wait(lambda: model not in person.services.library.models)
    come_back()
    person.services.library.find_others(lambda _: heard.append("read"))  # on the same thread, after the list
    person.wait(lambda: "read" in heard)
    assert heard.count("changed") == 2, "a list that is the same is no new one"


def come_back() -> None:
    instance = QApplication.instance()
    assert isinstance(instance, QApplication)
    instance.applicationStateChanged.emit(Qt.ApplicationState.ApplicationActive)
