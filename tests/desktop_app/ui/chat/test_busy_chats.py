"""While one chat's reply is written: the others can be used, say what they wait for, and the list shows what happens where."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QListWidget, QListWidgetItem

from desktop_app.ui.chat.composer import Composer
from tests.support.window import LONG, Person, run_events


def entry(person: Person, title: str) -> QListWidgetItem:
    chats = person.find(QListWidget, "chatList")
    return next(chats.item(i) for i in range(chats.count()) if chats.item(i).text() == title)


def mark(person: Person, title: str) -> str:
    text = entry(person, title).data(Qt.ItemDataRole.AccessibleTextRole) or ""
    assert entry(person, title).icon().isNull() == (not text)
    return text.removeprefix(title).strip(", ")


def open_chat(person: Person, title: str) -> None:
    chats = person.find(QListWidget, "chatList")
    place = chats.visualItemRect(entry(person, title)).center()
    QTest.mouseClick(chats.viewport(), Qt.MouseButton.LeftButton, pos=place)
    person.wait(lambda: person.messages and person.services.chats.list.current.title == title)


def test_messages_of_other_chats_wait_their_turn(person: Person) -> None:
    person.services.settings.max_tokens = 0
    person.send(LONG)
    title = person.titles[0]
    person.wait(lambda: person.messages[-1][1])
    assert mark(person, title) == "writing"
    person.services.settings.max_tokens = 3
    person.window.new_chat()
    composer = person.find(Composer)
    assert composer._button.accessibleName() == "Send", "the other chat's stop button is not here"
    person.send("Second")
    person.wait(lambda: f"Waits until the reply in “{title}” is done." in person.sentences())
    assert (mark(person, title), mark(person, "Second")) == ("writing", "waits")
    assert composer._button.accessibleName() == "Stop"
    person.window.new_chat()
    person.send("Third")
    person.press(Qt.Key.Key_Escape)  # stops what waits here, and nothing else
    assert person.services.chats.list.path[-1].state == "stopped"
    assert (mark(person, title), mark(person, "Second"), mark(person, "Third")) == ("writing", "waits", "")
    open_chat(person, title)
    assert composer._button.accessibleName() == "Stop"
    person.press(Qt.Key.Key_Escape)
    person.wait(lambda: not person.busy)
    assert person.services.chats.list.path[-1].state == "stopped"
    assert mark(person, "Second") == "new reply"
    open_chat(person, "Second")
    assert person.services.chats.list.path[-1].state == "done"
    assert person.messages[-1][1]
    assert mark(person, "Second") == ""


def test_a_dead_engine_ends_what_waits_and_each_can_be_tried_again(person: Person) -> None:
    person.services.settings.max_tokens = 0
    person.send(LONG)
    person.wait(lambda: person.messages[-1][1])
    person.services.settings.max_tokens = 3
    person.window.new_chat()
    person.send("Second")
    person.services.chats.delete(next(c.id for c in person.services.chats.list.conversations if c.title != "Second"))
    person.wait(lambda: not person.busy)
    run_events(20)
    assert person.services.chats.list.path[-1].state == "done", "a deleted chat lets the next one begin"


def test_what_waits_is_not_lost_with_the_window(person: Person, open_window: object) -> None:
    person.services.settings.max_tokens = 0
    person.send(LONG)
    person.wait(lambda: person.messages[-1][1])
    person.window.new_chat()
    person.send("Second")
    person.close()
    again = open_window()  # type: ignore[operator]
    again.wait(lambda: "Second" in again.titles)
    open_chat(again, "Second")
    assert again.services.chats.list.path[-1].state == "interrupted"


def test_another_model_stops_the_reply_of_a_chat_that_is_not_open(person: Person) -> None:
    person.services.settings.max_tokens = 0
    person.send(LONG)
    person.wait(lambda: person.messages[-1][1])
    title = person.titles[0]
    person.window.new_chat()
    person.services.models.reload()
    person.wait(lambda: mark(person, title) != "writing")
    open_chat(person, title)
    person.wait(lambda: person.messages)
    assert person.services.chats.list.path[-1].state == "stopped"
