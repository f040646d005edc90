"""The main window: chats on the left, the open chat with its model on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray, QCoreApplication, QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeyEvent, QPaintEvent
from PySide6.QtWidgets import QMainWindow, QWidget

from desktop_app.chat.attachment import Attachment, Draft
from desktop_app.ui.chat.chat_panel import ChatPanel
from desktop_app.ui.chat.composer import Composer
from desktop_app.ui.chat.sidebar import Sidebar
from desktop_app.ui.controllers.asking_documents import DocumentsController
from desktop_app.ui.controllers.chat_actions import ChatActions
from desktop_app.ui.controllers.drafts import DraftController
from desktop_app.ui.controllers.importing import ImportController
from desktop_app.ui.controllers.model_actions import ModelActions
from desktop_app.ui.controllers.notices import NoticeController
from desktop_app.ui.controllers.remedies import RemedyController
from desktop_app.ui.controllers.removal import RemovalController
from desktop_app.ui.controllers.thinking import ThinkingController
from desktop_app.ui.controllers.tools import ToolsController
from desktop_app.ui.dialogs import Dialogs
from desktop_app.ui.focus import FocusKeeper
from desktop_app.ui.frame import Frame
from desktop_app.ui.markdown.selection import SELECTION
from desktop_app.ui.models.downloads_button import DownloadsButton
from desktop_app.ui.models.load_progress import LoadProgress
from desktop_app.ui.models.model_picker import ModelPicker
from desktop_app.ui.models.model_session import EngineState
from desktop_app.ui.pages import Pages
from desktop_app.ui.server.lamp import ServerLamp
from desktop_app.ui.services import Services
from desktop_app.ui.settings.sections import SectionName
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets.drop_area import DropArea
from desktop_app.ui.widgets.fitting_dialog import bounded, move_onto_screen
from desktop_app.ui.widgets.icons import IconButton
from desktop_app.ui.widgets.look import WIDTHS
from desktop_app.ui.widgets.notice import Notice


class MainWindow(QMainWindow):
    """Puts the parts together: what they do is in `Services` and `controllers`, what they ask in `Dialogs`."""

    painted = Signal()
    """The window is on the screen for the first time."""

    def __init__(self, services: Services) -> None:
        """Show the services' state and follow it."""
        super().__init__()
        self.services = services
        self._clicked = ""
        """The chat of the list that was opened last, until something is written."""
        self._may_stop = False
        """The user agreed to stop what is under way."""
        self._was_painted = False
        self.painted.connect(services.begin)
        self._make_parts()
        self._make_controllers()
        self._connect_chats()
        self._connect_composer()
        self._connect_models()
        self._connect_files()
        self._add_shortcuts()
        self._setting_changed("message_width")
        self._take_place()
        self._retranslate()
        self._focus.go_home()

    def _make_parts(self) -> None:
        services = self.services
        self._sidebar = Sidebar()
        self._picker = ModelPicker()
        self._progress = LoadProgress()
        self._notice = Notice()
        self._undo = Notice()
        self._downloads = DownloadsButton(services.conversions)
        self._pages = Pages(services)
        self._view = self._pages.chat
        self._composer = Composer()
        self._composer.set_send_key(services.settings.send_key)
        self._panel_button = IconButton("tune")
        bar = (self._picker,), (self._downloads, ServerLamp(services.server), self._panel_button)
        self._frame = Frame(self._sidebar, self._progress, *bar, shows_sidebar=services.settings.sidebar)
        self._frame.fill(self._pages, (self._notice,), (self._undo, self._composer))
        self.setCentralWidget(self._frame)
        self._panel = ChatPanel(services)
        self._frame.add_panel(self._panel)
        self._focus = FocusKeeper(self, self._written_in)
        self._drop_area = DropArea(self)

    def _make_controllers(self) -> None:
        services = self.services
        self._notices = NoticeController(services, self._notice, self._undo, self)
        self._drafts = DraftController(services.chats, self._composer, self)
        self._importing = ImportController(services.library, services.documents, self)
        self._remedies = RemedyController(services, self._notice, self)
        self._chat_actions = ChatActions(services, self._drafts, self._notices, self)
        self._thinking = ThinkingController(services, self)
        self._documents = DocumentsController(services, self)
        self._model_actions = ModelActions(services, self)
        self._removal = RemovalController(services, self._notices, self)
        self._dialogs = Dialogs(services, self._notices, self)
        self._tools = ToolsController(services.chats, self._composer.tools, self._dialogs.tools, self)
        self._dialogs.tools_changed.connect(self._tools.show)
        for show in (self._tools.show, self._documents.show_choice):
            services.assistant_list.changed.connect(show)

    def _connect_chats(self) -> None:
        chats, actions, sidebar = self.services.chats, self._chat_actions, self._sidebar
        sidebar.new_asked.connect(actions.new)
        sidebar.opened.connect(actions.open)
        sidebar.opened.connect(self._note_clicked)
        sidebar.found_opened.connect(self._open_found)
        sidebar.renamed.connect(chats.list.rename)
        sidebar.deleted.connect(actions.delete)
        sidebar.deleted.connect(lambda _: self._composer.let_undo_go())
        sidebar.trash_asked.connect(self._dialogs.trash)
        sidebar.transfer_asked.connect(self._dialogs.transfer)
        folders = self.services.folders
        sidebar.pinned.connect(folders.pin)
        sidebar.moved.connect(folders.move)
        sidebar.folder_asked.connect(folders.add_with)
        sidebar.folder_renamed.connect(folders.rename)
        sidebar.folder_closed.connect(folders.close)
        sidebar.folder_moved.connect(folders.move_folder)
        sidebar.folder_removed.connect(folders.remove)
        folders.added.connect(sidebar.name_folder)
        sidebar.export_asked.connect(self._dialogs.export)
        sidebar.searched.connect(lambda words: chats.list.search(words, partial(sidebar.show_found, words)))
        sidebar.done.connect(self._focus.go_home)
        sidebar.left.connect(self._frame.uncover)
        sidebar.left.connect(self._focus.go_home)
        sidebar.settings_asked.connect(self.open_settings)
        self._frame.new_asked.connect(actions.new)
        self._frame.sidebar_toggled.connect(self._remember_sidebar)
        self._pages.welcome.assistants_asked.connect(self._dialogs.assistants)
        self._dialogs.assistant_chosen.connect(actions.new_with_assistant)
        self._dialogs.export_chosen.connect(actions.export)
        actions.begun.connect(sidebar.end_search)
        actions.turned.connect(self._chat_turned)
        chats.list.listed.connect(self._list_chats)
        self._panel_button.clicked.connect(self._toggle_panel)
        self._panel.closed.connect(self._toggle_panel)
        self.services.folders.changed.connect(self._list_chats)
        self._view.left.connect(self._focus.go_home)
        self._view.deletion_asked.connect(actions.delete_message)
        self._view.remedy_chosen.connect(self._remedies.apply)
        self._remedies.contexts_found.connect(self._view.set_contexts)
        self._remedies.edit_asked.connect(self._view.edit_question)
        self._remedies.new_chat_asked.connect(actions.new)
        self._remedies.settings_asked.connect(partial(self.open_settings, "chat"))
        self._remedies.models_asked.connect(self._picker.showMenu)

    def _connect_composer(self) -> None:
        chats, composer, thinking = self.services.chats, self._composer, self._thinking
        composer.edited.connect(self._drafts.edited)
        composer.sent.connect(self._chat_actions.send)
        composer.stopped.connect(chats.replies.stop)
        composer.edited.connect(self._forget_clicked)
        composer.delete_asked.connect(self._delete_clicked)
        composer.undo_asked.connect(self._chat_actions.undo)
        composer.copy_asked.connect(SELECTION.copy)
        composer.page_asked.connect(self._view.turn_page)
        composer.attach_asked.connect(self._dialogs.attach)
        composer.collections_asked.connect(self._dialogs.collections)
        composer.thinking_chosen.connect(thinking.choose)
        composer.effort_chosen.connect(thinking.choose_effort)
        composer.collections_chosen.connect(self._documents.choose)
        self._documents.collections_shown.connect(composer.set_collections)
        self._documents.context_shown.connect(composer.set_context)
        thinking.thinking_shown.connect(composer.show_thinking)
        thinking.effort_shown.connect(composer.show_effort)
        self._chat_actions.model_missing.connect(composer.set_draft)
        chats.replies.busy_changed.connect(composer.set_busy)
        self.services.setting_changed.connect(self._setting_changed)

    def _connect_models(self) -> None:
        services, pages, actions = self.services, self._pages, self._model_actions
        for asking in (self._sidebar, self._picker, pages.welcome, pages):
            asking.catalogue_asked.connect(self.open_catalogue)
        for asking in (self._picker, pages.welcome, pages):
            asking.import_asked.connect(self.add_model)
        self._picker.chosen.connect(services.choose_model)
        self._picker.comparison_asked.connect(self.open_comparison)
        self._picker.opened.connect(actions.find_options)
        self._picker.removal_asked.connect(self._removal.ask)
        self._picker.measuring_asked.connect(self._dialogs.measure)
        self._picker.opened.connect(lambda: services.quality.refresh(services.library.models))
        services.quality.changed.connect(lambda: self._picker.set_qualities(services.quality.kept))
        self._picker.own_asked.connect(self._dialogs.my_models)
        self._dialogs.removal_asked.connect(self._removal.ask)
        self._picker.remotes_asked.connect(self._dialogs.remotes)
        self._removal.question.connect(self._dialogs.removal)
        self._dialogs.removal_agreed.connect(self._removal.remove)
        actions.options_found.connect(self._picker.set_options)
        pages.turned.connect(self._page_turned)
        pages.left.connect(self._focus.go_home)
        pages.trash_asked.connect(self._dialogs.trash)
        pages.attach_asked.connect(self._dialogs.attach)
        pages.tools_changed.connect(self._tools.show)
        pages.welcome.suggested.connect(lambda text: self._chat_actions.send(Draft(text)))
        pages.catalogue_left.connect(self._back_to_chat)
        pages.get_asked.connect(actions.get)
        pages.look_asked.connect(self._dialogs.convert)
        pages.chat_asked.connect(self._chat_actions.new_with)
        pages.network_asked.connect(partial(self.open_settings, "network"))
        self._downloads.opened.connect(self.open_downloads)
        self._downloads.chat_asked.connect(self._chat_actions.new_with)
        self._chat_actions.model_missing.connect(
            lambda _: self._notices.model_missing(self.open_catalogue, self.add_model)
        )
        services.library.changed.connect(self._list_models)
        services.models.changed.connect(self._show_state)

    def _connect_files(self) -> None:
        importing, dialogs = self._importing, self._dialogs
        self._drop_area.dropped.connect(self.import_files)
        self._composer.files_pasted.connect(self.import_files)
        dialogs.paths_chosen.connect(self.import_files)
        dialogs.text_chosen.connect(self._attach)
        dialogs.closing_agreed.connect(self.end)
        importing.text_found.connect(self._attach)
        importing.text_too_large.connect(self._notices.text_too_large)
        importing.document_failed.connect(self._notices.document_failed)
        importing.adapter_found.connect(dialogs.merge_adapter)
        importing.conversion_asked.connect(dialogs.convert)

    def _add_shortcuts(self) -> None:
        SHORTCUTS.choose(self.services.settings.shortcuts)
        for name, act in self._acts().items():
            SHORTCUTS.bind(name, self, act)

    def _acts(self) -> dict[str, Callable[[], object]]:
        """Return what the actions do that belong to the whole window."""
        scale = self.services.scale_text
        return {
            "new-chat": self.new_chat,
            "palette": self.open_palette,
            "find": self._find,
            "search": self._search,
            "write": self._focus.go_home,
            "stop": self._escape,
            "sidebar": self._frame.toggle_sidebar,
            "panel": self._toggle_panel,
            "rename": self._rename,
            "undo": self._chat_actions.undo,
            "attach": self._dialogs.attach,
            "catalogue": self.open_catalogue,
            "downloads": self.open_downloads,
            "compare": self.open_comparison,
            "add-model": self.add_model,
            "larger": partial(scale, 1),
            "smaller": partial(scale, -1),
            "usual-size": partial(scale, 0),
            "settings": self.open_settings,
            "shortcuts": partial(self.open_settings, "shortcuts"),
        }

    def open_palette(self) -> None:
        """Let the user do anything by its name."""
        from desktop_app.ui.command_palette import CommandPalette
        from desktop_app.ui.controllers.palette_entries import PaletteEntries

        entries = PaletteEntries(self.services, self._acts(), self._chat_actions.open, self.open_settings)
        CommandPalette(entries.all(), self).show()

    def new_chat(self) -> None:
        """Open an empty chat."""
        self._chat_actions.new()

    def come_forward(self, file: str = "") -> None:
        """Show the window above others, and import a file if one is named."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized | Qt.WindowState.WindowActive)
        self.show()
        self.raise_()
        self.activateWindow()
        if file:
            self.import_files([file])

    def open_catalogue(self) -> None:
        """Show the models that may be had."""
        self._pages.open_catalogue()
        self._frame.uncover()

    def open_downloads(self) -> None:
        """Show what is being downloaded and converted, and what came of it."""
        self._pages.open_downloads()
        self._frame.uncover()

    def open_comparison(self) -> None:
        """Let the user ask two models one question."""
        self._pages.open_comparison()
        self._frame.uncover()

    def open_settings(self, section: SectionName = "general") -> None:
        """Show the settings, at one of their sections."""
        self._pages.open_settings(section)
        self._frame.uncover()
        self._focus.go_home()

    def add_model(self) -> None:
        """Let the user choose a file, a folder, or a repository."""
        self._dialogs.add_model()

    def import_files(self, paths: Sequence[str]) -> None:
        """Take files and folders, whatever they are."""
        self._importing.take(paths)

    def export(self, conversation: str, path: Path) -> None:
        """Write a chat into a file, of the kind that its ending says."""
        self._chat_actions.export(conversation, path)

    def keep(self) -> None:
        """Store everything, also what is typed, and go on."""
        self._drafts.keep()
        self._keep_place()
        self.services.keep()

    def end(self) -> None:
        """Close without asking whether conversions may stop."""
        self._may_stop = True
        self.close()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        """Write what no other widget took."""
        if not self._focus.take(event):
            super().keyPressEvent(event)

    def focusNextPrevChild(self, forwards: bool) -> bool:  # noqa: N802
        """Let Tab move the focus; where what had it goes away, the text gets it."""
        return self._focus.step() or super().focusNextPrevChild(forwards)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Keep everything and end; ask first where that would stop a conversion."""
        if self.services.conversions.queue.is_busy and not self._may_stop:
            event.ignore()
            self._dialogs.closing()
            return
        self._drafts.keep()
        self._keep_place()
        super().closeEvent(event)
        self.hide()
        self.services.close()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Let the work begin once the window is on the screen: until then it would only hold that up."""
        super().paintEvent(event)
        if not self._was_painted:
            self._was_painted = True
            QTimer.singleShot(0, self.painted.emit)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follow the language; a closed window hears of its end too, when what it shows is gone."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange and not self.isHidden():
            self._retranslate()

    def _retranslate(self) -> None:
        self._panel_button.set_words(self.tr("Instructions and sampling of this chat"), SHORTCUTS.text("panel"))
        self.setWindowTitle(QGuiApplication.applicationDisplayName())  # Qt would put it behind any other title
        state = self.services.models.state
        self._show_state(state)
        self._remedies.model_changed(state)
        self._list_chats()
        self._pages.show_chat()

    def _written_in(self) -> QWidget:
        """Return the field that is written in now: the message, the search among the models to get, or one of the settings."""
        if self._pages.settings is not None:
            return self._pages.settings.field
        if self._pages.in_comparison:
            return self._pages.comparison.field
        return self._pages.catalogue.search_field if self._pages.in_catalogue else self._composer

    def _take_place(self) -> None:
        """Be where the window was the last time, as far as the screen allows."""
        self.setMinimumSize(bounded(self, QSize(380, 420)))
        self.resize(bounded(self, QSize(1080, 740)))
        if self.services.settings.geometry:
            self.restoreGeometry(QByteArray.fromHex(self.services.settings.geometry.encode()))
            self.resize(bounded(self, self.size()))  # it may have been a larger screen
        move_onto_screen(self)

    def _keep_place(self) -> None:
        self.services.settings.geometry = bytes(self.saveGeometry().toHex().data()).decode()

    def _remember_sidebar(self, shown: bool) -> None:
        self.services.settings.sidebar = shown
        self.services.save_settings()

    def _setting_changed(self, name: str) -> None:
        if name == "send_key":
            self._composer.set_send_key(self.services.settings.send_key)
        elif name == "shortcuts":
            SHORTCUTS.choose(self.services.settings.shortcuts)
            QCoreApplication.sendEvent(self, QEvent(QEvent.Type.LanguageChange))  # tips name the keys
        elif name == "message_width":
            self._frame.set_column(WIDTHS[self.services.settings.message_width])

    def _chat_turned(self) -> None:
        self._back_to_chat()
        self._frame.uncover()

    def _page_turned(self) -> None:
        self._frame.show_writing(not self._pages.is_aside)

    def _back_to_chat(self) -> None:
        self._pages.back_to_chat()
        self._focus.go_home()

    def _attach(self, attachment: Attachment) -> None:
        if self._pages.in_comparison:
            self._pages.comparison.attach(attachment)
            return
        self._composer.attach(attachment)
        self._back_to_chat()

    def _list_chats(self) -> None:
        chats = self.services.chats
        self._sidebar.show_list(self.services.folders.arrangement, chats.list.current.id, chats.replies.activity)

    def _list_models(self) -> None:
        listing = self.services.library.listing
        self._picker.set_models(listing)
        self._view.set_models(self.services.library.everywhere)
        self._show_state(self.services.models.state)

    def _show_state(self, state: EngineState) -> None:
        self._picker.show_state(state)
        self._progress.show_state(state)
        library = self.services.library
        self._pages.welcome.show_state(state, has_models=bool(library.everywhere) or not library.is_read)
        waiting = {"loading": self.tr("Loading the model…"), "none": self.tr("Waiting for a model…")}
        self._view.set_waiting_for(waiting.get(state.kind) or self.tr("Thinking…"))
        if state.kind == "ready":
            self._composer.set_continues(state.info is not None and not state.info.chat)
            self._pages.refresh_catalogue()

    def _find(self) -> None:
        """Search in what is shown: the models to get, the open chat, or where none is open, all chats."""
        if self._pages.in_catalogue:
            self._pages.catalogue.begin()
        elif self._pages.currentWidget() is self._view:
            self._pages.finder.begin()
        elif not self._pages.is_aside:
            self._search()

    def _search(self) -> None:
        """Search in all chats."""
        self._frame.show_sidebar()
        self._sidebar.begin_search()

    def _open_found(self, conversation: str, message: str, words: str) -> None:
        """Show a chat where it has the words that were searched for in all chats."""
        self._pages.finder.expect(words, message)
        self._chat_actions.open(conversation, message)

    def _toggle_panel(self) -> None:
        """Show what counts for the open chat alone, or hide it."""
        if self._panel.isVisible():
            self._panel.hide()
            self._focus.go_home()
        else:
            self._panel.open()

    def _note_clicked(self, conversation: str) -> None:
        self._clicked = conversation

    def _forget_clicked(self) -> None:
        if self._composer.draft.text:
            self._clicked = ""

    def _delete_clicked(self) -> None:
        """Delete the chat that was chosen in the list just before: the keyboard is with the message by then."""
        if self._clicked and self._clicked == self.services.chats.list.current.id:
            self._sidebar.deleted.emit(self._clicked)
            self._clicked = ""

    def _rename(self) -> None:
        """Rename the open chat in the list."""
        if self.services.chats.list.current.begun:
            self._frame.show_sidebar()
            self._sidebar.rename_current()

    def _escape(self) -> None:
        """Leave what lies over the chat, or stop the reply."""
        if self._frame.is_covered:
            self._frame.uncover()
        elif self._pages.is_aside:
            self._back_to_chat()
        else:
            self.services.chats.replies.stop()
