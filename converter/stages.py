"""The stages of a conversion whose shards arrive one after the other: what can be made of each, and when it is done with."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Stage:
    """A shard's arrival, and its consequences."""

    shard: str
    """The file's name."""
    outputs: frozenset[str]
    """Tensors of the result for which everything is here once this shard is."""
    needed: tuple[str, ...]
    """Shards that these tensors are made of: this one and earlier ones."""
    freed: tuple[str, ...]
    """Shards that nothing needs any more once these tensors are written."""


def stages(shards: Sequence[str], needs: Mapping[str, Collection[str]]) -> list[Stage]:
    """Return the stages, one for each shard that anything is made of.

    Args:
        shards: names of the files, in the order in which they come.
        needs: for each tensor of the result the shards that it is made of.
    """
    used = [shard for shard in shards if any(shard in one for one in needs.values())]
    place = {shard: number for number, shard in enumerate(used)}
    complete = {output: max((place[shard] for shard in one), default=0) for output, one in needs.items()}
    last = dict.fromkeys(used, 0)
    for output, one in needs.items():
        for shard in one:
            last[shard] = max(last[shard], complete[output])
    return [_stage(number, used, needs, complete, last) for number in range(len(used))]


def _stage(
    number: int,
    used: Sequence[str],
    needs: Mapping[str, Collection[str]],
    complete: Mapping[str, int],
    last: Mapping[str, int],
) -> Stage:
    outputs = frozenset(output for output, at in complete.items() if at == number)
    needed = {used[number]}.union(*(needs[output] for output in outputs))
    freed = tuple(shard for shard, at in last.items() if at == number)
    return Stage(used[number], outputs, tuple(shard for shard in used if shard in needed), freed)


def most_held(
    planned: Sequence[Stage], sizes: Mapping[str, int], here: Mapping[str, int] = MappingProxyType({})
) -> int:
    """Return the bytes that shards take at the worst moment, beyond what they take now.

    Args:
        planned: the stages.
        sizes: bytes of each shard.
        here: bytes of each that are here now.
    """
    return max(_held(planned, sizes, here), default=0)


def _held(planned: Sequence[Stage], sizes: Mapping[str, int], here: Mapping[str, int]) -> Iterator[int]:
    held, fetched = 0, set[str]()
    for stage in planned:
        new = [shard for shard in stage.needed if shard not in fetched]
        fetched |= {*new}
        held += sum(sizes[shard] - here.get(shard, 0) for shard in new)
        yield held
        held -= sum(sizes[shard] for shard in stage.freed)
