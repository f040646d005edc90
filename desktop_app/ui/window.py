"""The main window: chats on the left, the open chat with its model on the right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray, QEvent, QSize, QStandardPaths, Qt
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QResizeEvent,
    QShortcut,
)
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMessageBox,
    QProgressBar,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from converter.hub.address import HubAddress
from desktop_app.chat.attachment import PASSAGES, Attachment, Draft
from desktop_app.chat.export import file_name
from desktop_app.documents.kinds import name_patterns
from desktop_app.library.catalogue import CatalogueOffer
from desktop_app.library.install import InstallRequest
from desktop_app.library.installed import InstalledModel, Removal
from desktop_app.planning.planner import RunConfiguration
from desktop_app.ui.chat.chat_view import COLUMN, SCROLL_BAR, ChatView
from desktop_app.ui.chat.composer import Composer
from desktop_app.ui.chat.reply_failure import Remedy
from desktop_app.ui.chat.sidebar import Sidebar
from desktop_app.ui.chat.trash_dialog import TrashDialog
from desktop_app.ui.chat.welcome import Welcome
from desktop_app.ui.controllers.chat_actions import ChatActions
from desktop_app.ui.controllers.drafts import DraftController
from desktop_app.ui.controllers.importing import ImportController
from desktop_app.ui.controllers.notices import NoticeController
from desktop_app.ui.controllers.remedies import RemedyController
from desktop_app.ui.controllers.removal import RemovalController
from desktop_app.ui.documents.collections_dialog import CollectionsDialog
from desktop_app.ui.focus import FocusKeeper
from desktop_app.ui.markdown.selection import SELECTION
from desktop_app.ui.models.adapter_dialog import AdapterDialog
from desktop_app.ui.models.add_dialog import AddDialog
from desktop_app.ui.models.catalogue_page import CataloguePage
from desktop_app.ui.models.conversion_dialog import ConversionDialog
from desktop_app.ui.models.conversion_panel import ConversionPanel
from desktop_app.ui.models.model_picker import ModelPicker
from desktop_app.ui.models.model_session import EngineState
from desktop_app.ui.models.removal_question import RemovalQuestion
from desktop_app.ui.server.lamp import ServerLamp
from desktop_app.ui.services import Services
from desktop_app.ui.settings.settings_dialog import CONTEXTS, DOWNLOADS, KEYS, REPLIES, SettingsDialog
from desktop_app.ui.widgets.fitting_dialog import bounded, move_onto_screen
from desktop_app.ui.widgets.icons import IconButton
from desktop_app.ui.widgets.notice import Notice
from models.errors import ZhiyinError

_REPORTS = "reports"
_NARROW = 700
"""Below this width of the window the list of chats makes room."""


class MainWindow(QMainWindow):
    """Puts the parts together; what they do is in `Services`."""

    def __init__(self, services: Services) -> None:
        """Show the services' state and follow it."""
        super().__init__()
        self.services = services
        self._wanted_model = ""
        self._finding_options = False
        self._find_again = False
        self._narrow = False
        self._pasted = ""
        """The repository that was asked for and not fetched, as the user wrote it."""
        self._may_stop = False
        """The user agreed to stop conversions."""
        self._make_widgets()
        self._focus = FocusKeeper(self, self._written_in)
        self._make_controllers()
        self._lay_out()
        self._connect()
        self._add_shortcuts()
        self.setAcceptDrops(True)
        self.setMinimumSize(bounded(self, QSize(380, 420)))
        self.resize(bounded(self, QSize(1080, 740)))
        if services.settings.geometry:
            self.restoreGeometry(QByteArray.fromHex(services.settings.geometry.encode()))
            self.resize(bounded(self, self.size()))  # it may have been a larger screen
        move_onto_screen(self)
        self._show_sidebar(services.settings.sidebar)
        self._composer.set_send_key(services.settings.send_key)
        self._retranslate()
        self._focus.go_home()
        services.begin_reports()

    def _make_widgets(self) -> None:
        chats = self.services.chats
        self._sidebar = Sidebar()
        self._toggle = IconButton("sidebar")
        self._picker = ModelPicker()
        self._new = IconButton("new-chat")
        self._progress = QProgressBar(textVisible=False, maximum=1000)
        self._progress.setFixedHeight(3)
        self._notice = Notice()
        self._undo = Notice()
        self._conversions = ConversionPanel(self.services.conversions)
        self._view = ChatView(chats)
        self._welcome = Welcome()
        self._catalogue = CataloguePage()
        self._pages = QStackedWidget()
        policy = self._catalogue.sizePolicy()
        policy.setVerticalPolicy(
            QSizePolicy.Policy.Ignored
        )  # it is the highest, and is not always the one that is shown
        self._catalogue.setSizePolicy(policy)
        for page in (self._welcome, self._view, self._catalogue):
            self._pages.addWidget(page)
        self._composer = Composer()
        self._drop_hint = QLabel(self, alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self._drop_hint.setObjectName("dropHint")
        self._drop_hint.setMargin(24)
        self._drop_hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._drop_hint.hide()

    def _make_controllers(self) -> None:
        services = self.services
        self._notices = NoticeController(services, self._notice, self._undo, self)
        self._drafts = DraftController(services.chats, self._composer, self)
        self._importing = ImportController(services.library, services.documents, self)
        self._remedies = RemedyController(services, self._notice, self)
        self._chat_actions = ChatActions(services.chats, self._notices, self)
        self._removal = RemovalController(services, self._notices, self)

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.setContentsMargins(10, 8, 10, 8)
        bar.setSpacing(4)
        bar.addWidget(self._toggle)
        bar.addWidget(self._new)
        bar.addWidget(self._picker)
        bar.addStretch()
        bar.addWidget(ServerLamp(self.services.server))
        writing = QVBoxLayout()
        writing.setContentsMargins(20, 0, 20, 16)
        writing.setSpacing(8)
        writing.addWidget(self._undo)
        writing.addWidget(self._composer)
        self._writing = QWidget()
        self._writing.setMaximumWidth(COLUMN)
        self._writing.setLayout(writing)
        bottom = QHBoxLayout()
        bottom.setContentsMargins(0, 0, SCROLL_BAR, 0)
        bottom.addStretch(1)
        bottom.addWidget(self._writing, 1000)
        bottom.addStretch(1)
        main = QVBoxLayout()
        main.setContentsMargins(0, 0, 0, 0)
        main.setSpacing(0)
        main.addLayout(bar)
        main.addWidget(self._progress)
        main.addWidget(self._pages, 1)
        main.addWidget(self._notice)  # below the page: what is under the pointer does not move when it appears
        main.addWidget(self._conversions)
        main.addLayout(bottom)
        central = QWidget()
        self._row = QHBoxLayout(central)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(0)
        self._row.addWidget(self._sidebar)
        self._row.addLayout(main, 1)
        self.setCentralWidget(central)
        policy = self._progress.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._progress.setSizePolicy(policy)
        self._progress.hide()

    def _connect(self) -> None:
        services, chats = self.services, self.services.chats
        self._toggle.clicked.connect(self._toggle_sidebar)
        self._new.clicked.connect(self.new_chat)
        self._sidebar.new_asked.connect(self.new_chat)
        self._sidebar.opened.connect(self._open_chat)
        self._sidebar.renamed.connect(chats.rename)
        self._sidebar.deleted.connect(self._delete_chat)
        self._sidebar.trash_asked.connect(self.open_trash)
        self._sidebar.done.connect(self._focus.go_home)
        self._sidebar.export_asked.connect(self._ask_where_to_export)
        self._sidebar.searched.connect(
            lambda words: chats.search(words, lambda found: self._sidebar.show_found(words, found))
        )
        self._sidebar.left.connect(self._leave_search)
        self._sidebar.settings_asked.connect(self.open_settings)
        self._picker.chosen.connect(services.choose_model)
        self._picker.opened.connect(self._find_options)
        self._picker.import_asked.connect(self.add_model)
        self._picker.removal_asked.connect(self._removal.ask)
        self._welcome.import_asked.connect(self.add_model)
        self._welcome.suggested.connect(lambda text: self._send(Draft(text)))
        self._composer.edited.connect(self._drafts.edited)
        self._composer.sent.connect(self._send)
        self._composer.stopped.connect(chats.stop)
        self._composer.files_pasted.connect(self.import_files)
        self._composer.attach_asked.connect(self._choose_files)
        self._composer.collections_asked.connect(self._open_collections)
        self._composer.thinking_chosen.connect(self._choose_thinking)
        self._composer.effort_chosen.connect(self._choose_effort)
        self._view.left.connect(self._focus.go_home)
        self._composer.undo_asked.connect(self._chat_actions.undo)
        self._composer.copy_asked.connect(SELECTION.copy)
        self._composer.page_asked.connect(self._view.turn_page)
        self._view.remedy_chosen.connect(self._apply_remedy)
        self._connect_catalogue()
        self._connect_controllers()
        chats.listed.connect(self._list_chats)
        chats.opened.connect(self._chat_opened)
        chats.added.connect(lambda _: self._show_page())
        chats.busy_changed.connect(self._composer.set_busy)
        chats.ended.connect(lambda _: self._remedies.offer_contexts())
        services.themes.changing.connect(self._view.take_down)
        services.themes.changed.connect(self._view.put_up)
        services.models.changed.connect(self._model_changed)
        self._conversions.chat_asked.connect(self._chat_with)
        self._conversions.settings_asked.connect(partial(self.open_settings, DOWNLOADS))
        services.library.changed.connect(self._models_listed)
        services.library.imported.connect(services.choose_model)
        services.library.imported.connect(self._notices.imported)

    def _connect_catalogue(self) -> None:
        services, page = self.services, self._catalogue
        for asking in (self._sidebar, self._picker, self._welcome):
            asking.catalogue_asked.connect(self.open_catalogue)
        page.closed.connect(self._close_catalogue)
        page.get_asked.connect(self._get)
        page.chat_asked.connect(self._chat_with)
        services.catalogue.changed.connect(page.show_overview)
        services.library.changed.connect(self._refresh_catalogue)
        for under_way in (services.conversions.changed, services.conversions.progressed):
            under_way.connect(lambda *_: page.show_jobs(services.conversions.jobs))

    def _connect_controllers(self) -> None:
        self._importing.text_found.connect(self._attach)
        self._importing.text_too_large.connect(self._notices.text_too_large)
        self._importing.document_failed.connect(self._notices.document_failed)
        self._importing.adapter_found.connect(self._merge_adapter)
        self._importing.conversion_asked.connect(self.convert)
        self._remedies.contexts_found.connect(self._view.set_contexts)
        self._removal.question.connect(self._ask_whether_to_remove)

    def _add_shortcuts(self) -> None:
        for keys, act in (
            (QKeySequence(QKeySequence.StandardKey.New), self.new_chat),
            (QKeySequence("Ctrl+B"), self._toggle_sidebar),
            (QKeySequence("Ctrl+,"), self.open_settings),
            (QKeySequence("F1"), partial(self.open_settings, KEYS)),
            (QKeySequence("Ctrl+G"), self.open_catalogue),
            (QKeySequence("Ctrl+O"), self.add_model),
            (QKeySequence("Esc"), self._escape),
            (QKeySequence(QKeySequence.StandardKey.Find), self._search),
            (QKeySequence("Ctrl+L"), self._focus.go_home),
            (QKeySequence("F2"), self._rename),
            (QKeySequence(QKeySequence.StandardKey.Undo), self._chat_actions.undo),
        ):
            QShortcut(keys, self).activated.connect(act)

    def new_chat(self) -> None:
        """Open an empty chat."""
        self._drafts.keep()
        self.services.chats.new()
        self._sidebar.end_search()
        self._close_catalogue()
        self._uncover()

    def come_forward(self, file: str = "") -> None:
        """Show the window above others, and import a file if one is named."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized | Qt.WindowState.WindowActive)
        self.show()
        self.raise_()
        self.activateWindow()
        if file:
            self.import_files([file])

    def keep(self) -> None:
        """Store everything, also what is typed, and go on."""
        self._drafts.keep()
        self._keep_place()
        self.services.keep()

    def open_catalogue(self) -> None:
        """Show the models that may be had."""
        self._pages.setCurrentWidget(self._catalogue)
        self._writing.hide()
        self._refresh_catalogue()
        self._uncover()
        self._catalogue.begin()

    def _close_catalogue(self) -> None:
        self._pages.setCurrentWidget(self._welcome)
        self._show_page()
        self._focus.go_home()

    def _refresh_catalogue(self) -> None:
        if self._pages.currentWidget() is self._catalogue:
            self.services.catalogue.refresh()

    def _get(self, offer: CatalogueOffer) -> None:
        if offer.option is not None:
            self.services.conversions.start(offer.model.source, offer.option.quant, fetches=offer.download or 0)

    def open_settings(self, page: int = 0) -> None:
        """Show the settings, at one of their pages."""
        services = self.services
        dialog = SettingsDialog(
            services.settings, services.models.state, services.conversions, services.engine_parts, self
        )
        services.models.find_contexts(CONTEXTS, dialog.show_contexts)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.show_page(page)
        context = self.services.settings.context
        dialog.changed.connect(self._setting_changed)
        dialog.finished.connect(lambda: self._settings_closed(context))
        dialog.open()

    def add_model(self) -> None:
        """Let the user choose a file, a folder, or a repository."""
        dialog = AddDialog(self, self._pasted)
        self.services.library.find_others(dialog.show_found)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.paths_chosen.connect(self.import_files)
        dialog.repository_named.connect(self._look_at)
        dialog.open()

    def _look_at(self, address: HubAddress, pasted: str) -> None:
        """Show what a repository is; what was written of it stays until it is fetched."""
        self._pasted = pasted
        self.convert(InstallRequest(address.repository, revision=address.revision, endpoint=address.endpoint))

    def import_files(self, paths: Sequence[str]) -> None:
        """Take files and folders, whatever they are."""
        self._importing.take(paths)

    def _choose_files(self) -> None:
        """Let the user choose documents for the message."""
        dialog = QFileDialog(self, self.tr("Attach files"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        documents, everything = self.tr("Documents"), self.tr("All files")
        dialog.setNameFilters([f"{documents} ({name_patterns()})", f"{everything} (*)"])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self.import_files)
        dialog.open()

    def _open_collections(self) -> None:
        """Show the document collections; passages of them may go into the message."""
        dialog = CollectionsDialog(self.services.collections, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.passages_chosen.connect(lambda name, text: self._attach(Attachment(name, text, PASSAGES)))
        dialog.open()

    def _attach(self, attachment: Attachment) -> None:
        self._composer.attach(attachment)
        self._close_catalogue()

    def convert(self, request: InstallRequest) -> None:
        """Show what a source is, and convert or download it as the user likes."""
        dialog = ConversionDialog(self.services.conversions, request, self)
        dialog.accepted.connect(self._forget_pasted)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _forget_pasted(self) -> None:
        self._pasted = ""

    def _merge_adapter(self, path: Path) -> None:
        try:
            dialog = AdapterDialog(self.services.conversions, path, self)
        except ZhiyinError as error:
            self._notices.import_refused(error)
            return
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _written_in(self) -> QWidget:
        """Return the field that is written in now: the message, or the search among the models to get."""
        catalogue = self._pages.currentWidget() is self._catalogue
        return self._catalogue.search_field if catalogue else self._composer

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        """Write what no other widget took."""
        if not self._focus.take(event):
            super().keyPressEvent(event)

    def focusNextPrevChild(self, forwards: bool) -> bool:  # noqa: N802
        """Let Tab move the focus; where what had it goes away, the text gets it."""
        return self._focus.step() or super().focusNextPrevChild(forwards)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802  (Qt's name)
        """Accept files, and say what happens with them."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()
            self._drop_hint.setGeometry(self.rect().adjusted(12, 12, -12, -12))
            self._drop_hint.raise_()
            self._drop_hint.show()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: N802
        """The files went elsewhere."""
        self._drop_hint.hide()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        """Import the files."""
        self._drop_hint.hide()
        event.acceptProposedAction()
        self.import_files([url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()])

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Give a small window's width to the chat."""
        super().resizeEvent(event)
        narrow = self.width() < _NARROW
        if narrow != self._narrow:
            self._narrow = narrow
            if narrow:
                self._row.removeWidget(self._sidebar)
            else:
                self._row.insertWidget(0, self._sidebar)
            self._show_sidebar(not narrow and self.services.settings.sidebar)
        self._place_sidebar()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Keep everything and end; ask first where that would stop a conversion."""
        if self.services.conversions.jobs and not self._may_stop:
            event.ignore()
            self._ask_whether_to_stop()
            return
        self._drafts.keep()
        self._keep_place()
        super().closeEvent(event)
        self.hide()
        self.services.close()

    def _ask_whether_to_stop(self) -> None:
        if self.findChild(QMessageBox, "closing") is not None:
            return
        box = QMessageBox(self)
        box.setObjectName("closing")
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setText(self.tr("A model is still being downloaded or converted."))
        box.setInformativeText(self.tr("What was downloaded is kept for the next try; a conversion begins anew."))
        stop = box.addButton(self.tr("Stop and close"), QMessageBox.ButtonRole.DestructiveRole)
        job = self.services.conversions.current
        downloads = job is not None and job.progress is not None and job.progress.phase == "downloading"
        go_on = self.tr("Continue downloading") if downloads else self.tr("Continue converting")
        box.setDefaultButton(box.addButton(go_on, QMessageBox.ButtonRole.RejectRole))
        stop.clicked.connect(self.end)
        box.open()

    def end(self) -> None:
        """Close without asking whether conversions may stop."""
        self._may_stop = True
        self.close()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follow the language; a closed window hears of its end too, when what it shows is gone."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange and not self.isHidden():
            self._retranslate()

    def _retranslate(self) -> None:
        self.setWindowTitle(QGuiApplication.applicationDisplayName())  # Qt would put it behind any other title
        self._toggle.set_words(self.tr("Show or hide the chats"), "Ctrl+B")
        self._new.set_words(self.tr("New chat"), "Ctrl+N")
        self._drop_hint.setText(
            self.tr(
                "Drop a text file to talk about it, or a model: a GGUF file, a checkpoint to convert, a LoRA adapter to merge"
            )
        )
        self._model_changed(self.services.models.state)
        self._list_chats()
        self._show_page()

    def _show_page(self) -> None:
        """Show the open chat, unless the user looks at the catalogue."""
        if self._pages.currentWidget() is self._catalogue:
            return
        self._writing.show()
        self._pages.setCurrentWidget(self._view if self.services.chats.path else self._welcome)

    def _send(self, draft: Draft) -> None:
        if self.services.library.is_read and not self.services.library.models:
            self._composer.set_draft(draft)
            self._notice.say(
                self.tr("Choose or add a model first."),
                (self.tr("Get models"), self.open_catalogue),
                (self.tr("Add a model…"), self.add_model),
                topic="model",
            )
            return
        self.services.chats.send(draft.text, draft.attachments)

    def _open_chat(self, conversation: str) -> None:
        self._drafts.keep()
        self.services.chats.open(conversation)
        self._close_catalogue()
        self._uncover()

    def _keep_place(self) -> None:
        self.services.settings.geometry = bytes(self.saveGeometry().toHex().data()).decode()

    def _chat_opened(self) -> None:
        self._show_thinking()
        self._show_page()
        self._remedies.offer_contexts()

    def _show_thinking(self) -> None:
        """Show the chat's choice whether to think and how long, or what the model does by itself, if it leaves the choice."""
        info, chat = self.services.models.state.info, self.services.chats.current
        thinking, effort = (info.thinking, info.effort) if info is not None else (None, "")
        self._composer.show_thinking(thinking if thinking is None or chat.thinking is None else chat.thinking)
        self._composer.show_effort(effort and (chat.effort or effort))

    def _choose_thinking(self, thinking: bool) -> None:
        self.services.chats.set_thinking(thinking)
        self.services.save_settings()

    def _choose_effort(self, effort: str) -> None:
        self.services.chats.set_effort(effort)
        self.services.save_settings()
        self._show_thinking()

    def _apply_remedy(self, message: str, way: Remedy) -> None:
        match way:
            case "retry":
                self.services.chats.regenerate(message)
            case "smaller":
                self._remedies.use_smaller_context()
            case "larger":
                self._remedies.use_larger_context()
                self.services.chats.regenerate(message)
            case "shorten":
                self._view.edit_question(self.services.chats.tree[message].parent or "")
            case "new_chat":
                self.new_chat()
            case "settings":
                self.open_settings(REPLIES)
            case "models":
                self._picker.showMenu()

    def _ask_where_to_export(self, conversation: str) -> None:
        name = file_name(self.services.chats.title_of(conversation))
        folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        dialog = QFileDialog(self, self.tr("Export the chat"), folder, "Markdown (*.md)")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("md")
        dialog.selectFile(name)
        dialog.fileSelected.connect(lambda path: self.export(conversation, Path(path)))
        dialog.open()

    def export(self, conversation: str, path: Path) -> None:
        """Write a chat into a Markdown file."""
        self._chat_actions.export(conversation, path)

    def _search(self) -> None:
        """Search among what is shown: the models to get, or the chats."""
        if self._pages.currentWidget() is self._catalogue:
            self._catalogue.begin()
            return
        self._show_sidebar(True)
        self._sidebar.begin_search()

    def _leave_search(self) -> None:
        self._uncover()
        self._focus.go_home()

    def _delete_chat(self, conversation: str) -> None:
        self._drafts.keep()
        self._chat_actions.delete(conversation)
        self._composer.let_undo_go()

    def open_trash(self) -> None:
        """Show the chats that were deleted in the last 30 days."""
        dialog = TrashDialog(self.services.chats, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _rename(self) -> None:
        """Rename the open chat in the list."""
        if self.services.chats.current.begun:
            self._show_sidebar(True)
            self._sidebar.rename_current()

    def _list_chats(self) -> None:
        chats = self.services.chats
        self._sidebar.show_list(chats.conversations, chats.current.id, chats.activity)

    def _toggle_sidebar(self) -> None:
        shown = self._sidebar.isHidden()
        self._show_sidebar(shown)
        if not self._narrow:
            self.services.settings.sidebar = shown
            self.services.save_settings()

    def _show_sidebar(self, shown: bool) -> None:
        self._sidebar.setVisible(shown)
        self._new.setVisible(self._narrow or not shown)  # the list of chats has that button too
        self._place_sidebar()

    def _place_sidebar(self) -> None:
        """In a narrow window, lay the list of chats over the chat, below the bar: both do not fit."""
        if self._narrow:
            top = self._progress.y()
            self._sidebar.setGeometry(0, top, self._sidebar.width(), self.height() - top)
            self._sidebar.raise_()

    def _uncover(self) -> None:
        if self._narrow:
            self._show_sidebar(False)

    def _escape(self) -> None:
        if self._narrow and self._sidebar.isVisible():
            self._uncover()
        elif self._pages.currentWidget() is self._catalogue:
            self._close_catalogue()
        else:
            self.services.chats.stop()

    def _models_listed(self) -> None:
        listing = self.services.library.listing
        self._picker.set_models(listing.models, listing.broken)
        self._model_changed(self.services.models.state)
        self._find_options()

    def _find_options(self) -> None:
        """Let the list say what fits now; one question at a time, since the engine answers after a reply."""
        if self._finding_options:
            self._find_again = True
            return
        self._finding_options, self._find_again = True, False

        def found(options: dict[Path, RunConfiguration | None]) -> None:
            self._finding_options = False
            self._picker.set_options(options)
            if self._find_again:
                self._find_options()

        self.services.models.find_options([model.path for model in self.services.library.models], found)

    def _ask_whether_to_remove(self, removal: Removal, in_use: bool) -> None:
        question = RemovalQuestion(removal, self, in_use=in_use)
        question.agreed.connect(partial(self._removal.remove, removal))
        question.open()

    def _chat_with(self, model: InstalledModel) -> None:
        self.services.choose_model(model)
        self.new_chat()

    def _model_changed(self, state: EngineState) -> None:
        self._picker.show_state(state)
        self._show_thinking()
        self._welcome.show_state(state, has_models=bool(self.services.library.models))
        self._progress.setVisible(state.kind == "loading")
        self._progress.setValue(round(state.part * 1000))
        self._view.set_waiting_for(self.tr("Loading the model…") if state.kind == "loading" else self.tr("Thinking…"))
        self._remedies.model_changed(state)
        if state.kind == "ready":
            self._composer.set_continues(state.info is not None and not state.info.chat)
            self._remedies.offer_contexts()
            self._find_options()
            self._refresh_catalogue()

    def _setting_changed(self, name: str) -> None:
        if name == "send_key":
            self._composer.set_send_key(self.services.settings.send_key)
        self.services.apply_setting(name)

    def _settings_closed(self, old_context: int) -> None:
        self.services.save_settings()
        if self.services.settings.context != old_context:
            self.services.models.apply_settings()
