"""Hugging Face's `tokenizer.json`: byte-level BPE, and sentencepiece-like BPE with byte fallback.

Other kinds have modules of their own (`wordpiece`, `unigram`).

Source of the format: huggingface/tokenizers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.errors import BadFile, UnsupportedModel
from models.sentence import Sentence
from models.untrusted_json import LARGEST_TABLE, InvalidJSON, TokenId, decode, read_bytes, read_struct
from models.vocab.added_tokens import numbered, read_added_tokens, texts_by_id
from models.vocab.byte_level import LETTERS
from models.vocab.own_rules import merges_like_sentencepiece, of_bpe
from models.vocab.piece_rules import bytes_of
from models.vocab.pretokenizer import NAMED_RULES, name_pretokenizer
from models.vocab.special import read_tokenizer_config
from models.vocab.structures import BPE, AnyTokenizer, Pattern, Step, Tokenizer
from models.vocab.text_rules import cuts_like_sentencepiece, is_byte_level, with_text_rules
from models.vocab.unigram import decode_unigram
from models.vocab.vocabulary import TokenType, Vocabulary
from models.vocab.word_level import decode_word_level
from models.vocab.wordpiece import decode_wordpiece

_QWEN_CLASSES = ("Qwen2Tokenizer", "Qwen2TokenizerFast")
_GPT2_CLASSES = ("GPT2Tokenizer", "CodeGenTokenizer")
_OTHER_KINDS = {"WordPiece": decode_wordpiece, "Unigram": decode_unigram, "WordLevel": decode_word_level}
_BYTES = 256
_PIECES = (TokenType.NORMAL, TokenType.USER_DEFINED, TokenType.BYTE, TokenType.UNKNOWN)
_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


def read_tokenizer_json(path: Path) -> Vocabulary:
    """Read a tokenizer.json.

    Raises:
        BadFile: it is damaged.
        UnsupportedModel: its model is of another type than BPE, WordPiece, Unigram and WordLevel.
    """
    data = read_bytes(path)
    other = _OTHER_KINDS.get(_model_type(data) or "")
    if other is not None:
        return other(path, data)
    try:
        tokenizer = decode(data, Tokenizer)
    except InvalidJSON as error:
        _require_bpe(path, _model_type(data))
        raise error.of_file(path) from error
    _require_bpe(path, tokenizer.model.type)
    return _vocabulary(path, tokenizer)


def read_any_tokenizer(path: Path) -> AnyTokenizer:
    """Read what a tokenizer.json of any type says around its model.

    Raises:
        BadFile: it is damaged.
    """
    return read_struct(path, AnyTokenizer, largest=LARGEST_TABLE)


def _model_type(data: bytes) -> str | None:
    """Return the type of a model whose other values are not those of BPE."""
    try:
        model = decode(data, AnyTokenizer).model
    except InvalidJSON:
        return None
    return None if model is None else model.type


def _require_bpe(path: Path, kind: str | None) -> None:
    if kind not in (None, "BPE"):
        raise UnsupportedModel(
            "{path} is a tokenizer of type {kind}; Zhiyin converts BPE, WordPiece, Unigram and WordLevel tokenizers.",
            path=path,
            kind=str(kind)[:40],
        )


def read_vocab_and_merges(folder: Path) -> Vocabulary:
    """Read vocab.json and merges.txt, as tokenizers not written in Rust leave them, and the tokens added beside them.

    The rules for cutting a text stand in the tokenizer's class, whose name tokenizer_config.json gives.

    Raises:
        BadFile: one is damaged.
    """
    path = folder / "vocab.json"
    name = read_tokenizer_config(folder).tokenizer_class or ""
    is_qwen = name in _QWEN_CLASSES
    split = [Step("Split", pattern=Pattern(Regex=NAMED_RULES["qwen2"].expressions[0]))] if is_qwen else []
    lines = read_bytes(folder / "merges.txt").decode("utf-8", "replace").split("\n")
    merges: list[str | tuple[str, str]] = [
        line.rstrip("\r") for line in lines if line.strip() and not line.startswith("#version")
    ]
    vocabulary = _vocabulary(
        path,
        Tokenizer(
            model=BPE(read_struct(path, dict[str, TokenId], largest=LARGEST_TABLE), merges=merges),
            normalizer=Step("NFC") if is_qwen else None,
            pre_tokenizer=Step("Sequence", pretokenizers=[*split, Step("ByteLevel", use_regex=not is_qwen)]),
        ),
    )
    known = is_qwen or name.removesuffix("Fast") in _GPT2_CLASSES
    warning = Sentence(
        "{folder} has no tokenizer.json, and its tokenizer's class ({name}) is not known here; texts are cut by GPT-2's rules, "
        "and some words may be cut differently.",
        folder=folder,
        name=name or "-",
    )
    return vocabulary if known else replace(vocabulary, warnings=(*vocabulary.warnings, warning))


def _vocabulary(path: Path, tokenizer: Tokenizer) -> Vocabulary:
    added = read_added_tokens(path.parent, tokenizer.added_tokens or (), tokenizer.model.vocab)
    tokens, types = numbered(path, texts_by_id(path, tokenizer.model.vocab), added.tokens)
    merges = _merges(path, tokenizer.model)
    own: dict[str, Any] = {}
    warnings: list[Sentence] = []
    if is_byte_level(tokenizer):
        contents = [token.content for token in added.tokens.values()]
        model = tokenizer.model
        pre, warning = name_pretokenizer(tokenizer.pre_tokenizer, ignore_merges=model.ignore_merges, added=contents)
        if warning is not None or not _is_plain(tokenizer):
            own = of_bpe(tokenizer, _ids(tokens, types), added.tokens.values())
            warnings = [] if own or warning is None else [warning]
        vocabulary = Vocabulary(model="gpt2", pre=pre, tokens=tokens, types=types, merges=merges)
    else:
        vocabulary = _sentencepiece_like(tokenizer, tokens, types, merges)
        if not _is_sentencepiece(tokenizer, vocabulary):
            own = of_bpe(tokenizer, _ids(tokens, vocabulary.types), added.tokens.values())
    vocabulary = replace(vocabulary, extra=vocabulary.extra | own, added=added.tokens)
    warnings += [*added.warnings(), *(() if own else _of_model(path, tokenizer.model))]
    return with_text_rules(replace(vocabulary, warnings=tuple(warnings)), path, tokenizer)


def _ids(tokens: list[str | bytes], types: list[TokenType]) -> dict[str, int]:
    """Return the ids of the texts that pieces may become."""
    return {str(text): number for number, (text, kind) in enumerate(zip(tokens, types, strict=True)) if kind in _PIECES}


def _is_plain(tokenizer: Tokenizer) -> bool:
    """Tell whether llama.cpp's byte-level BPE merges as a tokenizer does once its texts are cut."""
    model = tokenizer.model
    steps = [] if tokenizer.normalizer is None else tokenizer.normalizer.leaves()
    marks = model.continuing_subword_prefix or model.end_of_word_suffix
    has_letters = all(letter in model.vocab for letter in LETTERS)
    return has_letters and not marks and not any(step.type == "ByteLevel" for step in steps)


def _is_sentencepiece(tokenizer: Tokenizer, vocabulary: Vocabulary) -> bool:
    """Tell whether llama.cpp's sentencepiece cuts and merges as a tokenizer does."""
    model = tokenizer.model
    marks = model.continuing_subword_prefix or model.end_of_word_suffix
    spells = model.byte_fallback and len(bytes_of(model.vocab)) == _BYTES
    alike = spells and not marks and not model.ignore_merges and cuts_like_sentencepiece(tokenizer, vocabulary)
    return alike and merges_like_sentencepiece(model)


def _of_model(path: Path, model: BPE) -> Iterator[Sentence]:
    """Yield what llama.cpp does not do of what a model asks for."""
    if not model.byte_fallback and any(map(_BYTE_TOKEN.fullmatch, model.vocab)):
        yield Sentence(
            "{path} has one token for all that it does not know, and llama.cpp writes such characters as their bytes.",
            path=path,
        )
    if model.continuing_subword_prefix or model.end_of_word_suffix:
        yield Sentence(
            "{path} marks the parts of words ({mark}), which llama.cpp does not do for its kind; words become other tokens.",
            path=path,
            mark=model.continuing_subword_prefix or model.end_of_word_suffix or "",
        )


def _merges(path: Path, model: BPE) -> list[str]:
    """Return the merges as "left right"; newer files hold pairs, older ones such strings."""
    merges = []
    for merge in model.merges:
        if isinstance(merge, str):
            is_pair = merge.count(" ") == 1 and not merge.startswith(" ") and not merge.endswith(" ")
            written = merge
        else:
            is_pair = "" not in merge
            written = " ".join(merge)
            if written.count(" ") > 1:
                # A space inside a part would read as the separator; byte-level alphabets write it as another character.
                written = " ".join(part.replace(" ", "\u0120") for part in merge)
        if not is_pair:
            raise BadFile(
                "{path} has a merge that is no pair ({merge}); download it again.", path=path, merge=str(merge)[:40]
            )
        merges.append(written)
    return merges


def _sentencepiece_like(
    tokenizer: Tokenizer, tokens: list[str | bytes], types: list[TokenType], merges: list[str]
) -> Vocabulary:
    """Bring a converted sentencepiece BPE back: a piece's score is minus its rank, as sentencepiece numbers it."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        ranks.setdefault(merge.replace(" ", "").replace("\u0120", " "), rank)
    scores = []
    for number, text in enumerate(tokens):
        if types[number] is TokenType.NORMAL and _BYTE_TOKEN.fullmatch(str(text)):
            types[number] = TokenType.BYTE
        # Pieces that no merge makes are single characters, which come after all merges in a sentencepiece model.
        ranked = types[number] is TokenType.NORMAL
        scores.append(-float(ranks.get(str(text), len(ranks) + number)) if ranked else 0.0)
    unknown = tokenizer.model.vocab.get(tokenizer.model.unk_token or "")
    if unknown is not None:
        types[unknown] = TokenType.UNKNOWN
    return Vocabulary(
        model="llama",
        pre="default",
        tokens=tokens,
        types=types,
        scores=scores,
        special={} if unknown is None else {"unknown": unknown},
    )
