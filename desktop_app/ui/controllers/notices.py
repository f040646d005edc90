"""Notices at the top of the window, and beside the message box where something can be undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject

from desktop_app.library.installed_model import InstalledModel
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.services import Services
from desktop_app.ui.widgets.notice import Action, Kind
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from desktop_app.chat.mending import Recovery
    from desktop_app.quality.kept import KeptQuality

_REPORTS = "reports"
"""The notice's topic of what was found damaged."""


class Notices(Protocol):
    """A place for one sentence with buttons, such as `widgets.notice.Notice`."""

    @property
    def text(self) -> str:
        """The current text."""
        ...

    def say(self, text: str, *actions: Action, kind: Kind = "warning", topic: str = "") -> None:
        """Say something in place of what was said before."""
        ...

    def is_about(self, topic: str) -> bool:
        """Tell whether it says something of a topic."""
        ...

    def withdraw(self, topic: str) -> None:
        """Say nothing more of a topic."""
        ...


class NoticeController(QObject):
    """Says what went wrong behind the window, and what was done."""

    def __init__(self, services: Services, warnings: Notices, news: Notices, parent: QObject | None = None) -> None:
        """Follow the services; `news` is for what went well."""
        super().__init__(parent)
        self.warnings, self.news = warnings, news
        self._services = services
        services.catalogue.failed.connect(lambda error: warnings.say(translated(error)))
        services.library.refused.connect(self.import_refused)
        services.library.imported.connect(self.imported)
        services.history.troubled.connect(self._not_saved)
        services.history.recovered.connect(lambda: warnings.withdraw("history"))
        services.history.damaged.connect(self._history_damaged)
        services.settings_not_saved.connect(self._settings_not_saved)
        services.reported.connect(self._report)
        services.quality.measured.connect(self._measured)
        services.quality.failed.connect(self._not_measured)

    def import_refused(self, error: Exception) -> None:
        """Say why a file is not on the list."""
        self.warnings.say(self.tr("The file was not imported. {reason}").format(reason=translated(error)))

    def imported(self, model: InstalledModel) -> None:
        """Say that a model is on the list."""
        self.news.say(self.tr("{name} was imported and is being loaded.").format(name=model.name), kind="plain")

    def _measured(self, model: InstalledModel, kept: KeptQuality) -> None:
        from desktop_app.quality.kept import in_words

        self.news.say(f"{model.name}: {translated(in_words(kept.same_top))}", kind="plain")

    def _not_measured(self, model: InstalledModel, error: Exception) -> None:
        text = self.tr("{name} was not measured. {reason}")
        self.warnings.say(text.format(name=model.name, reason=translated(error)))

    def model_missing(self, get: Callable[[], None], add: Callable[[], None]) -> None:
        """Say that a message needs a model, with the two ways to one."""
        ways = (self.tr("Get models"), get), (self.tr("Add a model…"), add)
        self.warnings.say(self.tr("Choose or add a model first."), *ways, topic="model")

    def text_too_large(self, name: str) -> None:
        """Say that a text does not fit into a message."""
        self.warnings.say(
            self.tr("{name} is too large for a message; put the part that matters into a file of its own.").format(
                name=name
            )
        )

    def document_failed(self, error: Exception) -> None:
        """Say why a document cannot go into the message."""
        self.warnings.say(self.tr("The file was not attached. {reason}").format(reason=translated(error)))

    def _not_saved(self, error: ZhiyinError) -> None:
        text = self.tr("Your newest messages are not saved yet. {reason}").format(reason=translated(error))
        self.warnings.say(text, (self.tr("Try again"), self._services.history.flush), topic="history")

    def _history_damaged(self, recovery: Recovery) -> None:
        text = self.tr("The file of your chats was damaged. What could be read was saved; the damaged file is {file}.")
        self.warnings.say(text.format(file=recovery.damaged))

    def _report(self, error: ZhiyinError) -> None:
        """Say what the user must hear of, below what was said before and is still there."""
        earlier = [self.warnings.text] if self.warnings.is_about(_REPORTS) else []
        self.warnings.say("\n".join([*earlier, translated(error)]), topic=_REPORTS)

    def _settings_not_saved(self, error: Exception) -> None:
        self.warnings.say(self.tr("The settings could not be saved: {reason}").format(reason=translated(error)))
