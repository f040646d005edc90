"""Deleting a chat, which can be undone, and writing one into a file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject

from desktop_app.ui.chat.chat_session import ChatSession
from desktop_app.ui.controllers.notices import NoticeController
from desktop_app.ui.i18n.sentences import translated

_DELETED = "deleted-chat"
"""The notice's topic."""


class ChatActions(QObject):
    """Acts on chats of the list, and says what was done."""

    def __init__(self, chats: ChatSession, notices: NoticeController, parent: QObject | None = None) -> None:
        """Act on `chats`."""
        super().__init__(parent)
        self._chats, self._notices = chats, notices
        self._undoable: list[str] = []

    def delete(self, conversation: str) -> None:
        """Put a chat into the trash."""
        self._chats.delete(conversation)
        self._undoable.append(conversation)
        undo = (self.tr("Undo"), self.undo)
        self._notices.news.say(self.tr("The chat was deleted."), undo, kind="plain", topic=_DELETED)

    def undo(self) -> None:
        """Bring back the chat that was deleted last."""
        if self._undoable:
            self._notices.news.withdraw(_DELETED)
            self._chats.restore(self._undoable.pop())

    def export(self, conversation: str, path: Path) -> None:
        """Write a chat into a Markdown file."""
        self._chats.export(
            conversation,
            path,
            (self.tr("You"), self.tr("Assistant")),
            lambda _: self._notices.news.say(self.tr("The chat is in {file} now.").format(file=path), kind="plain"),
            lambda error: self._notices.warnings.say(
                self.tr("The chat was not exported: {reason}").format(reason=translated(error))
            ),
        )
