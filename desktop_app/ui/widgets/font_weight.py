"""Chinese text in the same weight on dark as on light, where Qt draws with FreeType.

Qt thickens fonts with PostScript outlines (Noto and Source Han are such) and blends them with a gamma, which makes them look bold
when they are lighter than what is behind them. Without the thickening it blends them like all other fonts.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_DRIVER, _PROPERTY = b"cff", b"no-stem-darkening"


def use_one_weight() -> bool:
    """Ask FreeType for it, before the first text is drawn; False: there is no FreeType, or it cannot be asked."""
    if not sys.platform.startswith("linux"):
        return False
    with suppress(OSError, AttributeError):
        gui, freetype = ctypes.CDLL(_loaded("libQt6Gui")), ctypes.CDLL(_loaded("libfreetype"))
        library = gui._Z14qt_getFreetypev  # Qt's own instance of FreeType, of this thread
        library.restype = ctypes.c_void_p
        wanted = ctypes.c_ubyte(1)
        arguments = (ctypes.c_void_p(library()), _DRIVER, _PROPERTY, ctypes.byref(wanted))
        return bool(freetype.FT_Property_Set(*arguments) == 0)
    return False


def _loaded(name: str) -> str:
    """Return the file of a library that this process has loaded already.

    Raises:
        OSError: it has not.
    """
    with open("/proc/self/maps", encoding="utf-8") as maps:  # noqa: PTH123
        for line in maps:
            path = line.split(maxsplit=5)[-1].strip()
            if path.rpartition("/")[2].startswith(name):
                return path
    raise OSError(name)
