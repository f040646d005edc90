"""The user's settings: a small JSON file. Unknown and wrong values fall back to the defaults."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from desktop_app.small_files import Parsed, SmallFile
from models.chat.efforts import EFFORTS

_CHOICES = {
    "theme": ("system", "light", "dark"),
    "message_width": ("normal", "wide", "full"),
    "language": ("system", "en", "zh_CN", "zh_TW"),
    "send_key": ("enter", "ctrl_enter"),
    "effort": ("", *EFFORTS),
    "network": ("online", "asked", "offline"),
}
RANGES: dict[str, tuple[float, float]] = {
    "text_size": (80, 200),
    "context": (512, 1 << 20),
    "temperature": (0.0, 2.0),
    "top_k": (0, 1000),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repeat_penalty": (1.0, 2.0),
    "seed": (-1, (1 << 31) - 1),
    "max_tokens": (0, 1 << 20),
    "download_limit": (0, 100_000),
    "server_port": (1, 65535),
    "download_rate": (0.0, 1e12),
}
"""The least and the greatest value of each number."""
RECOMMENDED = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty")
"""What a model's publisher may recommend: None where the user sets nothing else."""
SAMPLED = (*RECOMMENDED, "seed", "max_tokens")
"""What may be set of the sampling, for one chat or one model."""
_KINDS: dict[str, type[int] | type[float]] = {
    "thinking": bool,
    **{name: int if name == "top_k" else float for name in RECOMMENDED},
}
"""Of the settings whose default is None."""


@dataclass
class Settings:
    """All settings of the window, with their defaults."""

    theme: str = "system"
    text_size: int = 100
    """Percent of the system's font."""
    message_width: str = "normal"
    """How wide the column of messages may become."""
    compact: bool = False
    """Less room between lines, messages and rows."""
    language: str = "system"
    send_key: str = "enter"
    endpoint: str = ""
    """Where models are downloaded from: the address of a Hub; "": `HF_ENDPOINT`, or huggingface.co."""
    tokens: dict[str, str] = field(default_factory=dict, repr=False)
    """Of earlier versions; what is here is moved to the user's keys (`desktop_app.library.hub_tokens.tokens_in`)."""
    token: str = field(default="", repr=False)
    """One of Zhiyin 0.1, for whatever address was set."""
    network: str = "asked"
    """One of `desktop_app.network.POSITIONS`."""
    download_limit: int = 0
    """Megabits a second that downloads may take; 0: all there is."""
    mirror: str = ""
    """Address of a mirror of the Hub that a file comes from where its host fails; "": from nowhere else."""
    own_networks: str = ""
    """Networks of the user's own that stay open offline (`desktop_app.network.read_networks`)."""
    workers: str = ""
    """Computers whose devices the window's engine uses too (`desktop_app.engine.workers.read_workers`)."""
    model: str = ""
    """The model used last, as `desktop_app.library.installed` identifies it; "": none was chosen yet."""
    embedder: str = ""
    """The model that makes documents' vectors, identified as `model` is; "": the one that comes along."""
    reranker: str = ""
    """The model that puts passages in order, identified as `model` is; "": none."""
    context: int = 0
    """Tokens that a chat may hold; 0: the planner chooses."""
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    seed: int = -1
    """-1: another one each time."""
    max_tokens: int = 0
    """The longest reply; 0: until the model ends or the context is full."""
    system_prompt: str = ""
    thinking: bool | None = None
    """Whether replies of a new chat begin with reasoning: what was chosen last; None: as the model does by itself."""
    effort: str = ""
    """How long replies of a new chat think: what was chosen last; "": as the model does by itself."""
    server_port: int = 8484
    """Of the local server, where the window's switch starts it."""
    server_network: bool = False
    """The local server answers other computers too."""
    shortcuts: dict[str, str] = field(default_factory=dict)
    """Keys that the user chose for actions (`desktop_app.ui.shortcuts`); "": none."""
    geometry: str = ""
    """The window's place, as Qt saves it, in hexadecimal digits."""
    sidebar: bool = True
    welcomed: bool = False
    """A first model was chosen, or a chat begun without one: what is offered to newcomers is not shown any more."""
    download_rate: float = 0.0
    """Bytes a second of the last download; 0: there was none."""


def is_sampled(name: Any, value: Any) -> bool:
    """Tell whether a value is good for a name of `SAMPLED`."""
    if name not in SAMPLED or type(value) not in (int, float):
        return False
    low, high = RANGES[name]
    return low <= value <= high and (name not in ("top_k", "seed", "max_tokens") or type(value) is int)


def load_settings(path: Path) -> Settings:
    """Read the file; what is missing, unreadable or out of range has its default."""
    return _file(path).read()


def save_settings(settings: Settings, path: Path) -> None:
    """Write the file whole or not at all.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    _file(path).write(settings)


def _file(path: Path) -> SmallFile[Settings]:
    return SmallFile(path, Settings, _parsed, asdict)


def _parsed(stored: Any) -> Parsed[Settings]:
    if not isinstance(stored, dict):
        raise TypeError(stored)
    settings, is_complete = Settings(), True
    for entry in (entry for entry in fields(Settings) if entry.name in stored):
        value, default = stored[entry.name], getattr(settings, entry.name)
        if not _is_good(entry.name, value, default):
            is_complete = False
        elif value is not None:
            setattr(settings, entry.name, _KINDS.get(entry.name, type(default))(value))
    return Parsed(settings, is_complete)


def _is_good(name: str, value: Any, default: Any) -> bool:
    if value is None:
        return default is None
    if name == "thinking" or isinstance(default, bool):
        return isinstance(value, bool)
    if name in RANGES:
        return _is_in_range(name, value)
    if name in _CHOICES:
        return value in _CHOICES[name]
    if isinstance(default, dict):
        return isinstance(value, dict) and all(map(_is_text, value.values()))
    return isinstance(value, str) and (name in ("model", "embedder", "reranker") or _is_text(value))


def _is_in_range(name: str, value: Any) -> bool:
    low, high = RANGES[name]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and (low <= value <= high or (name == "context" and value == 0))


def _is_text(value: Any) -> bool:
    """Tell texts from lone surrogates too, which no other process can be sent."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)
