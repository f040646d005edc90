"""Whether a window can open here. Qt must not be asked: where it finds no display it ends the whole process."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
from pathlib import Path

from desktop_app.system.display_libraries import how_to_install, missing_libraries


def why_no_window() -> str | None:
    """Return why no window can open, as a part of a sentence, or None."""
    if platform.system() != "Linux" or os.environ.get("QT_QPA_PLATFORM"):
        return None
    if os.environ.get("WAYLAND_DISPLAY"):
        return None
    display = os.environ.get("DISPLAY")
    if not display:
        return "there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    plugin = _x11_plugin()
    if plugin is None:
        return None
    return _missing_library(plugin) or _silent_display(display)


def missing_package(error: Exception) -> str:
    """Return the sentence's part for libraries that the system lacks: all of them, and the command that installs them."""
    missing = missing_libraries()
    if not missing:
        return f"Qt cannot start ({error})"
    command = how_to_install(missing)
    lacking = f"Qt cannot start: this system lacks {', '.join(missing)}"
    return f"{lacking} ({command})" if command else lacking


def _x11_plugin() -> Path | None:
    spec = importlib.util.find_spec("PySide6")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    paths = [Path(folder, "Qt", "plugins", "platforms", "libqxcb.so") for folder in folders]
    return next((path for path in paths if path.is_file()), None)


def _missing_library(plugin: Path) -> str | None:
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        return missing_package(error)
    return None


def _silent_display(display: str) -> str | None:
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError as error:
        return missing_package(error)
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    broken = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return f"the display {display} does not answer" if broken else None
