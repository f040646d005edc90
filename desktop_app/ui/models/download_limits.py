"""Limits of download speed: the choices, and their labels."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QCoreApplication

from desktop_app.ui.i18n.formats import number

_LIMITS = (0, 2, 5, 10, 20, 50, 100, 200)
"""Megabits a second."""


def limits(chosen: int) -> list[int]:
    """Return what is offered, the one that is chosen included."""
    return sorted({*_LIMITS, chosen})


def limit_words(offered: Iterable[int]) -> list[str]:
    """Return what each limit is called."""
    each = QCoreApplication.translate("Limits", "{count} Mbit/s at most")
    none = QCoreApplication.translate("Limits", "No limit")
    return [each.format(count=number(limit, 0)) if limit else none for limit in offered]
