"""RWKV World: a trie of byte strings, the longest match counts. The publisher's own vocabulary is built in.

Source: BlinkDL/ChatRWKV, tokenizer/rwkv_vocab_v20230424.txt (Apache-2.0): 65,529 lines `id literal length`. Checkpoints in `.pth`
come without it. The ids follow the tokens' lengths, then their bytes; `data/rwkv_world.gz` holds the lengths, one byte each, and
after them all tokens.
"""

from __future__ import annotations

import ast
import gzip
import re
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path

from models.errors import BadFile
from models.untrusted_json import read_bytes
from models.vocab.vocabulary import TokenType, Vocabulary

WORLD_SIZE = 65536
"""Rows of the embedding of every model with this vocabulary."""
_COUNT = 65529
_LONGEST_LINE = 4096
_LARGEST_FILE = 4 * 1024 * 1024
_LITERAL = re.compile(r"b?(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")
"""One text or one string of bytes, in one line: anything else could nest deeply."""
_UNTYPABLE = b"\xff"
"""Begins the texts of id 0 and of the padding: llama.cpp's trie holds them too, and no UTF-8 text contains this byte. As `<s>`,
its converter's choice, id 0 would swallow that tag in a user's HTML and end the document there."""


@cache
def world_tokens() -> tuple[bytes, ...]:
    """Return the built-in vocabulary by id; id 0, the end of a document, has no text."""
    data = gzip.decompress(Path(__file__).with_name("data").joinpath("rwkv_world.gz").read_bytes())
    ends = accumulate(data[:_COUNT], initial=_COUNT)
    return (b"", *(data[start:end] for start, end in pairwise(ends)))


def world_vocabulary() -> Vocabulary:
    """Return the built-in vocabulary."""
    return _vocabulary(dict(enumerate(world_tokens())), WORLD_SIZE)


def read_world_file(path: Path, size: int) -> Vocabulary:
    """Read a vocabulary in the publisher's text form, filled up to `size` ids.

    Raises:
        BadFile: it is damaged.
    """
    tokens: dict[int, bytes] = {}
    for number, line in enumerate(read_bytes(path, largest=_LARGEST_FILE).decode("utf-8", "replace").splitlines(), 1):
        parsed = _parsed(line)
        if parsed is None or parsed[0] >= 4 * WORLD_SIZE or parsed[0] in tokens:
            raise BadFile("{path} is damaged in line {number}; download it again.", path=path, number=number)
        tokens[parsed[0]] = parsed[1]
    if len(tokens) < 256:
        raise BadFile("{path} is no RWKV vocabulary; download it again.", path=path)
    return _vocabulary(tokens, max(size, max(tokens) + 1))


def _parsed(line: str) -> tuple[int, bytes] | None:
    """Return id and bytes of `id literal length`."""
    number, _, rest = line.partition(" ")
    literal, _, length = rest.rpartition(" ")
    is_sound = len(line) <= _LONGEST_LINE and number.isdecimal() and length.isdecimal()
    if not is_sound or _LITERAL.fullmatch(literal) is None:
        return None
    try:
        value = ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        return None
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    return (int(number), value) if isinstance(value, bytes) and len(value) == int(length) else None


def _vocabulary(tokens: dict[int, bytes], size: int) -> Vocabulary:
    texts = [_escaped(_UNTYPABLE + b"<s>")]
    types = [TokenType.CONTROL]
    for number in range(1, size):
        known = number in tokens
        texts.append(_escaped(tokens[number] if known else _UNTYPABLE + f"[PAD{number}]".encode()))
        types.append(TokenType.NORMAL if known else TokenType.UNUSED)
    return Vocabulary(model="rwkv", tokens=list(texts), types=types, special={"bos": 0, "eos": 0})


def _escaped(token: bytes) -> str:
    """Return a token as the Python literal that llama.cpp reads."""
    return repr(token)[2:-1]
