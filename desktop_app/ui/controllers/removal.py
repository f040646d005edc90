"""Removing a model: what would go is found out, asked about, and done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.library.installed_model import Entry
from desktop_app.ui.controllers.notices import NoticeController
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.services import Services
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from desktop_app.library.removal import Removal


class RemovalController(QObject):
    """Removes models of the list."""

    question = Signal(object, bool, str)
    """What would go, a `Removal`, whether the model is in use, and why the bin did not take it, "" where that was not tried;
    answer with `remove`, or not at all."""

    def __init__(self, services: Services, notices: NoticeController, parent: QObject | None = None) -> None:
        """Say what was done through `notices`."""
        super().__init__(parent)
        self._services, self._notices = services, notices

    def ask(self, model: Entry) -> None:
        """Find out what would go with a model."""
        self._services.library.find_removal(model, self._ask, self._failed)

    def remove(self, removal: Removal, with_download: bool, for_good: bool) -> None:
        """Remove it, and with it the download that it was made of if the user wants that."""

        def removed() -> None:
            in_bin = removal.files and not for_good
            text = self.tr("{name} is in the system's bin.") if in_bin else self.tr("{name} was removed.")
            self._notices.news.say(text.format(name=removal.model.name), kind="plain")

        def failed(error: Exception) -> None:
            if isinstance(error, ZhiyinError) and error.code == "no-bin":
                again = partial(self._ask, bin_failed=translated(error))
                self._services.library.find_removal(removal.model, again, self._failed)
            else:
                self._failed(error)

        self._services.remove_model(removal, removed, failed, with_download=with_download, for_good=for_good)

    def _ask(self, removal: Removal, bin_failed: str = "") -> None:
        state = self._services.models.state
        self.question.emit(removal, state.model is not None and state.model.path == removal.model.path, bin_failed)

    def _failed(self, error: Exception) -> None:
        self._notices.warnings.say(self.tr("The model was not removed. {reason}").format(reason=translated(error)))
