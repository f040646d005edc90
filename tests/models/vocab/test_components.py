"""Every component class of the tokenizers library: the same tokens as the library's, or a sentence that says what differs."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from desktop_app.engine.reply_pieces import ReplyPieces
from models.config import Config
from models.vocab import read_vocabulary
from models.vocab.charsmap import compile_charsmap
from models.vocab.vocabulary import TokenType
from tests.support.vocabularies import Loaded, encode, load, varied_texts

Document = dict[str, Any]
UNKNOWN, UNKNOWN_WORD = "<unk>", "[UNK]"
_TRAINED = [text.replace("\0", "").replace("<s>", "").replace("</s>", "") for text in varied_texts(300)]
TEXTS = [
    *varied_texts(22),
    "a-b--c 12345 x हिन्दी  ภาษาไทย \u3000 ①",
    "<s> Hi</s>  it's 2026!  <t1>x <t1>  y",
    f" {'x' * 130} café Ａｂｃ ▁a ²x ⓐ",
]


def _added(text: str, number: int, **traits: bool) -> Document:
    usual = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": text, **usual, **traits}


def _document(tokenizer: tokenizers.Tokenizer, trainer: Any, *, whole: bool = False) -> Document:
    parts = [text[at : at + 12] for text in _TRAINED for at in range(0, len(text), 6)]
    tokenizer.train_from_iterator(parts if whole else _TRAINED, trainer)
    found: Document = json.loads(tokenizer.to_str())
    size = tokenizer.get_vocab_size()
    kept = [token for token in found["added_tokens"] if not token["content"].startswith("<0x")]
    known = {token["content"] for token in kept}
    more = [text for text in ("<s>", "</s>", "<t1>") if text not in known]
    found["added_tokens"] = kept + [_added(text, size + number) for number, text in enumerate(more)]
    return found


def _bytes() -> Document:
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _document(
        tokenizer, trainers.BpeTrainer(vocab_size=800, initial_alphabet=alphabet, show_progress=False), whole=True
    )


def _characters(*, spells: bool, fuses: bool = False) -> Document:
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token=UNKNOWN, byte_fallback=spells, fuse_unk=fuses))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    tokenizer.decoder = decoders.Metaspace() if not spells else None
    names = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256) if spells)]
    trainer = trainers.BpeTrainer(vocab_size=900, limit_alphabet=150, special_tokens=names, show_progress=False)
    return _document(tokenizer, trainer, whole=True)


def _words(**marks: Any) -> Document:
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token=UNKNOWN, **marks))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    suffix = marks.get("end_of_word_suffix")
    tokenizer.decoder = decoders.BPEDecoder(suffix) if suffix else decoders.WordPiece("##", cleanup=False)
    return _document(
        tokenizer, trainers.BpeTrainer(vocab_size=800, special_tokens=["<unk>"], show_progress=False, **marks)
    )


def _unigram(*, spells: bool) -> Document:
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    names = ["<s>", "<pad>", "</s>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256) if spells)]
    trainer = trainers.UnigramTrainer(vocab_size=1000, unk_token=UNKNOWN, special_tokens=names, show_progress=False)
    found = _document(tokenizer, trainer)
    vocab = [[text, float(f"{score:.3f}")] for text, score in found["model"]["vocab"]]  # no two ways are equally likely
    found["model"] |= {"byte_fallback": spells, "vocab": vocab}
    return found


def _wordpiece(prefix: str) -> Document:
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token=UNKNOWN_WORD, continuing_subword_prefix=prefix))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=900, continuing_subword_prefix=prefix, special_tokens=names, show_progress=False
    )
    found = _document(tokenizer, trainer)
    around = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return found | {"post_processor": json.loads(around.__getstate__())}


def _word_level() -> Document:
    tokenizer = tokenizers.Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(special_tokens=["<s>", "</s>", "<unk>"], show_progress=False)
    return _document(tokenizer, trainer)


MODELS: dict[str, Callable[[], Document]] = {
    "bytes": _bytes,
    "sentencepiece": lambda: _characters(spells=True),
    "unknown": lambda: _characters(spells=False),
    "fused unknown": lambda: _characters(spells=False, fuses=True),
    "suffix": lambda: _words(end_of_word_suffix="</w>"),
    "prefix": lambda: _words(continuing_subword_prefix="##"),
    "unigram": lambda: _unigram(spells=False),
    "unigram with bytes": lambda: _unigram(spells=True),
    "wordpiece": lambda: _wordpiece("##"),
    "wordpiece otherwise": lambda: _wordpiece("@@"),
    "wordlevel": _word_level,
}


def _replace(expression: str, content: str) -> Document:
    return {"type": "Replace", "pattern": {"Regex": expression}, "content": content}


def _split(expression: str, behavior: str, *, invert: bool = False) -> Document:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": behavior, "invert": invert}


def _metaspace(scheme: str, *, split: bool = True, mark: str = "▁") -> Document:
    return {"type": "Metaspace", "replacement": mark, "prepend_scheme": scheme, "split": split}


def _byte_level(*, space: bool, regex: bool) -> Document:
    return {"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": True, "use_regex": regex}


def _sequence(name: str, *steps: Document) -> Document:
    return {"type": "Sequence", name: list(steps)}


def _bert(**said: Any) -> Document:
    usual = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    return {"type": "BertNormalizer", **usual, **said}


_CHARSMAP = compile_charsmap({"é": "e", "①": "1", "ﬁ": "fi", "\u3000": " ", "e\u0301": "E"})
_COMPILED = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(_CHARSMAP).decode()}
_BLANKS = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
NORMALIZERS: list[Document | None] = [
    None,
    *({"type": kind} for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Nmt", "StripAccents", "ByteLevel")),
    {"type": "Strip", "strip_left": True, "strip_right": True},
    {"type": "Prepend", "prepend": "▁"},
    _BLANKS,
    _replace(r"\s+", " "),
    _replace(r"(?<=[a-z])\d{1,2}+", "0"),
    _replace(r"h.", "?"),
    _COMPILED,
    _bert(),
    _bert(lowercase=False),
    _bert(clean_text=False, handle_chinese_chars=False),
    _bert(lowercase=False, strip_accents=True),
    _sequence("normalizers", _bert(), {"type": "NFKC"}),
    _sequence(
        "normalizers", {"type": "Strip", "strip_left": False, "strip_right": True}, _COMPILED, _replace(" {2,}", " ")
    ),
    _sequence("normalizers", _sequence("normalizers", {"type": "NFD"}, {"type": "StripAccents"}), _BLANKS),
    _sequence("normalizers"),
]
_DIGITS = {"type": "Digits", "individual_digits": True}
_BEHAVIORS = ("Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous")
_WORDS, _SCRIPTS = {"type": "Whitespace"}, {"type": "UnicodeScripts"}
PRE_TOKENIZERS: list[Document | None] = [
    None,
    *({"type": kind} for kind in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts")),
    *(_byte_level(space=space, regex=regex) for space in (True, False) for regex in (True, False)),
    *(_metaspace(scheme) for scheme in ("always", "first", "never")),
    _metaspace("always", split=False),
    _metaspace("always", mark="_"),
    {"type": "CharDelimiterSplit", "delimiter": "-"},
    _DIGITS,
    {"type": "Digits", "individual_digits": False},
    {"type": "FixedLength", "length": 5},
    *({"type": "Punctuation", "behavior": behavior} for behavior in _BEHAVIORS),
    *(_split(r"[a-z]+|\d{2}+", behavior, invert=invert) for behavior in _BEHAVIORS for invert in (True, False)),
    {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
    _split(r"\p{N}{1,3}+|[^\s\p{L}]++|\w+|\s*", "Isolated"),
    _sequence("pretokenizers", _DIGITS, _metaspace("always")),
    _sequence("pretokenizers", _metaspace("always"), _DIGITS),
    _sequence("pretokenizers", {"type": "Punctuation", "behavior": "Isolated"}, _metaspace("first")),
    _sequence("pretokenizers", _WORDS, _metaspace("always", split=False)),
    _sequence("pretokenizers", _DIGITS, _byte_level(space=False, regex=True)),
    _sequence("pretokenizers", _byte_level(space=False, regex=True), _DIGITS),
    _sequence("pretokenizers", _SCRIPTS, _byte_level(space=True, regex=False)),
    _sequence("pretokenizers"),
]


_USUAL = ("bytes", "sentencepiece", "unigram with bytes")


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=() if name in _USUAL else pytest.mark.slow) for name in MODELS]
)
def document(request: pytest.FixtureRequest) -> Document:
    return MODELS[request.param]()


def _differences(folder: Path, document: Document, texts: Sequence[str] = TEXTS) -> list[str]:
    """Return texts whose ids are not the library's; the characters that are newer than its table of scripts are left out."""
    (folder / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    reference = tokenizers.Tokenizer.from_str(json.dumps(document))
    vocabulary = read_vocabulary(folder, Config({}))
    if "changes or cuts" in str(vocabulary.warnings):
        return ["said"]
    found = load(vocabulary, folder)
    texts = [text.replace("\u9fff", "") for text in texts]
    wanted = [reference.encode(text, add_special_tokens=False).ids for text in texts]
    return [text for text, ids in zip(texts, wanted, strict=True) if encode(found, text, special=True) != ids]


def _assert_equal(folder: Path, document: Document, part: str, steps: list[Document | None]) -> None:
    found = {str(step): _differences(folder, document | {part: step}) for step in steps}
    assert {step: texts for step, texts in found.items() if texts} == {}


def test_some_components(document: Document, tmp_path: Path) -> None:
    _assert_equal(tmp_path, document, "normalizer", NORMALIZERS[::6])
    _assert_equal(tmp_path, document, "pre_tokenizer", PRE_TOKENIZERS[3::10])


@pytest.mark.slow
def test_normalizers(document: Document, tmp_path: Path) -> None:
    _assert_equal(tmp_path, document, "normalizer", NORMALIZERS)


@pytest.mark.slow
def test_pre_tokenizers(document: Document, tmp_path: Path) -> None:
    _assert_equal(tmp_path, document, "pre_tokenizer", PRE_TOKENIZERS)


def test_the_text_of_an_added_token_is_no_piece(document: Document, tmp_path: Path) -> None:
    """It stands inside a word, where it is no token, or a normal form takes it apart."""
    number = max(token["id"] for token in document["added_tokens"]) + 1
    for traits in ({"single_word": True}, {}):
        tokens = [*document["added_tokens"], _added("Ṡ", number, special=False, **traits)]
        for steps in ({}, {"normalizer": {"type": "NFD"}}, {"pre_tokenizer": {"type": "FixedLength", "length": 3}}):
            assert _differences(tmp_path, document | {"added_tokens": tokens} | steps, ["aṠb Ṡ xṠ"]) == []


TRAITS = [
    {"lstrip": True, "rstrip": True},
    {"single_word": True},
    {"normalized": True},
    {"special": False, "lstrip": True},
    {"special": False, "single_word": True, "normalized": True},
]


@pytest.mark.parametrize("lowers", [True, False])
def test_attributes_of_added_tokens(document: Document, lowers: bool, tmp_path: Path) -> None:
    for traits in TRAITS:
        tokens = [{**token, **(traits if token["content"] == "<t1>" else {})} for token in document["added_tokens"]]
        changed = document | {"added_tokens": tokens} | ({"normalizer": {"type": "Lowercase"}} if lowers else {})
        assert _differences(tmp_path, changed) == []


@pytest.mark.parametrize(
    "step",
    [
        {"type": "Split", "pattern": {"Regex": r"([a-z])\1"}, "behavior": "Isolated", "invert": False},
        _split(r"[[:alpha:]&&[^a-f]]+", "Isolated"),
        _split(r"\p{N}{2,3}+", "Isolated"),
    ],
)
def test_expressions_that_are_not_known_are_said(document: Document, step: Document, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(document | {"pre_tokenizer": step}), "utf-8")
    said = str(read_vocabulary(tmp_path, Config({})).warnings)
    assert "changes or cuts texts" in said or "has no name for" in said


_SPACES = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
_STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
DECODERS: list[Document] = [
    *({"type": kind} for kind in ("Fuse", "ByteFallback")),
    _byte_level(space=True, regex=True),
    *(_metaspace(scheme) for scheme in ("always", "first", "never")),
    {"type": "BPEDecoder", "suffix": "</w>"},
    {"type": "WordPiece", "prefix": "##", "cleanup": True},
    {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True},
    {"type": "Strip", "content": "e", "start": 0, "stop": 1},
    {"type": "Replace", "pattern": {"String": "e"}, "content": "E"},
    _sequence("decoders", _SPACES, {"type": "Fuse"}),
    _sequence("decoders", _SPACES, {"type": "ByteFallback"}, {"type": "Fuse"}, _STRIP),
    _sequence("decoders", _SPACES, {"type": "ByteFallback"}, _STRIP),
]


@pytest.mark.parametrize("step", DECODERS, ids=lambda step: step["type"])
def test_replies_are_written_alike_or_it_is_said(document: Document, step: Document, tmp_path: Path) -> None:
    changed = document | {"decoder": step}
    (tmp_path / "tokenizer.json").write_text(json.dumps(changed), "utf-8")
    vocabulary = read_vocabulary(tmp_path, Config({}))
    if "writes tokens as text" in str(vocabulary.warnings):
        return
    reference, found = tokenizers.Tokenizer.from_str(json.dumps(changed)), load(vocabulary, tmp_path)
    for text in (" spaced", "The quick brown fox. It's we'll", "你好，世界。", "don't do not x!"):
        ids = reference.encode(text, add_special_tokens=False).ids
        assert written(found, ids) == reference.decode(ids)
    rng = random.Random(5)
    pieces = [token for token, kind in enumerate(vocabulary.types) if found.piece(token) and kind != TokenType.BYTE]
    for _ in range(200):  # what a model may write, which no text need become
        ids = rng.choices(pieces, k=rng.randint(1, 4))
        assert written(found, ids) == reference.decode(ids)


def written(loaded: Loaded, ids: list[int]) -> str:
    reply = ReplyPieces(loaded, {}, begins=True)
    return b"".join(map(reply.add, ids)).decode("utf-8", "replace")


def test_what_is_written_around_texts_is_said(tmp_path: Path) -> None:
    document = _bytes()
    ids = {token["content"]: token["id"] for token in document["added_tokens"]}

    def warned(*names: str) -> str:
        single = [
            {"SpecialToken": {"id": name, "type_id": 0}} if name in ids else {"Sequence": {"id": "A", "type_id": 0}}
            for name in names
        ]
        special = {name: {"id": name, "ids": [number], "tokens": [name]} for name, number in ids.items()}
        step = {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": special}
        (tmp_path / "tokenizer.json").write_text(json.dumps(document | {"post_processor": step}), "utf-8")
        (tmp_path / "tokenizer_config.json").write_text('{"bos_token": "<s>", "eos_token": "</s>"}', "utf-8")
        return str(read_vocabulary(tmp_path, Config({})).warnings)

    assert warned("<s>", "A") == warned("A", "</s>") == warned("A") == "()"
    assert "<s> <t1> in front" in warned("<s>", "<t1>", "A")
    assert "<t1> behind" in warned("A", "<t1>")
