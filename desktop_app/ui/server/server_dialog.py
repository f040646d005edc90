"""The local server: its switch, its address, and who asked last."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QDateTime, QEvent, QLocale, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QDialogButtonBox,
    QFormLayout,
    QGridLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from desktop_app.server.process import Answered
from desktop_app.settings import RANGES
from desktop_app.ui.bridges.server_bridge import ServerBridge
from desktop_app.ui.i18n.formats import duration, number
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.widgets.enabling import enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog
from desktop_app.ui.widgets.spin_boxes import indent

_WIDTH = 620
_TABLE = 170
_PORT = 130
_ROW = 36
_GOOD = 400
"""The first HTTP status of a request that was refused or failed."""


class ServerDialog(FittingDialog):
    """Switches the server on and off."""

    def __init__(self, server: ServerBridge, parent: QWidget | None = None) -> None:
        """Show how it is now."""
        super().__init__(_WIDTH, parent)
        self._server = server
        self._words = QLabel(wordWrap=True)
        self._switch = QPushButton()
        self._switch.setDefault(True)
        self._switch.clicked.connect(self._toggle)
        self._failure = QLabel(wordWrap=True)
        self._failure.setObjectName("serverFailure")
        self._failure.hide()
        self._port = QSpinBox()
        self._port.setRange(*map(int, RANGES["server_port"]))
        self._port.setFixedWidth(_PORT)
        indent(self._port)
        self._port.setValue(server.settings.server_port)
        self._network = QCheckBox()
        self._network.setChecked(server.settings.server_network)
        self._address, self._copy_address = _shown_text()
        self._key, self._copy_key = _shown_text()
        self._requests = QLabel()
        self._requests.setObjectName("muted")
        self._table = _table()
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self._buttons.rejected.connect(self.reject)
        self.set_content(self._page(), self._buttons)
        server.changed.connect(self._show)
        self._retranslate()

    def _page(self) -> QWidget:
        page = QWidget()
        self._form = QFormLayout()
        self._form.setSpacing(8)
        self._port_words, self._address_words, self._key_words = QLabel(), QLabel(), QLabel()
        for field in (self._port, self._address, self._key):  # a form puts its words at the top of what is higher
            field.setFixedHeight(_ROW)
        for words in (self._port_words, self._address_words, self._key_words):
            words.setMinimumHeight(_ROW)
        self._form.addRow(self._port_words, self._port)
        self._form.addRow("", self._network)
        self._form.addRow(self._address_words, _side_by_side(self._address, self._copy_address))
        self._form.addRow(self._key_words, _side_by_side(self._key, self._copy_key))
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 18, 20, 8)
        column.setSpacing(10)
        column.addWidget(self._words)
        column.addLayout(self._form)
        column.addWidget(self._switch, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self._failure)
        column.addWidget(self._requests)
        column.addWidget(self._table, 1)
        return page

    def show_failure(self, error: Exception) -> None:
        """Say why it does not run."""
        self._failure.setText(translated(error))
        self._failure.show()
        self.fit()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Local server"))
        self._words.setText(
            self.tr(
                "Other programs on this computer can use your models: editors, note-taking and translation programs, "
                "anything that speaks OpenAI's, Anthropic's or Ollama's protocol. Nothing of what they say is written down."
            )
        )
        self._port_words.setText(self.tr("Port"))
        self._port.setAccessibleName(self.tr("Port"))
        self._network.setText(self.tr("Answer other computers of the network too (they need the key)"))
        self._address_words.setText(self.tr("Address"))
        self._address.setAccessibleName(self.tr("Address"))
        self._key_words.setText(self.tr("Key"))
        self._key.setAccessibleName(self.tr("Key"))
        for button in (self._copy_address, self._copy_key):
            button.setText(self.tr("Copy"))
        self._table.setHorizontalHeaderLabels(
            [self.tr("Time"), self.tr("Program"), self.tr("Model"), self.tr("Tokens"), self.tr("Duration")]
        )
        self._table.setAccessibleName(self.tr("Last requests"))
        self._buttons.button(QDialogButtonBox.StandardButton.Close).setText(self.tr("Close"))
        self._show()

    def _show(self) -> None:
        server, ready = self._server, self._server.ready
        if server.is_on:
            self._failure.hide()
        self._switch.setText(self.tr("Stop the server") if server.is_on else self.tr("Start the server"))
        for widget in (self._port, self._network):
            enable(widget, {self.tr("Stop the server to change this."): server.is_on})
        self._address.setText("" if ready is None else f"{ready.address}/v1")
        self._address.setPlaceholderText(self.tr("Starting …") if server.is_on else self.tr("It does not run"))
        enable(self._copy_address, {self.tr("It does not run"): ready is None})
        self._key.setText("" if ready is None else ready.key)
        self._form.setRowVisible(self._key_words, ready is not None and bool(ready.key))
        self._requests.setText(self.tr("Last requests") if server.last else self.tr("Nobody has asked yet."))
        self._fill(server.last)

    def _fill(self, requests: Iterable[Answered]) -> None:
        rows = list(requests)
        self._table.setRowCount(len(rows))
        self._table.setVisible(bool(rows))
        for row, one in enumerate(rows):
            when = QLocale().toString(QDateTime.fromSecsSinceEpoch(int(one.begun)).time(), "HH:mm:ss")
            tokens = f"{number(one.prompt_tokens, 0)} + {number(one.tokens, 0)}" if one.status < _GOOD else ""
            model = one.model if one.status < _GOOD else self.tr("refused ({status})").format(status=one.status)
            for column, text in enumerate((when, one.program, model, tokens, duration(one.seconds))):
                item = QTableWidgetItem(text)
                item.setToolTip(one.path if column == 1 else text)
                self._table.setItem(row, column, item)

    def _toggle(self) -> None:
        if self._server.is_on:
            self._server.switch_off()
        else:
            self._server.switch_on(self._port.value(), network=self._network.isChecked())


def _shown_text() -> tuple[QLineEdit, QPushButton]:
    """Return a text that is read and copied, not written, with the button that copies it."""
    field, button = QLineEdit(readOnly=True), QPushButton()
    button.setAutoDefault(False)
    button.clicked.connect(lambda: QGuiApplication.clipboard().setText(field.text()))
    return field, button


def _side_by_side(field: QLineEdit, button: QPushButton) -> QWidget:
    row = QWidget()
    grid = QGridLayout(row)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.addWidget(field, 0, 0)
    grid.addWidget(button, 0, 1)
    return row


def _table() -> QTableWidget:
    table = QTableWidget(0, 5)
    table.verticalHeader().hide()
    table.setShowGrid(False)
    table.setMinimumHeight(_TABLE)
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
    return table
