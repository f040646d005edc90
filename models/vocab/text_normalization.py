"""The normaliser of a tokenizer.json, run on our side before a text becomes pieces.

llama.cpp has none for byte-level BPE, and for sentencepiece's BPE only blanks written as U+2581. Source: huggingface/tokenizers,
tokenizers/src/normalizers.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import msgspec

from models.vocab.bert_text import cleaned, is_chinese, without_accents
from models.vocab.byte_level import written
from models.vocab.normalizer import Graphemes
from models.vocab.publisher_regex import SPACES, compiled
from models.vocab.structures import Pattern, Step

KEY = "zhiyin.tokenizer.normalizer"
"""GGUF key: the steps as JSON, for normalisers that are more than one Unicode normal form."""
NORMAL_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
_MOST_STEPS = 32

Change = Callable[[str], str]


class NormalizationStep(msgspec.Struct, omit_defaults=True):
    """One step, as the GGUF file holds it."""

    type: str
    text: str = ""
    """What is looked for (Replace), put in front (Prepend), or sentencepiece's compiled replacements in base 64."""
    regex: bool = False
    """`text` is a regular expression."""
    content: str = ""
    """What takes its place."""
    left: bool = True
    right: bool = True


class TextNormalization:
    """A normaliser."""

    def __init__(self, steps: Iterable[NormalizationStep]) -> None:
        """Take the steps; raises `ValueError` for one that is not known here."""
        self._changes = [_change(step) for step in steps]

    @classmethod
    def of_json(cls, text: str | bytes) -> TextNormalization:
        """Make one of what a GGUF file holds; raises `ValueError` where that is damaged."""
        steps = msgspec.json.decode(text, type=list[NormalizationStep])
        if len(steps) > _MOST_STEPS:
            raise ValueError("it has more steps than any normaliser")
        return cls(steps)

    def normalize(self, text: str) -> str:
        """Return a text with all steps taken."""
        for change in self._changes:
            text = change(text)
        return text


def steps_of(steps: Iterable[Step]) -> tuple[list[NormalizationStep], list[str]]:
    """Return a tokenizer.json's steps that are known here, and the names of the others."""
    known: list[NormalizationStep] = []
    unknown: list[str] = []
    for step in steps:
        made = _of_bert(step) if step.type == "BertNormalizer" else [_made(step)]
        try:
            [*map(_change, made)]
        except ValueError:
            unknown.append(_name(step))
        else:
            known += made
    return known, unknown


def as_json(steps: Sequence[NormalizationStep]) -> str:
    """Return steps as `TextNormalization.of_json` takes them."""
    return msgspec.json.encode(steps).decode()


def _of_bert(step: Step) -> list[NormalizationStep]:
    """Return the steps that BERT's normaliser takes, in its order."""
    lowers = step.lowercase is not False
    asked = {
        _CLEANED: step.clean_text is not False,
        _SPACED_CHINESE: step.handle_chinese_chars is not False,
        _WITHOUT_ACCENTS: lowers if step.strip_accents is None else step.strip_accents,
        "Lowercase": lowers,
    }
    return [NormalizationStep(kind) for kind, wanted in asked.items() if wanted]


def _made(step: Step) -> NormalizationStep:
    pattern = step.pattern or Pattern()
    regex = pattern.String is None
    text = (pattern.Regex if regex else pattern.String) or ""
    return NormalizationStep(
        step.type or "",
        step.prepend or step.precompiled_charsmap or text,
        regex=step.type == "Replace" and regex,
        content=step.content or "",
        left=step.strip_left is not False,
        right=step.strip_right is not False,
    )


def _name(step: Step) -> str:
    pattern = step.pattern or Pattern()
    detail = pattern.Regex or pattern.String or ""
    return f"{step.type or '?'} {detail}".strip()[:60]


def _change(step: NormalizationStep) -> Change:
    kind = step.type
    if kind in NORMAL_FORMS:
        return lambda text: unicodedata.normalize(kind, text)  # type: ignore[arg-type]
    if kind == "Replace" and step.text:
        return _replacing(step)
    if kind == "Strip":
        return lambda text: _stripped(text, step)
    if kind in _SIMPLE_CHANGES:
        return _SIMPLE_CHANGES[kind]
    if kind == "Prepend":
        return lambda text: step.text + text if text else text
    if kind == "Precompiled":
        return Graphemes(base64.b64decode(step.text, validate=True)).replaced
    raise ValueError(f"{kind} is not known")


def _replacing(step: NormalizationStep) -> Change:
    if not step.regex:
        return lambda text: text.replace(step.text, step.content)
    expression = compiled(step.text)
    return lambda text: expression.sub(lambda _: step.content, text)


def _stripped(text: str, step: NormalizationStep) -> str:
    text = text.lstrip(_WHITE) if step.left else text
    return text.rstrip(_WHITE) if step.right else text


def _lowered(text: str) -> str:
    return "".join(map(str.lower, text))  # a character alone: Python's lower() looks at its neighbours


def _without_accents(text: str) -> str:
    return "".join(character for character in text if not unicodedata.category(character).startswith("M"))


def _without_control_characters(text: str) -> str:
    return _LEFT_OUT.sub("", _BLANKS.sub(" ", text))


_WHITE = "".join(re.findall(f"[{SPACES}]", "".join(map(chr, range(0x3001)))))
_LEFT_OUT = re.compile("[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]")
_BLANKS = re.compile("[\t\n\x0c\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]")
"""What "Nmt" leaves out and what it takes for blanks: normalizers/unicode.rs, `do_nmt`."""
_CLEANED, _SPACED_CHINESE, _WITHOUT_ACCENTS = "BertClean", "BertChinese", "BertAccents"
_SIMPLE_CHANGES: dict[str, Change] = {
    _CLEANED: lambda text: "".join(map(cleaned, text)),
    _SPACED_CHINESE: lambda text: "".join(f" {c} " if is_chinese(c) else c for c in text),
    _WITHOUT_ACCENTS: without_accents,
    "ByteLevel": lambda text: written(text.encode("utf-8", "replace")),
    "Lowercase": _lowered,
    "StripAccents": _without_accents,
    "Nmt": _without_control_characters,
}
