"""Facts of installed models, their verification, export and new names, from the window's thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject
from shiboken6 import isValid

from desktop_app.library.installed_model import InstalledModel
from desktop_app.settings import Settings
from desktop_app.ui.bridges.background import Background
from desktop_app.ui.bridges.library_bridge import LibraryBridge

if TYPE_CHECKING:
    from desktop_app.library.duplicates import Held
    from desktop_app.library.installed_model import ModelSettings
    from desktop_app.library.model_care import ModelFacts

Failed = Callable[[Exception], None]


class ModelCareBridge(QObject):
    """One thing after the other; what reads or writes whole files does so in a process of its own."""

    def __init__(self, library: LibraryBridge, settings: Settings, parent: QObject | None = None) -> None:
        """`library` lists models anew that have another name; `settings` say which one was used last."""
        super().__init__(parent)
        self._library, self._settings = library, settings
        self._background = Background("model-care", self)
        self._long = Background("model-files", self)
        self._stops: list[threading.Event] = []

    def note_use(self, model: InstalledModel) -> None:
        """Write down that a model was loaded now; a full disk only loses that."""

        def note() -> None:
            from desktop_app.library.model_care import note_use

            note_use(model, time.time())

        self._background.run(note, None, lambda _: None)

    def find_facts(self, model: InstalledModel, asker: QObject, on_done: Callable[[ModelFacts], None]) -> None:
        """Find out what is known of a model; nothing is called once `asker` is gone, or where its file cannot be read."""

        def find() -> ModelFacts:
            from desktop_app.library.model_care import model_facts

            return model_facts(model)

        self._background.run(find, lambda facts: on_done(facts) if isValid(asker) else None, lambda _: None)

    def verify(
        self,
        model: InstalledModel,
        asker: QObject,
        on_read: Callable[[int, int], None],
        on_done: Callable[[str], None],
        on_failed: Failed,
    ) -> threading.Event:
        """Read a model whole; setting what is returned ends it, and then nothing is called."""
        from desktop_app.library.model_care import verify_model

        return self._run(partial(verify_model, model), asker, lambda event: on_read(*event), on_done, on_failed)

    def export(
        self, model: InstalledModel, target: Path, asker: QObject, on_done: Callable[[], None], on_failed: Failed
    ) -> threading.Event:
        """Write a model into one file for another computer; as `verify`."""
        from desktop_app.library.model_care import export_model

        return self._run(partial(export_model, model, target), asker, lambda _: None, lambda _: on_done(), on_failed)

    def find_duplicates(
        self,
        asker: QObject,
        on_read: Callable[[int, int], None],
        on_done: Callable[[list[tuple[Held, ...]]], None],
        on_failed: Failed,
    ) -> threading.Event:
        """Look for models that are here twice; as `verify`."""
        from desktop_app.library.duplicates import duplicates_and_tell

        models = [*self._library.models, *self._library.measuring]
        work = partial(duplicates_and_tell, models)
        return self._run(work, asker, lambda event: on_read(*event), on_done, on_failed)

    def store_settings(self, model: InstalledModel, settings: ModelSettings, on_failed: Failed) -> None:
        """Let settings of a model's own count; the library's list tells when they do."""

        def store() -> None:
            from desktop_app.library.model_settings import store_model_settings

            store_model_settings(model.identifier, settings)

        self._background.run(store, lambda _: self._library.refresh(), on_failed)

    def rename(self, model: InstalledModel, name: str, on_failed: Failed) -> None:
        """Give a model another name; the library's list tells when it has it."""

        def rename() -> Path:
            from desktop_app.library.renaming import rename_model

            return rename_model(model, name)

        def renamed(path: Path) -> None:
            if self._settings.model == model.identifier and path != model.path:
                self._settings.model = str(Path(model.identifier).with_name(path.name).as_posix())
            self._library.refresh()

        self._background.run(rename, renamed, on_failed)

    def close(self) -> None:
        """Stop what is under way."""
        for stop in self._stops:
            stop.set()
        self._long.close()
        self._background.close()

    def _run(
        self,
        work: Any,
        asker: QObject,
        on_event: Callable[[Any], None],
        on_done: Callable[[Any], None],
        on_failed: Failed,
    ) -> threading.Event:
        from desktop_app.processes.worker import in_process

        stop = threading.Event()

        def unless_stopped(call: Callable[[Any], None]) -> Callable[[Any], None]:
            return lambda result: call(result) if isValid(asker) and not stop.is_set() else None

        tell = unless_stopped(on_event)
        self._long.run(
            lambda: in_process(work, lambda event: self._long.post(partial(tell, event)), stop, grace=0),
            unless_stopped(on_done),
            unless_stopped(on_failed),
        )
        self._stops = [one for one in self._stops if not one.is_set()] + [stop]
        return stop
