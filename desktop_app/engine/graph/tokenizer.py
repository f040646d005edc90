"""Text to tokens and back for the graph runner's files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from converter.gguf_header import GGUFHeader, read_gguf_header
from desktop_app.engine.llama.vocabulary import without_tokenizer
from desktop_app.engine.llama.vocabulary_file import VocabularyFile
from desktop_app.engine.runner import Vocabulary
from models.vocab.icetk import IcetkTokenizer


class Tokenizer(Vocabulary, Protocol):
    """A file's vocabulary."""

    def encode(self, text: str, *, add_special: bool, special: bool) -> list[int]:
        """Return a text's ids; `special`: markup becomes its control token.

        `add_special`: with the tokens around them that the file names, such as <s>; those of an architecture are not added here.
        """
        ...

    def close(self) -> None:
        """Free it."""
        ...


def open_tokenizer(header: GGUFHeader) -> Tokenizer:
    """Return the tokenizer of a file; without one, only token ids can be fed."""
    if header.metadata.get("tokenizer.ggml.model", "none") == "none":
        return _NoTokenizer()
    return _ChatGLMTokenizer(header) if header.architecture == "chatglm1" else _LlamaTokenizer(header)


class _LlamaTokenizer(VocabularyFile):
    """llama.cpp's: sentencepiece, byte-level BPE, RWKV World."""

    def __init__(self, header: GGUFHeader) -> None:
        super().__init__(header)

    def encode(self, text: str, *, add_special: bool, special: bool) -> list[int]:
        return self.tokenize(text, add_special=add_special, special=special)


class _ChatGLMTokenizer:
    """ChatGLM-6B's own, which none of llama.cpp's equals."""

    bos_text = eos_text = ""
    closing: Sequence[int] = ()

    def __init__(self, header: GGUFHeader) -> None:
        metadata = read_gguf_header(header.path).metadata
        self._icetk = IcetkTokenizer.of_metadata(metadata)
        self._end = metadata.get("tokenizer.ggml.eos_token_id")

    def encode(self, text: str, *, add_special: bool, special: bool) -> list[int]:
        return self._icetk.encode(text, special=special)

    def piece(self, token: int) -> bytes:
        return self._icetk.piece(token)

    def first_piece(self, token: int) -> bytes:
        return self.piece(token)

    def ends_word(self, token: int) -> bool:
        return False

    def control_texts(self) -> Sequence[str]:
        return self._icetk.control_texts

    def is_end(self, token: int) -> bool:
        return bool(token == self._end)

    def close(self) -> None:
        """There is nothing to free."""


class _NoTokenizer:
    """Stands for a vocabulary that the file lacks."""

    bos_text = eos_text = ""
    closing: Sequence[int] = ()

    def encode(self, text: str, *, add_special: bool, special: bool) -> list[int]:
        if text:
            raise without_tokenizer()
        return []

    def piece(self, token: int) -> bytes:
        return b""

    def first_piece(self, token: int) -> bytes:
        return b""

    def ends_word(self, token: int) -> bool:
        return False

    def control_texts(self) -> Sequence[str]:
        return ()

    def is_end(self, token: int) -> bool:
        return False

    def close(self) -> None:
        """There is nothing to free."""
