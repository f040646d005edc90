"""Settings of one model's own: instructions, context, threads and sampling; the rest is as in the settings of all models."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialogButtonBox, QLabel, QSpinBox, QVBoxLayout, QWidget
from shiboken6 import isValid

from desktop_app.library.installed_model import InstalledModel, ModelSettings
from desktop_app.library.model_settings import MOST_THREADS
from desktop_app.ui.models.model_session import EngineState
from desktop_app.ui.services import Services
from desktop_app.ui.settings.chat_section import CONTEXTS, ChatSection
from desktop_app.ui.widgets.fitting_dialog import FittingDialog
from desktop_app.ui.widgets.spin_boxes import indent

_WIDTH = 560


class ModelSettingsDialog(FittingDialog):
    """A form whose values are stored when it is closed."""

    failed = Signal(Exception)
    """They could not be stored."""

    def __init__(self, services: Services, model: InstalledModel, parent: QWidget) -> None:
        """Show what is set for a model."""
        super().__init__(_WIDTH, parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._services, self._model, self._own = services, model, model.own
        self._section: ChatSection | None = None
        self.setWindowTitle(self.tr("Settings of {name}").format(name=model.label or model.name))
        page = QWidget()
        self._column = QVBoxLayout(page)
        self._column.setContentsMargins(20, 16, 20, 8)
        hint = QLabel(self.tr("What you do not change here is as in the settings of all models."), wordWrap=True)
        hint.setObjectName("muted")
        self._column.addWidget(hint)
        self._fill()
        buttons = QDialogButtonBox()
        same = buttons.addButton(self.tr("As for all models"), QDialogButtonBox.ButtonRole.ResetRole)
        same.clicked.connect(self._forget)
        buttons.addButton(self.tr("Close"), QDialogButtonBox.ButtonRole.RejectRole)
        buttons.rejected.connect(self.reject)
        below = QWidget()
        QVBoxLayout(below).addWidget(buttons)
        self.set_content(page, below)

    def done(self, result: int) -> None:
        """Store the values; a model in use is loaded again where that takes it."""
        if self._own != self._model.own:
            self._services.model_care.store_settings(self._model, self._own, self.failed.emit)
        super().done(result)

    def _fill(self) -> None:
        """Show the values that count for the model."""
        if self._section is not None:
            self._column.removeWidget(self._section)
            self._section.hide()
            self._section.deleteLater()
        in_use = self._services.models.state
        is_in_use = in_use.model is not None and in_use.model.path == self._model.path
        state = replace(in_use if is_in_use else EngineState(), model=self._model)
        section = self._section = ChatSection(self._own.over(self._services.settings), state)
        section.changed.connect(lambda name: self._choose(name, section))
        threads = QSpinBox(minimum=0, maximum=MOST_THREADS)
        indent(threads)
        threads.setSpecialValueText(self.tr("Automatic"))
        threads.setValue(self._own.threads)
        threads.valueChanged.connect(self._choose_threads)
        section.add_field(threads)
        section.name_field(threads, self.tr("Threads"))
        self._column.addWidget(section)
        contexts = sorted({*CONTEXTS, section.settings.context} - {0})
        self._services.models.find_contexts(
            contexts, lambda plans: section.show_contexts(plans) if isValid(section) else None, self._model
        )

    def _choose(self, name: str, section: ChatSection) -> None:
        value = getattr(section.settings, name)
        self._own = self._own.with_value(name, value, self._services.settings)

    def _choose_threads(self, threads: int) -> None:
        self._own = replace(self._own, threads=threads)

    def _forget(self) -> None:
        self._own = ModelSettings(name=self._own.name, former=self._own.former)
        self._fill()
        self.fit()
