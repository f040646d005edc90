"""What a load teaches: the same, whether a chat was long or short."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import AdapterUse, Load, LoadSettings, Measure, Stats
from desktop_app.paths import loads_file, speed_file
from desktop_app.planning.calibration import Loads
from desktop_app.planning.candidates import model_of_gguf
from desktop_app.planning.configuration import Computer, RunConfiguration
from desktop_app.planning.load_plan import SERVED, SWITCHED, LoadPlanner, _plan, record_load
from desktop_app.system import hardware
from desktop_app.system.memory_limits import MainMemory


def test_a_load_teaches_the_same_after_a_long_reply_and_after_a_long_question(starter_gguf: Path) -> None:
    """Only tokens that are computed at once touch the graph's buffer: those of a reply come one by one."""
    with Engine() as engine:
        planned = LoadPlanner(engine).plan(starter_gguf, LoadSettings(gpu_layers=0), context=2048)
        engine.submit(Load(starter_gguf, planned.settings)).result(60)
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
    speed_file().unlink()  # it knows how many threads are fastest here
    real = hardware.main_memory()
    with Engine() as engine:

        def beside_nothing_else() -> MainMemory:
            """What is free where no other program takes or frees any."""
            held = psutil.Process(engine.pid).memory_info()
            return replace(real, available=real.available - max(0, held.rss - held.shared))

        monkeypatch.setattr(hardware, "main_memory", beside_nothing_else)
        planner = LoadPlanner(engine)
        planned = planner.plan(starter_gguf, LoadSettings(), context=2048)
        best, settings = planned.plan.chosen, planned.settings
        assert (settings.threads, settings.mmap, settings.mlock) == (3, best.mapped, best.locked)
        room = best.shares[0].free - best.shares[0].total >= planned.computer.total_bytes / 2
        assert best.locked is (limit > 0 and room and best.mapped and best.gpu_layers <= best.layers)
        assert planner.plan(starter_gguf, LoadSettings(threads=5), context=2048).settings.threads == 5
        engine.submit(Load(starter_gguf, settings)).result(60)
        after = planner.computer(planned).free_bytes
    assert abs(after - planned.computer.free_bytes) < 400e6  # what unloading frees is counted once


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all that is resident counts as taken")
@pytest.mark.parametrize("lock", [False, True])
def test_pages_of_a_file_count_as_taken_where_they_are_locked(lock: bool, starter_gguf: Path) -> None:
    with Engine() as engine:
        engine.submit(Load(starter_gguf, LoadSettings(gpu_layers=0, context=512, mlock=lock))).result(60)
        stats = engine.submit(Stats()).result(60)
        status = dict(line.split(":", 1) for line in Path(f"/proc/{engine.pid}/status").read_text("ascii").splitlines())
    locked, pages = (1024 * int(status[name].split()[0]) for name in ("VmLck", "RssFile"))
    assert abs(stats.resident_bytes - stats.private_bytes - max(0, pages - locked)) < 5e6


def test_a_model_that_was_dropped_from_memory_teaches_nothing(starter_gguf: Path) -> None:
    """Less is resident where memory ran short, and the next plan must not count on that."""
    with Engine() as engine:
        planned = LoadPlanner(engine).plan(starter_gguf, LoadSettings(gpu_layers=0), context=512)
        engine.submit(Load(starter_gguf, planned.settings)).result(60)
        best = planned.plan.chosen
        main = replace(best.shares[0], weights=best.shares[0].weights + 10**9)
        record_load(engine, replace(planned, plan=replace(planned.plan, best=replace(best, shares=(main,)))))
        assert not Loads(loads_file()).newest("RAM")
        record_load(engine, planned)
        assert len(Loads(loads_file()).newest("RAM")) == 1


def test_adapters_take_memory_too(starter_gguf: Path, tmp_path: Path) -> None:
    """Each file once."""
    adapter = tmp_path / "adapter.gguf"
    adapter.write_bytes(bytes(3_000_000))
    adapters = (AdapterUse(adapter), AdapterUse(adapter, 0.5), AdapterUse(tmp_path / "missing.gguf"))
    with Engine() as engine:
        planner = LoadPlanner(engine)
        without, with_them = (
            planner.plan(starter_gguf, LoadSettings(), context=512, adapters=used).plan.chosen
            for used in ((), adapters)
        )
    assert with_them.shares[0].total - without.shares[0].total == 3_000_000


@pytest.mark.parametrize(("spare", "expected"), [(3.5, 4), (1.5, 2), (0.5, 1)])
def test_further_chats_are_kept_where_they_take_nothing_from_one(
    spare: float, expected: int, starter_gguf: Path
) -> None:
    model, total = model_of_gguf(starter_gguf), 64 << 30

    def planned(free: float, parallel: int | tuple[int, ...]) -> RunConfiguration:
        computer = Computer(int(free), total, 100 << 20)
        return _plan(model, computer, 8192, "f16", parallel).chosen

    one, two = planned(total, 1).bytes, planned(total, 2).bytes
    needed = one + spare * (two - one)
    free = needed / 0.9 + 0.05 * total  # a tenth and the reserve stay free
    assert planned(free, SERVED).parallel == expected
    assert planned(free, SWITCHED).parallel == min(expected, 2)
    assert planned(free, SERVED).context == 8192
