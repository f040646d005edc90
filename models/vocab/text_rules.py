"""The rules of a tokenizer.json around its model: the space in front, the normaliser, splitting into words.

What of it llama.cpp does not do goes into keys of ours, which the engine follows (`models.vocab.sections`); what neither does is
said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from models.sentence import Sentence
from models.vocab.byte_level import LETTERS
from models.vocab.own_rules import unknown_steps
from models.vocab.piece_rules import KEY as RULES
from models.vocab.sections import SpacePrefix
from models.vocab.structures import AnyTokenizer, Step, Tokenizer
from models.vocab.text_normalization import KEY, NormalizationStep, as_json, steps_of
from models.vocab.vocabulary import EVERY_BLANK, LEADING_BLANKS, SPLIT_WORDS, TokenType, Vocabulary

_BLANK = "\u2581"
_WRITES_BLANKS = NormalizationStep("Replace", " ", content=_BLANK)
"""llama.cpp does this itself for sentencepiece's pieces."""
_MOST_BLANKS = 1024
_SCHEMES = {"always": SpacePrefix.MISSING, "first": SpacePrefix.FIRST_MISSING, "never": SpacePrefix.NONE}


def is_byte_level(tokenizer: Tokenizer) -> bool:
    """Tell whether a BPE tokenizer's pieces are bytes in a printable alphabet, not characters."""
    parts = [tokenizer.normalizer, tokenizer.pre_tokenizer]
    parts += [tokenizer.decoder] if all(letter in tokenizer.model.vocab for letter in LETTERS) else []
    return (
        any(step.type == "ByteLevel" for part in parts for step in _leaves(part)) and not tokenizer.model.byte_fallback
    )


def cuts_like_sentencepiece(tokenizer: Tokenizer, vocabulary: Vocabulary) -> bool:
    """Tell whether a text is cut at no other places than sentencepiece cuts it, and its spaces become U+2581."""
    known, _ = steps_of(_leaves(tokenizer.normalizer))
    steps = [*_leaves(tokenizer.pre_tokenizer)]
    spaces = [step for step in steps if step.type == "Metaspace"]
    writes_blanks = _WRITES_BLANKS in known
    at_spaces = [step for step in steps if step.pattern is not None and step.pattern.String == " " and writes_blanks]
    digits = [step for step in steps if step.type == "Digits" and not _has_long_numbers(vocabulary)]
    usual = not spaces or (steps[0] is spaces[0] and len(spaces) == 1 and spaces[0].replacement in (None, _BLANK))
    rest = [step for step in steps if step not in (*spaces, *at_spaces, *digits)]
    return usual and not rest and bool(writes_blanks or spaces)


def with_text_rules(vocabulary: Vocabulary, path: Path, tokenizer: Tokenizer | AnyTokenizer) -> Vocabulary:
    """Return a vocabulary with a tokenizer.json's rules around its model."""
    known, unknown = steps_of(_leaves(tokenizer.normalizer))
    if RULES in vocabulary.extra:
        vocabulary = replace(vocabulary, space=SpacePrefix.NONE)
    elif vocabulary.model not in ("llama", "gpt2"):
        unknown += unknown_steps(tokenizer.pre_tokenizer)
    elif vocabulary.model == "llama":
        vocabulary = _with_spaces(vocabulary, known, [*_leaves(tokenizer.pre_tokenizer)])
        unknown += _unknown_splits(vocabulary, tokenizer.pre_tokenizer)
        known = [] if known == [_WRITES_BLANKS] else known
    else:
        byte_level = [step for step in _leaves(tokenizer.pre_tokenizer) if step.type == "ByteLevel"]
        if any(step.add_prefix_space for step in byte_level):
            vocabulary = replace(vocabulary, space=SpacePrefix.UNSPACED)
    extra = dict(vocabulary.extra)
    if known:
        extra[KEY] = as_json(known)
    if tokenizer.decoder is not None:
        extra[LEADING_BLANKS] = _leading_blanks([*_leaves(tokenizer.decoder)])
    warnings = (*vocabulary.warnings, *_warnings(path, unknown), *of_decoder(path, vocabulary, tokenizer.decoder))
    return replace(vocabulary, extra=extra, warnings=warnings)


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


def _has_long_numbers(vocabulary: Vocabulary) -> bool:
    return any(isinstance(token, str) and sum(map(str.isnumeric, token)) > 1 for token in vocabulary.tokens)


def _unknown_splits(vocabulary: Vocabulary, pre_tokenizer: Step | None) -> Iterator[str]:
    """Yield the steps besides Metaspace that cut a text where pieces of the vocabulary go on."""
    for step in _leaves(pre_tokenizer):
        blank = step.type == "Split" and step.pattern is not None and step.pattern.String in (" ", _BLANK)
        digits = step.type == "Digits" and not _has_long_numbers(vocabulary)
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


def of_decoder(path: Path, vocabulary: Vocabulary, decoder: Step | None) -> Iterator[Sentence]:
    """Yield what becomes otherwise of replies, which are written token by token; without a decoder nothing is said of them."""
    steps = [*_leaves(decoder)]
    if not steps or _is_followed(vocabulary, steps):
        return
    yield Sentence(
        "{path} writes tokens as text by rules ({names}) that Zhiyin does not follow: replies may hold other spaces or "
        "characters than the publisher's.",
        path=path,
        names=", ".join(dict.fromkeys(step.type or "?" for step in steps)),
    )


def _is_followed(vocabulary: Vocabulary, steps: Sequence[Step]) -> bool:
    kinds = [step.type for step in steps]
    if vocabulary.model == "gpt2":
        return "ByteLevel" in kinds and {*kinds} <= {"ByteLevel", "Fuse"}
    if vocabulary.model == "bert" or '"plain":true' in vocabulary.extra.get(RULES, ""):
        return '"plain":true' in vocabulary.extra.get(RULES, "")
    fused = kinds.index("Fuse") if "Fuse" in kinds else len(kinds)
    if "Strip" in kinds[:fused]:
        return False  # it strips every token, not the text
    spells = TokenType.BYTE not in vocabulary.types or "ByteFallback" in kinds
    blanks = any(map(_writes_spaces, steps))
    return spells and blanks and all(_writes_spaces(step) or _is_usual(step) for step in steps)


def _leading_blanks(steps: Sequence[Step]) -> int:
    """Return how many spaces a decoder takes off the first token; `PieceRules` have WordPiece's own.

    Source: huggingface/tokenizers, pre_tokenizers/metaspace.rs and decoders/strip.rs.
    """
    for step in steps:
        if step.type == "Metaspace":
            never = step.prepend_scheme == "never" or (step.prepend_scheme is None and step.add_prefix_space is False)
            return 0 if never else EVERY_BLANK
        if step.type == "Strip" and step.content == " ":
            return min(step.start or 0, _MOST_BLANKS)
    return 0


def _writes_spaces(step: Step) -> bool:
    if step.type == "Metaspace":
        return step.replacement in (None, _BLANK)
    return step.type == "Replace" and step.content == " " and step.pattern is not None and step.pattern.String == _BLANK


def _is_usual(step: Step) -> bool:
    """Tell whether a step is what llama.cpp does, too; the engine takes off the space in front of a reply."""
    return step.type in ("ByteFallback", "Fuse") or (step.type == "Strip" and step.content == " " and not step.stop)


def _leaves(step: Step | None) -> Iterator[Step]:
    return iter(()) if step is None else step.leaves()
