"""The trial of an engine part, in a process of its own: a driver that crashes ends that process and nothing else.

The part's files are compared with their hashes; what the process does is in `trial_process`. What came of it is remembered for
these drivers; with others the part is tried again.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from typing import BinaryIO

from desktop_app.engine.parts.store import Part, PartStore, Trial
from desktop_app.processes.start import start
from models.errors import ZhiyinError, error_from_data
from models.system_reasons import system_reason

_SECONDS = 120
"""A driver may compile its kernels first."""
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
        compare_hashes(part)
        _try_in_process(part)
    except ZhiyinError as error:
        trial = Trial(drivers, error.data())
    store.note_trial(part, trial)
    return trial


def compare_hashes(part: Part) -> None:
    """Compare a part's files with their hashes; raises `PartFailed`."""
    for name, file in part.manifest.files.items():
        path = part.folder / name
        try:
            with path.open("rb") as stream:
                digest = _digest(stream)
        except OSError as error:
            raise PartFailed("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error
        if digest != file.sha256:
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
        raise PartFailed("{part} could not be tried: {reason}.", part=name, reason=system_reason(error)) from error
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
