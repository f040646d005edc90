"""How large a mixture of types by measurement may be."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from desktop_app.library.mixture_offers import MixtureOffers
from desktop_app.planning.configuration import RunConfiguration
from desktop_app.quality.target import MixtureTarget
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.widgets.spin_boxes import indent

_FIT, _SIZE, _BITS = range(3)
_MEGABYTE = 1000**2
_SIZE_STEPS = 100
"""Clicks of the arrows from the smallest file to the largest."""


class MixtureChoice(QWidget):
    """As large as fits, a size, or bits for each weight."""

    changed = Signal()
    """Another choice was made."""

    def __init__(self) -> None:
        """Begin with what fits."""
        super().__init__()
        self._offers: MixtureOffers | None = None
        self._disk = self._size = 0
        self._label, self._ways, self._number, self._note = (
            QLabel(),
            QComboBox(),
            QDoubleSpinBox(),
            QLabel(wordWrap=True),
        )
        self._label.setBuddy(self._ways)
        self._note.setObjectName("muted")
        self._ways.addItems([""] * 3)
        self._ways.activated.connect(self._choose)
        self._number.setMinimumWidth(120)
        indent(self._number)
        self._number.valueChanged.connect(self._enter)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._label)
        row.addWidget(self._ways, 1)
        row.addWidget(self._number)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._note)
        self.hide()
        self._retranslate()

    @property
    def target(self) -> MixtureTarget:
        """What is chosen."""
        way, value = self._ways.currentIndex(), self._number.value()
        if way == _SIZE:
            return MixtureTarget(size=round(value * _MEGABYTE))
        return MixtureTarget(bits=value) if way == _BITS else MixtureTarget()

    @property
    def file_size(self) -> int:
        """About the bytes of the file; 0: nothing is offered."""
        return 0 if self._offers is None else self._offers.size_of(self.target)

    @property
    def option(self) -> RunConfiguration | None:
        """About how it would run; None: nothing is offered."""
        return None if self._offers is None else self._offers.option(self.file_size)

    def offer(self, offers: MixtureOffers | None) -> None:
        """Take over what a source can become."""
        self._offers = offers
        self._size = self.file_size

    def show_for(self, disk: int | None) -> None:
        """Show the choice, whose measuring takes `disk` bytes meanwhile; None: hide it."""
        self._disk = disk or 0
        self.setVisible(disk is not None)
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _choose(self, way: int) -> None:
        """Let the number begin with what was chosen before."""
        if self._offers is None:
            return
        least, most = self._offers.sizes
        before = self._size
        self._number.blockSignals(True)
        if way == _BITS:
            self._number.setDecimals(2)
            self._number.setRange(self._offers.bits_of(least), self._offers.bits_of(most))
            self._number.setSingleStep(0.25)
            self._number.setValue(self._offers.bits_of(before))
        else:
            megabytes = (most - least) / _MEGABYTE
            self._number.setDecimals(0 if megabytes > _SIZE_STEPS else 2)
            self._number.setRange(least / _MEGABYTE, most / _MEGABYTE)
            self._number.setSingleStep(max(0.01, megabytes / _SIZE_STEPS))
            self._number.setValue(before / _MEGABYTE)
        self._number.blockSignals(False)
        self._size = self.file_size
        self._retranslate()
        self.changed.emit()

    def _enter(self) -> None:
        self._size = self.file_size
        self.changed.emit()

    def _retranslate(self) -> None:
        words = (
            self.tr("as large as fits this computer"),
            self.tr("a file of so many megabytes"),
            self.tr("so many bits for each weight"),
        )
        for way, text in enumerate(words):
            self._ways.setItemText(way, text)
        self._label.setText(self.tr("Measured mixture:"))
        self._number.setSuffix(self.tr(" MB") if self._ways.currentIndex() == _SIZE else "")
        self._number.setVisible(self._ways.currentIndex() != _FIT)
        self._number.setAccessibleName(self._ways.currentText())
        self._note.setText(
            self.tr(
                "Each part of the model gets the type that this very model bears best, as measured on a text: of all files of "
                "this size it loses the least, and what is shown is what a usual one would lose. That takes about as long as "
                "twenty conversions, and {size} of the disk meanwhile."
            ).format(size=size(self._disk))
        )
