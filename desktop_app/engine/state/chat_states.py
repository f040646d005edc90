"""States of recurrent models on disk, one file a chat: a chat of any length continues without a new prefill.

One file a chat, of two states: the one after the last reply, and the one where the last question begins, for another question or
another answer. llama.cpp's are rounded to a quarter. It is a cache: whatever is damaged, or was written with another model, is
ignored, and the chat is read again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import llama_cpp
import numpy as np

from converter.gguf_header import split_parts
from desktop_app.engine.protocol import AdapterUse
from desktop_app.engine.runner import RunningSequence
from desktop_app.engine.state.files import read_state_file, write_state_file
from desktop_app.engine.state.rounding import rounded, widened
from desktop_app.engine.state.snapshots import State
from desktop_app.sequences import common_prefix
from models.errors import ZhiyinError

_FORMAT = 2
_LONG_QUESTION = 1024
"""From this many tokens on, the state at the question's end is kept: another answer should not read all of it again."""
_MOST_BYTES = 1024 * 1024 * 1024
"""Of all chats together."""
_ROUNDED_ARCHITECTURES = ("rwkv6", "rwkv7")
_EXACT, _ROUNDED = "after_", "rounded_after_"


def model_identity(path: Path, adapters: Sequence[AdapterUse]) -> str:
    """Name a model by its files and what is on it, so that no other model's state is ever taken up; "" where a file is gone."""
    files = [*split_parts(path), *(adapter.path for adapter in adapters)]
    try:
        facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError:
        return ""
    scales = [adapter.scale for adapter in adapters]
    return blake2b(json.dumps([_FORMAT, llama_cpp.__version__, facts, scales]).encode(), digest_size=16).hexdigest()


def resume(runner: RunningSequence, file: Path, identity: str, prompt: Sequence[int]) -> None:
    """Take up a chat's state where it holds more of `prompt` than the running sequence does.

    Args:
        runner: a recurrent model.
        file: as `store` wrote it; it need not exist.
        identity: of the loaded model.
        prompt: what is to be read next.
    """
    found = read_state_file(file, identity, ())
    if not identity or found is None:
        return
    tokens = found[0]
    shared = min(common_prefix(tokens, prompt), len(prompt) - 1)
    if shared <= common_prefix(runner.tokens, prompt):
        return
    whole = read_state_file(file, identity)
    if whole is None:
        return
    counts = sorted((_count(name), name) for name in whole[1] if 0 < _count(name) <= shared)
    states = [(count, state) for count, name in counts if (state := _unpacked(name, whole[1][name])) is not None]
    if states:
        runner.restore(tokens, states)


def store(runner: RunningSequence, file: Path, identity: str) -> None:
    """Write a chat's state, whole or not at all; a full disk only means that the chat is read again."""
    if not identity:
        return
    with suppress(OSError, MemoryError, ZhiyinError):
        file.parent.mkdir(parents=True, exist_ok=True)
        arrays = dict(_packed(state, runner.info.architecture) for state in _worth_keeping(runner.states()))
        write_state_file(file, identity, runner.tokens, arrays)
        _shrink(file.parent, _MOST_BYTES)


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
    """Remove the states that were not used for the longest time."""
    together = 0
    for _, size, file in sorted(((f.stat().st_mtime_ns, f.stat().st_size, f) for f in folder.iterdir()), reverse=True):
        together += size
        if together > most:
            file.unlink()
