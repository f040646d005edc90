"""The one form that every tokenizer is brought to: what a GGUF file stores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

from models.errors import BadFile
from models.sentence import Sentence
from models.vocab.sections import SpacePrefix
from models.vocab.structures import AddedToken

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
ENDS = "zhiyin.tokenizer.reply_ends"
"""GGUF key: all ids that end a reply, so that llama.cpp need not guess; it has keys for three."""
SPACE_PREFIX = "zhiyin.tokenizer.space_prefix"
"""GGUF key: which sections of a text get a space in front (`SpacePrefix`); llama.cpp's own key says no more than whether."""
ADDED = "zhiyin.tokenizer.added_tokens"
"""GGUF key: ids of added tokens, no control tokens, at which a text is cut."""
TRAITS = {name: f"zhiyin.tokenizer.{name}" for name in ("lstrip", "rstrip", "single_word", "normalized")}
"""Attributes of added tokens -> GGUF keys: the ids that have them."""
SPLIT_WORDS = "zhiyin.tokenizer.split_words"
"""GGUF key: no piece holds the end of a word and the space behind it."""
LEADING_BLANKS = "zhiyin.tokenizer.leading_blanks"
"""GGUF key: how many spaces at the beginning of a text's first token are none of the text, as its decoder has it."""
EVERY_BLANK = -1
"""Instead of that number: all spaces of the first token, wherever they stand in it."""
NORMALIZATION = "zhiyin.tokenizer.normalization"
"""GGUF key: the Unicode normal form that whole texts get first (NFC …), control tokens in them, too; llama.cpp knows none."""
_WRITTEN = {"separator": "seperator"}
"""Names that GGUF keys have otherwise."""
_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|eot|>", "<eoa>", "[EOT]")
_MOST_NAMED = 5
_ENDS_BY_TEMPLATE = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|eot|>", "[EOT]")
"""Control tokens that end a turn in every template that writes them; some publishers forget to name them otherwise."""


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
    added: Mapping[int, AddedToken] = field(default_factory=dict)
    """Tokens at which texts are cut before they become pieces, and their attributes."""
    space: SpacePrefix | None = None
    """None: llama.cpp's own rule for this kind is right."""
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

    def cut(self, size: int) -> Vocabulary:
        """Return the vocabulary without the tokens behind the first `size`, for which the model has no rows, and say so."""
        surplus = self.tokens[size:]
        if not surplus:
            return self
        known = set(self.tokens[:size])
        warning = Sentence(
            "The tokenizer has {count} tokens more than the model has rows for; they are left out ({names}).",
            count=len(surplus),
            names=", ".join(map(str, surplus[:_MOST_NAMED])) + (" …" if len(surplus) > _MOST_NAMED else ""),
        )
        return replace(
            self,
            tokens=self.tokens[:size],
            types=self.types[:size],
            scores=None if self.scores is None else self.scores[:size],
            merges=None
            if self.merges is None
            else [merge for merge in self.merges if merge.replace(" ", "", 1) in known],
            special={name: number for name, number in self.special.items() if number < size},
            ends=tuple(number for number in self.ends if number < size),
            added={number: token for number, token in self.added.items() if number < size},
            warnings=(*self.warnings, warning),
        )

    def metadata(self) -> dict[str, Any]:
        """Return the GGUF key-value pairs, whole names."""
        pairs: dict[str, Any] = {"tokenizer.ggml.model": self.model}
        if self.model == "none":
            return pairs
        optional = {"pre": self.pre, "scores": self.scores, "merges": self.merges}
        special = self._special()
        pairs["tokenizer.ggml.tokens"] = self._distinct_tokens()
        pairs["tokenizer.ggml.token_type"] = self._stored_types()
        pairs |= {f"tokenizer.ggml.{key}": value for key, value in optional.items() if value is not None}
        pairs |= {f"tokenizer.ggml.{_WRITTEN.get(name, name)}_token_id": value for name, value in special.items()}
        pairs |= {f"tokenizer.ggml.{name}": value for name, value in self.flags.items()}
        pairs |= self._added_tokens()
        if self.chat_template is not None:
            pairs[CHAT_TEMPLATE] = self.chat_template
        if self.named_templates:
            pairs[CHAT_TEMPLATES] = list(self.named_templates)
            pairs |= {f"{CHAT_TEMPLATE}.{name}": text for name, text in self.named_templates.items()}
        pairs[ENDS] = self._reply_ends(special)
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

    @property
    def ends_replies(self) -> bool:
        """Tell whether any token ends a reply."""
        return bool(self._reply_ends(self._special()))

    def _special(self) -> dict[str, int]:
        """Return the special ids with the ends of a reply where llama.cpp looks for them: eos, eot and eom."""
        special = dict(self.special)
        for name, texts in (("eot", _TURN_ENDS), ("eom", ())):
            usual = [number for number in self.ends if self.tokens[number] in texts]
            known = {special.get(name) for name in ("eos", "eot", "eom")}
            numbers = usual + [number for number in self.ends if number not in known]
            if name not in special and numbers:
                special[name] = numbers[0]
        return special

    def _reply_ends(self, special: Mapping[str, int]) -> list[int]:
        """Return all ends of a reply: what the publisher names, and the ends of turns that the template writes."""
        named = [special[name] for name in ("eos", "eot", "eom") if name in special]
        template = self.chat_template or ""
        written = [
            number
            for number, (text, kind) in enumerate(zip(self.tokens, self.types, strict=True))
            if kind is TokenType.CONTROL and text in _ENDS_BY_TEMPLATE and str(text) in template
        ]
        return sorted({*named, *self.ends, *written})

    def _stored_types(self) -> list[int]:
        """Return the types as llama.cpp gets them: it finds user-defined tokens everywhere, where some are none.

        As control tokens it lets them be; `ADDED` says what they are.
        """
        types = [int(kind) for kind in self.types]
        for number, token in self.added.items():
            if (token.single_word or token.normalized) and types[number] == TokenType.USER_DEFINED:
                types[number] = int(TokenType.CONTROL)
        return types

    def _added_tokens(self) -> dict[str, Any]:
        """Return what llama.cpp has no keys for: where a text is cut, and what happens there."""
        added = self.added
        traits = {key: sorted(n for n, token in added.items() if getattr(token, name)) for name, key in TRAITS.items()}
        kept = {key: ids for key, ids in traits.items() if ids}
        cutting = sorted(number for number in added if self.types[number] is TokenType.USER_DEFINED)
        space = {} if self.space is None else {SPACE_PREFIX: self.space.value}
        return space | ({ADDED: cutting} if cutting else {}) | kept

    def _distinct_tokens(self) -> list[str | bytes]:
        """Return the tokens with a number behind repeated ones: llama.cpp takes two of one text for a damaged file."""
        seen: set[str | bytes] = set()
        tokens = []
        for number, token in enumerate(self.tokens):
            read = (
                token.partition("\0")[0] if isinstance(token, str) else token
            )  # llama.cpp's texts end at a null character
            distinct = f"[DUPLICATE{number}]" if read in seen else token
            seen.add(read if distinct is token else distinct)
            tokens.append(distinct)
        return tokens


def by_number(
    path: Path, by_id: Mapping[int, tuple[str | bytes, TokenType]]
) -> tuple[list[str | bytes], list[TokenType]]:
    """Return texts and types by id, with `[PAD<id>]` for ids that a file leaves out.

    Raises:
        BadFile: more ids are left out than there are tokens.
    """
    size = max(by_id) + 1
    if size > 2 * len(by_id):
        raise BadFile(
            "{path} numbers its tokens with gaps ({total} ids for {count} tokens); download it again.",
            path=path,
            total=size,
            count=len(by_id),
        )
    entries = [by_id.get(number) or (f"[PAD{number}]", TokenType.UNUSED) for number in range(size)]
    return [text for text, _ in entries], [kind for _, kind in entries]


NO_VOCABULARY = Vocabulary("none")
"""For checkpoints converted without a tokenizer: only token ids can be fed."""
