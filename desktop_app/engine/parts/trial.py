"""The trial of an engine part, in a process of its own: a driver that crashes ends that process and nothing else.

The part's files are compared with their hashes, its plug-ins are loaded, and every device multiplies matrices, which must come
out right. What came of it is remembered for these drivers; with others the part is tried again.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from typing import BinaryIO

import numpy as np

from desktop_app.engine.parts.store import Part, PartStore, Trial
from desktop_app.processes.start import start
from models.errors import ZhiyinError, error_from_data

_SECONDS = 120
"""A driver may compile its kernels first."""
_ROWS, _COLUMNS = 64, 256
_TOLERANCE = 2e-2
"""Relative; graphics cards may multiply with 16-bit factors."""
_PIECE = 1 << 20


class PartFailed(ZhiyinError):
    """An engine part cannot be used; the engine goes on without it."""

    default_code = "engine-part"


def tried(store: PartStore, part: Part, drivers: str) -> Trial:
    """Return what came of the part's trial with these drivers, trying it where it was not."""
    if part.trial is not None and part.trial.drivers == drivers:
        return part.trial
    # This process may be ended together with the trial's: the next start must not be caught in it again.
    store.note_trial(
        part, Trial(drivers, PartFailed("{part} was interrupted in its trial.", part=part.manifest.part).data())
    )
    trial = Trial(drivers)
    try:
        _compare_hashes(part)
        _try_in_process(part)
    except ZhiyinError as error:
        trial = Trial(drivers, error.data())
    store.note_trial(part, trial)
    return trial


def _compare_hashes(part: Part) -> None:
    for name, file in part.manifest.files.items():
        path = part.folder / name
        try:
            with path.open("rb") as stream:
                found = _digest(stream)
        except OSError as error:
            raise PartFailed(
                "{path} cannot be read: {reason}.", path=path, reason=error.strerror or str(error)
            ) from error
        if found != file.sha256:
            raise PartFailed("{path} is damaged; add the engine part again.", path=path)


def _digest(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := stream.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _try_in_process(part: Part) -> None:
    name = part.manifest.part
    try:
        process = start("--try-part", subprocess.DEVNULL)
    except OSError as error:
        raise PartFailed(
            "{part} could not be tried: {reason}.", part=name, reason=error.strerror or str(error)
        ) from error
    try:
        out, _ = process.communicate(part.manifest.id.encode(), timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise PartFailed("{part} did not end its trial in {seconds} seconds.", part=name, seconds=_SECONDS) from error
    if process.returncode:
        raise PartFailed("{part} crashed in its trial ({signal}).", part=name, signal=_end(process.returncode))
    if out.strip():
        raise error_from_data(json.loads(out))


def _end(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else str(code)


def main(link: int) -> int:
    """Run in the trial's process: read a part's id; print the failure as JSON, or nothing."""
    from desktop_app.engine.backends import prepare_environment
    from desktop_app.engine.parts.loading import load_base, load_plug_ins, part_store
    from desktop_app.processes.lifetime import end_with_parent
    from desktop_app.processes.start import private_stdout

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
    from desktop_app.engine.backends import offload_devices

    devices = offload_devices()
    if not devices:
        raise PartFailed("{part} found no device that it can use.", part=part.manifest.part)
    for device in devices:
        if not _multiplies(device):
            raise PartFailed(
                "{part} computes wrong numbers with this driver; update the driver.", part=part.manifest.part
            )


def _multiplies(device: int) -> bool:
    from gguf.constants import GGMLQuantizationType as Type

    from desktop_app.engine.graph.builder import Builder, Context
    from desktop_app.engine.graph.devices import Backends, Buffers
    from desktop_app.engine.graph.program import Program
    from desktop_app.engine.stop_flag import StopFlag

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
