"""Changes of packed experts (PEFT's `target_parameters`), spread over the tensors in which a checkpoint has them.

transformers 5 computes with one tensor for all experts of a layer, and PEFT trains that; most checkpoints have a matrix for each
expert, and two for what is one tensor in memory (gate and up). Source of the shapes: peft, tuners/lora/layer.py, `ParamWrapper`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from converter.checkpoint.lora import Adapter, LowRank
from models.errors import UnsupportedModel
from models.family import Shape

_NESTED = re.compile(r"(\.base_layer)+(?=\.weight$)")
_EACH = re.compile(r"(?P<layer>(?:.+\.)?layers\.\d+\.).*\bexperts\.(?P<number>\d+)\.(?P<part>\w+)\.weight")
_LAYER = re.compile(r"(?:.+\.)?layers\.\d+\.")
_PARTS = {"gate_up_proj": (("gate_proj", "up_proj"), ("w1", "w3")), "down_proj": (("down_proj",), ("w2",))}
"""A packed parameter and the matrices of an expert that it consists of, in two customs of naming."""

_BESIDE = {"gate_up_proj": "input_linear.weight", "down_proj": "output_linear.weight"}
"""As Granite's checkpoints have them, beside the module of the experts."""


def spread_over_experts(adapter: Adapter, shapes: Mapping[str, Shape]) -> None:
    """Give an adapter's changes of packed experts the names and shapes of a base's tensors.

    Args:
        adapter: its names are the usual ones already.
        shapes: of the base's tensors.

    Raises:
        UnsupportedModel: the base has no experts that they fit.
    """
    packed: dict[str, list[str]] = defaultdict(list)
    for name in adapter.low_rank:
        outer = _NESTED.sub("", name)
        if len(shapes.get(outer, ())) != 2:
            packed[outer.removesuffix(".weight")].append(name)
    for module, names in packed.items():
        parameters = adapter.target_parameters(module)
        if not parameters:
            continue
        names.sort(key=len, reverse=True)  # the innermost was wrapped first
        for name, parameter in zip(names, parameters, strict=False):
            change = adapter.low_rank.pop(name)
            spread = dict(_spread(adapter, change, module, parameter, shapes)) if len(names) == len(parameters) else {}
            if not spread:
                raise _unknown(adapter, f"{module}.{parameter}")
            adapter.low_rank |= spread


def _spread(
    adapter: Adapter, change: LowRank, module: str, parameter: str, shapes: Mapping[str, Shape]
) -> Iterator[tuple[str, LowRank]]:
    beside = f"{module.rpartition('.')[0]}.{_BESIDE.get(parameter, '')}"
    stored = beside if beside in shapes else f"{module}.{parameter}"
    packed, trained = shapes.get(stored, ()), change.shape
    if len(packed) == 3:
        change = _of_experts(adapter, change, f"{module}.{parameter}", packed[0])
        square = trained[0] == trained[1]
        flipped = _lies_by_input(module, parameter, shapes) if square else packed[1:] != trained
        if packed[1:] == (trained[::-1] if flipped else trained) and change.rank:
            yield stored, replace(change, shape=packed, flipped=flipped)
        return
    for names in _PARTS.get(parameter, ()):
        each = _each_expert(module, names, shapes)
        rows = [shapes[name][0] for name in each[:: len(each) // len(names) or 1]]
        if not each or sum(rows) != trained[0]:
            continue
        experts = len(each) // len(names)
        change = _of_experts(adapter, change, f"{module}.{parameter}", experts)
        for number, name in enumerate(each):
            part, expert = divmod(number, experts)
            start = sum(rows[:part])
            if change.rank:
                cut = slice(start, start + rows[part])
                yield name, replace(change, shape=(rows[part], trained[1]), expert=expert, rows=cut)
        return


def _of_experts(adapter: Adapter, change: LowRank, name: str, experts: int) -> LowRank:
    rank = change.rank // experts if change.rank % experts == 0 else 0
    return replace(change, rank=rank, scale=adapter.scale(name, rank) if rank else 0.0, experts=experts)


def _each_expert(module: str, parts: tuple[str, ...], shapes: Mapping[str, Shape]) -> list[str]:
    """Return the names of the experts' matrices of a layer, those of the first part first; [] where a part is not there."""
    layer = _LAYER.match(module)
    if layer is None:
        return []
    by_part: dict[str, dict[int, str]] = {part: {} for part in parts}
    for name in shapes:
        match = _EACH.fullmatch(name) if name.startswith(layer[0]) else None
        if match is not None and match["part"] in by_part:
            by_part[match["part"]][int(match["number"])] = name
    counts = {len(numbers) for numbers in by_part.values()}
    return [numbers[key] for numbers in by_part.values() for key in sorted(numbers)] if len(counts) == 1 else []


def _lies_by_input(module: str, parameter: str, shapes: Mapping[str, Shape]) -> bool:
    """Tell of square matrices whether they lie transposed, by those beside them, of which one side is twice the other."""
    other = next((name for name in _PARTS if name != parameter), "")
    beside = shapes.get(f"{module}.{other}", ())
    return parameter in _PARTS and len(beside) == 3 and beside[1] < beside[2]


def _unknown(adapter: Adapter, parameter: str) -> UnsupportedModel:
    return UnsupportedModel(
        "{adapter} changes {parameter}, all experts of a layer at once (target_parameters), and the base has no experts in "
        "floats that it fits; name the base that it was trained on, in BF16.",
        adapter=adapter.path,
        parameter=parameter[:100],
    )
