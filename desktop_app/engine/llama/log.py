"""llama.cpp's and ggml's warnings and errors, kept: they say why a load failed. Everything else they print is dropped."""

from __future__ import annotations

import ctypes
from collections import deque

import llama_cpp.llama_cpp as llama

_WARNING = 3  # GGML_LOG_LEVEL_WARN

log_lines: deque[str] = deque(maxlen=50)


@llama.llama_log_callback  # type: ignore[untyped-decorator]
def _remember(level: int, text: bytes, _: ctypes.c_void_p) -> None:
    if level >= _WARNING:
        log_lines.append(text.decode("utf-8", "replace").strip())


def begin_log() -> None:
    """Listen from now on, and forget what was said before."""
    llama.llama_log_set(_remember, ctypes.c_void_p(0))
    log_lines.clear()
