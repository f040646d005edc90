"""What `--quant fit` fills of the memory that is free: `python -m tests.benchmarks.bench_fit_memory`.

SmolLM2's sizes, with zeros for weights. One load of a usual quantization teaches the planner what its formulas do not know, as
each load does in the application; then mixtures are chosen for several amounts of free memory, converted, and loaded in a process
that fills its context. What that process then holds is compared with what it was allowed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from converter.ggml_types import row_bytes
from converter.gguf_writer import aligned
from converter.mixtures import Option
from converter.pipeline import ConvertRequest, convert, plan
from converter.recipes import can_change
from converter.sensitivity import CANDIDATES
from desktop_app.engine.client import Engine
from desktop_app.library.installed import Library
from desktop_app.planning.candidates import model_of_gguf
from desktop_app.planning.computer import as_computer, hardware_now
from desktop_app.planning.configuration import Computer
from desktop_app.planning.planner import option
from desktop_app.planning.planner import plan as plan_of_file
from desktop_app.quality.mixing import Costs, bytes_that_fit, plan_within
from models.gguf_constants import GGML_QUANT_SIZES
from tests.benchmarks.bench_footprint import measured
from tests.support.checkpoints import outline_of_gguf

_AMOUNTS = (260_000_000, 290_000_000, 340_000_000)
_CONTEXT = 2048
"""Of the load that teaches; mixtures are loaded in what the planner chooses."""
_TOTAL = 2_000_000_000
_RESERVE = 256 * 1024 * 1024
"""What the planner leaves free on a computer with so much."""


@dataclass(frozen=True)
class Filled:
    """One mixture that was chosen for what is free."""

    allowed: int
    """Bytes that are free, without the reserve."""
    planned: int
    measured: int


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        starter = Library(Path(folder) / "models").starter()
        assert starter is not None
        source = outline_of_gguf(starter.path, Path(folder) / "source")
        print("| allowed | planned | measured | of the allowed |\n| --- | --- | --- | --- |")
        for filled in filled_memory(source, Path(folder), _AMOUNTS):
            print(
                f"| {filled.allowed / 1e6:.1f} MB | {filled.planned / 1e6:.1f} MB | {filled.measured / 1e6:.1f} MB "
                f"| {filled.measured / filled.allowed:.4f} |",
                flush=True,
            )


def filled_memory(source: Path, folder: Path, amounts: Sequence[int], context: int = _CONTEXT) -> Iterator[Filled]:
    """Yield what mixtures take that were chosen for these amounts of memory, in bytes; `context`: of the load that teaches."""
    with Engine() as engine:
        computer = replace(as_computer(hardware_now(engine)), total_bytes=_TOTAL, accelerators=(), lockable_bytes=0)
    usual = convert(ConvertRequest(source, folder / "usual.gguf", "Q8_0")).path
    computer = _taught(computer, usual, context)
    request = ConvertRequest(source, folder / "mixture.gguf")
    costs = _costs(request)
    for amount in amounts:
        mine = replace(computer, free_bytes=amount + _RESERVE)
        path = convert(plan_within(request, costs, bytes_that_fit(request, costs, mine))).path
        best = plan_of_file(model_of_gguf(path), mine).best
        assert best is not None
        yield Filled(best.shares[0].free, best.bytes, measured(path, best.context, batch=best.batch)[1])
        path.unlink()


def _costs(request: ConvertRequest) -> Costs:
    """Return costs by bits alone: which types are chosen does not matter here."""
    quantizable = plan(replace(request, quant="F16")).quantizable
    assert quantizable is not None
    options = {}
    for tensor in filter(can_change, quantizable.tensors):
        *outer, length = tensor.shape
        sizes = {
            type_: aligned(prod(outer) * row_bytes(type_, length))
            for type_ in CANDIDATES
            if length % GGML_QUANT_SIZES[type_][0] == 0
        }
        count = prod(tensor.shape)
        options[tensor.name] = [Option(t, size, count * 4.0 ** (-8 * size / count)) for t, size in sizes.items()]
    return Costs(options)


def _taught(computer: Computer, path: Path, context: int) -> Computer:
    """Return the computer with the correction that a load leaves."""
    before, after = measured(path, context)
    computer = replace(computer, process_bytes=before)
    model = model_of_gguf(path)
    predicted = option(model, model.candidates[0], computer, context).bytes
    return replace(computer, corrections={"RAM": after - predicted})


if __name__ == "__main__":
    main()
