"""The whole tree of every page and dialog: what can be used has a name, a role, and is reached with the keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QHeaderView,
    QKeySequenceEdit,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QWidget,
)

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
from desktop_app.paths import database_file
from desktop_app.ui.settings.sections import SECTIONS
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.show_dialogs import dialogs
from tests.support.window import Person, run_events

USED = (
    QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QKeySequenceEdit, QLineEdit, QPlainTextEdit,
)  # fmt: skip
WITH_THE_MOUSE_ONLY = {
    "Clear",  # a line's own; its text is selected and deleted
    "More",  # the menu key opens the same
}
"""Names of buttons that do what keys do elsewhere."""
ANSWER = "A [link](https://example.org), $x^2$ and\n\n```python\nx = 1\n```\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"


@pytest.fixture
def reader(open_window: OpenWindow, data_home: object) -> Person:
    """A user with a chat."""
    history = History(database_file())
    chat = Conversation(title="Tea")
    history.save_conversation(chat)
    asked = Message(chat.id, None, "user", "A question")
    for message in (asked, Message(chat.id, asked.id, "assistant", f"<think>Hm.</think>{ANSWER}", model="M")):
        history.save_message(message)
    history.close()
    person = open_window()
    person.window.activateWindow()
    person.wait(lambda: person.titles and person.model_state == "ready")
    return person


def used(root: QWidget) -> Iterator[QWidget]:
    """Yield what can be used in a window: no part of another such widget."""
    for widget in root.findChildren(QWidget):
        if not isinstance(widget, USED) or isinstance(widget, (QScrollBar, QHeaderView)) or not widget.isVisible():
            continue
        parent = widget.parentWidget()
        inside = isinstance(parent, (QAbstractSpinBox, QComboBox, QKeySequenceEdit, QLineEdit, QAbstractItemView))
        if widget.window() is root and not inside and widget.objectName() != "qt_spinbox_lineedit":
            yield widget


def name_of(widget: QWidget) -> str:
    interface = QAccessible.queryAccessibleInterface(widget)
    return str(interface.text(QAccessible.Text.Name)) if interface is not None else ""


def faults(root: QWidget) -> list[str]:
    found = []
    for widget in used(root):
        what = f"{type(widget).__name__} {widget.objectName()!r} at {widget.mapTo(root, QPoint(0, 0))}"
        interface, name = QAccessible.queryAccessibleInterface(widget), name_of(widget)
        if not name.strip():
            found.append(f"{what} has no name")
        if interface.role() == QAccessible.Role.NoRole:
            found.append(f"{what} has no role")
        read_only = isinstance(widget, QPlainTextEdit) and widget.isReadOnly()
        if not read_only and name not in WITH_THE_MOUSE_ONLY and not widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            found.append(f"{what} ({name}) is not reached with the keyboard")
    return found


def pages(person: Person) -> Iterator[str]:
    """Show each page and state; yield its name."""
    window = person.window
    window.new_chat()
    yield "welcome"
    window._chat_actions.open(person.services.chats.list.conversations[0].id)
    person.wait(lambda: len(person.messages) == 2 and len(person.widgets) == 2)
    yield "chat"
    window._pages.finder.begin("link")
    window._toggle_panel()
    run_events(50)
    yield "find and panel"
    window._toggle_panel()
    person.click("Edit")
    yield "editing"
    window._notice.say("Something is wrong.", ("Try again", lambda: None))
    yield "notice"
    window.open_comparison()
    yield "comparison"
    window.open_catalogue()
    person.wait(lambda: person.services.catalogue.overview)
    yield "models"
    for section in SECTIONS:
        window.open_settings(section)
        run_events(30)
        yield f"settings {section}"


def test_every_page_has_names_roles_and_keys(reader: Person) -> None:
    wrong = {}
    for page in pages(reader):
        assert len(list(used(reader.window))) > 8, page
        if found := faults(reader.window):
            wrong[page] = found
    assert wrong == {}


def test_every_dialog_has_names_roles_and_keys(reader: Person, tmp_path: Path) -> None:
    wrong = {}
    for name, show in dialogs(reader.window, tmp_path).items():
        dialog = show()
        run_events(30)
        if found := faults(dialog):
            wrong[name] = found
        dialog.close()
    assert wrong == {}


def test_tab_reaches_everything_on_a_page_and_comes_back(reader: Person) -> None:
    window = reader.window
    window.open_settings("network")
    run_events(30)
    wanted = {
        widget
        for widget in used(window)
        if widget.isEnabled() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus and not isinstance(widget, QDialog)
    }
    reached: set[QWidget] = set()
    for _ in range(3 * len(wanted)):
        window.focusNextPrevChild(True)
        focused = QApplication.focusWidget()
        assert focused is not None
        reached |= {widget for widget in wanted if widget is focused or widget.isAncestorOf(focused)}
    assert {name_of(widget) or type(widget).__name__ for widget in wanted - reached} == set()


def test_a_chat_is_told_in_the_order_of_reading(reader: Person) -> None:
    reader.window._chat_actions.open(reader.services.chats.list.conversations[0].id)
    reader.wait(lambda: len(reader.messages) == 2 and len(reader.widgets) == 2)
    told: list[str] = []

    def walk(interface: QAccessible | None) -> None:
        for index in range(interface.childCount()):
            child = interface.child(index)
            if child is not None and child.isValid():
                told.append(child.text(QAccessible.Text.Name))
                walk(child)

    walk(QAccessible.queryAccessibleInterface(reader.window._view))
    who = [name for name in told if name in ("You wrote", "M wrote")]
    assert who == ["You wrote", "M wrote"]
