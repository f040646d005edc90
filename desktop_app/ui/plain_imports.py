"""Python's own import in place of PySide6's, which reads the source of every module to see whether it names PySide6.

It does so for `from __feature__ import …` (snake_case names), which nothing here uses; the reading takes a tenth of the start.
"""

from __future__ import annotations

import builtins

import PySide6.QtCore  # noqa: F401  (puts its import there)


def use_plain_imports() -> None:
    """Import without reading sources from now on."""
    builtins.__import__ = getattr(builtins, "__orig_import__", builtins.__import__)
