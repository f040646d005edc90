"""What a load teaches: the same, whether a chat was long or short."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app import hardware
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings, Measure
from desktop_app.load_plan import LoadPlanner, record_load
from desktop_app.loads import Loads
from desktop_app.paths import loads_file


def test_a_load_teaches_the_same_after_a_long_reply_and_after_a_long_question(starter_gguf: Path) -> None:
    """Only tokens that are computed at once touch the graph's buffer: those of a reply come one by one."""
    with Engine() as engine:
        planned = LoadPlanner(engine).plan(starter_gguf, LoadSettings(gpu_layers=0), context=2048)
        engine.submit(Load(str(starter_gguf), planned.settings)).result(60)
        for prompt, reply in ((8, 1), (8, 500), (512, 1), (8, 1)):
            engine.submit(Measure(tuple(range(100, 100 + prompt)), reply)).result(120)
            record_load(engine, planned)
    errors = [record.actual - record.predicted for record in Loads(loads_file()).newest("RAM")]
    assert len(errors) == 4
    assert max(errors) - min(errors) < 10e6


@pytest.mark.parametrize("limit", [0, 1 << 50])
def test_a_load_follows_the_plan(limit: int, starter_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "lockable_memory", lambda: limit)
    monkeypatch.setattr(hardware, "usual_threads", lambda: 3)
    with Engine() as engine:
        planner = LoadPlanner(engine)
        planned = planner.plan(starter_gguf, LoadSettings(), context=2048)
        best, settings = planned.plan.chosen, planned.settings
        assert (settings.threads, settings.mmap, settings.mlock) == (3, best.mapped, best.locked)
        room = best.shares[0].free - best.shares[0].total >= planned.computer.total_bytes / 2
        assert best.locked is (limit > 0 and room and best.gpu_layers <= best.layers)
        assert planner.plan(starter_gguf, LoadSettings(threads=5), context=2048).settings.threads == 5
        engine.submit(Load(str(starter_gguf), settings)).result(60)
        after = planner.computer(planned).free_bytes
    assert abs(after - planned.computer.free_bytes) < 400e6  # what unloading frees is counted once
