"""The chat templates beside a tokenizer: one, or several by name ("default", "tool_use", "rag" …).

Source of the places and of their order: transformers, tokenization_utils_base.py (`from_pretrained`, `get_chat_template`) and
processing_utils.py for chat_template.json, which models with an image part have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.sentence import Sentence
from models.untrusted_json import read_bytes, read_struct
from models.vocab.structures import TemplateFile, TemplatesSaid, TokenizerConfig
from models.vocab.vocabulary import TOOL_USE

_DEFAULT = "default"
_FOLDER = "additional_chat_templates"
_LARGEST = 4 * 1024 * 1024
_MOST = 16
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOT_FOR_CHATS = (TOOL_USE, "rag")


@dataclass(frozen=True)
class ChatTemplates:
    """The chat templates of a folder."""

    default: str | None = None
    others: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Sentence, ...] = ()


def read_chat_templates(folder: Path) -> ChatTemplates:
    """Return a folder's templates: files of their own, else those of tokenizer_config.json, else chat_template.json.

    Where files beside one another hold further templates and no default, the one of the next source is the default.

    Raises:
        BadFile: a file is damaged.
    """
    sources = (_of_files, _of_config, _of_processor)
    written = [{name: text for name, text in source(folder).items() if text.strip()} for source in sources]
    templates: dict[str, str] = next((texts for texts in written if texts), {})
    if templates is written[0] and _DEFAULT not in templates:
        default = next((texts[_DEFAULT] for texts in written if _DEFAULT in texts), None)
        templates |= {} if default is None else {_DEFAULT: default}
    others = {name: text for name, text in templates.items() if name != _DEFAULT and _NAME.fullmatch(name)}
    if _DEFAULT in templates or not templates:
        return ChatTemplates(templates.get(_DEFAULT), others)
    chosen = next((name for name in templates if name not in _NOT_FOR_CHATS), next(iter(templates)))
    if len(templates) == 1:
        return ChatTemplates(templates[chosen], others)
    warning = Sentence(
        "{folder} has several chat templates and names none of them the default; chats are written by {name} (the others: "
        "{others}).",
        folder=folder,
        name=chosen,
        others=", ".join(sorted(set(templates) - {chosen})),
    )
    return ChatTemplates(templates[chosen], others, (warning,))


def _of_files(folder: Path) -> dict[str, str]:
    named = sorted((folder / _FOLDER).glob("*.jinja"))[:_MOST] if (folder / _FOLDER).is_dir() else []
    usual = folder / "chat_template.jinja"
    files = {path.stem: path for path in named} | ({_DEFAULT: usual} if usual.is_file() else {})
    return {name: _text(path) for name, path in files.items() if path.is_file()}


def _text(path: Path) -> str:
    return read_bytes(path, largest=_LARGEST).decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _of_config(folder: Path) -> dict[str, str]:
    path = folder / "tokenizer_config.json"
    return _by_name(read_struct(path, TokenizerConfig).chat_template if path.is_file() else None)


def _of_processor(folder: Path) -> dict[str, str]:
    path = folder / "chat_template.json"
    return _by_name(read_struct(path, TemplateFile).chat_template if path.is_file() else None)


def _by_name(templates: TemplatesSaid) -> dict[str, str]:
    if isinstance(templates, str):
        return {_DEFAULT: templates}
    if isinstance(templates, dict):
        return dict(list(templates.items())[:_MOST])
    return {entry.name: entry.template for entry in (templates or ())[:_MOST]}
