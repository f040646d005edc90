"""ggml's devices and the engine parts, as the engine reports them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

_SHARING = ("Metal", "MTL")
"""Backends whose GPUs have no memory of their own, besides those that ggml lists as integrated."""
_IN_SOFTWARE = ("llvmpipe", "SwiftShader")
"""Drivers that compute on the processor; ggml lists them as GPUs where GGML_VK_VISIBLE_DEVICES names them."""


@dataclass(frozen=True)
class Device:
    """A device as ggml lists it."""

    name: str
    description: str
    type: str
    """cpu, gpu, igpu, accelerator."""
    total_bytes: int
    free_bytes: int
    takes_layers: bool
    """The engine can put layers on it; see `engine.backends.offload_devices`."""
    pinned_host_memory: bool = False
    """The processor's layers lie, as they are in the file, in main memory that it reads too."""
    mmap_support: bool = True
    """Layers are loaded on it from a mapped file; otherwise the file is read."""

    @property
    def in_software(self) -> bool:
        """Tell whether it is no GPU but a driver that computes on the processor."""
        return any(name in self.description for name in _IN_SOFTWARE)

    @property
    def unified_memory(self) -> bool:
        """Tell whether its memory is main memory."""
        return self.type == "igpu" or self.in_software or self.name.startswith(_SHARING)


@dataclass(frozen=True)
class EnginePart:
    """An engine part, and what became of it when the engine started."""

    id: str
    part: str
    """vulkan, cuda."""
    state: Literal["loaded", "failed", "off"]
    """off: another one, or the processor alone, was chosen."""
    failure: dict[str, Any] | None = None
    """Why it cannot be used: `ZhiyinError.data`."""


class ComputeFacts(Struct, frozen=True, tag=True, tag_field="kind"):
    """ggml's facts of this computer: the engine's answer to `Devices`."""

    devices: tuple[Device, ...]
    backends: tuple[str, ...]
    """ggml's parts in this build, such as CPU, CUDA, Vulkan and Metal."""
    system_info: str
    """The processor's instructions that it uses, in its own words."""
    resident_bytes: int
    """What an engine process takes before it loads a model."""
    repacked: tuple[str, ...]
    """Types of weights that it repacks for the processor."""
    parts: tuple[EnginePart, ...] = ()
