"""Finding words in the open chat: all places are counted as they are shown, marked, and scrolled to."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QListWidget, QPlainTextEdit, QTextEdit

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
from desktop_app.paths import database_file
from desktop_app.ui.chat.find_bar import FindBar
from desktop_app.ui.chat.finding import Hit, find_hits
from desktop_app.ui.markdown.marks import texts_in
from desktop_app.ui.widgets.theme import LIGHT
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person

ANSWER = (
    "The **tea** is hot.\n\n```python\ntea = 1  # tea\n```\n\n"
    "| Tea | price |\n| --- | --- |\n| green tea | 3 |\n\n- a *te*a\n"
)
PLACES = 6


def message(content: str, role: str = "assistant") -> Message:
    return Message("c", None, role, content)  # type: ignore[arg-type]


def test_places_are_counted_as_they_are_shown() -> None:
    asked, answered = message("Tea?\nTEA!", "user"), message(f"<think>tea tea</think>{ANSWER}")
    hits = find_hits([asked, answered], "tea")
    assert hits == [Hit(asked.id, 0), Hit(asked.id, 1), *(Hit(answered.id, n) for n in range(PLACES))]
    assert find_hits([asked, answered], "**tea") == []
    assert len(find_hits([message("喝茶，茶很好。", "user")], "茶")) == 2
    assert find_hits([message("a.b", "user"), message("axb", "user")], "a.b")[1:] == []


@pytest.fixture
def reader(open_window: OpenWindow, data_home: object) -> Person:
    """A user with a chat of many messages, in the first and in the last of which there is tea."""
    history = History(database_file())
    chat = Conversation(title="Drinks")
    history.save_conversation(chat)
    parent = None
    for number in range(40):
        role = "assistant" if number % 2 else "user"
        content = ANSWER if number in (1, 39) else f"Line {number}. " * 30
        one = Message(chat.id, parent, role, content, created=float(number), model="M")  # type: ignore[arg-type]
        history.save_message(one)
        parent = one.id
    history.close()
    person = open_window()
    person.window.activateWindow()
    person.wait(lambda: person.titles)
    person.services.chats.open(person.services.chats.list.conversations[0].id)
    person.wait(lambda: len(person.messages) == 40)
    return person


def find(person: Person, words: str) -> FindBar:
    QTest.keyClick(person.editor, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    bar = person.find(FindBar)
    assert bar.isVisible()
    QTest.keyClicks(QApplication.focusWidget(), words)
    return bar


def count(bar: FindBar) -> str:
    return bar._count.text()


def marked_now(person: Person) -> list[QTextEdit | QPlainTextEdit]:
    texts = [text for widget in person.window._view.messages for text in texts_in(widget)]
    return [
        text
        for text in texts
        for one in text.extraSelections()
        if one.format.background().color().name() == LIGHT.found_now
    ]


def in_sight(person: Person, text: QTextEdit | QPlainTextEdit) -> bool:
    view = person.window._view
    place = text.mapTo(view.viewport(), QPoint(0, 0)).y()
    return -text.height() < place < view.viewport().height()


def test_every_place_is_reached_and_the_last_one_comes_first(reader: Person) -> None:
    bar = find(reader, "tea")
    reader.wait(lambda: count(bar) == "12 of 12")
    reader.wait(lambda: len(marked_now(reader)) == 1)
    assert in_sight(reader, marked_now(reader)[0])
    field = bar.findChild(QLineEdit)
    for expected in range(1, PLACES + 1):
        QTest.keyClick(field, Qt.Key.Key_Return)
        reader.wait(lambda expected=expected: count(bar) == f"{expected} of 12")
        reader.wait(lambda: len(marked_now(reader)) == 1 and in_sight(reader, marked_now(reader)[0]))
    QTest.keyClick(field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert count(bar) == f"{PLACES - 1} of 12"
    QTest.keyClick(field, Qt.Key.Key_Escape)
    assert not bar.isVisible()
    assert marked_now(reader) == []
    reader.wait(reader.editor.hasFocus)


def test_what_is_nowhere_is_said(reader: Person) -> None:
    bar = find(reader, "coffee")
    reader.wait(lambda: count(bar) == "Nothing found")
    assert not bar._next.isEnabled()
    bar.findChild(QLineEdit).clear()
    assert count(bar) == ""


def test_another_chat_ends_the_search(reader: Person) -> None:
    bar = find(reader, "tea")
    reader.wait(lambda: count(bar) == "12 of 12")
    reader.window.new_chat()
    assert bar.isHidden()


def test_what_all_chats_have_is_shown_with_its_surroundings_and_scrolled_to(reader: Person) -> None:
    reader.window.new_chat()
    QTest.keyClick(reader.editor, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    search = reader.find(QLineEdit, "chatSearch")
    assert search.hasFocus()
    QTest.keyClicks(search, "green tea")
    chats = reader.find(QListWidget, "chatList")
    reader.wait(lambda: any("green tea 3" in chats.item(row).text() for row in range(chats.count())))
    assert reader.titles == ["Drinks"]
    QTest.keyClick(search, Qt.Key.Key_Return)
    bar = reader.find(FindBar)
    reader.wait(bar.isVisible)
    reader.wait(lambda: count(bar) == "2 of 2")
    reader.wait(lambda: len(marked_now(reader)) == 1 and in_sight(reader, marked_now(reader)[0]))
    search.clear()
    assert reader.titles == ["Drinks"]
    assert chats.item(1).text() == "Drinks"


def test_the_bar_lies_on_no_message(reader: Person) -> None:
    """The first one cannot be scrolled out from below it."""
    bar, view = find(reader, "Line 0."), reader.window._pages.chat
    reader.wait(lambda: count(bar).endswith(" of 30") and len(view.messages) == 40)
    view.verticalScrollBar().setValue(0)
    assert view.messages[0].mapTo(view, QPoint(0, 0)).y() > bar.geometry().bottom()
    bar.close()
    reader.wait(lambda: view.messages[0].mapTo(view, QPoint(0, 0)).y() < bar.height())
