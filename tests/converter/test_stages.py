"""Stages of a conversion whose shards arrive one after the other."""

from __future__ import annotations

from converter.stages import Stage, most_held, stages


def test_each_shard_goes_when_nothing_needs_it_any_more() -> None:
    needs = {"embedding": {"a"}, "norm": set[str](), "qkv": {"a", "b"}, "experts": {"b", "c"}, "head": {"c"}}
    planned = stages(["a", "b", "c", "unused"], needs)
    assert planned == [
        Stage("a", frozenset({"embedding", "norm"}), ("a",), ()),
        Stage("b", frozenset({"qkv"}), ("a", "b"), ("a",)),
        Stage("c", frozenset({"experts", "head"}), ("b", "c"), ("b", "c")),
    ]


def test_the_worst_moment() -> None:
    planned = stages(["a", "b", "c"], {"1": {"a"}, "2": {"b"}, "3": {"b", "c"}})
    sizes = {"a": 10, "b": 3, "c": 4}
    assert most_held(planned, sizes) == 10
    assert most_held(planned[1:], sizes) == 7
    assert most_held(planned[2:], sizes, {"b": 3, "c": 1}) == 3, "what is here takes nothing more"
    assert most_held(planned, sizes, sizes) == 0
    assert most_held([], sizes) == 0
