"""Deleted chats come back: by Ctrl+Z, from the trash, also after a restart."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QListWidget

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
from desktop_app.paths import database_file
from desktop_app.ui.chat.trash_dialog import TrashDialog
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person

CONTROL = Qt.KeyboardModifier.ControlModifier


def store(*titles: str) -> None:
    history = History(database_file())
    for age, title in enumerate(titles):
        chat = Conversation(title=title, updated=1e9 - age)
        history.save_conversation(chat)
        history.save_message(Message(chat.id, None, "user", title))
    history.close()


def delete(person: Person, title: str) -> None:
    chat = next(one for one in person.services.chats.list.conversations if one.title == title)
    person.find(QListWidget, "chatList").setFocus()
    person.window._sidebar.deleted.emit(chat.id)


def test_ctrl_z_brings_chats_back_one_after_the_other(open_window: OpenWindow, data_home: object) -> None:
    store("One", "Two", "Three")
    person = open_window()
    person.wait(lambda: len(person.titles) == 3)
    person.type("half a message")
    for title in ("One", "Three"):
        delete(person, title)
    assert person.titles == ["Two"]
    person.press(Qt.Key.Key_Z, CONTROL)
    person.wait(lambda: person.titles == ["Two", "Three"] and person.services.chats.list.current.title == "Three")
    person.press(Qt.Key.Key_Z, CONTROL)
    person.wait(lambda: person.titles == ["One", "Two", "Three"])


def test_the_trash_gives_back_after_a_restart(open_window: OpenWindow, data_home: object) -> None:
    store("One", "Two", "Three")
    person = open_window()
    person.wait(lambda: len(person.titles) == 3)
    delete(person, "One")
    delete(person, "Two")
    person.close()
    person = open_window()
    person.wait(lambda: person.titles == ["Three"])
    person.click("Deleted chats")
    dialog = person.find(TrashDialog)
    shown = dialog.findChild(QListWidget)
    person.wait(lambda: shown.count() == 2)
    assert shown.item(0).text().startswith("Two")
    person.click("Bring back", dialog)
    assert person.titles == ["Two", "Three"]
    shown.setCurrentRow(0)
    person.click("Delete for good", dialog)
    assert "Nothing was deleted." in person.sentences(dialog)
    dialog.reject()
    person.click("Deleted chats")
    found: list[object] = []
    person.services.chats.list.trash(lambda left: found.append(len(left)))
    person.wait(lambda: found)
    assert found == [0]


def test_the_marked_chat_is_the_open_one(open_window: OpenWindow, data_home: object) -> None:
    store("One", "Two")
    person = open_window()
    person.wait(lambda: len(person.titles) == 2)
    chats = person.find(QListWidget, "chatList")
    items = {chats.item(i).text(): chats.item(i) for i in range(chats.count())}
    two = chats.visualItemRect(items["Two"]).center()
    QTest.mouseClick(chats.viewport(), Qt.MouseButton.RightButton, pos=two)
    assert chats.selectedItems() == []
    QTest.mouseClick(chats.viewport(), Qt.MouseButton.LeftButton, pos=two)
    person.wait(lambda: person.services.chats.list.current.title == "Two")
    chats.setFocus()
    QTest.keyClick(chats, Qt.Key.Key_Up)
    person.editor.setFocus()
    assert [item.text() for item in chats.selectedItems()] == ["Two"]


def test_the_delete_key_deletes_the_chat_that_was_clicked_unless_something_is_written(person: Person) -> None:
    person.ask("Name a colour.")
    person.window.new_chat()
    chats = person.find(QListWidget, "chatList")
    QTest.mouseClick(chats.viewport(), Qt.MouseButton.LeftButton, pos=chats.visualItemRect(chats.item(1)).center())
    person.wait(lambda: person.messages and person.editor.hasFocus())
    person.type("a")
    person.press(Qt.Key.Key_Backspace)
    person.press(Qt.Key.Key_Delete)
    assert person.titles == ["Name a colour."], "it was written in between: the key belongs to the text"
    person.window.new_chat()
    QTest.mouseClick(chats.viewport(), Qt.MouseButton.LeftButton, pos=chats.visualItemRect(chats.item(1)).center())
    person.wait(lambda: person.messages and person.editor.hasFocus())
    person.press(Qt.Key.Key_Delete)
    person.wait(lambda: not person.titles)
    person.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    person.wait(lambda: person.titles == ["Name a colour."])
