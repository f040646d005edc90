"""An engine process with a model for documents, started by the first text; at idle priority where passages are indexed."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings
from desktop_app.processes.priority import give_way


class ModelProcess:
    """One embedding or reranking model; the base of `Embedder` and `Reranker`."""

    context: int
    """Tokens of one text."""

    def __init__(self, model: Path, *, idle: bool = False) -> None:
        """Take a GGUF file; `idle`: give way to everything else on this computer."""
        self.model = model
        self._idle = idle
        self._engine: Engine | None = None

    def close(self) -> None:
        """End the process."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _started(self) -> Engine:
        if self._engine is None:
            engine = Engine()
            try:
                engine.submit(Load(self.model, LoadSettings(context=self.context, gpu_layers=0))).result()
            except BaseException:
                engine.close()
                raise
            self._engine = engine
            if self._idle and engine.pid is not None:
                give_way(engine.pid)
        return self._engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
