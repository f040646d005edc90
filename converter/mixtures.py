"""Mixtures of types by measurement: for a number of bytes, the type of each tensor with which least is lost.

Each tensor has options, each with its bytes and what it costs; one of each is chosen, within a budget: the multiple-choice
knapsack problem (Kellerer, Pferschy, Pisinger: Knapsack Problems, 2004, chapter 11), solved by dynamic programming over the bytes
above the smallest choice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from msgspec import Struct

from converter.gguf_header import all_tensors, is_gguf, read_gguf_header
from models.errors import BadFile, ZhiyinError
from models.gguf_constants import GGMLQuantizationType as Type
from models.untrusted_json import read_struct

MIXTURE_KEY = "zhiyin.quantize.mixture"
"""The metadata that holds a file's mixture, as `Mixture.text` writes it."""
_FORMAT = "zhiyin-mixture-1"
_STEPS = 40_000
"""Into which the bytes above the smallest choice are divided: what rounding leaves of them is filled up afterwards."""
_LARGEST = 8 * 1024 * 1024


@dataclass(frozen=True)
class Option:
    """A type that a tensor may have."""

    type: Type
    size: int
    """Bytes in the file, with the padding after them."""
    cost: float
    """What is lost, in nats of KL divergence; options of all tensors add up."""


class _File(Struct, frozen=True):
    """A mixture's JSON."""

    format: str
    types: dict[str, list[str]]
    """Names of tensors, by their type."""
    predicted_kl: float | None = None


@dataclass(frozen=True)
class Mixture:
    """The type of each tensor that is quantized."""

    types: Mapping[str, Type] = field(repr=False)
    predicted_kl: float | None = None
    """Mean KL divergence from the original, in nats; None: not measured."""

    def text(self) -> str:
        """Return it as JSON, which `read_mixture` reads."""
        by_type: dict[str, list[str]] = {}
        for name, type_ in self.types.items():
            by_type.setdefault(type_.name, []).append(name)
        return json.dumps({"format": _FORMAT, "predicted_kl": self.predicted_kl, "types": by_type})


def read_mixture(path: Path) -> Mixture:
    """Read a mixture that was exported, or take that of a GGUF file: the types of its matrices.

    Raises:
        BadFile: it is neither.
    """
    if is_gguf(path):
        tensors = all_tensors(read_gguf_header(path, arrays=False))
        return Mixture({name: tensor.type for name, tensor in tensors.items() if tensor.type is not Type.F32})
    decoded = read_struct(path, _File, largest=_LARGEST)
    if decoded.format != _FORMAT:
        raise BadFile("{path} is no mixture that Zhiyin exported; name one, or a GGUF file.", path=path)
    unknown = next((name for name in decoded.types if name not in Type.__members__), None)
    if unknown is not None:
        raise BadFile("{path} names a type {type} that there is not; export it again.", path=path, type=unknown[:40])
    types = {name: Type[type_] for type_, names in decoded.types.items() for name in names}
    return Mixture(types, decoded.predicted_kl)


def choose(tensors: Mapping[str, Sequence[Option]], budget: int) -> dict[str, Option]:
    """Return one option of each tensor, within `budget` bytes together, at the least cost.

    Raises:
        ZhiyinError: even the smallest ones are larger.
    """
    ladders = {name: _useful(options) for name, options in tensors.items()}
    smallest = sum(ladder[0].size for ladder in ladders.values())
    if smallest > budget:
        raise ZhiyinError(
            "Even the smallest mixture has {excess:size} more of weights than the {budget:size} that are allowed; allow more, or "
            "choose a smaller model.",
            excess=smallest - budget,
            budget=budget,
        )
    spare = min(budget - smallest, sum(ladder[-1].size - ladder[0].size for ladder in ladders.values()))
    chosen = _within(list(ladders.values()), spare)
    _fill(list(ladders.values()), chosen, budget)
    return {name: ladder[place] for (name, ladder), place in zip(ladders.items(), chosen, strict=True)}


def _useful(options: Sequence[Option]) -> list[Option]:
    """Return the options of a tensor by size, without those that cost no less than a smaller one."""
    useful: list[Option] = []
    for option in sorted(options, key=lambda option: (option.size, option.cost)):
        if not useful or option.cost < useful[-1].cost:
            useful.append(option)
    return useful


def _within(ladders: Sequence[Sequence[Option]], spare: int) -> list[int]:
    """Return the best place on each ladder, with at most `spare` bytes above the lowest places; bytes are rounded up."""
    unit = max(1, -(-spare // _STEPS))
    room = spare // unit
    best = np.zeros(room + 1)
    places = np.zeros((len(ladders), room + 1), np.int8)
    for row, ladder in enumerate(ladders):
        following = best + ladder[0].cost
        for place, option in enumerate(ladder[1:], 1):
            more = -(-(option.size - ladder[0].size) // unit)
            if more > room:
                break
            candidate = best[: room + 1 - more] + option.cost
            better = candidate < following[more:]
            following[more:][better] = candidate[better]
            places[row, more:][better] = place
        best = following
    chosen, left = [0] * len(ladders), room
    for row in reversed(range(len(ladders))):
        chosen[row] = int(places[row, left])
        left -= -(-(ladders[row][chosen[row]].size - ladders[row][0].size) // unit)
    return chosen


def _fill(ladders: Sequence[Sequence[Option]], chosen: list[int], budget: int) -> None:
    """Use the bytes that rounding left: the step that gains most of those that fit, as long as there is one."""
    left = budget - sum(ladder[place].size for ladder, place in zip(ladders, chosen, strict=True))
    while True:
        steps = [
            (ladder[place].cost - option.cost, option.size - ladder[place].size, row, higher)
            for row, (ladder, place) in enumerate(zip(ladders, chosen, strict=True))
            for higher, option in enumerate(ladder[place + 1 :], place + 1)
            if option.size - ladder[place].size <= left
        ]
        if not steps:
            return
        _, size, row, higher = max(steps)
        chosen[row] = higher
        left -= size
