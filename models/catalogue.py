"""The catalogue: which models of the known families there are, where they are published, and what they are good for.

The facts come from the publishers' model cards and configurations; names on ModelScope from the list of supported models in
modelscope/ms-swift and from publishers' own links.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import BadFile


@dataclass(frozen=True)
class CatalogueModel:
    """One published checkpoint."""

    parameters: float
    """In thousand millions."""
    context: int
    """Tokens that it was made for."""
    chat: bool
    """Tuned for conversation; False: it goes on with texts."""
    huggingface: str
    """Repository: owner/name."""
    modelscope: str | None
    """Repository on ModelScope; None: none is known."""


@dataclass(frozen=True)
class CatalogueEntry:
    """Models that differ in size and tuning only."""

    family: str
    """Name of the family that converts them."""
    title: str
    licence: str | None
    """None: see the model card."""
    languages: tuple[str, ...]
    """ISO 639-1 codes, the best first."""
    good_for: Mapping[str, str]
    """One sentence, by language of the interface: en, zh."""
    models: tuple[CatalogueModel, ...]


def read_catalogue(path: Path) -> tuple[CatalogueEntry, ...]:
    """Read the catalogue that comes with the application (resources/catalogue/models.json).

    Raises:
        BadFile: it is missing or damaged.
    """
    try:
        return tuple(_entry(entry) for entry in json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror or error}; install Zhiyin again.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadFile(f"{path} is damaged ({error!r}); install Zhiyin again.") from error


def _entry(data: dict[str, Any]) -> CatalogueEntry:
    return CatalogueEntry(
        family=str(data["family"]),
        title=str(data["title"]),
        licence=None if data["licence"] is None else str(data["licence"]),
        languages=tuple(map(str, data["languages"])),
        good_for={str(language): str(text) for language, text in data["good_for"].items()},
        models=tuple(_model(model) for model in data["models"]),
    )


def _model(data: dict[str, Any]) -> CatalogueModel:
    return CatalogueModel(
        parameters=float(data["parameters"]),
        context=int(data["context"]),
        chat=bool(data["chat"]),
        huggingface=str(data["huggingface"]),
        modelscope=None if data["modelscope"] is None else str(data["modelscope"]),
    )
