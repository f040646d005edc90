"""tokenizer.json in sentencepiece's manner (BPE with byte fallback) against the tokenizers library."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tokenizers

from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.vocab import read_vocabulary
from models.vocab.pretokenizer import NAMED_RULES
from models.vocab.text_normalization import KEY as NORMALIZER
from models.vocab.vocabulary import TokenType
from tests.support.vocabularies import encode, load, varied_texts


def converted_sentencepiece() -> dict[str, Any]:
    """Return what transformers' converter makes of a LLaMA-like model: merges in the order of the pieces they make."""
    out = io.BytesIO()
    lines = [line for text in varied_texts(1200) for line in text.replace("\0", "").split("\n") if line]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=out,
        model_type="bpe",
        vocab_size=1400,
        byte_fallback=True,
        character_coverage=0.98,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    library = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    vocabulary = {library.id_to_piece(number): number for number in range(library.vocab_size())}
    special = [
        number for number in range(library.vocab_size()) if library.is_control(number) or library.is_unknown(number)
    ]
    merges = [
        (vocabulary[piece], vocabulary[piece[:at]], vocabulary[piece[at:]], piece[:at], piece[at:])
        for piece in vocabulary
        for at in range(1, len(piece))
        if piece[:at] in vocabulary and piece[at:] in vocabulary and not library.is_byte(vocabulary[piece])
    ]
    return {
        "version": "1.0",
        "added_tokens": [
            {
                "id": number,
                "content": library.id_to_piece(number),
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for number in special
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocabulary,
            "merges": [f"{left} {right}" for _, _, _, left, right in sorted(merges)],
        },
    }


def write(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return path


def test_ids_are_the_librarys(tmp_path: Path) -> None:
    document = converted_sentencepiece()
    reference = tokenizers.Tokenizer.from_file(str(write(tmp_path, document)))
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert (vocabulary.model, vocabulary.warnings) == ("llama", ())
    assert vocabulary.types.count(TokenType.BYTE) == 256
    found = load(vocabulary, tmp_path)
    for text in varied_texts(2000)[1:]:
        # the library reads markup in a text always
        assert encode(found, text, special=True) == reference.encode(text, add_special_tokens=False).ids, text


def test_a_normal_form_reaches_the_engine(tmp_path: Path) -> None:
    letters = [chr(code) for code in range(33, 127)] + ["Ã©", "Ã", "©", "Ì", "ģ"]
    model = {"type": "BPE", "vocab": {letter: number for number, letter in enumerate(letters)}, "merges": ["Ã ©"]}
    steps = [{"type": "ByteLevel", "add_prefix_space": False}]
    document = {"model": model, "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}}
    write(tmp_path, document | {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]}})
    vocabulary = read_vocabulary(tmp_path, Config({}))
    assert "NFC" in vocabulary.extra[NORMALIZER]
    found = load(vocabulary, tmp_path)
    assert encode(found, "e\u0301") == encode(found, "é") == [letters.index("Ã©")]


@pytest.mark.parametrize(
    ("name", "pre", "warned"),
    [("Qwen2Tokenizer", "qwen2", False), ("GPT2TokenizerFast", "gpt-2", False), ("MyTokenizer", "gpt-2", True)],
)
def test_vocab_and_merges_equal_the_one_file(name: str, pre: str, warned: bool, tmp_path: Path) -> None:
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pre == "qwen2":
        expression = tokenizers.Regex(NAMED_RULES["qwen2"].expressions[0])
        tokenizer.normalizer = tokenizers.normalizers.NFC()
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
            [
                tokenizers.pre_tokenizers.Split(expression, "isolated"),
                tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(varied_texts(400), trainer)
    tokenizer.model.save(str(tmp_path))
    size = tokenizer.get_vocab_size()
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<|im_end|>": size}), "utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}), "utf-8")
    vocabulary = read_vocabulary(tmp_path, Config({"eos_token_id": size}))
    assert (vocabulary.pre, bool(vocabulary.warnings), vocabulary.special["eos"]) == (pre, warned, size)
    found = load(vocabulary, tmp_path)
    for text in varied_texts(500):
        assert encode(found, text) == tokenizer.encode(text, add_special_tokens=False).ids, text


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({}, BadFile),
        ({"model": {"type": "BPE"}}, BadFile),
        ({"model": {"type": "WordPiece", "vocab": []}}, BadFile),
        ({"model": {"type": "Unigram", "vocab": []}}, BadFile),
        ({"model": {"type": "WordLevel", "vocab": []}}, BadFile),
        ({"model": {"type": "Unknown", "vocab": {"a": 0}}}, UnsupportedModel),
        ({"model": {"type": "BPE", "vocab": {"a": -1}}}, BadFile),
        ({"model": {"type": "BPE", "vocab": {"a": 10**9}}}, BadFile),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a"]]}}, BadFile),
    ],
)
def test_what_cannot_be_read_is_said(document: dict[str, Any], error: type[Exception], tmp_path: Path) -> None:
    write(tmp_path, document)
    with pytest.raises(error, match=r"tokenizer\.json"):
        read_vocabulary(tmp_path, Config({}))
