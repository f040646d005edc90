"""What is typed and not sent is stored at every pause: nothing else would save it from a power cut."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

from desktop_app.ui.chat.chat_session import ChatSession

_PAUSE_MS = 1500


class DraftController(QObject):
    """Stores the draft of the open chat."""

    def __init__(self, chats: ChatSession, text: Callable[[], str], parent: QObject | None = None) -> None:
        """`text` returns what is typed now."""
        super().__init__(parent)
        self._chats = chats
        self._text = text
        self._pause = QTimer(self, singleShot=True, interval=_PAUSE_MS)
        self._pause.timeout.connect(self.keep)

    def edited(self) -> None:
        """Store the draft as soon as nothing was typed for a while."""
        self._pause.start()

    def keep(self) -> None:
        """Store the draft now."""
        self._pause.stop()
        self._chats.save_draft(self._text())
