"""Which runner computes a model, and loading it."""

from __future__ import annotations

from pathlib import Path

from converter.gguf_checks import read_model
from desktop_app.engine.graph.runner import ARCHITECTURES, GraphRunner
from desktop_app.engine.llama.embedding import EmbeddingRunner
from desktop_app.engine.llama.runner import LlamaRunner
from desktop_app.engine.protocol import LoadSettings
from desktop_app.engine.runner import ProgressCallback, Runner
from models.dynamic_rotary import is_beyond_trained_context
from models.embedding import is_embedding


def load_runner(path: Path, settings: LoadSettings, on_progress: ProgressCallback) -> Runner | EmbeddingRunner:
    """Load a GGUF file with the runner that computes it: llama.cpp's, but for architectures and contexts that it lacks."""
    header = read_model(path)
    if is_embedding(header.architecture, header.parameters):
        return EmbeddingRunner(header, settings, on_progress)
    ours = header.architecture in ARCHITECTURES or is_beyond_trained_context(header.parameters, settings.context)
    return GraphRunner(header, settings, on_progress) if ours else LlamaRunner(header, settings, on_progress)
