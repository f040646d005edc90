"""WordPiece vocabularies (BERT): a tokenizer.json of that type, or vocab.txt.

Source of the rules: huggingface/tokenizers (`BertNormalizer`, `WordPiece`). llama.cpp writes a word's first piece with U+2581 in
front and the others bare, and cuts words by the longest piece as WordPiece does.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from models.errors import BadFile, UnsupportedModel
from models.untrusted_json import LARGEST_TABLE, InvalidJSON, TokenId, decode, read_bytes
from models.vocab.special import read_tokenizer_config
from models.vocab.structures import AddedToken
from models.vocab.vocabulary import TokenType, Vocabulary, by_number

MODEL = "bert"
"""`tokenizer.ggml.model` of WordPiece vocabularies."""
_SPACE = "\u2581"
_CONTINUES = "##"
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class _WordPiece(msgspec.Struct):
    vocab: dict[str, TokenId]
    unk_token: str = "[UNK]"  # noqa: S105 - a token of a vocabulary
    continuing_subword_prefix: str = _CONTINUES


class _Normalizer(msgspec.Struct):
    type: str | None = None
    lowercase: bool = True
    strip_accents: bool | None = None
    handle_chinese_chars: bool = True


class _Tokenizer(msgspec.Struct):
    model: _WordPiece
    normalizer: _Normalizer | None = None
    added_tokens: list[AddedToken] | None = None


def decode_wordpiece(path: Path, data: bytes) -> Vocabulary:
    """Return the vocabulary of a tokenizer.json whose model is WordPiece.

    Raises:
        BadFile: it is damaged.
        UnsupportedModel: it asks for rules that llama.cpp does not have.
    """
    try:
        tokenizer = decode(data, _Tokenizer)
    except InvalidJSON as error:
        raise error.of_file(path) from error
    rules = tokenizer.normalizer or _Normalizer()
    if rules.type not in (None, "BertNormalizer") or not rules.handle_chinese_chars:
        raise UnsupportedModel(
            "{path} does not cut Chinese into characters, which llama.cpp does for every tokenizer of this kind.",
            path=path,
        )
    if tokenizer.model.continuing_subword_prefix != _CONTINUES:
        raise UnsupportedModel("{path} marks the parts of a word otherwise than llama.cpp does.", path=path)
    added = tokenizer.added_tokens or []
    vocab = tokenizer.model.vocab | {token.content: token.id for token in added}
    special = {token.content for token in added if token.special}
    return _vocabulary(path, vocab, special, tokenizer.model.unk_token, rules)


def read_vocab_txt(folder: Path) -> Vocabulary:
    """Return the vocabulary of vocab.txt, one token a line, by the rules that tokenizer_config.json names.

    Raises:
        BadFile: it is damaged.
    """
    path = folder / "vocab.txt"
    lines = read_bytes(path, largest=LARGEST_TABLE).decode("utf-8", "replace").split("\n")
    tokens = [line.rstrip("\r") for line in lines]
    while tokens and not tokens[-1]:
        tokens.pop()
    said = read_tokenizer_config(folder)
    rules = _Normalizer(lowercase=said.do_lower_case is not False, strip_accents=said.strip_accents)
    return _vocabulary(path, {text: number for number, text in enumerate(tokens)}, set(_SPECIAL), "[UNK]", rules)


def _vocabulary(path: Path, vocab: dict[str, int], special: set[str], unknown: str, rules: _Normalizer) -> Vocabulary:
    ids = {name: vocab.get(text) for name, text in (("bos", "[CLS]"), ("separator", "[SEP]"), ("unknown", unknown))}
    missing = [name for name, number in ids.items() if number is None]
    if missing:
        raise BadFile("{path} lacks the tokens [CLS], [SEP] or [UNK]; download it again.", path=path)
    others = {name: vocab.get(text) for name, text in (("padding", "[PAD]"), ("mask", "[MASK]"))}
    by_id = {number: _token(text, special, unknown) for text, number in vocab.items()}
    tokens, types = by_number(path, by_id)
    strips = rules.lowercase if rules.strip_accents is None else rules.strip_accents
    return Vocabulary(
        model=MODEL,
        pre="default",
        tokens=tokens,
        types=types,
        special={name: number for name, number in (ids | others).items() if number is not None},
        flags={"normalizer.lowercase": rules.lowercase, "normalizer.strip_accents": strips, "add_bos_token": True},
    )


def _token(text: str, special: set[str], unknown: str) -> tuple[str | bytes, TokenType]:
    if text == unknown:
        return text, TokenType.UNKNOWN
    if text in special:
        return text, TokenType.CONTROL
    return (text.removeprefix(_CONTINUES) if text.startswith(_CONTINUES) else _SPACE + text), TokenType.NORMAL
