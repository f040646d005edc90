"""Files that the user drops, pastes or names: models for the library, checkpoints to convert, adapters, texts for the message."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from converter.checkpoint.adapter_folder import is_adapter
from desktop_app.chat.attachment import TEXT, Attachment
from desktop_app.documents import kinds
from desktop_app.ui.bridges.documents_bridge import DocumentsBridge
from desktop_app.ui.bridges.library_bridge import LibraryBridge

if TYPE_CHECKING:
    from desktop_app.documents.document import Document

_EXTRACTED = (kinds.PDF, kinds.WORD, kinds.SLIDES, kinds.SHEETS, kinds.EPUB, kinds.HTML)
"""Kinds of documents that a library reads; the others are texts as they are."""


class ImportController(QObject):
    """Finds out what files are, and says where each belongs."""

    text_found = Signal(Attachment)
    """A file's text, for the message."""
    text_too_large = Signal(str)
    document_failed = Signal(Exception)
    """A document holds no text that can be read; the error says why."""
    adapter_found = Signal(Path)
    conversion_asked = Signal(object)
    """An `InstallRequest`."""

    def __init__(self, library: LibraryBridge, documents: DocumentsBridge, parent: QObject | None = None) -> None:
        """`library` takes finished models; the last good one is loaded. `documents` reads documents."""
        super().__init__(parent)
        self._library = library
        self._documents = documents

    def take(self, paths: Sequence[str]) -> None:
        """Send each file or folder where it belongs."""
        from desktop_app.documents.kinds import kind_of
        from desktop_app.library.install import InstallRequest
        from desktop_app.library.installed import finished_models

        for path in map(Path, paths):
            if kind_of(path) in _EXTRACTED and path.is_file():
                self._read(path)
                continue
            if self._is_text(path):
                continue
            if is_adapter(path):
                self.adapter_found.emit(path)
            elif files := finished_models(path):
                for file in files:
                    self._library.import_file(file)
            else:
                self.conversion_asked.emit(InstallRequest(path))

    def _read(self, path: Path) -> None:
        """Have a document read; its text goes into the message."""

        def read(document: Document) -> None:
            from desktop_app.documents.document import left_out, no_text, without_text
            from desktop_app.documents.kinds import kind_of
            from desktop_app.documents.message_text import message_text

            text = message_text(document)
            if document.scanned or not text:
                self.document_failed.emit(without_text(path) if document.scanned else no_text(path))
                return
            if document.cut:
                self.document_failed.emit(left_out(path, document))
            self.text_found.emit(Attachment(path.name, text, kind_of(path) or TEXT, path=str(path.resolve())))

        self._documents.extract(path, read, self.document_failed.emit)

    def _is_text(self, path: Path) -> bool:
        from desktop_app.chat.text_file import TextTooLarge, read_text_file
        from desktop_app.documents.kinds import kind_of

        try:
            text = read_text_file(path)
        except TextTooLarge:
            self.text_too_large.emit(path.name)
            return True
        if text:
            self.text_found.emit(Attachment(path.name, text, kind_of(path) or TEXT, path=str(path.resolve())))
        return bool(text)
