"""Starts the window."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtGui import QGuiApplication, QIcon
from PySide6.QtWidgets import QApplication

from desktop_app.ui.fonts import use_fonts
from desktop_app.ui.garbage import collect_in_pauses
from desktop_app.ui.icons import resource_path
from desktop_app.ui.services import Services
from desktop_app.ui.window import MainWindow

_PYTHON_TURN_MS = 200
_SETTLE_MS = 300


def run(arguments: Sequence[str]) -> int:
    """Open the window, with a GGUF file if one is named, until it is closed; return the exit code."""
    application = make_application()
    window = create_window(application, Path(arguments[0]) if arguments else None)
    window.show()
    collect_in_pauses(window.services.chats)
    signal.signal(signal.SIGINT, lambda *_: window.close())
    turn = QTimer(application, interval=_PYTHON_TURN_MS)  # lets Python see Ctrl+C while Qt waits
    turn.timeout.connect(lambda: None)
    turn.start()
    return application.exec()


def make_application() -> QApplication:
    """Return the application, made on the first call."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    application = QApplication(sys.argv[:1])
    application.setApplicationName("zhiyin")
    application.setApplicationDisplayName("Zhiyin 知音")
    application.setDesktopFileName("zhiyin")
    use_fonts(application)
    QGuiApplication.setWindowIcon(QIcon(resource_path("icons", "zhiyin.svg")))
    return application


def create_window(application: QApplication, file: Path | None = None) -> MainWindow:
    """Return the main window with all that works behind it."""
    return MainWindow(Services(application, file))


def render_offscreen(path: Path) -> tuple[int, int]:
    """Draw the window into a PNG file without a screen and return its size in pixels."""
    application = make_application()
    window = create_window(application)
    window.show()
    loop = QEventLoop()
    QTimer.singleShot(_SETTLE_MS, loop.quit)
    loop.exec()
    picture = window.grab()
    picture.save(str(path))
    window.close()
    return picture.width(), picture.height()
