"""Vocabularies of whole words: a tokenizer.json of type WordLevel, which llama.cpp has no kind for.

The file calls itself sentencepiece's, which every engine can load; the engine looks the words up by itself.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from models.untrusted_json import TokenId, decode_file
from models.vocab.added_tokens import numbered, read_added_tokens, texts_by_id
from models.vocab.own_rules import own_rules, writing
from models.vocab.piece_rules import PieceRules
from models.vocab.structures import AddedToken, AnyTokenizer, Step
from models.vocab.text_rules import with_text_rules
from models.vocab.vocabulary import TokenType, Vocabulary


class _WordLevel(msgspec.Struct):
    vocab: dict[str, TokenId]
    unk_token: str = "<unk>"  # noqa: S105 - a token of a vocabulary


class _Tokenizer(msgspec.Struct):
    model: _WordLevel
    normalizer: Step | None = None
    pre_tokenizer: Step | None = None
    decoder: Step | None = None
    added_tokens: list[AddedToken] | None = None


def decode_word_level(path: Path, data: bytes) -> Vocabulary:
    """Return the vocabulary of a tokenizer.json whose model is WordLevel.

    Raises:
        BadFile: it is damaged.
    """
    tokenizer = decode_file(path, data, _Tokenizer)
    vocab = tokenizer.model.vocab
    added = read_added_tokens(path.parent, tokenizer.added_tokens or (), vocab)
    tokens, types = numbered(path, texts_by_id(path, vocab), added.tokens)
    unknown = vocab.get(tokenizer.model.unk_token)
    if unknown is not None:
        types[unknown] = TokenType.UNKNOWN
    vocabulary = Vocabulary(
        "llama",
        tokens,
        types,
        [0.0] * len(tokens),
        pre="default",
        special={} if unknown is None else {"unknown": unknown},
        added=added.tokens,
        warnings=tuple(added.warnings()),
        extra=own_rules(
            tokenizer.pre_tokenizer,
            PieceRules("WordLevel", unknown, **writing(tokenizer.decoder, vocab)),
            added.tokens.values(),
            vocab,
        ),
    )
    document = AnyTokenizer(None, tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder)
    return with_text_rules(replace(vocabulary, flags={"add_space_prefix": False}), path, document)
