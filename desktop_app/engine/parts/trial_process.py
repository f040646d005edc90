"""The process in which an engine part is tried: its plug-ins are loaded, and every device multiplies matrices."""

from __future__ import annotations

import json
import sys

import numpy as np

from desktop_app.engine.backends import offload_devices, prepare_environment
from desktop_app.engine.graph.builder import Builder, Context
from desktop_app.engine.graph.devices import Backends, Buffers
from desktop_app.engine.graph.program import Program
from desktop_app.engine.parts.loading import load_base, load_plug_ins
from desktop_app.engine.parts.store import Part, part_store
from desktop_app.engine.parts.trial import PartFailed
from desktop_app.engine.stop_flag import StopFlag
from desktop_app.processes.lifetime import end_with_parent
from desktop_app.processes.start import private_stdout
from models.errors import ZhiyinError
from models.gguf_constants import GGMLQuantizationType as Type

_ROWS, _COLUMNS = 64, 256
_TOLERANCE = 2e-2
"""Relative; graphics cards may multiply with 16-bit factors."""


def main(link: int) -> int:
    """Run in the trial's process: read a part's id; print the failure as JSON, or nothing."""
    end_with_parent(link, grace=False)
    answer = private_stdout()
    prepare_environment()
    load_base()
    part = part_store().find(sys.stdin.read())
    try:
        load_plug_ins(part)
        _compute(part)
    except ZhiyinError as error:
        answer.write(json.dumps(error.data()).encode())
        answer.flush()
    return 0


def _compute(part: Part) -> None:
    """Let every graphics card multiply matrices."""
    devices = offload_devices()
    if not devices:
        raise PartFailed("{part} found no device that it can use.", part=part.manifest.part)
    for device in devices:
        if not _multiplies(device):
            raise PartFailed(
                "{part} computes wrong numbers with this driver; update the driver.", part=part.manifest.part
            )


def _multiplies(device: int) -> bool:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((_ROWS, _COLUMNS), np.float32)
    vectors = rng.standard_normal((4, _COLUMNS), np.float32)
    out = np.empty((4, _ROWS), np.float32)
    backends, buffers = Backends(1, StopFlag(), [(device, 1.0)]), Buffers()
    try:
        with Context(1) as names:
            weight = names.new(Type.F32, _COLUMNS, _ROWS)
            buffers.allocate(names, backends.buffer_type(device), weights=True)
            weight.write(matrix)
            builder = Builder(8)
            x = builder.input("x", Type.F32, _COLUMNS, len(vectors))
            builder.output("y", builder.linear(x, weight))
            program = Program(backends, builder)
            program.run({"x": vectors}, out)
            program.close()
    finally:
        buffers.close()
        backends.close()
    expected = vectors @ matrix.T
    return bool(np.abs(out - expected).max() <= _TOLERANCE * np.abs(expected).max())
