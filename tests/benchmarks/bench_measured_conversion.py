"""The parts of a measured conversion: `python -m tests.benchmarks.bench_measured_conversion FOLDER [--model Llama-3.2-1B]`.

A checkpoint of a published model's shapes with random weights, a byte for a token, is converted to a mixture of 4.5 bits a
weight: its importance matrix, the errors of the types, the probes, the choice, the conversion. For each part it prints the time,
and the most memory that this process and its engine hold: anonymous, and with mapped pages of files, which the system may drop.
Beside the engine stands what the plan says of the reference in F16. FOLDER gets the checkpoint (kept for the next run) and, for
a while, two files in F16.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.protocol import LoadSettings
from desktop_app.planning.configuration import RunConfiguration
from desktop_app.quality.importance import lent_importance
from desktop_app.quality.memory import Room
from desktop_app.quality.mixing import bytes_of_bits, measure_costs, plan_within
from tests.support.byte_llama import write_byte_tokenizer
from tests.support.large_checkpoint import write_large_checkpoint
from tests.support.model_shapes import SHAPES

_BITS = 4.5
_SECONDS = 0.05
"""Between two looks at the memory."""


@dataclass
class _Part:
    """What one part took."""

    seconds: float = 0.0
    ours: int = 0
    """Bytes of this process without mapped files."""
    engine: int = 0
    """Bytes of the engine without mapped files."""
    engine_mapped: int = 0
    """With them."""


@dataclass
class _Watch:
    """Times and memory by part, from a thread of its own."""

    parts: dict[str, _Part] = field(default_factory=dict)
    _now: str = ""
    _since: float = 0.0

    def begin(self, name: str) -> None:
        """End the part before, and begin or go on with this one."""
        if name == self._now:
            return
        now = time.perf_counter()
        if self._now:
            self.parts[self._now].seconds += now - self._since
        if name:
            self.parts.setdefault(name, _Part())
        self._now, self._since = name, now

    def look(self) -> None:
        """Note the memory of this moment."""
        part = self.parts.get(self._now)
        if part is None:
            return
        mine = psutil.Process()
        part.ours = max(part.ours, _memory(mine)[0])
        with suppress(psutil.Error):
            for child in mine.children(recursive=True):
                anonymous, mapped = _memory(child)
                part.engine, part.engine_mapped = max(part.engine, anonymous), max(part.engine_mapped, mapped)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="Llama-3.2-1B")
    arguments = parser.parse_args()
    os.environ["ZHIYIN_HOME"] = str(arguments.folder / "home")
    source = arguments.folder / arguments.model
    if not (source / "tokenizer.json").exists():
        write_large_checkpoint(source, SHAPES[arguments.model])
        write_byte_tokenizer(source)
    watch = _Watch()
    planned: list[RunConfiguration] = []
    with _watched(watch), _plans(planned):
        with lent_importance(source, lambda _, phase: watch.begin(_NAMES[phase])) as imatrix:
            request = ConvertRequest(source, arguments.folder / "made.gguf", imatrix=imatrix)
            costs = measure_costs(request, imatrix, lambda _, phase: watch.begin(_NAMES[phase]))
            watch.begin("choice")
            made = plan_within(request, costs, bytes_of_bits(request, _BITS))
            watch.begin("conversion")
            path = convert(made).path
        watch.begin("")
    print("| part | seconds | ours, MB | engine, MB | with mapped files |\n" + "| --- " * 5 + "|")
    for name, part in watch.parts.items():
        memory = (part.ours, part.engine, part.engine_mapped)
        print(f"| {name} | {part.seconds:.1f} | {' | '.join(f'{size / 1e6:.0f}' for size in memory)} |")
    print(f"| all | {sum(part.seconds for part in watch.parts.values()):.1f} | | | |")
    print(f"\n{path.stat().st_size / 1e6:.0f} MB; the engine as planned: {max(p.bytes for p in planned) / 1e6:.0f} MB")
    path.unlink()


_NAMES = {
    "convert": "to F16",
    "load": "loading",
    "read": "importance matrix",
    "sensitivity": "errors of the types",
    "probe": "probes",
}


@contextmanager
def _watched(watch: _Watch) -> Iterator[None]:
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_SECONDS):
            watch.look()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _plans(planned: list[RunConfiguration]) -> Iterator[None]:
    """Note what the engine is planned to take for each model that is measured."""
    usual = Room.check

    def check(room: Room, path: Path, settings: LoadSettings) -> RunConfiguration:
        planned.append(usual(room, path, settings))
        return planned[-1]

    Room.check = check  # type: ignore[method-assign]
    try:
        yield
    finally:
        Room.check = usual  # type: ignore[method-assign]


def _memory(process: psutil.Process) -> tuple[int, int]:
    """Return a process's bytes without and with mapped files; (0, 0): it has ended."""
    with suppress(psutil.Error):
        memory = process.memory_info()
        return memory.rss - memory.shared, memory.rss
    return 0, 0


if __name__ == "__main__":
    main()
