"""The tokens that were added to a tokenizer, from all files that name some.

Source of the order: transformers, tokenization_utils_base.py (`from_pretrained`) and tokenization_utils_tokenizers.py: ids are
those of tokenizer.json, and where it has none those of tokenizer_config.json, then of added_tokens.json; attributes are those of
tokenizer_config.json. What tokenizer_config.json or special_tokens_map.json names as a special token is a control token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from models.errors import BadFile
from models.sentence import Sentence
from models.untrusted_json import TokenId, read_struct
from models.vocab.structures import AddedToken, SpecialTokens, TokenizerConfig
from models.vocab.vocabulary import TokenType, by_number

_MOST_NAMED = 5


class AddedTokens:
    """Tokens by id, collected from one file after the other."""

    def __init__(self, folder: Path, known: Mapping[str, int] | None = None) -> None:
        """Take the folder, and the ids of all texts that are known without its added tokens."""
        self.tokens: dict[int, AddedToken] = {}
        self._folder = folder
        self._ids = dict(known or {})
        self._texts = {number: text for text, number in self._ids.items()}
        self._conflicts: list[str] = []

    def take(self, token: AddedToken) -> None:
        """Add a token, or give one that is known other attributes; what contradicts the files before is left out."""
        known, taken = self._ids.get(token.content), self._texts.get(token.id)
        if known != token.id and (known is not None or taken is not None):
            self._conflicts.append(f"{token.content} = {token.id} ({known if taken is None else taken})")
        if taken is None:
            self._ids.setdefault(token.content, token.id)
            self._texts[token.id] = token.content
        if known not in (None, token.id) and known not in self.tokens:
            self.tokens[known] = replace(token, id=known)  # the library keeps the id that the vocabulary gives a text
        elif taken in (None, token.content):
            self.tokens[token.id] = token

    def name_special(self, texts: Iterable[str]) -> None:
        """Make tokens that are named as special ones control tokens."""
        for text in texts:
            number = self._ids.get(text)
            if number is not None and len(text) > 1:
                token = self.tokens.get(number, AddedToken(number, text))
                self.tokens[number] = replace(token, special=True)

    def warnings(self) -> Iterator[Sentence]:
        """Yield what the files contradict each other about."""
        if self._conflicts:
            yield Sentence(
                "The tokenizer's files in {folder} disagree about {count} added tokens ({names}); tokenizer.json counts first, "
                "then tokenizer_config.json, then added_tokens.json.",
                folder=self._folder,
                count=len(self._conflicts),
                names=", ".join(self._conflicts[:_MOST_NAMED]) + (" …" if len(self._conflicts) > _MOST_NAMED else ""),
            )


def read_added_tokens(
    folder: Path, of_tokenizer: Iterable[AddedToken] = (), known: Mapping[str, int] | None = None
) -> AddedTokens:
    """Return the tokens that a folder's files add.

    Args:
        folder: where they lie.
        of_tokenizer: what its tokenizer.json adds.
        known: the texts of the tokenizer's own vocabulary, with their ids.

    Raises:
        BadFile: a file is damaged.
    """
    path, mapped, plain = (
        folder / name for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
    )
    described = read_struct(path, TokenizerConfig) if path.is_file() else TokenizerConfig()
    listed = read_struct(plain, dict[str, TokenId]) if plain.is_file() else {}
    added = AddedTokens(folder, known)
    for token in of_tokenizer:
        added.take(token)
    for number, text in (described.added_tokens_decoder or {}).items():
        added.take(text.as_token(number))
    for content, number in listed.items():
        if number not in added.tokens or added.tokens[number].content != content:
            added.take(AddedToken(number, content, special=content.startswith("<") and content.endswith(">")))
    files = [*([read_struct(mapped, SpecialTokens)] if mapped.is_file() else ()), described]
    added.name_special(text for file in files for text in file.special_texts())
    return added


def texts_by_id(path: Path, vocab: Mapping[str, int]) -> dict[int, str]:
    """Return the tokens of a file's vocabulary by their ids.

    Raises:
        BadFile: two tokens have one id.
    """
    texts = {number: text for text, number in vocab.items()}
    if len(texts) < len(vocab):
        raise BadFile("{path} gives one id to several tokens; download it again.", path=path)
    return texts


def numbered(
    path: Path, texts: Mapping[int, str], added: Mapping[int, AddedToken]
) -> tuple[list[str | bytes], list[TokenType]]:
    """Return a vocabulary's texts and types by id, added tokens in the place of its own.

    Raises:
        BadFile: there is no token, or most ids are left out.
    """
    by_id: dict[int, tuple[str | bytes, TokenType]] = {id_: (text, TokenType.NORMAL) for id_, text in texts.items()}
    for number, token in added.items():
        by_id[number] = token.content, TokenType.CONTROL if token.special else TokenType.USER_DEFINED
    if not by_id:
        raise BadFile("{path} has no vocabulary; download it again.", path=path)
    return by_number(path, by_id)
