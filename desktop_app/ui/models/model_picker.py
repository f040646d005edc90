"""The button that shows the model in use, with the menu of all installed ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolButton, QWidget

from desktop_app.library.installed_model import BrokenModel, Entry, InstalledModel, Listing
from desktop_app.ui.i18n.formats import model_details, size
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.models.fit import COLOURS, reason, speed_words, verdict_words
from desktop_app.ui.models.model_session import EngineState
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.icons import icon
from desktop_app.ui.widgets.menus import light_only_under_pointer

if TYPE_CHECKING:
    from desktop_app.planning.configuration import RunConfiguration
    from desktop_app.quality.kept import KeptQuality

_LONGEST_NAME = 300


class ModelPicker(QToolButton):
    """Chooses a model, or asks for one to be added or removed."""

    chosen = Signal(InstalledModel)
    removal_asked = Signal(object)
    """An `Entry`."""
    measuring_asked = Signal(InstalledModel)
    """How near it is to its original is to be shown."""
    import_asked = Signal()
    catalogue_asked = Signal()
    comparison_asked = Signal()
    """Two models are to answer one question."""
    remotes_asked = Signal()
    """The servers of other computers are to be shown."""
    own_asked = Signal()
    """What is known of the models here is to be shown."""
    opened = Signal()
    """The models are shown: what fits may have changed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin with no models."""
        super().__init__(parent)
        self.setObjectName("modelPicker")
        self._models: list[InstalledModel] = []
        self._broken: list[BrokenModel] = []
        self._remote: list[InstalledModel] = []
        self._options: Mapping[Path, RunConfiguration | None] = {}
        self._qualities: Mapping[Path, KeptQuality] = {}
        self._entries: dict[Path, QAction] = {}
        self._state = EngineState()
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.setMenu(QMenu(self))
        light_only_under_pointer(self, self.menu())
        self._removal, self._measuring = QMenu(self), QMenu(self)
        self.menu().aboutToShow.connect(self._fill)
        self.menu().aboutToShow.connect(self.opened)
        self._refresh()

    def set_models(self, listing: Listing) -> None:
        """Offer these models, and to remove those that cannot be used."""
        self._models, self._broken, self._remote = listing.models, listing.broken, listing.remote
        self._fill()

    def set_options(self, options: Mapping[Path, RunConfiguration | None]) -> None:
        """Show how well each model fits and how fast it would write, in an open menu too."""
        self._options = options
        for model in self._models:
            if model.path in self._entries:
                self._show_verdict(model)

    def set_qualities(self, qualities: Mapping[Path, KeptQuality]) -> None:
        """Show what was measured of each model, in an open menu too."""
        if qualities != self._qualities:
            self._qualities = qualities
            self._fill_measuring()
            self._refresh()

    def show_state(self, state: EngineState) -> None:
        """Show the model in use and how far it is loaded."""
        self._state = state
        self._refresh()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language and the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._refresh()

    def _refresh(self) -> None:
        model = self._state.model
        self.setIcon(icon("server" if model is not None and model.remote else "model", theme.current().muted))
        name = (model.label or model.name) if model is not None else self.tr("Choose a model")
        short = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, _LONGEST_NAME)
        if model is not None and model.remote:
            short = self.tr("{name} · not on this computer").format(name=short)
        if self._state.kind == "loading":
            short = self.tr("{name} · loading {percent} %").format(name=short, percent=round(self._state.part * 100))
        self.setText(f"{_menu_text(short)}  ▾")
        self.setAccessibleName(self.tr("Model: {name}").format(name=name))
        self.setToolTip("\n".join(part for part in (name, *self._facts()) if part))

    def _facts(self) -> list[str]:
        model, planned = self._state.model, self._state.planned
        if model is not None and model.remote:
            return [self.tr("Not on this computer: what you write is sent to {address}.").format(address=model.remote)]
        facts = [model_details(model)] if model is not None else []
        if model is not None and model.path in self._qualities:
            facts.append(_quality_words(self._qualities[model.path]))
        if planned is not None and planned.plan.best is not None:
            facts += [reason(planned.plan.best), speed_words(planned.plan.best)]
        return facts

    def _fill(self) -> None:
        menu = self.menu()
        menu.clear()
        self._entries = {}
        group = QActionGroup(menu)
        current = self._state.model
        for model in self._models:
            action = self._entries[model.path] = QAction(menu, checkable=True)
            action.setChecked(current is not None and current.path == model.path)
            self._show_verdict(model)
            action.triggered.connect(lambda _, model=model: self.chosen.emit(model))
            group.addAction(action)
            menu.addAction(action)
        self._fill_remote(group)
        if self._models or self._remote:
            menu.addSeparator()
        import_action = QAction(icon("import", theme.current().muted), self.tr("Add a model…"), menu)
        import_action.triggered.connect(self.import_asked)
        catalogue_action = QAction(icon("catalogue", theme.current().muted), self.tr("Get models…"), menu)
        catalogue_action.triggered.connect(self.catalogue_asked)
        remotes_action = QAction(icon("server", theme.current().muted), self.tr("Models on other computers…"), menu)
        remotes_action.triggered.connect(self.remotes_asked)
        own_action = QAction(icon("model", theme.current().muted), self.tr("My models…"), menu)
        own_action.triggered.connect(self.own_asked)
        menu.addActions([own_action, catalogue_action, import_action, remotes_action])
        if len(self._models) > 1:
            comparison = menu.addAction(icon("compare", theme.current().muted), self.tr("Ask two models side by side…"))
            comparison.triggered.connect(self.comparison_asked)
        self._fill_measuring()
        if self._models:
            menu.addMenu(self._measuring)
        self._fill_removal()
        if not self._removal.isEmpty():
            menu.addMenu(self._removal)

    def _fill_remote(self, group: QActionGroup) -> None:
        """List the models of other computers apart, below a heading that says so."""
        from desktop_app.remote.addresses import place_of

        if not self._remote:
            return
        menu, current = self.menu(), self._state.model
        menu.addSeparator()
        heading = menu.addAction(self.tr("Not on this computer"))
        heading.setEnabled(False)
        for model in self._remote:
            action = QAction(f"{_menu_text(model.name)}\t{place_of(model.remote)}", menu, checkable=True)
            action.setChecked(current is not None and current.path == model.path)
            action.triggered.connect(lambda _, model=model: self.chosen.emit(model))
            group.addAction(action)
            menu.addAction(action)

    def _fill_measuring(self) -> None:
        """List the models with what was measured of them."""
        self._measuring.clear()
        self._measuring.setTitle(self.tr("Measure a model"))
        self._measuring.setIcon(icon("measure", theme.current().muted))
        for model in self._models:
            kept = self._qualities.get(model.path)
            words = self.tr("not measured") if kept is None else _quality_words(kept)
            action = self._measuring.addAction(f"{_menu_text(model.label)}\t{words}")
            action.triggered.connect(lambda _, model=model: self.measuring_asked.emit(model))

    def _fill_removal(self) -> None:
        """List what can be removed: all but the model that comes with the application."""
        self._removal.clear()
        self._removal.setTitle(self.tr("Remove a model"))
        self._removal.setIcon(icon("delete", theme.current().muted))
        removable: list[Entry] = [*(model for model in self._models if not model.starter), *self._broken]
        for model in removable:
            label = model.label if isinstance(model, InstalledModel) else model.name
            action = self._removal.addAction(f"{_menu_text(label)}\t{size(model.bytes)}")
            action.triggered.connect(lambda _, model=model: self.removal_asked.emit(model))

    def _show_verdict(self, model: InstalledModel) -> None:
        action, option = self._entries[model.path], self._options.get(model.path)
        verdict = "" if option is None else option.verdict
        speed = "" if option is None or option.shortfall else speed_words(option)
        details = " · ".join(part for part in (model_details(model), speed, verdict_words(verdict)) if part)
        action.setText(f"{_menu_text(model.label)}\t{details}")
        if verdict:
            mark = "check" if action.isChecked() else "fit"  # an icon takes the place of Qt's own check mark
            action.setIcon(icon(mark, getattr(theme.current(), COLOURS[verdict])))


def _quality_words(kept: KeptQuality) -> str:
    from desktop_app.quality.kept import in_words

    return translated(in_words(kept.same_top))


def _menu_text(name: str) -> str:
    """Return a text in which & is no mark of a key."""
    return name.replace("&", "&&")
