"""Vocabularies as llama.cpp reads them from a GGUF file, and texts that try them out."""

from __future__ import annotations

import os
import random
import unicodedata
from pathlib import Path

import pytest

from converter.gguf_header import read_gguf_header
from converter.gguf_writer import lay_out
from desktop_app.engine.llama.vocabulary_file import VocabularyFile
from models.vocab.vocabulary import Vocabulary

_PARTS = (
    "你好，世界。知音难觅，高山流水遇知音。",
    "人工智能模型的参数量为7B，上下文长度４０９６。",
    "The quick brown fox jumps over the lazy dog. It's we'll they'RE I'd don't",
    "def main(argv: list[str]) -> int:\n    if x != 3:\n\t\treturn {'a': 1}  # ok\n",
    "3.14159 2026 1,000,000 １２３ ½ Ⅷ ٣٤",
    "Привет, мир! ελληνικά עברית العربية हिन्दी ภาษาไทย 한국어 日本語のテキスト カタカナ",
    "🙂👩‍👩‍👧‍👦🇨🇳✅→≠∑€£™",
    "é e\u0301 n\u0303 Ａｂｃ ﬁ ㎏ ①",
    "   \t\t  \n\n\r\n  \u3000\u00a0\u200b\u2028",
    "camelCase HTTPServer snake_case $HOME ~/.cache/a-b//c\\d https://a.b/?q=1&r=2#x",
    "...!!!???---***``` <b>bold</b> [link](x) | a || b && c @user #1 100%",
    "\x00\x01\x07\x1b[0m\x7f\u0085",
    "𠮷𡃁㐀龥鿿豈﨩 𝕏𝔘𓀀𐍈 \u0378\ufffd\ue000",
    "▁ <0x0A> Ġ Ċ <s>text</s> <unk>",
)

# Libraries know different versions of Unicode and cut characters newer than theirs as unassigned ones: only old ones are fair.
_ASSIGNED = [chr(code) for code in range(0x30000) if unicodedata.ucd_3_2_0.category(chr(code)) not in ("Cn", "Cs")]


def varied_texts(count: int) -> list[str]:
    """Return mixed pieces of many scripts, code, spaces, control characters and rare characters."""
    rng = random.Random(11)
    texts = ["", *_PARTS]
    while len(texts) < count:
        pieces = []
        for _ in range(rng.randint(1, 6)):
            part = rng.choice(_PARTS)
            start = rng.randrange(len(part))
            pieces.append(part[start : start + rng.randint(1, 24)])
        if rng.random() < 0.2:
            pieces.append("".join(rng.choices(_ASSIGNED, k=3)))
        texts.append(rng.choice(("", " ", "")).join(pieces))
    return texts[:count]


class Loaded(VocabularyFile):
    """A vocabulary in the engine, read from a file that our writer wrote."""

    def __init__(self, vocabulary: Vocabulary, folder: Path) -> None:
        path = folder / "vocabulary.gguf"
        metadata = {"general.architecture": "llama", "llama.block_count": 1, **vocabulary.metadata()}
        path.write_bytes(lay_out(metadata, []).header)
        super().__init__(read_gguf_header(path, arrays=False))


def load(vocabulary: Vocabulary, folder: Path) -> Loaded:
    """Write a vocabulary alone into a file and give that to the engine."""
    return Loaded(vocabulary, folder)


def encode(loaded: Loaded, text: str, *, special: bool = False) -> list[int]:
    """Return a text's ids, nothing added."""
    return loaded.tokenize(text, add_special=False, special=special)


def llama_cpp_vocabularies() -> Path:
    """Return the folder models/ of llama.cpp's sources, which holds vocabularies with texts and their ids, or skip.

    ZHIYIN_LLAMA_CPP names the sources; else those that uv unpacked to build llama-cpp-python are taken.
    """
    named = os.environ.get("ZHIYIN_LLAMA_CPP")
    cache = Path(os.environ.get("UV_CACHE_DIR", Path.home() / ".cache" / "uv"))
    unpacked = cache.glob("sdists-v*/pypi/llama-cpp-python/*/*/src/vendor/llama.cpp")
    for folder in [Path(named)] if named else sorted(unpacked):
        if (folder / "models" / "ggml-vocab-llama-spm.gguf").is_file():
            return folder / "models"
    pytest.skip("llama.cpp's sources are not here; name them in ZHIYIN_LLAMA_CPP")
