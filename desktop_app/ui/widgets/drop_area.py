"""Files dropped on a window, and the words over it while they are held there."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QLabel, QWidget

_MARGIN = 12


class DropArea(QLabel):
    """Lies over a widget while files are held above it."""

    dropped = Signal(list)
    """Paths of files and folders."""

    def __init__(self, below: QWidget) -> None:
        """Take what is dropped on a widget."""
        super().__init__(below, alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self._below = below
        self.setObjectName("dropHint")
        self.setMargin(24)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()
        below.setAcceptDrops(True)
        below.installEventFilter(self)
        self._retranslate()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        """Follow what is dragged over the widget."""
        if isinstance(event, QDragEnterEvent):
            return self._entered(event)
        if event.type() == QEvent.Type.DragLeave:
            self.hide()
        elif isinstance(event, QDropEvent) and event.type() == QEvent.Type.Drop:
            self.hide()
            event.acceptProposedAction()
            self.dropped.emit([url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()])
            return True
        return False

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _entered(self, event: QDragEnterEvent) -> bool:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()
            self.setGeometry(self._below.rect().adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN))
            self.raise_()
            self.show()
        return True

    def _retranslate(self) -> None:
        self.setText(
            self.tr(
                "Drop a text file to talk about it, or a model: a GGUF file, a checkpoint to convert, a LoRA adapter to merge"
            )
        )
