"""Chats on disk for the window: a thread writes them, and what could not be written is kept and tried again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.paths import data_folder
from desktop_app.ui.bridges.background import Background
from models.errors import ZhiyinError
from models.system_errors import as_zhiyin_error

if TYPE_CHECKING:
    from desktop_app.chat.folders import Folder
    from desktop_app.chat.history import Deleted, Found, History
    from desktop_app.chat.imports.work import Imported
    from desktop_app.processes.worker import Work

_RETRY_MS = 5000


class HistoryBridge(QObject):
    """The store of chats, from the window's thread."""

    troubled = Signal(ZhiyinError)
    """Something could not be saved: the reason. It is kept and saved as soon as possible."""
    recovered = Signal()
    """Everything is saved again."""
    damaged = Signal(object)
    """The file was damaged; what was saved of it: a `Recovery`."""
    unavailable = Signal(ZhiyinError)
    """The file cannot be used at all; nothing can be read or written."""

    def __init__(self, path: Path | None, parent: QObject | None = None) -> None:
        """`begin` opens the file, on the thread; what is asked before is answered then."""
        super().__init__(parent)
        self._path = path
        self._background = Background("history", self)
        self._long = Background("transfer", self)
        """Imports and backups: what is typed meanwhile is saved all the same."""
        self._stop = threading.Event()
        self._history: History | None = None
        self._waiting: dict[tuple[str, str], Callable[[History], object]] = {}
        self._in_trouble = False
        self._retry = QTimer(self, singleShot=True, interval=_RETRY_MS)
        self._retry.timeout.connect(self.flush)
        self._may_begin = threading.Event()
        self._background.run(lambda: self._open(path), lambda _: self._begun(), self._not_begun)

    def begin(self) -> None:
        """Open the file."""
        self._may_begin.set()

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
        """Write the branch of a chat that is shown into a file, all of it as JSON; `speakers`: the user and a nameless model.

        The file's ending says what it is to be: Markdown, HTML, PDF or JSON.
        """

        def write() -> None:
            from converter.atomic_write import write_atomically
            from desktop_app.chat.conversation import MessageTree
            from desktop_app.chat.export import as_json, as_markdown
            from desktop_app.chat.imports.chat import Chat
            from desktop_app.ui.markdown.html import as_html, write_pdf

            messages = self._opened().messages(conversation.id)
            if path.suffix.lower() == ".json":
                write_atomically(path, as_json([Chat(conversation, tuple(messages))]))
                return
            tree = MessageTree(messages)
            leaf = conversation.leaf if conversation.leaf in tree else tree.newest_leaf()  # type: ignore[operator]
            branch = tree.path(leaf)
            if path.suffix.lower() not in (".html", ".htm", ".pdf"):
                write_atomically(path, as_markdown(conversation.title, branch, *speakers))
                return
            page = as_html(conversation.title, branch, *speakers)
            if path.suffix.lower() == ".pdf":
                write_pdf(page, path)
            else:
                write_atomically(path, page)

        self._background.run(write, on_done, on_failed)

    def add_from(
        self,
        path: Path,
        on_part: Callable[[float], None],
        on_done: Callable[[Imported], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        """Import another program's chats, in a process of its own."""
        from desktop_app.chat.imports.work import import_chats

        if self._path is not None:
            work = partial(import_chats, path=path, database=self._path)
            self._run_long(work, on_part, on_done, on_failed)

    def back_up(
        self,
        target: Path,
        on_part: Callable[[float], None],
        on_done: Callable[[None], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        """Write everything into one file."""
        from desktop_app.backup import make_backup

        self._run_long(partial(make_backup, folder=data_folder(), target=target), on_part, on_done, on_failed)

    def prepare_restore(
        self,
        backup: Path,
        on_part: Callable[[float], None],
        on_done: Callable[[None], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        """Lay a backup's files ready for the next start."""
        from desktop_app.backup import prepare_restore

        work = partial(prepare_restore, backup=backup, folder=data_folder())
        self._run_long(work, on_part, on_done, on_failed)

    def _run_long(
        self,
        work: Work[Any],
        on_part: Callable[[float], None],
        on_done: Callable[[Any], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        from desktop_app.processes.worker import in_process

        def tell(part: float) -> None:
            self._long.post(lambda: on_part(part))

        self._long.run(lambda: in_process(work, tell, self._stop), on_done, on_failed)

    def save_conversation(self, conversation: Conversation) -> None:
        """Write a conversation's title, place and branch."""
        self._write(("conversation", conversation.id), lambda history: history.save_conversation(conversation))

    def save_message(self, message: Message) -> None:
        """Write a message."""
        self._write(("message", message.id), lambda history: history.save_message(message))

    def save_sent(self, conversation: Conversation, message: Message) -> None:
        """Write a message that was the conversation's draft until now."""
        self._write(("message", message.id), lambda history: history.save_sent(conversation, message))

    def add(self, conversation: Conversation, messages: Sequence[Message]) -> None:
        """Write a whole chat."""
        self._write(("chat", conversation.id), lambda history: history.add(conversation, messages))

    def remove_message(self, message: Message) -> None:
        """Delete one message; those that followed it follow the one before it."""
        self._write(("removed", message.id), lambda history: history.remove_message(message))

    def put_back(self, message: Message, children: Sequence[str]) -> None:
        """Undo `remove_message`."""
        self._write(("removed", message.id), lambda history: history.put_back(message, children))

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
        self.begin()
        self._background.wait()

    def close(self) -> None:
        """Stop imports and backups, write what waits and close the file."""
        self.begin()
        self._stop.set()
        self._long.close()

        def finish() -> None:
            try:
                self._save_waiting()
            finally:
                self._opened().close()

        self._background.run(finish)
        self._background.close()

    def _open(self, path: Path | None) -> None:
        self._may_begin.wait()
        from desktop_app.chat.history import History

        self._history = History(path)

    def _begun(self) -> None:
        if self._history is not None and self._history.recovery is not None:
            self.damaged.emit(self._history.recovery)

    def _not_begun(self, error: Exception) -> None:
        if not isinstance(error, ZhiyinError):
            raise error
        self.unavailable.emit(error)

    def _opened(self) -> History:
        from desktop_app.chat.history import HistoryError

        if self._history is None:
            raise HistoryError("The chats could not be opened; start Zhiyin again.")
        return self._history

    def _write(self, key: tuple[str, str], write: Callable[[History], object]) -> None:
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
        from desktop_app.chat.history import HistoryError

        if not isinstance(error, HistoryError):
            raise error
        self._retry.start()
        if not self._in_trouble:
            self._in_trouble = True
            self.troubled.emit(as_zhiyin_error(error))

    def _report(self, error: Exception) -> None:
        self.troubled.emit(as_zhiyin_error(error))
