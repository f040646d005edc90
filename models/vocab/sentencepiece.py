"""Sentencepiece models (`tokenizer.model`), read directly from their protocol buffer.

Field numbers: google/sentencepiece, src/sentencepiece_model.proto.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.errors import BadFile
from models.sentence import Sentence
from models.untrusted_json import MOST_TOKENS, read_bytes
from models.vocab.normalizer import Normalizer
from models.vocab.sections import SpacePrefix
from models.vocab.structures import AddedToken
from models.vocab.vocabulary import TokenType, Vocabulary

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_PIECE_TEXT, _PIECE_SCORE, _PIECE_TYPE = 1, 2, 3
_MODEL_TYPE, _UNK, _BOS, _EOS, _PAD = 3, 40, 41, 42, 43
_CHARSMAP, _DUMMY_PREFIX, _EXTRA_SPACES = 2, 3, 4
_OF_PIECE = frozenset((_PIECE_TEXT, _PIECE_SCORE, _PIECE_TYPE))
_OF_TRAINER = frozenset((_MODEL_TYPE, _UNK, _BOS, _EOS, _PAD))
_OF_NORMALIZER = frozenset((_CHARSMAP, _DUMMY_PREFIX, _EXTRA_SPACES))
LARGEST_MODEL = 16 * 1024 * 1024
_MOST_FIELDS = 4 * MOST_TOKENS
"""Of one level: reading more would take longer than a model of any size does."""
_BPE = 2
_TYPES = {
    1: TokenType.NORMAL,
    2: TokenType.UNKNOWN,
    3: TokenType.CONTROL,
    4: TokenType.USER_DEFINED,
    5: TokenType.UNUSED,
    6: TokenType.BYTE,
}
_ADDED_SCORE = -1000.0
UNIGRAM = "t5"
"""`tokenizer.ggml.model` of unigram models."""
CHARSMAP = "tokenizer.ggml.precompiled_charsmap"
"""GGUF key: the normaliser's replacements."""

Field = tuple[int, int | float | bytes]


@dataclass(frozen=True)
class SentencePieceModel:
    """The contents of a sentencepiece model file."""

    pieces: tuple[tuple[str, float, TokenType], ...]
    is_bpe: bool
    special: dict[str, int]
    """bos, eos, unknown, padding; -1 when switched off."""
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool
    charsmap: bytes = b""
    """The normaliser's replacements, as the library compiles them; b"": none."""


def parse_sentencepiece(data: bytes) -> SentencePieceModel:
    """Parse a model file.

    Raises:
        ValueError: the bytes are no such protocol buffer.
    """
    pieces: list[tuple[str, float, TokenType]] = []
    trainer: dict[int, int | float | bytes] = {}
    normalizer: dict[int, int | float | bytes] = {}
    for number, value in _fields(data):
        if number == _PIECES and isinstance(value, bytes):
            pieces.append(_piece(value))
            if len(pieces) > MOST_TOKENS:
                raise ValueError("it holds more pieces than any vocabulary")
        elif number == _TRAINER and isinstance(value, bytes):
            trainer.update(_known(value, _OF_TRAINER))
        elif number == _NORMALIZER and isinstance(value, bytes):
            normalizer.update(_known(value, _OF_NORMALIZER))
    if not pieces:
        raise ValueError("it holds no pieces")
    charsmap = normalizer.get(_CHARSMAP, b"")
    defaults = {"unknown": (_UNK, 0), "bos": (_BOS, 1), "eos": (_EOS, 2), "padding": (_PAD, -1)}
    return SentencePieceModel(
        pieces=tuple(pieces),
        is_bpe=trainer.get(_MODEL_TYPE, 1) == _BPE,
        special={name: _signed(trainer.get(field, default)) for name, (field, default) in defaults.items()},
        add_dummy_prefix=bool(normalizer.get(_DUMMY_PREFIX, 1)),
        remove_extra_whitespaces=bool(normalizer.get(_EXTRA_SPACES, 1)),
        charsmap=charsmap if isinstance(charsmap, bytes) else b"",
    )


def read_sentencepiece(path: Path, added: Mapping[int, AddedToken]) -> Vocabulary:
    """Read a model file and the tokens added beside it, by their ids.

    Raises:
        BadFile: the file is damaged.
    """
    try:
        model = parse_sentencepiece(read_bytes(path, largest=LARGEST_MODEL))
        Normalizer(model.charsmap, (), add_dummy_prefix=True, remove_extra_whitespaces=True)
    except ValueError as error:
        raise BadFile(
            "{path} is not a sentencepiece model ({reason}); download it again.", path=path, reason=error
        ) from error
    tokens: list[str | bytes] = [text for text, _, _ in model.pieces]
    scores = [score for _, score, _ in model.pieces]
    types = [kind for _, _, kind in model.pieces]
    for number in sorted(added):
        text = added[number].content
        kind = TokenType.CONTROL if added[number].special else TokenType.USER_DEFINED
        if number < len(tokens):
            # Only a change of meaning counts: llama.cpp must know user-defined pieces, and that unknown stays unknown.
            if types[number] is TokenType.NORMAL or tokens[number] != text:
                tokens[number], types[number], scores[number] = text, kind, _ADDED_SCORE
            continue
        gap = range(len(tokens), number)
        if len(gap) > len(model.pieces):
            raise BadFile(
                "{folder} adds a token with the id {id}, far behind the last one; download it again.",
                folder=path.parent,
                id=number,
            )
        tokens += [f"[PAD{i}]" for i in gap] + [text]
        scores += [_ADDED_SCORE] * (len(gap) + 1)
        types += [TokenType.UNUSED] * len(gap) + [kind]
    ids = {name: number for name, number in model.special.items() if 0 <= number < len(tokens)}
    return Vocabulary(
        model="llama" if model.is_bpe else UNIGRAM,
        pre="default",
        tokens=tokens,
        types=types,
        scores=scores,
        special=ids,
        flags={"add_space_prefix": model.add_dummy_prefix} | ({} if model.is_bpe else _unigram_flags(model)),
        extra={CHARSMAP: model.charsmap} if model.charsmap and not model.is_bpe else {},
        added=added,
        space=(SpacePrefix.EACH if model.add_dummy_prefix else SpacePrefix.NONE) if model.is_bpe else None,
        warnings=tuple(_warnings(path, model)),
    )


def _unigram_flags(model: SentencePieceModel) -> dict[str, bool]:
    """Say what llama.cpp otherwise takes from T5: that texts end in a token, for one."""
    return {
        "remove_extra_whitespaces": model.remove_extra_whitespaces,
        "add_bos_token": model.special["bos"] >= 0,
        "add_eos_token": False,
    }


def _warnings(path: Path, model: SentencePieceModel) -> Iterator[Sentence]:
    """Yield what llama.cpp does not do of what a model asks for."""
    if model.is_bpe and model.charsmap:
        yield Sentence(
            "{name} changes characters before it cuts a text (full-width letters, for one), which llama.cpp does not do for "
            "its kind; such characters become other tokens.",
            name=path.name,
        )
    elif model.is_bpe and model.remove_extra_whitespaces:
        yield Sentence(
            "{name} drops repeated spaces, which llama.cpp does not do for its kind; they become tokens.",
            name=path.name,
        )
    if not model.is_bpe and any(kind is TokenType.BYTE for _, _, kind in model.pieces):
        yield Sentence(
            "{name} spells characters that it does not know in bytes, which llama.cpp does not do for its kind; they become "
            "the unknown token.",
            name=path.name,
        )


def _piece(data: bytes) -> tuple[str, float, TokenType]:
    values = _known(data, _OF_PIECE)
    text, score, kind = values.get(_PIECE_TEXT, b""), values.get(_PIECE_SCORE, 0.0), values.get(_PIECE_TYPE, 1)
    if not isinstance(text, bytes) or not isinstance(score, float) or not isinstance(kind, int) or kind not in _TYPES:
        raise ValueError("a piece is malformed")
    if not math.isfinite(score):
        raise ValueError("a piece's score is no number")
    return text.decode("utf-8", "replace"), score, _TYPES[kind]


def _known(data: bytes, wanted: frozenset[int]) -> dict[int, int | float | bytes]:
    return {number: value for number, value in _fields(data) if number in wanted}


def _signed(value: int | float | bytes) -> int:
    """Return a protocol buffer int32, whose negative values are written as 64-bit two's complement."""
    number = value if isinstance(value, int) else -1
    return number - (1 << 64) if number >= 1 << 63 else number


def _fields(data: bytes) -> Iterator[Field]:
    """Yield (field number, value): int for varints, float for 32 bits, bytes for the rest."""
    at = count = 0
    while at < len(data):
        key, at = _varint(data, at)
        count += 1
        if count > _MOST_FIELDS:
            raise ValueError("it holds more fields than any model")
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire == 2:
            size, at = _varint(data, at)
            if size > len(data) - at:
                raise ValueError("it ends in the middle of a field")
            yield number, data[at : at + size]
            at += size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            if size > len(data) - at:
                raise ValueError("it ends in the middle of a field")
            if wire == 5:
                yield number, struct.unpack_from("<f", data, at)[0]
            at += size
        else:
            raise ValueError(f"it holds a field of unknown kind {wire}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    if at < len(data) and data[at] < 0x80:  # as nearly all
        return data[at], at + 1
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("it ends in the middle of a number")
