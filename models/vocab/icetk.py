"""The vocabulary of ChatGLM-6B: the sentencepiece model `ice_text.model`, read from a checkpoint and run.

Source: THUDM/chatglm-6b, tokenization_chatglm.py (rules before and after sentencepiece, ids), and google/sentencepiece,
src/unigram_model.cc and src/bpe_model.cc. In the first release 20,000 image tokens come before the text's, and its
`ice_text.model` lacks the last pieces, which the publisher's code appended when it ran.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from models.config import Config
from models.errors import BadFile
from models.untrusted_json import read_bytes
from models.vocab.longest import LONGEST, LongestOf
from models.vocab.normalizer import Normalizer
from models.vocab.sections import CUT
from models.vocab.sentencepiece import CHARSMAP, LARGEST_MODEL, UNIGRAM, SentencePieceModel, parse_sentencepiece
from models.vocab.special import read_tokenizer_config
from models.vocab.vocabulary import PLAIN, TokenType, Vocabulary

_FILE = "ice_text.model"
_CONTROL = ("[MASK]", "[gMASK]", "[sMASK]", "<unused_0>", "<sop>", "<eop>", "<ENC>", "<dBLOCK>")
_NEWLINE, _TAB = "<n>", "<|tab|>"
_LONGEST_BLANK = 80
_BLANKS = {" " * count: f"<|blank_{count}|>" for count in range(_LONGEST_BLANK, 1, -1)}
_WRITTEN = {"\n": _NEWLINE, "\t": _TAB, **_BLANKS}
_READ = {piece: text for text, piece in _WRITTEN.items()}
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_IMAGE_TOKENS = 20000
_UNKNOWN_PENALTY = 10.0
_MOST_MARKUP = 10_000
"""Texts that are looked for by one regular expression each time; the published model has 90."""

Pieces = list[tuple[str, float, TokenType]]


def read_icetk_vocabulary(folder: Path, config: Config) -> Vocabulary:
    """Read `ice_text.model`, its pieces numbered as the model's embedding has them.

    Raises:
        BadFile: it is missing or damaged, or does not fit the configuration.
    """
    path = folder / _FILE
    if not path.is_file():
        raise BadFile(
            "{folder} has no {name}, the tokenizer of ChatGLM-6B; download it too, name another folder with "
            "--tokenizer, or convert without one by --tokenizer none.",
            folder=folder,
            name=_FILE,
        )
    try:
        model = parse_sentencepiece(read_bytes(path, largest=LARGEST_MODEL))
        Normalizer(model.charsmap, (), add_dummy_prefix=True, remove_extra_whitespaces=True)
    except ValueError as error:
        raise BadFile(
            "{path} is not a sentencepiece model ({reason}); download it again.", path=path, reason=error
        ) from error
    pieces = _completed(model)
    images = _image_tokens(folder, config, [text for text, _, _ in pieces])
    ids = {text: images + number for number, (text, _, _) in enumerate(pieces)}
    unknown = model.special["unknown"]
    special = {
        "unknown": images + (unknown if 0 <= unknown < len(model.pieces) else 0),
        "bos": ids["<sop>"],
        "eos": ids["<eop>"],
    }
    if "<pad>" in ids:
        special["padding"] = ids["<pad>"]
    image_pieces: Pieces = [(f"<image_{number}>", 0.0, TokenType.UNUSED) for number in range(images)]
    every = image_pieces + pieces
    return Vocabulary(
        model="llama" if model.is_bpe else UNIGRAM,
        pre="default",
        tokens=[text for text, _, _ in every],
        scores=[score for _, score, _ in every],
        types=[kind for _, _, kind in every],
        special=special,
        flags={
            "add_bos_token": False,
            "add_eos_token": False,
            "add_space_prefix": model.add_dummy_prefix,
            "remove_extra_whitespaces": model.remove_extra_whitespaces,
        },
        extra={PLAIN: True} | ({CHARSMAP: model.charsmap} if model.charsmap else {}),
    )


def _completed(model: SentencePieceModel) -> Pieces:
    """Append what the first release's code appended: control tokens, tab and blanks, bytes."""
    pieces = list(model.pieces)
    if not any(text == "<sop>" for text, _, _ in pieces):
        pieces += [(text, 0.0, TokenType.CONTROL) for text in _CONTROL]
        pieces += [(text, 0.0, TokenType.USER_DEFINED) for text in (_TAB, *reversed(_BLANKS.values()))]
        pieces += [(f"<0x{byte:02X}>", 0.0, TokenType.BYTE) for byte in range(256)]
    return pieces


def _image_tokens(folder: Path, config: Config, texts: list[str]) -> int:
    """Return how many ids come before the text's: what config.json's own ids leave, else what the tokenizer says."""
    if "bos_token_id" in config:
        count = config.int("bos_token_id") - texts.index("<sop>")
        if not 0 <= count <= _IMAGE_TOKENS:
            raise BadFile(
                "{path} and {file} number <sop> differently; they are of different models.",
                path=config.origin,
                file=folder / _FILE,
            )
        return count
    declared = read_tokenizer_config(folder).num_image_tokens
    return declared if declared is not None and 0 <= declared <= _IMAGE_TOKENS else _IMAGE_TOKENS


class _Stored(msgspec.Struct):
    """The keys below `tokenizer.ggml.` of a GGUF file that the tokenizer is made of."""

    model: str
    tokens: list[Any]
    token_type: list[int]
    scores: list[float]
    unknown_token_id: int = 0
    add_space_prefix: bool = True
    remove_extra_whitespaces: bool = True
    precompiled_charsmap: bytes | list[Annotated[int, msgspec.Meta(ge=0, le=255)]] = b""


def _stored_vocabulary(metadata: Mapping[str, Any]) -> Vocabulary:
    """Return the vocabulary in a GGUF file's metadata; raises `ValueError` or `TypeError` for a damaged one."""
    key = "tokenizer.ggml."
    values = {name.removeprefix(key): value for name, value in metadata.items() if name.startswith(key)}
    stored = msgspec.convert(values, _Stored)
    types = [TokenType(number) for number in stored.token_type]
    if not len(stored.tokens) == len(types) == len(stored.scores):
        raise ValueError("its tokens, types and scores differ in number")
    if types.count(TokenType.USER_DEFINED) + types.count(TokenType.CONTROL) > _MOST_MARKUP:
        raise ValueError("it has more markup than any model")
    return Vocabulary(
        model=stored.model,
        tokens=[_token(token) for token in stored.tokens],
        types=types,
        scores=stored.scores,
        special={"unknown": stored.unknown_token_id},
        flags={
            "add_space_prefix": stored.add_space_prefix,
            "remove_extra_whitespaces": stored.remove_extra_whitespaces,
        },
        extra={CHARSMAP: bytes(stored.precompiled_charsmap)},
    )


def _token(value: Any) -> str | bytes:
    if not isinstance(value, str | bytes):
        raise TypeError("a token is no text")
    return value


class IcetkTokenizer:
    """Encodes and decodes as the publisher's tokenizer; untrusted vocabularies may make it wrong, never fail."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Take a vocabulary in the form of `read_icetk_vocabulary`."""
        self._tokens = [
            token.decode("utf-8", "replace") if isinstance(token, bytes) else token for token in vocabulary.tokens
        ]
        self._types = vocabulary.types
        self._scores = vocabulary.scores or [0.0] * len(self._tokens)
        self._ids = self._of_type(TokenType.NORMAL, TokenType.USER_DEFINED)
        self._control = self._of_type(TokenType.CONTROL)
        self.control_texts = tuple(self._control)
        """Markup: written by templates, never found in a text by the publisher's tokenizer."""
        self._bytes = self._of_type(TokenType.BYTE)
        self._has_bytes = all(f"<0x{byte:02X}>" in self._bytes for byte in range(256))
        user_defined = self._of_type(TokenType.USER_DEFINED)
        self._user_defined = LongestOf(user_defined)
        self._markup = LongestOf(self._control)
        unknown = vocabulary.special.get("unknown", 0)
        self._unknown = unknown if 0 <= unknown < len(self._tokens) else 0
        self._longest = min(max(map(len, self._ids), default=0), LONGEST)
        normal = [self._scores[number] for text, number in self._ids.items() if text not in user_defined]
        self._best, self._worst = max(normal, default=0.0), min(normal, default=0.0)
        self._segment = self._unigram if vocabulary.model == UNIGRAM else self._merged
        self._normalizer = Normalizer(
            vocabulary.extra.get(CHARSMAP, b""),
            user_defined,
            add_dummy_prefix=vocabulary.flags.get("add_space_prefix", True),
            remove_extra_whitespaces=vocabulary.flags.get("remove_extra_whitespaces", True),
        )

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, Any]) -> IcetkTokenizer:
        """Make one of a GGUF file's metadata, arrays included.

        Raises:
            BadFile: the vocabulary is missing or damaged.
        """
        try:
            return cls(_stored_vocabulary(metadata))
        except (ValueError, TypeError) as error:
            raise BadFile(
                "The file's vocabulary is damaged ({reason}); convert the model again.", reason=error
            ) from error

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """Return token ids; `special`: markup such as [gMASK] becomes its token, unless `CUT` stands inside it."""
        if not special:
            return list(self._encoded(text.replace(CUT, "")))
        ids: list[int] = []
        start = 0
        for at, markup in self._markup.found_in(text):
            ids += [*self._encoded(text[start:at].replace(CUT, "")), self._control[markup]]
            start = at + len(markup)
        return [*ids, *self._encoded(text[start:].replace(CUT, ""))]

    def piece(self, token: int) -> bytes:
        """Return a token's bytes, b"" for control tokens."""
        if not 0 <= token < len(self._tokens):
            return b""
        text, kind = self._tokens[token], self._types[token]
        if kind is TokenType.BYTE:
            byte = _BYTE.fullmatch(text)
            return bytes.fromhex(byte[1]) if byte else b""
        if kind in (TokenType.CONTROL, TokenType.UNUSED):
            return b""
        if kind is TokenType.UNKNOWN:
            return " \u2047 ".encode()
        return _READ.get(text, text.replace("\u2581", " ")).encode("utf-8", "replace")

    def _of_type(self, *kinds: TokenType) -> dict[str, int]:
        by_text: dict[str, int] = {}
        for number, (text, kind) in enumerate(zip(self._tokens, self._types, strict=True)):
            if kind in kinds:
                by_text.setdefault(text, number)
        return by_text

    def _encoded(self, text: str) -> Iterator[int]:
        """Yield the ids of a text without markup."""
        for written, piece in _WRITTEN.items():
            text = text.replace(written, piece)
        was_unknown = False
        for piece in self._segment(self._normalizer.normalize(text)):
            number = self._ids.get(piece)
            if number is not None:
                yield number
            elif self._has_bytes:
                yield from (self._bytes[f"<0x{byte:02X}>"] for byte in piece.encode("utf-8", "replace"))
            elif not was_unknown:
                yield self._unknown
            was_unknown = number is None

    def _unigram(self, text: str) -> list[str]:
        """Return the pieces whose scores, logarithms of probabilities, have the largest sum (Viterbi's algorithm)."""
        best: list[tuple[float, int]] = [(0.0, 0), *([(float("-inf"), 0)] * len(text))]
        for start in range(len(text)):
            score = best[start][0]
            for end in range(start + 1, min(start + self._longest, len(text)) + 1):
                piece = text[start:end]
                number = self._ids.get(piece)
                if number is not None and (score_here := score + self._score(number, piece)) > best[end][0]:
                    best[end] = (score_here, start)
            unknown = score + self._worst - _UNKNOWN_PENALTY
            if text[start] not in self._ids and unknown > best[start + 1][0]:
                best[start + 1] = (unknown, start)
        pieces, end = [], len(text)
        while end:
            start = best[end][1]
            pieces.append(text[start:end])
            end = start
        return pieces[::-1]

    def _score(self, number: int, piece: str) -> float:
        if self._types[number] is TokenType.USER_DEFINED:
            return len(piece.encode("utf-8", "replace")) * self._best - 0.1
        return self._scores[number]

    def _merged(self, text: str) -> list[str]:
        """Return the pieces that merging neighbours leaves, the pair of the highest score first, the left one of equals."""
        symbols = self._symbols(text)
        frozen = [symbol in self._user_defined for symbol in symbols]
        before = list(range(-1, len(symbols) - 1))
        after = [*range(1, len(symbols)), -1]
        agenda: list[tuple[float, int, int, str]] = []

        def propose(left: int, right: int) -> None:
            if left < 0 or right < 0 or frozen[left] or frozen[right]:
                return
            number = self._ids.get(pair := symbols[left] + symbols[right])
            if number is not None:
                heapq.heappush(agenda, (-self._scores[number], left, right, pair))

        for right in range(1, len(symbols)):
            propose(right - 1, right)
        while agenda:
            _, left, right, pair = heapq.heappop(agenda)
            if not symbols[left] or not symbols[right] or symbols[left] + symbols[right] != pair:
                continue
            symbols[left], symbols[right] = pair, ""
            after[left] = after[right]
            if after[right] >= 0:
                before[after[right]] = left
            propose(before[left], left)
            propose(left, after[left])
        return [symbol for symbol in symbols if symbol]

    def _symbols(self, text: str) -> list[str]:
        """Return user-defined pieces whole and all else in single characters."""
        symbols: list[str] = []
        start = 0
        for at, piece in self._user_defined.found_in(text):
            symbols += [*text[start:at], piece]
            start = at + len(piece)
        return [*symbols, *text[start:]]
