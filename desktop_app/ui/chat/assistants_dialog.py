"""The assistants: one is chosen for a new chat; they are made, changed and removed."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_app.chat.assistants import Assistant
from desktop_app.ui.chat.assistant_editor import AssistantEditor
from desktop_app.ui.controllers.assistants import AssistantController
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.fitting_dialog import FittingDialog

_ASSISTANT = Qt.ItemDataRole.UserRole
_WIDTH, _LIST = 560, 360
_SIGN = 32
_SCALE = 2
_SHOWN = 70
"""Characters of the instructions in the list."""


class AssistantsDialog(FittingDialog):
    """A list with what can be done."""

    chosen = Signal(object)
    """The assistant of a new chat; None: none."""

    def __init__(
        self,
        assistants: AssistantController,
        editor: Callable[[Assistant], AssistantEditor],
        parent: QWidget | None = None,
    ) -> None:
        """`editor` returns a dialog for an assistant."""
        super().__init__(_WIDTH, parent)
        self._assistants, self._editor = assistants, editor
        self._list = QListWidget()
        self._list.setObjectName("offers")
        self._list.setIconSize(QSize(_SIGN, _SIGN))
        self._list.setMinimumHeight(_LIST)
        self._list.setWordWrap(True)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.itemActivated.connect(self._choose)
        self._begin, self._none = QPushButton(), QPushButton()
        self._begin.setObjectName("primary")
        self._new, self._edit, self._remove = QPushButton(), QPushButton(), QPushButton()
        for button, act in (
            (self._begin, self._choose),
            (self._none, self._choose_none),
            (self._new, self._make),
            (self._edit, self._change),
            (self._remove, self._take_away),
        ):
            button.clicked.connect(act)
        changes = QHBoxLayout()
        for button in (self._new, self._edit, self._remove):
            changes.addWidget(button)
        changes.addStretch()
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 18, 20, 8)
        column.setSpacing(10)
        column.addWidget(self._list, 1)
        column.addLayout(changes)
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self._buttons.addButton(self._none, QDialogButtonBox.ButtonRole.ActionRole)
        self._buttons.addButton(self._begin, QDialogButtonBox.ButtonRole.AcceptRole)
        self._buttons.rejected.connect(self.reject)
        self.set_content(page, self._buttons)
        assistants.changed.connect(self._fill)
        self._retranslate()
        self._fill()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()
            self._fill()

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Assistants"))
        self._list.setAccessibleName(self.tr("Assistants"))
        self._begin.setText(self.tr("Start chat"))
        self._none.setText(self.tr("Chat without one"))
        self._new.setText(self.tr("New…"))
        self._edit.setText(self.tr("Edit…"))
        self._remove.setText(self.tr("Remove"))
        self._buttons.button(QDialogButtonBox.StandardButton.Close).setText(self.tr("Close"))

    def _fill(self) -> None:
        row = max(0, self._list.currentRow())
        self._list.clear()
        for one in self._assistants.all:
            text = one.instructions if len(one.instructions) <= _SHOWN else one.instructions[:_SHOWN].rstrip() + "…"
            item = QListWidgetItem(sign(one), f"{one.name}\n{' '.join(text.split())}")
            item.setData(_ASSISTANT, one)
            self._list.addItem(item)
        self._list.setCurrentRow(min(row, self._list.count() - 1))

    @property
    def _current(self) -> Assistant | None:
        item = self._list.currentItem()
        assistant: Assistant | None = item.data(_ASSISTANT) if item is not None else None
        return assistant

    def _choose(self) -> None:
        if self._current is not None:
            self.chosen.emit(self._current)
            self.accept()

    def _choose_none(self) -> None:
        self.chosen.emit(None)
        self.accept()

    def _make(self) -> None:
        self._open_editor(Assistant(""))

    def _change(self) -> None:
        if self._current is not None:
            self._open_editor(self._current)

    def _take_away(self) -> None:
        if self._current is not None:
            self._assistants.remove(self._current)

    def _open_editor(self, assistant: Assistant) -> None:
        editor = self._editor(assistant)
        editor.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        editor.saved.connect(self._assistants.save)
        editor.open()


def sign(assistant: Assistant) -> QIcon:
    """Return an assistant's icon: its sign on a field in the theme's colours."""
    pixmap = QPixmap(QSize(_SIGN, _SIGN) * _SCALE)
    pixmap.setDevicePixelRatio(_SCALE)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.current().selected))
    field = QRectF(0, 0, _SIGN, _SIGN)
    painter.drawRoundedRect(field, 8, 8)
    painter.setPen(QColor(theme.current().accent))
    font = painter.font()
    font.setPixelSize(16 if len(assistant.sign) < 2 else 12)
    font.setBold(True)
    painter.setFont(font)
    painter.drawText(field, Qt.AlignmentFlag.AlignCenter, assistant.sign)
    painter.end()
    return QIcon(pixmap)
