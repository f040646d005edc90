"""What a GGUF file claims is held against what it holds, before anything counts on it; good files pass."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from converter.gguf_checks import check_model, read_model, read_parts
from converter.gguf_header import ArrayLength, read_texts
from desktop_app.planning.candidates import model_of_gguf
from models.errors import BadFile
from tests.support.damaged_gguf import ARRAY, BOOL, F32, I32, STRING, U8, U16, U32, Parts
from tests.support.gguf_seeds import seed_files
from tests.support.vocabularies import llama_cpp_vocabularies

NAMES = (
    "llama-bytes",
    "qwen",
    "llama-unigram",
    "qwen3moe",
    "deepseek2",
    "qwen35",
    "rwkv6",
    "rwkv7",
    "rwkv4",
    "granitehybrid",
)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Parts]:
    return seed_files(tmp_path_factory.mktemp("seeds"), NAMES)


def written(parts: Parts, path: Path) -> Path:
    path.write_bytes(parts.written())
    return path


def with_pair(key: str, type_: int, value: Any) -> Callable[[Parts], None]:
    return lambda parts: parts.put(key.format(parts.architecture), type_, value)


def with_type(name: bytes, type_: int) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        next(tensor for tensor in parts.tensors if tensor.name == name).type = type_
        parts.lay_out(random.Random(0))

    return change


def without(name: bytes) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        parts.tensors = [tensor for tensor in parts.tensors if tensor.name != name]
        parts.lay_out(random.Random(0))

    return change


def repeat_token(parts: Parts) -> None:
    tokens = parts.pair("tokenizer.ggml.tokens")
    assert tokens is not None
    tokens.value[1][40] = tokens.value[1][7]


def empty_byte(parts: Parts) -> None:
    tokens = parts.pair("tokenizer.ggml.tokens")
    assert tokens is not None
    tokens.value[1][tokens.value[1].index(b"\\x3c")] = b""


def swap_offsets(parts: Parts) -> None:
    parts.tensors[1].offset, parts.tensors[2].offset = parts.tensors[2].offset, parts.tensors[1].offset


REFUSED: list[tuple[str, Callable[[Parts], None], str]] = [
    *(
        ("llama-bytes", with_pair("{}.block_count", U32, n), "llama.block_count is")
        for n in (0, 22, 20_000_000, 2**31 - 1)
    ),
    ("llama-bytes", with_pair("{}.context_length", U32, 0), "llama.context_length is 0"),
    ("llama-bytes", with_pair("{}.embedding_length", U32, 2**31), "embedding_length"),
    ("llama-bytes", with_pair("{}.feed_forward_length", ARRAY, (U32, [2**31, 1])), "feed_forward_length"),
    ("llama-bytes", with_pair("{}.vocab_size", U32, 2**32 - 1), "vocab_size"),
    ("llama-bytes", with_pair("{}.attention.head_count_kv", U32, 3), "head_count_kv is 3"),
    ("llama-bytes", with_pair("{}.attention.value_length", U32, 8), "value_length is 8"),
    ("llama-bytes", with_pair("{}.rope.dimension_count", U32, 7), "rope.dimension_count is 7"),
    ("llama-bytes", with_pair("{}.rope.scaling.type", STRING, b"stretched"), "rope.scaling.type is stretched"),
    ("llama-bytes", with_pair("{}.rope.freq_base", F32, float("inf")), "rope.freq_base is inf"),
    ("llama-bytes", with_pair("{}.attention.layer_norm_rms_epsilon", F32, float("nan")), "epsilon is nan"),
    ("llama-bytes", with_pair("{}.attention.layer_norm_rms_epsilon", F32, -1.0), "epsilon is -1.0"),
    ("llama-bytes", with_pair("{}.expert_used_count", U32, 2), "expert_used_count is 2"),
    ("llama-bytes", with_pair("{}.nextn_predict_layers", U32, 9), "nextn_predict_layers is 9"),
    ("llama-bytes", with_pair("general.type", STRING, b"adapter"), "holds no model by its general.type"),
    ("llama-bytes", with_pair("general.architecture", U32, 7), "does not say what model it is"),
    ("llama-bytes", with_pair("split.count", U16, 3), "one of 3 parts"),
    ("llama-bytes", with_pair("split.no", U16, 1), "split.no is 1"),
    ("llama-bytes", with_pair("split.count", U32, 1), "split.count is 1"),
    ("llama-bytes", with_type(b"blk.0.attn_norm.weight", 1), "attn_norm.weight is F16 where F32 is needed"),
    ("llama-bytes", with_type(b"blk.0.attn_q.weight", 26), "attn_q.weight has type I32"),
    ("llama-bytes", swap_offsets, "is not where it should be"),
    ("llama-bytes", repeat_token, "more than once in its vocabulary"),
    ("llama-bytes", lambda parts: parts.tensors.append(parts.tensors[0]), "twice"),
    ("llama-bytes", lambda parts: parts.pairs.append(parts.pairs[0]), "twice"),
    ("llama-bytes", lambda parts: parts.tensors.clear(), "holds no weights"),
    ("llama-unigram", with_pair("tokenizer.ggml.bos_token_id", U32, 2**32 - 1), "bos_token_id is 4294967295"),
    (
        "llama-unigram",
        with_pair("tokenizer.ggml.precompiled_charsmap", ARRAY, (U8, [8, 0, 0, 0, *[255] * 16])),
        "charsmap",
    ),
    ("qwen3moe", with_pair("{}.expert_count", U32, 0), "expert"),
    ("qwen3moe", with_pair("{}.expert_count", U32, 1025), "expert_count is 1025"),
    ("qwen3moe", with_pair("{}.expert_used_count", U32, 0), "expert_used_count is 0"),
    ("qwen3moe", with_pair("{}.expert_used_count", ARRAY, (U32, [9, 0])), "expert_used_count"),
    ("qwen3moe", with_pair("{}.expert_group_count", U32, 3), "expert_group_count is 3"),
    ("deepseek2", with_pair("{}.attention.key_length_mla", U32, 1), "key_length_mla is 1"),
    ("deepseek2", with_pair("{}.attention.key_length", U32, 32), "key_length is 32"),
    ("deepseek2", with_pair("{}.expert_gating_func", U32, 8), "expert_gating_func is 8"),
    ("deepseek2", with_pair("{}.attention.head_count_kv", U32, 2), "head_count_kv is 2"),
    ("llama-bytes", with_pair("{}.attention.sliding_window_pattern", ARRAY, (BOOL, [0, 0])), "sliding_window_pattern"),
    ("qwen35", with_pair("{}.rope.dimension_count", U32, 0), "rope.dimension_count is 0"),
    ("qwen35", with_pair("{}.rope.dimension_sections", ARRAY, (I32, [0, 0, 0, 0])), "rope.dimension_sections"),
    ("qwen35", with_pair("{}.ssm.inner_size", U32, 32), "ssm.inner_size is 32"),
    ("qwen35", without(b"blk.0.attn_qkv.weight"), "lacks tensor blk.0.attn_qkv.weight"),
    ("llama-bytes", without(b"blk.1.attn_q.weight"), "lacks tensor blk.1.attn_q.weight"),
    ("qwen35", with_pair("{}.ssm.time_step_rank", U32, 0), "ssm.time_step_rank is 0"),
    ("rwkv7", empty_byte, "tokenizer.ggml.tokens is without b'<'"),
    ("qwen", with_pair("{}.attention.head_count", U32, 1000), "head_count is 1000"),
    ("rwkv7", with_pair("{}.wkv.head_size", U32, 0), "wkv.head_size is 0"),
    ("rwkv7", with_pair("{}.token_shift_count", U32, 9), "token_shift_count is 9"),
    ("rwkv6", with_pair("{}.attention.head_count", U32, 3), "head_count is 3"),
    ("rwkv6", with_pair("{}.attention.head_count", U32, 1), "head_count is 1"),
    ("rwkv6", without(b"blk.0.time_mix_lerp_fused.weight"), "lacks tensor blk.0.time_mix_lerp_fused"),
    ("granitehybrid", with_pair("{}.embedding_length", U32, 32), "ssm.inner_size is 128"),
    ("granitehybrid", without(b"blk.0.ssm_conv1d.bias"), "lacks tensor blk.0.ssm_conv1d.bias"),
    ("rwkv4", with_pair("{}.block_count", U32, 2**31 - 1), "rwkv4.block_count is 2147483647"),
]


@pytest.mark.parametrize(("name", "change", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_a_claim_that_cannot_be(
    name: str, change: Callable[[Parts], None], why: str, seeds: dict[str, Parts], tmp_path: Path
) -> None:
    parts = seeds[name].copy()
    change(parts)
    path = written(parts, tmp_path / "damaged.gguf")
    with pytest.raises(BadFile, match=f"{path.name}.*{why}"):
        read_model(path)
    if name != "llama-unigram" and change not in (
        repeat_token,
        empty_byte,
    ):  # the planner does not read the vocabulary's texts
        with pytest.raises(BadFile, match=why):
            model_of_gguf(path)


def test_parts_of_different_models(seeds: dict[str, Parts], tmp_path: Path) -> None:
    one, other = (seeds[name].copy() for name in ("llama-bytes", "qwen35"))
    one.put("split.count", U16, 2)
    one.put("split.no", U16, 0)
    paths = [tmp_path / f"model-0000{number}-of-00002.gguf" for number in (1, 2)]
    written(one, paths[0])
    other.put("split.count", U16, 2)
    other.put("split.no", U16, 0)
    written(other, paths[1])
    with pytest.raises(BadFile, match=r"model-00002-of-00002.gguf: split.no is 0"):
        read_model(paths[0])
    other.put("split.no", U16, 1)
    written(other, paths[1])
    with pytest.raises(BadFile, match="repeats tensor"):
        read_model(paths[1])
    for tensor in other.tensors:
        tensor.name += b".2"
    written(other, paths[1])
    with pytest.raises(BadFile, match=r"model-00001-of-00002.gguf: split.tensors.count is missing"):
        read_model(paths[1])


def test_good_files_pass(tmp_path: Path, starter_gguf: Path) -> None:
    """Small models of every kind, one of them in two parts, and the starter."""
    for name, parts in seed_files(tmp_path).items():
        assert read_model(written(parts, tmp_path / f"{name}.gguf")).architecture == parts.architecture
    read_model(starter_gguf)


def test_published_vocabularies_pass() -> None:
    """They hold no weights, which alone is said of them."""
    paths = list(llama_cpp_vocabularies().glob("*.gguf"))
    assert len(paths) > 10
    for path in paths:
        with pytest.raises(BadFile, match="holds no weights"):
            read_model(path)


def test_optional_claims_of_other_converters_pass(seeds: dict[str, Parts], tmp_path: Path) -> None:
    parts = seeds["llama-bytes"].copy()
    for key, type_, value in (
        ("tokenizer.ggml.bos_token_id", U32, 2**32 - 1),  # not added, so that nobody looks for it
        ("tokenizer.ggml.padding_token_id", U32, 2**32 - 1),
        ("llama.rope.scaling.type", STRING, b"yarn"),
        ("llama.attention.head_count_kv", ARRAY, (U32, [2, 2])),
        ("llama.expert_count", U32, 0),
        ("general.type", STRING, b"model"),
        ("llama.attention.sliding_window_pattern", ARRAY, (BOOL, [1, 0])),
        ("tokenizer.ggml.suppress_tokens", ARRAY, (I32, [-1])),
    ):
        parts.put(key, type_, value)
    read_model(written(parts, tmp_path / "good.gguf"))


def test_values_of_other_types_are_left_to_llama_cpp(seeds: dict[str, Parts], tmp_path: Path) -> None:
    """It names the type that it expects."""
    for name in ("deepseek2", "qwen35", "rwkv6"):
        for pair in seeds[name].pairs:
            for type_, value in (
                (BOOL, 0),
                (STRING, b"x"),
                (F32, 0.5),
                (ARRAY, (BOOL, [])),
                (ARRAY, (STRING, [b""] * 70)),
            ):
                parts = seeds[name].copy()
                parts.put(pair.key.decode(), type_, value)
                with suppress(BadFile):
                    read_model(written(parts, tmp_path / "other.gguf"))


def test_texts_are_read_where_they_lie(starter_gguf: Path, tmp_path: Path) -> None:
    header = read_parts(starter_gguf)[0]
    assert isinstance(header.metadata["tokenizer.ggml.tokens"], ArrayLength)
    texts = read_texts(header, "tokenizer.ggml.tokens")
    assert len(texts) == 49152
    assert texts[:3] == [b"<|endoftext|>", b"<|im_start|>", b"<|im_end|>"]
    copy = tmp_path / "starter.gguf"
    shutil.copyfile(starter_gguf, copy)
    check_model(read_parts(copy))
