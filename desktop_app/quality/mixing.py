"""Finds the mixture of types that loses least within a number of bytes, by measuring this very model.

The error that each type makes in each tensor is computed (`converter.sensitivity`); how much KL divergence such an error causes
is measured for groups of tensors, one at a time, end to end: all of a group are rounded coarsely, all else is left alone. Two
more files, of fine types alone, tell what the rounding of activations loses. All together are what each type of each tensor
costs, and `converter.mixtures` chooses. Divergences of small errors add up.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from statistics import median

from converter.atomic_write import unfinished_folder
from converter.checkpoint.gguf_file import GGUFFile
from converter.ggml_types import row_bytes
from converter.importance import Importance, read_importance
from converter.mixtures import Mixture, Option, choose
from converter.pipeline import ConvertRequest, convert, opened, plan
from converter.plan import ConversionPlan, Quantizable
from converter.probing import ProbeFile
from converter.recipes import Recipe, find_recipe, recipe_names
from converter.sensitivity import TensorErrors, activation_block, tensor_errors
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Unload
from desktop_app.paths import data_folder
from desktop_app.planning.candidates import model_of_mixture, model_of_quantizable
from desktop_app.planning.configuration import Computer
from desktop_app.planning.explanation import rate
from desktop_app.planning.planner import Plan
from desktop_app.planning.planner import plan as placed
from desktop_app.quality.measurement import MeasureRequest, measure_in
from desktop_app.quality.references import runnable
from desktop_app.quality.target import MixtureTarget
from desktop_app.quality.texts import BUILT_IN, probe_text
from models.errors import ZhiyinError
from models.gguf_constants import GGMLQuantizationType as Type
from models.system_errors import cannot_write

_DEPTHS = 2
"""Groups of layers, from the first to the last, in which a kind of tensor is probed by itself."""
_PROBED = (Type.Q4_K, Type.Q5_0)
"""What a group is quantized to for its probe: the first that divides its rows. Much coarser, and divergences do not add up; much
finer, and those of the coarse types are not foreseen."""
_FINE = (Type.Q8_0, Type.Q6_K)
"""For each way in which ggml rounds activations, the type of weights that itself rounds least."""
_OUTLIER = 10.0
"""Times the median of its group's output: a tensor that writes more is probed by itself."""
_CONTEXT = 128
"""Tokens in a chunk of the probes' text."""
_LEAST_DIVERGENCE = 1e-6
"""Nats; less is rounding."""
_UNCERTAIN_BYTES, _UNCERTAIN_PART = 600_000, 0.002
"""Left of the memory that is free: a load of a mixture took up to 0.6 MB more than a plan that another load had corrected."""
_TRIES = 8
_FIRST_PRICE, _HIGHEST_PRICE, _PRICE_STEP = 1e-3, 1e9, 8.0
"""Nats that a second of each token is taken to cost, from where the search for the lowest sufficient price begins."""

Listener = Callable[[float, str], None]
"""Hears of the part that is done (0 to 1), and of the phase ("convert", "sensitivity", "probe")."""


@dataclass(frozen=True)
class SpeedFloor:
    """How fast a mixture has to write, and where."""

    tokens_per_second: float
    computer: Computer


@dataclass(frozen=True)
class Penalty:
    """The price of a second per token, in nats: the more, the faster the types that are chosen."""

    nats_per_second: float
    seconds: Mapping[str, Mapping[Type, float]]
    """Of a token, that a tensor in a type takes."""

    def on(self, name: str, options: Sequence[Option]) -> list[Option]:
        """Return a tensor's options with what their time costs."""
        seconds = self.seconds[name]
        return [replace(option, cost=option.cost + self.nats_per_second * seconds[option.type]) for option in options]


@dataclass(frozen=True)
class Costs:
    """The costs of each type of each tensor."""

    options: Mapping[str, Sequence[Option]]

    def mixture(self, budget: int, penalty: Penalty | None = None) -> Mixture:
        """Return the best mixture whose tensors have at most `budget` bytes; a penalty comes on top of what each option costs."""
        options = (
            self.options if penalty is None else {name: penalty.on(name, self.options[name]) for name in self.options}
        )
        types = {name: option.type for name, option in choose(options, budget).items()}
        return Mixture(types, self.predicted(types))

    def predicted(self, types: Mapping[str, Type]) -> float:
        """Return the mean KL divergence that is predicted for any choice of types, in nats."""
        costs = {(name, option.type): option.cost for name, options in self.options.items() for option in options}
        return sum(costs[name, type_] for name, type_ in types.items() if name in self.options)


def measure_costs(request: ConvertRequest, imatrix: Path, on_progress: Listener = lambda *_: None) -> Costs:
    """Measure what each type of each tensor of a source costs.

    Args:
        request: the source, and how it is converted; its types do not matter.
        imatrix: the source's importance matrix.
        on_progress: see `Listener`; what it raises ends the work.

    Raises:
        ZhiyinError: one sentence.
    """
    importance = read_importance(imatrix)
    with opened(request) as (checkpoint, planned):
        quantizable = _quantizable(planned)
        count = len(quantizable.tensors)
        errors = tensor_errors(
            quantizable.tensors,
            checkpoint,
            importance,
            request.threads or os.cpu_count() or 1,
            lambda done: on_progress(done / count, "sensitivity"),
        )
        stored = dict(checkpoint.types) if isinstance(checkpoint, GGUFFile) else None
    exact = Mixture((stored or {}) | {error.name: Type.F16 for error in errors})
    in_full = replace(request, quant="F16", mixture=exact, imatrix=imatrix, allow_requantize=True, split_max_size=0)
    with _reference(request, on_progress) as reference, Engine() as engine:
        trial = _Trial(in_full, engine, reference, on_progress)
        counts = trial.counts(errors, importance)
        shares = trial.shares(errors, counts)
    return Costs({error.name: _options(error, counts[error.name], shares) for error in errors})


@dataclass(frozen=True)
class _Trial:
    """What errors of a model cost, tried on it."""

    request: ConvertRequest
    """Of all its matrices in F16."""
    engine: Engine
    reference: Path
    on_progress: Listener

    def counts(self, errors: Sequence[TensorErrors], importance: Importance) -> dict[str, float]:
        """Return the nats for each error of a tensor, by its name."""
        groups, counts = probe_groups(errors), dict[str, float]()
        with _probe_model(self.request) as model:
            probes = ProbeFile(model, importance, self.request.threads or os.cpu_count() or 1)
            for number, members in enumerate(groups.values()):
                self.on_progress(number / (len(groups) + len(_FINE)), "probe")
                probed = {member.name: _probe_type(member) for member in members}
                with probes.rounded(probed):
                    divergence = _divergence(self.engine, model, self.reference)
                factor = divergence_for_error(divergence, sum(m.errors[probed[m.name]] for m in members))
                counts |= dict.fromkeys(probed, factor)
        return counts

    def shares(self, errors: Sequence[TensorErrors], counts: Mapping[str, float]) -> dict[int, float]:
        """Return how much of the estimated rounding of activations there is, by the size of blocks."""
        shares = {}
        exact = self.request.mixture.types if self.request.mixture is not None else {}
        for left, type_ in enumerate(_FINE, -len(_FINE)):
            self.on_progress(1 + left / len(errors), "probe")
            fine = {error.name: type_ for error in errors if type_ in error.sizes}
            with _probe_model(replace(self.request, mixture=Mixture({**exact, **fine}))) as model:
                divergence = _divergence(self.engine, model, self.reference)
            shares[activation_block(type_)] = rounding_share(divergence, errors, counts, type_)
        return shares


def _options(error: TensorErrors, count: float, shares: Mapping[int, float]) -> list[Option]:
    """Return a tensor's types, where an error costs `count` nats and these shares of the estimated rounding are there."""
    options = []
    for type_, size in error.sizes.items():
        block = activation_block(type_)
        rounding = shares[block] * error.rounding[block] if block else 0.0
        options.append(Option(type_, size, count * (error.errors[type_] + rounding)))
    return options


def rounding_share(
    divergence: float, errors: Sequence[TensorErrors], counts: Mapping[str, float], type_: Type
) -> float:
    """Return how much of the estimated rounding of activations there is.

    Args:
        divergence: in nats, of a model in a fine type as far as it divides rows, as ggml computes it.
        errors: of its tensors.
        counts: nats for each error, by the tensor's name.
        type_: the fine type.
    """
    block = activation_block(type_)
    rounded = [error for error in errors if type_ in error.sizes]
    by_weights = sum(counts[error.name] * error.errors[type_] for error in rounded)
    by_activations = sum(counts[error.name] * error.rounding[block] for error in rounded)
    return max(0.0, divergence - by_weights) / by_activations if by_activations else 0.0


def divergence_for_error(divergence: float, error: float) -> float:
    """Return what an error of a group costs that was probed; nothing where every type holds its weights, such as zeros."""
    return max(_LEAST_DIVERGENCE, divergence) / error if error else 0.0


def plan_within(request: ConvertRequest, costs: Costs, size: int, floor: SpeedFloor | None = None) -> ConversionPlan:
    """Return the plan of the best mixture whose file has at most `size` bytes, and that writes fast enough.

    Raises:
        ZhiyinError: even the smallest file is larger, or even the fastest mixture slower.
    """
    budget = size - _fixed(request, costs)
    for _ in range(_TRIES):
        mixture = costs.mixture(budget) if floor is None else _fast_enough(request, costs, budget, floor)
        planned = _named(request, mixture)
        if planned.size <= size:
            return planned
        budget -= planned.size - size  # the mixture in the header has another length
    raise ZhiyinError("No mixture of exactly that size was found; ask for a slightly larger one.")


def plan_for(
    request: ConvertRequest,
    costs: Costs,
    target: MixtureTarget,
    computer: Callable[[], Computer],
    min_speed: float | None = None,
) -> ConversionPlan:
    """Return the plan of the best mixture for a target.

    Args:
        request: the source, and how it is converted.
        costs: measured on it.
        target: how large the file may be.
        computer: asked where its free memory or its speed matters.
        min_speed: tokens a second that the model has to write, as predicted; None: any.

    Raises:
        ZhiyinError: as `plan_within` and `bytes_that_fit`.
    """
    floor = None if min_speed is None else SpeedFloor(min_speed, computer())
    if target.size:
        size = target.size
    elif target.bits:
        size = bytes_of_bits(request, target.bits)
    else:
        size = bytes_that_fit(request, costs, computer() if floor is None else floor.computer)
    return plan_within(request, costs, size, floor)


def _fast_enough(request: ConvertRequest, costs: Costs, budget: int, floor: SpeedFloor) -> Mixture:
    """Return the best mixture with the lowest price of time that makes it fast enough."""
    quantizable = _quantizable(plan(replace(request, quant="F16", mixture=None)))
    seconds = _seconds(quantizable, costs, floor.computer)

    def made(price: float) -> tuple[Mixture, float]:
        mixture = costs.mixture(budget, Penalty(price, seconds) if price else None)
        speed = placed(model_of_mixture(quantizable, mixture), floor.computer).chosen.tokens_per_second
        return mixture, speed or 0.0

    best, speed = made(0.0)
    if speed >= floor.tokens_per_second:
        return best
    low, high = 0.0, _FIRST_PRICE
    best, speed = made(high)
    while speed < floor.tokens_per_second:
        if high > _HIGHEST_PRICE:
            raise ZhiyinError(
                "Even the fastest mixture in that size writes only about {rate} tokens a second here; ask for fewer, or for a "
                "smaller file.",
                rate=rate(speed),
            )
        low, high = high, high * _PRICE_STEP
        best, speed = made(high)
    for _ in range(_TRIES):
        middle = math.sqrt(max(low, high / _PRICE_STEP) * high)
        mixture, speed = made(middle)
        if speed >= floor.tokens_per_second:
            best, high = mixture, middle
        else:
            low = middle
    return best


def _seconds(quantizable: Quantizable, costs: Costs, computer: Computer) -> dict[str, dict[Type, float]]:
    """Return what each option of each tensor takes of a token's time on the processor.

    Raises:
        ZhiyinError: the computer's speed is not known.
    """
    speed = computer.speed
    if speed is None or speed.disturbed:
        raise ZhiyinError(
            "Other programs kept this computer too busy to measure its speed; close them and try again, or leave out --min-speed."
        )
    tied = all(tensor.name != "output.weight" for tensor in quantizable.tensors)
    experts, used = (quantizable.parameters.get(f"expert_{name}") for name in ("count", "used_count"))
    part = used / experts if isinstance(experts, int) and isinstance(used, int) and experts else 1.0
    seconds: dict[str, dict[Type, float]] = {}
    for tensor in quantizable.tensors:
        share = part if "_exps." in tensor.name else 1.0
        if tensor.name.startswith("token_embd.") and not tied:
            share = 0.0  # one row of it is read
        rows = prod(tensor.shape[:-1])
        seconds[tensor.name] = {
            option.type: share * (option.size / speed.of(option.type.name) + rows * speed.of_row(option.type.name))
            for option in costs.options.get(tensor.name, ())
        }
    return seconds


def bytes_that_fit(request: ConvertRequest, costs: Costs, computer: Computer) -> int:
    """Return the bytes of the largest file that the planner finds room for on a computer, less what it cannot know for certain.

    Raises:
        ZhiyinError: not even the smallest one fits; the sentence says what it lacks.
    """
    quantizable = _quantizable(plan(replace(request, quant="F16", mixture=None)))
    sizes = [[option.size for option in options] for options in costs.options.values()]
    least, most = sum(map(min, sizes)), sum(map(max, sizes))
    usual = placed(model_of_quantizable(quantizable), computer).best
    context = (usual.context if usual is not None else 0) or None  # a longer chat is not given up for a larger file
    if usual is not None:
        left = _UNCERTAIN_BYTES + int(_UNCERTAIN_PART * usual.shares[0].free)
        computer = replace(computer, free_bytes=computer.free_bytes - left)

    def run_in(budget: int) -> Plan:
        return placed(model_of_mixture(quantizable, costs.mixture(budget)), computer, context=context)

    smallest = run_in(least)
    if smallest.best is None:
        raise ZhiyinError("Not even the smallest mixture fits: {reason}", reason=smallest.reason)
    step = max(1, least // 1000)
    while most - least > step:
        middle = (least + most) // 2
        least, most = (middle, most) if run_in(middle).best is not None else (least, middle)
    return least + _fixed(request, costs)


def bytes_of_bits(request: ConvertRequest, bits: float) -> int:
    """Return the bytes of a file whose weights have so many bits on average."""
    planned = plan(replace(request, quant="F32", mixture=None, allow_requantize=True))
    elements = sum(placed.size for part in planned.parts for placed in part.layout.tensors) // 4
    header = sum(len(part.layout.header) for part in planned.parts)
    return int(header + elements * bits / 8)


def _fixed(request: ConvertRequest, costs: Costs) -> int:
    """Return the bytes of a file besides the tensors that a mixture is chosen for."""
    smallest = {name: min(options, key=lambda option: option.size) for name, options in costs.options.items()}
    mixture = Mixture({name: option.type for name, option in smallest.items()})
    return plan(replace(request, quant="F16", mixture=mixture)).size - sum(o.size for o in smallest.values())


def _named(request: ConvertRequest, mixture: Mixture) -> ConversionPlan:
    """Return a mixture's plan, with the file type of the recipe that is nearest in size."""
    planned = plan(replace(request, quant="F16", mixture=mixture))
    quantizable = _quantizable(planned)
    size = sum(placed.size for part in planned.parts for placed in part.layout.tensors)
    nearest = min(map(find_recipe, recipe_names()), key=lambda recipe: abs(_bytes(quantizable, recipe) - size))
    return plan(replace(request, quant=nearest.name, mixture=mixture))


def _bytes(quantizable: Quantizable, recipe: Recipe) -> int:
    types = quantizable.types_of(recipe)
    return sum(
        row_bytes(type_, t.shape[-1]) * prod(t.shape[:-1]) for t, type_ in zip(quantizable.tensors, types, strict=True)
    )


def _quantizable(planned: ConversionPlan) -> Quantizable:
    if planned.quantizable is None:
        raise ZhiyinError("An adapter stays in full precision; leave out --size, --bits and --quant fit.")
    return planned.quantizable


@contextmanager
def _reference(request: ConvertRequest, on_progress: Listener) -> Iterator[Path]:
    with runnable(
        request.source, lambda progress: on_progress(progress.bytes_done / max(1, progress.bytes_total), "convert")
    ) as path:
        yield path


def probe_groups(errors: Sequence[TensorErrors]) -> dict[str, list[TensorErrors]]:
    """Return tensors of one kind and one depth together, and each alone that writes far more than the others of its kind."""
    layers = 1 + max((tensor.layer for tensor in errors), default=0)
    groups: defaultdict[str, list[TensorErrors]] = defaultdict(list)
    for tensor in errors:
        kind = tensor.name.split(".", 2)[-1] if tensor.layer >= 0 else tensor.name
        groups[f"{kind} {max(0, tensor.layer) * _DEPTHS // layers}"].append(tensor)
    return dict(_apart(groups))


def _apart(groups: Mapping[str, list[TensorErrors]]) -> Iterator[tuple[str, list[TensorErrors]]]:
    """Yield groups without the tensors that the first token of a text makes write far more, and these each alone."""
    for name, members in groups.items():
        usual = _OUTLIER * median(member.output for member in members)
        if together := [member for member in members if member.output <= usual]:
            yield name, together
        for member in members:
            if member.output > usual:
                yield member.name, [member]


def _probe_type(tensor: TensorErrors) -> Type:
    return next((type_ for type_ in _PROBED if type_ in tensor.sizes), min(tensor.sizes, key=lambda t: tensor.sizes[t]))


@contextmanager
def _probe_model(request: ConvertRequest) -> Iterator[Path]:
    """Lend a conversion that may be written to; what it fails with on the disk is a `ZhiyinError`."""
    target = data_folder() / "probe.gguf"
    try:
        with unfinished_folder(target) as folder:
            yield convert(replace(request, out=folder / target.name)).path
    except OSError as error:
        raise cannot_write(target, error) from error


def _divergence(engine: Engine, model: Path, reference: Path) -> float:
    """Return the mean KL divergence of a model, which is not loaded any more afterwards."""
    measurement = measure_in(engine, MeasureRequest(model, probe_text(), BUILT_IN, reference, _CONTEXT))
    engine.submit(Unload()).result()  # nobody writes to a file that is mapped
    assert measurement.quality.kl_mean is not None  # noqa: S101 - it has a reference
    return measurement.quality.kl_mean
