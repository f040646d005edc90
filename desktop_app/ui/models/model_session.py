"""The model in the engine: loading, unloading, and the state that the window shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, Signal

from desktop_app.library.installed_model import InstalledModel
from desktop_app.settings import Settings
from desktop_app.ui.bridges.engine_bridge import EngineBridge
from models.errors import ZhiyinError
from models.system_errors import as_zhiyin_error

if TYPE_CHECKING:
    from desktop_app.engine.client import EngineExit
    from desktop_app.engine.protocol import LoadSettings, Update
    from desktop_app.engine.results import ModelInfo
    from desktop_app.library.source_facts import Assessment, SourceFacts
    from desktop_app.planning.configuration import Computer, RunConfiguration
    from desktop_app.planning.load_plan import PlannedLoad
    from desktop_app.system.hardware import Hardware

SMALLEST_CONTEXT = 512

Kind = Literal["none", "loading", "ready", "failed"]


@dataclass(frozen=True)
class LoadOverrides:
    """How the user wants a model to be loaded, besides the settings."""

    context: int = 0
    """Tokens; 0: as the settings say."""
    kv_type: str = "f16"
    insist: bool = False
    """Load it even where the plan sees no room."""


@dataclass(frozen=True)
class Contexts:
    """Which other contexts the model in use can be loaded with."""

    smaller: bool = False
    larger: int = 0
    """Tokens; 0: none that fits."""
    price: int = 0
    """Bytes that it takes above what the model takes now; 0: that is not known."""
    start: str = ""
    """The question from which on the chat fits the context in use (`chat.shortening`); "": no turns can be left out."""


@dataclass(frozen=True)
class EngineState:
    """The displayed state of the engine."""

    kind: Kind = "none"
    model: InstalledModel | None = None
    info: ModelInfo | None = None
    part: float = 0.0
    """How much of the model is loaded, 0 to 1."""
    error: ZhiyinError | None = None
    """Why it failed."""
    context: int = 0
    """The context that is loaded, or was asked for, in tokens; 0: not known yet, or without limit."""
    planned: PlannedLoad | None = None
    """How it is loaded; None: not planned yet."""

    @property
    def recurrent(self) -> bool:
        """The model keeps a chat of any length in mind at the same cost; its context cannot be set."""
        if self.model is not None and self.model.remote:
            return False
        planned = self.planned.plan.best if self.planned is not None else None
        return self.info.context == 0 if self.info is not None else planned is not None and planned.recurrent

    @property
    def refused(self) -> bool:
        """The plan saw no room, and nothing was loaded."""
        from desktop_app.planning.planner import DOES_NOT_FIT

        return self.error is not None and self.error.code == DOES_NOT_FIT


class ModelSession(QObject):
    """Loads models, one at a time, as the planner says."""

    changed = Signal(EngineState)

    def __init__(self, engine: EngineBridge, settings: Settings, parent: QObject | None = None) -> None:
        """Nothing is loaded yet."""
        super().__init__(parent)
        self._engine = engine
        self._settings = settings
        self._turn = 0
        self._overrides = LoadOverrides()
        self._in_engine: PlannedLoad | None = None
        self._recorded = True
        self.others: Callable[[], Iterable[Path]] = tuple
        """Returns the installed models, of which a small one may guess tokens for a large one."""
        self.state = EngineState()
        engine.exited.connect(self._exited)

    @property
    def settings_in_use(self) -> Settings:
        """The settings as they count for the model in use."""
        model = self.state.model
        return self._settings if model is None else model.own.over(self._settings)

    def follow_list(self, models: Iterable[InstalledModel]) -> None:
        """Take over what was set for the model in use since it was loaded; another context or other threads load it again."""
        before = self.state.model
        model = next((one for one in models if before is not None and one.path == before.path), None)
        if model is None or before is None or model.own == before.own:
            return
        # Nothing else about it is new: who listens would take it for another load.
        self.state = replace(self.state, model=model)
        if (model.own.context, model.own.threads) != (before.own.context, before.own.threads):
            self.apply_settings()

    def choose(self, model: InstalledModel, overrides: LoadOverrides | None = None) -> None:
        """Load a model instead of the current one; where it does not fit, nothing changes but the state."""
        from desktop_app.engine.protocol import LoadSettings
        from desktop_app.planning.load_plan import SWITCHED

        self._turn += 1
        turn = self._turn
        if model.remote:
            self._use_remote(model)
            return
        self._engine.use(None)
        self._overrides = overrides or LoadOverrides()
        context = self._overrides.context or model.own.over(self._settings).context or None
        insist = self._overrides.insist or context is not None
        settings = LoadSettings(kv_type=self._overrides.kv_type, threads=model.own.threads)
        self._set(EngineState("loading", model, context=context or 0))

        def planned(plan: PlannedLoad) -> None:
            if turn != self._turn:
                return
            if plan.plan.best is None and not insist:
                self._set(
                    EngineState("failed", model, error=plan.plan.refusal, context=plan.settings.context, planned=plan)
                )
            else:
                self._load(turn, model, plan.settings, plan)

        def not_planned(_: Exception) -> None:
            """Let the engine say what is wrong with the file."""
            if turn == self._turn:
                self._load(turn, model, replace(settings, context=context) if context else settings, None)

        current, others = self._in_engine, list(self.others())
        self._engine.plan(
            lambda planner: planner.plan(
                model.path, settings, context=context, current=current, parallel=SWITCHED, others=others
            ),
            planned,
            not_planned,
        )

    def _use_remote(self, model: InstalledModel) -> None:
        """Let a model on another computer answer, and free what is loaded here; it is asked when there is a question."""
        from desktop_app.engine.protocol import Unload
        from desktop_app.remote.addresses import Remote, RemoteModel
        from desktop_app.remote.engine import RemoteEngine

        if self._in_engine is not None or self.state.kind == "loading":
            self._in_engine = None
            self._engine.submit(Unload(), lambda _: None, lambda _: None, lambda _: None)
        engine = RemoteEngine(Remote(model.remote), RemoteModel(model.remote_name, model.context))
        self._engine.use(engine)
        self._set(EngineState("loading", model))  # as every choice: who writes now is stopped
        self._set(EngineState("ready", model, engine.info, 1.0, context=model.context))

    def unload(self, on_done: Callable[[], None]) -> None:
        """Free the model in use and have none; then its file may be deleted."""
        from desktop_app.engine.protocol import Unload

        self._turn += 1
        self._in_engine = None
        self._set(EngineState())
        self._engine.submit(Unload(), lambda _: None, lambda _: on_done(), lambda _: on_done())

    def reload(self) -> None:
        """Load the current model again, as it was wished."""
        if self.state.model is not None:
            self.choose(self.state.model, self._overrides)

    def reload_with(self, overrides: LoadOverrides) -> None:
        """Load the current model in another way, this time only."""
        if self.state.model is not None:
            self.choose(self.state.model, overrides)

    def apply_settings(self) -> None:
        """Load the current model again, with the settings as they are now."""
        self.reload_with(LoadOverrides())

    def reload_with_context(self, context: int) -> None:
        """Load the current model with another context, and keep that setting."""
        from desktop_app.library.model_settings import store_model_settings

        context, model = max(SMALLEST_CONTEXT, context), self.state.model
        if model is not None and model.own.context is not None:
            own = replace(model.own, context=context)
            self.state = replace(self.state, model=replace(model, own=own))
            with suppress(ZhiyinError):  # a full disk: it counts this time
                store_model_settings(model.identifier, own)
        else:
            self._settings.context = context
        self.apply_settings()

    def find_larger_context(self, needed: int, on_done: Callable[[int, int], None]) -> None:
        """Find a context of more than `needed` tokens that the model was trained for and the memory takes; 0: none.

        It is the loaded context doubled as often as it takes. With it comes the memory that it takes above what is taken now.
        """
        from desktop_app.engine.protocol import LoadSettings
        from desktop_app.planning.load_plan import SWITCHED, larger_context

        model, info, current = self.state.model, self.state.info, self._in_engine
        larger = larger_context(info, needed) if info is not None and not (model and model.remote) else 0
        if model is None or not larger:
            on_done(0, 0)
            return
        now = 0 if current is None or current.plan.best is None else current.plan.best.bytes

        def offer(planned: PlannedLoad) -> None:
            best = planned.plan.best
            on_done(larger if best is not None else 0, best.bytes - now if best is not None and now else 0)

        path, settings = model.path, LoadSettings(kv_type=self._overrides.kv_type)
        self._engine.plan(
            lambda planner: planner.plan(path, settings, context=larger, current=current, parallel=SWITCHED),
            offer,
            lambda _: on_done(0, 0),
        )

    def find_contexts(
        self,
        contexts: Sequence[int],
        on_done: Callable[[dict[int, RunConfiguration]], None],
        model: InstalledModel | None = None,
    ) -> None:
        """Find out what a model, or that in use, would take with each context, were none loaded; {} where that is unknown."""
        from desktop_app.engine.protocol import LoadSettings
        from desktop_app.planning.load_plan import SWITCHED

        model, current = model or self.state.model, self._in_engine
        if model is None or model.remote:
            on_done({})
            return
        settings = LoadSettings(kv_type=self._overrides.kv_type)
        self._engine.plan(
            lambda planner: planner.contexts(model.path, settings, contexts, current=current, parallel=SWITCHED),
            on_done,
            lambda _: on_done({}),
        )

    def record(self) -> None:
        """Let the next plans know what the load took, once it has been used."""
        if self.state.kind == "ready" and self._in_engine is not None and not self._recorded:
            self._recorded = True
            self._engine.record(self._in_engine)

    def find_computer(self, on_done: Callable[[Computer], None], on_failed: Callable[[Exception], None]) -> None:
        """Find out what there is for another model, were the current one not loaded; it comes after a reply under way."""
        current = self._in_engine
        self._engine.plan(lambda planner: planner.computer(current, with_speed=True), on_done, on_failed)

    def find_hardware(
        self, on_done: Callable[[tuple[Hardware, Computer]], None], on_failed: Callable[[Exception], None]
    ) -> None:
        """Find out what this computer has, and of that what there is for another model (`find_computer`)."""
        from desktop_app.planning.computer import hardware_now

        current, engine = self._in_engine, self._engine.local
        self._engine.plan(
            lambda planner: (hardware_now(engine), planner.computer(current, with_speed=True)), on_done, on_failed
        )

    def find_assessment(self, facts: SourceFacts, on_done: Callable[[Assessment | None], None]) -> None:
        """Find out what could be run of a source; the counting too is left to the planner's thread."""
        from desktop_app.library.source_facts import judge

        current = self._in_engine
        self._engine.plan(
            lambda planner: judge(facts, planner.computer(current, with_speed=True)), on_done, lambda _: on_done(None)
        )

    def find_options(
        self, models: Iterable[InstalledModel], on_done: Callable[[dict[Path, RunConfiguration | None]], None]
    ) -> None:
        """Find out how models would be loaded now, were the current model not loaded; {} where that is unknown."""
        wanted = {model.path: model.own.over(self._settings).context or None for model in models}
        current = self._in_engine
        self._engine.plan(lambda planner: planner.options(wanted, current=current), on_done, lambda _: on_done({}))

    def _load(self, turn: int, model: InstalledModel, settings: LoadSettings, planned: PlannedLoad | None) -> None:
        from desktop_app.engine.protocol import Load

        self._set(replace(self.state, context=settings.context, planned=planned))
        self._in_engine = None

        def progress(update: Update) -> None:
            from desktop_app.engine.protocol import Progress

            if turn == self._turn and isinstance(update, Progress):
                self._set(replace(self.state, part=update.part))

        def done(info: ModelInfo) -> None:
            self._in_engine, self._recorded = planned, False
            if turn == self._turn:
                self._set(EngineState("ready", model, info, 1.0, context=info.context, planned=planned))

        def failed(error: Exception) -> None:
            self._in_engine = None
            if turn == self._turn:
                state = EngineState("failed", model, error=as_zhiyin_error(error), context=settings.context)
                self._set(replace(state, planned=planned))

        self._engine.submit(Load(model.path, settings), progress, done, failed)

    def _exited(self, end: EngineExit) -> None:
        if self.state.kind == "ready" and not (self.state.model and self.state.model.remote):
            self._set(replace(self.state, kind="failed", info=None, part=0.0, error=end.error))

    def _set(self, state: EngineState) -> None:
        self.state = state
        self.changed.emit(state)
