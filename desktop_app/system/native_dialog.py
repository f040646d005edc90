"""A message on the screen where Qt cannot start: by whichever small tool for dialogs the desktop brings."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import textwrap
from contextlib import suppress

_TITLE = "Zhiyin 知音"
_WIDTH = 72
_TOOLS = {
    "zenity": ("--error", "--no-markup", "--width=520", f"--title={_TITLE}", "--text={text}"),
    "kdialog": (f"--title={_TITLE}", "--error", "{text}"),
    "xmessage": ("-center", "{text}"),
    "notify-send": ("--urgency=critical", _TITLE, "{text}"),
}


def started_by_double_click() -> bool:
    """Tell whether nobody sees this process's text: a desktop gives its programs no terminal and nothing to read."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return _reads_nothing() and not (sys.stderr is not None and sys.stderr.isatty())


def show_message(text: str) -> bool:
    """Show a text and wait until it is closed; return whether a tool could show it."""
    for tool, arguments in _TOOLS.items():
        path = shutil.which(tool)
        if path is None:
            continue
        with suppress(OSError):
            shown = _plain(text) if tool == "xmessage" else text
            words = [argument.format(text=shown) for argument in arguments]
            if subprocess.run(
                [path, *words], check=False, stdin=subprocess.DEVNULL, capture_output=True
            ).returncode in (0, 1):
                return True
    return False


def _plain(text: str) -> str:
    """Return a text for X's oldest dialog, which breaks no lines and has no Chinese: the paragraphs in English, broken."""
    return "\n\n".join(textwrap.fill(part, _WIDTH) for part in text.split("\n\n") if part.isascii())


def _reads_nothing() -> bool:
    """Tell whether standard input is closed or the null device."""
    try:
        status = os.fstat(0)
        return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.stat(os.devnull).st_rdev  # noqa: PTH116 - a device
    except OSError:
        return True
