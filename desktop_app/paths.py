"""Where Zhiyin keeps its files."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def data_folder() -> Path:
    """Return the folder of all data, made if needed: `ZHIYIN_HOME`, or the system's place for application data."""
    named = os.environ.get("ZHIYIN_HOME")
    folder = Path(named).expanduser() if named else Path(platformdirs.user_data_dir("Zhiyin", appauthor=False))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def models_folder() -> Path:
    """Return the folder of installed models, made if needed."""
    folder = data_folder() / "models"
    folder.mkdir(exist_ok=True)
    return folder


def downloads_folder() -> Path:
    """Return the folder of what was fetched from the Hub, made if needed."""
    folder = data_folder() / "downloads"
    folder.mkdir(exist_ok=True)
    return folder


def database_file() -> Path:
    """Return the SQLite file of the chats."""
    return data_folder() / "chats.sqlite3"


def settings_file() -> Path:
    """Return the file of the settings."""
    return data_folder() / "settings.json"


def speed_file() -> Path:
    """Return the file of what `desktop_app.bandwidth` measured."""
    return data_folder() / "speed.json"


def loads_file() -> Path:
    """Return the file of what loads took."""
    return data_folder() / "loads.json"


def log_file(name: str) -> Path:
    """Return a log file's path, its folder made if needed."""
    folder = data_folder() / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.log"
