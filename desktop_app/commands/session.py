"""A loaded model for the length of a command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from desktop_app.commands.terminal import ProgressLine
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import AdapterUse, Load, LoadSettings, Progress, Update
from desktop_app.engine.results import ModelInfo
from desktop_app.library.installed import InstalledModel, Library
from desktop_app.paths import models_folder
from desktop_app.planning.load_plan import LoadPlanner, PlannedLoad, record_load
from models.errors import ZhiyinError


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
    """Split FILE:SCALE; a colon that follows no .gguf belongs to the file's name, as on Windows, unless a number follows it."""
    path, colon, scale = text.rpartition(":")
    try:
        return AdapterUse(path, float(scale)) if colon and path else AdapterUse(text)
    except ValueError:
        if path.endswith(".gguf") and not Path(text).exists():
            raise argparse.ArgumentTypeError(
                f"{scale!r} is no scale for {path}; give a number, as in {path}:0.5"
            ) from None
        return AdapterUse(text)


@contextmanager
def loaded(name: str | None, settings: LoadSettings, adapters: Sequence[AdapterUse] = ()) -> Iterator[Engine]:
    """Start an engine and load a model with adapters on it, showing progress on stderr."""
    model = find_model(name)
    with Engine() as engine:
        load(engine, model, settings, adapters)
        yield engine


@dataclass(frozen=True)
class Session:
    """An engine with a model that was loaded by plan."""

    engine: Engine
    model: InstalledModel
    info: ModelInfo
    planned: PlannedLoad


@contextmanager
def loaded_by_plan(
    name: str | None, settings: LoadSettings, context: int | None, adapters: Sequence[AdapterUse] = ()
) -> Iterator[Session]:
    """Start an engine and load a model the way that suits this computer; what it took is remembered for the next plan.

    Args:
        name: the model's name or path; None: the default one.
        settings: what the person set otherwise.
        context: tokens that the person asks for, who then is obeyed even where the plan sees no room; None: the planner's choice.
        adapters: put on the model.

    Raises:
        ZhiyinError: no way to run it fits; the sentence says what would.
    """
    model = find_model(name)
    with Engine() as engine:
        planned = LoadPlanner(engine).plan(model.path, settings, context=context, adapters=adapters)
        if planned.plan.best is None and context is None:
            raise ZhiyinError(
                "{name}: {reason} Insist with `zhiyin chat --ctx N`.", name=model.name, reason=planned.plan.reason
            )
        yield Session(engine, model, load(engine, model, planned.settings, adapters), planned)
        with suppress(ZhiyinError):
            record_load(engine, planned)


def load(engine: Engine, model: InstalledModel, settings: LoadSettings, adapters: Sequence[AdapterUse]) -> ModelInfo:
    """Load a model with adapters on it in place of the one in the engine, showing progress on stderr; return what it is."""
    line = ProgressLine()

    def show(update: Update) -> None:
        if isinstance(update, Progress):
            line.show(update.part, f"loading {model.name}")

    try:
        return engine.submit(Load(str(model.path), settings, tuple(adapters)), show).result()
    finally:
        line.clear()
