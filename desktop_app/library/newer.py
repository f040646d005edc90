"""Which models their hosts have published anew: asked by `zhiyin models newer`, and by the window itself once a day if it may."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from converter.hub.manifest import read_manifest
from converter.hub.request import Newer
from desktop_app.library.hub_tokens import token_at
from desktop_app.paths import downloads_folder, newer_file
from desktop_app.processes.worker import Tell
from desktop_app.small_files import Parsed, SmallFile
from models.errors import ZhiyinError

_DAY = 24 * 3600.0


@dataclass(frozen=True)
class Looked:
    """What the hosts said when they were asked last."""

    when: float = 0.0
    """Seconds since 1970; 0: never."""
    newer: dict[str, Newer] = field(default_factory=dict)
    """By the name of the download's folder."""


def is_due() -> bool:
    """Tell whether the last look is a day old, or said to be in the future."""
    return not 0 <= time.time() - _file().read().when < _DAY


def newer_commit(folder: Path) -> str:
    """Return the state in which a download's repository is published now; "": the one that is here, or nobody looked."""
    newer = _file().read().newer.get(folder.name)
    return "" if newer is None or newer.commit == read_manifest(folder).get("commit") else newer.commit


def look(failed: Callable[[str, ZhiyinError], None], cancelled: Callable[[], bool] = lambda: False) -> dict[str, Newer]:
    """Ask the host of each download, and keep and return what is published anew, by the names of the downloads' folders.

    Args:
        failed: hears of a folder whose host gives no answer; what was known of it stays.
        cancelled: asked before each download; True ends it, and nothing is kept.

    Raises:
        Offline: no connection is wanted.
        OSError: what was found cannot be kept.
    """
    from converter.hub.connection import (
        refuse_offline,
    )  # with the library for connections, which the window does not load
    from converter.hub.published import look_for_newer

    refuse_offline()
    known, published = _file().read().newer, {}
    for folder in sorted(downloads_folder().glob("*")):
        if cancelled():
            return {}
        try:
            newer = look_for_newer(folder, token_at)
        except ZhiyinError as error:
            failed(folder.name, error)
            newer = known.get(folder.name)
        if newer is not None:
            published[folder.name] = newer
    _file().write(Looked(time.time(), published))
    return published


def look_and_tell(tell: Tell, cancelled: Callable[[], bool]) -> bool:
    """`look` as a `worker.Work`, which tells of the errors; return whether something is published anew."""
    return bool(look(lambda folder, error: tell(error), cancelled))


def _file() -> SmallFile[Looked]:
    return SmallFile(newer_file(), Looked, _parsed, msgspec.to_builtins)


def _parsed(stored: Any) -> Parsed[Looked]:
    return Parsed(msgspec.convert(stored, Looked), True)
