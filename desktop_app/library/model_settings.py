"""Settings of one model's own: its context, threads, instructions and sampling, in one small file for all models.

What is set for a chat comes first, then these, then the settings of the window, then what the publisher recommends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import reduce
from typing import Any

from desktop_app.library.installed_model import ModelSettings
from desktop_app.paths import model_settings_file
from desktop_app.settings import RANGES, is_sampled
from desktop_app.small_files import Parsed, SmallFile
from models.system_errors import cannot_write

MOST_THREADS = 512
"""As `desktop_app.engine.protocol` allows, which a start of the window does without."""


def all_model_settings() -> dict[str, ModelSettings]:
    """Return the settings of every model that has some, by its identifier."""
    return _file().read()


def store_model_settings(identifier: str, settings: ModelSettings) -> None:
    """Write a model's settings; those that say nothing are left out.

    Raises:
        ZhiyinError: the file cannot be written.
    """

    def change(stored: dict[str, ModelSettings]) -> dict[str, ModelSettings]:
        others = {name: kept for name, kept in stored.items() if name != identifier}
        return others if settings == ModelSettings() else others | {identifier: settings}

    try:
        _file().change(change)
    except OSError as error:
        raise cannot_write(model_settings_file(), error) from error


def follow_renames(targets: Mapping[str, str]) -> None:
    """Let renamed or moved models keep their settings, and be known by their former identifiers.

    Args:
        targets: the new identifier of each former one.

    Raises:
        OSError: the file cannot be written.
    """
    if targets:
        _file().change(lambda stored: reduce(_renamed, targets.items(), stored))


def _renamed(stored: dict[str, ModelSettings], names: tuple[str, str]) -> dict[str, ModelSettings]:
    identifier, target = names
    if identifier in stored.get(target, ModelSettings()).former:
        return stored  # it was done before
    # A name that is given again belongs to the new model alone.
    others = {
        name: replace(kept, former=tuple(old for old in kept.former if old not in names))
        for name, kept in stored.items()
        if name not in names
    }
    own = stored.get(identifier, ModelSettings())
    former = (*(old for old in own.former if old not in names), identifier)
    return others | {target: replace(own, former=former)}


def forget_model(identifier: str) -> None:
    """Leave nothing behind of a model that was removed.

    Raises:
        ZhiyinError: the file cannot be written.
    """
    if identifier in all_model_settings():
        store_model_settings(identifier, ModelSettings())


def _file() -> SmallFile[dict[str, ModelSettings]]:
    return SmallFile(model_settings_file(), dict, _parsed, _dumped)


def _dumped(settings: Mapping[str, ModelSettings]) -> Any:
    empty = asdict(ModelSettings())
    return {
        name: {key: value for key, value in asdict(own).items() if value != empty[key]}
        for name, own in settings.items()
    }


def _parsed(stored: Any) -> Parsed[dict[str, ModelSettings]]:
    entries = {name: _one(entry) for name, entry in stored.items()}
    return Parsed({name: own for name, own in entries.items() if own is not None}, None not in entries.values())


def _one(entry: Any) -> ModelSettings | None:
    """Return a model's settings; None: its entry is damaged."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("former", ()), (list, tuple)):
        return None
    own = ModelSettings(
        entry.get("context"),
        entry.get("threads", 0),
        entry.get("instructions"),
        entry.get("sampling", {}),
        entry.get("name", ""),
        tuple(entry.get("former", ())),
    )
    low, high = RANGES["context"]
    good = (
        (own.context is None or (type(own.context) is int and (own.context == 0 or low <= own.context <= high)))
        and type(own.threads) is int
        and 0 <= own.threads <= MOST_THREADS
        and (own.instructions is None or isinstance(own.instructions, str))
        and isinstance(own.sampling, Mapping)
        and all(is_sampled(name, value) for name, value in own.sampling.items())
        and isinstance(own.name, str)
        and all(isinstance(name, str) for name in own.former)
    )
    return own if good else None
