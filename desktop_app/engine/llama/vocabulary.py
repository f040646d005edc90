"""llama.cpp's tokenizers: of a model that it has loaded, or of any file's vocabulary alone.

Texts are cut at control tokens here (`models.vocab.sections`), and llama.cpp is given the sections between them: it has one rule
for the space in front of a section, and it takes tokens for control tokens by their text, whatever the file says.
"""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Protocol

import llama_cpp.llama_cpp as llama
import msgspec

from converter.gguf_header import GGUFHeader, read_floats, read_numbers, read_texts
from models.errors import ZhiyinError
from models.vocab.byte_level import read
from models.vocab.byte_pairs import BytePairs
from models.vocab.cutting import KEY as CUTS
from models.vocab.cutting import Cutting
from models.vocab.lattice import UnigramPieces
from models.vocab.piece_rules import KEY as RULES
from models.vocab.piece_rules import MERGES, NO_PIECES, SCORES, PieceRules
from models.vocab.sections import CUT, AddedText, Sections, SpacePrefix
from models.vocab.text_normalization import KEY as NORMALIZER
from models.vocab.text_normalization import TextNormalization
from models.vocab.vocabulary import (
    ADDED,
    CHAT_TEMPLATE,
    ENDS,
    EVERY_BLANK,
    LEADING_BLANKS,
    NORMALIZATION,
    PREFIX,
    SPACE_PREFIX,
    SPLIT_WORDS,
    TRAITS,
    TokenType,
)
from models.vocab.whole_pieces import WholePieces
from models.vocab.wordpiece_tokenizer import WordPieces, WordPieceTokenizer

_SPACE = "▁"
_WORDPIECE_UNKNOWN = 100
"""llama.cpp's own, where a file does not say."""
_NORMAL_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
_TEXTS = (TokenType.NORMAL, TokenType.USER_DEFINED)
_CUT_HERE = (llama.LLAMA_VOCAB_TYPE_SPM, llama.LLAMA_VOCAB_TYPE_BPE, llama.LLAMA_VOCAB_TYPE_UGM)
"""The kinds whose texts are cut here; the others' tokens of beginnings and ends are llama.cpp's matter."""
_MARK = re.compile(r"<([|｜])[^<>]+\1>")
"""DeepSeek's <｜User｜> is no control token to its tokenizer, and no message means it; it may hold <think> and the like."""
_OLD_ENDS = "zhiyin.tokenizer.end_token_ids"
"""Ends besides those that llama.cpp guesses, in files that were converted before `ENDS`."""


def without_tokenizer() -> ZhiyinError:
    """Return the error of a model that knows no text."""
    return ZhiyinError(
        "This model was converted without a tokenizer; name token ids (--ids), or convert it with one.",
        code="no-tokenizer",
    )


class PieceModel(Protocol):
    """A model of pieces to ids."""

    def tokenize(self, piece: str, /) -> list[int]:
        """Return a piece's ids."""


class LlamaVocabulary:
    """A vocabulary in llama.cpp."""

    def __init__(self, pointer: llama.llama_vocab_p, header: GGUFHeader) -> None:
        """Wrap the vocabulary of a model that stays loaded, by `load_model` with `overridden`.

        Args:
            pointer: llama.cpp's.
            header: the file's, whose values may be wrong.
        """
        self._header = header
        metadata = self._metadata = header.metadata
        self._vocab = pointer
        kind = llama.llama_vocab_type(pointer)
        self._empty = kind == llama.LLAMA_VOCAB_TYPE_NONE
        """llama.cpp ends the process when asked about tokens of a file without any."""
        self._kind = kind
        self._pieces: dict[int, bytes] = {}
        self.pointer = pointer
        """llama.cpp's own, for what it does by itself with a vocabulary."""
        self.size = int(llama.llama_vocab_n_tokens(pointer))
        self._file_types = [] if self._empty else read_numbers(header, "tokenizer.ggml.token_type")
        self._bytes_left, self._characters = self._spelling()
        self._wordpiece = self._wordpiece_tokenizer(metadata)
        self._prefix = self._ids(metadata.get(PREFIX))
        self._normal_form = metadata.get(NORMALIZATION)
        bos, eos = llama.llama_vocab_bos(pointer), llama.llama_vocab_eos(pointer)
        begins = not self._empty and llama.llama_vocab_get_add_bos(pointer) and self._is_named("bos")
        self._opening = [*self._prefix, *([bos] if begins and kind in _CUT_HERE else [])]
        ends = not self._empty and llama.llama_vocab_get_add_eos(pointer) and self._is_named("eos")
        self.closing: Sequence[int] = [eos] if ends and kind in _CUT_HERE else []
        self.bos_text = "".join(map(self._text, self._prefix or ([bos] if self._is_named("bos") else [])))
        self.eos_text = self._text(eos) if self._is_named("eos") else ""
        self._blanks = self._leading_blanks()

    def tokenize(self, text: str, *, add_special: bool, special: bool) -> list[int]:
        """Return token ids; `CUT` inside the text of a control token keeps it text, and is dropped.

        Raises:
            ZhiyinError: the model has no tokenizer, or a damaged one.
        """
        if self._empty:
            raise without_tokenizer()
        if self._normal_form in _NORMAL_FORMS:
            text = unicodedata.normalize(self._normal_form, text)
        if self._wordpiece is not None:
            return self._wordpieces(self._wordpiece, text, add_special=add_special, special=special)
        if self._kind not in _CUT_HERE and CUT not in text:
            ids = self._encoded(text, add_special=add_special, special=special)
            return [*self._prefix, *ids] if add_special else ids
        ids = list(self._opening) if add_special else []
        if add_special and self._kind not in _CUT_HERE:
            ids += self._encoded("", add_special=True, special=False)
        return [*ids, *self._ids_of(text, special=special)]

    def _ids_of(self, text: str, *, special: bool) -> Iterator[int]:
        """Yield the ids of a text and of the added tokens in it."""
        lost = self._own_rules is not None and not self._sections.keeps_beginning(text)
        for at, part in enumerate(self._sections.cut(text, special=special)):
            if isinstance(part, int):
                yield part
            elif self._own_rules is None:
                for piece in self._apart(part):
                    yield from self._encoded(piece, add_special=False, special=False)
            else:
                cutting, pieces = self._own_rules
                for piece in cutting.pieces(part, first=not at and not lost):
                    yield from pieces.tokenize(piece)

    def _wordpiece_tokenizer(self, metadata: Mapping[str, Any]) -> WordPieceTokenizer | None:
        """Return the tokenizer of a WordPiece vocabulary, None for others."""
        if llama.llama_vocab_type(self._vocab) != llama.LLAMA_VOCAB_TYPE_WPM:
            return None
        texts = (llama.llama_vocab_get_text(self._vocab, token) or b"" for token in range(self.size))
        lowercase = metadata.get("tokenizer.ggml.normalizer.lowercase") is not False
        strips = metadata.get("tokenizer.ggml.normalizer.strip_accents", lowercase)
        unknown = metadata.get("tokenizer.ggml.unknown_token_id")
        return WordPieceTokenizer(
            {text.decode("utf-8", "replace"): token for token, text in enumerate(texts)},
            unknown if isinstance(unknown, int) and 0 <= unknown < self.size else _WORDPIECE_UNKNOWN,
            lowercase=lowercase,
            strip_accents=strips is not False,
        )

    def _wordpieces(self, tokenizer: WordPieceTokenizer, text: str, *, add_special: bool, special: bool) -> list[int]:
        if self._own_rules is not None:
            ids = [*self._ids_of(text, special=special)]
        else:
            parts = self._sections.cut(text, special=special)
            ids = [token for part in parts for token in ([part] if isinstance(part, int) else tokenizer.tokenize(part))]
        if not add_special:
            return ids
        return [llama.llama_vocab_bos(self._vocab), *ids, llama.llama_vocab_sep(self._vocab)]

    def piece(self, token: int) -> bytes:
        """Return a token's bytes, b"" for control tokens, and for rows of the head beyond the vocabulary."""
        known = self._pieces.get(token)
        if known is None:
            silent = token in self._demoted or not 0 <= token < self.size
            known = b"" if silent else self._written(token)
            self._pieces[token] = known
        return known

    def first_piece(self, token: int) -> bytes:
        """Return a token's bytes where a text begins with it."""
        if (rules := self._plain(token)) is not None:
            return rules.written_first(self._spelled(token, rules)).encode("utf-8", "replace")
        piece = self.piece(token)
        if self._blanks == EVERY_BLANK:
            return piece.replace(b" ", b"")
        return piece[min(len(piece) - len(piece.lstrip(b" ")), self._blanks) :]

    def ends_word(self, token: int) -> bool:
        """Tell whether the space at a token's end stands for the end of a word."""
        rules = self._plain(token)
        return rules is not None and rules.ends_word(self._raw_text(token))

    def control_texts(self) -> Sequence[str]:
        """Return the texts that only templates write: control tokens', and marks of turns that are added as ordinary ones."""
        return (*self._control, *self._marks)

    def is_end(self, token: int) -> bool:
        """Tell whether a token ends a reply."""
        return token in self._ends

    @cached_property
    def _attributes(self) -> Sequence[int]:
        """llama.cpp's attributes of each token."""
        return [llama.llama_vocab_get_attr(self._vocab, token) for token in range(0 if self._empty else self.size)]

    @cached_property
    def _types(self) -> Sequence[int]:
        """The tokens' types as the file has them: llama.cpp changes some by their texts."""
        types = self._file_types
        if len(types) != len(self._attributes):
            types = [_type_of(attributes) for attributes in self._attributes]
        for token in self._listed(ADDED):
            types[token] = TokenType.USER_DEFINED
        return types

    @cached_property
    def _ordinary(self) -> frozenset[int]:
        """The tokens that llama.cpp takes for control tokens by their texts, though the file says that they are none.

        Of a file that others converted, those that its template writes are meant as control tokens all the same.
        """
        template = "" if ENDS in self._metadata else str(self._metadata.get(CHAT_TEMPLATE, ""))
        named = {self._metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "eot", "eom")}
        changed = (
            token
            for token, (kind, attributes) in enumerate(zip(self._types, self._attributes, strict=True))
            if kind in _TEXTS and attributes & llama.LLAMA_TOKEN_ATTR_CONTROL
        )
        return frozenset(token for token in changed if token not in named and self._raw_text(token) not in template)

    @cached_property
    def _control(self) -> dict[str, int]:
        """The control tokens by their texts."""
        control = {}
        for token, (kind, attributes) in enumerate(zip(self._types, self._attributes, strict=True)):
            is_control = attributes & llama.LLAMA_TOKEN_ATTR_CONTROL and token not in self._ordinary
            if (is_control or kind in (TokenType.CONTROL, TokenType.UNKNOWN)) and (text := self._text(token)):
                control[text] = token
        return control

    @cached_property
    def _demoted(self) -> dict[int, str]:
        """The control tokens that llama.cpp takes for ordinary ones whatever the file says: gpt-oss's."""
        flag = llama.LLAMA_TOKEN_ATTR_USER_DEFINED
        return {token: text for text, token in self._control.items() if self._attributes[token] & flag}

    @cached_property
    def _ends(self) -> frozenset[int]:
        """The end-of-generation tokens: as the file says, else as llama.cpp guesses, ordinary tokens left out."""
        if (listed := self._listed(ENDS)) or self._empty:
            return frozenset(listed)
        candidates = {*self._control.values(), llama.llama_vocab_eos(self._vocab), llama.llama_vocab_eot(self._vocab)}
        guessed = (token for token in candidates if llama.llama_vocab_is_eog(self._vocab, token))
        return frozenset((*guessed, *self._listed(_OLD_ENDS)))

    @cached_property
    def _rules(self) -> PieceRules | None:
        """The file's piece rules; None: llama.cpp's apply."""
        try:
            return msgspec.json.decode(self._metadata[RULES], type=PieceRules) if RULES in self._metadata else None
        except (ValueError, TypeError):
            return None

    @cached_property
    def _own_rules(self) -> tuple[Cutting, PieceModel] | None:
        """How texts become tokens where llama.cpp has no rules that cut as the publisher's do."""
        rules = self._rules
        if rules is None:
            return None
        try:
            cutting = Cutting.of_json(self._metadata[CUTS])
        except (KeyError, ValueError, TypeError):
            return None
        texts = [text.decode("utf-8", "replace") for text in read_texts(self._header, "tokenizer.ggml.tokens")]
        return cutting, self._piece_model(rules, texts)

    def _scores(self) -> Sequence[float]:
        """Return Unigram's scores by id."""
        scores = read_floats(self._header, "tokenizer.ggml.scores")
        with suppress(ValueError, TypeError, KeyError):
            scores = msgspec.json.decode(self._metadata[SCORES], type=list[float])
        return [*scores, *[0.0] * (self.size - len(scores))]

    def _piece_model(self, rules: PieceRules, texts: Sequence[str]) -> PieceModel:
        of_pieces = (TokenType.NORMAL, TokenType.BYTE, *(() if rules.type == "Unigram" else (TokenType.USER_DEFINED,)))
        others = frozenset(self._listed(NO_PIECES))
        ids = {
            text: token
            for token, (text, kind) in enumerate(zip(texts, self._types, strict=False))
            if kind in of_pieces and token not in others
        }
        if rules.type == "Unigram":
            return UnigramPieces(ids, self._scores(), rules)
        if rules.type == "WordPiece":
            unknown = -1 if rules.unknown is None else rules.unknown
            return WordPieces(ids, unknown, longest=rules.longest)
        if rules.type == "WordLevel":
            return WholePieces(ids, rules.unknown)
        numbers = self._listed(MERGES)
        return BytePairs(ids, zip(numbers[::2], numbers[1::2], strict=False), rules)

    @cached_property
    def _cutting(self) -> Sequence[int]:
        """The tokens besides control tokens that are found in any text."""
        cutting = self._listed(ADDED)
        if SPACE_PREFIX not in self._metadata and self._kind == llama.LLAMA_VOCAB_TYPE_SPM:
            cutting = [token for token, kind in enumerate(self._types) if kind == TokenType.USER_DEFINED]
        return [*cutting, *(token for token in self._ordinary if self._types[token] == TokenType.USER_DEFINED)]

    @cached_property
    def _marks(self) -> Sequence[str]:
        """The texts of added tokens that are marks of turns."""
        return tuple(dict.fromkeys(filter(_MARK.fullmatch, map(self._raw_text, self._cutting))))

    @cached_property
    def _sections(self) -> Sections:
        metadata = self._metadata
        normalization, space = None, SpacePrefix.NONE
        with suppress(ValueError):
            space = SpacePrefix(metadata.get(SPACE_PREFIX, self._usual_space().value))
        with suppress(ValueError, TypeError):
            normalization = TextNormalization.of_json(metadata[NORMALIZER]) if NORMALIZER in metadata else None
        traits = {name: frozenset(self._listed(key)) for name, key in TRAITS.items()}
        tokens = [(text, token, True) for text, token in self._control.items()]
        tokens += [(self._raw_text(token), token, False) for token in self._cutting]
        added = {
            text: AddedText(token, control, **{name: token in ids for name, ids in traits.items()})
            for text, token, control in tokens
            if text
        }
        return Sections(added, normalization, space, split_words=metadata.get(SPLIT_WORDS) is True)

    def _usual_space(self) -> SpacePrefix:
        """Return llama.cpp's rule, for files that others converted."""
        adds = self._metadata.get("tokenizer.ggml.add_space_prefix", True)
        return SpacePrefix.EACH if self._kind == llama.LLAMA_VOCAB_TYPE_SPM and adds else SpacePrefix.NONE

    def _leading_blanks(self) -> int:
        """Return what the file says; where it says nothing, sentencepiece takes off what it has put in front."""
        blanks = self._metadata.get(LEADING_BLANKS)
        if isinstance(blanks, int):
            return max(blanks, EVERY_BLANK)
        adds = self._metadata.get("tokenizer.ggml.add_space_prefix", True)
        return int(self._kind == llama.LLAMA_VOCAB_TYPE_SPM and bool(adds))

    def _is_named(self, name: str) -> bool:
        """Tell whether the file names a token: llama.cpp takes one of its own otherwise, whatever that is in this file."""
        return f"tokenizer.ggml.{name}_token_id" in self._metadata

    def _check_spelling(self, text: str) -> None:
        """Refuse characters that there are no tokens for: llama.cpp would end the process."""
        for character in text.replace(" ", _SPACE):
            if character not in self._characters and not self._bytes_left.isdisjoint(
                character.encode("utf-8", "replace")
            ):
                raise ZhiyinError(
                    "The model's vocabulary has no token for {character}; leave it out, or convert the model again with its "
                    "own tokenizer.",
                    character=repr(character),
                )

    def _spelling(self) -> tuple[set[int], set[str]]:
        """Return the bytes that a sentencepiece vocabulary has no token for, and where there are any, its characters."""
        if self._kind != llama.LLAMA_VOCAB_TYPE_SPM:
            return set(), set()
        left = {b"<0x%02X>" % byte: byte for byte in range(256)}
        texts = []
        for token in range(self.size):
            texts.append(llama.llama_vocab_get_text(self._vocab, token) or b"")
            left.pop(texts[-1], None)
            if not left:
                return set(), set()
        decoded = (text.decode("utf-8", "replace") for text in texts)
        return set(left.values()), {text for text in decoded if len(text) == 1}

    def _encoded(self, text: str, *, add_special: bool, special: bool) -> list[int]:
        if self._bytes_left:
            self._check_spelling(text)
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        ids = (llama.llama_token * room)()
        count = llama.llama_tokenize(self._vocab, data, len(data), ids, room, add_special, special)
        if count < 0:
            raise ZhiyinError("The text could not be tokenized; the model's vocabulary is damaged: convert it again.")
        return list(ids[:count])

    def _apart(self, text: str) -> list[str]:
        """Cut a text inside each that llama.cpp takes for a token, so that none is found where only a text is meant."""
        for markup in (*self._demoted.values(), *self._marks):
            text = text.replace(markup, f"{markup[0]}{CUT}{markup[1:]}")
        return text.split(CUT)

    def _listed(self, key: str) -> list[int]:
        """Return ids that the file lists; [] where it lists none, or what are none."""
        return self._ids(read_numbers(self._header, key))

    def _ids(self, value: Any) -> list[int]:
        ids = value if isinstance(value, list) else []
        return ids if all(isinstance(number, int) and 0 <= number < self.size for number in ids) else []

    def _written(self, token: int) -> bytes:
        """Return what a token stands for in a text."""
        if (rules := self._plain(token)) is not None:
            return rules.written(self._spelled(token, rules)).encode("utf-8", "replace")
        if token not in self._ordinary:
            return self._read_piece(token, special=False)
        text = self._raw_text(token)
        is_bytes = self._kind == llama.LLAMA_VOCAB_TYPE_BPE
        return read(text) if is_bytes else text.replace(_SPACE, " ").encode()

    def _plain(self, token: int) -> PieceRules | None:
        """Return the rules that write a token; None: it is written as llama.cpp does."""
        known = self._rules is not None and self._rules.plain and 0 <= token < self.size
        return self._rules if known and self._types[token] in _TEXTS and token not in self._demoted else None

    def _spelled(self, token: int, rules: PieceRules) -> str:
        """Return a token as the publisher's vocabulary has it; llama.cpp marks where words begin instead of where they go on."""
        text = self._raw_text(token)
        if self._kind != llama.LLAMA_VOCAB_TYPE_WPM or self._types[token] != TokenType.NORMAL:
            return text
        return text[1:] if text.startswith(_SPACE) else rules.prefix + text

    def _read_piece(self, token: int, *, special: bool) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = llama.llama_token_to_piece(self._vocab, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _raw_text(self, token: int) -> str:
        return (llama.llama_vocab_get_text(self._vocab, token) or b"").decode("utf-8", "replace")

    def _text(self, token: int) -> str:
        """Return what is looked for in prompts: of RWKV's control token not its bytes, but how the file writes them."""
        if token < 0:
            return ""
        control = llama.llama_vocab_get_attr(self._vocab, token) & llama.LLAMA_TOKEN_ATTR_CONTROL
        return self._raw_text(token) if control else self._read_piece(token, special=True).decode("utf-8", "replace")


def _type_of(attributes: int) -> TokenType:
    kinds = (
        (llama.LLAMA_TOKEN_ATTR_CONTROL, TokenType.CONTROL),
        (llama.LLAMA_TOKEN_ATTR_UNKNOWN, TokenType.UNKNOWN),
        (llama.LLAMA_TOKEN_ATTR_USER_DEFINED, TokenType.USER_DEFINED),
    )
    return next((kind for flag, kind in kinds if attributes & flag), TokenType.NORMAL)
