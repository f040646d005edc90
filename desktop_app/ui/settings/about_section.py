"""Settings: the version, the licences of what Zhiyin stands on, and a report to copy."""

from __future__ import annotations

import functools
from importlib.metadata import version
from pathlib import Path

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
)
from shiboken6 import isValid

from desktop_app.about import Component, components, report
from desktop_app.settings import Settings
from desktop_app.ui.bridges.background import Background
from desktop_app.ui.models.model_session import EngineState
from desktop_app.ui.settings.section import Section
from desktop_app.ui.widgets.icons import icon

_ICON, _REPORT_HEIGHT, _LIST_HEIGHT = 44, 150, 220


@functools.cache
def _worker() -> Background:
    return Background("about", QApplication.instance())


class AboutSection(Section):
    """Version, components and licences; gathered on a thread."""

    def __init__(self, settings: Settings, state: EngineState) -> None:
        """Begin to find the facts."""
        super().__init__(settings)
        picture, self._name = QLabel(), QLabel()
        picture.setPixmap(icon("zhiyin", "#000000", _ICON).pixmap(_ICON, _ICON))
        self._name.setObjectName("dialogTitle")
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(picture)
        head.addWidget(self._name, 1)
        self._column.insertLayout(0, head)
        self._words = self.add_hint()
        self._report = QPlainTextEdit(readOnly=True)
        self._report.setFixedHeight(_REPORT_HEIGHT)
        self._report.setTabChangesFocus(True)
        self._report_title, self._list_title = QLabel(), QLabel()
        self._copy = QPushButton()
        self._copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self._report.toPlainText()))
        row = QHBoxLayout()
        row.addWidget(self._report_title, 1)
        row.addWidget(self._copy)
        self._column.insertLayout(self._column.count() - 1, row)
        self.add_below(self._report)
        self.add_below(self._list_title)
        self._list = QTreeWidget()
        self._list.setRootIsDecorated(False)
        self._list.setFixedHeight(_LIST_HEIGHT)
        self._list.setObjectName("offers")
        self.add_below(self._list)
        self.retranslate()
        facts = facts_of(state)
        _worker().run(lambda: (report(facts), components()), self._show)

    def retranslate(self) -> None:
        """Write every word again."""
        self._name.setText(f"知音 Zhiyin {version('zhiyin')}")
        self._words.setText(
            self.tr(
                "An offline assistant for your own computer, under the Apache License 2.0. It stands on the work of others, "
                "above all llama.cpp and Qt."
            )
        )
        self._report_title.setText(self.tr("For a question or a bug report"))
        self._report_title.setBuddy(self._report)
        self._report.setAccessibleName(self._report_title.text())
        self._copy.setText(self.tr("Copy"))
        self._list_title.setText(self.tr("Licences"))
        self._list.setAccessibleName(self.tr("Licences"))
        self._list.setHeaderLabels([self.tr("Part"), self.tr("Version"), self.tr("Licence")])

    def _show(self, about: tuple[str, list[Component]]) -> None:
        if not isValid(self):
            return
        self._report.setPlainText(about[0])
        self._list.addTopLevelItems([QTreeWidgetItem([one.name, one.version, one.licence]) for one in about[1]])
        for column in range(2):
            self._list.resizeColumnToContents(column)


def facts_of(state: EngineState) -> dict[str, str]:
    """Return what a report says of the model in use: nothing of where it is."""
    facts = {"model": "none"}
    if state.model is not None:
        facts = {"model": Path(state.model.name).name, "quant": state.model.file_type, "state": state.kind}
        facts["context"] = str(state.context)
    if state.error is not None:
        facts["error"] = state.error.code or type(state.error).__name__
    return facts
