"""How a model is loaded here: the planner's settings, and what the load really took, for the next plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from desktop_app.candidates import model_of_gguf
from desktop_app.computer import computer_now
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import LoadSettings, Stats
from desktop_app.loads import LoadRecord, Loads
from desktop_app.paths import loads_file
from desktop_app.planner import Computer, Option, Plan, plan


@dataclass(frozen=True)
class PlannedLoad:
    """A load that is about to happen."""

    model: str
    settings: LoadSettings
    plan: Plan
    computer: Computer


def plan_load(
    engine: Engine, path: Path, settings: LoadSettings, *, context: int | None, freed: Mapping[str, int] | None = None
) -> PlannedLoad:
    """Plan a GGUF file's load.

    Args:
        engine: the process that will load it.
        path: the file.
        settings: what the person set otherwise.
        context: what the person asks for; None: the planner chooses.
        freed: bytes that unloading the current model gives back, by device.

    Returns:
        the plan; where nothing fits (`plan.best` is None) the settings are the person's own.
    """
    computer = computer_now(engine, freed=freed, with_speed=False)
    found = plan(model_of_gguf(path), computer, context=context, kv_type=settings.kv_type)
    wanted = settings if context is None else replace(settings, context=context)
    if found.best is not None:
        wanted = replace(
            wanted,
            context=found.best.context,
            gpu_layers=found.best.gpu_layers,
            tensor_split=found.best.tensor_split,
            batch=found.best.batch,
        )
    return PlannedLoad(path.stem, wanted, found, computer)


def record_load(engine: Engine, planned: PlannedLoad) -> None:
    """Store what the loaded model takes now; called when it has been used."""
    best = planned.plan.best
    if best is None:
        return
    stats = engine.submit(Stats()).result()
    free = {device["name"]: device["free_bytes"] for device in stats["devices"]}
    records = [
        LoadRecord(
            "RAM",
            planned.model,
            _predicted(best, planned.computer, stats["tokens_in_context"]),
            stats["resident_bytes"],
        )
    ]
    for share in best.shares[1:]:
        before = next(gpu.free_bytes for gpu in planned.computer.accelerators if gpu.name == share.device)
        predicted = share.total - planned.computer.corrections.get(share.device, 0)
        records.append(LoadRecord(share.device, planned.model, predicted, before - free.get(share.device, before)))
    Loads(loads_file()).add(records)


def _predicted(best: Option, computer: Computer, tokens: int) -> int:
    """Return what main memory should hold by the formulas alone after `tokens` tokens."""
    untouched = best.batch_bytes * max(0.0, 1 - tokens / best.batch)
    return best.shares[0].total - computer.corrections.get("RAM", 0) - round(untouched)
