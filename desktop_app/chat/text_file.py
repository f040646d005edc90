"""Text files of the user's own, to talk about: in UTF-8, in UTF-16, or as Chinese systems wrote them before."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from desktop_app.chat.chinese_encoding import chinese_encoding
from models.errors import ZhiyinError

LARGEST = 1_000_000
"""Bytes: more text than most models keep in mind."""
_GUESSED = 64 * 1024
"""Bytes by which one of the Chinese encodings is chosen."""
_MODELS = frozenset((".gguf", ".safetensors", ".pth", ".pt", ".bin", ".ckpt"))
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\f\r\x1b")


class TextTooLarge(ZhiyinError):
    """A text file is larger than a message may be."""


def read_text_file(path: Path) -> str:
    """Return the text of a file; "" if it is none or cannot be read.

    Raises:
        TextTooLarge: it has more than `LARGEST` bytes.
    """
    if path.suffix.lower() in _MODELS or not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError:
        return ""
    text = _decoded(data[:LARGEST])
    if text and len(data) > LARGEST:
        raise TextTooLarge(
            "{path} is too large for a message; put the part that matters into a file of its own.", path=path
        )
    return text


def _decoded(data: bytes) -> str:
    is_complete = len(data) < LARGEST
    for encoding in _encodings(data):
        decoder = codecs.getincrementaldecoder(encoding)()  # where the file was cut, half a character may be left
        try:
            return decoder.decode(data, final=is_complete).replace("\r\n", "\n").strip()
        except UnicodeDecodeError:
            continue
    return ""


def _encodings(data: bytes) -> Iterator[str]:
    """Yield what the bytes may be, each only where it is asked for: telling the Chinese ones apart takes time."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield "utf-16"
    elif not _CONTROL.intersection(data):
        yield "utf-8-sig"
        yield chinese_encoding(data[:_GUESSED]) or "gb18030"
