"""Runs Python's garbage collection while the window is idle: a full collection takes longer than a frame."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication

if TYPE_CHECKING:
    from desktop_app.ui.chat.chat_session import ChatSession

_NEVER = 1_000_000
_MANY = 200
"""Collections of young objects, after which a full one is due."""
_PAUSE_MS = 1000


def collect_in_pauses(chats: ChatSession) -> None:
    """Leave what was made until now alone for good, and look through the rest while another program is used.

    A user who never leaves the window has it done a second after a reply, when it is due.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    pause = QTimer(chats, singleShot=True, interval=_PAUSE_MS)
    pause.timeout.connect(lambda: gc.collect() if gc.get_count()[2] > _MANY and not chats.replies.busy else None)
    chats.replies.busy_changed.connect(lambda busy: None if busy else pause.start())
    application = QGuiApplication.instance()
    if isinstance(application, QGuiApplication):
        application.applicationStateChanged.connect(
            lambda state: None if state == Qt.ApplicationState.ApplicationActive else gc.collect()
        )
