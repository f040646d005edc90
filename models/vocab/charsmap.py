"""Compiles replacements of texts into sentencepiece's form; `normalizer` reads it and has its source."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Mapping

_BLOCK = 256
_VALUE = 1 << 31
_LEAF = 1 << 8
_FEW = 2
_LARGEST_OFFSET = 1 << 21


class _Node:
    def __init__(self) -> None:
        self.children: dict[int, _Node] = {}
        self.value: int | None = None


def compile_charsmap(replacements: Mapping[str, str]) -> bytes:
    """Return the compiled form of text -> replacement, b"" for none.

    Raises:
        ValueError: there are too many for the form's offsets, or a text is empty or holds a null character.
    """
    if not replacements:
        return b""
    root, texts = _Node(), bytearray()
    places: dict[str, int] = {}
    for text, replacement in replacements.items():
        if not text or "\0" in text + replacement:
            raise ValueError("an empty text or a null character cannot be replaced")
        if replacement not in places:
            places[replacement] = len(texts)
            texts += replacement.encode("utf-8") + b"\0"
        node = root
        for byte in text.encode("utf-8"):
            node = node.children.setdefault(byte, _Node())
        node.value = places[replacement]
    units = _laid_out(root)
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + bytes(texts)


def _laid_out(root: _Node) -> list[int]:
    """Return the double array: the children of a node lie in one block, each at the block's base, exclusive-or its byte."""
    units = [0] * _BLOCK
    taken = {0}
    bases: set[int] = {0}
    waiting = deque([(0, root)])
    place = 1
    while waiting:
        at, node = waiting.popleft()
        labels = [*([0] if node.value is not None else []), *node.children]
        if len(labels) > _FEW:  # a block of its own: room for many children is looked for too long
            base = len(units)
        else:
            base, place = _free_base(labels, taken, bases, place)
        bases.add(base)
        if at ^ base >= _LARGEST_OFFSET:
            raise ValueError("there are too many replacements")
        while len(units) <= base | (_BLOCK - 1):
            units += [0] * _BLOCK
        units[at] |= (at ^ base) << 10 | (_LEAF if node.value is not None else 0)
        if node.value is not None:
            taken.add(base)
            units[base] = _VALUE | node.value
        for label, child in node.children.items():
            taken.add(base ^ label)
            units[base ^ label] = label
            waiting.append((base ^ label, child))
    return units


def _free_base(labels: list[int], taken: set[int], bases: set[int], place: int) -> tuple[int, int]:
    """Return a base that no other node has, whose children find room from `place` on, and where to look next."""
    while True:
        base = place ^ labels[0]
        if base not in bases and not any(base ^ label in taken for label in labels):
            return base, place
        place += 1
