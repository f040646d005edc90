"""The best run configurations of a model on this computer, with the bytes of each part.

How: quantization, context, layers on each device, tokens of a prompt at once, threads, and whether the weights stay in the file's
pages and are kept from being swapped out.

The best quality that still writes faster than a user reads comes first, then speed, within what is free now less a reserve.
Nothing is planned beyond what fits: then the plan says which smallest choice would, and what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from desktop_app.planning.configuration import (
    Accelerator,
    Candidate,
    Computer,
    DeviceAllocation,
    Model,
    RunConfiguration,
)
from desktop_app.planning.explanation import explanation, refusal_of
from desktop_app.planning.footprint import (
    Footprint,
    RunShape,
    footprint,
    recurrent_state,
    uses_graph_runner,
)
from desktop_app.planning.token_time import seconds_of_token
from desktop_app.sequences import snapshot_count
from desktop_app.system.link import Link
from models.dynamic_rotary import is_beyond_trained_context
from models.errors import ZhiyinError, refusal
from models.sentence import Sentence

DOES_NOT_FIT = "does-not-fit"
"""The code of a plan's refusal."""
CONTEXTS = (8192, 4096, 2048)
"""Tried in this order where the user names none."""
_BATCHES = (512, 256, 128)
"""Tokens of a prompt computed at once: fewer where memory is short, for they take less of it and read prompts more slowly."""
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
_ROWS_REPACKED = 8
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
        return Plan(None, refusal_of(smallest, fixes), (*options, *fixes))
    best, group = chosen
    return Plan(best, explanation(best, group), tuple(o for o in options if o is not best))


def option(
    model: Model, candidate: Candidate, computer: Computer, context: int, kv_type: str = "f16", parallel: int = 1
) -> RunConfiguration:
    """Return one way to run the model, with as many layers on GPUs as their memory takes.

    Prompts are computed in smaller parts where that makes it fit.
    """
    configuration = _spread(model, candidate, computer, RunShape(context, kv_type, _BATCHES[0], parallel))
    for batch in _BATCHES[1:]:
        buffers = configuration.batch_bytes + sum(share.compute for share in configuration.shares[1:])
        if not 0 < configuration.shortfall <= buffers:
            break
        configuration = _spread(model, candidate, computer, RunShape(context, kv_type, batch, parallel))
    return configuration


def _spread(model: Model, candidate: Candidate, computer: Computer, run: RunShape) -> RunConfiguration:
    """Leave graphics that share main memory alone where their own buffers are what does not fit."""
    placed = _placed(model, candidate, computer, run)
    sharing = {gpu.name for gpu in computer.accelerators if gpu.unified_memory}
    if not placed.shortfall or not any(share.device in sharing for share in placed.shares):
        return placed
    without = tuple(replace(gpu, free_bytes=0) if gpu.unified_memory else gpu for gpu in computer.accelerators)
    other = _placed(model, candidate, replace(computer, accelerators=without), run)
    return other if other.shortfall < placed.shortfall else placed


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
    is_repacked = isinstance(rows, int) and rows % _ROWS_REPACKED == 0
    copied = foot.tied and is_repacked and candidate.embedding_type in computer.repacked
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
    bests = [(best, group) for group in groups if (best := _best(group)) is not None]
    good = next((pair for pair in bests if pair[0].good), None)
    if good is not None or not bests:
        return good
    long_enough = [pair for pair in bests if pair[0].context >= _ENOUGH or pair[0].recurrent] or bests[:1]
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
