"""Widgets for the values of a step: texts of anybody's as they are, arguments in rows, tables and figures. Nothing is a link."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QImage, QImageReader, QPixmap, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFrame,
    QGridLayout,
    QHeaderView,
    QLabel,
    QPlainTextEdit,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)
from shiboken6 import isValid

from desktop_app.ui.bridges.background import Background
from desktop_app.ui.widgets.fonts import monospace_families
from models.visible import visible, visible_lines

if TYPE_CHECKING:
    from desktop_app.chat.table import Table

_MOST_LINES, _MOST_TABLE_ROWS = 12, 9
_WIDEST = 560
"""Pixels of a figure."""
_LARGEST_SIDE, _LARGEST_FILE = 6000, 16 << 20


class PlainText(QPlainTextEdit):
    """A text that is never markup, in a box of some lines that scrolls."""

    def __init__(self, text: str, name: str) -> None:
        """`name` is for screen readers."""
        super().__init__()
        self.setObjectName("stepText")
        self.setAccessibleName(name)
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        font = self.font()
        font.setFamilies(monospace_families())
        self.setFont(font)
        self.set_text(text)

    def set_text(self, text: str) -> None:
        """Show another text."""
        shown = visible_lines(text)
        self.setPlainText(shown)
        lines = sum(max(1, -(-len(line) // 80)) for line in shown.split("\n", _MOST_LINES)[:_MOST_LINES])
        height = min(lines, _MOST_LINES) * self.fontMetrics().lineSpacing()
        self.setFixedHeight(height + 2 * int(self.document().documentMargin()) + 4)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802  (Qt's name)
        """Scroll here only where there is something to scroll."""
        if self.verticalScrollBar().maximum():
            super().wheelEvent(event)
        else:
            event.ignore()


class Arguments(QWidget):
    """A call's arguments, whole, each in a row with its name."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Show them."""
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        grid.setColumnStretch(1, 1)
        for row, (name, value) in enumerate(arguments.items()):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            label = QLabel(visible(str(name)), textFormat=Qt.TextFormat.PlainText)
            label.setObjectName("muted")
            grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(PlainText(text, visible(str(name))), row, 1)


class TableView(QTableWidget):
    """A small table that a tool gave."""

    def __init__(self, table: Table) -> None:
        """Show it."""
        super().__init__(len(table.rows), len(table.columns))
        self.setObjectName("stepTable")
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.verticalHeader().hide()
        self.setHorizontalHeaderLabels([visible(name) for name in table.columns])
        for row, cells in enumerate(table.rows):
            for column, cell in enumerate(cells):
                self.setItem(row, column, QTableWidgetItem(visible(cell)))
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.resizeRowsToContents()
        rows = min(len(table.rows), _MOST_TABLE_ROWS)
        inside = sum(self.rowHeight(row) for row in range(rows))
        bar = self.horizontalScrollBar().sizeHint().height()
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + inside + bar + 2 * self.frameWidth())


class Figure(QLabel):
    """A picture that a tool drew, decoded on a thread, bounded in its size."""

    def __init__(self, path: Path) -> None:
        """Begin to read it."""
        super().__init__()
        self.setObjectName("figure")
        self.setAccessibleName(path.name)
        self.setToolTip(visible(path.name))
        ratio = self.devicePixelRatioF()
        _decoder().run(lambda: _read(path, round(_WIDEST * ratio)), lambda image: self._show(image, ratio))

    def _show(self, image: QImage | None, ratio: float) -> None:
        if isValid(self) and image is not None:
            image.setDevicePixelRatio(ratio)
            self.setPixmap(QPixmap.fromImage(image))


def is_figure(path: Path) -> bool:
    """Tell whether a file is shown as a picture."""
    return path.suffix.lower() == ".png"


_DECODERS: list[Background] = []


def _decoder() -> Background:
    if not _DECODERS:
        _DECODERS.append(Background("figures", QApplication.instance()))
    return _DECODERS[0]


def _read(path: Path, widest: int) -> QImage | None:
    """Decode a picture; None where it is none, or larger than a figure is."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_FILE:
        return None
    reader = QImageReader(str(path), b"png")
    size = reader.size()
    if not size.isValid() or max(size.width(), size.height()) > _LARGEST_SIDE:
        return None
    if size.width() > widest:
        reader.setScaledSize(size.scaled(QSize(widest, size.height()), Qt.AspectRatioMode.KeepAspectRatio))
    image = reader.read()
    return None if image.isNull() else image
