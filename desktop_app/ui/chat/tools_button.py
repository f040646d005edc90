"""The button beside the message box with the tools that the open chat has on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QPoint, Signal
from PySide6.QtGui import QAction, QMouseEvent
from PySide6.QtWidgets import QMenu, QWidget

from desktop_app.chat.tool_choice import ToolChoice
from desktop_app.ui.chat.choice_button import ICON, ChoiceButton
from desktop_app.ui.chat.tool_words import SWITCHES, switch_words
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.icons import icon
from desktop_app.ui.widgets.menus import light_only_under_pointer
from models.visible import visible


class ToolsButton(ChoiceButton):
    """Opens a menu of switches; its number says how many are on."""

    chosen = Signal(ToolChoice)
    """The user switched tools of this chat on or off."""
    folder_asked = Signal()
    """The user wants to grant a folder for reading."""
    settings_asked = Signal()
    """The user wants to see the MCP servers and what is always allowed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin with nothing on."""
        super().__init__("toolsButton", parent)
        self._choice = ToolChoice()
        self._servers: Sequence[str] = ()
        self.setCheckable(True)
        self.clicked.connect(self._open)
        self._retranslate()
        self._draw()
        self.show()

    def show_choice(self, choice: ToolChoice, servers: Sequence[str]) -> None:
        """Show what is on, and which MCP servers there are."""
        self._choice, self._servers = choice, servers
        self.setChecked(bool(choice))
        self._retranslate()
        self._draw()

    @property
    def _count(self) -> int:
        choice = self._choice
        return len(choice.names) + len(choice.folders) + len([name for name in choice.servers if name in self._servers])

    def _open(self) -> None:
        self.setChecked(bool(self._choice))  # the click does not switch anything by itself
        menu = _StayingMenu(self)
        menu.setObjectName("toolsMenu")
        menu.aboutToHide.connect(menu.deleteLater)
        for name in SWITCHES:
            self._add_switch(menu, "names", name, switch_words(name))
        menu.addSeparator()
        for folder in self._choice.folders:
            self._add_switch(
                menu, "folders", folder, self.tr("Read in {folder}").format(folder=Path(folder).name or folder)
            )
        menu.addAction(self.tr("Let it read a folder…")).triggered.connect(self.folder_asked)
        menu.addSeparator()
        for server in self._servers:
            self._add_switch(menu, "servers", server, self.tr("MCP server {name}").format(name=visible(server)))
        menu.addAction(self.tr("Tools and MCP servers…")).triggered.connect(self.settings_asked)
        light_only_under_pointer(self, menu)
        menu.popup(self.mapToGlobal(QPoint(0, -menu.sizeHint().height())))

    def _add_switch(self, menu: QMenu, kind: str, name: str, words: str) -> None:
        action = QAction(words.replace("&", "&&"), menu, checkable=True)
        action.setChecked(name in getattr(self._choice, kind))
        action.setToolTip(name)
        action.toggled.connect(lambda on: self._switch(kind, name, on))
        menu.addAction(action)

    def _switch(self, kind: str, name: str, on: bool) -> None:
        names = tuple(other for other in getattr(self._choice, kind) if other != name)
        self._choice = replace(self._choice, **{kind: (*names, name) if on else names})
        self.chosen.emit(self._choice)

    def _retranslate(self) -> None:
        count = self._count
        self.setText(str(count) if count else "")
        self.setAccessibleName(self.tr("Tools: {count} on").format(count=count))
        self.setToolTip(self.tr("Tools that the model may use in this chat"))

    def _draw(self) -> None:
        colours = theme.current()
        self.setIcon(icon("tools", colours.accent if self._count else colours.muted, ICON))


class _StayingMenu(QMenu):
    """Stays open while switches are set."""

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802  (Qt's name)
        action = self.activeAction()
        if action is not None and action.isCheckable():
            action.toggle()
        else:
            super().mouseReleaseEvent(event)
