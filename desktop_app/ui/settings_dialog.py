"""The settings that a person changes; every change counts at once."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from desktop_app.settings import Settings
from desktop_app.ui.formats import number
from desktop_app.ui.translate import LANGUAGES

_CONTEXTS = (2048, 4096, 8192, 16384, 32768, 65536, 131072)


class SettingsDialog(QDialog):
    """A form over `Settings`."""

    changed = Signal(str)
    """The name of the setting."""

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        """Show the settings as they are."""
        super().__init__(parent)
        self._settings = settings
        self._theme = self._combo("theme", ["system", "light", "dark"])
        self._language = self._combo("language", ["system", *LANGUAGES])
        self._send_key = self._combo("send_key", ["enter", "ctrl_enter"])
        self._context = self._combo("context", sorted({*_CONTEXTS, settings.context}))
        self._temperature = QDoubleSpinBox(minimum=0.0, maximum=2.0, singleStep=0.1, decimals=2)
        self._temperature.setValue(settings.temperature)
        self._temperature.valueChanged.connect(lambda value: self._set("temperature", round(value, 2)))
        self._prompt = QPlainTextEdit(settings.system_prompt)
        self._prompt.setTabChangesFocus(True)
        self._prompt.setMinimumHeight(90)
        self._prompt.textChanged.connect(lambda: self._set("system_prompt", self._prompt.toPlainText()))
        self._labels = [QLabel() for _ in range(6)]
        form = QFormLayout()
        form.setSpacing(12)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        for label, field in zip(self._labels, self._fields(), strict=True):
            label.setBuddy(field)
            form.addRow(label, field)
        self._hint = QLabel(wordWrap=True)
        self._hint.setObjectName("muted")
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self._buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.setSpacing(16)
        layout.addLayout(form)
        layout.addWidget(self._hint)
        layout.addWidget(self._buttons)
        self.setMinimumWidth(460)
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _fields(self) -> list[QWidget]:
        return [self._theme, self._language, self._send_key, self._context, self._temperature, self._prompt]

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Settings"))
        texts = (
            self.tr("Appearance"),
            self.tr("Language"),
            self.tr("Send with"),
            self.tr("Context"),
            self.tr("Temperature"),
            self.tr("Instructions"),
        )
        for label, text in zip(self._labels, texts, strict=True):
            label.setText(text)
        self._prompt.setPlaceholderText(self.tr("What the assistant should always know or do"))
        self._hint.setText(
            self.tr("The context is how much of a chat the model keeps in mind; a larger one needs more memory.")
        )
        _name(self._theme, [self.tr("Like the system"), self.tr("Light"), self.tr("Dark")])
        _name(self._language, [self.tr("Like the system"), *LANGUAGES.values()])
        _name(self._send_key, ["Enter", "Ctrl+Enter"])
        contexts = [self._context.itemData(i) for i in range(self._context.count())]
        _name(self._context, [self.tr("{count} tokens").format(count=number(item, 0)) for item in contexts])
        close = self._buttons.button(QDialogButtonBox.StandardButton.Close)
        close.setText(self.tr("Close"))

    def _combo(self, name: str, values: list[str] | list[int]) -> QComboBox:
        box = QComboBox()
        for value in values:
            box.addItem("", value)
        box.setCurrentIndex(box.findData(getattr(self._settings, name)))
        box.currentIndexChanged.connect(lambda index: self._set(name, box.itemData(index)))
        return box

    def _set(self, name: str, value: object) -> None:
        setattr(self._settings, name, value)
        self.changed.emit(name)


def _name(box: QComboBox, names: list[str]) -> None:
    for index, name in enumerate(names):
        box.setItemText(index, name)
