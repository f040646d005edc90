"""An installed model: plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from desktop_app.settings import Settings
from models.errors import ZhiyinError


@dataclass(frozen=True)
class ModelSettings:
    """What is set for one model (`desktop_app.library.model_settings`); what is left open is as in the settings of the window."""

    context: int | None = None
    """Tokens that a chat may hold; 0: the planner chooses; None: as in the settings."""
    threads: int = 0
    """0: as many as are fastest here."""
    instructions: str | None = None
    """Instead of the settings' system prompt; "": none at all."""
    sampling: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Some of `settings.SAMPLED`."""
    name: str = ""
    """What it is called in lists, where its file keeps its name; "": as its file."""
    former: tuple[str, ...] = ()
    """Identifiers that the model had before it was renamed: chats and settings name it by these."""

    def over(self, settings: Settings) -> Settings:
        """Return the settings as they count for the model."""
        values: dict[str, Any] = dict(self.sampling)
        if self.context is not None:
            values["context"] = self.context
        if self.instructions is not None:
            values["system_prompt"] = self.instructions
        return replace(settings, **values)

    def with_value(self, name: str, value: Any, general: Settings) -> ModelSettings:
        """Return these with another value for a name of `Settings`; what is as in `general` is left open."""
        same = value == getattr(general, name)
        if name == "system_prompt":
            return replace(self, instructions=None if same else value)
        if name == "context":
            return replace(self, context=None if same else value)
        others = {other: kept for other, kept in self.sampling.items() if other != name}
        return replace(self, sampling=others if same or value is None else others | {name: value})


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
    ranks: bool = False
    """Of these: it ranks passages."""
    sha256: str = ""
    """Of its file, as its host gave it; "": not known."""
    remote: str = ""
    """The address of the server that runs it (`desktop_app.remote`), and then it has no file; "": this computer."""
    remote_name: str = ""
    """What that server calls it."""
    own: ModelSettings = field(default_factory=ModelSettings, compare=False)
    """What the user set for this model."""
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
