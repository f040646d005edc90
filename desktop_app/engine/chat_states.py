"""What a recurrent model remembers of a chat, on disk: a chat of any length goes on without being read again.

One file a chat, of a few states: the one after the last reply and the snapshots of the last turn, for another answer or another
question. It is a cache: whatever is damaged, or was written with another model, is ignored, and the chat is read again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import llama_cpp
import numpy as np

from converter.gguf_header import split_parts
from desktop_app.engine.protocol import AdapterUse
from desktop_app.engine.runner import Runner
from desktop_app.engine.state_file import read_state_file, write_state_file
from desktop_app.sequences import common_prefix
from models.errors import ZhiyinError

_FORMAT = 1
_STATES = 3
"""After the last reply, at the last question's beginning and at its end."""
_MOST_BYTES = 1024 * 1024 * 1024
"""Of all chats together."""
_PREFIX = "after_"


def model_identity(path: Path, adapters: Sequence[AdapterUse]) -> str:
    """Name a model by its files and what is on it, so that no other model's state is ever taken up; "" where a file is gone."""
    files = [*split_parts(path), *(Path(adapter.path) for adapter in adapters)]
    try:
        facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError:
        return ""
    scales = [adapter.scale for adapter in adapters]
    return blake2b(json.dumps([_FORMAT, llama_cpp.__version__, facts, scales]).encode(), digest_size=16).hexdigest()


def resume(runner: Runner, file: Path, identity: str, prompt: Sequence[int]) -> None:
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
    states = sorted((_count(name), data.tobytes()) for name, data in whole[1].items() if 0 < _count(name) <= shared)
    if states:
        runner.take_up(tokens, states)


def store(runner: Runner, file: Path, identity: str) -> None:
    """Write a chat's state, whole or not at all; a full disk only means that the chat is read again."""
    if not identity:
        return
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        states = runner.states()[-_STATES:]
        arrays = {f"{_PREFIX}{count}": np.frombuffer(state, np.uint8) for count, state in states}
        write_state_file(temporary, identity, runner.tokens, arrays)
        temporary.replace(file)
        _shrink(file.parent, _MOST_BYTES)
    except (OSError, MemoryError, ZhiyinError):
        with suppress(OSError):
            temporary.unlink()


def _count(name: str) -> int:
    number = name.removeprefix(_PREFIX)
    return int(number) if number.isdecimal() else 0


def _shrink(folder: Path, most: int) -> None:
    """Remove the states that were not used for the longest time."""
    together = 0
    for _, size, file in sorted(((f.stat().st_mtime_ns, f.stat().st_size, f) for f in folder.iterdir()), reverse=True):
        together += size
        if together > most:
            file.unlink()
