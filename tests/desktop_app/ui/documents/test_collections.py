"""The collections' dialog with the real index and the real embedding model."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QListWidget, QPlainTextEdit

from desktop_app.documents.store import Store
from desktop_app.paths import documents_file, settings_file
from desktop_app.settings import load_settings
from desktop_app.ui.documents.collections_dialog import CollectionsDialog
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.documents import write_pdf
from tests.support.search_models import write_search_models
from tests.support.window import Person


def open_dialog(person: Person) -> CollectionsDialog:
    person.window._composer.collections_asked.emit()
    return person.find(CollectionsDialog)


def idle(person: Person) -> bool:
    return not person.services.collections.busy


def test_what_is_wrong_with_a_file_is_said_in_the_language_of_the_window(
    open_window: OpenWindow, tmp_path: Path
) -> None:
    (tmp_path / "broken.docx").write_bytes(b"PK nothing")
    person = open_window(language="zh_CN")
    dialog = open_dialog(person)
    person.wait(lambda: idle(person))
    person.services.collections.update("书", (tmp_path / "broken.docx",))
    person.wait(lambda: idle(person))
    facts = "\n".join(label.text() for label in dialog.findChildren(QLabel))
    assert f"{tmp_path / 'broken.docx'} 已损坏或有密码保护" in facts


def test_a_collection_is_made_searched_and_put_into_the_message(open_window: OpenWindow, tmp_path: Path) -> None:
    person = open_window()
    person.wait(lambda: person.model_state == "ready")
    files = tmp_path / "files"
    files.mkdir()
    write_pdf(files / "house.pdf", ["The roof was repaired in spring.", "The garden has an old apple tree and a well."])
    (files / "tea.txt").write_text("绿茶要用八十度的水冲泡。", "utf-8")
    (files / "broken.docx").write_bytes(b"PK nothing")
    dialog = open_dialog(person)
    person.wait(lambda: idle(person))
    assert "A collection is a named set" in person.sentences(dialog)
    person.services.collections.update("House & home")
    person.wait(lambda: idle(person))
    assert dialog.findChild(QListWidget).item(0).text() == "House & home"
    dialog.add([str(files)])
    person.wait(lambda: idle(person))
    facts = "\n".join(label.text() for label in dialog.findChildren(QLabel))
    assert "3 files" in facts
    assert "broken.docx" in facts
    question, passages = dialog.findChild(QLineEdit, "question"), dialog.findChild(QPlainTextEdit, "passages")
    question.setText("fruit in the yard")
    indexed = threading.Event()
    person.services.collections._background.run(lambda: indexed.wait(60))  # as thousands of pages
    question.returnPressed.emit()
    person.wait(lambda: "apple tree" in passages.toPlainText())
    indexed.set()
    assert "[1] house.pdf, page" in passages.toPlainText()
    dialog._way.setCurrentIndex(1)
    dialog._way.activated.emit(1)
    person.wait(lambda: "Nothing in this collection" in passages.toPlainText())
    question.setText("apple garden tea roof")
    question.returnPressed.emit()
    person.wait(lambda: "apple tree" in passages.toPlainText())
    dialog._way.setCurrentIndex(2)
    dialog._way.activated.emit(2)
    person.wait(lambda: "not found before" in passages.toPlainText() or "before: [" in passages.toPlainText())
    dialog._use.click()
    person.wait(lambda: any("House && home ·" in words for words in person.buttons()))
    person.services.collections.remove("House & home")
    person.wait(lambda: idle(person))
    assert person.services.collections.collections == []
    assert (files / "tea.txt").exists()


def test_another_model_puts_passages_in_order_and_one_makes_all_vectors_anew(
    open_window: OpenWindow, tmp_path: Path
) -> None:
    write_search_models(tmp_path)
    person = open_window()
    person.wait(lambda: len(person.services.library.measuring) == 2)
    (tmp_path / "tea.txt").write_text("Green tea wants water of eighty degrees.", "utf-8")
    collections = person.services.collections
    collections.update("Tea", (tmp_path / "tea.txt",))
    person.wait(lambda: idle(person) and collections.collections)
    dialog = open_dialog(person)
    person.wait(lambda: idle(person))
    dialog._question.setText("water of tea")
    _choose(dialog._rerankers, "ranks.gguf")
    person.wait(lambda: "in order by 0." in dialog._passages.toPlainText())
    _choose(dialog._embedders, "measures.gguf")
    assert load_settings(settings_file()).embedder == "measures.gguf"
    with Store(documents_file()) as store:
        person.wait(lambda: idle(person) and store.collection("Tea").model.startswith("measures.gguf:"))
        assert store.collection("Tea").waiting == 0
    person.services.choose_model(person.services.library.measuring[0])
    person.wait(lambda: person.model_state == "ready")
    assert person.services.models.state.model is not None
    assert not person.services.models.state.model.measures, "it writes no texts"


def _choose(box: QComboBox, identifier: str) -> None:
    box.setCurrentIndex(box.findData(identifier))
    box.activated.emit(box.currentIndex())


def test_a_changed_file_is_indexed_without_being_asked(open_window: OpenWindow, tmp_path: Path) -> None:
    person = open_window()
    files = tmp_path / "files"
    files.mkdir()
    (files / "tea.txt").write_text("绿茶要用八十度的水冲泡。", "utf-8")
    collections = person.services.collections
    collections.update("Tea", (files,))
    person.wait(lambda: idle(person))
    (files / "coffee.txt").write_text("Coffee is brewed with water of ninety degrees.", "utf-8")
    os.utime(files / "coffee.txt", (1.6e9, 1.6e9))
    collections.look()
    person.wait(lambda: idle(person) and collections.collections[0].files == 2)
    collections.update("Tea")
    collections.stop()
    person.wait(lambda: idle(person))
    (files / "coffee.txt").unlink()
    collections.look()
    assert "Tea" in collections._left, "what was paused waits until it is asked for"


def test_the_dialog_has_a_way_out(open_window: OpenWindow) -> None:
    person = open_window()
    dialog = open_dialog(person)
    person.wait(lambda: idle(person))
    person.click("Close", dialog)
    assert not dialog.isVisible()
