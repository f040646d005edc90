"""Special tokens and the chat template, from the files beside a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.config import Config
from models.untrusted_json import LARGEST_TABLE, read_bytes, read_object
from models.vocab.vocabulary import TokenType, Vocabulary

_NAMES = {"bos": "bos", "eos": "eos", "unk": "unknown", "sep": "separator", "pad": "padding"}
"""Hugging Face's names -> llama.cpp's."""


def add_special_tokens(vocabulary: Vocabulary, folder: Path, config: Config) -> Vocabulary:
    """Return the vocabulary with its special ids, flags and chat template.

    tokenizer_config.json and special_tokens_map.json name tokens by text; config.json and generation_config.json by id and are
    asked where no text is found.
    """
    described = _optional_json(folder / "tokenizer_config.json")
    texts = _optional_json(folder / "special_tokens_map.json") | described
    generation = _optional_json(folder / "generation_config.json")
    numbers = generation | dict(config.data)
    ids = {str(text): number for number, text in enumerate(vocabulary.tokens)}
    special = dict(vocabulary.special)
    for theirs, ours in _NAMES.items():
        number = ids.get(_text(texts.get(f"{theirs}_token")) or "")
        if number is None:
            number = _first(numbers.get(f"{theirs}_token_id"))
            if ours in special and number is not None and _is_ordinary(vocabulary, number):
                continue  # Hunyuan-7B's configuration says that token 1 begins a text
        if number is not None and 0 <= number < len(vocabulary.tokens):
            special[ours] = number
    flags = dict(vocabulary.flags)
    for name in ("add_bos_token", "add_eos_token"):
        if isinstance(described.get(name), bool):
            flags[name] = described[name]
    declared = [numbers_of.get("eos_token_id") for numbers_of in (generation, config.data)]
    ends = [number for value in declared for number in _ids(value) if 0 <= number < len(vocabulary.tokens)]
    return replace(
        vocabulary,
        special=special,
        ends=(*vocabulary.ends, *dict.fromkeys(ends)),
        flags=flags | _bos_rule(folder, texts, flags),
        chat_template=vocabulary.chat_template or chat_template(folder),
    )


def _is_ordinary(vocabulary: Vocabulary, number: int) -> bool:
    return 0 <= number < len(vocabulary.types) and vocabulary.types[number] is TokenType.NORMAL


def _bos_rule(folder: Path, texts: dict[str, Any], flags: dict[str, bool]) -> dict[str, bool]:
    """Read off tokenizer.json's post-processor whether it writes the beginning-of-sequence token, where nothing else says."""
    if "add_bos_token" in flags or not (folder / "tokenizer.json").is_file():
        return {}
    bos = _text(texts.get("bos_token"))
    steps = [read_object(folder / "tokenizer.json", largest=LARGEST_TABLE).get("post_processor")]
    while steps:
        step = steps.pop()
        if not isinstance(step, dict):
            continue
        steps += step.get("processors") or []
        if step.get("type") == "TemplateProcessing":
            return {"add_bos_token": bos in _template_specials(step.get("single"))}
    return {"add_bos_token": False} if not (folder / "tokenizer.model").is_file() else {}


def _template_specials(pieces: Any) -> Iterator[str | None]:
    for piece in pieces if isinstance(pieces, list) else ():
        special = piece.get("SpecialToken") if isinstance(piece, dict) else None
        if isinstance(special, dict):
            yield str(special.get("id"))


def chat_template(folder: Path) -> str | None:
    """Return chat_template.jinja, or the (default) template of tokenizer_config.json."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return read_bytes(file).decode("utf-8", "replace")
    template = _optional_json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def special_text(folder: Path, name: str) -> str | None:
    """Return the text of a special token ("eos", …) that tokenizer_config.json names."""
    return _text(_optional_json(folder / "tokenizer_config.json").get(f"{name}_token"))


def _optional_json(path: Path) -> dict[str, Any]:
    return read_object(path) if path.is_file() else {}


def _text(token: Any) -> str | None:
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else None


def _first(value: Any) -> int | None:
    """Return an id, or the first of several."""
    return next(iter(_ids(value)), None)


def _ids(value: Any) -> list[int]:
    """Return one id or many: generation_config.json may list several end tokens."""
    values = value if isinstance(value, list) else [value]
    return [number for number in values if isinstance(number, int) and not isinstance(number, bool)]
