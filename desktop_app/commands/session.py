"""A loaded model for the length of a command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import AdapterUse, Event, Load, LoadSettings
from desktop_app.library import InstalledModel, Library
from desktop_app.paths import models_folder
from desktop_app.terminal import ProgressLine


def find_model(name: str | None) -> InstalledModel:
    """Return the model that the person named, or the default one."""
    library = Library(models_folder())
    return library.find(name) if name else library.default()


def add_adapter_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --adapter."""
    parser.add_argument(
        "--adapter",
        type=_adapter,
        action="append",
        default=[],
        metavar="FILE[:SCALE]",
        help="a GGUF adapter to put on the model (zhiyin convert --as-adapter); may be repeated",
    )


def _adapter(text: str) -> AdapterUse:
    """Split FILE:SCALE; a colon before anything but a number belongs to the file's name, as on Windows."""
    path, colon, scale = text.rpartition(":")
    try:
        return AdapterUse(path, float(scale)) if colon and path else AdapterUse(text)
    except ValueError:
        return AdapterUse(text)


@contextmanager
def loaded(name: str | None, settings: LoadSettings, adapters: Sequence[AdapterUse] = ()) -> Iterator[Engine]:
    """Start an engine and load a model with adapters on it, showing progress on stderr."""
    model = find_model(name)
    line = ProgressLine()

    def show(event: Event) -> None:
        if event.kind == "progress":
            line.show(event.data["part"], f"loading {model.name}")

    with Engine() as engine:
        engine.submit(Load(str(model.path), settings, tuple(adapters)), show).result()
        line.clear()
        yield engine
