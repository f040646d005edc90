"""Names of the application's own tools."""

from __future__ import annotations

CALCULATOR, CLOCK, PYTHON, FILES, WRITE = "calculator", "time", "python", "files", "write"
NAMES = (CALCULATOR, CLOCK, PYTHON, FILES, WRITE)
"""What `--tools` takes; `files=FOLDER` may be repeated."""
