"""ctypes on the libggml that llama-cpp-python ships: quantizing and widening rows.

The libraries are found without importing llama_cpp, which takes half a second. ctypes lets go of the GIL during every call,
so that threads quantize in parallel. Source: ggml/include/ggml.h.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import ZhiyinError
from models.gguf_constants import GGMLQuantizationType

if TYPE_CHECKING:
    import numpy as np

_FLOAT_POINTER = ctypes.POINTER(ctypes.c_float)


def library_folder() -> Path:
    """Return the folder that holds libllama and libggml: the bundle's, `LLAMA_CPP_LIB_PATH`, or llama_cpp's own.

    Raises:
        ZhiyinError: llama-cpp-python is not installed.
    """
    if getattr(sys, "frozen", False):
        return bundled_parts() / "base"
    named = os.environ.get("LLAMA_CPP_LIB_PATH")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise ZhiyinError("llama-cpp-python is not installed; install Zhiyin again.")
    return Path(spec.origin).parent / "lib"


def bundled_parts() -> Path:
    """Return the folder of the engine parts that came with the frozen application."""
    return Path(sys.executable).parent / "_internal" / "engine"


@cache
def load_library(name: str) -> ctypes.CDLL:
    """Load one of ggml's libraries ("ggml-base", "ggml", "ggml-cpu") from llama_cpp's folder.

    Raises:
        ZhiyinError: it is not there or cannot be loaded.
    """
    folder = library_folder()
    # A wheel cannot hold links, so it has a copy of the library under every name. The versioned name is the one that libllama
    # asks the system for: loading it by another name would bring a second ggml, with devices of its own, into the process.
    names = {
        "win32": (f"{name}.dll", f"lib{name}.dll"),
        "darwin": (f"lib{name}.0.dylib", f"lib{name}.dylib", f"lib{name}.so"),
    }
    for file in names.get(sys.platform, (f"lib{name}.so.0", f"lib{name}.so")):
        path = folder / file
        if path.exists():
            try:
                if sys.platform == "win32":
                    os.add_dll_directory(str(folder))
                return ctypes.CDLL(str(path))
            except OSError as error:
                raise ZhiyinError(
                    "{path} cannot be loaded ({reason}); install Zhiyin again.", path=path, reason=error
                ) from error
    raise ZhiyinError("{folder} has no {name} library; install Zhiyin again.", folder=folder, name=name)


def quantize(
    rows: np.ndarray, type_: GGMLQuantizationType, out: np.ndarray, importance: np.ndarray | None = None
) -> None:
    """Quantize float32 rows [n, length] into `out`, uint8 [n, row_bytes].

    Args:
        rows: C-contiguous float32.
        type_: any type of GGUF that ggml can write, F16 and BF16 included.
        out: C-contiguous uint8 of exactly the size needed.
        importance: float32 [length], the weight of each column, or None.
    """
    count, length = rows.shape
    weights = None if importance is None else importance.ctypes.data_as(_FLOAT_POINTER)
    written = _base().ggml_quantize_chunk(
        int(type_), rows.ctypes.data_as(_FLOAT_POINTER), out.ctypes.data_as(ctypes.c_void_p), 0, count, length, weights
    )
    if written != out.nbytes:
        raise ZhiyinError(
            "ggml wrote {written} bytes where {expected} were expected; install Zhiyin again.",
            written=written,
            expected=out.nbytes,
        )


def dequantize(rows: np.ndarray, type_: GGMLQuantizationType, length: int) -> np.ndarray:
    """Return float32 [n, length] of encoded rows, uint8 [n, row_bytes].

    Raises:
        ZhiyinError: ggml cannot read this type.
    """
    import numpy as np

    to_float = _base().ggml_get_type_traits(int(type_)).contents.to_float
    if not to_float:
        raise ZhiyinError(
            "Tensors of type {type} cannot be widened; convert the original checkpoint instead.", type=type_.name
        )
    rows = np.require(rows, requirements=["C"])
    result = np.empty((len(rows), length), np.float32)
    to_float(rows.ctypes.data, result.ctypes.data, result.size)
    return result


def is_valid(rows: np.ndarray, type_: GGMLQuantizationType) -> bool:
    """Tell whether encoded rows hold no NaN or infinity, in their scales or, for plain types, in their values."""
    import numpy as np

    rows = np.require(rows, requirements=["C"])
    return bool(_base().ggml_validate_row_data(int(type_), rows.ctypes.data_as(ctypes.c_void_p), rows.nbytes))


def widen(values: np.ndarray) -> np.ndarray:
    """Return float32 of the same shape; float16 and bfloat16 go through ggml, which is faster than NumPy."""
    import numpy as np

    if values.dtype == np.float32:
        return np.ascontiguousarray(values)
    name = {"float16": "ggml_fp16_to_fp32_row", "bfloat16": "ggml_bf16_to_fp32_row"}.get(values.dtype.name)
    if name is None:
        return np.ascontiguousarray(values, np.float32)
    values = np.require(values, requirements=["C", "A"])
    result = np.empty(values.shape, np.float32)
    getattr(_base(), name)(
        values.ctypes.data_as(ctypes.c_void_p), result.ctypes.data_as(_FLOAT_POINTER), ctypes.c_int64(values.size)
    )
    return result


class _TypeTraits(ctypes.Structure):
    """`struct ggml_type_traits`."""

    _fields_ = (
        ("type_name", ctypes.c_char_p),
        ("block", ctypes.c_int64),
        ("block_interleave", ctypes.c_int64),
        ("size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
    )


@cache
def _base() -> ctypes.CDLL:
    base = load_library("ggml-base")
    base.ggml_quantize_chunk.argtypes = [
        ctypes.c_int,
        _FLOAT_POINTER,
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_int64,
        _FLOAT_POINTER,
    ]
    base.ggml_quantize_chunk.restype = ctypes.c_size_t
    base.ggml_get_type_traits.argtypes = [ctypes.c_int]
    base.ggml_get_type_traits.restype = ctypes.POINTER(_TypeTraits)
    base.ggml_validate_row_data.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    base.ggml_validate_row_data.restype = ctypes.c_bool
    for name in ("ggml_fp16_to_fp32_row", "ggml_bf16_to_fp32_row"):
        function = getattr(base, name)
        function.argtypes, function.restype = [ctypes.c_void_p, _FLOAT_POINTER, ctypes.c_int64], None
    return base
