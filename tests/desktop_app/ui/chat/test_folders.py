"""Pins and folders in the list of chats, by menu and by dragging; imports and backups in their dialog."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QLineEdit, QListWidgetItem, QMenu

from desktop_app.chat.conversation import Conversation
from desktop_app.chat.history import Found
from desktop_app.paths import data_folder
from desktop_app.settings import load_settings
from desktop_app.ui import app
from desktop_app.ui.chat.chat_list import ChatList
from desktop_app.ui.chat.chat_menu import ChatMenu, FolderMenu
from desktop_app.ui.chat.sidebar import Sidebar
from desktop_app.ui.chat.transfer_dialog import TransferDialog
from tests.desktop_app.chat.test_imports import CHATGPT, written
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person


def rows(person: Person) -> list[str]:
    chats = person.find(ChatList)
    return [chats.item(row).text() for row in range(chats.count())]


def row(person: Person, text: str) -> QListWidgetItem:
    [item] = person.find(ChatList).findItems(text, Qt.MatchFlag.MatchExactly)
    return item


def open_menu(person: Person, text: str) -> QMenu:
    chats = person.find(ChatList)
    place: QPoint = chats.visualItemRect(row(person, text)).center()
    chats.customContextMenuRequested.emit(place)
    menus = [*person.window.findChildren(ChatMenu), *person.window.findChildren(FolderMenu)]
    return next(menu for menu in menus if menu.isVisible())


def choose(menu: QMenu, words: str) -> None:
    for action in menu.actions():
        if action.text() == words:
            action.trigger()
            menu.close()
            return
        if action.menu() is not None:
            for inner in action.menu().actions():
                if inner.text() == words:
                    inner.trigger()
                    menu.close()
                    return
    raise AssertionError([action.text() for action in menu.actions()])


def with_chats(person: Person, *titles: str) -> None:
    person.wait(lambda: person.services.library.is_read)
    for number, title in enumerate(titles):
        chat = Conversation(title=title, updated=1.8e9 + number, leaf="x")
        person.services.history.save_conversation(chat)
        person.services.chats.list._list([chat])


def test_a_chat_is_pinned_and_put_into_a_new_folder_by_its_menu(open_window: OpenWindow) -> None:
    person = open_window()
    with_chats(person, "Tea", "Rain", "Poems")
    choose(open_menu(person, "Tea"), "Pin")
    assert rows(person)[:2] == ["Pinned", "Tea"]
    choose(open_menu(person, "Rain"), "New folder")
    editor = person.find(ChatList).findChild(QLineEdit)
    assert editor is not None
    editor.setText("Weather")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    person.wait(lambda: rows(person)[2:4] == ["Weather", "Rain"])
    choose(open_menu(person, "Poems"), "Weather")
    assert rows(person) == ["Pinned", "Tea", "Weather", "Poems", "Rain"]
    QTest.mouseClick(
        person.find(ChatList).viewport(),
        Qt.MouseButton.LeftButton,
        pos=person.find(ChatList).visualItemRect(row(person, "Weather")).center(),
    )
    assert rows(person) == ["Pinned", "Tea", "Weather"]
    person.find(Sidebar).show_found("", [Found(chat.id) for chat in person.services.chats.list.conversations])
    choose(open_menu(person, "Weather"), "Remove folder, keep its chats")
    assert "Weather" not in rows(person)
    assert {"Tea", "Rain", "Poems"} <= set(rows(person))


def name_editor(person: Person) -> QLineEdit:
    editors = [one for one in person.find(ChatList).findChildren(QLineEdit) if one.isVisible()]
    assert len(editors) == 1
    return editors[0]


def test_a_name_that_is_written_outlives_news_in_the_list(open_window: OpenWindow) -> None:
    """What was typed was shown and not stored, or taken back, where the list heard of anything meanwhile."""
    person = open_window()
    with_chats(person, "Tea", "Rain")
    chats, folders = person.services.chats, person.services.folders
    choose(open_menu(person, "Rain"), "New folder")
    name_editor(person).setText("Weather")
    chats.list.listed.emit()
    QTest.keyClick(name_editor(person), Qt.Key.Key_Return)
    chats.list.rename(chats.list.conversations[1].id, "Green tea")  # the key is pressed, and not yet heard by the list
    person.wait(lambda: rows(person)[:2] == ["Weather", "Rain"] and "Green tea" in rows(person))
    assert [folder.name for folder in folders.folders] == ["Weather"]
    choose(open_menu(person, "Green tea"), "Rename")
    name_editor(person).setText("Black tea")
    chats.replies._unseen.add(chats.list.conversations[1].id)  # its mark is another one
    chats.list.listed.emit()
    assert name_editor(person).text() == "Black tea"
    open_menu(person, "Rain").close()  # takes the name as well
    person.wait(lambda: "Black tea" in {chat.title for chat in chats.list.conversations})
    menu = open_menu(person, "Black tea")
    chats.list.rename(chats.list.conversations[0].id, "Storms")  # all rows are others now
    choose(menu, "Rename")
    name_editor(person).setText(" ")
    QTest.keyClick(name_editor(person), Qt.Key.Key_Return)
    person.wait(lambda: "Black tea" in rows(person) and "Storms" in rows(person))


def test_chats_and_folders_are_dragged(open_window: OpenWindow) -> None:
    person = open_window()
    with_chats(person, "Tea", "Rain")
    person.services.folders.add("Work")
    person.services.folders.add("Play")
    chats = person.find(ChatList)
    chats.drop(row(person, "Tea"), row(person, "Play"))
    chats.drop(row(person, "Play"), row(person, "Work"))
    assert rows(person)[:3] == ["Play", "Tea", "Work"]
    chats.drop(row(person, "Tea"), None)
    assert rows(person)[:2] == ["Play", "Work"]
    person.services.folders.pin(person.services.chats.list.conversations[0].id, True)
    chats.drop(row(person, "Tea"), row(person, "Pinned"))
    assert set(rows(person)[1:3]) == {"Tea", "Rain"}


def test_chats_are_imported_and_everything_is_backed_up_and_restored(open_window: OpenWindow, tmp_path: Path) -> None:
    person = open_window(theme="dark")
    person.click("Import and backup")
    dialog = person.find(TransferDialog)
    transfer, said = person.services.transfer, dialog.findChild(QLabel, "transferResult")
    dialog._begin(lambda: transfer.add_chats(written(tmp_path / "conversations.json", CHATGPT)))
    person.wait(said.isVisible)
    assert said.text() == "2 chats were imported."
    person.wait(lambda: {"Brewing tea", "只有问题"} <= set(person.titles))
    dialog._begin(lambda: transfer.add_chats(written(tmp_path / "other.json", {"a": 1})))
    person.wait(said.isVisible)
    assert "holds no chats that can be read" in said.text()
    dialog._begin(lambda: transfer.back_up(tmp_path / "all.zip"))
    person.wait(said.isVisible)
    assert (tmp_path / "all.zip").exists()
    for chat in person.services.chats.list.conversations:
        person.services.chats.delete(chat.id)
    dialog._begin(lambda: transfer.restore(tmp_path / "all.zip"))
    person.wait(said.isVisible)
    assert "start it again" in said.text()
    person.close()

    app.restore()
    person = open_window()
    person.wait(lambda: {"Brewing tea", "只有问题"} <= set(person.titles))
    assert load_settings(data_folder() / "settings.json").theme == "dark"
    assert list(data_folder().glob("replaced-*"))
