"""The pages of the window: the open chat or a greeting, the models to get, and the settings."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QSizePolicy, QStackedWidget, QWidget

from desktop_app.ui.chat.chat_view import ChatView
from desktop_app.ui.chat.welcome import Welcome
from desktop_app.ui.controllers.comparing import ComparisonController
from desktop_app.ui.controllers.first_run import FirstRunController
from desktop_app.ui.services import Services
from desktop_app.ui.settings.sections import SectionName
from desktop_app.ui.widgets.look import WIDTHS

if TYPE_CHECKING:
    from desktop_app.ui.chat.comparison_page import ComparisonPage
    from desktop_app.ui.chat.finder import ChatFinder
    from desktop_app.ui.models.catalogue_page import CataloguePage
    from desktop_app.ui.models.downloads_page import DownloadsPage
    from desktop_app.ui.models.first_run_page import FirstRunPage
    from desktop_app.ui.settings.settings_page import SettingsPage


class Pages(QStackedWidget):
    """Shows one page, and keeps the models to get up to date while they are seen."""

    turned = Signal()
    """Another page may be shown: `is_aside` says which kind."""
    left = Signal()
    """The settings were closed, or the first model chosen: the keyboard may go back to the message."""
    catalogue_asked = Signal()
    catalogue_left = Signal()
    import_asked = Signal()
    attach_asked = Signal()
    """Files for a question to two models are to be chosen."""
    get_asked = Signal(object)
    """An offer of the catalogue is to be fetched."""
    look_asked = Signal(object)
    """An `InstallRequest`: what it is of is to be shown."""
    chat_asked = Signal(object)
    """A chat with an installed model is to be begun."""
    network_asked = Signal()
    """The settings of the network are to be shown."""
    trash_asked = Signal()
    tools_changed = Signal()

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        """Begin with the greeting."""
        super().__init__(parent)
        self._services = services
        self.welcome = Welcome()
        self._first_run = FirstRunController(services, self)
        self._first_run_page: FirstRunPage | None = None
        self.chat = ChatView(services.chats)
        self._catalogue: CataloguePage | None = None
        self._downloads: DownloadsPage | None = None
        self._comparison: ComparisonPage | None = None
        self._comparing = ComparisonController(services, services.comparison, self)
        self.settings: SettingsPage | None = None
        """Made whenever it is opened."""
        self.addWidget(self.welcome)
        self.addWidget(self.chat)
        services.assistant_list.changed.connect(lambda: self.welcome.show_assistant(services.assistant_list.current))
        services.chats.list.added.connect(lambda _: self.show_chat())
        services.chats.list.opened.connect(self.show_chat)
        self._first_run.changed.connect(self._first_run_changed)
        services.library.changed.connect(self.refresh_catalogue)
        services.themes.changing.connect(self.chat.take_down)
        services.themes.wait_while(lambda: self.chat.is_clearing)
        services.themes.changed.connect(self.chat.put_up)
        services.setting_changed.connect(self._setting_changed)
        self._setting_changed("message_width")

    @cached_property
    def finder(self) -> ChatFinder:
        """Finds words in the open chat."""
        from desktop_app.ui.chat.finder import ChatFinder

        return ChatFinder(self._services.chats, self.chat)

    @property
    def first_run(self) -> FirstRunPage:
        """The page for a user without a model."""
        if self._first_run_page is None:
            from desktop_app.ui.models.first_run_page import FirstRunPage

            page = self._first_run_page = FirstRunPage()
            self.addWidget(page)
            page.starter_asked.connect(self._first_run.end)
            page.starter_asked.connect(self.left)
            page.get_asked.connect(self.get_asked)
            page.import_asked.connect(self.import_asked)
            page.catalogue_asked.connect(self.catalogue_asked)
        return self._first_run_page

    @property
    def catalogue(self) -> CataloguePage:
        """The models to get."""
        if self._catalogue is None:
            self._catalogue = self._make_catalogue()
        return self._catalogue

    def _make_catalogue(self) -> CataloguePage:
        from desktop_app.ui.models.catalogue_page import CataloguePage

        services, page = self._services, CataloguePage(self._services.search)
        policy = page.sizePolicy()
        policy.setVerticalPolicy(QSizePolicy.Policy.Ignored)  # the highest page is not always the one that is shown
        page.setSizePolicy(policy)
        self.addWidget(page)
        page.closed.connect(self.catalogue_left)
        page.get_asked.connect(self.get_asked)
        page.look_asked.connect(self.look_asked)
        page.chat_asked.connect(self.chat_asked)
        services.catalogue.changed.connect(page.show_overview)
        for under_way in (services.conversions.changed, services.conversions.progressed):
            under_way.connect(lambda *_: page.show_jobs(services.conversions.jobs))
        page.show_jobs(services.conversions.jobs)
        return page

    @property
    def downloads(self) -> DownloadsPage:
        """The page of downloads and conversions."""
        if self._downloads is None:
            from desktop_app.ui.models.downloads_page import DownloadsPage

            page = self._downloads = DownloadsPage(self._services.conversions, self._services.settings)
            self.addWidget(page)
            page.chat_asked.connect(self.chat_asked)
            page.settings_asked.connect(self.network_asked)
            page.changed.connect(self._services.apply_setting)
            page.closed.connect(self.back_to_chat)
            page.closed.connect(self.left)
        return self._downloads

    @property
    def comparison(self) -> ComparisonPage:
        """Asks two models the same."""
        if self._comparison is None:
            self._comparison = self._make_comparison()
        return self._comparison

    def _make_comparison(self) -> ComparisonPage:
        from desktop_app.ui.chat.comparison_page import ComparisonPage

        page, comparing = ComparisonPage(), self._comparing
        self.addWidget(page)
        page.asked.connect(comparing.ask)
        page.stopped.connect(comparing.stop)
        page.kept.connect(comparing.keep)
        page.closed.connect(self.back_to_chat)
        page.closed.connect(self.left)
        page.catalogue_asked.connect(self.catalogue_asked)
        page.attach_asked.connect(self.attach_asked)
        page.cleared.connect(comparing.clear)
        comparing.begun.connect(page.begin_turn)
        comparing.cleared.connect(page.clear)
        comparing.heard.connect(page.show_answer)
        comparing.refused.connect(page.refuse)
        comparing.busy_changed.connect(page.set_busy)
        comparing.kept.connect(self.back_to_chat)
        comparing.kept.connect(self.left)
        self.currentChanged.connect(self._left_comparison)
        return page

    @property
    def in_comparison(self) -> bool:
        """Whether the user asks two models."""
        return self._comparison is not None and self.currentWidget() is self._comparison

    @property
    def in_catalogue(self) -> bool:
        """Whether the user looks at the models to get."""
        return self._catalogue is not None and self.currentWidget() is self._catalogue

    @property
    def is_aside(self) -> bool:
        """Whether the user looks at something else than the open chat."""
        return self.currentWidget() not in (self.welcome, self._first_run_page, self.chat)

    def show_chat(self) -> None:
        """Show the open chat, unless the user looks at something else."""
        if not self.is_aside:
            empty = self.first_run if self._first_run.wanted else self.welcome
            self.setCurrentWidget(self.chat if self._services.chats.list.path else empty)
            self.turned.emit()

    def open_catalogue(self) -> None:
        """Show the models to get."""
        self._close_settings()
        self.setCurrentWidget(self.catalogue)
        self.turned.emit()
        self.refresh_catalogue()
        self.catalogue.begin()

    def open_downloads(self) -> None:
        """Show what is being downloaded and converted."""
        self._close_settings()
        self.setCurrentWidget(self.downloads)
        self.turned.emit()

    def open_comparison(self) -> None:
        """Let the user ask two models."""
        self._close_settings()
        models = [model for model in self._services.library.everywhere if not model.measures]
        self.comparison.set_models(models, self._services.models.state.model)
        self.setCurrentWidget(self.comparison)
        self.turned.emit()
        self.comparison.field.setFocus()

    def _left_comparison(self) -> None:
        if not self.in_comparison:
            self._comparing.leave()

    def open_settings(self, section: SectionName = "general") -> None:
        """Show the settings, at one of their sections."""
        from desktop_app.ui.settings.settings_page import SettingsPage

        services = self._services
        if self.settings is None:
            self.settings = SettingsPage(services)
            self.settings.changed.connect(services.apply_setting)
            self.settings.trash_asked.connect(self.trash_asked)
            self.settings.tools_changed.connect(self.tools_changed)
            self.settings.closed.connect(partial(self._settings_closed, services.settings.context))
            self.addWidget(self.settings)
        self.settings.show_section(section)
        self.setCurrentWidget(self.settings)
        self.turned.emit()

    def back_to_chat(self) -> None:
        """Show the open chat, whatever was shown."""
        self._close_settings()
        self.setCurrentWidget(self.welcome)
        self.show_chat()

    def _close_settings(self) -> None:
        if self.settings is not None:
            self.settings.close()

    def _settings_closed(self, old_context: int) -> None:
        page, self.settings = self.settings, None
        if page is None:
            return
        shown = self.currentWidget() is page
        self.removeWidget(page)
        page.deleteLater()
        self._services.save_settings()
        if self._services.settings.context != old_context:
            self._services.models.apply_settings()
        if shown:
            self.back_to_chat()
            self.left.emit()

    def _setting_changed(self, name: str) -> None:
        if name == "message_width":
            self.chat.set_column(WIDTHS[self._services.settings.message_width])

    def _first_run_changed(self) -> None:
        if self._first_run.wanted or self._first_run_page is not None:
            self.first_run.show_found(self._first_run.found, has_starter=bool(self._services.library.models))
        self.show_chat()

    def refresh_catalogue(self) -> None:
        """Find out anew what fits, if that is seen."""
        if self.in_catalogue:
            self._services.catalogue.refresh()
