"""A message in the making: what is typed, and above it the files and long texts that go with it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from desktop_app.ui.chat.message_edit import MessageEdit, is_long
from desktop_app.ui.i18n.formats import number
from desktop_app.ui.widgets.elided_label import ElidedLabel
from desktop_app.ui.widgets.icons import IconButton

_BREAK = "\n\n"
_TYPED = 2000
"""Characters at the beginning of a long message that can be edited."""
_GLIMPSE = 400
"""Characters that a tip shows."""


class MessageField(QWidget):
    """A `MessageEdit` with the files and the long texts that were put into it; together they are the message."""

    changed = Signal()

    def __init__(self, edit: MessageEdit) -> None:
        """Begin empty, around a box."""
        super().__init__()
        self._edit = edit
        self._long: list[_LongText] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(6)
        self._column.addWidget(edit)
        edit.long_text_pasted.connect(self._add)
        edit.textChanged.connect(self.changed)
        self.setFocusProxy(edit)

    @property
    def text(self) -> str:
        """The whole message."""
        parts = (self._edit.toPlainText(), *(part.text for part in self._long))
        return _BREAK.join(part for part in parts if part)

    @property
    def is_blank(self) -> bool:
        """There is nothing to send."""
        return not self._long and not self._edit.toPlainText().strip()

    def set_text(self, text: str) -> None:
        """Replace the message; the cursor goes to the end of what can be edited."""
        for part in tuple(self._long):
            self._remove(part)
        typed, rest = _parted(text) if is_long(text) else (text, "")
        self._edit.setPlainText(typed)
        self._edit.moveCursor(self._edit.textCursor().MoveOperation.End)
        if rest:
            self._add(rest)

    def attach(self, name: str, text: str) -> None:
        """Put a text file into the message, below what is typed; the model sees its name, too."""
        self._add(text, name)

    def _add(self, text: str, name: str = "") -> None:
        part = _LongText(text, name)
        part.removed.connect(lambda: self._remove(part))
        self._long.append(part)
        self._column.insertWidget(self._column.count() - 1, part)
        self.changed.emit()

    def _remove(self, part: _LongText) -> None:
        self._long.remove(part)
        self._column.removeWidget(part)
        part.hide()
        part.deleteLater()
        self._edit.setFocus()
        self.changed.emit()


class _LongText(QFrame):
    """Stands for a file, or for a text that was pasted."""

    removed = Signal()

    def __init__(self, text: str, name: str) -> None:
        super().__init__()
        self.setObjectName("longText")
        self._text, self._name = text, name
        self._label = ElidedLabel()
        self._close = IconButton("close", size=14)
        self._close.clicked.connect(self.removed)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 2, 4, 2)
        row.addWidget(self._label, 1)
        row.addWidget(self._close)
        self._retranslate()

    @property
    def text(self) -> str:
        return f"{self._name}:{_BREAK}{self._text}" if self._name else self._text

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        name = self._name or self.tr("Long text")
        self._label.set_whole(
            self.tr("{name} · {count} characters").format(name=name, count=number(len(self._text), 0))
        )
        glimpse = (
            self._text[:_GLIMPSE].replace("&", "&amp;").replace("<", "&lt;")
        )  # a tip takes what looks like HTML for it
        more = "…" if len(self._text) > _GLIMPSE else ""
        self._label.setToolTip(f"<p style='white-space:pre-wrap'>{glimpse}{more}</p>")
        self._close.set_words(self.tr("Remove"))


def _parted(text: str) -> tuple[str, str]:
    """Return what of a long text can be edited and the rest, cut between two paragraphs: `_BREAK` between them gives it back."""
    cut = text.rfind(_BREAK, 0, _TYPED)
    if cut <= 0 or is_long(text[:cut]):
        return "", text
    return text[:cut], text[cut + len(_BREAK) :]
