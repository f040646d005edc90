"""GGUF files taken apart, damaged in one of their fields, and put together again: everything else stays as a good file has it."""

from __future__ import annotations

import copy
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_CODES = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}
_WHOLE = (U8, I8, U16, I16, U32, I32, U64, I64)
_NUMBERS = (
    0,
    1,
    2,
    3,
    5,
    7,
    8,
    63,
    64,
    127,
    128,
    255,
    256,
    511,
    512,
    513,
    1000,
    1024,
    4097,
    65535,
    65536,
    1 << 20,
    20_000_000,
)
_LIMITS = (-1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1, -(2**31))
_REALS = (0.0, -1.0, 1.0, float("nan"), float("inf"), float("-inf"), 1e-45, 1e-12, 1e38, -1e38, 0.5, 100.0)
_TEXTS = (
    b"", b"none", b"llama", b"gpt2", b"bert", b"t5", b"rwkv", b"test", b"gemma4", b"yarn", b"linear", b"longrope", b"dynamic",
    b"clip", b"adapter", b"mamba", b"rwkv7", b"qwen3moe", b"gemma3", b"chatglm1", b"rwkv4", b"rwkv5", b"phi-3", b"modern-bert",
    b"jina-v2-de", b"qwen2", b"tekken", b"chatglm-bpe", b"\xff\xfe\x80", b"\0", b"a" * 5000, b"{{", b"{{ messages[9].content }}",
    "知音".encode(), b"\xed\xa0\x80", b"{% for m in messages %}{{ m.content }}{% endfor %}",
)  # fmt: skip
_OTHER_KEYS: tuple[tuple[str, int, Any], ...] = (
    ("expert_count", U32, 4),
    ("expert_used_count", U32, 2),
    ("expert_group_count", U32, 3),
    ("expert_gating_func", U32, 9),
    ("expert_feed_forward_length", U32, 64),
    ("rope.scaling.type", STRING, b"yarn"),
    ("rope.scaling.type", STRING, b"no such scaling"),
    ("rope.scaling.factor", F32, 0.0),
    ("rope.scaling.factor", F32, float("nan")),
    ("rope.scaling.original_context_length", U32, 0),
    ("rope.dimension_sections", ARRAY, (I32, [1, 2, 3, 4])),
    ("rope.dimension_count", U32, 3),
    ("rope.freq_base", F32, 0.0),
    ("attention.causal", BOOL, 0),
    ("attention.key_length", U32, 7),
    ("attention.value_length", U32, 1),
    ("attention.sliding_window", U32, 1),
    ("attention.sliding_window_pattern", ARRAY, (BOOL, [1, 0])),
    ("attention.clamp_kqv", F32, float("nan")),
    ("attention.max_alibi_bias", F32, 8.0),
    ("attention.shared_kv_layers", U32, 5),
    ("pooling_type", U32, 9),
    ("pooling_type", U32, 1),
    ("nextn_predict_layers", U32, 1),
    ("leading_dense_block_count", U32, 1),
    ("decoder_block_count", U32, 1 << 30),
    ("embedding_length_out", U32, 5),
    ("classifier.output_labels", ARRAY, (STRING, [b"yes", b"no"])),
    ("logit_scale", F32, float("inf")),
    ("final_logit_softcapping", F32, 0.0),
    ("attn_logit_softcapping", F32, 0.0),
    ("vocab_size", U32, 2**32 - 1),
    ("vocab_size", U32, 1),
    ("wkv.head_size", U32, 0),
    ("ssm.state_size", U32, 0),
    ("token_shift_count", U32, 9),
    ("dense_2_feat_in", U32, 9),
    ("interleave_moe_layer_step", U32, 0),
    ("full_attention_interval", U32, 0),
    (".split.count", U16, 3),
    (".split.count", U32, 2),
    (".split.no", U16, 1),
    (".general.type", STRING, b"adapter"),
    (".general.alignment", U32, 1),
    (".general.alignment", U32, 64),
    (".general.file_type", U32, 9999),
    (".tokenizer.ggml.add_bos_token", BOOL, 1),
    (".tokenizer.ggml.add_eos_token", BOOL, 1),
    (".tokenizer.ggml.add_sep_token", BOOL, 1),
    (".tokenizer.ggml.bos_token_id", U32, 2**32 - 1),
    (".tokenizer.ggml.eos_token_id", U32, 1 << 20),
    (".tokenizer.ggml.suppress_tokens", ARRAY, (I32, [-1, 1 << 30])),
    (".tokenizer.ggml.precompiled_charsmap", ARRAY, (U8, [255] * 40)),
    (".tokenizer.chat_template", STRING, b"{{ raise_exception('no') }}"),
    (".zhiyin.tokenizer.prefix", ARRAY, (I32, [-1])),
    (".zhiyin.tokenizer.ends", ARRAY, (STRING, [b"x"])),
    (".zhiyin.chat.dialect", STRING, b"no such dialect"),
    (".zhiyin.chat.stop", ARRAY, (STRING, [b""])),
)


@dataclass
class Pair:
    """A key and its value; of an array the value is (element type, elements)."""

    key: bytes
    type: int
    value: Any


@dataclass
class TensorInfo:
    """A tensor's entry in the header, its axes as in the file."""

    name: bytes
    shape: list[int]
    type: int
    offset: int


@dataclass
class Parts:
    """A GGUF file in pieces."""

    pairs: list[Pair]
    tensors: list[TensorInfo]
    data: bytes
    version: int = 3
    more_pairs: int = 0
    """What the header claims beyond the pairs that there are."""
    more_tensors: int = 0
    what: str = ""
    """How it was damaged."""
    cut: int | None = None
    """Bytes that are left."""
    flips: list[tuple[int, int]] = field(default_factory=list)

    def pair(self, key: str) -> Pair | None:
        """Return a pair by its key."""
        return next((pair for pair in self.pairs if pair.key == key.encode()), None)

    def copy(self) -> Parts:
        """Return the same pieces, to be changed."""
        return copy.deepcopy(self)

    def put(self, key: str, type_: int, value: Any) -> None:
        """Set a pair."""
        self.pairs = [pair for pair in self.pairs if pair.key != key.encode()]
        self.pairs.append(Pair(key.encode(), type_, value))

    @property
    def architecture(self) -> str:
        """`general.architecture`."""
        pair = self.pair("general.architecture")
        return pair.value.decode("utf-8", "replace") if pair is not None and isinstance(pair.value, bytes) else ""

    def written(self) -> bytes:
        """Return the file."""
        counts = struct.pack(
            "<IQQ", self.version, len(self.tensors) + self.more_tensors, len(self.pairs) + self.more_pairs
        )
        head = b"GGUF" + counts + b"".join(map(_pair, self.pairs)) + b"".join(map(_tensor, self.tensors))
        whole = bytearray(head + bytes(-len(head) % self.alignment) + self.data)
        for at, value in self.flips:
            whole[at % len(whole)] = value
        return bytes(whole[: self.cut])

    @property
    def alignment(self) -> int:
        """`general.alignment`, where it is one."""
        pair = self.pair("general.alignment")
        said = pair.value if pair is not None else 32
        return said if isinstance(said, int) and 0 < said <= 4096 else 32

    def lay_out(self, rng: random.Random) -> None:
        """Give each tensor as many bytes as its type and shape need, where a file can hold them."""
        offset, pieces = 0, []
        for tensor in self.tensors:
            size = _size(tensor)
            if size is None or size > 1 << 24:
                return
            pieces.append((tensor.offset, size))
            tensor.offset = offset
            offset += -(-size // self.alignment) * self.alignment
        data = b""
        for start, size in pieces:
            piece = self.data[start : start + size]
            piece += rng.randbytes(size - len(piece))
            data += piece + bytes(-size % self.alignment)
        self.data = data


def take_apart(path: Path) -> Parts:
    """Read a good file."""
    data, at = path.read_bytes(), 4

    def number(code: str) -> Any:
        nonlocal at
        (value,) = struct.unpack_from("<" + code, data, at)
        at += struct.calcsize("<" + code)
        return value

    def text() -> bytes:
        nonlocal at
        length = number("Q")
        at += length
        return data[at - length : at]

    def value(type_: int) -> Any:
        if type_ == STRING:
            return text()
        if type_ == ARRAY:
            kind, length = number("I"), number("Q")
            return kind, [value(kind) for _ in range(length)]
        return number(_CODES[type_])

    version, tensor_count, pair_count = number("I"), number("Q"), number("Q")
    pairs = []
    for _ in range(pair_count):
        key, type_ = text(), number("I")
        pairs.append(Pair(key, type_, value(type_)))
    tensors = []
    for _ in range(tensor_count):
        name, axes = text(), number("I")
        tensors.append(TensorInfo(name, [number("Q") for _ in range(axes)], number("I"), number("Q")))
    parts = Parts(pairs, tensors, b"", version)
    parts.data = data[-(-at // parts.alignment) * parts.alignment :]
    return parts


def damaged(good: Parts, rng: random.Random) -> Parts:
    """Return a copy with one damage, rarely two."""
    parts = good.copy()
    for _ in range(rng.choice((1, 1, 1, 2))):
        action = rng.choices(_ACTIONS, _WEIGHTS)[0]
        parts.what += f"{action(parts, rng)}; "
    return parts


def _change_value(parts: Parts, rng: random.Random) -> str:
    pair = _any_pair(parts, rng)
    pair.value = _other_value(pair.type, pair.value, rng)
    return f"{pair.key.decode()} = {str(pair.value)[:80]}"


def _change_type(parts: Parts, rng: random.Random) -> str:
    pair = _any_pair(parts, rng)
    pair.type = rng.choice([*_CODES, STRING, ARRAY])
    pair.value = _some_value(pair.type, pair.value, rng)
    return f"{pair.key.decode()} has type {pair.type}, {str(pair.value)[:80]}"


def _change_pairs(parts: Parts, rng: random.Random) -> str:
    pair = _any_pair(parts, rng)
    action = rng.choice(("without", "twice", "renamed"))
    if action == "without":
        parts.pairs.remove(pair)
    elif action == "twice":
        parts.pairs.append(copy.deepcopy(pair))
    else:
        pair.key = rng.choice((b"", pair.key + b"x", pair.key[:-1], b"\xff" + pair.key))
    return f"{pair.key!r} {action}"


def _add_pair(parts: Parts, rng: random.Random) -> str:
    key, type_, value = rng.choice(_OTHER_KEYS)
    key = key[1:] if key.startswith(".") else f"{parts.architecture}.{key}"
    if rng.random() < 0.3:
        value = _other_value(type_, value, rng)
    parts.put(key, type_, value)
    return f"{key} = {str(value)[:80]}"


def _change_shape(parts: Parts, rng: random.Random) -> str:
    tensor = rng.choice(parts.tensors)
    axis = rng.randrange(len(tensor.shape)) if tensor.shape else 0
    action = rng.randrange(6)
    if action == 0:
        tensor.shape.append(rng.choice((1, 2, 0)))
    elif action == 1:
        tensor.shape = tensor.shape[:-1]
    elif action == 2:
        tensor.shape.reverse()
    elif tensor.shape:
        old = tensor.shape[axis]
        tensor.shape[axis] = rng.choice(
            (0, 1, old + 1, old * 2, old // 2, old + 32, old - 32, 1 << 40, 2**63, 2**64 - 1)
        ) % (1 << 64)
    return f"{tensor.name.decode()} has shape {tensor.shape}{_laid_out(parts, rng)}"


def _change_tensor_type(parts: Parts, rng: random.Random) -> str:
    chosen = [rng.choice(parts.tensors)] if rng.random() < 0.8 else parts.tensors
    type_ = rng.choice([*map(int, GGMLQuantizationType), *map(int, GGMLQuantizationType), 4, 5, 99, 2**32 - 1])
    for tensor in chosen:
        tensor.type = type_
    return f"{chosen[0].name.decode()} and {len(chosen) - 1} others have type {type_}{_laid_out(parts, rng)}"


def _change_tensors(parts: Parts, rng: random.Random) -> str:
    tensor = rng.choice(parts.tensors)
    action = rng.choice(("without", "twice", "renamed", "swapped"))
    if action == "without":
        parts.tensors.remove(tensor)
    elif action == "twice":
        parts.tensors.append(copy.deepcopy(tensor))
    elif action == "swapped":
        other = rng.choice(parts.tensors)
        tensor.name, other.name = other.name, tensor.name
    else:
        name = tensor.name
        renamed = (
            b"",
            name + b"x",
            name.replace(b"blk.0", b"blk.7"),
            b"blk.4294967295.attn_q.weight",
            b"a" * 70,
            b"\xff",
        )
        tensor.name = rng.choice(renamed)
    return f"{tensor.name!r} {action}{_laid_out(parts, rng)}"


def _change_offset(parts: Parts, rng: random.Random) -> str:
    tensor = rng.choice(parts.tensors)
    near = (tensor.offset + 32, tensor.offset + 4, tensor.offset - 32)
    tensor.offset = rng.choice((0, 1, *near, 1 << 40, 2**63, 2**64 - 32)) % (1 << 64)
    return f"{tensor.name.decode()} lies at {tensor.offset}"


def _change_counts(parts: Parts, rng: random.Random) -> str:
    if rng.random() < 0.3:
        parts.version = rng.choice((0, 1, 2, 4, 0x03000000, 2**32 - 1))
        return f"version {parts.version}"
    changes = (-1, 1, 1000, 2**31, 2**62)
    parts.more_pairs, parts.more_tensors = (rng.choice((0, *changes)) for _ in range(2))
    return f"{parts.more_pairs} pairs and {parts.more_tensors} tensors more"


def _change_vocabulary(parts: Parts, rng: random.Random) -> str:
    tokens = parts.pair("tokenizer.ggml.tokens")
    if tokens is None or tokens.type != ARRAY or not tokens.value[1]:
        return _change_value(parts, rng)
    kind, texts = tokens.value
    action = rng.randrange(7)
    at = rng.randrange(len(texts))
    if action == 0:
        texts[at] = rng.choice(texts)
    elif action == 1:
        texts[at] = b""
    elif action == 2:
        del texts[rng.randrange(len(texts)) :]
    elif action == 3:
        texts += [b"more %d" % number for number in range(rng.choice((1, 40, 5000)))]
    elif action == 4:
        texts[at] = rng.choice((b"\xff", b"\0", b"<|im_end|>", b"a" * 70_000, b"<0x41>", b"'", b"' "))
    elif action == 5:
        rng.shuffle(texts)
    else:
        for other in ("tokenizer.ggml.token_type", "tokenizer.ggml.scores", "tokenizer.ggml.merges"):
            pair = parts.pair(other)
            if pair is not None and pair.type == ARRAY and rng.random() < 0.5:
                pair.value = _other_value(ARRAY, pair.value, rng)
    tokens.value = (kind, texts)
    return f"vocabulary {action} at {at}"


def _cut(parts: Parts, rng: random.Random) -> str:
    parts.cut = rng.randrange(len(parts.written()))
    return f"cut to {parts.cut}"


def _flip(parts: Parts, rng: random.Random) -> str:
    head = len(parts.written()) - len(parts.data)
    parts.flips += [(rng.randrange(max(head, 1)), rng.randrange(256)) for _ in range(rng.choice((1, 2, 5)))]
    return f"bytes {parts.flips}"


def _change_weights(parts: Parts, rng: random.Random) -> str:
    kind = rng.randrange(3)
    size = len(parts.data)
    parts.data = bytes(size) if kind == 0 else b"\xff" * size if kind == 1 else rng.randbytes(size)
    return f"weights {kind}"


_ACTIONS: tuple[Callable[[Parts, random.Random], str], ...] = (
    _change_value,
    _change_type,
    _change_pairs,
    _add_pair,
    _change_shape,
    _change_tensor_type,
    _change_tensors,
    _change_offset,
    _change_counts,
    _change_vocabulary,
    _cut,
    _flip,
    _change_weights,
)
_WEIGHTS = (30, 10, 8, 18, 10, 10, 6, 2, 2, 10, 2, 4, 1)


def _any_pair(parts: Parts, rng: random.Random) -> Pair:
    """Return a pair, more often one that the architecture is computed by."""
    prefix = parts.architecture.encode() + b"."
    own = [pair for pair in parts.pairs if pair.key.startswith(prefix)]
    return rng.choice(own if own and rng.random() < 0.7 else parts.pairs)


def _other_value(type_: int, value: Any, rng: random.Random) -> Any:
    if type_ in _WHOLE:
        near = (value + 1, value - 1, value * 2, value // 2, value * 1000)
        return rng.choice((*_NUMBERS, *near, *rng.choices(_LIMITS, k=8)))
    if type_ in (F32, F64):
        return rng.choice(_REALS)
    if type_ == BOOL:
        return rng.choice((1 - value, 2, 255))
    if type_ == STRING:
        return rng.choice((*_TEXTS, value[:-1], value + b"x"))
    kind, elements = value[0], list(value[1])
    action = rng.randrange(5)
    if action == 0 and elements:
        at = rng.randrange(len(elements))
        elements[at] = _other_value(kind, elements[at], rng)
    elif action == 1:
        del elements[rng.randrange(len(elements) + 1) :]
    elif action == 2:
        elements += elements[: rng.choice((1, 1000))]
    elif action == 3 and elements:
        elements = [_other_value(kind, elements[0], rng)] * len(elements)
    else:
        kind = rng.choice([*_CODES, STRING])
        elements = [_some_value(kind, element, rng) for element in elements]
    return kind, elements


def _some_value(type_: int, value: Any, rng: random.Random) -> Any:
    if type_ in _WHOLE:
        return value if isinstance(value, int) else rng.choice(_NUMBERS)
    if type_ in (F32, F64):
        return float(value) if isinstance(value, (int, float)) and abs(value) < 1e30 else rng.choice(_REALS)
    if type_ == BOOL:
        return rng.randrange(2)
    if type_ == STRING:
        return str(value).encode()[:100]
    kind = rng.choice([*_CODES, STRING])
    return kind, [_some_value(kind, value, rng) for _ in range(rng.choice((0, 1, 2, 2, 3, 1000)))]


def _laid_out(parts: Parts, rng: random.Random) -> str:
    """Make the rest of the file fit in most cases, so that the damage is found by what it means."""
    if rng.random() < 0.2:
        return ""
    parts.lay_out(rng)
    return ", laid out"


def _size(tensor: TensorInfo) -> int | None:
    elements = 1
    for length in tensor.shape:
        elements *= length
    try:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.type)]
    except (ValueError, KeyError):
        return None
    return -(-elements // block) * size


def _string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _value(type_: int, value: Any) -> bytes:
    if type_ == STRING:
        return _string(value)
    if type_ == ARRAY:
        kind, elements = value
        return struct.pack("<IQ", kind, len(elements)) + b"".join(_value(kind, element) for element in elements)
    code = _CODES[type_]
    if type_ in (F32, F64):
        return struct.pack("<" + code, value)
    bits = struct.calcsize(code) * 8
    return (int(value) % (1 << bits)).to_bytes(bits // 8, "little")


def _pair(pair: Pair) -> bytes:
    return _string(pair.key) + struct.pack("<I", pair.type) + _value(pair.type, pair.value)


def _tensor(tensor: TensorInfo) -> bytes:
    shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
    return _string(tensor.name) + shape + struct.pack("<IQ", tensor.type % (1 << 32), tensor.offset)
