"""What a tokenizer.json does to a text around its model: the space in front, the normaliser, words apart.

What of it llama.cpp does not do goes into keys of ours, which the engine follows (`models.vocab.sections`); what neither does is
said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from models.sentence import Sentence
from models.vocab.sections import SpacePrefix
from models.vocab.structures import AnyTokenizer, Step, Tokenizer
from models.vocab.text_normalization import KEY, NORMAL_FORMS, NormalizationStep, as_json, steps_of
from models.vocab.vocabulary import NORMALIZATION, SPLIT_WORDS, Vocabulary

_BLANK = "\u2581"
_WRITES_BLANKS = NormalizationStep("Replace", " ", content=_BLANK)
"""llama.cpp does this itself for sentencepiece's pieces."""
_SCHEMES = {"always": SpacePrefix.MISSING, "first": SpacePrefix.FIRST_MISSING, "never": SpacePrefix.NONE}


def is_sentencepiece_like(tokenizer: Tokenizer) -> bool:
    """Tell whether a BPE tokenizer's pieces are characters with U+2581 for blanks, not bytes in a printable alphabet."""
    steps = [step.type for step in _leaves(tokenizer.pre_tokenizer)]
    return tokenizer.model.byte_fallback or ("Metaspace" in steps and "ByteLevel" not in steps)


def with_text_rules(vocabulary: Vocabulary, path: Path, tokenizer: Tokenizer | AnyTokenizer) -> Vocabulary:
    """Return a vocabulary with a tokenizer.json's rules around its model."""
    known, unknown = steps_of(_leaves(tokenizer.normalizer))
    if vocabulary.model == "llama":
        vocabulary = _with_spaces(vocabulary, known, [*_leaves(tokenizer.pre_tokenizer)])
        unknown += _unknown_splits(vocabulary, tokenizer.pre_tokenizer)
        known = [] if known == [_WRITES_BLANKS] else known
    else:
        byte_level = [step for step in _leaves(tokenizer.pre_tokenizer) if step.type == "ByteLevel"]
        if any(step.add_prefix_space for step in byte_level):
            vocabulary = replace(vocabulary, space=SpacePrefix.UNSPACED)
    extra = dict(vocabulary.extra)
    if len(known) == 1 and known[0].type in NORMAL_FORMS:
        extra[NORMALIZATION] = known[0].type
    elif known:
        extra[KEY] = as_json(known)
    return replace(vocabulary, extra=extra, warnings=(*vocabulary.warnings, *_warnings(path, unknown)))


def _with_spaces(vocabulary: Vocabulary, known: list[NormalizationStep], splits: list[Step]) -> Vocabulary:
    """Add which sections get a space in front, in our words and in llama.cpp's."""
    metaspace = next((step for step in splits if step.type == "Metaspace"), None)
    space = SpacePrefix.NONE
    if metaspace is not None:
        scheme = metaspace.prepend_scheme or ("never" if metaspace.add_prefix_space is False else "always")
        space = _SCHEMES.get(scheme, SpacePrefix.MISSING)
    prepends = any(step.type == "Prepend" for step in known)
    splits_words = (
        metaspace is not None and metaspace.split is not False and any(map(_crosses_words, vocabulary.tokens))
    )
    return replace(
        vocabulary,
        space=space,
        flags=vocabulary.flags | {"add_space_prefix": prepends or space is not SpacePrefix.NONE},
        extra=vocabulary.extra | ({SPLIT_WORDS: True} if splits_words else {}),
    )


def _crosses_words(token: str | bytes) -> bool:
    return isinstance(token, str) and _BLANK in token[1:]


def _unknown_splits(vocabulary: Vocabulary, pre_tokenizer: Step | None) -> Iterator[str]:
    """Yield the steps besides Metaspace that cut a text where pieces of the vocabulary go on."""
    for step in _leaves(pre_tokenizer):
        blank = step.type == "Split" and step.pattern is not None and step.pattern.String in (" ", _BLANK)
        digits = step.type == "Digits" and not any(
            isinstance(token, str) and sum(map(str.isnumeric, token)) > 1 for token in vocabulary.tokens
        )
        if not (step.type == "Metaspace" or blank or digits):
            yield step.type or "?"


def _warnings(path: Path, unknown: list[str]) -> Iterator[Sentence]:
    if unknown:
        yield Sentence(
            "{path} changes or cuts texts in ways that neither llama.cpp nor Zhiyin knows ({names}); some of them become other "
            "tokens.",
            path=path,
            names=", ".join(dict.fromkeys(unknown)),
        )


def _leaves(step: Step | None) -> Iterator[Step]:
    return iter(()) if step is None else step.leaves()
