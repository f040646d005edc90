"""A small installed model that may guess for a large one: of the same vocabulary, and so much smaller that guessing can pay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from converter.gguf_header import read_gguf_header, read_texts
from models.errors import ZhiyinError

_SMALLER = 8
"""Times: nearer ones take too long to guess."""
_TOKENS = "tokenizer.ggml.tokens"


def draft_for(path: Path, others: Iterable[Path]) -> Path | None:
    """Return the largest of other models that may guess for a model, None: there is none."""
    try:
        bytes_ = path.stat().st_size
        small = [(other.stat().st_size, other) for other in others if other != path and other.is_file()]
    except OSError:
        return None
    fitting = sorted((entry for entry in small if entry[0] * _SMALLER <= bytes_), reverse=True)
    wanted = _vocabulary(path) if fitting else ""
    return next((other for _, other in fitting if wanted and _vocabulary(other) == wanted), None)


def _vocabulary(path: Path) -> str:
    """Return what tells a file's vocabulary from others; "": it has none."""
    try:
        return _digest(path, path.stat().st_mtime_ns)
    except (ZhiyinError, OSError):
        return ""


@lru_cache(64)
def _digest(path: Path, changed: int) -> str:
    header = read_gguf_header(path, arrays=False)
    tokens = read_texts(header, _TOKENS)
    return hashlib.sha256(b"\0".join(tokens)).hexdigest() if tokens else ""
