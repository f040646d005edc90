"""Python's garbage collection at moments when nobody notices: a full one takes longer than a frame."""

from __future__ import annotations

import gc

from PySide6.QtCore import QTimer

from desktop_app.ui.chat_session import ChatSession

_NEVER = 1_000_000
_PAUSE_MS = 1000


def collect_in_pauses(chats: ChatSession) -> None:
    """Leave what was made until now alone for good, and look through the rest after a reply or when a chat was opened."""
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    pause = QTimer(chats, singleShot=True, interval=_PAUSE_MS)
    pause.timeout.connect(lambda: None if chats.busy else gc.collect())
    chats.busy_changed.connect(lambda busy: None if busy else pause.start())
    chats.opened.connect(pause.start)
