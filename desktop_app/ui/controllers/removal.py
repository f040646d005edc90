"""Removing a model: what would go is found out, asked about, and done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.library.installed_model import Entry
from desktop_app.ui.controllers.notices import NoticeController
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.services import Services

if TYPE_CHECKING:
    from desktop_app.library.removal import Removal


class RemovalController(QObject):
    """Removes models of the list."""

    question = Signal(object, bool)
    """What would go, a `Removal`, and whether the model is in use; answer with `remove`, or not at all."""

    def __init__(self, services: Services, notices: NoticeController, parent: QObject | None = None) -> None:
        """Say what was done through `notices`."""
        super().__init__(parent)
        self._services, self._notices = services, notices

    def ask(self, model: Entry) -> None:
        """Find out what would go with a model."""

        def show(removal: Removal) -> None:
            state = self._services.models.state
            self.question.emit(removal, state.model is not None and state.model.path == model.path)

        self._services.library.find_removal(model, show, self._failed)

    def remove(self, removal: Removal, with_download: bool) -> None:
        """Remove it, and with it the download that it was made of if the user wants that."""

        def removed() -> None:
            self._notices.news.say(self.tr("{name} was removed.").format(name=removal.model.name), kind="plain")

        self._services.remove_model(removal, removed, self._failed, with_download=with_download)

    def _failed(self, error: Exception) -> None:
        self._notices.warnings.say(self.tr("The model was not removed. {reason}").format(reason=translated(error)))
