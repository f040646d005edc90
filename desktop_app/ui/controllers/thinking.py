"""Whether the open chat's model thinks before an answer, and how long."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from desktop_app.ui.services import Services


class ThinkingController(QObject):
    """Knows what is shown of thinking, and stores what the user chooses."""

    thinking_shown = Signal(object)
    """Whether the model thinks; None: it leaves no choice."""
    effort_shown = Signal(str)
    """How long it thinks; "": it leaves no choice."""

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        """Follow the open chat and the model."""
        super().__init__(parent)
        self._services = services
        services.chats.list.opened.connect(self.show_choice)
        services.models.changed.connect(self.show_choice)

    def show_choice(self) -> None:
        """Tell the chat's choice, or what the model does by itself, if it leaves the choice."""
        info, chat = self._services.models.state.info, self._services.chats.list.current
        thinking, effort = (info.thinking, info.effort) if info is not None else (None, "")
        self.thinking_shown.emit(thinking if thinking is None or chat.thinking is None else chat.thinking)
        self.effort_shown.emit(effort and (chat.effort or effort))

    def choose(self, thinking: bool) -> None:
        """Let the model think, or not."""
        self._services.chats.list.set_thinking(thinking)
        self._services.save_settings()

    def choose_effort(self, effort: str) -> None:
        """Let the model think for long, or not."""
        self._services.chats.list.set_effort(effort)
        self._services.save_settings()
        self.show_choice()
