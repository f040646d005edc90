"""Deleting a chat, which can be undone, and writing one into a file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject

from desktop_app.ui.chat.chat_session import ChatSession
from desktop_app.ui.controllers.notices import NoticeController
from desktop_app.ui.i18n.sentences import translated


class ChatActions(QObject):
    """Acts on chats of the list, and says what was done."""

    def __init__(self, chats: ChatSession, notices: NoticeController, parent: QObject | None = None) -> None:
        """Act on `chats`."""
        super().__init__(parent)
        self._chats, self._notices = chats, notices

    def delete(self, conversation: str) -> None:
        """Take a chat off the list."""
        self._chats.delete(conversation)
        undo = (self.tr("Undo"), lambda: self._chats.restore(conversation))
        self._notices.news.say(self.tr("The chat was deleted."), undo, kind="plain")

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
