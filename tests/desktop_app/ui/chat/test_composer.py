"""Writing a message: keys, input methods, pasting, growing."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QInputMethodEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QToolButton

from desktop_app.chat.attachment import Draft, whole_text
from desktop_app.chat.conversation import Message
from desktop_app.ui.chat.composer import Composer
from desktop_app.ui.chat.message_edit import MessageEdit
from desktop_app.ui.chat.message_widget import Versions
from desktop_app.ui.chat.question_widget import QuestionWidget
from desktop_app.ui.markdown.rich_text import RichText
from tests.support.window import run_events

ENTER = Qt.Key.Key_Return


def text_of(composer: Composer) -> str:
    """The message as a model would read it."""
    return whole_text(composer.draft.text, composer.draft.attachments)


@pytest.fixture
def composer(application: QApplication) -> Composer:
    composer = Composer()
    composer.set_send_key("enter")
    composer.resize(500, 60)
    composer.show()
    composer.sent_texts = []
    composer.sent.connect(lambda draft: composer.sent_texts.append(whole_text(draft.text, draft.attachments)))
    composer.edit = composer.findChild(MessageEdit)
    return composer


def test_enter_sends_and_empties(composer: Composer) -> None:
    QTest.keyClicks(composer.edit, "Hello")
    QTest.keyClick(composer.edit, ENTER)
    assert composer.sent_texts == ["Hello"]
    assert text_of(composer) == ""


def test_the_keypads_enter_sends_too(composer: Composer) -> None:
    QTest.keyClicks(composer.edit, "Hello")
    QTest.keyClick(composer.edit, Qt.Key.Key_Enter, Qt.KeyboardModifier.KeypadModifier)
    assert composer.sent_texts == ["Hello"]


def test_shift_enter_begins_a_line(composer: Composer) -> None:
    QTest.keyClicks(composer.edit, "one")
    QTest.keyClick(composer.edit, ENTER, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClicks(composer.edit, "two")
    assert text_of(composer) == "one\ntwo"
    assert composer.sent_texts == []
    QTest.keyClick(composer.edit, ENTER)
    assert composer.sent_texts == ["one\ntwo"]


def test_with_ctrl_enter_as_the_key_enter_begins_a_line(composer: Composer) -> None:
    composer.set_send_key("ctrl_enter")
    QTest.keyClicks(composer.edit, "one")
    QTest.keyClick(composer.edit, ENTER)
    assert (composer.draft.text, composer.sent_texts) == ("one\n", [])
    QTest.keyClick(composer.edit, ENTER, Qt.KeyboardModifier.ControlModifier)
    assert composer.sent_texts == ["one"]


def test_blank_text_is_not_sent(composer: Composer) -> None:
    QTest.keyClicks(composer.edit, "   ")
    QTest.keyClick(composer.edit, ENTER)
    assert composer.sent_texts == []


def test_enter_does_not_send_while_an_input_method_composes(composer: Composer) -> None:
    QApplication.sendEvent(composer.edit, QInputMethodEvent("ni'hao", []))
    QTest.keyClick(composer.edit, ENTER)
    assert (text_of(composer), composer.sent_texts) == ("", [])
    committed = QInputMethodEvent("", [])
    committed.setCommitString("你好")
    QApplication.sendEvent(composer.edit, committed)
    assert text_of(composer) == "你好"
    QTest.keyClick(composer.edit, ENTER)
    assert composer.sent_texts == ["你好"]


def test_nothing_is_sent_while_a_reply_is_written(composer: Composer) -> None:
    composer.set_busy(True)
    QTest.keyClicks(composer.edit, "next")
    QTest.keyClick(composer.edit, ENTER)
    assert (text_of(composer), composer.sent_texts) == ("next", [])


def test_pasted_files_are_passed_on_and_text_is_plain(composer: Composer, tmp_path: Path) -> None:
    files: list[list[str]] = []
    composer.files_pasted.connect(files.append)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "a.gguf"))])
    composer.edit.insertFromMimeData(mime)
    assert files == [[str(tmp_path / "a.gguf")]]
    mime = QMimeData()
    mime.setHtml("<b>bold</b>")
    mime.setText("bold")
    composer.edit.insertFromMimeData(mime)
    assert text_of(composer) == "bold"


def test_grows_with_its_lines_up_to_a_limit(composer: Composer) -> None:
    heights = []
    for count in (1, 3, 9, 30):
        composer.set_draft(Draft("\n".join(["第一行 line"] * count)))
        heights.append(composer.edit.height())
    assert heights[0] < heights[1] < heights[2] == heights[3]


def test_no_line_of_chinese_is_cut_off(composer: Composer) -> None:
    composer.set_draft(Draft("你好\n第二行\n第三行"))
    edit = composer.edit
    bottom = edit.cursorRect().bottom()
    assert edit.verticalScrollBar().maximum() == 0
    assert bottom <= edit.viewport().height()


@pytest.mark.parametrize("text", ["a line", "一行字"])
def test_one_line_stands_in_the_middle(composer: Composer, text: str) -> None:
    composer.set_draft(Draft(text))
    edit = composer.edit
    middle = edit.viewport().mapTo(edit, edit.cursorRect().center()).y()
    assert abs(middle - edit.height() / 2) <= 2


def test_an_empty_box_says_which_key_sends_where_there_is_room(composer: Composer) -> None:
    composer.resize(700, 60)
    run_events(20)
    assert composer.edit.placeholderText() == "Write a message · Enter sends, Shift+Enter begins a new line"
    composer.set_send_key("ctrl_enter")
    assert "Ctrl+Enter sends" in composer.edit.placeholderText()
    composer.resize(300, 60)
    run_events(20)
    assert composer.edit.placeholderText() == "Write a message"
    composer.set_send_key("enter")


def paste(composer: Composer, text: str) -> None:
    mime = QMimeData()
    mime.setText(text)
    composer.edit.insertFromMimeData(mime)


LONG_TEXTS = ("line of a log\n" * 70_000, "one line " * 110_000, "短句。\n\n" + "很长的文章" * 20_000)


@pytest.mark.parametrize("text", LONG_TEXTS, ids=["many lines", "one line", "Chinese"])
def test_a_long_text_is_part_of_the_message_without_being_laid_out(composer: Composer, text: str) -> None:
    QTest.keyClicks(composer.edit, "Sum this up:")
    paste(composer, text)
    assert composer.edit.toPlainText() == "Sum this up:"
    [chip] = composer.findChildren(QPushButton, "attachmentName")
    assert f"Long text · {len(text)} characters" == chip.text().replace(",", "")
    QTest.keyClick(composer.edit, ENTER)
    assert composer.sent_texts == [f"Sum this up:\n\n{text}"]
    assert text_of(composer) == ""
    composer.set_draft(Draft(f"Sum this up:\n\n{text}"))  # a draft
    assert text_of(composer) == f"Sum this up:\n\n{text}"
    assert len(composer.edit.toPlainText()) < 100


def test_a_long_text_alone_can_be_sent_and_removed(composer: Composer) -> None:
    paste(composer, LONG_TEXTS[1])
    paste(composer, LONG_TEXTS[0])
    send = composer.findChild(QToolButton, "sendButton")
    assert send.isEnabled()
    for button in [b for b in composer.findChildren(QToolButton) if b.accessibleName() == "Remove"]:
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert text_of(composer) == ""
    assert not send.isEnabled()


def test_texts_that_are_laid_out_in_a_moment_are_inserted(composer: Composer) -> None:
    text = "a line of an ordinary page\n" * 1500
    paste(composer, text)
    assert composer.edit.toPlainText() == text


def test_a_long_message_is_shown_part_by_part(application: QApplication) -> None:
    text = "".join(f"line {number} of a long log\n" for number in range(1200)).strip()
    widget = QuestionWidget(Message("c", None, "user", text), Versions())
    widget.resize(600, 400)
    widget.show()

    def shown() -> str:
        return "\n".join(part.toPlainText() for part in widget.findChildren(RichText))

    assert 1000 < len(shown()) < 10_000
    more = widget.findChild(QPushButton, "more")
    assert str(len(text) - len(shown()) - 1) in more.text().replace(",", "")
    for _ in range(9):
        if more.isVisible():
            QTest.mouseClick(more, Qt.MouseButton.LeftButton)
    assert shown() == text
    assert not more.isVisible()
    assert widget.text_to_copy() == text
