"""Which files of the computer a model's Python may read: its own and its libraries', nothing of the user's."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

INSIDE = 0
"""Stands for the parent's id where what started the process has confined it and will end it."""
_PLACES = (
    "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/usr/share/zoneinfo", "/usr/share/fonts",
    "/etc/fonts", "/etc/localtime", "/dev/urandom", "/dev/random", "/dev/zero", "/proc/cpuinfo", "/proc/meminfo",
    "/sys/devices/system/cpu",
)  # fmt: skip
"""What libraries read of a Linux system."""


def libraries() -> list[Path]:
    """Return where Python and its libraries are on Linux."""
    if getattr(sys, "frozen", False):
        # The modules are inside the program's own file.
        return [Path(sys._MEIPASS), Path(sys.executable), *map(Path, _PLACES)]  # type: ignore[attr-defined]
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return [*map(Path, sorted(path for path in paths if path)), Path(sys.base_prefix, "lib"), *map(Path, _PLACES)]


def own_places() -> list[Path]:
    """Return where this program is, with its Python and libraries."""
    if getattr(sys, "frozen", False):
        folder = Path(sys.executable).resolve().parent
        # An application of macOS has programs, libraries and data side by side, with links between them.
        return [folder.parent if folder.name == "MacOS" else folder, Path(sys._MEIPASS)]  # type: ignore[attr-defined]
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    own = (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[3])
    return list(dict.fromkeys([*own, *map(Path, sorted(path for path in paths if path))]))


def program_places() -> list[Path]:
    """Return what is needed to start this program on Linux in a place where nothing else is."""
    return [*own_places(), *libraries()]
