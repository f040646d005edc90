"""Vectors of texts, by an engine process with an embedding model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from desktop_app.documents.model_process import ModelProcess
from desktop_app.engine.protocol import Embed


class Embedder(ModelProcess):
    """One embedding model; its process starts with the first text."""

    context = 512

    def __init__(self, model: Path, *, idle: bool = False, name: str = "") -> None:
        """Take a GGUF file.

        Args:
            model: the file.
            idle: give way to everything else on this computer.
            name: which a store notes with the vectors; "": the file's.
        """
        super().__init__(model, idle=idle)
        self.name = name or model.name

    def vectors(self, texts: Sequence[str], role: Literal["query", "document"]) -> np.ndarray:
        """Return float32 [len(texts), dimensions], each of length 1.

        Raises:
            ZhiyinError: the model cannot be loaded, or the engine died.
        """
        embedded = self._started().submit(Embed(tuple(texts), role)).result()
        return np.frombuffer(embedded.data, "<f4").reshape(len(texts), -1).astype(np.float32)
