"""A section cut before it becomes tokens, by the publisher's own steps, where llama.cpp has no rules that cut alike.

Source: huggingface/tokenizers, pre_tokenizers (split.rs, digits.rs, punctuation.rs, byte_level.rs, whitespace.rs, delimiter.rs,
fixed_length.rs) and tokenizer/normalizer.rs (`split`: what each behavior makes of a match).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from models.vocab.publisher_regex import NotTaken, compiled
from models.vocab.structures import Pattern, Step

KEY = "zhiyin.tokenizer.cuts"
"""GGUF key: the steps as JSON."""
IGNORE_MERGES = "zhiyin.tokenizer.ignore_merges"
"""GGUF key: a piece that is a token as a whole is not merged from bytes."""
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_PUNCTUATION = r"[\p{P}$+<=>^`|~]"
_BEHAVIORS = ("Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous")
_MOST_STEPS = 16

Pieces = Iterable[str]


class CutStep(msgspec.Struct, omit_defaults=True):
    """One step, as the GGUF file holds it."""

    expression: str = ""
    behavior: str = "Isolated"
    length: int = 0
    """Of pieces in characters, in place of an expression."""


class Cutting:
    """Cuts sections."""

    def __init__(self, steps: Iterable[CutStep]) -> None:
        """Take the steps; raises `ValueError` for one that is not known here."""
        self._cuts = [_cut(step) for step in steps]
        if len(self._cuts) > _MOST_STEPS:
            raise NotTaken("it has more steps than any tokenizer")

    @classmethod
    def of_json(cls, text: str | bytes) -> Cutting:
        """Make one of what a GGUF file holds; raises `ValueError` where that is damaged."""
        return cls(msgspec.json.decode(text, type=list[CutStep]))

    def pieces(self, section: str) -> list[str]:
        """Return the pieces of a section, none empty."""
        found = [section]
        for cut in self._cuts:
            found = [piece for part in found for piece in cut(part) if piece]
        return found


def cuts_of(pre_tokenizer: Step | None) -> list[CutStep] | None:
    """Return the steps of a pre-tokenizer that ends with bytes; None where one is not known here."""
    leaves = [] if pre_tokenizer is None else [*pre_tokenizer.leaves()]
    kinds = [leaf.type for leaf in leaves]
    spaced = len(leaves) > 1 and any(leaf.type == "ByteLevel" and leaf.add_prefix_space for leaf in leaves)
    if kinds.count("ByteLevel") != 1 or kinds[-1] != "ByteLevel" or spaced:
        return None
    steps: list[CutStep] = []
    for leaf in leaves:
        made = _made(leaf)
        if made is None:
            return None
        steps += made
    try:
        Cutting(steps)
    except ValueError:
        return None
    return steps


def as_json(steps: Sequence[CutStep]) -> str:
    """Return steps as `Cutting.of_json` takes them."""
    return msgspec.json.encode(steps).decode()


def _made(step: Step) -> list[CutStep] | None:
    """Return what a step does; None: it is not known here."""
    kind, behavior = step.type or "", step.behavior or "Isolated"
    if kind == "Split":
        return _split(step, behavior)
    if kind == "ByteLevel":
        return [] if step.use_regex is False else [CutStep(_GPT2)]
    made = {
        "Digits": CutStep(r"\p{N}", "Isolated" if step.individual_digits else "Contiguous"),
        "Punctuation": CutStep(_PUNCTUATION, behavior),
        "WhitespaceSplit": CutStep(r"\s", "Removed"),
        "CharDelimiterSplit": CutStep(_quoted(step.delimiter or ""), "Removed"),
        "FixedLength": CutStep(length=step.length or 0),
    }.get(kind)
    return None if made is None or not (made.expression or made.length) else [made]


def _split(step: Step, behavior: str) -> list[CutStep] | None:
    pattern = step.pattern or Pattern()
    expression = _quoted(pattern.String) if pattern.String is not None else pattern.Regex or ""
    inverted = _inverted(behavior) if step.invert else behavior
    return [CutStep(expression, inverted)] if expression and inverted else None


def _inverted(behavior: str) -> str:
    """Return the behavior that does with matches what another does with what lies between them."""
    return {"Isolated": "Isolated", "Removed": "Kept"}.get(behavior, "")


def _quoted(text: str) -> str:
    return "".join(character if character.isalnum() or character.isspace() else f"\\{character}" for character in text)


def _cut(step: CutStep) -> Callable[[str], Pieces]:
    if step.length:
        length = max(1, step.length)
        return lambda text: (text[at : at + length] for at in range(0, len(text), length))
    if step.behavior not in (*_BEHAVIORS, "Kept"):
        raise NotTaken(step.behavior)
    pattern = compiled(step.expression)
    return lambda text: _pieces(text, pattern, step.behavior)


def _pieces(text: str, pattern: re.Pattern[str], behavior: str) -> Iterator[str]:
    parts = list(_parts(text, pattern))
    if behavior in ("Removed", "Kept"):
        yield from (part for part, matches in parts if matches is (behavior == "Kept"))
    elif behavior == "Isolated":
        yield from (part for part, _ in parts)
    else:
        yield from _merged(parts, behavior)


def _parts(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, bool]]:
    done = 0
    for match in pattern.finditer(text):
        if match.start() == match.end():
            continue
        if done < match.start():
            yield text[done : match.start()], False
        yield match[0], True
        done = match.end()
    if done < len(text):
        yield text[done:], False


def _merged(parts: Sequence[tuple[str, bool]], behavior: str) -> list[str]:
    """Return parts of which some join the one before or behind them."""
    joined: list[list[str]] = []
    last: bool | None = None
    order = reversed(parts) if behavior == "MergedWithNext" else parts
    for part, matches in order:
        joins = last is matches if behavior == "Contiguous" else matches and last is False
        if joins and joined:
            joined[-1].append(part)
        else:
            joined.append([part])
        last = matches
    if behavior == "MergedWithNext":
        return ["".join(reversed(group)) for group in reversed(joined)]
    return ["".join(group) for group in joined]
