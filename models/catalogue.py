"""The catalogue: which models of the known families there are, where they are published, and what they are good for.

The facts come from the publishers' model cards and configurations; names on ModelScope from the list of supported models in
modelscope/ms-swift and from publishers' own links; files of RWKV and their bytes from josStorer/RWKV-Runner's manifest.json.
`shapes.json` holds what the memory planner needs of each published config.json, so that nothing is fetched for a plan; tests
count the parameters of each shape against what the publishers say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from models.config import Config
from models.errors import BadFile
from models.system_reasons import system_reason

_AFTER_THE_NAME = re.compile(r"-(v\d[\w.]*-.*|\d{8}-.*)$")
"""Version, mixture and date in the names of RWKV's files."""


@dataclass(frozen=True)
class CatalogueModel:
    """One published checkpoint."""

    parameters: float
    """In thousand millions."""
    context: int
    """Tokens that it was made for."""
    chat: bool
    """Tuned for conversation; False: it goes on with texts."""
    measures: str
    """vectors: an embedding model; ranks: a reranking model; "": it writes texts."""
    huggingface: str
    """Repository: owner/name."""
    modelscope: str | None
    """Repository on ModelScope; None: none is known."""
    shape: str | None
    """Its configuration among `Catalogue.shapes`; None: not known, so that nothing can be planned."""
    file: str = ""
    """The model's file in a repository of several; "": the repository is the model."""
    download: int | None = None
    """Bytes of the published weights where they are not two for each parameter; None: they are."""

    @property
    def source(self) -> str:
        """The argument of `zhiyin pull`: owner/name, with the file where there are several."""
        return f"{self.huggingface}/{self.file}" if self.file else self.huggingface

    @property
    def modelscope_source(self) -> str | None:
        """The same on ModelScope; None: it is not known there."""
        return f"{self.modelscope}/{self.file}" if self.modelscope and self.file else self.modelscope

    @property
    def name(self) -> str:
        """The displayed name."""
        if not self.file:
            return self.huggingface.partition("/")[2]
        return _AFTER_THE_NAME.sub("", PurePosixPath(self.file).stem)


@dataclass(frozen=True)
class CatalogueEntry:
    """Models that differ in size and tuning only."""

    family: str
    """Name of the family that converts them."""
    title: str
    year: int
    """When they were published."""
    licence: str | None
    """None: see the model card."""
    languages: tuple[str, ...]
    """ISO 639-1 codes, the best first."""
    good_for: Mapping[str, str]
    """One sentence, by language of the interface: en, zh."""
    models: tuple[CatalogueModel, ...]


@dataclass(frozen=True)
class Catalogue:
    """All entries, and the configurations of their models."""

    entries: tuple[CatalogueEntry, ...]
    shapes: Mapping[str, Mapping[str, Any]]
    """config.json as far as sizes go, by name; models of the same sizes share one."""

    def models(self) -> Iterator[tuple[CatalogueEntry, CatalogueModel]]:
        """Yield every model with its entry."""
        for entry in self.entries:
            for model in entry.models:
                yield entry, model

    def named(self, source: str) -> list[CatalogueModel]:
        """Return the models that a repository's name means, on either hub, or ORG/NAME/FILE; case does not matter.

        "modelscope:" may be in front of a name there.
        """
        wanted = source.strip("/").lower()
        return [
            model
            for _, model in self.models()
            if wanted in (model.source.lower(), model.huggingface.lower())
            or wanted.removeprefix("modelscope:") == (model.modelscope or "").lower()
        ]

    def config(self, model: CatalogueModel) -> Config | None:
        """Return a model's configuration as far as sizes go, or None where it is not known."""
        if model.shape is None:
            return None
        return Config(self.shapes[model.shape], f"the catalogue's {model.shape}")


def read_catalogue(folder: Path) -> Catalogue:
    """Read the catalogue that comes with the application (resources/catalogue).

    Raises:
        BadFile: it is missing or damaged.
    """
    try:
        entries = tuple(_entry(entry) for entry in _read(folder / "models.json"))
        shapes = {str(name): dict(shape) for name, shape in _read(folder / "shapes.json").items()}
        for entry in entries:
            for model in entry.models:
                _ = model.shape is None or shapes[model.shape]
    except OSError as error:
        raise BadFile(
            "{folder} cannot be read: {reason}; install Zhiyin again.", folder=folder, reason=system_reason(error)
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadFile(
            "{folder} is damaged ({reason}); install Zhiyin again.", folder=folder, reason=repr(error)
        ) from error
    return Catalogue(entries, shapes)


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _entry(data: dict[str, Any]) -> CatalogueEntry:
    return CatalogueEntry(
        family=str(data["family"]),
        title=str(data["title"]),
        year=int(data["year"]),
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
        measures=str(data.get("measures", "")),
        huggingface=str(data["huggingface"]),
        modelscope=None if data["modelscope"] is None else str(data["modelscope"]),
        shape=None if data["shape"] is None else str(data["shape"]),
        file=str(data.get("file", "")),
        download=int(data["download"]) if "download" in data else None,
    )
