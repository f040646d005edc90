"""Unigram vocabularies (XLM-RoBERTa): a tokenizer.json of that type, or sentencepiece.bpe.model with fairseq's own ids.

Source of the rules: huggingface/tokenizers (`Unigram`, `Precompiled`), transformers,
models/xlm_roberta/tokenization_xlm_roberta.py.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import replace
from pathlib import Path

import msgspec

from models.errors import BadFile, UnsupportedModel
from models.untrusted_json import MOST_TOKENS, decode_file
from models.vocab.added_tokens import numbered, read_added_tokens
from models.vocab.cutting import BLANK
from models.vocab.normalizer import Normalizer
from models.vocab.own_rules import own_rules
from models.vocab.piece_rules import SCORES, PieceRules
from models.vocab.sentencepiece import CHARSMAP, UNIGRAM, read_sentencepiece
from models.vocab.structures import AddedToken, AnyTokenizer, Step, tokens_around
from models.vocab.text_rules import with_text_rules
from models.vocab.vocabulary import TokenType, Vocabulary

FAIRSEQ_FILE = "sentencepiece.bpe.model"
_FIRST = ("<s>", "<pad>", "</s>", "<unk>")
"""Fairseq's first tokens; the model file has <unk>, <s>, </s> in their place."""
_SPECIAL = {
    "bos": ("<s>", "[CLS]"),
    "eos": ("</s>",),
    "separator": ("</s>", "[SEP]"),
    "padding": ("<pad>",),
    "mask": ("<mask>",),
}
_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


class _Unigram(msgspec.Struct):
    vocab: list[tuple[str, float]]
    unk_id: int | None = None
    byte_fallback: bool = False


class _Tokenizer(msgspec.Struct):
    model: _Unigram
    normalizer: Step | None = None
    pre_tokenizer: Step | None = None
    decoder: Step | None = None
    post_processor: Step | None = None
    added_tokens: list[AddedToken] | None = None


def decode_unigram(path: Path, data: bytes) -> Vocabulary:
    """Return the vocabulary of a tokenizer.json whose model is Unigram.

    Raises:
        BadFile: it is damaged.
    """
    tokenizer = decode_file(path, data, _Tokenizer)
    model = tokenizer.model
    if not model.vocab or len(model.vocab) > MOST_TOKENS:
        raise BadFile("{path} has no vocabulary; download it again.", path=path)
    added = read_added_tokens(
        path.parent, tokenizer.added_tokens or (), {text: n for n, (text, _) in enumerate(model.vocab)}
    )
    tokens, types = numbered(path, {number: text for number, (text, _) in enumerate(model.vocab)}, added.tokens)
    scores = [score for _, score in model.vocab] + [0.0] * (len(tokens) - len(model.vocab))
    unknown = model.unk_id if model.unk_id is not None and 0 <= model.unk_id < len(tokens) else None
    if unknown is not None:
        types[unknown] = TokenType.UNKNOWN
    vocabulary = Vocabulary(UNIGRAM, tokens, types, scores, added=added.tokens, warnings=tuple(added.warnings()))
    if _is_usual(tokenizer):
        return with_special_tokens(path, vocabulary, _charsmap(path, _leaves(tokenizer.normalizer)), single=True)
    return _with_own_rules(path, tokenizer, vocabulary, unknown)


def _is_usual(tokenizer: _Tokenizer) -> bool:
    """Tell whether a tokenizer's texts are XLM-RoBERTa's, for which llama.cpp has rules."""
    splits = _leaves(tokenizer.pre_tokenizer)
    first = {text for text, _ in tokenizer.model.vocab[: len(_FIRST)]}
    return (
        [step.type for step in splits] == ["WhitespaceSplit", "Metaspace"]
        and splits[1].replacement in (None, BLANK)
        and splits[1].prepend_scheme in (None, "always")
        and [step.type for step in _leaves(tokenizer.normalizer)] == ["Precompiled"]
        and not tokenizer.model.byte_fallback
        and first >= {_FIRST[0], _FIRST[2], _FIRST[3]}
    )


def _with_own_rules(path: Path, tokenizer: _Tokenizer, published: Vocabulary, unknown: int | None) -> Vocabulary:
    """Return a vocabulary whose texts the engine cuts into the most likely pieces by itself."""
    types = list(published.types)
    for number, text in enumerate(published.tokens):
        if tokenizer.model.byte_fallback and types[number] is TokenType.NORMAL and _BYTE_TOKEN.fullmatch(str(text)):
            types[number] = TokenType.BYTE
    rules = PieceRules("Unigram", unknown, byte_fallback=tokenizer.model.byte_fallback)
    pieces = {text for text, _ in tokenizer.model.vocab}
    own = own_rules(tokenizer.pre_tokenizer, rules, published.added.values(), pieces)
    if own and any(score != struct.unpack("<f", struct.pack("<f", score))[0] for _, score in tokenizer.model.vocab):
        own[SCORES] = msgspec.json.encode(published.scores).decode()
    ids = {str(text): number for number, text in enumerate(published.tokens)}
    special = {name: next((ids[text] for text in texts if text in ids), None) for name, texts in _SPECIAL.items()}
    special["unknown"] = unknown
    before, behind = tokens_around(tokenizer.post_processor) or ([], [])
    vocabulary = replace(
        published,
        pre="default",
        types=types,
        special={name: number for name, number in special.items() if number is not None},
        flags={"add_space_prefix": True, "add_bos_token": "<s>" in before, "add_eos_token": "</s>" in behind},
        extra=own,
    )
    document = AnyTokenizer(None, tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder)
    return with_text_rules(vocabulary, path, document)


def _leaves(step: Step | None) -> list[Step]:
    return [] if step is None else [*step.leaves()]


def _charsmap(path: Path, steps: list[Step]) -> bytes:
    written = next((step.precompiled_charsmap for step in steps if step.type == "Precompiled"), None)
    try:
        charsmap = base64.b64decode(written or "", validate=True)
        Normalizer(charsmap, (), add_dummy_prefix=True, remove_extra_whitespaces=True)
    except (ValueError, binascii.Error) as error:
        raise BadFile("{path}: its text normalisation is damaged; download it again.", path=path) from error
    return charsmap


def with_special_tokens(path: Path, vocabulary: Vocabulary, charsmap: bytes, *, single: bool) -> Vocabulary:
    """Return a vocabulary with XLM-RoBERTa's special tokens; `single`: several spaces count as one.

    Raises:
        UnsupportedModel: one of them is missing.
    """
    ids = {text: number for number, text in enumerate(vocabulary.tokens)}
    missing = [text for text in (_FIRST[0], _FIRST[2], _FIRST[3]) if text not in ids]
    if missing:
        raise UnsupportedModel(
            "{path} lacks the token {token}, by which texts begin or end.", path=path, token=missing[0]
        )
    special = {
        "bos": "<s>",
        "eos": "</s>",
        "separator": "</s>",
        "unknown": "<unk>",
        "padding": "<pad>",
        "mask": "<mask>",
    }
    return replace(
        vocabulary,
        pre="default",
        special={name: ids[text] for name, text in special.items() if text in ids},
        flags={
            "add_space_prefix": True,
            "remove_extra_whitespaces": single,
            "add_bos_token": True,
            "add_eos_token": True,
        },
        extra={CHARSMAP: charsmap} if charsmap else {},
    )


def read_fairseq(path: Path) -> Vocabulary:
    """Return the vocabulary of a sentencepiece.bpe.model, whose pieces lie one id later behind fairseq's first four tokens.

    Raises:
        BadFile: it is damaged.
    """
    model = read_sentencepiece(path, {})
    if model.model != UNIGRAM or model.scores is None or len(model.tokens) < len(_FIRST):
        raise UnsupportedModel("{path} is not a unigram model.", path=path)
    kinds = [TokenType.CONTROL, TokenType.CONTROL, TokenType.CONTROL, TokenType.UNKNOWN]
    shifted = Vocabulary(
        UNIGRAM,
        [*_FIRST, *model.tokens[3:], "<mask>"],
        [*kinds, *model.types[3:], TokenType.CONTROL],
        [*([0.0] * len(_FIRST)), *model.scores[3:], 0.0],
    )
    charsmap = model.extra.get(CHARSMAP, b"")
    return with_special_tokens(path, shifted, charsmap, single=model.flags["remove_extra_whitespaces"])
