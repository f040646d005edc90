"""The one form that every tokenizer is brought to: what a GGUF file stores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

PREFIX = "zhiyin.tokenizer.prefix"
"""GGUF key: ids that begin every input, where they are more than the one that llama.cpp has a key for."""
PLAIN = "zhiyin.tokenizer.plain_text"
"""GGUF key: markup in a text is only text, as in the publisher's tokenizer; chat templates alone write special tokens."""


class TokenType(IntEnum):
    """`tokenizer.ggml.token_type`, as llama.cpp defines it."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass
class Vocabulary:
    """Tokens by id, and the rules around them."""

    model: str
    """`tokenizer.ggml.model`: "llama" (sentencepiece), "gpt2" (byte-level BPE), "rwkv", "none"."""
    tokens: list[str | bytes] = field(default_factory=list)
    types: list[TokenType] = field(default_factory=list)
    scores: list[float] | None = None
    merges: list[str] | None = None
    pre: str | None = None
    """`tokenizer.ggml.pre`: the pre-tokenizer's name."""
    special: dict[str, int] = field(default_factory=dict)
    """Ids by llama.cpp's names: bos, eos, eot, eom, unknown, separator, padding."""
    flags: dict[str, bool] = field(default_factory=dict)
    """`add_bos_token`, `add_eos_token`, `add_space_prefix`, `remove_extra_whitespaces` …"""
    chat_template: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """Further GGUF keys, whole names."""
    warnings: tuple[str, ...] = ()
    """What a person should know about how exact it is."""

    def padded(self, size: int) -> Vocabulary:
        """Return the vocabulary filled up to `size` with unused tokens `[PAD<id>]`, as llama.cpp's converter names them."""
        missing = range(len(self.tokens), size)
        return replace(
            self,
            tokens=[*self.tokens, *(f"[PAD{i}]" for i in missing)],
            types=[*self.types, *(TokenType.UNUSED for _ in missing)],
            scores=None if self.scores is None else [*self.scores, *(-1000.0 for _ in missing)],
        )

    def metadata(self) -> dict[str, Any]:
        """Return the GGUF key-value pairs, whole names."""
        pairs: dict[str, Any] = {"tokenizer.ggml.model": self.model}
        if self.model == "none":
            return pairs
        optional = {"pre": self.pre, "scores": self.scores, "merges": self.merges}
        pairs["tokenizer.ggml.tokens"] = self.tokens
        pairs["tokenizer.ggml.token_type"] = [int(t) for t in self.types]
        pairs |= {f"tokenizer.ggml.{key}": value for key, value in optional.items() if value is not None}
        pairs |= {f"tokenizer.ggml.{name}_token_id": value for name, value in self.special.items()}
        pairs |= {f"tokenizer.ggml.{name}": value for name, value in self.flags.items()}
        if self.chat_template is not None:
            pairs["tokenizer.chat_template"] = self.chat_template
        return pairs | self.extra


NO_VOCABULARY = Vocabulary("none")
"""For checkpoints converted without a tokenizer: only token ids can be fed."""
