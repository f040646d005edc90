"""Whether somebody is here for the first time, and what is offered then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.ui.services import Services

if TYPE_CHECKING:
    from desktop_app.library.first_run import FirstRun


class FirstRunController(QObject):
    """Finds out what to offer as long as no model was chosen and no chat begun."""

    changed = Signal()
    """`wanted` or `found` is another one."""

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        """Look as soon as it is known which models there are."""
        super().__init__(parent)
        self._services = services
        self._asked = False
        self.found: FirstRun | None = None
        """None: not known yet, or it cannot be found out."""
        services.library.changed.connect(self._look)
        services.chats.list.listed.connect(self._look)
        services.chats.list.added.connect(lambda _: self.end())
        services.conversions.changed.connect(self._look)

    @property
    def wanted(self) -> bool:
        """Nothing was chosen yet, and there is no model but the one that comes along."""
        services = self._services
        return (
            not services.settings.welcomed
            and services.library.is_read
            and all(model.starter for model in services.library.models)
            and not services.chats.list.conversations
            and not services.conversions.jobs
        )

    def end(self) -> None:
        """Something was chosen: nothing is offered any more."""
        if not self._services.settings.welcomed:
            self._services.settings.welcomed = True
            self._services.save_settings()
            self.changed.emit()

    def _look(self) -> None:
        if self.wanted and not self._asked:
            self._asked = True
            self._services.catalogue.find_first_run(self._show, lambda _: None)
        self.changed.emit()

    def _show(self, first_run: FirstRun) -> None:
        self.found = first_run
        self.changed.emit()
