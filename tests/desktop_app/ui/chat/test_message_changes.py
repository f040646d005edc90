"""What a user does with single messages: delete and undo, branch off, let a stopped reply go on. Real engine, real SQLite."""

from __future__ import annotations

from PySide6.QtWidgets import QMenu

from desktop_app.ui.chat.composer import Composer
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import LONG, Person


def choose(person: Person, number: int, words: str) -> None:
    """Choose an entry of a message's menu."""
    person.click("More", person.widgets[number])
    menu = next(menu for menu in person.window.findChildren(QMenu, "messageMenu") if menu.isVisible())
    next(action for action in menu.actions() if action.text() == words).trigger()
    menu.close()


def test_a_message_is_deleted_and_brought_back(open_window: OpenWindow) -> None:
    person = open_window(max_tokens=3)
    person.ask("First")
    person.ask("Second")
    whole = person.messages
    choose(person, 1, "Delete this message")
    assert person.messages == [whole[0], *whole[2:]]
    person.window._chat_actions.undo()
    assert person.messages == whole
    choose(person, 3, "Delete this message")
    assert person.messages == whole[:3]
    person.window._chat_actions.undo()
    assert person.messages == whole
    choose(person, 0, "Delete this message")
    person.close()
    person = open_window()
    person.wait(lambda: person.titles)
    person.services.chats.open(person.services.chats.list.conversations[0].id)
    person.wait(lambda: person.messages == whole[1:])


def test_a_chat_goes_on_in_another_one(open_window: OpenWindow) -> None:
    person = open_window(max_tokens=3)
    person.ask("First")
    first = person.messages
    person.ask("Second")
    old = person.services.chats.list.current.id
    choose(person, 1, "Go on from here in a new chat")
    assert person.services.chats.list.current.id != old
    assert person.messages == first
    assert person.titles == ["First", "First"]
    person.ask("Third")
    person.services.chats.open(old)
    person.wait(lambda: person.services.chats.list.current.id == old)
    assert [text for role, text in person.messages if role == "user"] == ["First", "Second"]


def test_a_stopped_reply_goes_on_from_where_it_was(open_window: OpenWindow) -> None:
    person = open_window(max_tokens=0)
    person.wait(lambda: person.model_state == "ready")
    person.send(LONG)
    person.wait(lambda: len(person.messages[-1][1]) > 20)
    person.click("Stop", person.find(Composer))
    person.wait(lambda: not person.busy)
    begun, message = person.messages[-1][1], person.services.chats.list.path[-1].id
    person.services.settings.max_tokens = 8
    person.click("Continue this reply", person.widgets[-1])
    person.wait(lambda: not person.busy)
    assert person.messages[-1][1].startswith(begun)
    assert len(person.messages[-1][1]) > len(begun)
    assert person.services.chats.list.path[-1].id == message
    assert person.services.chats.versions(person.services.chats.list.path[-1]) == [person.services.chats.list.path[-1]]


def test_what_goes_on_is_what_would_have_come(open_window: OpenWindow) -> None:
    person = open_window(max_tokens=24)
    person.wait(lambda: person.model_state == "ready")
    whole = person.ask("Name three rivers of Europe.")
    person.window.new_chat()
    person.services.settings.max_tokens = 12
    half = person.ask("Name three rivers of Europe.")
    assert whole.startswith(half) and whole != half
    person.click("Continue this reply", person.widgets[-1])
    person.wait(lambda: not person.busy)
    assert person.messages[-1][1] == whole
