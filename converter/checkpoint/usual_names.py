"""Tensor names of wrapped or cut-out models, as the whole model alone would have them.

torch.compile, data-parallel training, FSDP, DeepSpeed, PEFT and trainers that put a model into another one write names in front
of its tensors or between; a model that was saved without its head has the names of its inner part.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable

from models.errors import UnsupportedModel

WRAPPERS = re.compile(
    r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module|_wrapped_module)\."
)
"""Parts of names that only wrappers have, wherever they stand."""
_BASE_LAYER = re.compile(r"(?<=\.)base_layer\.")
_OTHER_PARTS = re.compile(
    r"vis|image|video|audio|speech|sound|tower|project|encoder|draft|mtp|eagle|medusa|ema\b|teacher|reference|reward|critic",
    re.IGNORECASE,
)
"""Of parts of a model that are none for text, or of other models beside it."""


def without_wrappers(names: Iterable[str]) -> dict[str, str]:
    """Return stored names by what they are without wrappers' parts, and without a `module.` before every one of them."""
    unwrapped = {_BASE_LAYER.sub("", WRAPPERS.sub("", name)): name for name in names}
    while unwrapped and all(name.startswith("module.") for name in unwrapped):
        unwrapped = {name.removeprefix("module."): stored for name, stored in unwrapped.items()}
    return unwrapped


def usual_names(wanted: Collection[str], stored: Collection[str]) -> dict[str, str]:
    """Return for each stored name how the model that `wanted` is of would call it; names that nothing is known of stay.

    The layers tell: where their tensors are found below another beginning than the usual one, that is replaced.

    Args:
        wanted: names of the model's tensors.
        stored: names that a checkpoint has.

    Raises:
        UnsupportedModel: two models lie in it, below different beginnings.
    """
    usual, word, rests = _layers(wanted)
    beginnings = _beginnings(usual, word, rests, stored)
    if not beginnings or usual in beginnings:
        outside = {usual + name: name for name in wanted if usual and name not in stored}
        return {name: name if name in wanted else outside.get(name, name) for name in stored}
    most = max(beginnings.values())
    fullest = sorted(beginning for beginning, count in beginnings.items() if count == most)
    if len(fullest) > 1:
        raise UnsupportedModel(
            "This checkpoint holds several models, below {first!r} and {second!r}; save the one that you mean by itself.",
            first=fullest[0][:80],
            second=fullest[1][:80],
        )
    rename = _Renaming(wanted, usual, fullest[0])
    return {name: rename(name) for name in stored}


def _layers(wanted: Iterable[str]) -> tuple[str, str, set[str]]:
    """Return what stands before the word for layers, with its dot, that word, and a layer's names behind its number."""
    matches = [match for name in wanted if (match := re.match(r"((?:[^.]+\.)*?)([^.]+)\.\d+\.(.+)", name))]
    return (matches[0][1], matches[0][2], {match[3] for match in matches}) if matches else ("", "", set())


def _beginnings(usual: str, word: str, rests: Collection[str], stored: Iterable[str]) -> Counter[str]:
    """Count below which beginnings names of layers are stored, each with its dot; "" is one, too."""
    pattern = re.compile(rf"((?:.*\.)?){re.escape(word)}\.\d+\.(.+)")
    matches = [match for name in stored if word and (match := pattern.fullmatch(name)) and match[2] in rests]
    counts = Counter(match[1] for match in matches)
    return Counter({beginning: count for beginning, count in counts.items() if not _is_other_part(beginning, usual)})


def is_of_other_part(name: str) -> bool:
    """Tell whether a tensor's name is one of a part for images or sound, or of another model beside the one for text."""
    return _OTHER_PARTS.search(name) is not None


def _is_other_part(beginning: str, usual: str) -> bool:
    return not usual.endswith(beginning) and _OTHER_PARTS.search(beginning.removesuffix(usual)) is not None


class _Renaming:
    def __init__(self, wanted: Collection[str], usual: str, beginning: str) -> None:
        self._wanted, self._usual, self._found = frozenset(wanted), usual, beginning
        below = (name.removeprefix(usual) for name in wanted if name.startswith(usual))
        self._roots = {name.partition(".")[0] for name in below}
        self._outer = beginning.removesuffix(usual) if usual and beginning.endswith(usual) else ""
        parts = beginning.split(".")[:-1]
        self._above = [".".join(parts[:count]) + "." for count in range(len(parts), 0, -1)]
        self._cut = usual.removesuffix(beginning) if usual.endswith(beginning) else ""

    def __call__(self, name: str) -> str:
        if name in self._wanted:
            return name
        if name.startswith(self._found) and name.removeprefix(self._found).partition(".")[0] in self._roots:
            return self._usual + name.removeprefix(self._found)
        if self._outer and name.startswith(self._outer):
            return name.removeprefix(self._outer)
        shorter = (name.removeprefix(above) for above in self._above if name.startswith(above))
        return next((other for other in (*shorter, self._cut + name) if other in self._wanted), name)
