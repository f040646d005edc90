"""Runs the command `zhiyin` as a user runs it: a real process, its output and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


def without_display() -> dict[str, str]:
    """Return the environment of a computer without one."""
    return {key: value for key, value in os.environ.items() if key not in _DISPLAYS}


def zhiyin(
    *arguments: str, stdin: str = "", timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it without a display and wait for its end, so many seconds at most."""
    return subprocess.run(
        [sys.executable, "-m", "desktop_app.cli", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=without_display() | environment,
        cwd=Path(__file__).parents[2],
        check=False,
        timeout=timeout,
    )
