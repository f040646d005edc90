"""A text cut at the tokens that its tokenizer adds, and what is done to the sections before they become pieces.

llama.cpp knows one rule for the space in front of a section, no attributes of added tokens and no normaliser: its tokenizer is
given sections that are ready. Source: huggingface/tokenizers, tokenizers/src/tokenizer/added_vocabulary.rs (`find_matches`,
`extract_and_normalize`) and pre_tokenizers/metaspace.rs; google/sentencepiece, src/normalizer.cc (`add_dummy_prefix`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from models.vocab.longest import LongestOf
from models.vocab.publisher_regex import CIRCLED_LETTERS
from models.vocab.text_normalization import TextNormalization

CUT = "\ufdd0"
"""Keeps a control token's text apart from the token; a noncharacter, which no text holds. It is dropped with the cutting."""
_SPACES = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
)
_WORD = re.compile("[ \u2581][^ \u2581]*|[^ \u2581]+")
_HEAD = 64
"""Characters."""
_BLANKS = (" ", "\u2581")


class SpacePrefix(Enum):
    """Which sections get a space in front."""

    EACH = "each"
    """All: sentencepiece's dummy prefix, which publishers' code gives to every section."""
    MISSING = "missing"
    """All that do not begin with one: Metaspace "always"."""
    UNSPACED = "unspaced"
    """All that do not begin with an ASCII one: ByteLevel with `add_prefix_space`."""
    FIRST_MISSING = "first-missing"
    """The one that begins the text, where it does not begin with one: Metaspace "first"."""
    FIRST = "first"
    """The one that begins the text: sentencepiece where `legacy` is false."""
    NONE = "none"

    def before(self, section: str, *, first: bool) -> str:
        """Return what comes in front of a section."""
        if self is SpacePrefix.NONE or (self in (SpacePrefix.FIRST, SpacePrefix.FIRST_MISSING) and not first):
            return ""
        if self is SpacePrefix.UNSPACED:
            return "" if section.startswith(" ") else " "
        missing = self in (SpacePrefix.MISSING, SpacePrefix.FIRST_MISSING)
        return "" if missing and section.startswith(_BLANKS) else " "


@dataclass(frozen=True)
class AddedText:
    """A token that is found in texts as it is, before they become pieces."""

    id: int
    control: bool = False
    """Only templates write it."""
    lstrip: bool = False
    """It takes the spaces in front of it."""
    rstrip: bool = False
    single_word: bool = False
    """It is none inside a word."""
    normalized: bool = False
    """It is found in normalised texts."""


class Sections:
    """Cuts texts."""

    def __init__(
        self,
        added: Mapping[str, AddedText],
        normalization: TextNormalization | None = None,
        space: SpacePrefix = SpacePrefix.NONE,
        *,
        split_words: bool = False,
    ) -> None:
        """Take a tokenizer's added tokens by their texts, and what it does to what lies between them.

        `split_words`: sections end where a space follows.
        """
        self._split_words = split_words
        self._normalize = (lambda text: text) if normalization is None else normalization.normalize
        self._space = space
        raw = {text: token for text, token in added.items() if not token.normalized}
        normalized = {self._normalize(text): token for text, token in added.items() if token.normalized}
        self._kinds = {special: (_Matches(raw, special), _Matches(normalized, special)) for special in (True, False)}

    def cut(self, text: str, *, special: bool) -> Iterator[int | str]:
        """Yield ids of added tokens and the sections between them, ready for the model; `special`: control tokens are found."""
        raw, normalized = self._kinds[special]
        for part, at in raw.cut(text):
            if isinstance(part, int):
                yield part
                continue
            for piece, inner in normalized.cut(self._normalize(part)):
                first = at == inner == 0
                if isinstance(piece, int):
                    yield piece
                elif plain := piece.replace(CUT, ""):
                    yield from self._words(self._space.before(plain, first=first) + plain)

    def keeps_beginning(self, text: str) -> bool:
        """Tell whether the normaliser leaves a text's first character in it."""
        head = text[:_HEAD]
        return self._normalize(head) != self._normalize(head[1:])

    def _words(self, section: str) -> Iterable[str]:
        return _WORD.findall(section) if self._split_words else (section,)


class _Matches:
    """Finds tokens of one kind in a text."""

    def __init__(self, tokens: Mapping[str, AddedText], control: bool) -> None:
        self._tokens = {text: token for text, token in tokens.items() if control or not token.control}
        self._texts = LongestOf(self._tokens)

    def cut(self, text: str) -> Iterator[tuple[int | str, int]]:
        """Yield ids and the texts between them, none empty, with their places."""
        done = 0
        for at, text_of_token in self._texts.found_in(text) if self._tokens else ():
            token, start, stop = self._tokens[text_of_token], at, at + len(text_of_token)
            inside = _is_word(text[start - 1 : start]) or _is_word(text[stop : stop + 1])
            if start < done or (token.single_word and inside):
                continue
            while token.lstrip and start > done and text[start - 1] in _SPACES:
                start -= 1
            while token.rstrip and text[stop : stop + 1] in _SPACES:
                stop += 1
            if done < start:
                yield text[done:start], done
            yield token.id, start
            done = stop
        if done < len(text):
            yield text[done:], done


def _is_word(character: str) -> bool:
    """Tell whether a character is one of words as Rust's regular expressions have it; "" is none."""
    letter = character.isalpha() or character.isdecimal() or character in CIRCLED_LETTERS | {"\u200c", "\u200d"}
    return bool(character) and (letter or unicodedata.category(character) in ("Mn", "Mc", "Me", "Nl", "Pc"))
