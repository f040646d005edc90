"""An installed model: plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.errors import ZhiyinError


@dataclass(frozen=True)
class InstalledModel:
    """A model that can be loaded."""

    name: str
    """Of its file, without `.gguf`; hidden characters are escaped."""
    path: Path
    bytes: int
    """Of all its parts."""
    architecture: str
    file_type: str
    """Quantization in words: Q4_K_M …; "" when the file does not say."""
    starter: bool = False
    sampling: Mapping[str, float] = field(default_factory=dict, hash=False)
    """How its publisher recommends to choose tokens (`models.chat.sampling`)."""
    modified: float = 0.0
    """When its file was written, in seconds since 1970."""
    identifier: str = ""
    """Its path, from the models folder on if it lies there: for the settings, which outlive a move of the data folder."""
    label: str = ""
    """Its name, and where other models have that name too what tells it from them."""
    origin: str = ""
    """The repository that it came from; "": not known."""
    measures: bool = False
    """It makes vectors or ranks passages, and writes no text: nobody can chat with it."""
    sha256: str = ""
    """Of its file, as its host gave it; "": not known."""
    remote: str = ""
    """The address of the server that runs it (`desktop_app.remote`), and then it has no file; "": this computer."""
    remote_name: str = ""
    """What that server calls it."""
    context: int = 0
    """Tokens that its server says it takes; 0: it does not say, or this computer runs it."""


@dataclass(frozen=True)
class BrokenModel:
    """A file that was imported or lies in the models folder, and cannot be used."""

    name: str
    path: Path
    error: ZhiyinError
    bytes: int = 0
    modified: float = math.inf
    """As of `InstalledModel`; infinite where the file is gone."""
    identifier: str = ""

    @property
    def starter(self) -> bool:
        """Never."""
        return False


Entry = InstalledModel | BrokenModel


@dataclass(frozen=True)
class Listing:
    """All models by name, and what should be one but is not."""

    models: list[InstalledModel]
    broken: list[BrokenModel]
    remote: list[InstalledModel] = field(default_factory=list)
    """Those of servers on other computers."""
