"""Documents of the open chat: the collections that it uses, and how much of the context an attachment takes."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from desktop_app.paths import documents_file
from desktop_app.ui.services import Services


class DocumentsController(QObject):
    """Knows what is shown of collections, and stores what the user chooses."""

    collections_shown = Signal(list, list)
    """The names of those that there are, and of those that the chat uses."""
    context_shown = Signal(int)
    """Tokens that the model keeps in mind; 0: that is not known."""

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        """Follow the open chat, the collections and the model."""
        super().__init__(parent)
        self._services = services
        services.chats.list.opened.connect(self.show_choice)
        services.collections.changed.connect(self.show_choice)
        services.models.changed.connect(self._show_context)
        if documents_file().is_file():
            services.collections.refresh()

    def choose(self, names: list[str]) -> None:
        """Have the chat's answers looked for in collections."""
        self._services.chats.list.set_collections(names)
        self.show_choice()

    def show_choice(self) -> None:
        """Tell which collections there are, and which the chat uses."""
        known = [collection.name for collection in self._services.collections.collections]
        chosen = self._services.chats.list.current.collections
        self.collections_shown.emit(known, [name for name in chosen if name in known] if known else list(chosen))

    def _show_context(self) -> None:
        state = self._services.models.state
        self.context_shown.emit(state.info.context if state.kind == "ready" and state.info is not None else 0)
