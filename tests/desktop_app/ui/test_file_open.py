"""What a double click on a file is on a Mac."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QUrl
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtWidgets import QApplication

from desktop_app.ui.file_open import FileOpen


def test_the_file_of_an_event_is_asked_for(application: QApplication, tmp_path: Path) -> None:
    listener, asked = FileOpen(application), []
    listener.asked.connect(asked.append)
    path = tmp_path / "模型 a.gguf"
    try:
        QApplication.sendEvent(application, QEvent(QEvent.Type.User))
        QApplication.sendEvent(application, QFileOpenEvent(str(path)))
        QApplication.sendEvent(application, QFileOpenEvent(QUrl.fromLocalFile(str(path))))
    finally:
        application.removeEventFilter(listener)
    assert asked == [str(path), str(path)]
