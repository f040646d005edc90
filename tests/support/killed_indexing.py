"""Indexes a collection in a process that kills itself (SIGKILL) at a step that can be named, and notes what it did before.

A step is a statement of SQL, a file that was read, or a batch of vectors that was made. Kills at them come at the same moment
each time, also in the middle of a transaction.

    python -m tests.support.killed_indexing STORE FOLDER MODEL LOG STEP

STEP 0 kills nothing; -3 is the third step after the first vectors. Each line of LOG is a list in JSON: ["read", path],
["embedded", text], or ["engine", process id].
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import psutil

from desktop_app.documents.document import Document
from desktop_app.documents.embedder import Embedder
from desktop_app.documents.extraction_process import Extractor
from desktop_app.documents.indexing import Indexer
from desktop_app.documents.store import Store

NAME = "notes"
_ENGINE_ENDS = 20.0
"""Seconds that the engine gets for its end after a kill."""


@dataclass
class Run:
    """What a run did before its end."""

    read: list[str]
    embedded: list[str]
    killed: bool


def indexed_until(
    store: Path, folder: Path, model: Path, log: Path, *, step: int = 0, seconds: float | None = None
) -> Run:
    """Index in a process that is killed at a step, or so many seconds after it began; its engine has to end with it."""
    log.write_text("")
    command = [sys.executable, "-m", __name__, *map(str, (store, folder, model, log, step))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        if seconds is not None:
            time.sleep(seconds)
            process.kill()
    entries = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
    values: dict[str, list[str]] = {"read": [], "embedded": [], "engine": []}
    for kind, value in entries:
        values[kind].append(value)
    _wait_for_engines([int(pid) for pid in values["engine"]])
    return Run(values["read"], values["embedded"], process.returncode < 0)


def _wait_for_engines(pids: list[int]) -> None:
    running = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(running, _ENGINE_ENDS)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE], "an engine goes on"


class _Steps:
    """Counts steps, and kills this process at one of them."""

    def __init__(self, last: int, log: Path) -> None:
        self._count, self._last = 0, last
        self._begun = last > 0
        self._log = log.open("a", encoding="utf-8")

    def take(self, *_: object) -> None:
        self._count += self._begun
        if self._count == abs(self._last) > 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def note(self, kind: str, values: Sequence[str | int]) -> None:
        self._begun = self._begun or kind == "embedded"
        self._log.write("".join(json.dumps([kind, value]) + "\n" for value in values))
        self._log.flush()


def main(store: str, folder: str, model: str, log: str, step: str) -> None:
    """Index, and note each thing before the step that follows it."""
    steps = _Steps(int(step), Path(log))
    extract = Extractor.extract

    class Noting(Embedder):
        def vectors(self, texts: Sequence[str], role: Literal["query", "document"]) -> np.ndarray:
            made = super().vectors(texts, role)
            steps.note("engine", [self._engine.pid or 0] if self._engine is not None else [])
            steps.note("embedded", texts)
            steps.take()
            return made

    def noting(extractor: Extractor, path: Path, *rest: object) -> Document:
        document = extract(extractor, path, *rest)  # type: ignore[arg-type]
        steps.note("read", [str(path)])
        steps.take()
        return document

    Extractor.extract = noting  # type: ignore[method-assign, assignment]
    with Store(Path(store)) as opened, Noting(Path(model)) as embedder:
        opened.add(NAME, [Path(folder)])
        opened._database.set_trace_callback(steps.take)
        print("begun", flush=True)
        Indexer(opened, embedder).update(NAME)


if __name__ == "__main__":
    main(*sys.argv[1:])
