"""A loaded model for the length of a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Event, Load, LoadSettings
from desktop_app.library import InstalledModel, Library
from desktop_app.paths import models_folder
from desktop_app.terminal import ProgressLine


def find_model(name: str | None) -> InstalledModel:
    """Return the model that the person named, or the default one."""
    library = Library(models_folder())
    return library.find(name) if name else library.default()


@contextmanager
def loaded(name: str | None, settings: LoadSettings) -> Iterator[Engine]:
    """Start an engine and load a model, showing progress on stderr."""
    model = find_model(name)
    line = ProgressLine()

    def show(event: Event) -> None:
        if event.kind == "progress":
            line.show(event.data["part"], f"loading {model.name}")

    with Engine() as engine:
        engine.submit(Load(str(model.path), settings), show).result()
        line.clear()
        yield engine
