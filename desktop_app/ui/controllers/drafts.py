"""Drafts of messages: stored at every pause, or a power cut would take it, and shown with its chat."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import QObject, QTimer

from desktop_app.chat.attachment import Draft
from desktop_app.ui.chat.chat_session import ChatSession

_PAUSE_MS = 1500


class Writing(Protocol):
    """Where messages are written, such as `ui.chat.composer.Composer`."""

    @property
    def draft(self) -> Draft:
        """The current draft."""
        ...

    def set_draft(self, draft: Draft) -> None:
        """Replace it."""
        ...


class DraftController(QObject):
    """Stores the draft of the open chat, and shows that of a chat that is opened."""

    def __init__(self, chats: ChatSession, writing: Writing, parent: QObject | None = None) -> None:
        """Follow `chats`; whoever has `writing` calls `edited`."""
        super().__init__(parent)
        self._chats, self._writing = chats, writing
        self._shown = chats.list.current.id
        self._pause = QTimer(self, singleShot=True, interval=_PAUSE_MS)
        self._pause.timeout.connect(self.keep)
        chats.list.opened.connect(self._opened)
        chats.list.draft_found.connect(self._found)

    def edited(self) -> None:
        """Store the draft as soon as nothing was typed for a while."""
        self._pause.start()

    def keep(self) -> None:
        """Store the draft now."""
        self._pause.stop()
        self._chats.list.save_draft(self._writing.draft)

    def _opened(self) -> None:
        """Show the draft of another chat; another branch of the same one leaves what is being written alone."""
        if self._chats.list.current.id != self._shown:
            self._shown = self._chats.list.current.id
            self._writing.set_draft(self._chats.list.current.unsent)

    def _found(self, draft: Draft) -> None:
        """Put what was written the last time before what is written already."""
        self._shown, now = self._chats.list.current.id, self._writing.draft
        self._writing.set_draft(Draft(draft.text + now.text, (*draft.attachments, *now.attachments)))
