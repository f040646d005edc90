"""The two built-in vocabularies, as llama.cpp reads them from a GGUF file."""

from __future__ import annotations

import ctypes
import random
import unicodedata
from pathlib import Path

import llama_cpp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converter.gguf_writer import lay_out
from converter.pipeline import ConvertRequest, plan
from models.errors import BadFile, NoTokenizer
from models.vocab.gpt_neox import NEOX_SIZE, neox_vocabulary
from models.vocab.rwkv_world import WORLD_SIZE, read_world_file, world_tokens, world_vocabulary
from models.vocab.vocabulary import Vocabulary
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.random_rwkv import random_rwkv


def load(vocabulary: Vocabulary, folder: Path) -> llama_cpp.Llama:
    path = folder / "vocabulary.gguf"
    metadata = {"general.architecture": "rwkv7", "rwkv7.block_count": 1, **vocabulary.metadata()}
    path.write_bytes(lay_out(metadata, []).header)
    return llama_cpp.Llama(str(path), vocab_only=True, verbose=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> llama_cpp.Llama:
    return load(world_vocabulary(), tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def ids_by_token() -> dict[bytes, int]:
    return {token: number for number, token in enumerate(world_tokens()) if number}


def longest_match(ids_by_token: dict[bytes, int], text: bytes) -> list[int]:
    ids, at = [], 0
    while at < len(text):
        size = next(size for size in range(min(128, len(text) - at), 0, -1) if text[at : at + size] in ids_by_token)
        ids.append(ids_by_token[text[at : at + size]])
        at += size
    return ids


def random_texts(count: int) -> list[bytes]:
    """Joined tokens, mixed scripts, and bytes that are no text."""
    rng = random.Random(4)
    tokens = world_tokens()
    scripts = [
        "the quick <s> brown\n\n",
        "你好，世界。知音难觅",
        "ﷺ🙂👩‍👩‍👧 é e\u0301",
        "\t  \r\n    x = [1, 2];",
        "Привет",
        "[PAD65530]",
    ]
    texts = [b"".join(rng.choices(tokens, k=rng.randint(1, 30))) for _ in range(count // 3)]
    for _ in range(count // 3):
        pieces = "".join(rng.choice(scripts)[rng.randint(0, 4) :] for _ in range(rng.randint(1, 12)))
        texts.append(pieces.encode())
    return texts + [rng.randbytes(rng.randint(1, 60)) for _ in range(count - len(texts))]


def test_world_takes_the_longest_match(world: llama_cpp.Llama, ids_by_token: dict[bytes, int]) -> None:
    for text in random_texts(5000):
        assert world.tokenize(text, add_bos=False, special=False) == longest_match(ids_by_token, text)


def test_every_token_of_world_is_itself(world: llama_cpp.Llama, ids_by_token: dict[bytes, int]) -> None:
    buffer = ctypes.create_string_buffer(128)
    for token, number in ids_by_token.items():
        size = llama_cpp.llama_token_to_piece(world._model.vocab, number, buffer, 128, 0, False)
        assert buffer.raw[:size] == token


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_world_gives_every_byte_sequence_back(world: llama_cpp.Llama, data: bytes) -> None:
    assert b"".join(world_tokens()[number] for number in world.tokenize(data, add_bos=False, special=False)) == data


def test_typed_markup_never_becomes_the_end_of_a_document(world: llama_cpp.Llama) -> None:
    assert 0 not in world.tokenize(b"a<s>b</s><|endoftext|>", add_bos=False, special=True)
    ends = [n for n in range(WORLD_SIZE) if llama_cpp.llama_vocab_is_eog(world._model.vocab, n)]
    assert ends == [0]


def test_a_vocabulary_file_equals_the_built_in_one(tmp_path: Path) -> None:
    lines = []
    for number, token in enumerate(world_tokens()[1:], 1):
        try:
            literal = repr(token.decode())
        except UnicodeDecodeError:
            literal = repr(token)
        lines.append(f"{number} {literal} {len(token)}")
    path = tmp_path / "rwkv_vocab_v20230424.txt"
    path.write_bytes("\r\n".join(lines).encode("utf-8"))
    assert read_world_file(path, WORLD_SIZE) == world_vocabulary()


@pytest.mark.parametrize(
    ("rows", "remedy"), [(WORLD_SIZE, "leave that out to take the one"), (300, "--tokenizer none")]
)
def test_a_named_folder_without_a_tokenizer_is_refused(rows: int, remedy: str, tmp_path: Path) -> None:
    source, named = tmp_path / "RWKV-x.safetensors", tmp_path / "empty"
    write_safetensors(source, random_rwkv("7", 3, hidden=64, rows=rows, size=64))
    named.mkdir()
    with pytest.raises(NoTokenizer, match=rf"empty has no tokenizer \(rwkv_vocab.*{remedy}"):
        plan(ConvertRequest(source, tmp_path / "x.gguf", "F32", tokenizer=named))


def test_a_folder_without_a_tokenizer_takes_the_built_in_one_and_its_own_template(tmp_path: Path) -> None:
    config = {"architectures": ["RWKV7ForCausalLM"]}
    source = write_checkpoint(tmp_path / "rwkv", config, random_rwkv("7", 3, hidden=64, rows=WORLD_SIZE, size=64))
    (source / "chat_template.jinja").write_text("{{ messages[0].content }}", "utf-8")
    metadata = plan(ConvertRequest(source, tmp_path / "x.gguf", "F32")).metadata
    assert metadata["tokenizer.ggml.tokens"] == world_vocabulary().tokens
    assert metadata["tokenizer.chat_template"] == "{{ messages[0].content }}"


@pytest.mark.parametrize("line", ["1 'a' 2", "x 'a' 1", "1 __import__('os') 1", "1 'a", ""])
def test_a_damaged_vocabulary_file_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "rwkv_vocab.txt"
    path.write_text(f"1 'b' 1\n{line}\n", "utf-8")
    with pytest.raises(BadFile):
        read_world_file(path, WORLD_SIZE)


def test_neox_merges_as_tokenizers_does(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = neox_vocabulary()
    assert len(vocabulary.tokens) == NEOX_SIZE
    learned = {str(token): number for number, token in enumerate(vocabulary.tokens[:50254])}
    model = tokenizers.models.BPE(learned, [tuple(merge.split(" ")) for merge in vocabulary.merges or ()])
    reference = tokenizers.Tokenizer(model)
    reference.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    reference.add_tokens([tokenizers.AddedToken(str(t), normalized=True) for t in vocabulary.tokens[50254:]])
    found = load(vocabulary, tmp_path)
    for data in random_texts(2000):
        text = unicodedata.normalize("NFC", data.decode("utf-8", "ignore"))
        ids = found.tokenize(text.encode(), add_bos=False, special=False)
        assert ids == reference.encode(text, add_special_tokens=False).ids
