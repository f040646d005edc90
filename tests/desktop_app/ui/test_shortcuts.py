"""Keys: each action has some, the user may choose others, and no key does two things."""

from __future__ import annotations

from collections import Counter

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QKeySequenceEdit, QLabel, QLineEdit, QListWidget, QMenu

from desktop_app.paths import settings_file
from desktop_app.settings import load_settings
from desktop_app.ui.chat.sidebar import Sidebar
from desktop_app.ui.command_palette import CommandPalette
from desktop_app.ui.controllers.palette_entries import Entry, matching
from desktop_app.ui.settings.settings_page import SettingsPage
from desktop_app.ui.settings.shortcuts_page import KeysPage
from desktop_app.ui.shortcuts import ACTIONS, SHORTCUTS
from tests.support.window import Person


def test_no_usual_key_does_two_things() -> None:
    keys = Counter(QKeySequence(one).toString() for action in ACTIONS for one in action.keys)
    assert {one: count for one, count in keys.items() if count > 1} == {}


def test_entries_are_found_by_all_their_words_and_the_beginning_comes_first() -> None:
    entries = [Entry(words, "Action", int) for words in ("Show the chats", "Chats of today", "Settings")]
    assert [entry.words for entry in matching(entries, "CHATS")] == ["Chats of today", "Show the chats"]
    assert [entry.words for entry in matching(entries, "action set")] == ["Settings"]
    assert matching(entries, "nothing") == []


def shortcut_of(person: Person, keys: str) -> list[QShortcut]:
    wanted = QKeySequence(keys)
    return [one for one in person.window.findChildren(QShortcut) if wanted in QShortcut.keys(one)]


def test_another_key_is_chosen_at_once_and_kept_and_the_tip_names_it(person: Person) -> None:
    person.window.open_settings("shortcuts")
    page = person.find(KeysPage)
    field = page._fields["new-chat"]
    field.setKeySequence(QKeySequence("Ctrl+M"))
    field.editingFinished.emit()
    assert len(shortcut_of(person, "Ctrl+M")) == 1
    assert shortcut_of(person, "Ctrl+N") == []
    assert "Ctrl+M" in person.find(Sidebar)._new.toolTip()
    page._choose("search", QKeySequence("Ctrl+M"))
    assert "something else" in page.findChild(QLabel, "said").text()
    assert SHORTCUTS.keys("search") == ("Ctrl+Shift+F",)
    page._choose("search", QKeySequence("a"))
    assert "writes a character" in page.findChild(QLabel, "said").text()
    page._choose("search", QKeySequence(""))
    assert SHORTCUTS.keys("search") == ()
    person.find(SettingsPage).close()
    assert load_settings(settings_file()).shortcuts == {"new-chat": "Ctrl+M", "search": ""}
    person.window.open_settings("shortcuts")
    page = person.window.findChildren(KeysPage)[-1]
    person.click("All usual keys again", page)
    assert len(shortcut_of(person, "Ctrl+N")) == 1
    assert {field.accessibleName() for field in page.findChildren(QKeySequenceEdit)} >= {"New chat", "Settings"}
    person.find(SettingsPage).close()


def test_the_palette_does_anything_by_its_name(person: Person) -> None:
    person.ask("Name a colour.")
    person.window.new_chat()
    person.window.activateWindow()
    QTest.keyClick(person.window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    palette = person.find(CommandPalette)
    person.wait(palette.isVisible)
    field = palette.findChild(QLineEdit)
    QTest.keyClicks(field, "name a col")
    QTest.keyClick(field, Qt.Key.Key_Return)
    person.wait(lambda: person.messages)
    person.wait(lambda: not person.window.findChildren(CommandPalette))
    person.window.activateWindow()
    person.wait(person.window.isActiveWindow)
    QTest.keyClick(person.window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    palette = person.find(CommandPalette)
    field = palette.findChild(QLineEdit)
    QTest.keyClicks(field, "privacy")
    QTest.keyClick(field, Qt.Key.Key_Return)
    person.wait(lambda: person.window.findChildren(SettingsPage))
    assert person.window._pages.settings is not None
    person.window._pages.settings.close()


def test_what_the_right_button_opens_a_button_in_the_row_opens_too(person: Person) -> None:
    person.ask("Name a colour.")
    chats = person.find(QListWidget, "chatList")
    row = chats.visualItemRect(chats.item(1))
    assert "More" not in person.buttons(chats)
    QTest.mouseMove(chats.viewport(), row.center())
    person.wait(lambda: "More" in person.buttons(chats))
    person.click("More", chats)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    assert "Rename" in [action.text() for action in menu.actions()]
    menu.close()
    QTest.mouseMove(chats.viewport(), QPoint(row.center().x(), chats.viewport().height() - 2))
