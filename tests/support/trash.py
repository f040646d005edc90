"""The bin of the tests: a folder of each test's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


def use_bin(share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a bin below a folder, in this process and in those that it starts."""
    monkeypatch.setenv("XDG_DATA_HOME", str(share))
    if (loaded := sys.modules.get("send2trash.plat_other")) is not None:  # it read the variable once
        for name, path in (("XDG_DATA_HOME", share), ("HOMETRASH_B", share / "Trash"), ("HOMETRASH", share / "Trash")):
            kind = type(getattr(loaded, name))
            monkeypatch.setattr(loaded, name, os.fsencode(path) if kind is bytes else str(path))


def in_bin() -> set[str]:
    """Return the names of the files in it; where the test's bin is not the one that is used, skip."""
    share = Path(os.environ["XDG_DATA_HOME"])
    if sys.platform != "linux" or Path.home().stat().st_dev != share.parent.stat().st_dev:
        pytest.skip("the system's own bin is not looked into")
    return {path.name for path in (share / "Trash" / "files").glob("*")}


def no_bin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system have no bin that may be written."""
    import send2trash

    def refuse(path: Path) -> None:
        raise send2trash.TrashPermissionError(str(path))

    monkeypatch.setattr(send2trash, "send2trash", refuse)
