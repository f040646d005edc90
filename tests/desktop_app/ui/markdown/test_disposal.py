"""Long replies that are shown no more go a little at a time."""

from __future__ import annotations

import pytest
import shiboken6
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_app.ui.markdown import disposal
from desktop_app.ui.markdown.disposal import Disposal
from desktop_app.ui.markdown.view import MarkdownView
from tests.support.window import run_events, run_until

pytestmark = pytest.mark.usefixtures("application")


def message(tables: int) -> tuple[QWidget, MarkdownView]:
    widget, view = QWidget(), MarkdownView()
    QVBoxLayout(widget).addWidget(view)
    view.set_text("| a |\n|---|\n| 1 |\n\nwords\n\n" * tables)
    while view.is_building:
        run_events(5)
    return widget, view


def test_a_long_reply_is_deleted_over_several_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disposal, "_AT_ONCE", 9)
    monkeypatch.setattr(disposal, "_PAUSE_MS", 60_000)
    widget, view = message(10)
    keeper = QObject()
    gone = Disposal(keeper)
    gone.take(widget)
    assert widget.isHidden()
    counts = [view.part_count]
    while gone._waiting:
        gone._go_on()
        counts.append(view.part_count)
    assert counts == [20, 11, 2, 0]
    run_events(20)
    assert not shiboken6.isValid(widget)


def test_many_short_ones_are_deleted_over_several_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disposal, "_PAUSE_MS", 60_000)
    keeper = QObject()
    gone = Disposal(keeper)
    widgets = [message(1)[0] for _ in range(2 * disposal._MESSAGES)]
    for widget in widgets:
        gone.take(widget)
    gone._go_on()
    run_events(20)
    assert sum(map(shiboken6.isValid, widgets)) == disposal._MESSAGES
    assert gone.is_busy
    gone._go_on()
    assert not gone.is_busy


def test_a_short_one_goes_in_the_next_turn() -> None:
    widget, _ = message(1)
    keeper = QObject()
    gone = Disposal(keeper)
    gone.take(widget)
    run_until(lambda: not shiboken6.isValid(widget))
    assert not gone.is_busy
