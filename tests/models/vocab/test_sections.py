"""Texts between control tokens against the tokenizers library: spaces in front, attributes of added tokens, normalisers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tokenizers

from models.config import Config
from models.vocab import read_vocabulary
from models.vocab.sections import CUT
from models.vocab.vocabulary import TokenType
from tests.models.vocab.test_sentencepiece import LLAMA, trained
from tests.models.vocab.test_tokenizer_json import converted_sentencepiece, write
from tests.support.vocabularies import Loaded, encode, load, varied_texts

INST, END, THINK = "[INST]", "<|im_end|>", "<think>"
TEXTS = [
    f"<s>{INST} Hi{END}",
    f"{INST} Hi",
    f"{INST}Hi {THINK}there{THINK} you",
    f"Hi{END} x",
    f" Hi{END}  x{END}\n y",
    f"{END}{END} {INST}",
    f"a{THINK}b a {THINK} b",
    f" {THINK}",
    "Hi",
    " Hi",
    "  Hi  there ",
    "▁Hi",
    *(f"{text}{INST} {text}{END}{text}\n{THINK} {text}" for text in varied_texts(60)),
]
"""Chats as templates write them; the library reads markup in a text always."""


def added(text: str, number: int, **traits: bool) -> dict[str, Any]:
    usual = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": text, **usual, **traits}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return converted_sentencepiece()


def with_tokens(document: dict[str, Any], *tokens: tuple[str, dict[str, bool]], **parts: Any) -> dict[str, Any]:
    size = len(document["model"]["vocab"])
    more = [added(text, size + number, **traits) for number, (text, traits) in enumerate(tokens)]
    return document | {"added_tokens": [*document["added_tokens"], *more]} | parts


def assert_equal(folder: Path, document: dict[str, Any], texts: list[str] = TEXTS, *, warned: str = "") -> None:
    reference = tokenizers.Tokenizer.from_file(str(write(folder, document)))
    vocabulary = read_vocabulary(folder, Config({}))
    assert [warned in str(warning) for warning in vocabulary.warnings] == [True] * bool(warned)
    found = load(vocabulary, folder)
    for text in texts:
        assert encode(found, text, special=True) == reference.encode(text, add_special_tokens=False).ids, text


PLAIN = ((INST, {}), (END, {}), (THINK, {"special": False}))
BLANKS = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}


def metaspace(scheme: str, *, split: bool = False) -> dict[str, Any]:
    step = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}
    return {"normalizer": None, "pre_tokenizer": step}


@pytest.mark.parametrize("scheme", ["first", "always", "never"])
def test_metaspace(scheme: str, document: dict[str, Any], tmp_path: Path) -> None:
    """Mistral v0.3 is "first": "[INST] Hi" has one blank piece less than where every section gets a space."""
    assert_equal(tmp_path, with_tokens(document, *PLAIN, **metaspace(scheme)))


def test_metaspace_that_keeps_words_apart(document: dict[str, Any], tmp_path: Path) -> None:
    """Pieces of several blanks are found where words are not apart alone."""
    vocab, merges = document["model"]["vocab"], document["model"]["merges"]
    model = document["model"] | {"vocab": vocab | {"▁▁": len(vocab)}, "merges": [*merges, "▁ ▁"]}
    for split in (True, False):
        assert_equal(tmp_path, with_tokens(document | {"model": model}, *PLAIN, **metaspace("first", split=split)))


def test_prepend(document: dict[str, Any], tmp_path: Path) -> None:
    assert_equal(tmp_path, with_tokens(document, *PLAIN))


def test_no_space_at_all(document: dict[str, Any], tmp_path: Path) -> None:
    """Gemma's."""
    split = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    assert_equal(tmp_path, with_tokens(document, *PLAIN, normalizer=BLANKS, pre_tokenizer=split))


TRAITS = [
    {"rstrip": True},
    {"lstrip": True},
    {"lstrip": True, "rstrip": True},
    {"single_word": True},
    {"special": False, "normalized": True},
    {"special": False, "normalized": True, "lstrip": True},
]


@pytest.mark.parametrize("traits", TRAITS)
def test_attributes_of_added_tokens(traits: dict[str, bool], document: dict[str, Any], tmp_path: Path) -> None:
    """Phi-3's take the blanks behind them."""
    tokens = ((INST, traits), (END, traits), (THINK, {"special": False} | traits))
    more = [
        f"x{INST}y {INST}\u3000{INST}z \n {END}\t{END}",
        f"a{THINK} b",
        f"a {THINK}b",
        f"é{THINK}",
        f"_{THINK} {THINK}2",
    ]
    assert_equal(tmp_path, with_tokens(document, *tokens), TEXTS + more)


NORMALIZERS: list[list[dict[str, Any]]] = [
    [{"type": "Lowercase"}, BLANKS],
    [{"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}, BLANKS],
    [{"type": "Replace", "pattern": {"String": "''"}, "content": '"'}, {"type": "Prepend", "prepend": "▁"}, BLANKS],
    [{"type": "Strip", "strip_left": True, "strip_right": False}, BLANKS],
    [{"type": "Nmt"}, BLANKS],
    [{"type": "Replace", "pattern": {"Regex": "``|''|(?i:the)"}, "content": '"'}, BLANKS],
    [{"type": "Replace", "pattern": {"Regex": r"\p{N}+(?=\P{L})| (?= )"}, "content": "0"}, BLANKS],
    [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}, {"type": "Prepend", "prepend": "▁"}, BLANKS],
]


@pytest.mark.parametrize("steps", NORMALIZERS)
def test_normalizers(steps: list[dict[str, Any]], document: dict[str, Any], tmp_path: Path) -> None:
    parts = {"normalizer": {"type": "Sequence", "normalizers": steps}}
    tokens = (*PLAIN, ("<Tool>", {"special": False, "normalized": True}))
    texts = ["Ééé ÀÇ  It''s  <Tool>X<tool> İSTANBUL ΟΔΟΣ Straße", *TEXTS]
    assert_equal(tmp_path, with_tokens(document, *tokens, **parts), texts)


@pytest.mark.parametrize(
    "step",
    [
        {"type": "Replace", "pattern": {"Regex": "(a+)+b"}, "content": ""},
        {"type": "Replace", "pattern": {"Regex": r"\p{Greek}"}, "content": ""},
    ],
)
def test_a_normalizer_that_is_not_known_is_said(step: dict[str, Any], document: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, with_tokens(document, normalizer={"type": "Sequence", "normalizers": [step, BLANKS]}))
    assert [step["type"] in str(warning) for warning in read_vocabulary(tmp_path, Config({})).warnings] == [True]


def byte_level(**parts: Any) -> dict[str, Any]:
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(varied_texts(300), trainer)
    document: dict[str, Any] = json.loads(tokenizer.to_str())
    return with_tokens(document, *PLAIN, **parts)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
        {"normalizer": {"type": "Lowercase"}},
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}},
    ],
)
def test_byte_level(parts: dict[str, Any], tmp_path: Path) -> None:
    assert_equal(tmp_path, byte_level(**parts))


def test_added_tokens_that_overlap_are_found_from_the_left(tmp_path: Path) -> None:
    """llama.cpp takes the longest of a whole text first: " the" of two blanks before it."""
    kept = {"special": False}
    tokens = (
        ("  ", kept),
        ("    ", kept),
        ("\n\n", kept),
        (" the", kept),
        ("<|a|><|b|>", {}),
        ("<|a|>", {}),
        ("|>", kept),
    )
    more = ["  the   the    the \n\n\n  x", "<|a|><|b|><|a|>|><|b|>"]
    assert_equal(tmp_path, with_tokens(byte_level() | {"added_tokens": []}, *tokens), [*TEXTS, *more])


def test_an_added_token_that_the_vocabulary_has_keeps_its_id(tmp_path: Path) -> None:
    document = byte_level()
    known = next(text for text in document["model"]["vocab"] if text.isalpha() and text.isascii() and len(text) > 1)
    token = added(known, len(document["model"]["vocab"]), special=False)
    document |= {"added_tokens": [token]}
    assert_equal(tmp_path, document, [f"x{known}y {known} z"], warned="disagree about 1")


def test_markup_with_a_cut_inside_stays_text(document: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, with_tokens(document, *PLAIN, **metaspace("first")))
    found = load(read_vocabulary(tmp_path, Config({})), tmp_path)
    ids = encode(found, f"{INST} a[{CUT}INST] b{END}", special=True)
    inst, end = (encode(found, text, special=True)[0] for text in (INST, END))
    assert (ids[0], ids[-1], ids.count(inst)) == (inst, end, 1)
    assert ids[1:-1] == encode(found, f"x{INST} a[INST] b", special=False)[-len(ids[1:-1]) :]


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
def test_marks_of_turns_stay_text_in_a_message(
    special: bool, normalized: bool, document: dict[str, Any], tmp_path: Path
) -> None:
    """DeepSeek adds <｜User｜> as an ordinary token that is looked for in normalised texts: a message could forge turns."""
    mark = "<｜User｜>"
    traits = {"special": special, "normalized": normalized}
    write(tmp_path, with_tokens(document, (mark, traits), (THINK, {"special": False}), **metaspace("first")))
    found = load(read_vocabulary(tmp_path, Config({})), tmp_path)
    (user,) = encode(found, mark, special=True)
    assert mark in found.control_texts()
    assert THINK not in found.control_texts()
    ids = encode(found, f"{mark}a{mark[0]}{CUT}{mark[1:]}b", special=True)
    assert (ids[0], ids.count(user)) == (user, 1)
    assert b"".join(map(found.piece, ids[1:])).decode() == f"a{mark}b"


def sentencepiece_folder(folder: Path, **config: Any) -> tuple[Loaded, sentencepiece.SentencePieceProcessor]:
    data = trained(LLAMA | {"user_defined_symbols": ["知音"]})
    (folder / "tokenizer.model").write_bytes(data)
    size = sentencepiece.SentencePieceProcessor(model_proto=data).vocab_size()
    decoder = {str(size): {"content": INST, "special": True}, str(size + 1): {"content": THINK, "special": False}}
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder} | config), "utf-8")
    return load(read_vocabulary(folder, Config({})), folder), sentencepiece.SentencePieceProcessor(model_proto=data)


def without_prefix(library: sentencepiece.SentencePieceProcessor) -> sentencepiece.SentencePieceProcessor:
    """Return the same model with `add_dummy_prefix` false: of a field that a protocol buffer repeats, the last counts."""
    return sentencepiece.SentencePieceProcessor(model_proto=library.serialized_model_proto() + b"\x1a\x02\x18\x00")


@pytest.mark.parametrize("legacy", [None, True, False])
def test_the_dummy_prefix(legacy: bool | None, tmp_path: Path) -> None:
    """Each section is a text of its own for the publisher's slow tokenizer; where it is not `legacy`, the first alone is one."""
    found, library = sentencepiece_folder(tmp_path, **({} if legacy is None else {"legacy": legacy}))
    bare = without_prefix(library)
    inst, think = (encode(found, text, special=True)[-1] for text in (INST, THINK))
    for text in ["Hi", " Hi", "高山知音流水", "a  b"]:
        later = (bare if legacy is False else library).encode(text)
        assert encode(found, f"{text}{INST}{text}", special=True) == [*library.encode(text), inst, *later]
        assert encode(found, f"{INST}{text}{THINK}{text}", special=True) == [inst, *later, think, *later]


def test_no_prefix_where_the_class_is_told_so(tmp_path: Path) -> None:
    found, library = sentencepiece_folder(tmp_path, add_prefix_space=False)
    assert encode(found, "Hi there") == without_prefix(library).encode("Hi there")


def test_a_tokenizer_json_adds_to_a_sentencepiece_model(document: dict[str, Any], tmp_path: Path) -> None:
    """Its tokens became letters, and its rule for spaces was not heard."""
    data = trained(LLAMA)
    (tmp_path / "tokenizer.model").write_bytes(data)
    library = sentencepiece.SentencePieceProcessor(model_proto=data)
    pieces = {library.id_to_piece(number): number for number in range(library.vocab_size())}
    model = document["model"] | {"vocab": pieces, "merges": []}
    tokens = [added(INST, len(pieces)), added(THINK, len(pieces) + 1, special=False)]
    write(tmp_path, document | metaspace("first") | {"model": model, "added_tokens": tokens})
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert (vocabulary.warnings, vocabulary.types[-2:]) == ((), [TokenType.CONTROL, TokenType.USER_DEFINED])
    assert vocabulary.scores is not None
    assert vocabulary.scores[: len(pieces)] == [library.get_score(number) for number in range(len(pieces))]
    found, bare = load(vocabulary, tmp_path), without_prefix(library)
    assert encode(found, f"{INST} Hi{THINK}", special=True) == [len(pieces), *bare.encode(" Hi"), len(pieces) + 1]


def test_files_of_other_tokens_are_named(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(trained(LLAMA | {"vocab_size": 900}))
    write(tmp_path, document)
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert len(vocabulary.tokens) == len(document["model"]["vocab"])
    assert ["tokenizer.json counts" in str(warning) for warning in vocabulary.warnings] == [True]


def test_added_tokens_come_from_all_files(document: dict[str, Any], tmp_path: Path) -> None:
    size = len(document["model"]["vocab"])
    write(tmp_path, with_tokens(document, (INST, {})))
    decoder = {str(size): {"content": INST, "special": True, "rstrip": True}, str(size + 1): {"content": END}}
    config = {"added_tokens_decoder": decoder, "eos_token": END, "additional_special_tokens": [THINK]}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "added_tokens.json").write_text(json.dumps({THINK: size + 2, INST: size + 5}), "utf-8")
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert vocabulary.tokens[size : size + 3] == [INST, END, THINK]
    assert vocabulary.types[size : size + 3] == [TokenType.CONTROL] * 3
    assert vocabulary.added[size].rstrip
    assert [f"{INST} = {size + 5}" in str(warning) for warning in vocabulary.warnings] == [True]


def test_only_what_is_declared_ends_a_reply(tmp_path: Path) -> None:
    """Of Qwen3 `</s>` is an ordinary piece: a reply about HTML ended at it, and lost it."""
    document = byte_level()
    vocab = document["model"]["vocab"]
    size = len(vocab)
    vocab |= {"</s>": size}
    tokens = [added(END, size + 1), added("<|endoftext|>", size + 2)]
    write(tmp_path, document | {"added_tokens": tokens})
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": END, "chat_template": ""}), "utf-8")
    found = load(read_vocabulary(tmp_path, Config({})), tmp_path)
    assert [number for number in range(found.size) if found.is_end(number)] == [size + 1]
    assert found.piece(size) == b"</s>"
    assert "</s>" not in found.control_texts()


@pytest.mark.parametrize(("said", "config"), [({"eos_token": "<nope>"}, {}), ({}, {"eos_token_id": 999_999})])
def test_an_end_that_the_vocabulary_lacks_is_said(
    said: dict[str, Any], config: dict[str, Any], document: dict[str, Any], tmp_path: Path
) -> None:
    write(tmp_path, document)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said), "utf-8")
    (warning,) = map(str, read_vocabulary(tmp_path, Config(config)).warnings)
    assert "as the end of replies" in warning
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said | {"eos_token": "</s>"}), "utf-8")
    assert not read_vocabulary(tmp_path, Config({})).warnings


def test_an_end_that_only_the_template_writes(tmp_path: Path) -> None:
    document = byte_level()
    size = len(document["model"]["vocab"])
    write(tmp_path, document | {"added_tokens": [added(END, size), added("<|endoftext|>", size + 1)]})
    config = {"eos_token": "<|endoftext|>", "chat_template": "{{ messages[0].content }}<|im_end|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    found = load(read_vocabulary(tmp_path, Config({})), tmp_path)
    assert [number for number in range(found.size) if found.is_end(number)] == [size, size + 1]


@pytest.mark.parametrize("is_named", [True, False])
def test_no_beginning_where_there_is_none(is_named: bool, tmp_path: Path) -> None:
    """llama.cpp takes token 11 for one where the file names none."""
    document = byte_level()
    size = len(document["model"]["vocab"])
    write(tmp_path, document | {"added_tokens": [added("<|endoftext|>", size)]})
    config = {"bos_token": "<|endoftext|>" if is_named else None, "eos_token": "<|endoftext|>", "add_eos_token": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    found = load(read_vocabulary(tmp_path, Config({"bos_token_id": size})), tmp_path)
    assert found.bos_text == ("<|endoftext|>" if is_named else "")
    assert found.closing == [size]
    assert found.tokenize("a", add_special=True, special=True)[-1] != size


def test_surplus_tokens_are_left_out(document: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, with_tokens(document, (INST, {}), (END, {})))
    size = len(document["model"]["vocab"]) + 1
    vocabulary = read_vocabulary(tmp_path, Config({"eos_token_id": [2, size]})).cut(size)
    assert (len(vocabulary.tokens), vocabulary.tokens[-1]) == (size, INST)
    assert [END in str(warning) for warning in vocabulary.warnings] == [True]
    found = load(vocabulary, tmp_path)
    assert encode(found, INST, special=True) == [size - 1]
    assert [number for number in range(found.size) if found.is_end(number)] == [2]


def test_very_many_added_tokens(document: dict[str, Any], tmp_path: Path) -> None:
    """Long arrays of a GGUF file are skipped when its header is read."""
    tokens = [(f"<u{number}>", {"special": False, "single_word": True}) for number in range(1500)]
    assert_equal(tmp_path, with_tokens(document, *tokens), ["a <u7>b <u1499> c<u3>", *TEXTS[:5]])
