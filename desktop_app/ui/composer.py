"""The input box: grows with its text, sends with Enter, and leaves input methods for Chinese alone."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QMimeData, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QInputMethodEvent, QKeyEvent, QTextOption
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from desktop_app.ui.icons import IconButton

BUTTON = 36
_MOST_LINES = 9
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class Composer(QFrame):
    """A box with the text and the button that sends it, or stops the reply under way."""

    sent = Signal(str)
    stopped = Signal()
    files_pasted = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin empty, with Enter sending."""
        super().__init__(parent)
        self.setObjectName("composer")
        self._busy = False
        self._editor = _Editor()
        self._editor.submitted.connect(self._send)
        self._editor.files_pasted.connect(self.files_pasted)
        self._editor.textChanged.connect(self._refresh)
        self._editor.focused.connect(self._show_focus)
        self._button = IconButton("send", colour="on_accent", size=20)
        self._button.setObjectName("sendButton")
        self._button.setFixedSize(BUTTON, BUTTON)
        self._button.clicked.connect(self._clicked)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self._editor, 1)
        row.addWidget(self._button, 0, Qt.AlignmentFlag.AlignBottom)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 8, 8, 8)
        layout.addLayout(row)
        self.setFocusProxy(self._editor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self._retranslate()

    @property
    def text(self) -> str:
        """What is typed."""
        return self._editor.toPlainText()

    def set_text(self, text: str) -> None:
        """Replace what is typed; the cursor goes to the end."""
        self._editor.setPlainText(text)
        self._editor.moveCursor(self._editor.textCursor().MoveOperation.End)

    def set_busy(self, busy: bool) -> None:
        """Show the stop button while a reply is being written."""
        self._busy = busy
        self._retranslate()

    def set_send_key(self, key: str) -> None:
        """Send with "enter" or "ctrl_enter"."""
        self._editor.enter_sends = key == "enter"
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        self._editor.setAccessibleName(self.tr("Message"))
        if self._editor.enter_sends:
            self._editor.setPlaceholderText(self.tr("Write a message (Shift+Enter for a new line)"))
        else:
            self._editor.setPlaceholderText(self.tr("Write a message (Ctrl+Enter sends)"))
        self._refresh()

    def _refresh(self) -> None:
        usable = self._busy or bool(self.text.strip())
        self._button.set_icon("stop" if self._busy else "send", "on_accent" if usable else "muted")
        if self._busy:
            self._button.set_words(self.tr("Stop"), "Esc")
        else:
            self._button.set_words(self.tr("Send"), "Enter" if self._editor.enter_sends else "Ctrl+Enter")
        self._button.setEnabled(usable)

    def _clicked(self) -> None:
        if self._busy:
            self.stopped.emit()
        else:
            self._send()

    def _send(self) -> None:
        text = self.text.strip()
        if text and not self._busy:
            self.set_text("")
            self.sent.emit(text)

    def _show_focus(self, focused: bool) -> None:
        self.setProperty("focused", focused)
        self.style().polish(self)


class _Editor(QPlainTextEdit):
    """A text as high as its lines, up to a limit."""

    submitted = Signal()
    files_pasted = Signal(list)
    focused = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.enter_sends = True
        self._composing = False
        self.setObjectName("composerText")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(6)
        self.viewport().setAutoFillBackground(False)
        self.setAcceptDrops(False)  # a dropped file belongs to the window
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        """Send with Enter; while an input method composes, Enter is its own."""
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if event.key() in _ENTER and not self._composing:
            control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
            if control or (self.enter_sends and modifiers == Qt.KeyboardModifier.NoModifier):
                self.submitted.emit()
                return
            self.insertPlainText("\n")
            self.ensureCursorVisible()
            return
        super().keyPressEvent(event)

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:  # noqa: N802
        """Remember whether an input method is composing."""
        self._composing = bool(event.preeditString())
        super().inputMethodEvent(event)

    def canInsertFromMimeData(self, source: QMimeData) -> bool:  # noqa: N802
        """Accept text and files."""
        return source.hasUrls() or source.hasText()

    def insertFromMimeData(self, source: QMimeData) -> None:  # noqa: N802
        """Paste text as it is; files go to the window."""
        files = [url.toLocalFile() for url in source.urls() if url.isLocalFile()]
        if files:
            self.files_pasted.emit(files)
        elif source.hasText():
            self.insertPlainText(source.text())

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follow the font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Tell the box."""
        super().focusInEvent(event)
        self.focused.emit(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Tell the box."""
        super().focusOutEvent(event)
        self.focused.emit(False)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the height of the text."""
        return QSize(200, self.height())

    def _fit(self) -> None:
        lines = max(1, int(self.document().size().height()))  # QPlainTextEdit counts its document in lines
        shown = min(lines, _MOST_LINES)
        self.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAsNeeded if lines > _MOST_LINES else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        )
        height = shown * self.fontMetrics().lineSpacing() + 2 * int(self.document().documentMargin())
        gap = max(0, BUTTON - height) // 2  # one line stands in the middle of the button's height
        self.setViewportMargins(0, gap, 0, gap)
        self.setFixedHeight(max(BUTTON, height))
