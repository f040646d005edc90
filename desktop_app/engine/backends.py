"""ggml's devices, asked of ggml itself: what the engine can run on, with total and free memory.

llama-cpp-python has no binding for the device registry, so the few functions are bound here on the very libggml that
libllama loaded. Source: ggml/include/ggml-backend.h.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from converter.ggml import load_library

_SPINS = "2000"
_TYPES = ("cpu", "gpu", "igpu", "accelerator", "meta")
_ARGUMENTS: dict[str, tuple[list[Any], Any]] = {
    "ggml_backend_dev_count": ([], ctypes.c_size_t),
    "ggml_backend_dev_get": ([ctypes.c_size_t], ctypes.c_void_p),
    "ggml_backend_dev_name": ([ctypes.c_void_p], ctypes.c_char_p),
    "ggml_backend_dev_description": ([ctypes.c_void_p], ctypes.c_char_p),
    "ggml_backend_dev_type": ([ctypes.c_void_p], ctypes.c_int),
    "ggml_backend_dev_memory": (
        [ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_size_t)],
        None,
    ),
    "ggml_backend_reg_count": ([], ctypes.c_size_t),
    "ggml_backend_reg_get": ([ctypes.c_size_t], ctypes.c_void_p),
    "ggml_backend_reg_name": ([ctypes.c_void_p], ctypes.c_char_p),
}


def prepare_environment() -> None:
    """Set what ggml's libraries read from the environment; before they are loaded.

    No plug-ins from wherever the environment points. And threads that wait for each other at the end of every operation of a
    graph go to sleep after about a tenth of a millisecond: GNU's OpenMP lets them spin for a hundred times that, and where
    another program needs one of the cores, each of a thousand waits a token then costs a time slice.
    """
    os.environ.pop("GGML_BACKEND_PATH", None)
    os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)


def devices() -> list[dict[str, Any]]:
    """Return every device that ggml knows: name, description, type, total_bytes, free_bytes."""
    ggml = _bound_library()
    return [_describe(ggml, ggml.ggml_backend_dev_get(index)) for index in range(ggml.ggml_backend_dev_count())]


def backends() -> list[str]:
    """Return the names of ggml's parts in this build, such as CPU, CUDA, Vulkan and Metal."""
    ggml = _bound_library()
    count = ggml.ggml_backend_reg_count()
    return [ggml.ggml_backend_reg_name(ggml.ggml_backend_reg_get(index)).decode("ascii") for index in range(count)]


def has_gpu() -> bool:
    """Tell whether ggml can offload layers."""
    return any(device["type"] in ("gpu", "igpu") for device in devices())


def has_working_repack() -> bool:
    """Tell whether ggml may rearrange weights for this processor.

    A libggml built with AMX crashes in its first prompt on some processors: GCC 12 drops the stores of the tile configuration
    (ggml-org/llama.cpp issue 20824 and pull request 26954). Then the weights are used as they lie in the file.
    """
    import llama_cpp.llama_cpp as llama  # after `prepare_environment`

    return b"AMX_INT8 = 1" not in (llama.llama_print_system_info() or b"")


def _bound_library() -> ctypes.CDLL:
    ggml = load_library("ggml")
    for name, (arguments, result) in _ARGUMENTS.items():
        function = getattr(ggml, name)
        function.argtypes, function.restype = arguments, result
    return ggml


def _describe(ggml: ctypes.CDLL, device: int) -> dict[str, Any]:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
    kind = ggml.ggml_backend_dev_type(device)
    return {
        "name": ggml.ggml_backend_dev_name(device).decode("utf-8", "replace"),
        "description": ggml.ggml_backend_dev_description(device).decode("utf-8", "replace"),
        "type": _TYPES[kind] if kind < len(_TYPES) else str(kind),
        "total_bytes": total.value,
        "free_bytes": free.value,
    }
