"""Has llama.cpp load a model's files."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama

from converter.gguf_header import split_parts


def load_model(path: Path, params: Any) -> Any:
    """Return llama.cpp's model, None: it refuses.

    All parts of a split model are named: by itself llama.cpp finds only those whose names end in `.gguf`, not in `.GGUF`.

    Raises:
        BadFile: a part is missing.
    """
    parts = split_parts(path)
    if len(parts) == 1:
        return llama.llama_model_load_from_file(os.fsencode(path), params)
    paths = (ctypes.c_char_p * len(parts))(*map(os.fsencode, parts))
    return llama.llama_model_load_from_splits(paths, len(parts), params)
