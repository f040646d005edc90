"""The functions of libggml that our graphs use, with their C types: bound here alone, for all of one process share them.

Sources: ggml/include/ggml.h, ggml-backend.h, ggml-alloc.h and ggml-cpu.h of the llama.cpp that llama-cpp-python ships. Pointers
are plain integers here; ctypes lets go of the GIL during every call.
"""

from __future__ import annotations

import ctypes
from functools import cache
from types import SimpleNamespace
from typing import Any

from converter.ggml import load_library

_TYPES: dict[str, Any] = {
    "p": ctypes.c_void_p,
    "s": ctypes.c_char_p,
    "i": ctypes.c_int,
    "l": ctypes.c_int64,
    "z": ctypes.c_size_t,
    "f": ctypes.c_float,
    "b": ctypes.c_bool,
    "-": None,
}


class InitParams(ctypes.Structure):
    """`struct ggml_init_params`."""

    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


_BASE = {
    # contexts and tensors: result, then arguments
    "ggml_free": "-p",
    "ggml_tensor_overhead": "z",
    "ggml_graph_overhead_custom": "zzb",
    "ggml_new_tensor_1d": "ppil",
    "ggml_new_tensor_2d": "ppill",
    "ggml_new_tensor_3d": "ppilll",
    "ggml_new_tensor_4d": "ppillll",
    "ggml_set_name": "pps",
    "ggml_op_name": "si",
    "ggml_set_input": "-p",
    "ggml_set_output": "-p",
    "ggml_get_data": "pp",
    "ggml_row_size": "zil",
    # operations
    "ggml_add": "pppp",
    "ggml_add_inplace": "pppp",
    "ggml_sub": "pppp",
    "ggml_mul": "pppp",
    "ggml_div": "pppp",
    "ggml_scale": "pppf",
    "ggml_scale_bias": "pppff",
    "ggml_sqr": "ppp",
    "ggml_exp": "ppp",
    "ggml_neg": "ppp",
    "ggml_relu": "ppp",
    "ggml_sigmoid": "ppp",
    "ggml_silu": "ppp",
    "ggml_norm": "pppf",
    "ggml_rms_norm": "pppf",
    "ggml_mul_mat": "pppp",
    "ggml_get_rows": "pppp",
    "ggml_set_rows": "ppppp",
    "ggml_cpy": "pppp",
    "ggml_cast": "pppi",
    "ggml_dup": "ppp",
    "ggml_concat": "ppppi",
    "ggml_repeat_4d": "pppllll",
    "ggml_reshape_1d": "pppl",
    "ggml_reshape_2d": "pppll",
    "ggml_reshape_3d": "ppplll",
    "ggml_view_1d": "ppplz",
    "ggml_view_2d": "pppllzz",
    "ggml_view_3d": "ppplllzzz",
    "ggml_permute": "pppiiii",
    "ggml_rope_ext": "pppppiiiffffff",
    "ggml_flash_attn_ext": "ppppppfff",
    "ggml_flash_attn_ext_set_prec": "-pi",
    "ggml_rwkv_wkv6": "pppppppp",
    # graphs and their computation
    "ggml_new_graph_custom": "ppzb",
    "ggml_build_forward_expand": "-pp",
    "ggml_backend_sched_new": "pppizbb",
    "ggml_backend_sched_free": "-p",
    "ggml_backend_sched_reset": "-p",
    "ggml_backend_sched_alloc_graph": "bpp",
    "ggml_backend_sched_graph_compute": "ipp",
    # backends and their memory
    "ggml_backend_free": "-p",
    "ggml_backend_graph_compute": "ipp",
    "ggml_backend_dev_type": "ip",
    "ggml_backend_dev_init": "pps",
    "ggml_backend_dev_memory": "-ppp",
    "ggml_backend_dev_buffer_type": "pp",
    "ggml_backend_dev_backend_reg": "pp",
    "ggml_backend_dev_supports_op": "bpp",
    "ggml_backend_reg_get_proc_address": "pps",
    "ggml_backend_buft_name": "sp",
    "ggml_backend_buft_alloc_buffer": "ppz",
    "ggml_backend_alloc_ctx_tensors_from_buft": "ppp",
    "ggml_backend_cpu_buffer_from_ptr": "ppz",
    "ggml_backend_buffer_free": "-p",
    "ggml_backend_buffer_is_host": "bp",
    "ggml_backend_buffer_clear": "-pi",
    "ggml_backend_buffer_set_usage": "-pi",
    "ggml_backend_tensor_alloc": "ippp",
    "ggml_backend_tensor_set": "-ppzz",
    "ggml_backend_tensor_get": "-ppzz",
    "ggml_backend_tensor_copy": "-pp",
}
_REGISTRY = {
    "ggml_backend_dev_count": "z",
    "ggml_backend_dev_get": "pz",
}


@cache
def ggml() -> SimpleNamespace:
    """Return the bound functions under their C names.

    Raises:
        ZhiyinError: the library is not there.
    """
    base = load_library("ggml-base")
    bound = {name: _bind(base, name, types) for name, types in _BASE.items()}
    registry = load_library("ggml")
    bound |= {name: _bind(registry, name, types) for name, types in _REGISTRY.items()}
    base.ggml_init.argtypes, base.ggml_init.restype = [InitParams], ctypes.c_void_p
    return SimpleNamespace(ggml_init=base.ggml_init, **bound)


def procedure(device: int, name: str, types: str) -> Any | None:
    """Return a function that only this device's backend has, or None."""
    registry = ggml().ggml_backend_dev_backend_reg(device)
    address = ggml().ggml_backend_reg_get_proc_address(registry, name.encode())
    return ctypes.CFUNCTYPE(*(_TYPES[code] for code in types))(address) if address else None


def _bind(library: ctypes.CDLL, name: str, types: str) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = _TYPES[types[0]], [_TYPES[code] for code in types[1:]]
    return function
