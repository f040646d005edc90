"""A section of the settings: labelled fields over `Settings`, each of which counts as soon as it is changed."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from desktop_app.settings import Settings

_ROW = 30


class Section(QWidget):
    """Base of the sections: a form, and below it what has no label."""

    changed = Signal(str)
    """The name of the setting."""

    def __init__(self, settings: Settings) -> None:
        """Begin without a field."""
        super().__init__()
        self._settings = settings
        self._labels: dict[QWidget, QLabel] = {}
        self._form = QFormLayout()
        self._form.setSpacing(10)
        self._form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(4, 8, 12, 16)
        self._column.setSpacing(12)
        self._column.addLayout(self._form)
        self._column.addStretch()

    @property
    def settings(self) -> Settings:
        """The settings that the fields write."""
        return self._settings

    def retranslate(self) -> None:
        """Write every word again."""

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self.retranslate()

    def add_field(self, field: QWidget) -> None:
        """Add a field; `name_field` says what it is."""
        label = self._labels[field] = QLabel()
        label.setBuddy(field)
        if not isinstance(field, QPlainTextEdit):
            label.setMinimumHeight(_ROW)  # stands in the middle of its field
        field.installEventFilter(self)
        self._form.addRow(label, field)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        """Let the wheel scroll the page, not change a value that happens to be under the pointer."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, (QComboBox, QAbstractSpinBox)):
            event.ignore()
            return not watched.hasFocus()
        return super().eventFilter(watched, event)

    def name_field(self, field: QWidget, words: str) -> None:
        """Say what a field is, for the eye and for screen readers."""
        self._labels[field].setText(words)
        field.setAccessibleName(words)

    def add_below(self, widget: QWidget) -> None:
        """Add a text or a button below the fields."""
        self._column.insertWidget(self._column.count() - 1, widget)

    def add_hint(self) -> QLabel:
        """Add an explanation, which is still without words."""
        hint = QLabel(wordWrap=True)
        hint.setObjectName("muted")
        self.add_below(hint)
        return hint

    def add_button(self) -> QPushButton:
        """Add a button as wide as its words."""
        button = QPushButton()
        button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.add_below(button)
        return button

    def add_choice(self, name: str, values: Sequence[str | int | bool]) -> QComboBox:
        """Add a box with the values of a setting; `name_values` gives them words."""
        box = QComboBox()
        for value in values:
            box.addItem("", value)
        box.setCurrentIndex(box.findData(getattr(self._settings, name)))
        box.currentIndexChanged.connect(lambda index: self.store(name, box.itemData(index)))
        self.add_field(box)
        return box

    def store(self, name: str, value: object) -> None:
        """Let a value count."""
        setattr(self._settings, name, value)
        self.changed.emit(name)


def name_values(box: QComboBox, names: Sequence[str]) -> None:
    """Say what the values of a box are."""
    for index, name in enumerate(names):
        box.setItemText(index, name)
