"""The tools of the open chat: what the button shows, what its menu changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from desktop_app.chat.tool_choice import ToolChoice
from desktop_app.paths import mcp_file
from desktop_app.ui.chat.chat_session import ChatSession
from desktop_app.ui.chat.tools_button import ToolsButton


class ToolsController(QObject):
    """Connects the tools' button with the chats."""

    def __init__(
        self, chats: ChatSession, button: ToolsButton, open_settings: Callable[[], None], window: QWidget
    ) -> None:
        """Show the open chat's tools, and follow it."""
        super().__init__(window)
        self._chats, self._button, self._window = chats, button, window
        self._button.chosen.connect(self._choose)
        self._button.folder_asked.connect(self._ask_for_folder)
        self._button.settings_asked.connect(open_settings)
        chats.list.opened.connect(self.show)
        self.show()

    def show(self) -> None:
        """Show what is on."""
        self._button.show_choice(self._chats.list.current.tools, _servers())

    def _choose(self, choice: ToolChoice) -> None:
        self._chats.list.set_tools(choice)
        self.show()

    def _ask_for_folder(self) -> None:
        dialog = QFileDialog(self._window, self.tr("A folder that the model may read"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.grant)
        dialog.open()

    def grant(self, folder: str) -> None:
        """Let the open chat's model read a folder."""
        choice = self._chats.list.current.tools
        if folder not in choice.folders:
            self._choose(replace(choice, folders=(*choice.folders, folder)))


def _servers() -> list[str]:
    """Return the MCP servers that are on."""
    if not mcp_file().exists():
        return []
    from desktop_app.assistant.mcp.configuration import servers_switched_on

    return servers_switched_on()
