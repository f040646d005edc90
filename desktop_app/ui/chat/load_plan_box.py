"""The load plan of a context length: a slider, the bytes of each part as it moves, and how fast the model is likely to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QFormLayout, QLabel, QPushButton, QSlider, QVBoxLayout, QWidget

from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.models.fit import speed_words
from desktop_app.ui.widgets.enabling import IS_SO, enable

if TYPE_CHECKING:
    from desktop_app.planning.configuration import RunConfiguration


class LoadPlanBox(QWidget):
    """Shows plans; one that is wished is told, none is made here."""

    wished = Signal(int)
    """Load the model with this context."""

    def __init__(self) -> None:
        """Begin without a plan."""
        super().__init__()
        self._plans: list[RunConfiguration] = []
        self._loaded = 0
        self._title = QLabel()
        self._title.setObjectName("dialogTitle")
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setPageStep(1)
        self._slider.valueChanged.connect(self._show)
        self._names = tuple(QLabel() for _ in range(6))
        self._values = tuple(QLabel(alignment=Qt.AlignmentFlag.AlignRight) for _ in self._names)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setVerticalSpacing(4)
        for name, value in zip(self._names, self._values, strict=True):
            form.addRow(name, value)
        self._speed = QLabel(wordWrap=True)
        self._speed.setObjectName("muted")
        self._load = QPushButton()
        self._load.clicked.connect(lambda: self.wished.emit(self._plans[self._slider.value()].context))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 12, 8)
        layout.setSpacing(8)
        for widget in (self._title, self._slider):
            layout.addWidget(widget)
        layout.addLayout(form)
        layout.addWidget(self._speed)
        layout.addWidget(self._load)
        self._retranslate()

    def show_plans(self, plans: Mapping[int, RunConfiguration], loaded: int) -> None:
        """Show what each context takes; those that the model was not made for are left out."""
        self._plans = [way for context, way in sorted(plans.items()) if context == way.context and not way.recurrent]
        self._loaded = loaded
        self.setVisible(bool(self._plans))
        self._slider.setRange(0, max(0, len(self._plans) - 1))
        nearest = sum(way.context <= loaded for way in self._plans) - 1
        self._slider.setValue(max(0, nearest))
        self._show()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        self._title.setText(self.tr("Memory"))
        self._slider.setAccessibleName(self.tr("Context"))
        names = (
            self.tr("Context"),
            self.tr("Weights"),
            self.tr("Cache of the chat"),
            self.tr("Computing"),
            self.tr("Together"),
            self.tr("Free for it"),
        )
        for label, name in zip(self._names, names, strict=True):
            label.setText(name)
        self._load.setText(self.tr("Load with this context"))
        self._show()

    def _show(self) -> None:
        if not self._plans:
            return
        way = self._plans[self._slider.value()]
        parts = [sum(getattr(share, part) for share in way.shares) for part in ("weights", "cache", "compute", "free")]
        context = self.tr("{count} tokens").format(count=number(way.context, 0))
        texts = (context, *map(size, parts[:3]), size(way.bytes), size(max(0, parts[3])))
        for value, text in zip(self._values, texts, strict=True):
            value.setText(text)
        lacking = self.tr("{size} more than is free").format(size=size(way.shortfall)) if way.shortfall else ""
        self._speed.setText("\n".join(filter(None, (speed_words(way), lacking))))
        self._speed.setVisible(bool(self._speed.text()))
        enable(self._load, {lacking: bool(lacking), IS_SO: way.context == self._loaded})
