"""A plan in words: what was chosen and why, or what is lacking and what would fit."""

from __future__ import annotations

from collections.abc import Sequence

from desktop_app.planning.configuration import DeviceAllocation, RunConfiguration
from models.sentence import Sentence


def explanation(best: RunConfiguration, group: Sequence[RunConfiguration]) -> Sentence:
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


def refusal_of(smallest: RunConfiguration, fixes: Sequence[RunConfiguration]) -> Sentence:
    """Say what the smallest choice needs more than there is, and what would fit."""
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
