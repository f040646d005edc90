"""Work beside the window's thread."""

from __future__ import annotations

import threading

from PySide6.QtWidgets import QApplication

from desktop_app.ui.bridges.background import Background
from tests.support.window import run_events


def test_nothing_is_delivered_after_the_end(application: QApplication) -> None:
    background, done, delivered = Background("test"), threading.Event(), []
    background.run(lambda: 1, delivered.append)
    background.run(done.set)
    assert done.wait(10)
    background.close()
    run_events(20)
    assert delivered == []
