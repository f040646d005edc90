"""A section cut before it becomes tokens, by the publisher's own steps, where llama.cpp has no rules that cut alike.

Source: huggingface/tokenizers, pre_tokenizers (split.rs, digits.rs, punctuation.rs, byte_level.rs, whitespace.rs, delimiter.rs,
fixed_length.rs, metaspace.rs, bert.rs, unicode_scripts) and tokenizer/normalizer.rs (`split`: what becomes of a match).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from models.vocab.byte_level import written
from models.vocab.publisher_regex import CIRCLED_LETTERS, NotTaken, compiled
from models.vocab.structures import Pattern, Step

KEY = "zhiyin.tokenizer.cuts"
"""GGUF key: the steps as JSON."""
BLANK = "\u2581"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_PUNCTUATION = r"[\p{P}$+<=>^`|~]"
_WORD = r"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}" + "\u200c\u200d" + "".join(sorted(CIRCLED_LETTERS))
"""Characters of words as Rust's regular expressions have them."""
_BEHAVIORS = ("Isolated", "Removed", "Kept", "MergedWithPrevious", "MergedWithNext", "Contiguous")
_MOST_STEPS = 16

Part = tuple[str, bool]
"""A text, and whether it begins the whole one."""
Cut = Callable[[str, bool], Iterable[Part]]


class CutStep(msgspec.Struct, omit_defaults=True):
    """One step, as the GGUF file holds it."""

    expression: str = ""
    behavior: str = "Isolated"
    """What becomes of a match: "Kept" leaves out all else."""
    length: int = 0
    """Of pieces in characters, in place of an expression."""
    inverted: bool = False
    """What lies between the matches counts as one."""
    kind: str = ""
    """A step without an expression: "bytes" and "blanks" write them, "space" puts one in front, "scripts" cuts between them."""
    scheme: str = ""
    """Blanks: which pieces get one in front, as Metaspace calls it."""
    blank: str = BLANK
    split: bool = True
    """Blanks begin pieces."""


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

    def pieces(self, section: str, *, first: bool = False) -> list[str]:
        """Return the pieces of a section, none empty; `first`: it begins the text."""
        parts: list[Part] = [(section, first)]
        for cut in self._cuts:
            parts = [piece for text, begins in parts for piece in cut(text, begins) if piece[0]]
        return [text for text, _ in parts]


def steps_of(leaves: Iterable[Step]) -> list[CutStep] | None:
    """Return what pre-tokenizers do; None where one is not known here."""
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
        return [
            *([CutStep(kind="space")] if step.add_prefix_space else ()),
            *([CutStep(_GPT2)] if step.use_regex is not False else ()),
            CutStep(kind="bytes"),
        ]
    if kind == "Metaspace":
        scheme = step.prepend_scheme or ("never" if step.add_prefix_space is False else "always")
        return [CutStep(kind="blanks", scheme=scheme, blank=step.replacement or BLANK, split=step.split is not False)]
    words = CutStep(r"\s", "Removed")
    made = {
        "Digits": [CutStep(r"\p{N}", "Isolated" if step.individual_digits else "Contiguous")],
        "Punctuation": [CutStep(_PUNCTUATION, behavior)],
        "Whitespace": [CutStep(f"[{_WORD}]+|[^{_WORD}\\s]+", "Kept")],
        "WhitespaceSplit": [words],
        "BertPreTokenizer": [words, CutStep(_PUNCTUATION)],
        "CharDelimiterSplit": [CutStep(_quoted(step.delimiter or ""), "Removed")],
        "FixedLength": [CutStep(length=step.length or 0)],
        "UnicodeScripts": [CutStep(kind="scripts")],
    }.get(kind, [CutStep()])
    return made if all(one.expression or one.length or one.kind for one in made) else None


def _split(step: Step, behavior: str) -> list[CutStep] | None:
    pattern = step.pattern or Pattern()
    expression = _quoted(pattern.String) if pattern.String is not None else pattern.Regex or ""
    if not expression:
        return None
    kept = step.invert and behavior == "Removed"
    return [CutStep(expression, "Kept")] if kept else [CutStep(expression, behavior, inverted=bool(step.invert))]


def _quoted(text: str) -> str:
    return "".join(character if character.isalnum() or character.isspace() else f"\\{character}" for character in text)


def _cut(step: CutStep) -> Cut:
    if step.kind:
        return _without_expression(step)
    if step.length:
        length = max(1, step.length)
        return lambda text, first: ((text[at : at + length], first and not at) for at in range(0, len(text), length))
    if step.behavior not in _BEHAVIORS:
        raise NotTaken(step.behavior)
    pattern = compiled(step.expression)
    return lambda text, first: _pieces(_parts(text, first, pattern, inverted=step.inverted), step.behavior)


def _without_expression(step: CutStep) -> Cut:
    if step.kind == "bytes":
        return lambda text, first: ((written(text.encode("utf-8", "replace")), first),)
    if step.kind == "space":
        return lambda text, first: ((text if text.startswith(" ") else f" {text}", first),)
    if step.kind == "scripts":
        return _by_scripts
    if step.kind == "blanks" and step.blank and step.scheme in ("always", "first", "never"):
        before = compiled(_quoted(step.blank))
        return lambda text, first: _blanks(text, first, step, before)
    raise NotTaken(step.kind)


def _blanks(text: str, first: bool, step: CutStep, pattern: re.Pattern[str]) -> Iterable[Part]:
    text = text.replace(" ", step.blank)
    if (step.scheme == "always" or (step.scheme == "first" and first)) and not text.startswith(step.blank):
        text = step.blank + text
    return _pieces(_parts(text, first, pattern), "MergedWithNext") if step.split else ((text, first),)


def _by_scripts(text: str, first: bool) -> Iterator[Part]:
    """Cut between scripts; the library loses the spaces in front of the first character."""
    start, last = -1, ""
    for at, character in enumerate(text):
        script = _script(character)
        if not script or script == last:
            continue
        if start >= 0:
            yield text[start:at], first and not start
        start, last = at, script
    if start >= 0:
        yield text[start:], first and not start


def _script(character: str) -> str:
    """Return a character's script, those of Japanese as one; "": it belongs to any."""
    from fontTools.unicodedata import script as script_of  # takes a while, and few tokenizers need it

    if character == " ":
        return ""
    script = script_of(character)
    if script == "Zzzz":
        return ""
    return "Hani" if character == "\u30fc" or script in ("Hira", "Kana") else script


def _pieces(parts: Iterable[tuple[str, bool, bool]], behavior: str) -> Iterable[Part]:
    if behavior in ("Removed", "Kept"):
        return ((part, first) for part, first, matches in parts if matches is (behavior == "Kept"))
    if behavior == "Isolated":
        return ((part, first) for part, first, _ in parts)
    return _merged(list(parts), behavior)


def _parts(
    text: str, first: bool, pattern: re.Pattern[str], *, inverted: bool = False
) -> Iterator[tuple[str, bool, bool]]:
    """Yield matches and what lies between them: each text, whether it begins the whole one, and whether it counts as a match."""
    done = 0
    for match in pattern.finditer(text):
        if done < match.start():
            yield text[done : match.start()], first and not done, inverted
        if match[0]:
            yield match[0], first and not match.start(), not inverted
        done = match.end()
    if done < len(text):
        yield text[done:], first and not done, inverted


def _merged(parts: Sequence[tuple[str, bool, bool]], behavior: str) -> list[Part]:
    """Return parts of which some join the one before or behind them."""
    joined: list[list[str]] = []
    last: bool | None = None
    order = reversed(parts) if behavior == "MergedWithNext" else parts
    for part, _, matches in order:
        joins = last is matches if behavior == "Contiguous" else matches and last is False
        if joins and joined:
            joined[-1].append(part)
        else:
            joined.append([part])
        last = matches
    first = bool(parts) and parts[0][1]
    if behavior == "MergedWithNext":
        joined = [[*reversed(group)] for group in reversed(joined)]
    return [("".join(group), first and not at) for at, group in enumerate(joined)]
