"""ChatGLM-6B's vocabulary against the sentencepiece library with the publisher's rules around it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from models.config import Config
from models.errors import BadFile
from models.vocab.icetk import IcetkTokenizer, read_icetk_vocabulary
from models.vocab.vocabulary import TokenType
from tests.support.sentencepieces import CORPUS, processor, trained, with_pieces

CONTROL = ["[MASK]", "[gMASK]", "[sMASK]", "<unused_0>", "<sop>", "<eop>", "<ENC>", "<dBLOCK>"]
BLANKS = [f"<|blank_{count}|>" for count in range(2, 81)]
APPENDED = [(text, 3) for text in CONTROL] + [(text, 4) for text in ("<|tab|>", *BLANKS)]
BYTES = [(f"<0x{byte:02X}>", 6) for byte in range(256)]

Model = tuple[bytes, sentencepiece.SentencePieceProcessor]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def base(request: pytest.FixtureRequest) -> bytes:
    """Return ice_text.model as the first release has it: without its last pieces."""
    return trained(request.param, 300, user_defined_symbols=["<n>"], pad_id=3, normalization_rule_name="nmt_nfkc")


def whole(base: bytes) -> bytes:
    return with_pieces(base, APPENDED + BYTES, byte_fallback=True)


def expected(library: sentencepiece.SentencePieceProcessor, text: str, offset: int) -> list[int]:
    text = text.replace("\n", "<n>").replace("\t", "<|tab|>")
    for count in range(80, 1, -1):
        text = text.replace(" " * count, f"<|blank_{count}|>")
    return [offset + number for number in library.encode(text)]


def random_texts(count: int) -> list[str]:
    rng = random.Random(5)
    parts = [
        *CORPUS,
        "ＡＢＣ，１２３：；？！",
        "   ",
        "\t\t",
        "\n\n",
        " " * 85,
        "🙂👩‍👩‍👧",
        "é e\u0301 ﬁ ㎏ ①",
        "[gMASK]<sop>",
        "<n>",
        "\u3000",
        "\x00",
        "▁",
        "",
    ]
    texts = ["你好", "def main():\n    print('hello world')\t# greeting", "", " ", "\u3000", "\n"]
    for _ in range(count):
        pieces = (rng.choice(parts) for _ in range(rng.randint(1, 5)))
        texts.append("".join(piece[rng.randint(0, 6) : rng.randint(4, 40)] for piece in pieces))
    return texts


def read(folder: Path, model: bytes, **config: int) -> IcetkTokenizer:
    (folder / "ice_text.model").write_bytes(model)
    vocabulary = read_icetk_vocabulary(folder, Config(config))
    return IcetkTokenizer.of_metadata(vocabulary.metadata())


@pytest.mark.parametrize("offset", [0, 20000])
def test_ids_are_the_librarys(base: bytes, offset: int, tmp_path: Path) -> None:
    model = whole(base)
    library = processor(model)
    tokenizer = read(tmp_path, model, bos_token_id=library.piece_to_id("<sop>") + offset)
    for text in random_texts(1500):
        assert tokenizer.encode(text) == expected(library, text, offset), text


def test_the_first_releases_model_is_completed(base: bytes, tmp_path: Path) -> None:
    library = processor(whole(base))
    tokenizer = read(tmp_path, base, bos_token_id=library.piece_to_id("<sop>") + 20000)
    for text in random_texts(200):
        assert tokenizer.encode(text) == expected(library, text, 20000), text


@pytest.mark.parametrize(("described", "offset"), [({"num_image_tokens": 0}, 0), ({}, 20000)])
def test_image_tokens_without_ids_in_the_configuration(
    base: bytes, described: dict[str, int], offset: int, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(described))
    (tmp_path / "ice_text.model").write_bytes(base)
    vocabulary = read_icetk_vocabulary(tmp_path, Config({}))
    assert vocabulary.tokens[:offset] == [f"<image_{number}>" for number in range(offset)]
    assert set(vocabulary.types[:offset]) <= {TokenType.UNUSED}
    assert vocabulary.tokens[vocabulary.special["bos"]] == "<sop>"
    assert vocabulary.tokens[vocabulary.special["eos"]] == "<eop>"


def test_decoding_gives_the_text_back(base: bytes, tmp_path: Path) -> None:
    tokenizer = read(tmp_path, whole(base), bos_token_id=processor(whole(base)).piece_to_id("<sop>"))
    for text in ("def main():\n    print('hello world')\t# greeting", "你好\n\n  世界 🙂", "a" + " " * 80 + "b"):
        assert b"".join(map(tokenizer.piece, tokenizer.encode(text))).decode() == " " + text


def test_markup_is_text_unless_asked_for(base: bytes, tmp_path: Path) -> None:
    first = processor(whole(base)).piece_to_id("<sop>")
    tokenizer = read(tmp_path, whole(base), bos_token_id=first)
    assert first not in tokenizer.encode("a [gMASK]<sop>")
    assert tokenizer.encode("a[gMASK]<sop>", special=True)[-2:] == [first - 3, first]
    assert tokenizer.piece(first) == b""


def test_damaged_files_are_refused(base: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"ice_text\.model"):
        read_icetk_vocabulary(tmp_path, Config({}))
    for data in (b"", b"\x0a\xff", base[: len(base) // 2]):
        (tmp_path / "ice_text.model").write_bytes(data)
        with pytest.raises(BadFile):
            read_icetk_vocabulary(tmp_path, Config({}))
    (tmp_path / "ice_text.model").write_bytes(base)
    for number in (5, 10**9):  # the second would be a thousand million image tokens
        with pytest.raises(BadFile, match="number <sop> differently"):
            read_icetk_vocabulary(tmp_path, Config({"bos_token_id": number}))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_hostile_vocabulary_makes_wrong_ids_at_most(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    numbers = st.floats(width=32) | st.just(0.0)
    metadata = {
        "tokenizer.ggml.model": data.draw(st.sampled_from(["llama", "t5", "?"])),
        "tokenizer.ggml.tokens": data.draw(
            st.lists(st.text(max_size=3) | st.just("<0xZZ>"), min_size=count, max_size=count)
        ),
        "tokenizer.ggml.token_type": data.draw(st.lists(st.integers(0, 7), min_size=count - 1, max_size=count)),
        "tokenizer.ggml.scores": data.draw(st.lists(numbers, min_size=count - 1, max_size=count)),
        "tokenizer.ggml.unknown_token_id": data.draw(st.integers(0, 99)),
        "tokenizer.ggml.precompiled_charsmap": list(data.draw(st.binary(max_size=60))),
    }
    try:
        tokenizer = IcetkTokenizer.of_metadata(metadata)
    except BadFile:
        return
    ids = tokenizer.encode(data.draw(st.text(max_size=20)), special=data.draw(st.booleans()))
    assert all(0 <= number < count for number in ids)
    for number in range(-1, count + 1):
        tokenizer.piece(number)
