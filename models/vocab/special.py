"""Special tokens and the chat template, from the files beside a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from msgspec import UnsetType

from models.config import Config
from models.sentence import Sentence
from models.untrusted_json import LARGEST_TABLE, read_object, read_struct
from models.vocab.chat_templates import read_chat_templates
from models.vocab.structures import PostProcessing, SpecialTokens, TokenizerConfig, tokens_around
from models.vocab.vocabulary import TokenType, Vocabulary

_NAMES = {"bos": "bos", "eos": "eos", "unk": "unknown", "sep": "separator", "pad": "padding", "mask": "mask"}
"""Hugging Face's names -> llama.cpp's."""
_MOST_NAMED = 4
_WRITTEN_OF_GLM = ["[gMASK]", "<sop>"]
"""`models.vocab.chatglm` writes these."""


def add_special_tokens(vocabulary: Vocabulary, folder: Path, config: Config) -> Vocabulary:
    """Return the vocabulary with its special ids, flags and chat template.

    tokenizer_config.json and special_tokens_map.json name tokens by text; config.json and generation_config.json by id and are
    asked where no text is found.
    """
    described = read_tokenizer_config(folder)
    path = folder / "generation_config.json"
    generation = Config(read_object(path) if path.is_file() else {}, str(path))
    ids = {str(text): number for number, text in enumerate(vocabulary.tokens)}
    special = dict(vocabulary.special)
    texts = _texts(folder, described)
    if "bos" in texts and texts["bos"] is None:
        special.pop("bos", None)
    for theirs, ours in _NAMES.items():
        if theirs == "bos" and texts.get(theirs, "") is None:
            continue  # the publisher says that there is none, whatever config.json has kept
        number = ids.get(texts.get(theirs) or "")
        if number is None:
            key = f"{theirs}_token_id"
            number = next(iter((config if key in config.data else generation).ids(key)), None)
            if ours in special and number is not None and _is_ordinary(vocabulary, number):
                continue  # Hunyuan-7B's configuration says that token 1 begins a text
        if number is not None and 0 <= number < len(vocabulary.tokens):
            special[ours] = number
    declared = {"add_bos_token": described.add_bos_token, "add_eos_token": described.add_eos_token}
    flags = vocabulary.flags | {name: value for name, value in declared.items() if value is not None}
    ends = (*generation.ids("eos_token_id"), *config.ids("eos_token_id"))
    templates = read_chat_templates(folder)
    made = replace(
        vocabulary,
        special=special,
        ends=(*vocabulary.ends, *dict.fromkeys(end for end in ends if 0 <= end < len(vocabulary.tokens))),
        flags=flags
        | _bos_rule(folder, texts.get("bos"), flags)
        | ({} if "bos" in special else {"add_bos_token": False}),
        chat_template=vocabulary.chat_template or templates.default,
        named_templates=templates.others,
        warnings=(*vocabulary.warnings, *templates.warnings, *_around(folder, vocabulary, special, ids)),
    )
    named = [text for text in (texts.get("eos"), *map(str, ends)) if text]
    if not named or made.ends_replies:
        return made
    warning = Sentence(
        "{folder} names {tokens} as the end of replies, which the vocabulary does not have: they end only where they are cut "
        "off. Correct eos_token.",
        folder=folder,
        tokens=", ".join(name[:40] for name in named[:_MOST_NAMED]),
    )
    return replace(made, warnings=(*made.warnings, warning))


def read_tokenizer_config(folder: Path) -> TokenizerConfig:
    """Return a folder's tokenizer_config.json, an empty one where there is none."""
    path = folder / "tokenizer_config.json"
    return read_struct(path, TokenizerConfig) if path.is_file() else TokenizerConfig()


def _texts(folder: Path, described: TokenizerConfig) -> dict[str, str | None]:
    """Return the texts of special tokens; tokenizer_config.json counts before special_tokens_map.json."""
    path = folder / "special_tokens_map.json"
    files = [*([read_struct(path, SpecialTokens)] if path.is_file() else ()), described]
    texts = ((name, file.text(name)) for file in files for name in _NAMES)
    return {name: text for name, text in texts if not isinstance(text, UnsetType)}


def _is_ordinary(vocabulary: Vocabulary, number: int) -> bool:
    return 0 <= number < len(vocabulary.types) and vocabulary.types[number] is TokenType.NORMAL


def _around(
    folder: Path, vocabulary: Vocabulary, special: Mapping[str, int], ids: Mapping[str, int]
) -> Iterator[Sentence]:
    """Yield what a tokenizer.json writes around texts besides the tokens of beginnings and ends."""
    around = post_processing(folder) if (folder / "tokenizer.json").is_file() else None
    is_bert = vocabulary.model == "bert"
    if around is None and not (is_bert and (folder / "tokenizer.json").is_file()):
        return
    around = around or ([], [])
    before, behind = ([ids.get(text) for text in texts] for texts in around)
    ends = {special.get("eos"), special.get("separator")}
    usual = before in ([[special.get("bos")]] if is_bert else ([], [special.get("bos")])) and {*behind} <= ends
    if not (usual and (behind or not is_bert)) and around[0][:2] != _WRITTEN_OF_GLM:
        yield Sentence(
            "{path} writes {before} in front of every text and {behind} behind it; Zhiyin writes the token of the beginning "
            "alone, and in chats what the template says.",
            path=folder / "tokenizer.json",
            before=" ".join(around[0]) or "-",
            behind=" ".join(around[1]) or "-",
        )


def _bos_rule(folder: Path, bos: str | None, flags: Mapping[str, bool]) -> dict[str, bool]:
    """Read off tokenizer.json's post-processor whether it writes the beginning-of-sequence token, where nothing else says."""
    if "add_bos_token" in flags or not (folder / "tokenizer.json").is_file():
        return {}
    around = post_processing(folder)
    if around is not None:
        return {"add_bos_token": bos in around[0]}
    return {"add_bos_token": False} if not (folder / "tokenizer.model").is_file() else {}


def ending_as_published(vocabulary: Vocabulary, folder: Path) -> Vocabulary:
    """Return the vocabulary of an embedding model, whose texts end in the token that tokenizer.json writes behind them."""
    around = post_processing(folder) if (folder / "tokenizer.json").is_file() else None
    written = around[1][-1] if around is not None and around[1] else None
    if written is None or written not in vocabulary.tokens:
        return vocabulary
    number = vocabulary.tokens.index(written)
    return replace(
        vocabulary, special=vocabulary.special | {"eos": number}, flags=vocabulary.flags | {"add_eos_token": True}
    )


def post_processing(folder: Path) -> tuple[list[str], list[str]] | None:
    """Return the special tokens that a folder's tokenizer.json writes around a text; None: it says nothing of them."""
    return tokens_around(read_struct(folder / "tokenizer.json", PostProcessing, largest=LARGEST_TABLE).post_processor)


def special_text(folder: Path, name: str) -> str | None:
    """Return the text of a special token ("eos", …) that tokenizer_config.json names."""
    text = read_tokenizer_config(folder).text(name)
    return None if isinstance(text, UnsetType) else text
