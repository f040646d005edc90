"""An engine process that makes vectors, at idle priority where passages are indexed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Embed, Load, LoadSettings

_CONTEXT = 512


class Embedder:
    """One embedding model; its process starts with the first text."""

    def __init__(self, model: Path, *, idle: bool = False, name: str = "") -> None:
        """Take a GGUF file.

        Args:
            model: the file.
            idle: give way to everything else on this computer.
            name: which a store notes with the vectors; "": the file's.
        """
        self.model = model
        self.name = name or model.name
        self._idle = idle
        self._engine: Engine | None = None

    def vectors(self, texts: Sequence[str], role: Literal["query", "document"]) -> np.ndarray:
        """Return float32 [len(texts), dimensions], each of length 1.

        Raises:
            ZhiyinError: the model cannot be loaded, or the engine died.
        """
        engine = self._started()
        embedded = engine.submit(Embed(tuple(texts), role)).result()
        return np.frombuffer(embedded.data, "<f4").reshape(len(texts), -1).astype(np.float32)

    def close(self) -> None:
        """End the process."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _started(self) -> Engine:
        if self._engine is None:
            engine = Engine()
            try:
                engine.submit(Load(self.model, LoadSettings(context=_CONTEXT, gpu_layers=0))).result()
            except BaseException:
                engine.close()
                raise
            self._engine = engine
            if self._idle and engine.pid is not None:
                give_way(engine.pid)
        return self._engine

    def __enter__(self) -> Embedder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def give_way(pid: int) -> None:
    """Lower a process's priority, all its threads included: below what a user waits for, not to a standstill."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        if os.name == "nt":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)  # type: ignore[attr-defined]
            return
        for thread in process.threads():
            psutil.Process(thread.id).nice(10)
