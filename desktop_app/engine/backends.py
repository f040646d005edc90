"""ggml's devices, asked of ggml itself: what the engine can run on, with total and free memory, and which take layers.

llama-cpp-python has no binding for the device registry, so the few functions are bound here on the very libggml that
libllama loaded. Source: ggml/include/ggml-backend.h.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from converter.ggml import library_folder, load_library
from desktop_app.engine.protocol import LoadSettings
from desktop_app.system.devices import Device

_SPINS = "2000"
_MMAP_SUPPORT = 4
"""Place of `mmap_support` among a device's capabilities."""
_TYPES = ("cpu", "gpu", "igpu", "accelerator", "meta")


class _Properties(ctypes.Structure):
    """`struct ggml_backend_dev_props`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("memory_free", ctypes.c_size_t),
        ("memory_total", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("device_id", ctypes.c_char_p),
        ("capabilities", ctypes.c_bool * 5),
    )


_ARGUMENTS: dict[str, tuple[list[Any], Any]] = {
    "ggml_backend_dev_count": ([], ctypes.c_size_t),
    "ggml_backend_dev_get": ([ctypes.c_size_t], ctypes.c_void_p),
    "ggml_backend_dev_backend_reg": ([ctypes.c_void_p], ctypes.c_void_p),
    "ggml_backend_dev_host_buffer_type": ([ctypes.c_void_p], ctypes.c_void_p),
    "ggml_backend_dev_get_props": ([ctypes.c_void_p, ctypes.POINTER(_Properties)], None),
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
    os.environ["LLAMA_CPP_LIB_PATH"] = str(library_folder())
    os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)


def devices() -> tuple[Device, ...]:
    """Return every device that ggml knows."""
    takers = offload_devices()
    return tuple(_describe(device, takes_layers=device in takers) for device in _all_devices())


def offload_devices() -> list[int]:
    """Return the GPUs that layers can be put on, in ggml's order.

    Those that llama.cpp takes by itself (`llama_prepare_model_devices` in its src/llama.cpp): a card that two backends list,
    such as CUDA and Vulkan, once; integrated graphics only where there is nothing else, and of one backend.
    """
    discrete: list[int] = []
    integrated: list[int] = []
    cards: set[bytes] = set()
    for device in _all_devices():
        properties = _properties(device)
        kind = _TYPES[properties.type]
        if kind == "gpu" and properties.device_id not in cards:
            discrete.append(device)
            cards |= {properties.device_id} if properties.device_id else set()
        elif kind == "igpu" and (not integrated or _backend_of(device) == _backend_of(integrated[0])):
            integrated.append(device)
    return discrete or integrated


def devices_for(settings: LoadSettings) -> list[tuple[int, float]]:
    """Return the GPUs that a load uses, each with its part of the layers; all parts are 0: by free memory."""
    if not settings.gpu_layers:
        return []
    gpus = offload_devices()
    if not settings.tensor_split:
        return [(device, 0.0) for device in gpus]
    return [(device, part) for device, part in zip(gpus, settings.tensor_split, strict=False) if part > 0]


def has_pinned_memory(device: int) -> bool:
    """Tell whether a GPU lends main memory that it reads by itself, as CUDA and Vulkan do and Metal does not."""
    return bool(_bound_library().ggml_backend_dev_host_buffer_type(device))


def loads_from_maps(device: int) -> bool:
    """Tell whether a mapped file is the way to load layers on a device.

    Integrated graphics copy them from its pages very slowly, and both lie in main memory (ggml-org/llama.cpp pull request 26081).
    """
    return bool(_properties(device).capabilities[_MMAP_SUPPORT])


def backends() -> list[str]:
    """Return the names of ggml's parts in this build, such as CPU, CUDA, Vulkan and Metal."""
    ggml = _bound_library()
    count = ggml.ggml_backend_reg_count()
    return [ggml.ggml_backend_reg_name(ggml.ggml_backend_reg_get(index)).decode("ascii") for index in range(count)]


def has_working_repack() -> bool:
    """Tell whether ggml may repack weights for this processor.

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


def _all_devices() -> list[int]:
    ggml = _bound_library()
    return [ggml.ggml_backend_dev_get(index) for index in range(ggml.ggml_backend_dev_count())]


def _properties(device: int) -> _Properties:
    properties = _Properties()
    _bound_library().ggml_backend_dev_get_props(device, ctypes.byref(properties))
    return properties


def _backend_of(device: int) -> int:
    return int(_bound_library().ggml_backend_dev_backend_reg(device))


def _describe(device: int, *, takes_layers: bool) -> Device:
    properties = _properties(device)
    return Device(
        name=properties.name.decode("utf-8", "replace"),
        description=properties.description.decode("utf-8", "replace"),
        type=_TYPES[properties.type],
        total_bytes=properties.memory_total,
        free_bytes=properties.memory_free,
        takes_layers=takes_layers,
        pinned_host_memory=has_pinned_memory(device),
        mmap_support=loads_from_maps(device),
    )
