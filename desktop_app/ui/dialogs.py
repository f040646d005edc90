"""The dialogs of the window: each is opened here, and what the user answers goes where it belongs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QStandardPaths, Qt, Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QWidget

from desktop_app.chat.assistants import Assistant
from desktop_app.chat.attachment import PASSAGES, Attachment
from desktop_app.ui.controllers.notices import NoticeController
from desktop_app.ui.services import Services
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from converter.hub.address import HubAddress
    from desktop_app.library.install import InstallRequest
    from desktop_app.library.installed_model import InstalledModel
    from desktop_app.library.removal import Removal
    from desktop_app.ui.chat.assistant_editor import AssistantEditor

_EXPORTS = (("Markdown", "md"), ("HTML", "html"), ("PDF", "pdf"), ("JSON", "json"))


class Dialogs(QObject):
    """Opens dialogs over a window."""

    paths_chosen = Signal(list)
    """Files or folders, for the message or the library."""
    text_chosen = Signal(Attachment)
    """A text, such as passages out of the user's documents, for the message."""
    export_chosen = Signal(str, Path)
    """A chat's id and the file that it goes into."""
    assistant_chosen = Signal(object)
    """The assistant of a new chat; None: none."""
    removal_asked = Signal(object)
    """An `Entry`."""
    removal_agreed = Signal(object, bool, bool)
    """What removes a model, a `Removal`, and whether its download goes too."""
    tools_changed = Signal()
    """Other MCP servers are there, or are on."""
    closing_agreed = Signal()
    """The window may be closed, and what is under way stopped."""

    def __init__(self, services: Services, notices: NoticeController, window: QWidget) -> None:
        """Dialogs are modal to `window`."""
        super().__init__(window)
        self._services, self._notices, self._window = services, notices, window
        self._pasted = ""
        """The repository that was asked for and not fetched, as the user wrote it."""

    def add_model(self) -> None:
        """Let the user choose a file, a folder, or a repository."""
        from desktop_app.ui.models.add_dialog import AddDialog

        dialog = AddDialog(self._window, self._pasted)
        self._services.library.find_others(dialog.show_found)
        dialog.paths_chosen.connect(self.paths_chosen.emit)
        dialog.repository_named.connect(self._look_at)
        self._open(dialog)

    def remotes(self) -> None:
        """Show the servers whose models are used, and let the user add one."""
        from desktop_app.ui.models.remotes_dialog import RemotesDialog

        self._open(RemotesDialog(self._services.remotes, self._window))

    def measure(self, model: InstalledModel) -> None:
        """Show how near a model is to its original, and let the user measure it."""
        from desktop_app.ui.models.measure_dialog import MeasureDialog

        services = self._services
        self._open(MeasureDialog(services.quality, services.models, model, services.library.models, self._window))

    def convert(self, request: InstallRequest) -> None:
        """Show what a source is, and convert or download it as the user likes."""
        from desktop_app.ui.models.conversion_dialog import ConversionDialog

        dialog = ConversionDialog(self._services.conversions, request, self._window)
        dialog.accepted.connect(self._forget_pasted)
        self._open(dialog)

    def merge_adapter(self, path: Path) -> None:
        """Show what an adapter is made for, and merge it into that."""
        from desktop_app.ui.models.adapter_dialog import AdapterDialog

        try:
            dialog = AdapterDialog(self._services.conversions, path, self._window)
        except ZhiyinError as error:
            self._notices.import_refused(error)
            return
        self._open(dialog)

    def attach(self) -> None:
        """Let the user choose documents for the message."""
        from desktop_app.documents.kinds import name_patterns

        dialog = QFileDialog(self._window, self.tr("Attach files"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        documents, everything = self.tr("Documents"), self.tr("All files")
        dialog.setNameFilters([f"{documents} ({name_patterns()})", f"{everything} (*)"])
        dialog.filesSelected.connect(self.paths_chosen.emit)
        self._open(dialog)

    def collections(self) -> None:
        """Show the document collections; passages of them may go into the message."""
        from desktop_app.ui.documents.collections_dialog import CollectionsDialog

        services = self._services
        chosen = (services.settings.embedder, services.settings.reranker)
        dialog = CollectionsDialog(services.collections, self._window, services.library.measuring, chosen)
        dialog.models_chosen.connect(services.choose_document_models)
        dialog.passages_chosen.connect(lambda name, text: self.text_chosen.emit(Attachment(name, text, PASSAGES)))
        self._open(dialog)

    def export(self, conversation: str) -> None:
        """Let the user choose where a chat is written to."""
        from desktop_app.chat.export import file_name

        title = self._services.chats.list.title_of(conversation)
        folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        dialog = QFileDialog(self._window, self.tr("Export the chat"), folder)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters([f"{name} (*.{ending})" for name, ending in _EXPORTS])
        dialog.setDefaultSuffix(_EXPORTS[0][1])
        dialog.selectFile(file_name(title))
        dialog.filterSelected.connect(partial(_follow_filter, dialog, title))
        dialog.fileSelected.connect(lambda path: self.export_chosen.emit(conversation, Path(path)))
        self._open(dialog)

    def tools(self) -> None:
        """Show the MCP servers, and what tools may always do."""
        from desktop_app.ui.settings.tools_dialog import ToolsDialog

        dialog = ToolsDialog(self._window)
        dialog.page.changed.connect(self.tools_changed)
        self._open(dialog)

    def assistants(self) -> None:
        """Let the user choose an assistant for a new chat, or change them."""
        from desktop_app.ui.chat.assistants_dialog import AssistantsDialog

        services = self._services
        services.collections.refresh()
        dialog = AssistantsDialog(services.assistant_list, self._editor, self._window)
        dialog.chosen.connect(self.assistant_chosen)
        self._open(dialog)

    def _editor(self, assistant: Assistant) -> AssistantEditor:
        from desktop_app.assistant.mcp.configuration import servers_switched_on
        from desktop_app.library.model_names import identified
        from desktop_app.ui.chat.assistant_editor import AssistantEditor

        services = self._services
        models = {model.identifier: model.label or model.name for model in services.library.everywhere}
        if (model := identified(services.library.everywhere, assistant.model)) is not None:
            assistant = replace(assistant, model=model.identifier)  # it may have been renamed
        collections = [one.name for one in services.collections.collections]
        return AssistantEditor(assistant, models, servers_switched_on(), collections, self._window)

    def transfer(self) -> None:
        """Import chats of other programs; back everything up, and restore it."""
        from desktop_app.ui.chat.transfer_dialog import TransferDialog

        self._open(TransferDialog(self._services.transfer, self._window))

    def trash(self) -> None:
        """Show the chats that were deleted in the last 30 days."""
        from desktop_app.ui.chat.trash_dialog import TrashDialog

        self._open(TrashDialog(self._services.chats, self._window))

    def removal(self, removal: Removal, in_use: bool, bin_failed: str) -> None:
        """Ask whether a model is to be removed; `bin_failed` as in `RemovalQuestion`."""
        from desktop_app.ui.models.removal_question import RemovalQuestion

        question = RemovalQuestion(removal, self._window, in_use=in_use, bin_failed=bin_failed)
        question.agreed.connect(partial(self.removal_agreed.emit, removal))
        question.open()

    def my_models(self) -> None:
        """Show what is known of the models here."""
        from desktop_app.ui.models.my_models_dialog import MyModelsDialog

        dialog = MyModelsDialog(self._services, self._window)
        dialog.removal_asked.connect(self.removal_asked)
        self._open(dialog)

    def closing(self) -> None:
        """Ask whether what is under way may stop."""
        from desktop_app.ui.models.closing_question import ClosingQuestion

        if self._window.findChild(ClosingQuestion) is not None:
            return
        job = self._services.conversions.current
        downloads = job is not None and job.progress is not None and job.progress.phase == "downloading"
        question = ClosingQuestion(self._window, downloads=downloads)
        question.agreed.connect(self.closing_agreed)
        question.open()

    @staticmethod
    def _open(dialog: QDialog) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _look_at(self, address: HubAddress, pasted: str) -> None:
        """Show what a repository is; what was written of it stays until it is fetched."""
        from desktop_app.library.install import InstallRequest

        self._pasted = pasted
        self.convert(InstallRequest(address.repository, revision=address.revision, endpoint=address.endpoint))

    def _forget_pasted(self) -> None:
        self._pasted = ""


def _follow_filter(dialog: QFileDialog, title: str, chosen: str) -> None:
    """Give the file the ending of the kind that was chosen."""
    from desktop_app.chat.export import file_name

    ending = next(ending for name, ending in _EXPORTS if chosen.startswith(name))
    dialog.setDefaultSuffix(ending)
    dialog.selectFile(file_name(title, ending))
