"""Structures of a tokenizer's JSON files; other keys in them are skipped.

Source of the formats: huggingface/tokenizers (`serialization.rs` of each part) and transformers, tokenization_utils_base.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import UNSET, UnsetType

from models.untrusted_json import TokenId


class AddedToken(msgspec.Struct):
    """An entry of `added_tokens` in tokenizer.json."""

    id: TokenId
    content: str
    special: bool = False
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = False


class AddedText(msgspec.Struct):
    """A token as tokenizer_config.json and special_tokens_map.json describe it."""

    content: str
    special: bool | None = None
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool | None = None

    def as_token(self, number: int) -> AddedToken:
        """Return it with its id."""
        special = bool(self.special)
        normalized = not special if self.normalized is None else self.normalized
        return AddedToken(number, self.content, special, self.lstrip, self.rstrip, self.single_word, normalized)


SpecialToken = str | AddedText | None | UnsetType
"""Python writes it as a text or as an object."""


class SpecialTokens(msgspec.Struct):
    """special_tokens_map.json."""

    bos_token: SpecialToken = UNSET
    eos_token: SpecialToken = UNSET
    unk_token: SpecialToken = UNSET
    sep_token: SpecialToken = UNSET
    pad_token: SpecialToken = UNSET
    mask_token: SpecialToken = UNSET
    additional_special_tokens: list[str | AddedText] | None = None
    extra_special_tokens: list[str | AddedText] | dict[str, str | AddedText] | None = None

    def text(self, name: str) -> str | UnsetType | None:
        """Return the text of `bos`, `eos` …; None where there is no such token, UNSET where the file does not say."""
        token: SpecialToken = getattr(self, f"{name}_token")
        return token.content if isinstance(token, AddedText) else token

    def special_texts(self) -> Iterator[str]:
        """Yield the texts of the tokens that only a template writes: those that begin and end texts, and further ones."""
        extra = self.extra_special_tokens or []
        more = [*(self.additional_special_tokens or ()), *(extra.values() if isinstance(extra, dict) else extra)]
        for token in (self.bos_token, self.eos_token, *more):
            text = token.content if isinstance(token, AddedText) else token
            if isinstance(text, str) and text:
                yield text


class NamedTemplate(msgspec.Struct):
    """One of several chat templates."""

    name: str
    template: str


TemplatesSaid = str | list[NamedTemplate] | dict[str, str] | None
"""One template, or several by name."""


class TemplateFile(msgspec.Struct):
    """chat_template.json."""

    chat_template: TemplatesSaid = None


class TokenizerConfig(SpecialTokens):
    """tokenizer_config.json."""

    tokenizer_class: str | None = None
    add_bos_token: bool | None = None
    add_eos_token: bool | None = None
    added_tokens_decoder: dict[TokenId, AddedText] | None = None
    chat_template: TemplatesSaid = None
    num_image_tokens: int | None = None
    do_lower_case: bool | None = None
    strip_accents: bool | None = None
    legacy: bool | None = None
    add_prefix_space: bool | None = None


class Pattern(msgspec.Struct):
    """The pattern of a step: a text or a regular expression."""

    String: str | None = None
    Regex: str | None = None


class TemplatePiece(msgspec.Struct):
    """A part of what a post-processor writes: a special token, or a text."""

    SpecialToken: PieceName | None = None


class PieceName(msgspec.Struct):
    """Names a special token."""

    id: str


class Step(msgspec.Struct):
    """A normalizer, pre-tokenizer or post-processor of any type, or a sequence of such."""

    type: str | None = None
    normalizers: list[Step] | None = None
    pretokenizers: list[Step] | None = None
    processors: list[Step] | None = None
    pattern: Pattern | None = None
    behavior: str | None = None
    invert: bool | None = None
    delimiter: str | None = None
    length: int | None = None
    individual_digits: bool | None = None
    use_regex: bool | None = None
    prepend_scheme: str | None = None
    prepend: str | None = None
    content: str | None = None
    strip_left: bool | None = None
    strip_right: bool | None = None
    split: bool | None = None
    add_prefix_space: bool | None = None
    single: list[TemplatePiece] | None = None
    precompiled_charsmap: str | None = None
    replacement: str | None = None
    lowercase: bool | None = None
    strip_accents: bool | None = None
    clean_text: bool | None = None
    handle_chinese_chars: bool | None = None
    decoders: list[Step] | None = None
    suffix: str | None = None
    prefix: str | None = None
    cleanup: bool | None = None
    start: int | None = None
    stop: int | None = None
    cls: tuple[str, TokenId] | None = None
    sep: tuple[str, TokenId] | None = None

    def leaves(self) -> Iterator[Step]:
        """Yield the steps that are no sequences, in their order."""
        pending = [self]
        while pending:  # a file may nest them deeper than functions can call themselves
            step = pending.pop()
            lists = (step.normalizers, step.pretokenizers, step.processors, step.decoders)
            parts = [part for steps in lists for part in steps or ()]
            if parts or step.type == "Sequence":
                pending += reversed(parts)
            else:
                yield step

    def around(self) -> tuple[list[str], list[str]]:
        """Return the special tokens that a post-processor writes in front of a text and behind it."""
        if self.cls is not None and self.sep is not None:
            return [self.cls[0]], [self.sep[0]]
        names = [None if piece.SpecialToken is None else piece.SpecialToken.id for piece in self.single or ()]
        place = names.index(None) if None in names else len(names)
        return [name for name in names[:place] if name], [name for name in names[place:] if name]


def tokens_around(processor: Step | None) -> tuple[list[str], list[str]] | None:
    """Return the special tokens that post-processors write in front of a text and behind it; None: none writes any."""
    steps = [] if processor is None else processor.leaves()
    written = [step.around() for step in steps if step.single is not None or step.cls is not None]
    before = [token for front, _ in reversed(written) for token in front]
    return (before, [token for _, behind in written for token in behind]) if written else None


class BPE(msgspec.Struct):
    """`model` of a tokenizer.json of type BPE."""

    vocab: dict[str, TokenId]
    type: str | None = None
    fuse_unk: bool = False
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    merges: list[str | tuple[str, str]] = []
    byte_fallback: bool = False
    ignore_merges: bool = False
    unk_token: str | None = None


class PostProcessing(msgspec.Struct):
    """The post-processor of a tokenizer.json; its model, by far the largest part, is passed over."""

    post_processor: Step | None = None


class Tokenizer(msgspec.Struct):
    """tokenizer.json."""

    model: BPE
    normalizer: Step | None = None
    pre_tokenizer: Step | None = None
    decoder: Step | None = None
    added_tokens: list[AddedToken] | None = None


class ModelType(msgspec.Struct):
    """The fields shared by every tokenizer's model."""

    type: str | None = None


class AnyTokenizer(msgspec.Struct):
    """A tokenizer.json of any type."""

    model: ModelType | None = None
    normalizer: Step | None = None
    pre_tokenizer: Step | None = None
    decoder: Step | None = None
    added_tokens: list[AddedToken] | None = None
