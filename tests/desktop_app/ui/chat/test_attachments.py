"""Attachments as a user meets them: chips with a name, in the message box and in the bubble; the model reads their text."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QWidget

from desktop_app.chat.attachment import Attachment, Draft
from desktop_app.chat.request import prompt_messages
from desktop_app.ui.chat.attachment_chip import AttachmentChip, AttachmentDialog
from desktop_app.ui.chat.composer import Composer
from desktop_app.ui.chat.message_edit import MessageEdit
from desktop_app.ui.chat.parted_text import PartedText
from desktop_app.ui.markdown.rich_text import RichText
from tests.desktop_app.ui.chat.test_chats import open_chat
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person

NOTES = "Tea comes from the leaves of a shrub. " * 30


def attach(person: Person, path: Path, text: str = NOTES) -> None:
    path.write_text(text, "utf-8")
    person.window.import_files([str(path)])


def chips(within: QWidget) -> list[str]:
    return [chip.attachment.name for chip in within.findChildren(AttachmentChip) if chip.isVisible()]


def test_an_attachment_is_neither_title_nor_text_and_the_model_reads_it(person: Person, tmp_path: Path) -> None:
    attach(person, tmp_path / "tea & co.txt")
    person.type("What is this about?")
    person.press(Qt.Key.Key_Return)
    person.wait(lambda: not person.busy)
    assert person.titles == ["What is this about?"]
    assert person.messages[0] == ("user", "What is this about?")
    question = person.widgets[0]
    assert [text.toPlainText() for text in question.findChildren(RichText)] == ["What is this about?"]
    assert chips(question) == ["tea & co.txt"]
    [asked] = prompt_messages(person.services.chats.list.path[:1], "")
    assert asked["content"] == f"What is this about?\n\ntea & co.txt:\n\n{NOTES.strip()}"


def test_a_file_alone_is_a_message_with_its_name_as_title(person: Person, tmp_path: Path) -> None:
    attach(person, tmp_path / "tea.txt")
    person.press(Qt.Key.Key_Return)
    person.wait(lambda: not person.busy)
    assert person.titles == ["tea.txt"]
    assert chips(person.widgets[0]) == ["tea.txt"]
    assert person.widgets[0].text_to_copy() == f"tea.txt:\n\n{NOTES.strip()}"


def test_a_drafts_attachments_stay_with_their_chat(open_window: OpenWindow, tmp_path: Path) -> None:
    person = open_window()
    person.ask("First chat")
    person.type("about this")
    attach(person, tmp_path / "tea.txt")
    person.window.new_chat()
    person.wait(lambda: chips(person.find(Composer)) == [])
    attach(person, tmp_path / "rain.txt", "It rains.")
    open_chat(person, "First chat")
    person.wait(lambda: chips(person.find(Composer)) == ["tea.txt"])
    person.close()

    person = open_window()
    person.wait(lambda: chips(person.find(Composer)) == ["rain.txt"])
    open_chat(person, "First chat")
    person.wait(lambda: chips(person.find(Composer)) == ["tea.txt"])
    assert person.editor.toPlainText() == "about this"
    person.click("Remove", person.find(Composer))
    person.wait(lambda: chips(person.find(Composer)) == [])
    person.window.new_chat()
    open_chat(person, "First chat")
    person.wait(lambda: chips(person.find(Composer)) == [])


def test_an_edited_question_keeps_its_attachments_and_the_message_that_is_being_written(
    person: Person, tmp_path: Path
) -> None:
    attach(person, tmp_path / "tea.txt")
    person.ask("Old words")
    person.type("not sent yet")
    person.click("Edit", person.widgets[0])
    person.wait(lambda: chips(person.widgets[0]) == ["tea.txt"])
    editor = person.widgets[0].findChild(MessageEdit)
    editor.setPlainText("New words")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    person.wait(lambda: not person.busy and person.messages[0][1] == "New words")
    old, new = person.services.chats.versions(person.services.chats.list.path[0])
    assert [one.text for one in old.attachments] == [one.text for one in new.attachments] == [NOTES.strip()]
    assert old.attachments[0].id != new.attachments[0].id
    assert person.editor.toPlainText() == "not sent yet"


def test_an_attachment_can_be_looked_at(person: Person) -> None:
    text = "".join(f"line {number} of a log\n" for number in range(2000))
    person.find(Composer).set_draft(Draft("", (Attachment("app.log", text),)))
    QTest.mouseClick(person.find(Composer).findChild(QPushButton, "attachmentName"), Qt.MouseButton.LeftButton)
    dialog = person.find(AttachmentDialog)
    assert dialog.windowTitle() == "app.log"
    parts = dialog.findChild(PartedText).findChildren(RichText)
    assert parts[0].toPlainText().startswith("line 0 of a log\nline 1 ")
    assert len(parts[0].toPlainText()) < 10_000
    person.click("Close", dialog)
