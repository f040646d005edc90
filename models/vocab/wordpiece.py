"""WordPiece vocabularies (BERT): a tokenizer.json of that type, or vocab.txt.

Source of the rules: huggingface/tokenizers (`BertNormalizer`, `WordPiece`). llama.cpp writes a word's first piece with U+2581 in
front and the others bare, and cuts words by the longest piece as WordPiece does.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from models.errors import BadFile
from models.untrusted_json import LARGEST_TABLE, TokenId, decode_file, read_bytes
from models.vocab.added_tokens import read_added_tokens
from models.vocab.own_rules import USUAL_PREFIX, own_rules, writing
from models.vocab.piece_rules import KEY as RULES
from models.vocab.piece_rules import PieceRules
from models.vocab.special import read_tokenizer_config
from models.vocab.structures import AddedToken, AnyTokenizer, Step
from models.vocab.text_rules import of_decoder, with_text_rules
from models.vocab.vocabulary import TokenType, Vocabulary, by_number
from models.vocab.wordpiece_tokenizer import LONGEST_WORD

MODEL = "bert"
"""`tokenizer.ggml.model` of WordPiece vocabularies."""
_SPACE = "\u2581"
_USUAL_DECODER = Step("WordPiece", prefix=USUAL_PREFIX, cleanup=True)
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class _WordPiece(msgspec.Struct):
    vocab: dict[str, TokenId]
    unk_token: str = "[UNK]"  # noqa: S105 - a token of a vocabulary
    continuing_subword_prefix: str = USUAL_PREFIX
    max_input_chars_per_word: int = LONGEST_WORD


class _Tokenizer(msgspec.Struct):
    model: _WordPiece
    normalizer: Step | None = None
    pre_tokenizer: Step | None = None
    decoder: Step | None = None
    added_tokens: list[AddedToken] | None = None


class _Rules(NamedTuple):
    lowercase: bool = True
    strip_accents: bool | None = None


def decode_wordpiece(path: Path, data: bytes) -> Vocabulary:
    """Return the vocabulary of a tokenizer.json whose model is WordPiece.

    Raises:
        BadFile: it is damaged.
    """
    tokenizer = decode_file(path, data, _Tokenizer)
    model = tokenizer.model
    added = read_added_tokens(path.parent, tokenizer.added_tokens or (), model.vocab)
    vocab = model.vocab | {token.content: number for number, token in added.tokens.items()}
    special = {token.content for token in added.tokens.values() if token.special}
    plain = {token.content for token in added.tokens.values() if not token.special}
    rules = _rules_of(tokenizer)
    prefix = model.continuing_subword_prefix
    vocabulary = _vocabulary(path, vocab, special, model.unk_token, rules or _Rules(), prefix=prefix, plain=plain)
    vocabulary = replace(vocabulary, added=added.tokens, warnings=tuple(added.warnings()))
    usual = rules is not None and prefix == USUAL_PREFIX and model.max_input_chars_per_word == LONGEST_WORD
    decoder = tokenizer.decoder or _USUAL_DECODER
    own = PieceRules(
        "WordPiece",
        vocab[model.unk_token],
        prefix=prefix,
        longest=model.max_input_chars_per_word,
        **writing(decoder, model.vocab, prefix=prefix),
    )
    if usual and not any(token.normalized for token in added.tokens.values()):
        vocabulary = replace(vocabulary, extra={RULES: msgspec.json.encode(own).decode()})
        return replace(vocabulary, warnings=(*vocabulary.warnings, *of_decoder(path, vocabulary, tokenizer.decoder)))
    vocabulary = replace(vocabulary, extra=own_rules(tokenizer.pre_tokenizer, own, added.tokens.values(), model.vocab))
    document = AnyTokenizer(None, tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder)
    return with_text_rules(vocabulary, path, document)


def _rules_of(tokenizer: _Tokenizer) -> _Rules | None:
    """Return what BERT's own normaliser and pre-tokenizer are told; None: a tokenizer has others."""
    step, splits = tokenizer.normalizer, tokenizer.pre_tokenizer
    if step is None or step.type != "BertNormalizer" or splits is None or splits.type != "BertPreTokenizer":
        return None
    if step.clean_text is False or step.handle_chinese_chars is False:
        return None
    return _Rules(step.lowercase is not False, step.strip_accents)


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
    tokenizer_config = read_tokenizer_config(folder)
    rules = _Rules(lowercase=tokenizer_config.do_lower_case is not False, strip_accents=tokenizer_config.strip_accents)
    vocab = {text: number for number, text in enumerate(tokens)}
    vocabulary = _vocabulary(path, vocab, set(_SPECIAL), "[UNK]", rules)
    fields = writing(_USUAL_DECODER, vocab, prefix=USUAL_PREFIX)
    own = PieceRules("WordPiece", vocab["[UNK]"], prefix=USUAL_PREFIX, **fields)
    return replace(vocabulary, extra={RULES: msgspec.json.encode(own).decode()})


def _vocabulary(
    path: Path,
    vocab: dict[str, int],
    special: set[str],
    unknown: str,
    rules: _Rules,
    *,
    prefix: str = USUAL_PREFIX,
    plain: Container[str] = (),
) -> Vocabulary:
    ids = {name: vocab.get(text) for name, text in (("bos", "[CLS]"), ("separator", "[SEP]"), ("unknown", unknown))}
    missing = [name for name, number in ids.items() if number is None]
    if missing:
        raise BadFile("{path} lacks the tokens [CLS], [SEP] or [UNK]; download it again.", path=path)
    others = {name: vocab.get(text) for name, text in (("padding", "[PAD]"), ("mask", "[MASK]"))}
    by_id = {
        number: (text, TokenType.USER_DEFINED) if text in plain else _token(text, special, unknown, prefix)
        for text, number in vocab.items()
    }
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


def _token(text: str, special: Container[str], unknown: str, prefix: str) -> tuple[str | bytes, TokenType]:
    if text == unknown:
        return text, TokenType.UNKNOWN
    if text in special:
        return text, TokenType.CONTROL
    continues = prefix and text.startswith(prefix)
    return (text.removeprefix(prefix) if continues else _SPACE + text), TokenType.NORMAL
