"""Whether a conversion uses an importance matrix, and the text that it is made from."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from desktop_app.library.install import Calibration
from desktop_app.ui.i18n.formats import size

_NONE, _BUILT_IN, _OWN = range(3)


class CalibrationChoice(QWidget):
    """None, our own text, or one of the user's."""

    changed = Signal()
    """Another choice was made."""

    def __init__(self) -> None:
        """Begin with none: the usual recipe."""
        super().__init__()
        self._text: Path | None = None
        self._last = _NONE
        self._disk = 0
        self._required = False
        self._label, self._ways, self._note = QLabel(), QComboBox(), QLabel(wordWrap=True)
        self._label.setBuddy(self._ways)
        self._note.setObjectName("muted")
        self._ways.addItems([""] * 3)
        self._ways.activated.connect(self._choose)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._label)
        row.addWidget(self._ways, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._note)
        self._retranslate()

    @property
    def chosen(self) -> Calibration | None:
        """The source of the importance matrix; None: there is none, or the choice is not offered."""
        if self.isHidden() or self._ways.currentIndex() == _NONE:
            return None
        return Calibration(self._text if self._ways.currentIndex() == _OWN else None)

    def offer(self, disk: int | None, *, required: bool = False) -> None:
        """Offer the choice.

        Args:
            disk: bytes that it takes while the matrix is made; None: there is nothing to choose.
            required: there has to be one, and what it takes is said elsewhere.
        """
        self._disk, self._required = disk or 0, required
        self.setVisible(disk is not None)
        model = self._ways.model()
        assert isinstance(model, QStandardItemModel)  # noqa: S101 - a combo box makes one
        model.item(_NONE).setEnabled(not required)
        model.item(_NONE).setToolTip(self.tr("A mixture by measurement needs a text.") if required else "")
        way = _BUILT_IN if required and self._last == _NONE else self._last
        self._ways.setCurrentIndex(way)
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _choose(self, way: int) -> None:
        if way != _OWN:
            self._take(way)
            return
        dialog = QFileDialog(self, self.tr("Choose a text to calibrate on"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self._take_file)
        dialog.rejected.connect(lambda: self._ways.setCurrentIndex(self._last))
        dialog.open()

    def _take_file(self, path: str) -> None:
        self._text = Path(path)
        self._take(_OWN)

    def _take(self, way: int) -> None:
        self._last = way
        self._ways.setCurrentIndex(way)
        self._retranslate()
        self.changed.emit()

    def _retranslate(self) -> None:
        own = self.tr("from a text of mine…") if self._text is None else self.tr("from {name}")
        words = (self.tr("none, the usual recipe"), self.tr("from Zhiyin's own text"), own)
        for way, text in enumerate(words):
            self._ways.setItemText(way, text.format(name=self._text.name if self._text is not None else ""))
        self._label.setText(self.tr("Importance matrix:"))
        self._note.setText(
            self.tr(
                "The whole model reads a text first, which shows what matters in it: less is lost in the same bytes then. "
                "With a large model that takes long, and {size} of the disk meanwhile."
            ).format(size=size(self._disk))
        )
        self._note.setVisible(self._ways.currentIndex() != _NONE and not self._required)
