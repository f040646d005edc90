"""What this computer can run of a model, and how, with the bytes of each part.

How: quantization, context, layers on each device, tokens of a prompt at once, threads, and whether the weights stay in the file's
pages and are kept from being swapped out.

The best quality that still writes faster than a user reads comes first, then speed, within what is free now less a reserve.
Nothing is planned beyond what fits: then the plan says which smallest choice would, and what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from desktop_app.planning.divergence import GOOD, grade, predicted_divergence
from desktop_app.planning.footprint import (
    Footprint,
    RunShape,
    TensorSize,
    footprint,
    recurrent_state,
    uses_graph_runner,
)
from desktop_app.planning.token_time import seconds_of_token
from desktop_app.sequences import snapshot_count
from desktop_app.system.link import Link
from desktop_app.system.read_speed import ReadSpeed, Weights
from models.dynamic_rotary import is_beyond_trained_context
from models.errors import ZhiyinError, refusal
from models.family import Metadata
from models.sentence import Sentence

DOES_NOT_FIT = "does-not-fit"
"""The code of a plan's refusal."""
CONTEXTS = (8192, 4096, 2048)
"""Tried in this order where the user names none."""
_BATCHES = (512, 256, 128)
"""Tokens of a prompt computed at once: fewer where memory is short, for they take less of it and read prompts more slowly."""
_COMFORTABLE = 10.0
"""Tokens per second: faster than one reads."""
TOLD_APART = 1.1
"""Times as fast: predictions nearer to each other are not told apart, for what else the computer does moves them by as much."""
_ENOUGH = 4096
"""Tokens of context that are given up for a better quantization, but no further."""
_RESERVE = 256 * 1024 * 1024
_RESERVE_PART = 0.05
"""Left free in main memory: the larger of both, so that the system and other programs go on."""
_DEVICE_RESERVE = 192 * 1024 * 1024
"""Left free on a GPU that has memory of its own: its driver's context and work space."""
_FURTHER_COPIES = 3
"""GGML_SCHED_MAX_COPIES less one."""
_ROWS_REARRANGED = 8
"""Of a matrix at once: ggml leaves others as they are (src/ggml-cpu/repack.cpp)."""
_UNTOUCHED = 0.5
"""Of main memory, what is left free beside a model that is locked: no other program is driven out for it."""
_ASSUMED_GPU_GAIN = 4.0
"""Of a GPU with memory of its own over the processor where nothing was measured: the least that such cards reach. Those that
share main memory read the same memory."""

_FLOAT = 4
_TRIPS = 2
"""Questions that a worker answers for a token: to compute, and for what came out."""


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
    """What a plan has to live with."""

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
    """What one device holds."""

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


@dataclass(frozen=True)
class Plan:
    """The choice, the reasons and the other choices."""

    best: RunConfiguration | None
    """None: nothing fits."""
    reason: Sentence
    """What was chosen and why, or why nothing was."""
    alternatives: tuple[RunConfiguration, ...]
    """Other quantizations and contexts, fitting or not; the best itself is not among them."""

    @property
    def refusal(self) -> ZhiyinError:
        """The reason as an error, where nothing fits."""
        return refusal(self.reason, DOES_NOT_FIT)

    @property
    def chosen(self) -> RunConfiguration:
        """The best, or what lacks the least."""
        return self.best or min((o for o in self.alternatives if o.shortfall), key=lambda o: (o.shortfall, o.bytes))


def plan(
    model: Model, computer: Computer, *, context: int | None = None, kv_type: str = "f16", parallel: int = 1
) -> Plan:
    """Choose how to run a model.

    Args:
        model: what it is, in every quantization that may be chosen.
        computer: what there is.
        context: tokens that the user asks for; None: 8192, or fewer where that does not fit. Past the trained length it counts
            for models alone that go on there (`models.dynamic_rotary`).
        kv_type: the cache's type; never chosen by the planner itself, only offered.
        parallel: chats that are computed at once, each with that context.
    """
    candidates = sorted(model.candidates, key=lambda candidate: candidate.divergence)
    by_context = [
        [option(model, candidate, computer, wanted, kv_type, parallel) for candidate in candidates]
        for wanted in ([_possible(model, context)] if context else _contexts(model))
    ]
    options = [o for group in by_context for o in group]
    chosen = _best_of_contexts(by_context)
    if chosen is None:
        smallest = min(options, key=lambda o: (o.shortfall, o.bytes))
        fixes = tuple(_fixes(model, computer, smallest))
        return Plan(None, _refusal(smallest, fixes), (*options, *fixes))
    best, group = chosen
    return Plan(best, _explanation(best, group), tuple(o for o in options if o is not best))


def option(
    model: Model, candidate: Candidate, computer: Computer, context: int, kv_type: str = "f16", parallel: int = 1
) -> RunConfiguration:
    """Return one way to run the model, with as many layers on GPUs as their memory takes.

    Prompts are computed in smaller parts where that makes it fit.
    """
    found = _spread(model, candidate, computer, RunShape(context, kv_type, _BATCHES[0], parallel))
    for batch in _BATCHES[1:]:
        buffers = found.batch_bytes + sum(share.compute for share in found.shares[1:])
        if not 0 < found.shortfall <= buffers:
            break
        found = _spread(model, candidate, computer, RunShape(context, kv_type, batch, parallel))
    return found


def _spread(model: Model, candidate: Candidate, computer: Computer, run: RunShape) -> RunConfiguration:
    """Leave graphics that share main memory alone where their own buffers are what does not fit."""
    found = _placed(model, candidate, computer, run)
    sharing = {gpu.name for gpu in computer.accelerators if gpu.unified_memory}
    if not found.shortfall or not any(share.device in sharing for share in found.shares):
        return found
    without = tuple(replace(gpu, free_bytes=0) if gpu.unified_memory else gpu for gpu in computer.accelerators)
    other = _placed(model, candidate, replace(computer, accelerators=without), run)
    return other if other.shortfall < found.shortfall else found


def _placed(model: Model, candidate: Candidate, computer: Computer, run: RunShape) -> RunConfiguration:
    foot = footprint(model.architecture, model.parameters, candidate.tensors, run, model.tokens, merges=model.merges)
    layers = len(foot.blocks)
    on_gpus = _offload(foot, computer)
    gpu_layers = sum(share.layers for share in on_gpus.values())
    kept = min(layers, layers + 1 - gpu_layers)  # the head is the first to go
    pipeline = foot.copied * _FURTHER_COPIES if gpu_layers > layers and len(on_gpus) > 1 else 0
    head = foot.head + _second_embedding(foot, model, candidate, computer, run)
    batch_bytes = foot.compute if kept else foot.inputs + pipeline
    shared = sum(on_gpus[gpu.name].total for gpu in computer.accelerators if gpu.unified_memory and gpu.name in on_gpus)
    main = DeviceAllocation(
        device="RAM",
        layers=kept,
        weights=foot.embedding + sum(foot.blocks[:kept]) + (0 if gpu_layers else head),
        cache=sum(foot.cache[:kept]) + foot.snapshots,
        compute=batch_bytes
        + foot.work
        + foot.output
        + foot.vocabulary
        + computer.process_bytes
        + computer.corrections.get("RAM", 0),
        free=_usable_memory(computer) - shared,
    )
    ours = uses_graph_runner(model.architecture, model.parameters, run)
    used = [gpu for gpu in computer.accelerators if gpu.name in on_gpus]
    as_they_are = (
        not kept or any(gpu.pinned_host_memory for gpu in used) or computer.repacked.isdisjoint(candidate.read)
    )
    mapped = as_they_are and all(gpu.mmap_support for gpu in used)
    return RunConfiguration(
        quant=candidate.quant,
        context=0 if foot.recurrent else run.context,
        kv_type=run.kv_type,
        batch=run.batch,
        gpu_layers=gpu_layers,
        layers=layers,
        shares=(main, *(on_gpus[gpu.name] for gpu in computer.accelerators if gpu.name in on_gpus)),
        tokens_per_second=_tokens_per_second(model, foot, candidate, computer, on_gpus),
        threads=computer.threads,
        mapped=mapped,
        locked=mapped and bool(kept) and not ours and _may_lock(main, computer),
        recurrent=foot.recurrent,
        tensor_split=tuple(float(on_gpus[g.name].layers) if g.name in on_gpus else 0.0 for g in computer.accelerators)
        if on_gpus
        else (),
        batch_bytes=batch_bytes,
        state_bytes=foot.state,
        snapshots=snapshot_count(foot.state),
        beyond_trained_context=is_beyond_trained_context(model.parameters, run.context),
        parallel=run.parallel,
        divergence=candidate.divergence,
        is_measured=candidate.measured is not None,
    )


def _may_lock(main: DeviceAllocation, computer: Computer) -> bool:
    untouched = main.free - main.total
    return main.total <= computer.lockable_bytes and untouched >= _UNTOUCHED * computer.total_bytes


def _second_embedding(foot: Footprint, model: Model, candidate: Candidate, computer: Computer, run: RunShape) -> int:
    """Return the bytes of the copy that llama.cpp computes logits with on the processor, where the embedding is the head too.

    It holds both where ggml repacks the type: rows are looked up in the embedding as it lies in the file.
    """
    rows = model.parameters.get("vocab_size")
    whole = isinstance(rows, int) and rows % _ROWS_REARRANGED == 0
    copied = foot.tied and whole and candidate.embedding_type in computer.repacked
    return foot.embedding if copied and not uses_graph_runner(model.architecture, model.parameters, run) else 0


def _contexts(model: Model) -> list[int]:
    if recurrent_state(model.architecture, model.parameters):
        return [CONTEXTS[0]]
    trained = model.trained_context or CONTEXTS[0]
    return [c for c in CONTEXTS if c <= trained] or [trained]


def _possible(model: Model, context: int) -> int:
    """Return the context that will be loaded where a user asks for one."""
    trained = model.trained_context
    return context if not trained or is_beyond_trained_context(model.parameters, context) else min(context, trained)


def _best_of_contexts(
    groups: Sequence[Sequence[RunConfiguration]],
) -> tuple[RunConfiguration, Sequence[RunConfiguration]] | None:
    """Return the choice, with the options of its context: a good quantization in the longest context that has one.

    Where none is good, a shorter context is taken for a better one, down to `_ENOUGH` tokens.
    """
    found = [(best, group) for group in groups if (best := _best(group)) is not None]
    good = next((pair for pair in found if pair[0].good), None)
    if good is not None or not found:
        return good
    long_enough = [pair for pair in found if pair[0].context >= _ENOUGH or pair[0].recurrent] or found[:1]
    return min(long_enough, key=lambda pair: pair[1].index(pair[0]))


def _best(options: Sequence[RunConfiguration]) -> RunConfiguration | None:
    """Return the best quality that is comfortable; else of the good ones that of the fastest; else the best that fits.

    A better one that is not told apart from the fastest counts as fast: of a model whose experts stay as they were published, all
    are nearly of one size.
    """
    fitting = [o for o in options if not o.shortfall]
    good = [o for o in fitting if o.good]
    if good:
        fast = max(o.tokens_per_second or 0 for o in good) / TOLD_APART
        return next(o for o in good if o.comfortable or (o.tokens_per_second or 0) >= fast)
    return fitting[0] if fitting else None


def _usable_memory(computer: Computer) -> int:
    return computer.free_bytes - max(_RESERVE, int(computer.total_bytes * _RESERVE_PART))


def _offload(foot: Footprint, computer: Computer) -> dict[str, DeviceAllocation]:
    """Put as many layers on GPUs as they take: on as few as possible, this computer's before workers', the roomiest first."""
    roomiest = sorted(computer.accelerators, key=lambda gpu: (gpu.link is None, gpu.free_bytes), reverse=True)
    best: dict[str, DeviceAllocation] = {}
    for count in range(1, len(roomiest) + 1):
        gpus = [gpu for gpu in computer.accelerators if gpu in roomiest[:count]]
        shares = _filled(foot, computer, gpus, foot.copied * _FURTHER_COPIES if count > 1 else 0)
        if count > 1 and _layers_of(shares) <= len(foot.blocks):  # no pipeline then, and a little more room
            more = _filled(foot, computer, gpus, 0)
            shares = more if _layers_of(more) <= len(foot.blocks) else shares
        if _layers_of(shares) > _layers_of(best):
            best = shares
        if _layers_of(best) > len(foot.blocks):
            break
    return best


def _filled(
    foot: Footprint, computer: Computer, gpus: Sequence[Accelerator], pipeline: int
) -> dict[str, DeviceAllocation]:
    """Fill GPUs as llama.cpp does: the last of them has the last blocks and the head, which counts as one more layer."""
    parts = list(zip(foot.blocks, foot.cache, strict=True))
    parts.append((foot.head + (foot.embedding if foot.tied else 0), 0))
    shares: dict[str, DeviceAllocation] = {}
    main_memory = _usable_memory(computer)
    for gpu in reversed(gpus):
        free = min(gpu.free_bytes, main_memory) if gpu.unified_memory else gpu.free_bytes - _DEVICE_RESERVE
        compute = foot.gpu_compute + pipeline + computer.corrections.get(gpu.name, 0)
        weights = cache = count = 0
        while parts and weights + cache + sum(parts[-1]) + compute <= free:
            more_weights, more_cache = parts.pop()
            weights, cache, count = weights + more_weights, cache + more_cache, count + 1
        if count:
            shares[gpu.name] = DeviceAllocation(gpu.name, count, weights, cache, compute, free)
            main_memory -= shares[gpu.name].total if gpu.unified_memory else 0
    return shares


def _layers_of(shares: Mapping[str, DeviceAllocation]) -> int:
    return sum(share.layers for share in shares.values())


def _tokens_per_second(
    model: Model, foot: Footprint, candidate: Candidate, computer: Computer, shares: Mapping[str, DeviceAllocation]
) -> float | None:
    """Return the speed of writing early in a chat that is alone; None: not known."""
    speed = computer.speed
    if speed is None or speed.disturbed:
        return None  # a wrong picture would put a larger quantization above a smaller one
    layers = len(foot.blocks)
    seconds = seconds_of_token(model.architecture, model.parameters, foot, candidate.read, candidate.operations, speed)
    left, total = 1.0, 0.0
    for gpu in computer.accelerators:
        part = shares[gpu.name].layers / (layers + 1) if gpu.name in shares else 0.0
        assumed = 1.0 if gpu.unified_memory or gpu.link is not None else _ASSUMED_GPU_GAIN
        total += seconds * part / (gpu.read_bytes_per_second / speed.of("Q8_0") or assumed)
        total += _seconds_on_the_way(gpu.link, model) if part and gpu.link is not None else 0.0
        left -= part
    return 1 / (total + seconds * max(0.0, left))


def _seconds_on_the_way(link: Link, model: Model) -> float:
    """Return what a token spends on the way to a worker and back: it goes there and returns as one vector."""
    width = model.parameters.get("embedding_length")
    vector = _FLOAT * width if isinstance(width, int) else 0
    return _TRIPS * link.round_trip + 2 * vector / max(1.0, link.bytes_per_second)


def _fixes(model: Model, computer: Computer, smallest: RunConfiguration) -> Iterator[RunConfiguration]:
    """Yield what would fit after all: a shorter context, a quantized cache."""
    candidate = next(c for c in model.candidates if c.quant == smallest.quant)
    if smallest.recurrent:
        return
    for kv_type in ("q8_0", "q4_0"):
        fix = option(model, candidate, computer, smallest.context, kv_type, smallest.parallel)
        if not fix.shortfall:
            yield fix
            break
    context = smallest.context // 2
    while context >= 512:
        fix = option(model, candidate, computer, context, parallel=smallest.parallel)
        if not fix.shortfall:
            yield fix
            break
        context //= 2


def _explanation(best: RunConfiguration, group: Sequence[RunConfiguration]) -> Sentence:
    """Say what was chosen, what it takes, and what kept the next better quantization from being chosen."""
    better = [o for o in group[: group.index(best)] if o.shortfall or o.good]
    if not better:
        return _choice(best)
    return Sentence("{choice} {reason}", choice=_choice(best), reason=_what_better_lacks(better[-1]))


def _choice(best: RunConfiguration) -> Sentence:
    places = tuple(_place(share) for share in reversed(best.shares))
    if best.tokens_per_second is None:
        return Sentence(
            "{quant}, {placement}, {context}: {places}.",
            quant=best.quant,
            placement=_placement(best),
            context=_context(best),
            places=places,
        )
    return Sentence(
        "{quant}, {placement}, {context}: {places}, about {rate} tokens a second.",
        quant=best.quant,
        placement=_placement(best),
        context=_context(best),
        places=places,
        rate=rate(best.tokens_per_second),
    )


def _what_better_lacks(better: RunConfiguration) -> Sentence:
    if better.shortfall:
        return Sentence("{quant} would lack {missing:size}.", quant=better.quant, missing=better.shortfall)
    return Sentence(
        "{quant} would fit too, but write only {rate} tokens a second.",
        quant=better.quant,
        rate=rate(better.tokens_per_second or 0),
    )


def rate(tokens_per_second: float) -> float:
    """Return tokens per second no more exactly than anybody wants to know them."""
    return round(tokens_per_second) if tokens_per_second >= 10 else round(tokens_per_second, 1)


def _place(share: DeviceAllocation) -> Sentence:
    if share.device == "RAM":
        return Sentence("{size:size} of {free:size} free in main memory", size=share.total, free=share.free)
    return Sentence(
        "{size:size} of {free:size} free on {device}", size=share.total, free=share.free, device=share.device
    )


def _refusal(smallest: RunConfiguration, fixes: Sequence[RunConfiguration]) -> Sentence:
    ways = tuple(
        Sentence("a context of {count} fits", count=fix.context)
        if fix.kv_type == "f16"
        else Sentence("a {type} cache fits", type=fix.kv_type)
        for fix in fixes
    )
    ways = ways or (Sentence("close other programs or choose a smaller model"),)
    if smallest.shortfall > smallest.bytes:  # less is free than the reserve
        return Sentence(
            "Even {quant} with {context} needs {size:size}, but no memory can be spared now: {missing:size} have to become "
            "free first; {ways}.",
            quant=smallest.quant,
            context=_context(smallest),
            size=smallest.bytes,
            missing=smallest.shortfall,
            ways=ways,
        )
    return Sentence(
        "Even {quant} with {context} needs {size:size}, {missing:size} more than is free now; {ways}.",
        quant=smallest.quant,
        context=_context(smallest),
        size=smallest.bytes,
        missing=smallest.shortfall,
        ways=ways,
    )


def _placement(chosen: RunConfiguration) -> Sentence:
    if chosen.gpu_layers > chosen.layers:
        return Sentence("all {count} layers on the GPU", count=chosen.layers)
    if chosen.gpu_layers:
        return Sentence("{part} of {count} layers on the GPU", part=chosen.gpu_layers, count=chosen.layers + 1)
    if chosen.threads == 1:
        return Sentence("on the processor with 1 thread")
    return Sentence("on the processor with {count} threads", count=chosen.threads)


def _context(chosen: RunConfiguration) -> Sentence:
    if chosen.recurrent:
        return Sentence("a context without limit")
    if chosen.beyond_trained_context:
        return Sentence("{count} tokens of context, more than it was trained with", count=chosen.context)
    if chosen.parallel > 1:
        return Sentence(
            "{count} tokens of context for each of {chats} chats", count=chosen.context, chats=chosen.parallel
        )
    return Sentence("{count} tokens of context", count=chosen.context)
