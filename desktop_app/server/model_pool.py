"""Models in memory while somebody asks them: loaded on demand by the plan, each in an engine of its own, unloaded when idle.

Where a model does not fit beside the others, those that nobody uses go first, the one that was used longest ago before the
others; where all are used, the request waits. What does not fit alone is refused with the planner's sentence.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import AdapterUse, Load, LoadSettings
from desktop_app.engine.results import ModelInfo
from desktop_app.library.embedding_model import NAME as BUNDLED_EMBEDDING
from desktop_app.library.embedding_model import bundled_embedding_model
from desktop_app.library.installed import Library
from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.model_names import AmbiguousModel
from desktop_app.planning.load_plan import SERVED, LoadPlanner, PlannedLoad, record_load
from desktop_app.server.errors import APIError, as_api_error, model_not_found
from models.errors import ZhiyinError

_LISTING_SECONDS = 2.0
"""For which a list of models is good: looking through the folders takes milliseconds, which many requests would add up."""


@dataclass(frozen=True)
class PoolSettings:
    """How models are loaded."""

    context: int | None = None
    """Tokens of a chat; None: as set for the model, else the planner chooses."""
    parallel: int | None = None
    """Chats that are computed at once; None: as many as the planner finds room for."""
    threads: int = 0
    """0: as set for the model, else as many as are fastest here."""
    keep_seconds: float = 300.0
    """For which a model stays in memory that nobody asks; infinity: for ever."""
    adapters: tuple[AdapterUse, ...] = ()
    """Put on the model of `extra`."""
    workers: tuple[str, ...] = ()
    """Computers whose devices are used too."""


@dataclass
class LoadedModel:
    """A model in memory."""

    model: InstalledModel
    engine: Engine
    info: ModelInfo
    planned: PlannedLoad
    users: int = 0
    used: float = field(default_factory=time.monotonic)
    keep_seconds: float = 0.0
    leaves: float = math.inf
    """When it goes, unless somebody asks it before; by `time.time`."""
    _timer: asyncio.TimerHandle | None = None


class ModelPool:
    """The models of this computer, and those of them that are in memory. Used from one event loop."""

    def __init__(self, library: Library, settings: PoolSettings, extra: InstalledModel | None = None) -> None:
        """Serve a library's models, and `extra`, which may lie anywhere."""
        self._library = library
        self._settings = settings
        self._extra = extra
        self._loaded: dict[Path, LoadedModel] = {}
        self._leaving: set[Path] = set()
        self._lock = asyncio.Lock()
        """Held while something is loaded or unloaded."""
        self._idle = asyncio.Event()
        """Set whenever a model is used by one request less."""
        self._listed: tuple[float, list[InstalledModel]] = (-math.inf, [])

    @property
    def loaded(self) -> Sequence[LoadedModel]:
        """The models in memory."""
        return tuple(self._loaded.values())

    async def models(self) -> list[InstalledModel]:
        """Return all models that can be asked for."""
        when, models = self._listed
        if time.monotonic() - when > _LISTING_SECONDS:
            models = await asyncio.to_thread(self._library.models)
            if self._extra is not None and all(model.path != self._extra.path for model in models):
                models = [self._extra, *models]
            self._listed = (time.monotonic(), models)
        return models

    async def find(self, name: str) -> InstalledModel:
        """Return the model that a client names: by name or label, never by a path of its own.

        Raises:
            APIError: there is none of that name, or more than one.
        """
        models = await self.models()
        wanted = name.strip().removesuffix(":latest").casefold()
        exact = [model for model in models if wanted == model.label.casefold()]
        matches = exact or [model for model in models if wanted in {model.name.casefold(), model.identifier.casefold()}]
        if not matches and wanted == BUNDLED_EMBEDDING.casefold():
            path = await asyncio.to_thread(bundled_embedding_model)
            matches = [] if path is None else [await asyncio.to_thread(self._library.find, str(path))]
        if not matches:
            raise model_not_found(name)
        if len(matches) > 1:
            raise as_api_error(
                AmbiguousModel(
                    "There are several models named {name!r}; use one of these names: {labels}.",
                    name=name,
                    labels=", ".join(model.label for model in matches),
                )
            )
        return matches[0]

    @asynccontextmanager
    async def use(self, name: str, keep_seconds: float | None = None) -> AsyncIterator[LoadedModel]:
        """Have a model in memory for the length of a request.

        Args:
            name: as the client names it.
            keep_seconds: how long it stays afterwards; None: as usual.

        Raises:
            APIError: there is no such model, or it cannot be loaded.
        """
        loaded = await self._take(await self.find(name))
        loaded.keep_seconds = self._settings.keep_seconds if keep_seconds is None else keep_seconds
        try:
            yield loaded
        finally:
            self._give_back(loaded)

    async def preload(self) -> None:
        """Load `extra` before anybody asks for it.

        Raises:
            ZhiyinError: it cannot be loaded.
        """
        if self._extra is not None:
            try:
                self._schedule(await self._load_once(self._extra))
            except APIError as error:
                raise error.__cause__ or error from None

    async def unload(self, name: str) -> None:
        """Free a model as soon as nobody uses it."""
        model = await self.find(name)
        loaded = self._loaded.get(model.path)
        if loaded is not None:
            loaded.keep_seconds = 0.0
            if not loaded.users:
                await self._leave(loaded)

    async def close(self) -> None:
        """End all engines."""
        async with self._lock:
            for loaded in self.loaded:
                await self._unload(loaded)

    async def _take(self, model: InstalledModel) -> LoadedModel:
        loaded = self._loaded.get(model.path)
        if loaded is not None and not loaded.users and _loads_differently(loaded.model, model):
            await self._leave(loaded)
            loaded = self._loaded.get(model.path)
        if loaded is None or model.path in self._leaving:
            # A client that leaves stops no load: the next one most likely asks for the same model.
            loaded = await asyncio.shield(asyncio.create_task(self._load_once(model)))
        loaded.model = model  # what was set for it may be new
        loaded.users += 1
        loaded.leaves = math.inf
        if loaded._timer is not None:
            loaded._timer.cancel()
            loaded._timer = None
        return loaded

    def _give_back(self, loaded: LoadedModel) -> None:
        loaded.users -= 1
        self._schedule(loaded)
        self._idle.set()

    def _schedule(self, loaded: LoadedModel) -> None:
        """See to it that a model leaves when it was idle for long enough."""
        loaded.used = time.monotonic()
        if loaded.users or loaded.keep_seconds == math.inf:
            return
        loop = asyncio.get_running_loop()
        loaded.leaves = time.time() + loaded.keep_seconds
        loaded._timer = loop.call_later(loaded.keep_seconds, lambda: loop.create_task(self._leave(loaded)))

    async def _leave(self, loaded: LoadedModel) -> None:
        async with self._lock:
            if not loaded.users and self._loaded.get(loaded.model.path) is loaded:
                await self._unload(loaded)

    async def _load_once(self, model: InstalledModel) -> LoadedModel:
        async with self._lock:
            loaded = self._loaded.get(model.path)
            if loaded is None:
                loaded = await self._load(model)
                self._schedule(loaded)
            return loaded

    async def _load(self, model: InstalledModel) -> LoadedModel:
        engine = Engine(workers=self._settings.workers)
        try:
            planned = await self._plan_with_room(model, engine)
            # The planner's context and batch are those of chats.
            settings = LoadSettings(context=0, threads=self._threads(model)) if model.measures else planned.settings
            request = Load(model.path, settings, self._adapters(model))
            info = await asyncio.wrap_future(engine.submit(request).future)
        except BaseException as error:
            await asyncio.to_thread(engine.close)
            if isinstance(error, ZhiyinError):
                raise as_api_error(error) from error
            raise
        loaded = LoadedModel(model, engine, info, planned, keep_seconds=self._settings.keep_seconds)
        self._loaded[model.path] = loaded
        return loaded

    async def _plan_with_room(self, model: InstalledModel, engine: Engine) -> PlannedLoad:
        """Plan a load, freeing other models until it fits; raises the planner's sentence where it does not fit alone."""
        while True:
            planned = await asyncio.to_thread(self._plan, model, engine)
            if planned.plan.best is not None or (self._context(model) is not None and not self._loaded):
                return planned
            if not self._loaded:
                raise planned.plan.refusal
            await self._make_room()

    def _plan(self, model: InstalledModel, engine: Engine) -> PlannedLoad:
        settings = LoadSettings(threads=self._threads(model))
        return LoadPlanner(engine).plan(
            model.path,
            settings,
            context=self._context(model),
            adapters=self._adapters(model),
            parallel=self._settings.parallel or SERVED,
        )

    async def _make_room(self) -> None:
        """Unload the model that was used longest ago; where all are used, wait for one, which takes no further requests."""
        try:
            while not (free := [loaded for loaded in self._loaded.values() if not loaded.users]):
                self._leaving = set(self._loaded)
                self._idle.clear()
                await self._idle.wait()
        finally:
            self._leaving = set()
        await self._unload(min(free, key=lambda loaded: loaded.used))

    async def _unload(self, loaded: LoadedModel) -> None:
        del self._loaded[loaded.model.path]
        if loaded._timer is not None:
            loaded._timer.cancel()
        await asyncio.to_thread(_end, loaded)

    def _context(self, model: InstalledModel) -> int | None:
        return self._settings.context or model.own.context or None

    def _threads(self, model: InstalledModel) -> int:
        return self._settings.threads or model.own.threads

    def _adapters(self, model: InstalledModel) -> tuple[AdapterUse, ...]:
        chosen = self._extra is not None and model.path == self._extra.path
        return self._settings.adapters if chosen else ()


def _loads_differently(model: InstalledModel, other: InstalledModel) -> bool:
    """Tell whether other values were set for a model's load meanwhile."""
    return (model.own.context, model.own.threads) != (other.own.context, other.own.threads)


def _end(loaded: LoadedModel) -> None:
    """End an engine; what the load took is remembered for the next plan."""
    with suppress(ZhiyinError, OSError):
        record_load(loaded.engine, loaded.planned)
    loaded.engine.close()
