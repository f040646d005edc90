"""Turns a plan into load settings, and records the measured memory of a load for the next plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import AdapterUse, LoadSettings, Stats
from desktop_app.engine.results import ModelInfo
from desktop_app.paths import loads_file
from desktop_app.planning.calibration import LoadRecord, Loads
from desktop_app.planning.candidates import model_of_gguf
from desktop_app.planning.computer import computer_now
from desktop_app.planning.configuration import Computer, Model, RunConfiguration
from desktop_app.planning.drafts import draft_for
from desktop_app.planning.footprint import RunShape, uses_graph_runner
from desktop_app.planning.planner import Plan, plan
from desktop_app.sequences import DRAFT_CONTEXT
from models.errors import ZhiyinError

_MODELS_KEPT = 64
SERVED, SWITCHED = (4, 2), (2,)
"""Chats that a server and a window keep in the model's memory, where nobody names a number: the first number that fits."""


@dataclass(frozen=True)
class PlannedLoad:
    """A load that is about to happen."""

    model: str
    settings: LoadSettings
    plan: Plan
    computer: Computer


class LoadPlanner:
    """Plans one load after the other in an engine, each as if the model before it were gone."""

    def __init__(self, engine: Engine) -> None:
        """Plan for a process that has loaded nothing yet."""
        self._engine = engine
        self._process_bytes: int | None = None
        """What the process held before its first model."""

    def computer(self, current: PlannedLoad | None = None, *, with_speed: bool = False) -> Computer:
        """Ask the system and the engine what there is once the current model is unloaded.

        Args:
            current: how the model in use was loaded; None: no model is in use.
            with_speed: see `computer_now`.
        """
        stats = self._engine.submit(Stats()).result()
        if self._process_bytes is None:
            self._process_bytes = stats.resident_bytes
        # The process itself counts as freed too, because each plan counts it anew.
        freed = {"RAM": stats.private_bytes}
        if current is not None and current.plan.best is not None:
            held = {share.device: share.total for share in current.plan.best.shares[1:]}
            # Some drivers leave what a GPU holds of main memory out of the process's bytes, some do not.
            shared = sum(held.get(gpu.name, 0) for gpu in current.computer.accelerators if gpu.unified_memory)
            freed |= held | {"RAM": max(freed["RAM"], shared)}
        return replace(
            computer_now(self._engine, freed=freed, with_speed=with_speed), process_bytes=self._process_bytes
        )

    def plan(
        self,
        path: Path,
        settings: LoadSettings,
        *,
        context: int | None,
        current: PlannedLoad | None = None,
        adapters: Sequence[AdapterUse] = (),
        parallel: int | Sequence[int] = 1,
        others: Iterable[Path] = (),
    ) -> PlannedLoad:
        """Plan a GGUF file's load.

        Args:
            path: the file.
            settings: what the user set otherwise.
            context: what the user asks for; None: the planner chooses.
            current: see `computer`.
            adapters: what is put on the model.
            parallel: chats that are computed at once; of several numbers the first that fits without taking anything from
                a single chat, else 1.
            others: installed models, of which a small one may guess tokens where it fits beside this one.

        Returns:
            the plan; where nothing fits (`plan.best` is None) the settings are those that lack the least.

        Raises:
            ZhiyinError: the file is damaged.
        """
        computer = _beside(adapters, self.computer(current))
        planned = _plan(_model(path), computer, context, settings.kv_type, parallel)
        draft = draft_for(path, others) if planned.best is not None else None
        if draft is not None:
            computer, planned, draft = _with_draft(draft, _model(path), computer, planned, settings.kv_type)
        chosen = planned.chosen
        wanted = replace(
            settings,
            draft=draft,
            context=chosen.context,
            parallel=chosen.parallel,
            gpu_layers=chosen.gpu_layers,
            tensor_split=chosen.tensor_split,
            batch=chosen.batch,
            threads=settings.threads or chosen.threads,
            mmap=chosen.mapped,
            mlock=chosen.locked,
        )
        return PlannedLoad(path.stem, wanted, planned, computer)

    def contexts(
        self,
        path: Path,
        settings: LoadSettings,
        contexts: Iterable[int],
        *,
        current: PlannedLoad | None = None,
        parallel: int | Sequence[int] = 1,
    ) -> dict[int, RunConfiguration]:
        """Return what a model takes with each context; one it was not made for has the longest possible `context`.

        Arguments as in `plan`.
        """
        computer, model = self.computer(current), _model(path)
        return {context: _plan(model, computer, context, settings.kv_type, parallel).chosen for context in contexts}

    def options(
        self, contexts: Mapping[Path, int | None], *, current: PlannedLoad | None = None
    ) -> dict[Path, RunConfiguration | None]:
        """Return how each file would be loaded with its context, or what lacks the least; None for a damaged one.

        Arguments as in `plan`.
        """
        computer = self.computer(current)
        return {path: _option(path, computer, context) for path, context in contexts.items()}


def larger_context(info: ModelInfo, needed: int) -> int:
    """Return a context of more than `needed` tokens to try, within what the model was trained for; 0: there is none."""
    larger = 2 * info.context
    while 0 < larger <= needed:
        larger *= 2
    if info.trained_context:
        larger = min(larger, info.trained_context)
    return larger if larger > max(needed, info.context) else 0


def record_load(engine: Engine, planned: PlannedLoad) -> None:
    """Store what the loaded model takes now; called when it has been used."""
    best = planned.plan.best
    if best is None:
        return
    stats = engine.submit(Stats()).result()
    free = {device.name: device.free_bytes for device in stats.devices}
    gpus = {gpu.name: gpu for gpu in planned.computer.accelerators}
    records = []
    # Where a GPU uses main memory it is not told apart what holds what, so nothing is learned.
    if not any(gpus[share.device].unified_memory for share in best.shares[1:]):
        predicted = _predicted(best, planned.computer, stats.largest_batch)
        if (
            stats.resident_bytes >= predicted - best.shares[0].compute
        ):  # else some of the model was dropped or swapped out
            records.append(LoadRecord("RAM", planned.model, predicted, stats.resident_bytes))
    for share in best.shares[1:]:
        gpu = gpus[share.device]
        if gpu.unified_memory or gpu.link is not None:  # a worker's name is that of any worker
            continue
        predicted = share.total - planned.computer.corrections.get(share.device, 0)
        taken = gpu.free_bytes - free.get(share.device, 0)
        if taken >= predicted / 2:  # some drivers tell the same free memory whatever is taken
            records.append(LoadRecord(share.device, planned.model, predicted, taken))
    Loads(loads_file()).add(records)


def _plan(model: Model, computer: Computer, context: int | None, kv_type: str, parallel: int | Sequence[int]) -> Plan:
    if isinstance(parallel, int):
        return plan(model, computer, context=context, kv_type=kv_type, parallel=parallel)
    planned = plan(model, computer, context=context, kv_type=kv_type)
    shape = RunShape(planned.chosen.context, kv_type)
    if planned.best is None or uses_graph_runner(model.architecture, model.parameters, shape):
        return planned
    for count in parallel:
        several = plan(model, computer, context=planned.best.context or context, kv_type=kv_type, parallel=count)
        if several.best is not None and _as_good(several.best, planned.best):
            return several
    return planned


def _as_good(several: RunConfiguration, one: RunConfiguration) -> bool:
    """Tell whether further chats take nothing from a single one, nor the last free memory."""
    same = several.gpu_layers == one.gpu_layers and several.batch == one.batch
    return same and several.verdict != "tight"


def _with_draft(
    draft: Path, model: Model, computer: Computer, planned: Plan, kv_type: str
) -> tuple[Computer, Plan, Path | None]:
    """Plan a load anew beside a small model that guesses for it; nothing changes where that would take something from it."""
    try:
        small = plan(_model(draft), computer, context=DRAFT_CONTEXT).best
    except ZhiyinError:
        small = None
    best = planned.best
    if small is None or best is None or any(one.recurrent or one.state_bytes for one in (small, best)):
        return computer, planned, None
    if uses_graph_runner(model.architecture, model.parameters, RunShape(best.context, kv_type)):
        return computer, planned, None
    left = _less(computer, small.bytes - computer.process_bytes)
    beside = plan(model, left, context=best.context or None, kv_type=kv_type, parallel=best.parallel)
    if beside.best is None or beside.best.context != best.context or not _as_good(beside.best, best):
        return computer, planned, None
    return left, beside, draft


def _beside(adapters: Sequence[AdapterUse], computer: Computer) -> Computer:
    """Return what is left for a model beside adapters."""
    return _less(computer, sum(path.stat().st_size for path in {one.path for one in adapters} if path.is_file()))


def _less(computer: Computer, taken: int) -> Computer:
    """Return what is left beside further weights; where layers are on GPUs, their part lies there, so it counts on each."""
    gpus = (replace(gpu, free_bytes=max(0, gpu.free_bytes - taken)) for gpu in computer.accelerators)
    return replace(computer, process_bytes=computer.process_bytes + taken, accelerators=tuple(gpus))


def _predicted(best: RunConfiguration, computer: Computer, tokens: int) -> int:
    """Return what main memory should hold by the formulas alone where at most `tokens` tokens were computed at once."""
    untouched = best.batch_bytes * max(0.0, 1 - tokens / best.batch)
    untouched += best.state_bytes * best.snapshots  # of all that may be kept, a first turn takes one
    return best.shares[0].total - computer.corrections.get("RAM", 0) - round(untouched)


def _model(path: Path) -> Model:
    """Return `model_of_gguf`, read once: a head of a hundred thousand tokens takes longer than a frame."""
    try:
        return _read_model(path, path.stat().st_mtime_ns)
    except OSError:
        return model_of_gguf(path)  # which has a sentence for it


@lru_cache(_MODELS_KEPT)
def _read_model(path: Path, changed: int) -> Model:
    return model_of_gguf(path)


def _option(path: Path, computer: Computer, context: int | None) -> RunConfiguration | None:
    try:
        return plan(_model(path), computer, context=context).chosen
    except ZhiyinError:
        return None
