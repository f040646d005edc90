"""The window without a mouse: Tab reaches everything, what has the keyboard shows it, shortcuts work."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QKeySequenceEdit, QLineEdit, QListWidget, QWidget

from desktop_app.ui.chat.composer import Composer
from desktop_app.ui.chat.sidebar import Sidebar
from desktop_app.ui.settings.settings_page import SettingsPage
from desktop_app.ui.settings.shortcuts_page import KeysPage
from tests.support.window import Person, run_events


def picture(person: Person) -> QImage:
    return person.window.grab().toImage()


def name(widget: QWidget) -> str:
    return widget.accessibleName() or getattr(widget, "text", lambda: "")() or widget.objectName()


def walk(person: Person) -> dict[str, QWidget]:
    """Press Tab until it has been all around."""
    found: dict[str, QWidget] = {}
    for _ in range(60):
        QTest.keyClick(QApplication.focusWidget() or person.window, Qt.Key.Key_Tab)
        widget = QApplication.focusWidget()
        assert widget is not None
        if widget in found.values():
            break
        found[name(widget)] = widget
    return found


def test_tab_reaches_everything_and_shows_where_it_is(person: Person) -> None:
    person.ask("Name one colour.")
    person.window.activateWindow()
    person.editor.setFocus()
    stops = walk(person)
    wanted = {
        *("New chat", "Chats", "Settings", "Show or hide the chats", "Model: SmolLM2-135M-Instruct"),
        *("Copy", "Edit", "Answer again", "Message"),
    }
    assert wanted - set(stops) == set()
    unseen = []
    for title, widget in stops.items():
        widget.setFocus(Qt.FocusReason.TabFocusReason)
        run_events(20)
        focused = picture(person)
        widget.clearFocus()
        run_events(20)
        if focused == picture(person):
            unseen.append(title)
    assert unseen == []


def test_shortcuts(person: Person) -> None:
    person.ask("Name one colour.")
    person.window.activateWindow()
    QTest.keyClick(person.window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert person.messages == []
    assert person.editor.hasFocus()
    QTest.keyClick(person.window, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    assert person.find(Sidebar).isHidden()
    QTest.keyClick(person.window, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    person.find(QListWidget, "chatList").setFocus()
    QTest.keyClick(person.find(QListWidget, "chatList"), Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    assert person.find(Composer).isAncestorOf(QApplication.focusWidget())
    QTest.keyClick(person.window, Qt.Key.Key_Comma, Qt.KeyboardModifier.ControlModifier)
    assert person.find(SettingsPage).isVisible()
    person.find(SettingsPage).close()


def test_the_list_of_keys_names_every_shortcut(person: Person) -> None:
    person.window.activateWindow()
    QTest.keyClick(person.window, Qt.Key.Key_F1)
    page = person.find(KeysPage)
    person.wait(page.isVisible)
    listed = {field.keySequence().toString() for field in page.findChildren(QKeySequenceEdit)}
    shortcuts = {shortcut.key().toString() for shortcut in person.window.findChildren(QShortcut)}
    assert shortcuts - listed == set()
    person.find(SettingsPage).close()


def test_a_chat_is_opened_with_the_keyboard(person: Person) -> None:
    person.ask("First")
    person.window.new_chat()
    person.ask("Second")
    chats = person.find(QListWidget, "chatList")
    chats.setFocus()
    QTest.keyClick(chats, Qt.Key.Key_Down)
    QTest.keyClick(chats, Qt.Key.Key_Return)
    person.wait(lambda: person.messages and person.messages[0][1] == "First")


def test_chats_are_searched_with_the_keyboard(person: Person) -> None:
    person.ask("Tell me of 明月")
    person.window.new_chat()
    person.ask("Second")
    person.window.activateWindow()
    search = person.find(QLineEdit, "chatSearch")

    def press(key: Qt.Key) -> None:
        QTest.keyClick(QApplication.focusWidget(), key)

    everywhere = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(person.editor, Qt.Key.Key_F, everywhere)
    assert search.hasFocus()
    search.setText("明月")
    person.wait(lambda: person.titles == ["Tell me of 明月"])
    press(Qt.Key.Key_Return)
    person.wait(lambda: person.messages[0][1] == "Tell me of 明月")
    search.setText("nothing like it")
    person.wait(lambda: "No chat has these words." in person.sentences())
    search.setFocus()
    press(Qt.Key.Key_Escape)
    assert len(person.titles) == 2
    assert person.editor.hasFocus()
    search.setText("second")
    person.wait(lambda: person.titles == ["Second"])
    search.setFocus()
    press(Qt.Key.Key_Down)
    press(Qt.Key.Key_Return)
    person.wait(lambda: person.messages[0][1] == "Second")
    person.window.new_chat()
    assert len(person.titles) == 2


def test_escape_stops_the_reply(person: Person) -> None:
    person.services.settings.max_tokens = 0
    person.send("Write a long story about a fox.")
    person.wait(lambda: person.messages[-1][1])
    QTest.keyClick(person.window, Qt.Key.Key_Escape)
    person.wait(lambda: not person.busy)
    assert person.services.chats.list.path[-1].state == "stopped"
