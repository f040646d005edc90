"""One assistant: its name, icon, instructions, model, sampling, tools and documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from desktop_app.assistant.toolbox import CALCULATOR, CLOCK, PYTHON
from desktop_app.chat.assistants import Assistant
from desktop_app.ui.widgets.fitting_dialog import FittingDialog

_WIDTH, _INSTRUCTIONS = 560, 180
_LONGEST_NAME = 60
_UNSET = -0.05
"""Below the lowest temperature: as in the settings."""


class AssistantEditor(FittingDialog):
    """A form; what is saved is a whole assistant."""

    saved = Signal(Assistant)

    def __init__(
        self,
        assistant: Assistant,
        models: Mapping[str, str],
        collections: Sequence[str],
        parent: QWidget | None = None,
    ) -> None:
        """Show an assistant; `models`: the names of those that are installed, by their identifiers."""
        super().__init__(_WIDTH, parent)
        self._assistant = assistant
        self._name = QLineEdit(assistant.name, maxLength=_LONGEST_NAME)
        self._icon = QLineEdit(assistant.icon, maxLength=2)
        self._icon.setMaximumWidth(60)
        self._instructions = QPlainTextEdit(assistant.instructions)
        self._instructions.setMinimumHeight(_INSTRUCTIONS)
        self._instructions.setTabChangesFocus(True)
        self._model = self._model_choice(models)
        self._temperature = QDoubleSpinBox(minimum=_UNSET, maximum=2.0, singleStep=0.05, decimals=2)
        self._temperature.setSpecialValueText(self.tr("As in the settings"))
        self._temperature.setValue(assistant.sampling.get("temperature", _UNSET))
        words = {CALCULATOR: self.tr("Calculator"), CLOCK: self.tr("Clock"), PYTHON: "Python"}
        self._tools = {name: _check(text, name in (assistant.tools or ())) for name, text in words.items()}
        names = dict.fromkeys((*collections, *assistant.collections))
        self._collections = {name: _check(name, name in assistant.collections) for name in names}
        self._save = QPushButton(self.tr("Save"))
        self._save.setObjectName("primary")
        self._save.clicked.connect(self._finish)
        self._name.textChanged.connect(self._refresh)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        buttons.button(QDialogButtonBox.StandardButton.Cancel).setText(self.tr("Cancel"))
        buttons.addButton(self._save, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.rejected.connect(self.reject)
        self.setWindowTitle(self.tr("Assistant"))
        self.set_content(self._page(), buttons)
        self._refresh()

    def _page(self) -> QWidget:
        page = QWidget()
        form = QFormLayout(page)
        form.setContentsMargins(20, 18, 20, 8)
        form.setSpacing(10)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow(self.tr("Name"), self._name)
        form.addRow(self.tr("Icon, one or two characters"), self._icon)
        form.addRow(self.tr("Instructions"), self._instructions)
        form.addRow(self.tr("Model"), self._model)
        form.addRow(self.tr("Temperature"), self._temperature)
        tools = QHBoxLayout()
        for box in self._tools.values():
            tools.addWidget(box)
        tools.addStretch()
        form.addRow(self.tr("Tools"), tools)
        if self._collections:
            documents = QVBoxLayout()
            for box in self._collections.values():
                documents.addWidget(box)
            form.addRow(self.tr("Documents"), documents)
        return page

    def _model_choice(self, models: Mapping[str, str]) -> QComboBox:
        choice = QComboBox()
        choice.addItem(self.tr("The one that is loaded"), "")
        for identifier, name in models.items():
            choice.addItem(name, identifier)
        chosen = self._assistant.model
        if chosen and chosen not in models:
            choice.addItem(chosen, chosen)  # it is not here now, and may be again
        choice.setCurrentIndex(choice.findData(chosen))
        choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        choice.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return choice

    def _refresh(self) -> None:
        self._save.setEnabled(bool(self._name.text().strip()))

    def _finish(self) -> None:
        temperature = self._temperature.value()
        others = {name: value for name, value in self._assistant.sampling.items() if name != "temperature"}
        chosen = tuple(name for name, box in self._tools.items() if box.isChecked())
        kept = tuple(name for name in self._assistant.tools or () if name not in self._tools)
        self.saved.emit(
            replace(
                self._assistant,
                name=self._name.text().strip(),
                icon=self._icon.text().strip(),
                instructions=self._instructions.toPlainText().strip(),
                model=self._model.currentData() or "",
                sampling=others if temperature < 0 else {**others, "temperature": round(temperature, 2)},
                tools=(*chosen, *kept) or None,
                collections=tuple(name for name, box in self._collections.items() if box.isChecked()),
            )
        )
        self.accept()


def _check(text: str, checked: bool) -> QCheckBox:
    box = QCheckBox(text.replace("&", "&&"))
    box.setCheckState(Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked)
    return box
