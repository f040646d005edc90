"""A box of code: language, Copy button, colours, and a scroll bar for long lines."""

from __future__ import annotations

import functools

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QColor, QGuiApplication, QTextCharFormat, QTextCursor, QTextLayout, QWheelEvent
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget
from shiboken6 import isValid

from desktop_app.ui.bridges.background import Background
from desktop_app.ui.chat.message_edit import text_height
from desktop_app.ui.markdown.highlight import Range, highlight
from desktop_app.ui.markdown.selection import SELECTION
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.fonts import monospace_families
from desktop_app.ui.widgets.icons import IconButton

_HIGHLIGHT_MS = 150
_COPIED_MS = 1500


@functools.cache
def _highlighter() -> Background:
    return Background("highlight", QApplication.instance())


class CodeBox(QFrame):
    """Shows one block of code."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin empty."""
        super().__init__(parent)
        self.setObjectName("codeBox")
        self._code, self._language = "", ""
        self._title = QLabel()
        self._title.setObjectName("codeLanguage")
        self._copy = IconButton("copy", size=16)
        self._copy.clicked.connect(self._copy_code)
        self._text = _CodeText()
        header = QHBoxLayout()
        header.setContentsMargins(12, 4, 6, 0)
        header.addWidget(self._title)
        header.addStretch()
        header.addWidget(self._copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(header)
        layout.addWidget(self._text)
        self._timer = QTimer(self, singleShot=True, interval=_HIGHLIGHT_MS)
        self._timer.timeout.connect(self._highlight)
        self._retranslate()

    def set_code(self, code: str, language: str) -> None:
        """Show code; one that grew is only appended to."""
        if code == self._code and language == self._language:
            return
        self._title.setText(language or self.tr("code"))
        if code.startswith(self._code):
            self._text.append_text(code[len(self._code) :])
        else:
            self._text.setPlainText(code)
            self._text.fit()
        self._code, self._language = code, language
        if not self._timer.isActive():
            self._timer.start()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the theme and the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()
        elif event.type() == QEvent.Type.PaletteChange and self._code:
            self._timer.start()

    def _retranslate(self) -> None:
        self._copy.set_words(self.tr("Copy code"))
        self._text.setAccessibleName(self.tr("Code"))
        if not self._language:
            self._title.setText(self.tr("code"))

    def _copy_code(self) -> None:
        QGuiApplication.clipboard().setText(self._code)
        self._copy.set_icon("check")
        QTimer.singleShot(_COPIED_MS, self._copy, lambda: self._copy.set_icon("copy"))

    def _highlight(self) -> None:
        code, language = self._code, self._language

        def show(ranges: list[Range]) -> None:
            if isValid(self) and self._code.startswith(code):
                self._text.colour(ranges)

        _highlighter().run(lambda: highlight(code, language), show)


class _CodeText(QPlainTextEdit):
    """Code as high as its lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # selected with the mouse; the keyboard stays with the message
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.document().setDocumentMargin(12)
        font = self.font()
        font.setFamilies(monospace_families())
        self.setFont(font)
        self.setTabStopDistance(4 * self.fontMetrics().horizontalAdvance(" "))
        self.horizontalScrollBar().rangeChanged.connect(self.fit)
        self.selectionChanged.connect(self._selection_changed)
        self.fit()

    def _selection_changed(self) -> None:
        SELECTION.changed(self)

    def append_text(self, text: str) -> None:
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText(text)
        self.fit()

    def fit(self) -> None:
        bar = self.horizontalScrollBar()
        extra = bar.sizeHint().height() if bar.maximum() > 0 else 0
        self.setFixedHeight(text_height(self) + 2 * int(self.document().documentMargin()) + extra)

    def colour(self, ranges: list[Range]) -> None:
        """Colour the text without changing the document."""
        colours = {role: QColor(getattr(theme.current(), role)) for _, _, role in ranges}
        block = self.document().begin()
        place = 0
        while block.isValid():
            start, end = block.position(), block.position() + block.length() - 1
            formats = []
            while place < len(ranges) and ranges[place][0] < end:
                first, length, role = ranges[place]
                part = QTextLayout.FormatRange()
                part.start = max(first, start) - start
                part.length = min(first + length, end) - start - part.start
                style = QTextCharFormat()
                style.setForeground(colours[role])
                part.format = style
                formats.append(part)
                if first + length > end:
                    break  # goes on in the next line
                place += 1
            block.layout().setFormats(formats)
            block = block.next()
        self.document().markContentsDirty(0, self.document().characterCount())

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802  (Qt's name)
        """Scroll sideways here; leave up and down to the chat."""
        if event.angleDelta().x() or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            super().wheelEvent(event)
        else:
            event.ignore()
