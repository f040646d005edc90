"""Chats on disk for the window: a thread writes them, and what could not be written is kept and tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from converter.atomic_write import write_atomically
from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.export import as_markdown
from desktop_app.chat.folders import Folder
from desktop_app.chat.history import Deleted, Found, History, HistoryError
from desktop_app.chat.mending import Recovery
from desktop_app.ui.bridges.background import Background
from models.errors import ZhiyinError
from models.system_errors import as_zhiyin_error

_RETRY_MS = 5000


class HistoryBridge(QObject):
    """The store of chats, from the window's thread."""

    troubled = Signal(ZhiyinError)
    """Something could not be saved: the reason. It is kept and saved as soon as possible."""
    recovered = Signal()
    """Everything is saved again."""
    damaged = Signal(Recovery)
    """The file was damaged; what was saved of it."""
    unavailable = Signal(ZhiyinError)
    """The file cannot be used at all; nothing can be read or written."""

    def __init__(self, path: Path | None, parent: QObject | None = None) -> None:
        """Open the file on the thread; the first answer may take a moment."""
        super().__init__(parent)
        self._background = Background("history", self)
        self._history: History | None = None
        self._waiting: dict[tuple[str, str], Callable[[History], None]] = {}
        self._in_trouble = False
        self._retry = QTimer(self, singleShot=True, interval=_RETRY_MS)
        self._retry.timeout.connect(self.flush)
        self._background.run(lambda: self._open(path), lambda _: self._begun(), self._not_begun)

    def conversations(self, on_done: Callable[[list[Conversation]], None]) -> None:
        """Read the list of chats."""
        self._background.run(lambda: self._opened().conversations(), on_done, self._report)

    def messages(self, conversation: str, on_done: Callable[[list[Message]], None]) -> None:
        """Read a chat."""
        self._background.run(lambda: self._opened().messages(conversation), on_done, self._report)

    def search(self, words: str, on_done: Callable[[list[Found]], None]) -> None:
        """Find the chats that hold a text."""
        self._background.run(lambda: self._opened().search(words), on_done, self._report)

    def export(
        self,
        conversation: Conversation,
        path: Path,
        speakers: tuple[str, str],
        on_done: Callable[[None], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        """Write the branch of a chat that is shown into a Markdown file; `speakers` are the user and a nameless model."""

        def write() -> None:
            tree = MessageTree(self._opened().messages(conversation.id))
            leaf = conversation.leaf if conversation.leaf in tree else tree.newest_leaf()  # type: ignore[operator]
            write_atomically(path, as_markdown(conversation.title, tree.path(leaf), *speakers))

        self._background.run(write, on_done, on_failed)

    def save_conversation(self, conversation: Conversation) -> None:
        """Write a conversation's title, place and branch."""
        self._write(("conversation", conversation.id), lambda history: history.save_conversation(conversation))

    def save_message(self, message: Message) -> None:
        """Write a message."""
        self._write(("message", message.id), lambda history: history.save_message(message))

    def save_sent(self, conversation: Conversation, message: Message) -> None:
        """Write a message that was the conversation's draft until now."""
        self._write(("message", message.id), lambda history: history.save_sent(conversation, message))

    def folders(self, on_done: Callable[[list[Folder]], None]) -> None:
        """Read the folders of the list."""
        self._background.run(lambda: self._opened().folders(), on_done, self._report)

    def save_folders(self, folders: Sequence[Folder]) -> None:
        """Write folders, all that there are."""
        self._write(("folders", ""), lambda history: history.save_folders(folders))

    def delete_folder(self, folder: str) -> None:
        """Remove a folder; its chats stay."""
        self._write(("folder", folder), lambda history: history.delete_folder(folder))

    def save_step(self, message: Message) -> None:
        """Write a step of an assistant, after all that waits; for other threads than the window's.

        Raises:
            HistoryError: it is not on the disk.
        """

        def write() -> None:
            self._save_waiting()
            self._opened().save_step(message)

        self._background.call(write)

    def delete(self, conversation: str) -> None:
        """Take a chat off the list."""
        self._write(("deleted", conversation), lambda history: history.delete(conversation))

    def restore(self, conversation: str) -> None:
        """Bring a deleted chat back."""
        self._write(("deleted", conversation), lambda history: history.restore(conversation))

    def trash(self, on_done: Callable[[list[Deleted]], None]) -> None:
        """Read which chats are in the trash."""
        self._background.run(lambda: self._opened().trash(), on_done, self._report)

    def forget(self, conversations: Sequence[str]) -> None:
        """Delete chats of the trash for good."""
        self._write(("forgotten", "".join(conversations)), lambda history: history.forget(conversations))

    def flush(self) -> None:
        """Try again what could not be written."""
        self._background.run(self._save_waiting, lambda _: self._settled(), self._failed)

    def wait(self) -> None:
        """Return when all that was asked for so far is done."""
        self._background.wait()

    def close(self) -> None:
        """Write what waits and close the file."""

        def finish() -> None:
            try:
                self._save_waiting()
            finally:
                self._opened().close()

        self._background.run(finish)
        self._background.close()

    def _open(self, path: Path | None) -> None:
        self._history = History(path)

    def _begun(self) -> None:
        if self._history is not None and self._history.recovery is not None:
            self.damaged.emit(self._history.recovery)

    def _not_begun(self, error: Exception) -> None:
        if not isinstance(error, ZhiyinError):
            raise error
        self.unavailable.emit(error)

    def _opened(self) -> History:
        if self._history is None:
            raise HistoryError("The chats could not be opened; start Zhiyin again.")
        return self._history

    def _write(self, key: tuple[str, str], write: Callable[[History], None]) -> None:
        def remember() -> None:
            self._waiting[key] = write  # a newer version of the same thing takes the older one's place
            self._save_waiting()

        self._background.run(remember, lambda _: self._settled(), self._failed)

    def _save_waiting(self) -> None:
        for key in list(self._waiting):
            self._waiting[key](self._opened())
            del self._waiting[key]

    def _settled(self) -> None:
        if self._in_trouble:
            self._in_trouble = False
            self.recovered.emit()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, HistoryError):
            raise error
        self._retry.start()
        if not self._in_trouble:
            self._in_trouble = True
            self.troubled.emit(as_zhiyin_error(error))

    def _report(self, error: Exception) -> None:
        self.troubled.emit(as_zhiyin_error(error))
