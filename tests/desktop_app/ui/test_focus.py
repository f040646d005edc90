"""After every action of the window the next key goes to the text that the user writes, and presses nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, Qt, QTimer
from PySide6.QtGui import QAction, QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QDialog,
    QLineEdit,
    QListWidget,
    QMenu,
    QPlainTextEdit,
    QWidget,
)

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
from desktop_app.paths import database_file
from desktop_app.ui.markdown.rich_text import RichText
from desktop_app.ui.window import MainWindow
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person, run_events

ANSWER = "A [link](https://example.org) and\n\n```python\nx = 1\n```\n\n" + "Some text.\n\n" * 20


@pytest.fixture
def reader(open_window: OpenWindow, data_home: object) -> Person:
    """A user with two chats; the first question and its answer have two versions each."""
    history = History(database_file())
    for title in ("Second", "First"):
        chat = Conversation(title=title)
        history.save_conversation(chat)
        for version in range(2):
            asked = Message(chat.id, None, "user", f"{title}, version {version}")
            replies = [Message(chat.id, asked.id, "assistant", ANSWER, model="M") for _ in range(2)]
            for message in (asked, *replies):
                history.save_message(message)
    history.close()
    person = open_window(max_tokens=1)
    person.window.resize(1080, 740)
    person.window.activateWindow()
    person.wait(lambda: len(person.titles) == 2)
    return person


def in_new_chat(person: Person) -> None:
    person.window.new_chat()


def in_a_chat(person: Person) -> None:
    person.window.new_chat()
    person.window._chat_actions.open(next(c.id for c in person.services.chats.list.conversations if c.title == "First"))
    person.wait(lambda: len(person.messages) == 2)
    assert len(person.widgets) == 2


def in_the_catalogue(person: Person) -> None:
    person.window.open_catalogue()
    person.wait(lambda: person.services.catalogue.overview)


def with_notices(person: Person) -> None:
    in_a_chat(person)
    person.window._notice.say("Something is wrong.", ("Try again", lambda: None))
    person.window._undo.say("Something was done.", ("Undo", lambda: None), kind="plain")
    run_events(20)


def while_editing(person: Person) -> None:
    in_a_chat(person)
    person.click("Edit")


STATES: tuple[Callable[[Person], None], ...] = (in_new_chat, in_a_chat, in_the_catalogue, with_notices, while_editing)


def buttons(window: MainWindow) -> list[QAbstractButton]:
    found = window.findChildren(QAbstractButton)
    return [one for one in found if one.isVisible() and one.isEnabled() and one.window() is window]


def label(button: QAbstractButton) -> str:
    return button.text() or button.accessibleName() or button.objectName()


def dismiss() -> None:
    """Close what an action opened in front of the window, and the settings."""
    for window in QApplication.topLevelWidgets():
        if isinstance(window, MainWindow) and window.isVisible() and window._pages.settings is not None:
            window._pages.settings.close()
    for _ in range(5):
        run_events(10)
        popup, modal = QApplication.activePopupWidget(), QApplication.activeModalWidget()
        if popup is not None:
            popup.close()
        elif isinstance(modal, QDialog):
            modal.reject()
        else:
            return


def is_text(widget: QWidget | None) -> bool:
    return isinstance(widget, (QLineEdit, QPlainTextEdit)) and not widget.isReadOnly()


def assert_next_keys_are_text(person: Person, action: str) -> None:
    run_events(5)
    person.window.activateWindow()  # as window managers do after a dialog
    run_events(25)
    focused = QApplication.focusWidget()
    assert is_text(focused), f"after {action} the focus is on {focused}"
    if focused is person.editor:
        person.editor.clear()
        QTest.keyClicks(focused, "a b")
        assert person.editor.toPlainText() == "a b", action
        person.editor.clear()


def close_popups_soon() -> None:
    for wait in (40, 120, 240):
        QTimer.singleShot(wait, lambda: (popup := QApplication.activePopupWidget()) and popup.close())


def end_replies(person: Person) -> None:
    person.services.chats.replies.stop()
    person.wait(lambda: not person.busy)


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
@pytest.mark.parametrize("state", STATES)
def test_after_every_button(reader: Person, state: Callable[[Person], None], way: str) -> None:
    state(reader)
    count = len(buttons(reader.window))
    assert count > 4
    for place in range(count):
        state(reader)
        shown = buttons(reader.window)
        if place >= len(shown):
            break
        button = shown[place]
        name = label(button)
        close_popups_soon()
        if way == "mouse":
            QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        else:
            button.setFocus(Qt.FocusReason.TabFocusReason)
            QTest.keyClick(button, Qt.Key.Key_Space)
        dismiss()
        assert_next_keys_are_text(reader, f"{name} by {way} {state.__name__}")
        end_replies(reader)
        reader.window._frame.show_sidebar(True)


@pytest.mark.parametrize("state", STATES[:3])
def test_after_every_shortcut(reader: Person, state: Callable[[Person], None]) -> None:
    shortcuts = [one for one in reader.window.findChildren(QShortcut) if one.isEnabled()]
    assert len(shortcuts) > 8
    for shortcut in shortcuts:
        state(reader)
        shortcut.activated.emit()
        dismiss()
        assert_next_keys_are_text(reader, f"{shortcut.key().toString()} {state.__name__}")


def menu_of_a_chat(person: Person) -> QMenu:
    chats = person.find(QListWidget, "chatList")
    item = next(chats.item(i) for i in range(chats.count()) if chats.item(i).text() == "Second")
    place = chats.visualItemRect(item).center()
    QTest.mouseClick(chats.viewport(), Qt.MouseButton.RightButton, pos=place)
    chats.customContextMenuRequested.emit(place)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    return menu


def test_after_every_entry_of_a_chats_menu(reader: Person) -> None:
    in_a_chat(reader)
    names = [action.text() for action in menu_of_a_chat(reader).actions() if not action.isSeparator()]
    dismiss()
    assert "Delete" in names
    for name in [None, *sorted(names, key=lambda name: name == "Delete")]:
        menu = menu_of_a_chat(reader)
        actions: dict[str, QAction] = {action.text(): action for action in menu.actions()}
        menu.close()
        if name is not None:
            actions[name].trigger()
        dismiss()
        assert_next_keys_are_text(reader, f"{name} of the menu")
        if (focused := QApplication.focusWidget()) is not reader.editor:
            QTest.keyClick(focused, Qt.Key.Key_Escape)  # a chat's name, which is given up
            assert_next_keys_are_text(reader, f"giving up {name}")


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Delete, Qt.Key.Key_Escape, Qt.Key.Key_Q])
def test_after_keys_in_the_list_of_chats(reader: Person, key: Qt.Key) -> None:
    in_a_chat(reader)
    chats = reader.find(QListWidget, "chatList")
    chats.setFocus(Qt.FocusReason.TabFocusReason)
    assert chats.hasFocus()
    QTest.keyClick(chats, key)
    if key == Qt.Key.Key_Escape:
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_A)
    else:
        assert_next_keys_are_text(reader, f"{key} in the list")
    if key == Qt.Key.Key_Q:
        assert sorted(reader.titles) == ["First", "Second"]


def test_renaming_in_the_list_gives_the_keyboard_back(reader: Person) -> None:
    in_a_chat(reader)
    QTest.keyClick(reader.editor, Qt.Key.Key_F2)
    box = QApplication.focusWidget()
    assert isinstance(box, QLineEdit)
    box.setText("Renamed")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert_next_keys_are_text(reader, "renaming")
    assert "Renamed" in reader.titles
    assert reader.editor.hasFocus()


def test_a_click_into_the_chat_leaves_the_keyboard_where_it_is(reader: Person) -> None:
    in_a_chat(reader)
    for text in reader.window.findChildren(RichText):
        if text.isVisible():
            QTest.mouseClick(text.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(4, 4))
            assert_next_keys_are_text(reader, "a click on a message")
    QTest.mouseClick(reader.window._view.viewport(), Qt.MouseButton.LeftButton)
    assert_next_keys_are_text(reader, "a click beside the messages")


def test_what_is_selected_in_the_chat_is_copied(reader: Person) -> None:
    in_a_chat(reader)
    first, last = [text for text in reader.window.findChildren(RichText) if text.isVisible()][:2]
    for text in (last, first):
        QTest.mouseDClick(text.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(4, 8))
    assert first.textCursor().selectedText()
    assert not last.textCursor().hasSelection(), "one selection at a time"
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == first.textCursor().selectedText()


def test_pages_are_turned_while_writing(reader: Person) -> None:
    in_a_chat(reader)
    bar = reader.window._view.verticalScrollBar()
    reader.wait(lambda: bar.maximum() > 0 and bar.value() == bar.maximum())
    QTest.keyClick(reader.editor, Qt.Key.Key_PageUp)
    assert bar.value() < bar.maximum()
    assert reader.editor.hasFocus()


def test_letters_reach_the_message_from_wherever_tab_went(reader: Person) -> None:
    for state in (in_new_chat, in_a_chat, with_notices):
        state(reader)
        stops = [one for one in reader.window.findChildren(QWidget) if one.focusPolicy() & Qt.FocusPolicy.TabFocus]
        for stop in stops:
            if stop.isVisible() and stop.isEnabled() and not is_text(stop) and stop.window() is reader.window:
                stop.setFocus(Qt.FocusReason.TabFocusReason)
                QTest.keyClick(stop, Qt.Key.Key_X)
                assert reader.editor.toPlainText() == "x", f"from {stop} {state.__name__}"
                reader.editor.clear()


def test_a_suggestion_sends_and_leaves_the_keyboard_to_the_message(reader: Person) -> None:
    in_new_chat(reader)
    reader.click("Give me three ideas for a quick dinner.")
    assert_next_keys_are_text(reader, "a suggestion")
    reader.wait(lambda: not reader.busy)
    assert_next_keys_are_text(reader, "its reply")


def test_editing_and_sending_gives_the_keyboard_back(reader: Person) -> None:
    while_editing(reader)
    box = QApplication.focusWidget()
    assert is_text(box)
    assert box is not reader.editor
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert_next_keys_are_text(reader, "an edited message")
    assert reader.editor.hasFocus()


class _Windows(QObject):
    """Notes what is shown as a window of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        if event.type() == QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
            self.shown.append(repr(watched))
        return False


def test_no_part_of_a_chat_is_shown_as_a_window(person: Person) -> None:
    """Such a window flashes, and takes the keyboard along when it becomes a part."""
    windows, application = _Windows(), QApplication.instance()
    assert application is not None
    application.installEventFilter(windows)
    try:
        first = person.services.chats.list.current.id
        person.ask("Name one colour.")
        person.click("Answer again")
        person.wait(lambda: not person.busy)
        person.window.new_chat()
        person.ask("Another one?")
        person.services.chats.open(first)
        person.wait(lambda: person.messages[0][1] == "Name one colour.")
    finally:
        application.removeEventFilter(windows)
    assert windows.shown == []
