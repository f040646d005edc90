"""The one form that every tokenizer is brought to: what a GGUF file stores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

from models.errors import BadFile
from models.sentence import Sentence

PREFIX = "zhiyin.tokenizer.prefix"
"""GGUF key: ids that begin every input, where they are more than the one that llama.cpp has a key for."""
PLAIN = "zhiyin.tokenizer.plain_text"
"""GGUF key: markup in a text is only text, as in the publisher's tokenizer; chat templates alone write special tokens."""
CHAT_TEMPLATE = "tokenizer.chat_template"
"""GGUF key: the template of chats; one of another name has that name behind a dot, as gguf and llama.cpp write it."""
CHAT_TEMPLATES = "tokenizer.chat_templates"
"""GGUF key: the names of the others."""
TOOL_USE = "tool_use"
"""The name of the template for chats with tools."""
ENDS = "zhiyin.tokenizer.end_token_ids"
"""GGUF key: further ids that end a reply; llama.cpp has keys for three."""
NORMALIZATION = "zhiyin.tokenizer.normalization"
"""GGUF key: the Unicode normal form that texts get first (NFC …); llama.cpp knows none."""
_WRITTEN = {"separator": "seperator"}
"""Names that GGUF keys have otherwise."""
_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|eot|>", "<eoa>", "[EOT]")
_FOUND_BY_TEXT = {
    *_TURN_ENDS[:4],
    "[EOT]",
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<|eom_id|>",
    "<｜end▁of▁sentence｜>",
}
"""Tokens that llama.cpp takes for the end of a reply whatever the file says (src/llama-vocab.cpp)."""


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
    """`tokenizer.ggml.model`: "llama" (sentencepiece), "t5" (unigram), "bert" (WordPiece), "gpt2" (byte-level BPE), "rwkv",
    "none"."""
    tokens: list[str | bytes] = field(default_factory=list)
    types: list[TokenType] = field(default_factory=list)
    scores: list[float] | None = None
    merges: list[str] | None = None
    pre: str | None = None
    """`tokenizer.ggml.pre`: the pre-tokenizer's name."""
    special: dict[str, int] = field(default_factory=dict)
    """Ids by llama.cpp's names: bos, eos, eot, eom, unknown, separator, padding, mask."""
    flags: dict[str, bool] = field(default_factory=dict)
    """`add_bos_token`, `add_eos_token`, `add_space_prefix`, `remove_extra_whitespaces` …"""
    chat_template: str | None = None
    named_templates: Mapping[str, str] = field(default_factory=dict)
    """Further templates by their names, "tool_use" among them."""
    ends: tuple[int, ...] = ()
    """Ids that end a reply, those of `special` included or not."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further GGUF keys, whole names."""
    warnings: tuple[Sentence, ...] = ()
    """What a user should know about how exact it is."""

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
        special = self._special()
        pairs["tokenizer.ggml.tokens"] = self._distinct_tokens()
        pairs["tokenizer.ggml.token_type"] = [int(t) for t in self.types]
        pairs |= {f"tokenizer.ggml.{key}": value for key, value in optional.items() if value is not None}
        pairs |= {f"tokenizer.ggml.{_WRITTEN.get(name, name)}_token_id": value for name, value in special.items()}
        pairs |= {f"tokenizer.ggml.{name}": value for name, value in self.flags.items()}
        if self.chat_template is not None:
            pairs[CHAT_TEMPLATE] = self.chat_template
        if self.named_templates:
            pairs[CHAT_TEMPLATES] = list(self.named_templates)
            pairs |= {f"{CHAT_TEMPLATE}.{name}": text for name, text in self.named_templates.items()}
        more = self._open_ends(special)
        if more:
            pairs[ENDS] = more
        return pairs | self.extra

    def ending_with(self, texts: Iterable[str]) -> Vocabulary:
        """Return the vocabulary with those of the texts that are tokens among the ends of a reply."""
        ids = {token: number for number, token in enumerate(self.tokens)}
        return replace(self, ends=(*self.ends, *(ids[text] for text in texts if text in ids)))

    def with_control(self, texts: Iterable[str]) -> Vocabulary:
        """Return the vocabulary with tokens of these texts as control tokens: found in prompts, not shown in replies."""
        wanted = set(texts)
        types = [
            TokenType.CONTROL if token in wanted else kind for token, kind in zip(self.tokens, self.types, strict=True)
        ]
        return replace(self, types=types)

    def _special(self) -> dict[str, int]:
        """Return the special ids with the ends of a reply where llama.cpp looks for them: eos, eot and eom."""
        special = dict(self.special)
        for name, texts in (("eot", _TURN_ENDS), ("eom", ())):
            usual = [number for number in self.ends if self.tokens[number] in texts]
            found = usual + self._open_ends(special)
            if name not in special and found:
                special[name] = found[0]
        return special

    def _open_ends(self, special: dict[str, int]) -> list[int]:
        """Return the ends of a reply that llama.cpp does not know of yet."""
        known = {special.get(name) for name in ("eos", "eot", "eom")}
        ends = (number for number in self.ends if self.tokens[number] not in _FOUND_BY_TEXT)
        return [number for number in dict.fromkeys(ends) if number not in known]

    def _distinct_tokens(self) -> list[str | bytes]:
        """Return the tokens with a number behind repeated ones: llama.cpp takes two of one text for a damaged file."""
        seen: set[str | bytes] = set()
        tokens = []
        for number, token in enumerate(self.tokens):
            distinct = f"[DUPLICATE{number}]" if token in seen else token
            seen.add(distinct)
            tokens.append(distinct)
        return tokens


def by_number(
    path: Path, found: Mapping[int, tuple[str | bytes, TokenType]]
) -> tuple[list[str | bytes], list[TokenType]]:
    """Return texts and types by id, with `[PAD<id>]` for ids that a file leaves out.

    Raises:
        BadFile: more ids are left out than there are tokens.
    """
    size = max(found) + 1
    if size > 2 * len(found):
        raise BadFile(
            "{path} numbers its tokens with gaps ({total} ids for {count} tokens); download it again.",
            path=path,
            total=size,
            count=len(found),
        )
    entries = [found.get(number) or (f"[PAD{number}]", TokenType.UNUSED) for number in range(size)]
    return [text for text, _ in entries], [kind for _, kind in entries]


NO_VOCABULARY = Vocabulary("none")
"""For checkpoints converted without a tokenizer: only token ids can be fed."""
