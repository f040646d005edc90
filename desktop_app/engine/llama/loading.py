"""Has llama.cpp load a model's files."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama

from converter.gguf_header import split_parts

_SPACE_PREFIX = b"tokenizer.ggml.add_space_prefix"
_PRE = "tokenizer.ggml.pre"
_WITH_MARKS = dict.fromkeys(("gpt-4o", "llama4", "kanana2"), b"granite-embed-multi-97m")
"""Rules for cutting texts -> llama.cpp's name of the same ones with combining marks as parts of words, as publishers have it."""


def overridden(metadata: Mapping[str, Any], *, architecture: str = "") -> Any:
    """Return what llama.cpp reads otherwise than a file says, for `kv_overrides`; must outlive the loading.

    Args:
        metadata: the file's.
        architecture: what it is to be loaded as; "": as what it is.
    """
    changes: dict[bytes, bytes | bool] = {b"general.architecture": architecture.encode()} if architecture else {}
    if metadata.get("tokenizer.ggml.model") == "llama":
        changes[_SPACE_PREFIX] = False  # the space in front of sections is ours (`models.vocab.sections`)
    if (pre := metadata.get(_PRE)) in _WITH_MARKS:
        changes[_PRE.encode()] = _WITH_MARKS[pre]
    overrides = (llama.llama_model_kv_override * (len(changes) + 1))()
    for override, (key, value) in zip(overrides, changes.items(), strict=False):
        override.key = key
        if isinstance(value, bytes):
            override.tag, override.value.val_str = llama.LLAMA_KV_OVERRIDE_TYPE_STR, value
        else:
            override.tag, override.value.val_bool = llama.LLAMA_KV_OVERRIDE_TYPE_BOOL, value
    return overrides


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
