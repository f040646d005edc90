"""The settings of tools: MCP servers, and what may always be done without asking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_app.assistant import tool_settings
from desktop_app.assistant.mcp.configuration import Server, own_servers
from desktop_app.ui.bridges.background import Background
from desktop_app.ui.chat.step_values import PlainText
from desktop_app.ui.chat.tool_words import tool_words
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.widgets.elided_label import ElidedLabel
from models.errors import ZhiyinError
from models.visible import visible


class ToolsPage(QWidget):
    """Lists the servers; one can be added, imported, tried, switched, removed, its log looked at."""

    changed = Signal()
    """Other servers are there, or other ones are on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Show what is stored."""
        super().__init__(parent)
        self._background = Background("tool-settings", self)
        self._heading, self._hint, self._allowed_heading, self._said = (QLabel(wordWrap=True) for _ in range(4))
        self._heading.setObjectName("dialogTitle")
        self._allowed_heading.setObjectName("dialogTitle")
        self._hint.setObjectName("muted")
        self._said.setTextFormat(Qt.TextFormat.PlainText)
        self._said.setObjectName("toolsSaid")
        self._said.hide()
        self._name, self._line = QLineEdit(maxLength=64), QLineEdit()
        self._name.setFixedWidth(140)
        self._add, self._import = QPushButton(), QPushButton()
        self._add.clicked.connect(self._add_server)
        self._line.returnPressed.connect(self._add_server)
        self._import.clicked.connect(self._choose_file)
        self._rows = QVBoxLayout()
        self._servers: dict[str, _ServerRow] = {}
        self._allowed_rows = QVBoxLayout()
        adding = QHBoxLayout()
        adding.addWidget(self._name)
        adding.addWidget(self._line, 1)
        adding.addWidget(self._add)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 8, 12, 16)
        layout.setSpacing(10)
        for part in (self._heading, self._hint):
            layout.addWidget(part)
        layout.addLayout(self._rows)
        layout.addLayout(adding)
        layout.addWidget(self._import, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._said)
        layout.addSpacing(8)
        layout.addWidget(self._allowed_heading)
        layout.addLayout(self._allowed_rows)
        layout.addStretch()
        self._retranslate()
        self.show_stored()

    def show_stored(self) -> None:
        """Show the servers and what is always allowed as they are now."""
        try:
            servers = own_servers()
        except ZhiyinError as error:
            servers = {}
            self._say(translated(error))
        _empty(self._rows)
        self._servers = {name: _ServerRow(name, server, self) for name, server in servers.items()}
        for row in self._servers.values():
            self._rows.addWidget(row)
        _empty(self._allowed_rows)
        for key in tool_settings.allowed():
            self._allowed_rows.addWidget(self._allowed_row(key))
        self._allowed_heading.setVisible(bool(self._allowed_rows.count()))

    def import_file(self, path: str) -> None:
        """Take over the servers of another program's file."""
        self.do(lambda: tool_settings.import_servers(Path(path)), self._imported)

    def do(self, work: Callable[[], Any], done: Callable[[Any], None] | None = None) -> None:
        """Change something on a thread, then show what is stored; where it fails, say why."""

        def shown(result: Any) -> None:
            self.show_stored()
            self.changed.emit()
            if done is not None:
                done(result)

        self._said.hide()
        self._background.run(work, shown, lambda error: self._say(translated(error)))

    def tell(self, name: str, work: Callable[[], str]) -> None:
        """Find something out about a server on a thread, and say it in its row, where one is there by then."""

        def say(text: str) -> None:
            if name in self._servers:
                self._servers[name].say(text)

        self._background.run(work, say, lambda error: say(translated(error)))

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()
            self.show_stored()

    def close_threads(self) -> None:
        """Wait for what is under way; nothing is shown after this."""
        self._background.close()

    def _retranslate(self) -> None:
        self._heading.setText(self.tr("MCP servers"))
        self._hint.setText(
            self.tr(
                "Programs on this computer, or addresses, that offer tools to the model. What is switched on here can be "
                "turned on for a chat beside its message box, and asks before each use."
            )
        )
        self._allowed_heading.setText(self.tr("Allowed without asking"))
        self._name.setPlaceholderText(self.tr("Name"))
        self._line.setPlaceholderText(self.tr("Program with its arguments, or an http address"))
        for field in (self._name, self._line):
            field.setAccessibleName(field.placeholderText())
        self._add.setText(self.tr("Add"))
        self._import.setText(self.tr("Import from another program…"))

    def _say(self, text: str) -> None:
        self._said.setText(text)
        self._said.setVisible(bool(text))

    def _imported(self, names: list[str]) -> None:
        if names:
            listed = ", ".join(map(visible, names))
            self._say(self.tr("Imported and switched off until you switch them on: {names}").format(names=listed))
        else:
            self._say(self.tr("There is no server in that file which is not here already."))

    def _add_server(self) -> None:
        name, line = self._name.text().strip(), self._line.text().strip()

        def added(_: Any) -> None:
            self._name.clear()
            self._line.clear()

        self.do(lambda: tool_settings.add_server(name, line), added)

    def _choose_file(self) -> None:
        dialog = QFileDialog(self, self.tr("A file with mcpServers"))
        dialog.setNameFilter("JSON (*.json)")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.import_file)
        dialog.open()

    def _allowed_row(self, key: str) -> QWidget:
        source, _, tool = key.partition("/")
        words = ElidedLabel()
        words.set_whole(tool_words(tool, source.partition("#")[0]))
        again = QPushButton(self.tr("Ask again"))
        again.clicked.connect(lambda: self.do(lambda: tool_settings.ask_again(key)))
        return _row(words, again)


class _ServerRow(QFrame):
    """One server."""

    def __init__(self, name: str, server: Server, page: ToolsPage) -> None:
        super().__init__()
        self.setObjectName("stepCard")
        self._name, self._server, self._page = name, server, page
        on = QCheckBox(visible(name).replace("&", "&&"))
        on.setChecked(not server.disabled)
        on.toggled.connect(self._switch)
        what = ElidedLabel()
        what.setObjectName("muted")
        what.set_whole(visible(server.url or " ".join((server.command, *server.args))))
        attempt, log, remove = (QPushButton(words) for words in (self.tr("Try"), self.tr("Log"), self.tr("Remove")))
        attempt.clicked.connect(self._try)
        log.clicked.connect(self._show_log)
        remove.clicked.connect(lambda: page.do(lambda: tool_settings.remove_server(name)))
        self._log: PlainText | None = None
        self._said = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._said.setObjectName("serverSaid")
        self._said.hide()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(12, 8, 12, 8)
        self._column.addWidget(_row(on, attempt, log, remove))
        self._column.addWidget(what)
        self._column.addWidget(self._said)

    def say(self, text: str) -> None:
        """Show what was found out about it."""
        self._said.setText(text)
        self._said.show()

    def _switch(self, on: bool) -> None:
        self._page.do(lambda: tool_settings.switch_server(self._name, on=on))

    def _try(self) -> None:
        name, server = self._name, self._server
        offered = self.tr("{name} offers: {tools}")
        none = self.tr("{name} works, and offers no tools.")

        def attempt() -> str:
            tools = tool_settings.tools_of(name, server)
            listed = "\n".join(visible(tool)[:200] for tool in tools)
            return (offered if tools else none).format(name=visible(name), tools=f"\n{listed}")

        self.say(self.tr("Trying it out…"))
        self._page.tell(name, attempt)

    def _show_log(self) -> None:
        if self._log is not None:
            self._log.deleteLater()
            self._log = None
            return
        text = tool_settings.log_of(self._name)
        self._log = PlainText(text or self.tr("The log is empty."), self.tr("Log"))
        self._column.addWidget(self._log)
        bar = self._log.verticalScrollBar()
        bar.setValue(bar.maximum())


def _row(first: QWidget, *others: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(first, 1)
    for other in others:
        layout.addWidget(other)
    return row


def _empty(layout: QVBoxLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.hide()
            widget.deleteLater()
