"""Choosing and importing models: file dialog, drag and drop, files that are not models."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QAction, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel

from desktop_app.chat.text_file import LARGEST
from desktop_app.paths import models_folder
from desktop_app.ui.models.add_dialog import AddDialog
from desktop_app.ui.models.model_picker import ModelPicker
from desktop_app.ui.widgets.notice import Notice
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.documents import write_pdf, write_word
from tests.support.window import LONG, Person, run_events


def a_copy(starter: Path, folder: Path, name: str) -> Path:
    os.link(starter, folder / name) if starter.stat().st_dev == folder.stat().st_dev else (folder / name).symlink_to(
        starter
    )
    return folder / name


def drop(person: Person, *paths: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(
        person.window, QDragEnterEvent(QPoint(200, 200), Qt.DropAction.CopyAction, mime, buttons, keys)
    )
    assert person.find(QLabel, "dropHint").isVisible()
    QApplication.sendEvent(person.window, QDropEvent(QPointF(200, 200), Qt.DropAction.CopyAction, mime, buttons, keys))
    assert not person.find(QLabel, "dropHint").isVisible()


def test_a_text_file_goes_into_the_message(person: Person, tmp_path: Path) -> None:
    (tmp_path / "笔记.md").write_text("# 茶\n绿茶和红茶", "gb18030")
    person.type("Summarise this.")
    drop(person, tmp_path / "笔记.md")
    person.wait(lambda: any(words.startswith("笔记.md · about 7 tokens · 1 % of the") for words in person.buttons()))
    person.press(Qt.Key.Key_Return)
    person.wait(lambda: not person.busy)
    question = person.services.chats.list.path[0]
    assert (question.content, question.whole) == ("Summarise this.", "Summarise this.\n\n笔记.md:\n\n# 茶\n绿茶和红茶")
    (tmp_path / "log.txt").write_text("line\n" * LARGEST)
    drop(person, tmp_path / "log.txt")
    assert "log.txt is too large for a message" in person.sentences()
    assert not any(words.startswith("log.txt") for words in person.buttons())


def test_documents_go_into_the_message_with_their_pages(person: Person, tmp_path: Path) -> None:
    person.type("Which page?")
    drop(person, write_pdf(tmp_path / "book.pdf", ["First words here", "Second words there"]))
    person.wait(lambda: any(words.startswith("book.pdf · 2 pages · about") for words in person.buttons()))
    drop(person, write_word(tmp_path / "报告.docx"))
    person.wait(lambda: any(words.startswith("报告.docx ·") for words in person.buttons()))
    person.press(Qt.Key.Key_Return)
    person.wait(lambda: not person.busy)
    text = person.services.chats.list.path[0].whole
    assert "book.pdf:\n\n[p. 1]\nFirst words here\n\n[p. 2]\nSecond words there" in text
    assert "上海 | 120" in text


def test_a_scan_and_a_damaged_document_are_said(person: Person, tmp_path: Path) -> None:
    drop(person, write_pdf(tmp_path / "scan.pdf", ["", ""]))
    person.wait(lambda: "pictures of pages without text" in person.sentences())
    (tmp_path / "broken.docx").write_bytes(b"PK nothing")
    drop(person, tmp_path / "broken.docx")
    person.wait(lambda: "broken.docx is damaged" in person.sentences())
    assert not any(words.startswith("broken.docx ·") for words in person.buttons())


def actions(person: Person) -> dict[str, QAction]:
    menu = person.find(ModelPicker).menu()
    menu.aboutToShow.emit()
    return {action.text().split("\t")[0]: action for action in menu.actions() if action.text()}


def model_name(person: Person) -> str:
    model = person.services.models.state.model
    return model.name if model is not None else ""


def test_a_dropped_gguf_is_imported_loaded_and_remembered(
    open_window: OpenWindow, starter_gguf: Path, tmp_path: Path
) -> None:
    person = open_window()
    person.wait(lambda: person.model_state == "ready")
    assert model_name(person) == "SmolLM2-135M-Instruct"
    drop(person, a_copy(starter_gguf, tmp_path, "my & model.gguf"))
    person.wait(lambda: model_name(person) == "my & model" and person.model_state == "ready")
    assert "my & model was imported" in person.sentences()
    assert person.ask("Hello")
    assert person.services.chats.list.path[-1].model == "my & model"
    assert set(actions(person)) == {
        "my && model",
        "SmolLM2-135M-Instruct",
        "Ask two models side by side…",
        "My models…",
        "Get models…",
        "Add a model…",
        "Models on other computers…",
        "Measure a model",
        "Remove a model",
    }
    actions(person)["SmolLM2-135M-Instruct"].trigger()
    person.wait(lambda: model_name(person) == "SmolLM2-135M-Instruct" and person.model_state == "ready")
    actions(person)["my && model"].trigger()
    person.wait(lambda: model_name(person) == "my & model" and person.model_state == "ready")
    person.close()
    person = open_window()
    person.wait(lambda: model_name(person) == "my & model" and person.model_state == "ready")


def test_the_import_button_asks_for_a_file(person: Person, starter_gguf: Path, tmp_path: Path) -> None:
    actions(person)["Add a model…"].trigger()
    person.click("File…", person.find(AddDialog))
    dialog = person.find(QFileDialog)
    assert dialog.isVisible()
    assert "*.gguf" in dialog.nameFilters()[0]
    dialog.filesSelected.emit([str(a_copy(starter_gguf, tmp_path, "chosen.gguf"))])
    person.wait(lambda: model_name(person) == "chosen" and person.model_state == "ready")


def test_files_that_are_no_models_are_refused_with_a_sentence(
    person: Person, starter_gguf: Path, tmp_path: Path
) -> None:
    text = tmp_path / "notes.gguf"
    text.write_text("These are my notes.\n" * 100)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(starter_gguf.read_bytes()[: 1 << 20])
    for path, words in ((text, "is not a GGUF file"), (cut, "is truncated")):
        drop(person, path)
        person.wait(lambda words=words: words in person.sentences())
        assert f"The file was not imported. {path}" in person.sentences()
    assert model_name(person) == "SmolLM2-135M-Instruct"
    assert len(person.services.library.models) == 1
    assert person.ask("Hello")


def test_one_bad_file_among_good_ones_stops_nothing(person: Person, starter_gguf: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF")
    drop(person, bad, a_copy(starter_gguf, tmp_path, "good.gguf"))
    person.wait(lambda: model_name(person) == "good" and person.model_state == "ready")
    assert "bad.gguf" in person.sentences()


def test_another_model_in_mid_reply_keeps_what_was_written(
    open_window: OpenWindow, starter_gguf: Path, tmp_path: Path
) -> None:
    person = open_window(max_tokens=0)
    person.send(LONG)
    person.wait(lambda: len(person.messages[-1][1]) > 20)
    person.window.import_files([str(a_copy(starter_gguf, tmp_path, "other.gguf"))])
    person.wait(lambda: model_name(person) == "other" and person.model_state == "ready")
    assert not person.busy
    assert person.services.chats.list.path[-1].state == "stopped"
    assert len(person.messages[-1][1]) > 20


def test_a_model_that_vanished_says_so_and_the_next_choice_works(
    person: Person, starter_gguf: Path, tmp_path: Path
) -> None:
    path = a_copy(starter_gguf, tmp_path, "lent.gguf")
    person.window.import_files([str(path)])
    person.wait(lambda: model_name(person) == "lent" and person.model_state == "ready")
    path.unlink()
    person.services.models.reload()
    person.wait(lambda: person.model_state == "failed")
    assert "The model could not be loaded." in person.sentences()
    assert "Try again" in person.buttons(next(n for n in person.window.findChildren(Notice) if n.isVisible()))
    actions(person)["SmolLM2-135M-Instruct"].trigger()
    person.wait(lambda: person.model_state == "ready")
    assert "could not be loaded" not in person.sentences()


def test_a_window_whose_list_says_what_fits_closes_without_a_word(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    person.wait(lambda: not actions(person)["SmolLM2-135M-Instruct"].icon().isNull())
    person.ask("Hello")  # the engine answers one after the other: no question about what fits is under way
    person.close()
    run_events(50)
    assert capsys.readouterr().err == ""


def test_first_bytes_say_what_a_dropped_file_is(person: Person, starter_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.gguf").write_text("Dear reader")
    drop(person, tmp_path / "letter.gguf")
    person.wait(lambda: f"{tmp_path / 'letter.gguf'} is not a GGUF file" in person.sentences())
    drop(person, a_copy(starter_gguf, tmp_path, "weights.bin"))
    person.wait(lambda: model_name(person) == "weights.bin" and person.model_state == "ready")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("name", ["pipe.gguf", "pipe.pth", "pipe"])
def test_a_dropped_pipe_is_refused(person: Person, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    drop(person, tmp_path / name)
    person.wait(lambda: "is a pipe or a device" in person.sentences() or "not a file of weights" in _dialogs(person))
    assert model_name(person) == "SmolLM2-135M-Instruct"


def _dialogs(person: Person) -> str:
    return "\n".join(label.text() for window in QApplication.topLevelWidgets() for label in window.findChildren(QLabel))


def test_models_of_one_name_are_told_apart(open_window: OpenWindow, starter_gguf: Path) -> None:
    for folder in ("work", "home"):
        (models_folder() / folder).mkdir()
        a_copy(starter_gguf, models_folder() / folder, "same.gguf")
    person = open_window(model="work/same.gguf")
    person.wait(lambda: person.model_state == "ready")
    state = person.services.models.state
    assert state.model is not None
    assert state.model.path == models_folder() / "work" / "same.gguf"
    assert {"same (home)", "same (work)"} <= set(actions(person))
    assert actions(person)["same (work)"].isChecked()
    actions(person)["same (home)"].trigger()
    person.wait(lambda: person.model_state == "ready" and "same (home)" in person.find(ModelPicker).text())
    assert person.services.settings.model == "home/same.gguf"


def test_a_model_that_is_gone_or_damaged_at_the_start_is_said(
    open_window: OpenWindow, starter_gguf: Path, tmp_path: Path
) -> None:
    person = open_window()
    person.wait(lambda: person.model_state == "ready")
    mine = a_copy(starter_gguf, tmp_path, "mine.gguf")
    drop(person, mine)
    person.wait(lambda: model_name(person) == "mine" and person.model_state == "ready")
    person.close()
    mine.unlink()
    person = open_window()
    person.wait(lambda: person.model_state == "ready")
    assert model_name(person) == "SmolLM2-135M-Instruct"
    assert f"mine cannot be used, so SmolLM2-135M-Instruct is used. {mine} is not there any more" in person.sentences()
    person.close()
    mine.write_text("damaged")
    person = open_window()
    person.wait(lambda: person.model_state == "ready")
    assert f"{mine} is not a GGUF file" in person.sentences()
