"""Chats from other programs, and everything as one file and back: done in the background, and said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.ui.bridges.history_bridge import HistoryBridge
from desktop_app.ui.chat.chat_session import ChatSession
from desktop_app.ui.i18n.formats import number
from desktop_app.ui.i18n.sentences import paragraph, translated

if TYPE_CHECKING:
    from desktop_app.chat.imports.work import Imported


class TransferController(QObject):
    """One piece of work at a time; what came of it is one sentence."""

    progressed = Signal(float)
    """How much is done, 0 to 1."""
    ended = Signal(str, bool)
    """What came of it, and whether it went well."""

    def __init__(self, chats: ChatSession, history: HistoryBridge, parent: QObject | None = None) -> None:
        """Work on all chats."""
        super().__init__(parent)
        self._chats, self._history = chats, history

    def add_chats(self, path: Path) -> None:
        """Import the chats of another program."""
        self._chats.list.add_from(path, self.progressed.emit, self._added, self._failed)

    def back_up(self, target: Path) -> None:
        """Write everything into one file."""
        self._chats.replies.keep()

        def done(_: None) -> None:
            self.ended.emit(self.tr("Everything but the models is in {file} now.").format(file=target), True)

        self._history.back_up(target, self.progressed.emit, done, self._failed)

    def restore(self, backup: Path) -> None:
        """Lay a backup ready: it takes its place at the next start, and what it replaces is put aside."""

        def done(_: None) -> None:
            self.ended.emit(
                self.tr(
                    "The backup is ready. Close Zhiyin and start it again: then its chats, settings and documents are "
                    "there, and those of now are put aside in a folder."
                ),
                True,
            )

        self._history.prepare_restore(backup, self.progressed.emit, done, self._failed)

    def _added(self, imported: Imported) -> None:
        sentences = [self.tr("{count} chats were imported.").format(count=number(imported.added, 0))]
        if imported.present:
            sentences.append(self.tr("{count} were here before.").format(count=number(imported.present, 0)))
        if imported.unreadable:
            sentences.append(
                self.tr("{count} are damaged and were left out.").format(count=number(imported.unreadable, 0))
            )
        self.ended.emit(paragraph(sentences), True)

    def _failed(self, error: Exception) -> None:
        self.ended.emit(translated(error), False)
