"""The collections' dialog with the real index and the real embedding model."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QLabel, QLineEdit, QListWidget, QPlainTextEdit

from desktop_app.ui.documents.collections_dialog import CollectionsDialog
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.documents import write_pdf
from tests.support.window import Person


def open_dialog(person: Person) -> CollectionsDialog:
    person.window._composer.collections_asked.emit()
    return person.find(CollectionsDialog)


def idle(person: Person) -> bool:
    return not person.services.collections.busy


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
    question.returnPressed.emit()
    person.wait(lambda: "apple tree" in passages.toPlainText())
    assert "[1] house.pdf, page" in passages.toPlainText()
    dialog._use.click()
    person.wait(lambda: any("House && home ·" in words for words in person.buttons()))
    person.services.collections.remove("House & home")
    person.wait(lambda: idle(person))
    assert person.services.collections.collections == []
    assert (files / "tea.txt").exists()


def test_the_dialog_has_a_way_out(open_window: OpenWindow) -> None:
    person = open_window()
    dialog = open_dialog(person)
    person.wait(lambda: idle(person))
    person.click("Close", dialog)
    assert not dialog.isVisible()
