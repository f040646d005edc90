"""States of chats on disk: a chat goes on after a restart, or after another one, without a new prefill.

Of a model whose memory is attention alone, each turn adds files to the chat's folder (`blocks`). Of the others one file a chat
has the whole state after the last reply; of recurrent ones also that where the last question begins, for another question or
another answer, and llama.cpp's are rounded to a quarter. It is a cache: whatever is damaged, or was written with another model,
is ignored, and the chat is read again.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import llama_cpp
import numpy as np
import psutil

from converter.gguf_header import split_parts
from desktop_app import reports
from desktop_app.engine.protocol import AdapterUse
from desktop_app.engine.runner import RunningSequence
from desktop_app.engine.state import blocks
from desktop_app.engine.state.files import read_state_file, write_state_file
from desktop_app.engine.state.rounding import rounded, widened
from desktop_app.engine.state.snapshots import State
from desktop_app.paths import free_space
from desktop_app.sequences import common_prefix
from models.errors import ZhiyinError
from models.system_reasons import system_reason

_FORMAT = 3
_LONG_QUESTION = 1024
"""From this many tokens on, the state at the question's end is kept: another answer should not read all of it again."""
_MOST_BYTES = 1024 * 1024 * 1024
"""Of all chats together."""
_ROUNDED_ARCHITECTURES = ("rwkv6", "rwkv7")
_EXACT, _ROUNDED = "after_", "rounded_after_"
_WORTH_READING = 16
"""Tokens: fewer are sooner computed than their state is taken up."""
_MEMORY_PART = 0.5
"""Of the memory that is free: a larger state is not copied."""
_LEFT_ON_DISK = 512 * 1024 * 1024
"""A cache is not what fills a disk."""
_TRIES = 8
"""Damaged files of one chat that are passed over at once."""


def model_identity(path: Path, adapters: Sequence[AdapterUse], kind: str = "") -> str:
    """Name a model by its files, what is on it and how it is loaded (`Runner.memory_kind`): no other one's state is taken up.

    It is "" where a file is gone.
    """
    files = [*split_parts(path), *(adapter.path for adapter in adapters)]
    try:
        facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError:
        return ""
    scales = [adapter.scale for adapter in adapters]
    named = json.dumps([_FORMAT, llama_cpp.__version__, facts, scales, kind])
    return blake2b(named.encode(), digest_size=16).hexdigest()


def resume(sequence: RunningSequence, file: Path, identity: str, prompt: Sequence[int]) -> None:
    """Take up what is kept of chats where it holds more of `prompt` than the running sequence does.

    Args:
        sequence: of the loaded model.
        file: the chat's, as `store` was given it; nothing need be there.
        identity: of the loaded model.
        prompt: what is to be read next.
    """
    if identity:
        with suppress(MemoryError):
            _restore_blocks(sequence, file.parent, identity, prompt)
            _restore_states(sequence, file, identity, prompt)


def store(sequence: RunningSequence, file: Path, identity: str) -> None:
    """Keep what is remembered of a chat, whole or not at all; where that fails, the chat is only read again."""
    needed = sequence.state_bytes
    if (
        not identity
        or sequence.unmoved < len(sequence.tokens)
        or needed > _MEMORY_PART * psutil.virtual_memory().available
    ):
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _check_disk(file.parent, needed)
        _write(sequence, file, identity)
        _shrink(file.parent, _MOST_BYTES)
    except (OSError, MemoryError, ZhiyinError) as error:
        reports.say(
            ZhiyinError(
                "What the model remembers of a chat could not be kept ({reason}). Nothing of the chat is lost; after a restart "
                "it is read again.",
                reason=system_reason(error),
            )
        )


def _check_disk(folder: Path, needed: int) -> None:
    if needed > free_space(folder) - _LEFT_ON_DISK:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write(sequence: RunningSequence, file: Path, identity: str) -> None:
    cells = sequence.cells()
    if cells is not None:
        blocks.write(file.with_suffix(""), identity, sequence.tokens, cells)
    elif states := _worth_keeping(sequence.states()):
        arrays = dict(_packed(state, sequence.info.architecture) for state in states)
        write_state_file(file, identity, sequence.tokens, arrays)


def _restore_blocks(sequence: RunningSequence, states: Path, identity: str, prompt: Sequence[int]) -> None:
    known = common_prefix(sequence.tokens, prompt)
    if not sequence.info.can_trim or len(prompt) - known < _WORTH_READING:
        return
    for _ in range(_TRIES):  # a damaged file is removed; those before it are found again
        chain = blocks.find(states, identity, prompt)
        count = sum(block.used for block in chain)
        if count - known < _WORTH_READING:
            return
        state = blocks.assembled(chain, identity, sequence.number, sequence.streams)
        if state is not None:
            sequence.restore_cells(prompt[:count], state)
            return


def _restore_states(sequence: RunningSequence, file: Path, identity: str, prompt: Sequence[int]) -> None:
    header = read_state_file(file, identity, ())
    if header is None:
        return
    tokens = header[0]
    shared = min(common_prefix(tokens, prompt), len(prompt) - 1)
    if shared <= common_prefix(sequence.tokens, prompt):
        return
    stored = read_state_file(file, identity)
    if stored is None:
        return
    # A recurrent state is of use as it is; others are cut back to what is shared.
    most = shared if sequence.info.context == 0 else len(tokens)
    counts = sorted((_count(name), name) for name in stored[1] if 0 < _count(name) <= most)
    states = [(count, state) for count, name in counts if (state := _unpacked(name, stored[1][name])) is not None]
    if states:
        sequence.restore(tokens, states)


def _worth_keeping(states: Sequence[State]) -> Sequence[State]:
    """Return the state now, and one that the last turn can be begun again from."""
    if not states:
        return ()
    *earlier, now = states[-3:]
    if len(earlier) == 2 and earlier[1][0] - earlier[0][0] > _LONG_QUESTION:
        del earlier[0]
    return [*earlier[:1], now]


def _packed(state: State, architecture: str) -> tuple[str, np.ndarray]:
    count, data = state
    small = rounded(data) if architecture in _ROUNDED_ARCHITECTURES else None
    return f"{_EXACT if small is None else _ROUNDED}{count}", np.frombuffer(data if small is None else small, np.uint8)


def _unpacked(name: str, array: np.ndarray) -> bytes | None:
    return widened(array.tobytes()) if name.startswith(_ROUNDED) else array.tobytes()


def _count(name: str) -> int:
    number = name.removeprefix(_ROUNDED).removeprefix(_EXACT)
    return int(number) if number.isdecimal() else 0


def _shrink(folder: Path, most: int) -> None:
    """Remove what was not used for the longest time; of a chat's files the last ones go first."""
    together = 0
    for _, _, size, file in sorted(map(_use, [*folder.glob("*.npz"), *blocks.files(folder)]), reverse=True):
        together += size
        if together > most:
            file.unlink(missing_ok=True)
            if file.suffix == blocks.SUFFIX:
                with suppress(OSError):
                    file.parent.rmdir()  # where it was the last one


def _use(file: Path) -> tuple[int, int, int, Path]:
    """Return when a file was used last, the less the nearer its place is to the end of its chat, and its size."""
    facts = file.stat()
    return facts.st_mtime_ns, -int(file.name[:8]) if file.suffix == blocks.SUFFIX else 0, facts.st_size, file
