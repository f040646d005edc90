"""Everything the window works with, made in order and closed in order."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QApplication

from desktop_app import reports
from desktop_app.chat.conversation import Conversation, Message
from desktop_app.library.installed_model import InstalledModel
from desktop_app.network import own_networks, position, switch
from desktop_app.paths import database_file, models_folder, settings_file
from desktop_app.settings import load_settings, save_settings
from desktop_app.ui.bridges.assistant_bridge import AssistantBridge
from desktop_app.ui.bridges.catalogue_bridge import CatalogueBridge
from desktop_app.ui.bridges.collections_bridge import CollectionsBridge
from desktop_app.ui.bridges.comparison_bridge import ComparisonBridge
from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.bridges.documents_bridge import DocumentsBridge
from desktop_app.ui.bridges.engine_bridge import EngineBridge
from desktop_app.ui.bridges.engine_parts_bridge import EnginePartsBridge
from desktop_app.ui.bridges.history_bridge import HistoryBridge
from desktop_app.ui.bridges.library_bridge import LibraryBridge
from desktop_app.ui.bridges.model_care_bridge import ModelCareBridge
from desktop_app.ui.bridges.quality_bridge import QualityBridge
from desktop_app.ui.bridges.remotes_bridge import RemotesBridge
from desktop_app.ui.bridges.search_bridge import SearchBridge
from desktop_app.ui.bridges.server_bridge import ServerBridge
from desktop_app.ui.bridges.storage_bridge import StorageBridge
from desktop_app.ui.bridges.tokens_bridge import TokensBridge
from desktop_app.ui.chat.chat_session import ChatSession
from desktop_app.ui.controllers.assistants import AssistantController
from desktop_app.ui.controllers.folders import FolderController
from desktop_app.ui.controllers.titles import TitleController
from desktop_app.ui.controllers.transfer import TransferController
from desktop_app.ui.i18n.translate import LanguageKeeper
from desktop_app.ui.models.model_session import EngineState, ModelSession
from desktop_app.ui.widgets.fonts import use_fonts
from desktop_app.ui.widgets.icons import draw_icons
from desktop_app.ui.widgets.look import Look, larger
from desktop_app.ui.widgets.theme import ThemeKeeper
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from desktop_app.library.removal import Removal
    from desktop_app.ui.bridges.newer_bridge import NewerBridge


class Services(QObject):
    """The engine, the models, the chats, the conversions and the settings of one running application."""

    settings_not_saved = Signal(Exception)
    setting_changed = Signal(str)
    """The setting of this name counts from now on."""
    reported = Signal(ZhiyinError)
    """`desktop_app.reports`, from any thread."""
    _put_down: InstalledModel | None = None
    """What the user unloaded; a new chat's question loads it again."""

    def __init__(self, application: QApplication, file: Path | None = None) -> None:
        """`begin` loads `file`, or the model used last, or the best one there is."""
        super().__init__(application)
        self._closed = False
        self._application = application
        self.settings = load_settings(settings_file())
        self.themes = ThemeKeeper(application, self)
        self.themes.coming.connect(draw_icons)
        self._languages = LanguageKeeper()
        self._choose_look()
        self.themes.choose(self.settings.theme)
        self._languages.choose(self.settings.language)
        use_fonts(application, self._languages.language)
        self.engine = EngineBridge(self)
        if self.settings.workers:
            self.engine.use_workers(self._workers(), lambda: None)
        self.library = LibraryBridge(models_folder(), self)
        self.remotes = RemotesBridge(self)
        self.remotes.changed.connect(self.library.refresh)
        self.documents = DocumentsBridge(self)
        self.collections = CollectionsBridge(self)
        self.history = HistoryBridge(database_file(), self)
        self.models = ModelSession(self.engine, self.settings, self)
        self.models.others = lambda: [model.path for model in self.library.models]
        self.acting = AssistantBridge(self.engine, self.history.save_step, self)
        self.chats = ChatSession(self.engine, self.models, self.history, self.settings, self.acting, self)
        self.tokens = TokensBridge(self.settings, self)
        self.tokens.failed.connect(self.settings_not_saved)
        self.tokens.moved.connect(self.save_settings)
        self.comparison = ComparisonBridge(self)
        self.conversions = ConversionBridge(self.library, self.models, self.settings, self)
        self.quality = QualityBridge(self)
        self.storage = StorageBridge(self.library, self.models, self.conversions, self.settings, self)
        self.storage.moved.connect(self._choose_again)
        self.model_care = ModelCareBridge(self.library, self.settings, self)
        self.models.changed.connect(self._note_use)
        self.catalogue = CatalogueBridge(self.library, self.models, self.settings, self)
        self.search = SearchBridge(self.models, self.settings, self)
        self.engine_parts = EnginePartsBridge(self.engine, self.models, self)
        self.chats.replies.model_of = self._model_of
        self.folders = FolderController(self.chats, self.history, self)
        self.assistant_list = AssistantController(self.chats, lambda: self._languages.language, self)
        self.transfer = TransferController(self.chats, self.history, self)
        self.titles = TitleController(self.engine, self.models, self.chats, self.settings, self)
        self.server = ServerBridge(self.settings, self)
        self._connect()
        self._file = file
        self._begun = file is not None

    def _connect(self) -> None:
        self.chats.replies.ended.connect(self._reply_ended)
        self.library.changed.connect(lambda: self.models.follow_list(self.library.models))
        self.library.changed.connect(self._choose_first)
        self._application.applicationStateChanged.connect(self._look_again)
        self.library.imported.connect(self.choose_model)

    @cached_property
    def newer(self) -> NewerBridge:
        """Looks whether models were published anew; the first paint does without."""
        from desktop_app.ui.bridges.newer_bridge import NewerBridge

        return NewerBridge(self)

    def begin(self) -> None:
        """Read chats and models, and load one: the window is on the screen, and shows them as they come."""
        if self._closed:
            return
        reports.listen(self.reported.emit)  # and what was found damaged so far
        self.history.begin()
        self.library.refresh()
        self.storage.begin()
        self.conversions.begin()
        self.newer.begin()
        if self._file is not None:
            self.library.import_file(self._file)

    def choose_model(self, model: InstalledModel) -> None:
        """Load a model and remember it for the next start; one that measures texts is for documents alone."""
        if model.measures:
            reports.say(
                ZhiyinError(
                    "{name} writes no texts: it searches documents; choose it on the page of the document collections.",
                    name=model.name,
                )
            )
            return
        self.settings.model = model.identifier
        self.chats.list.choose(model=model.identifier)
        self.save_settings()
        self.models.choose(model)

    def choose_document_models(self, embedder: str, reranker: str) -> None:
        """Let other models search documents; where another one makes vectors, all collections get new ones."""
        again = embedder != self.settings.embedder
        self.settings.embedder, self.settings.reranker = embedder, reranker
        self.save_settings()
        if again:
            self.collections.update_all()

    def remove_model(
        self,
        removal: Removal,
        on_done: Callable[[], None],
        on_failed: Callable[[Exception], None],
        *,
        with_download: bool,
        for_good: bool,
    ) -> None:
        """Remove a model; one that is in use is unloaded first, and another one loaded in its place."""
        model = removal.model
        in_use = self.models.state.model is not None and self.models.state.model.path == model.path

        def removed() -> None:
            if self.settings.model in (model.identifier, model.name):
                self.settings.model = ""
            if in_use and self.models.state.kind == "none":
                self._begun = False
                self._choose_first()
            self.conversions.changed.emit()  # with it went the outcome of its conversion, and perhaps a download
            on_done()

        def failed(error: Exception) -> None:
            if isinstance(model, InstalledModel) and in_use and self.models.state.kind == "none":
                self.models.choose(model)
            on_failed(error)

        def remove() -> None:
            self.library.remove(removal, removed, failed, with_download=with_download, for_good=for_good)

        if in_use:
            self.models.unload(remove)
        else:
            remove()

    def unload_model(self) -> None:
        """Free the memory of the model in use until there is a question."""
        self._put_down = self.models.state.model
        self.models.unload(lambda: None)

    def apply_setting(self, name: str) -> None:
        """Let a changed setting count."""
        if name == "theme":
            self.themes.choose(self.settings.theme)
        elif name in ("text_size", "compact"):
            self._choose_look()
        elif name == "language":
            self._languages.choose(self.settings.language)
            use_fonts(self._application, self._languages.language)
        elif name in ("network", "own_networks"):
            self._switch_network()
            self.newer.look_if_due()
        elif name == "workers":
            self.engine.use_workers(self._workers(), self.models.reload)
        elif name in ("download_limit", "mirror"):
            self.save_settings()  # a download under way looks there
        self.setting_changed.emit(name)

    def scale_text(self, steps: int) -> None:
        """Make texts larger or smaller by some steps; 0: as large as the system's."""
        self.settings.text_size = larger(self.settings.text_size, steps) if steps else Look().text_size
        self.apply_setting("text_size")
        self.save_settings()

    def _choose_look(self) -> None:
        self.themes.choose_look(Look(self.settings.text_size, self.settings.compact))

    def _workers(self) -> tuple[str, ...]:
        if not self.settings.workers:
            return ()
        from desktop_app.engine.workers import WorkerFailed, read_workers

        try:
            return read_workers(self.settings.workers)
        except WorkerFailed:  # of a file that somebody edited; the settings show what is there
            return ()

    def _switch_network(self) -> None:
        try:
            switch(self.settings.network, self.settings.own_networks)
        except ZhiyinError as error:
            self.settings_not_saved.emit(error)

    def save_settings(self) -> None:
        """Write the settings; what is said of the network stays as it is: a command may have changed it meanwhile."""
        self.settings.network = position()
        self.settings.own_networks = ", ".join(map(str, own_networks()))
        try:
            save_settings(self.settings, settings_file())
        except OSError as error:
            self.settings_not_saved.emit(error)

    def keep(self) -> None:
        """Store what is under way, and return when it is on disk."""
        self.chats.replies.keep()
        self.save_settings()
        self.history.wait()

    def close(self) -> None:
        """Store what is under way and end the engine; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        reports.listen(None)
        self.chats.close()
        self.comparison.close()
        self.acting.close()
        self.conversions.close()
        self.quality.close()
        self.storage.close()
        if "newer" in self.__dict__:
            self.newer.close()
        self.model_care.close()
        self.tokens.close()
        self.catalogue.close()
        self.search.close()
        self.engine_parts.close()
        self.server.close()
        self.save_settings()
        self.engine.close()
        self.history.close()
        self.library.close()
        self.remotes.close()
        self.documents.close()
        self.collections.close()
        self._languages.close()

    def _reply_ended(self, message: Message) -> None:
        if message.state != "failed":
            self.models.record()

    def _model_of(self, chat: Conversation) -> InstalledModel | None:
        from desktop_app.library.model_names import identified

        models, put_down = self.library.everywhere, self._put_down
        model = identified(models, chat.choices.model)
        if model is None and put_down is not None and self.models.state.kind == "none":
            model = identified(models, put_down.identifier) or next(iter(models), None)
        return model

    def _note_use(self, state: EngineState) -> None:
        if state.kind != "none":
            self._put_down = None
        if state.kind == "ready" and state.model is not None and not state.model.remote:
            self.model_care.note_use(state.model)

    def _choose_again(self) -> None:
        """Load a model in place of the one that was unloaded, as soon as the list is read."""
        self._begun = False
        self.save_settings()
        self.library.refresh()

    def _look_again(self, state: Qt.ApplicationState) -> None:
        """Follow what was pulled or removed in a terminal, when the user comes back to the window."""
        if state == Qt.ApplicationState.ApplicationActive and self.library.is_read and not self._closed:
            self.library.look_again()

    def _choose_first(self) -> None:
        """Load a model as soon as the list is there."""
        from desktop_app.library.first_model import first_model

        listing = self.library.listing
        if self._begun or not self.library.everywhere:
            return
        self._begun = True
        remote = next((model for model in listing.remote if model.identifier == self.settings.model), None)
        if remote is None and not listing.models:
            remote = listing.remote[0]
        if remote is not None:
            self.models.choose(remote)
            return
        model, missed = first_model(listing, self.settings.model)
        if missed is not None:
            reports.say(missed)
        self.models.choose(model)
