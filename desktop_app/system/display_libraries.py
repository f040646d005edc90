"""The system's libraries that window and engine stand on, on Linux: all that are missing at once, and what installs them."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class _Packages(NamedTuple):
    """The package that holds a library, by distribution."""

    debian: str
    fedora: str
    arch: str


_COMMON = {
    "libEGL.so.1": _Packages("libegl1", "libglvnd-egl", "libglvnd"),
    "libGL.so.1": _Packages("libgl1", "libglvnd-glx", "libglvnd"),
    "libfontconfig.so.1": _Packages("libfontconfig1", "fontconfig", "fontconfig"),
    "libfreetype.so.6": _Packages("libfreetype6", "freetype", "freetype2"),
    "libdbus-1.so.3": _Packages("libdbus-1-3", "dbus-libs", "dbus"),
    "libglib-2.0.so.0": _Packages("libglib2.0-0", "glib2", "glib2"),
    "libxkbcommon.so.0": _Packages("libxkbcommon0", "libxkbcommon", "libxkbcommon"),
    "libstdc++.so.6": _Packages("libstdc++6", "libstdc++", "gcc-libs"),
    "libgomp.so.1": _Packages("libgomp1", "libgomp", "gcc-libs"),  # llama.cpp's
}
_X11 = {
    "libX11.so.6": _Packages("libx11-6", "libX11", "libx11"),
    "libX11-xcb.so.1": _Packages("libx11-xcb1", "libX11-xcb", "libx11"),
    "libxcb.so.1": _Packages("libxcb1", "libxcb", "libxcb"),
    "libxkbcommon-x11.so.0": _Packages("libxkbcommon-x11-0", "libxkbcommon-x11", "libxkbcommon-x11"),
    "libxcb-cursor.so.0": _Packages("libxcb-cursor0", "xcb-util-cursor", "xcb-util-cursor"),
    "libxcb-icccm.so.4": _Packages("libxcb-icccm4", "xcb-util-wm", "xcb-util-wm"),
    "libxcb-image.so.0": _Packages("libxcb-image0", "xcb-util-image", "xcb-util-image"),
    "libxcb-keysyms.so.1": _Packages("libxcb-keysyms1", "xcb-util-keysyms", "xcb-util-keysyms"),
    "libxcb-render-util.so.0": _Packages("libxcb-render-util0", "xcb-util-renderutil", "xcb-util-renderutil"),
    **{
        f"libxcb-{name}.so.{number}": _Packages(f"libxcb-{name}{number}", "libxcb", "libxcb")
        for name, number in (
            ("randr", 0),
            ("render", 0),
            ("shape", 0),
            ("shm", 0),
            ("sync", 1),
            ("xfixes", 0),
            ("xkb", 1),
        )
    },
}
_WAYLAND = {
    "libwayland-client.so.0": _Packages("libwayland-client0", "libwayland-client", "wayland"),
    "libwayland-cursor.so.0": _Packages("libwayland-cursor0", "libwayland-cursor", "wayland"),
    "libwayland-egl.so.1": _Packages("libwayland-egl1", "libwayland-egl", "wayland"),
}
_INSTALL = {"debian": "sudo apt install", "fedora": "sudo dnf install", "arch": "sudo pacman -S"}
_RELATED = {"ubuntu": "debian", "rhel": "fedora", "centos": "fedora"}
"""Distributions whose packages have the names of another one, where os-release does not say so in ID_LIKE."""


def missing_libraries() -> list[str]:
    """Return the names of all libraries that Qt and llama.cpp would not find, those for X11 or Wayland as this session has it."""
    display: dict[str, _Packages] = {}
    if os.environ.get("WAYLAND_DISPLAY"):
        display = _WAYLAND
    elif os.environ.get("DISPLAY"):
        display = _X11
    return [name for name in _COMMON | display if not _loads(name)]


def how_to_install(libraries: Sequence[str], distribution: str | None = None) -> str:
    """Return the command that installs the libraries here; "" where the names of this system's packages are not known.

    Args:
        libraries: of `missing_libraries`.
        distribution: debian, fedora or arch; None: this one.
    """
    system = _distribution() if distribution is None else distribution
    known = _COMMON | _X11 | _WAYLAND
    if system not in _INSTALL or not libraries:
        return ""
    packages = dict.fromkeys(getattr(known[name], system) for name in libraries)
    return f"{_INSTALL[system]} {' '.join(packages)}"


def _distribution() -> str:
    try:
        facts = platform.freedesktop_os_release()
    except OSError:
        return ""
    return _known((facts.get("ID", ""), *facts.get("ID_LIKE", "").split()))


def _known(names: Iterable[str]) -> str:
    """Return the first of a distribution's names whose packages are known here; "": none."""
    return next((name for name in (_RELATED.get(name, name) for name in names) if name in _INSTALL), "")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
