"""The pages of the window: the open chat or a greeting, and the models to get."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QSizePolicy, QStackedWidget, QWidget

from desktop_app.ui.chat.chat_view import ChatView
from desktop_app.ui.chat.welcome import Welcome
from desktop_app.ui.models.catalogue_page import CataloguePage
from desktop_app.ui.services import Services


class Pages(QStackedWidget):
    """Shows one page, and keeps the models to get up to date while they are seen."""

    turned = Signal()
    """Another page may be shown: `in_catalogue` says which kind."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        """Begin with the greeting."""
        super().__init__(parent)
        self._services = services
        self.welcome = Welcome()
        self.chat = ChatView(services.chats)
        self.catalogue = CataloguePage()
        policy = self.catalogue.sizePolicy()
        policy.setVerticalPolicy(QSizePolicy.Policy.Ignored)  # the highest page is not always the one that is shown
        self.catalogue.setSizePolicy(policy)
        for page in (self.welcome, self.chat, self.catalogue):
            self.addWidget(page)
        services.chats.added.connect(lambda _: self.show_chat())
        services.chats.opened.connect(self.show_chat)
        services.catalogue.changed.connect(self.catalogue.show_overview)
        services.library.changed.connect(self.refresh_catalogue)
        for under_way in (services.conversions.changed, services.conversions.progressed):
            under_way.connect(lambda *_: self.catalogue.show_jobs(services.conversions.jobs))
        services.themes.changing.connect(self.chat.take_down)
        services.themes.changed.connect(self.chat.put_up)

    @property
    def in_catalogue(self) -> bool:
        """Whether the user looks at the models to get."""
        return self.currentWidget() is self.catalogue

    def show_chat(self) -> None:
        """Show the open chat, unless the user looks at the models to get."""
        if not self.in_catalogue:
            self.setCurrentWidget(self.chat if self._services.chats.path else self.welcome)
            self.turned.emit()

    def open_catalogue(self) -> None:
        """Show the models to get."""
        self.setCurrentWidget(self.catalogue)
        self.turned.emit()
        self.refresh_catalogue()
        self.catalogue.begin()

    def close_catalogue(self) -> None:
        """Go back to the open chat."""
        self.setCurrentWidget(self.welcome)
        self.show_chat()

    def refresh_catalogue(self) -> None:
        """Find out anew what fits, if that is seen."""
        if self.in_catalogue:
            self._services.catalogue.refresh()
