"""Getting a model of the catalogue, and finding out how those on this computer would run now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.ui.models.model_session import EngineState
from desktop_app.ui.services import Services

if TYPE_CHECKING:
    from desktop_app.library.catalogue import CatalogueOffer
    from desktop_app.planning.configuration import RunConfiguration


class ModelActions(QObject):
    """Acts on models of the lists."""

    options_found = Signal(object)
    """A dictionary: how each file would be loaded now, by its path; None: not known."""

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        """Find out again whenever the models or the memory change."""
        super().__init__(parent)
        self._services = services
        self._finding = False
        self._find_again = False
        services.library.changed.connect(self.find_options)
        services.models.changed.connect(self._model_changed)

    def get(self, offer: CatalogueOffer) -> None:
        """Download a model, in the quantization that is planned for this computer."""
        if offer.option is not None:
            self._services.conversions.start(offer.model.source, offer.option.quant, fetches=offer.download or 0)

    def find_options(self) -> None:
        """Let the list say what fits now; one question at a time, since the engine answers after a reply."""
        if self._finding:
            self._find_again = True
            return
        self._finding, self._find_again = True, False

        def show(options: dict[Path, RunConfiguration | None]) -> None:
            self._finding = False
            self.options_found.emit(options)
            if self._find_again:
                self.find_options()

        self._services.models.find_options(self._services.library.models, show)

    def _model_changed(self, state: EngineState) -> None:
        if state.kind == "ready":
            self.find_options()
