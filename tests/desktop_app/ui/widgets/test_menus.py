"""Buttons with menus: none stays lit when its menu is closed elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QApplication, QMenu, QToolButton

import desktop_app.ui
from desktop_app.ui.widgets.menus import light_only_under_pointer
from tests.support.window import run_events

UI = Path(desktop_app.ui.__file__).parent


def test_a_button_is_not_lit_after_its_menu_was_closed_elsewhere(application: QApplication) -> None:
    button = QToolButton()
    button.resize(40, 30)
    menu = QMenu(button)
    menu.addAction("One")
    light_only_under_pointer(button, menu)
    button.show()
    QCursor.setPos(button.mapToGlobal(QPoint(400, 300)))
    button.setAttribute(Qt.WidgetAttribute.WA_UnderMouse)
    menu.popup(button.mapToGlobal(QPoint(0, 30)))
    run_events(20)
    assert button.underMouse(), "as Qt leaves it"
    menu.hide()
    run_events(20)
    assert not button.underMouse()


def _has_menu(file: Path) -> bool:
    return any(call in file.read_text("utf-8") for call in ("self.setMenu(", "menu.popup("))


@pytest.mark.parametrize("file", filter(_has_menu, UI.rglob("*.py")))
def test_every_button_with_a_menu_is_looked_after(file: Path) -> None:
    text = file.read_text("utf-8")
    calls = text.count("self.setMenu(") + text.count("menu.popup(self.") - text.count("menu.popup(self._list")
    assert text.count("light_only_under_pointer(") == calls
