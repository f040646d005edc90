"""The parts of a plan: a model in its quantizations, a computer with its devices, and one way to run the one on the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from desktop_app.planning.divergence import GOOD, grade, predicted_divergence
from desktop_app.planning.footprint import (
    TensorSize,
)
from desktop_app.system.link import Link
from desktop_app.system.read_speed import ReadSpeed, Weights
from models.family import Metadata

_COMFORTABLE = 10.0
"""Tokens per second: faster than one reads."""


@dataclass(frozen=True)
class Accelerator:
    """A GPU as the planner sees it."""

    name: str
    free_bytes: int
    total_bytes: int
    unified_memory: bool = False
    """Its memory is main memory: integrated graphics, Apple silicon."""
    read_bytes_per_second: float = 0
    """0: not measured."""
    pinned_host_memory: bool = False
    """The processor's layers lie in memory that it reads too (CUDA, Vulkan), and are not repacked."""
    mmap_support: bool = True
    """Layers are loaded on it from a mapped file; see `engine.backends.loads_from_maps`."""
    link: Link | None = None
    """The way to it, where it is a worker's; None: it is this computer's."""


@dataclass(frozen=True)
class Computer:
    """The computer's limits for a plan."""

    free_bytes: int
    """Main memory that can be taken without swapping, what unloading the current model frees included."""
    total_bytes: int
    process_bytes: int
    """The engine itself, before a model."""
    speed: ReadSpeed | None = None
    """None: not measured; then nothing is said of tokens per second, and quality alone decides."""
    accelerators: tuple[Accelerator, ...] = ()
    corrections: Mapping[str, int] = field(default_factory=dict)
    """Bytes that loads took here above what was predicted, by device ("RAM" for main memory)."""
    repacked: frozenset[str] = frozenset()
    """Types of weights that ggml repacks for the processor."""
    threads: int = 1
    """That compute fastest here: see `engine.threads`."""
    lockable_bytes: int = 0
    """What a process may keep from being swapped out."""


@dataclass(frozen=True)
class Candidate:
    """A quantization of the model: what each tensor weighs in it."""

    quant: str
    tensors: tuple[TensorSize, ...]
    read: Mapping[str, Weights]
    """What one token is multiplied by, by ggml type."""
    operations: int = 0
    """That weights take part in."""
    embedding_type: str = ""
    """Of the token embedding."""
    measured: float | None = None
    """Mean KL divergence from the original, in nats; None: it is predicted by the types."""

    @property
    def divergence(self) -> float:
        """Mean KL divergence from the original, in nats, as measured or else as predicted."""
        if self.measured is not None:
            return self.measured
        return predicted_divergence(self.read, sum(tensor.bytes for tensor in self.tensors))


@dataclass(frozen=True)
class Model:
    """A model that may be run."""

    architecture: str
    parameters: Metadata
    trained_context: int
    tokens: int
    """Entries of the tokenizer's vocabulary."""
    candidates: tuple[Candidate, ...]
    """What may be chosen; one alone for a finished file."""
    merges: bool = True
    """The tokenizer has merge rules, as far as is known."""


@dataclass(frozen=True)
class DeviceAllocation:
    """The allocation on one device."""

    device: str
    layers: int
    weights: int
    cache: int
    compute: int
    free: int
    """Bytes that are free there now, less the reserve."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.compute


@dataclass(frozen=True)
class RunConfiguration:
    """One way to run the model."""

    quant: str
    context: int
    kv_type: str
    batch: int
    gpu_layers: int
    layers: int
    shares: tuple[DeviceAllocation, ...]
    """Main memory first, then the GPUs that are used."""
    tokens_per_second: float | None
    """None: not known."""
    recurrent: bool
    tensor_split: tuple[float, ...]
    """Layers on each GPU, in ggml's order; (): no GPU is used."""
    threads: int
    mapped: bool
    """The weights stay in the file's pages, which the system reads when they are needed and may drop; otherwise they are read
    into memory of the engine's own, because the processor wants them in another order or integrated graphics take them from
    there."""
    locked: bool
    """The mapped weights are kept from being dropped, so that an answer after a pause begins at once. llama.cpp locks no weights
    that the processor repacks."""
    batch_bytes: int
    """Of main memory's buffers, what only a full batch touches."""
    state_bytes: int
    """One state of a model's recurrent layers, 0 without any."""
    snapshots: int
    """How many earlier states are kept at most, so that a chat can be changed without reading all of it again."""
    beyond_trained_context: bool = False
    """Longer than what the model was trained with: our own runner computes it, with positions that depend on the length."""
    parallel: int = 1
    """Chats that are computed at once, each with that context."""
    divergence: float = 0.0
    """Mean KL divergence from the original, in nats."""
    is_measured: bool = False
    """The divergence was measured on this file; otherwise it is predicted by its types."""

    @property
    def bytes(self) -> int:
        """On all devices together."""
        return sum(share.total for share in self.shares)

    @property
    def shortfall(self) -> int:
        """Bytes that are lacking; 0: it fits."""
        return sum(max(0, share.total - share.free) for share in self.shares)

    @property
    def good(self) -> bool:
        """Its answers are hardly worse than the original's, which itself takes twice the memory of Q8_0 for what none shows."""
        return 0 < self.divergence <= GOOD

    @property
    def quality(self) -> str:
        """The divergence as a word: `exact`, `excellent`, `good`, `fair` or `poor`; see `divergence.grade`."""
        return grade(self.divergence)

    @property
    def comfortable(self) -> bool:
        """It writes faster than one reads, as far as is known."""
        return self.tokens_per_second is None or self.tokens_per_second >= _COMFORTABLE

    @property
    def verdict(self) -> str:
        """`gpu`: all layers on a GPU; `ram`: fits; `tight`: fits with less than a tenth left; `too_large`."""
        if self.shortfall:
            return "too_large"
        if self.gpu_layers > self.layers:
            return "gpu"
        main = self.shares[0]
        return "tight" if main.free - main.total < main.free / 10 else "ram"
