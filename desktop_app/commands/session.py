"""A loaded model for the length of a command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from desktop_app import reports
from desktop_app.commands.terminal import ProgressLine, say
from desktop_app.engine.client import Answers, Engine
from desktop_app.engine.protocol import AdapterUse, Load, LoadSettings, Progress, Update
from desktop_app.engine.results import ModelInfo
from desktop_app.library.first_model import first_model
from desktop_app.library.installed import Library
from desktop_app.library.installed_model import Entry, InstalledModel
from desktop_app.library.model_names import AmbiguousModel
from desktop_app.paths import models_folder, settings_file
from desktop_app.remote.addresses import is_remote, model_named, read_address, shown_model
from desktop_app.settings import load_settings
from models.errors import ZhiyinError
from models.visible import visible

if TYPE_CHECKING:
    from desktop_app.planning.load_plan import LoadPlanner, PlannedLoad

T = TypeVar("T")


def find_model(name: str | None, *, also: Sequence[str] = ()) -> InstalledModel:
    """Return the model that the user named, or the one to begin with; where a name is not enough, ask.

    Args:
        name: of the model, or its path.
        also: names that the command knows besides, listed where there is no such model.
    """
    library = Library(models_folder())
    if name:
        return ask_which(lambda: library.find(name, also=also))
    last = load_settings(settings_file()).model
    model, missed = first_model(library.listing(), "" if is_remote(last) else last)
    if missed is not None:
        reports.say(missed)
    return model


def ask_which(find: Callable[[], T]) -> T:
    """Return what is found; of several models of one name, the one that is chosen in the terminal.

    Raises:
        AmbiguousModel: nobody is there to choose, or chooses none.
    """
    try:
        return find()
    except AmbiguousModel as error:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        return cast(T, _chosen(error))


def _chosen(error: AmbiguousModel) -> Entry:
    for number, entry in enumerate(error.candidates, 1):
        say(f"{number}  {visible(str(entry.path))}")
    while True:
        print(f"Which one (1 to {len(error.candidates)})? ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if not answer.strip():
            raise error
        with suppress(ValueError, IndexError):
            if (number := int(answer)) > 0:
                return error.candidates[number - 1]


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
        return AdapterUse(Path(path), float(scale)) if colon and path else AdapterUse(Path(text))
    except ValueError:
        if path.lower().endswith(".gguf") and not Path(text).exists():
            raise argparse.ArgumentTypeError(
                f"{scale!r} is no scale for {path}; give a number, as in {path}:0.5"
            ) from None
        return AdapterUse(Path(text))


@contextmanager
def loaded(name: str | None, settings: LoadSettings, adapters: Sequence[AdapterUse] = ()) -> Iterator[Engine]:
    """Start an engine and load a model with adapters on it, showing progress on stderr."""
    model = find_model(name)
    with Engine() as engine:
        load(engine, model, settings, adapters)
        yield engine


@dataclass
class Session:
    """A model that answers."""

    engine: Answers
    model: InstalledModel
    info: ModelInfo


@dataclass
class LoadedSession(Session):
    """One that was loaded by plan."""

    planned: PlannedLoad
    planner: LoadPlanner
    adapters: Sequence[AdapterUse] = ()

    def larger(self, needed: int) -> PlannedLoad | None:
        """Return how the model is loaded with a context of more than so many tokens; None: there is none."""
        from desktop_app.planning.load_plan import larger_context

        context = larger_context(self.info, needed)
        if not context:
            return None
        settings = LoadSettings(threads=self.planned.settings.threads)
        planned = self.planner.plan(
            self.model.path, settings, context=context, current=self.planned, adapters=self.adapters
        )
        return planned if planned.plan.best is not None else None

    def load_again(self, planned: PlannedLoad) -> None:
        """Load the model in another way."""
        self.info = load(self.engine, self.model, planned.settings, self.adapters)
        self.planned = planned


@contextmanager
def remote_session(address: str, name: str | None) -> Iterator[Session]:
    """Give a model of a server on another computer.

    Args:
        address: as the user typed it.
        name: of the model; None: the only one that the server has.

    Raises:
        ZhiyinError: the server cannot be asked, or has no such model.
    """
    from desktop_app.remote.engine import RemoteEngine, list_models

    remote = list_models(read_address(address))
    model = model_named(remote, name)
    engine = RemoteEngine(remote, model)
    try:
        yield Session(engine, shown_model(remote, model), engine.info)
    finally:
        engine.close()


@contextmanager
def loaded_by_plan(
    model: InstalledModel,
    settings: LoadSettings,
    context: int | None,
    adapters: Sequence[AdapterUse] = (),
    workers: Sequence[str] = (),
) -> Iterator[LoadedSession]:
    """Start an engine and load a model the way that suits this computer; what it took is remembered for the next plan.

    Args:
        model: which.
        settings: what the user set otherwise.
        context: tokens that the user asks for, who then is obeyed even where the plan sees no room; None: as set for the model,
            else the planner's choice.
        adapters: put on the model.
        workers: computers whose devices are used too.

    Raises:
        ZhiyinError: no way to run it fits; the sentence says what would.
    """
    from desktop_app.planning.load_plan import LoadPlanner, record_load

    context = context or model.own.context or None
    settings = replace(settings, threads=settings.threads or model.own.threads)
    with Engine(workers=workers) as engine:
        others = [other.path for other in Library(models_folder()).listing().models]
        planner = LoadPlanner(engine)
        planned = planner.plan(model.path, settings, context=context, adapters=adapters, others=others)
        if planned.plan.best is None and context is None:
            raise ZhiyinError(
                "{name}: {reason} Insist with `zhiyin chat --ctx N`.", name=model.name, reason=planned.plan.reason
            )
        info = load(engine, model, planned.settings, adapters)
        session = LoadedSession(engine, model, info, planned, planner, adapters)
        yield session
        with suppress(ZhiyinError):
            record_load(engine, session.planned)


def load(engine: Answers, model: InstalledModel, settings: LoadSettings, adapters: Sequence[AdapterUse]) -> ModelInfo:
    """Load a model with adapters on it in place of the one in the engine, showing progress on stderr; return what it is."""
    line = ProgressLine()

    def show(update: Update) -> None:
        if isinstance(update, Progress):
            line.show(update.part, f"loading {model.name}")

    try:
        return engine.submit(Load(model.path, settings, tuple(adapters)), show).result()
    finally:
        line.clear()
