"""Servers whose models are used like those of this computer: the list, and an address to add."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_app.remote.addresses import Remote
from desktop_app.ui.bridges.remotes_bridge import RemotesBridge
from desktop_app.ui.i18n.formats import number
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.widgets.enabling import UNCHOSEN, UNWRITTEN, WORKING, enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog

_LIST_HEIGHT = 120
_ROW = 30


class RemotesDialog(FittingDialog):
    """Adds servers and forgets them; what they have stands in the menu of models then."""

    def __init__(self, bridge: RemotesBridge, parent: QWidget | None = None) -> None:
        """Show the servers that are there."""
        super().__init__(560, parent)
        self._bridge = bridge
        self._remotes: tuple[Remote, ...] = ()
        self._intro, self._status = QLabel(wordWrap=True), QLabel(wordWrap=True)
        self._intro.setObjectName("muted")
        self._status.setObjectName("remoteStatus")
        self._status.setTextFormat(Qt.TextFormat.PlainText)  # it may hold a server's own words
        self._list = QListWidget()
        self._list.setObjectName("remotes")
        self._list.setFixedHeight(_LIST_HEIGHT)
        self._list.currentRowChanged.connect(lambda _: self._show_buttons())
        self._again, self._remove, self._add = QPushButton(), QPushButton(), QPushButton()
        self._again.clicked.connect(self._read_again)
        self._remove.clicked.connect(self._forget)
        self._add.clicked.connect(self._ask)
        self._address, self._key = QLineEdit(), QLineEdit(echoMode=QLineEdit.EchoMode.Password)
        self._address.setObjectName("remoteAddress")
        self._address.textChanged.connect(lambda _: self._show_buttons())
        for field in (self._address, self._key):
            field.returnPressed.connect(self._ask)
        self._form = QFormLayout()
        self._labels = [QLabel(), QLabel()]
        for label, field in zip(self._labels, (self._address, self._key), strict=True):
            label.setBuddy(field)
            label.setMinimumHeight(_ROW)  # stands in the middle of its field
            self._form.addRow(label, field)
        self._busy = False
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self._buttons.rejected.connect(self.reject)
        self._arrange()
        self._retranslate()
        self._read()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _arrange(self) -> None:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 18, 20, 8)
        column.setSpacing(12)
        below_list, below_form = QHBoxLayout(), QHBoxLayout()
        for button in (self._again, self._remove):
            below_list.addWidget(button)
        below_list.addStretch()
        below_form.addStretch()
        below_form.addWidget(self._add)
        column.addWidget(self._intro)
        column.addWidget(self._list)
        column.addLayout(below_list)
        column.addLayout(self._form)
        column.addLayout(below_form)
        column.addWidget(self._status)
        column.addStretch()
        for button in (self._again, self._remove, self._add):
            button.setAutoDefault(False)
        self.set_content(page, self._buttons)
        self._address.setFocus()

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Models on other computers"))
        self._intro.setText(
            self.tr(
                "A server with OpenAI's protocol (llama-server, vLLM, SGLang, Ollama, LM Studio, DashScope and others) can "
                "answer in place of a model on this computer. What you write to its models, and what documents and tools "
                "give them, is sent to its address."
            )
        )
        self._list.setAccessibleName(self.tr("Servers"))
        for label, field, words in zip(
            self._labels, (self._address, self._key), (self.tr("Address"), self.tr("Key")), strict=True
        ):
            label.setText(words)
            field.setAccessibleName(words)
        self._address.setPlaceholderText("http://192.168.1.5:8080/v1")
        self._key.setPlaceholderText(self.tr("Only where the server wants one"))
        self._again.setText(self.tr("Read its models again"))
        self._remove.setText(self.tr("Remove"))
        self._add.setText(self.tr("Add"))
        self._buttons.button(QDialogButtonBox.StandardButton.Close).setText(self.tr("Close"))
        self._show_list(self._remotes)

    def _read(self) -> None:
        self._bridge.find(self._show_list, self._failed)

    def _show_list(self, remotes: tuple[Remote, ...]) -> None:
        self._remotes = remotes
        row = self._list.currentRow()
        self._list.clear()
        for remote in remotes:
            count = len(remote.models)
            words = self.tr("1 model") if count == 1 else self.tr("{count} models").format(count=number(count, 0))
            self._list.addItem(QListWidgetItem(f"{remote.address}  ·  {words}"))
        self._list.setVisible(bool(remotes))
        self._list.setCurrentRow(min(max(row, 0), len(remotes) - 1))
        self._show_buttons()

    def _show_buttons(self) -> None:
        chosen = self._chosen() is not None
        for button in (self._again, self._remove):
            button.setVisible(bool(self._remotes))
            enable(button, {WORKING: self._busy, UNCHOSEN: not chosen})
        enable(self._add, {WORKING: self._busy, UNWRITTEN: not self._address.text().strip()})

    def _chosen(self) -> Remote | None:
        row = self._list.currentRow()
        return self._remotes[row] if 0 <= row < len(self._remotes) else None

    def _ask(self) -> None:
        if self._add.isEnabled():
            self._begin(self._address.text(), self._key.text().strip())

    def _read_again(self) -> None:
        remote = self._chosen()
        if remote is not None:
            self._begin(remote.address, "")

    def _begin(self, address: str, key: str) -> None:
        self._busy = True
        self._say(self.tr("Asking for its models…"))
        self._bridge.add(address, key, self._added, self._failed)
        self._show_buttons()

    def _added(self, remote: Remote) -> None:
        self._busy = False
        self._address.clear()
        self._key.clear()
        if remote.models:
            self._say(self.tr("Its models are in the menu of models now."))
        else:
            self._say(self.tr("It has no model now; load one there, then read its models again."))
        self._read()

    def _forget(self) -> None:
        remote = self._chosen()
        if remote is not None:
            self._busy = True
            self._show_buttons()
            self._bridge.remove(remote.address, self._removed, self._failed)

    def _removed(self) -> None:
        self._busy = False
        self._say("")
        self._read()

    def _failed(self, error: Exception) -> None:
        self._busy = False
        self._say(translated(error))
        self._show_buttons()

    def _say(self, words: str) -> None:
        self._status.setText(words)
        self.fit()
