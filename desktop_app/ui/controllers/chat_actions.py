"""Actions on chats: opening, sending, deleting (which can be undone), writing one into a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from desktop_app.chat.assistants import Assistant
from desktop_app.chat.attachment import Draft
from desktop_app.library.installed_model import InstalledModel
from desktop_app.ui.controllers.drafts import DraftController
from desktop_app.ui.controllers.notices import NoticeController
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.services import Services

_DELETED = "deleted-chat"
"""The notice's topic."""


class ChatActions(QObject):
    """Acts on chats, and says what was done."""

    begun = Signal()
    """An empty chat was asked for."""
    turned = Signal()
    """Another chat was asked for: its page belongs in front."""
    model_missing = Signal(Draft)
    """A message cannot be sent, because no model is installed."""

    def __init__(
        self, services: Services, drafts: DraftController, notices: NoticeController, parent: QObject | None = None
    ) -> None:
        """Keep what is typed in `drafts` before another chat is opened."""
        super().__init__(parent)
        self._services, self._drafts, self._notices = services, drafts, notices
        self._chats = services.chats
        self._undoable: list[Callable[[], None]] = []

    def new(self) -> None:
        """Open an empty chat."""
        self._drafts.keep()
        self._chats.new()
        self.begun.emit()
        self.turned.emit()

    def open(self, conversation: str, message: str = "") -> None:
        """Open a chat of the list, at the branch of a message if one is named."""
        self._drafts.keep()
        self._chats.open(conversation, message)
        self.turned.emit()

    def new_with(self, model: InstalledModel) -> None:
        """Open an empty chat with a model."""
        self.new()  # first: a chat that is open keeps the model that it has
        self._services.choose_model(model)

    def new_with_assistant(self, assistant: Assistant | None) -> None:
        """Open an empty chat with an assistant; None: with none."""
        self.new()
        self._services.assistant_list.choose(assistant)

    def send(self, draft: Draft) -> None:
        """Send a message in the open chat."""
        library = self._services.library
        if library.is_read and not library.everywhere:
            self.model_missing.emit(draft)
        else:
            self._chats.send(draft.text, draft.attachments)

    def delete(self, conversation: str) -> None:
        """Put a chat into the trash."""
        self._drafts.keep()
        self._chats.delete(conversation)
        self._deleted(self.tr("The chat was deleted."), lambda: self._chats.restore(conversation))

    def delete_message(self, message: str) -> None:
        """Delete one message of the open chat."""
        if not self._chats.replies.busy_here:
            self._deleted(self.tr("The message was deleted."), self._chats.remove(message))

    def undo(self) -> None:
        """Bring back what was deleted last."""
        if self._undoable:
            self._notices.news.withdraw(_DELETED)
            self._undoable.pop()()

    def _deleted(self, sentence: str, undo: Callable[[], None]) -> None:
        self._undoable.append(undo)
        self._notices.news.say(sentence, (self.tr("Undo"), self.undo), kind="plain", topic=_DELETED)

    def export(self, conversation: str, path: Path) -> None:
        """Write a chat into a file, of the kind that its ending says."""
        self._chats.export(
            conversation,
            path,
            (self.tr("You"), self.tr("Assistant")),
            lambda _: self._notices.news.say(self.tr("The chat is in {file} now.").format(file=path), kind="plain"),
            lambda error: self._notices.warnings.say(
                self.tr("The chat was not exported: {reason}").format(reason=translated(error))
            ),
        )
