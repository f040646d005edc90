"""An engine process with a reranking model, which reads a question together with each passage: slower than vectors, and surer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings, Rerank

_CONTEXT = 1024
"""Tokens of a question, a passage and what stands around them; longer passages are cut."""


class Reranker:
    """One reranking model; its process starts with the first question."""

    def __init__(self, model: Path) -> None:
        """Take a GGUF file."""
        self._model = model
        self._engine: Engine | None = None

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers a question, from 0 to 1.

        Raises:
            ZhiyinError: the model cannot be loaded or ranks nothing, or the engine died.
        """
        if self._engine is None:
            engine = Engine()
            try:
                engine.submit(Load(self._model, LoadSettings(context=_CONTEXT, gpu_layers=0))).result()
            except BaseException:
                engine.close()
                raise
            self._engine = engine
        return list(self._engine.submit(Rerank(question, tuple(texts))).result().scores)

    def close(self) -> None:
        """End the process."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def __enter__(self) -> Reranker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
