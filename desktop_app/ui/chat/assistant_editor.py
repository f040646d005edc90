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
    QGridLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from desktop_app.chat.assistants import Assistant
from desktop_app.ui.chat.tool_words import SWITCHES, switch_words
from desktop_app.ui.widgets.enabling import enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog
from desktop_app.ui.widgets.spin_boxes import indent
from models.visible import visible

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
        servers: Sequence[str],
        collections: Sequence[str],
        parent: QWidget | None = None,
    ) -> None:
        """Show an assistant.

        Args:
            assistant: a new one, or one to be changed.
            models: the names of those that are installed, by their identifiers.
            servers: MCP servers that it may use.
            collections: those of documents that it may use.
            parent: the owner.
        """
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
        indent(self._temperature)
        self._temperature.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._temperature.setValue(assistant.sampling.get("temperature", _UNSET))
        self._tools = {name: _check(switch_words(name), name in assistant.tools) for name in SWITCHES}
        known = dict.fromkeys((*servers, *assistant.servers))  # one that is not here now may be again
        words = self.tr("MCP server {name}")
        self._servers = {name: _check(words.format(name=visible(name)), name in assistant.servers) for name in known}
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
        tools = QGridLayout()
        tools.setColumnStretch(1, 1)
        for place, box in enumerate((*self._tools.values(), *self._servers.values())):
            tools.addWidget(box, place // 2, place % 2)
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
        enable(self._save, {self.tr("Give it a name first."): not self._name.text().strip()})

    def _finish(self) -> None:
        temperature = self._temperature.value()
        others = {name: value for name, value in self._assistant.sampling.items() if name != "temperature"}
        kept = tuple(name for name in self._assistant.tools if name not in self._tools)
        self.saved.emit(
            replace(
                self._assistant,
                name=self._name.text().strip(),
                icon=self._icon.text().strip(),
                instructions=self._instructions.toPlainText().strip(),
                model=self._model.currentData() or "",
                sampling=others if temperature < 0 else {**others, "temperature": round(temperature, 2)},
                tools=(*_checked(self._tools), *kept),
                servers=_checked(self._servers),
                collections=_checked(self._collections),
            )
        )
        self.accept()


def _check(text: str, checked: bool) -> QCheckBox:
    box = QCheckBox(text.replace("&", "&&"))
    box.setCheckState(Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked)
    return box


def _checked(boxes: Mapping[str, QCheckBox]) -> tuple[str, ...]:
    return tuple(name for name, box in boxes.items() if box.isChecked())
