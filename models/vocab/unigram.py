"""Unigram vocabularies (XLM-RoBERTa): a tokenizer.json of that type, or sentencepiece.bpe.model with fairseq's own ids.

Source of the rules: huggingface/tokenizers (`Unigram`, `Precompiled`), transformers,
models/xlm_roberta/tokenization_xlm_roberta.py.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from pathlib import Path

import msgspec

from models.errors import BadFile, UnsupportedModel
from models.untrusted_json import MOST_TOKENS, InvalidJSON, decode
from models.vocab.normalizer import Normalizer
from models.vocab.sentencepiece import CHARSMAP, UNIGRAM, read_sentencepiece
from models.vocab.structures import AddedToken, Step
from models.vocab.vocabulary import TokenType, Vocabulary

FAIRSEQ_FILE = "sentencepiece.bpe.model"
_FIRST = ("<s>", "<pad>", "</s>", "<unk>")
"""Fairseq's first tokens; the model file has <unk>, <s>, </s> in their place."""
_SPACES = ("WhitespaceSplit", "Strip")


class _Unigram(msgspec.Struct):
    vocab: list[tuple[str, float]]
    unk_id: int | None = None
    byte_fallback: bool = False


class _Tokenizer(msgspec.Struct):
    model: _Unigram
    normalizer: Step | None = None
    pre_tokenizer: Step | None = None
    added_tokens: list[AddedToken] | None = None


def decode_unigram(path: Path, data: bytes) -> Vocabulary:
    """Return the vocabulary of a tokenizer.json whose model is Unigram.

    Raises:
        BadFile: it is damaged.
        UnsupportedModel: it spells unknown characters in bytes, which llama.cpp does not do for its kind.
    """
    try:
        tokenizer = decode(data, _Tokenizer)
    except InvalidJSON as error:
        raise error.of_file(path) from error
    model = tokenizer.model
    if not model.vocab or len(model.vocab) > MOST_TOKENS:
        raise BadFile("{path} has no vocabulary; download it again.", path=path)
    if model.byte_fallback:
        raise UnsupportedModel("{path} spells unknown characters in bytes, which llama.cpp does not do.", path=path)
    tokens: list[str | bytes] = [text for text, _ in model.vocab]
    scores = [score for _, score in model.vocab]
    types = [TokenType.NORMAL] * len(tokens)
    for added in sorted(tokenizer.added_tokens or (), key=lambda token: token.id):
        kind = TokenType.CONTROL if added.special else TokenType.USER_DEFINED
        if added.id < len(tokens):
            tokens[added.id], types[added.id] = added.content, kind
        elif added.id == len(tokens):
            tokens.append(added.content)
            scores.append(0.0)
            types.append(kind)
        else:
            raise BadFile("{path} numbers its tokens with gaps; download it again.", path=path)
    if model.unk_id is not None and 0 <= model.unk_id < len(tokens):
        types[model.unk_id] = TokenType.UNKNOWN
    steps = [
        step for sequence in (tokenizer.normalizer, tokenizer.pre_tokenizer) if sequence for step in sequence.leaves()
    ]
    return with_special_tokens(
        path, Vocabulary(UNIGRAM, tokens, types, scores), _charsmap(path, steps), single=_single(steps)
    )


def _single(steps: list[Step]) -> bool:
    """Tell whether several spaces count as one."""
    replaces = any(
        step.type == "Replace" and step.pattern is not None and step.pattern.Regex == " {2,}" for step in steps
    )
    return replaces or any(step.type in _SPACES for step in steps)


def _charsmap(path: Path, steps: list[Step]) -> bytes:
    written = next((step.precompiled_charsmap for step in steps if step.type == "Precompiled"), None)
    try:
        charsmap = base64.b64decode(written or "", validate=True)
        Normalizer(charsmap, (), add_dummy_prefix=True, remove_extra_whitespaces=True)
    except (ValueError, binascii.Error) as error:
        raise BadFile("{path}: its text normalisation is damaged; download it again.", path=path) from error
    return charsmap


def with_special_tokens(path: Path, found: Vocabulary, charsmap: bytes, *, single: bool) -> Vocabulary:
    """Return a vocabulary with XLM-RoBERTa's special tokens; `single`: several spaces count as one.

    Raises:
        UnsupportedModel: one of them is missing.
    """
    ids = {text: number for number, text in enumerate(found.tokens)}
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
        found,
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
