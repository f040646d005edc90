"""A text cursor that nobody types at stops blinking, and blinks again with the next key."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit

from desktop_app.ui.widgets import cursor_rest
from desktop_app.ui.widgets.cursor_rest import CursorRest
from tests.support.window import run_events


def test_it_rests_until_something_is_typed(application: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursor_rest, "_BLINKS_MS", 1)
    hints = QGuiApplication.styleHints()
    usual = hints.cursorFlashTime()
    assert usual > 0
    field = QLineEdit()
    field.show()
    field.activateWindow()
    field.setFocus()
    rest = CursorRest(application)
    try:
        for _ in range(1000):
            if hints.cursorFlashTime() == 0:
                break
            run_events(5)
        assert hints.cursorFlashTime() == 0
        rest._pause.setInterval(60_000)
        QTest.keyClick(field, "a")
        assert (field.text(), hints.cursorFlashTime()) == ("a", usual)
    finally:
        rest.deleteLater()
        QApplication.setCursorFlashTime(usual)
        field.close()
