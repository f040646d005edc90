"""The application's fonts: the system's own, and one that certainly has Chinese in every weight."""

from __future__ import annotations

from PySide6.QtGui import QFont, QFontDatabase, QFontInfo
from PySide6.QtWidgets import QApplication

_SIMPLIFIED = (
    "PingFang SC",
    "Microsoft YaHei UI",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Noto Sans SC",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
)
_TRADITIONAL = (
    "PingFang TC",
    "Microsoft JhengHei UI",
    "Microsoft JhengHei",
    "Noto Sans CJK TC",
    "Source Han Sans TC",
    "Noto Sans TC",
)
_POINTS, _SAME = "systemPoints", 0.01


def use_fonts(application: QApplication, language: str = "") -> None:
    """Name a Chinese font after the system's: left to itself, Qt may choose a bold one or Japanese forms."""
    font, installed = QFont(application.font()), set(QFontDatabase.families())
    wanted = (*_TRADITIONAL, *_SIMPLIFIED) if language == "zh_TW" else _SIMPLIFIED
    chinese = next((family for family in wanted if family in installed), None)
    own = font.families()[0] if len(font.families()) > 1 else _real_family(font)
    if chinese is not None and font.families() != [own, chinese]:
        font.setFamilies([own, chinese])
        application.setFont(font)


def scale_font(application: QApplication, percent: int) -> None:
    """Make all texts as large as a share of the system's font."""
    font = QFont(application.font())
    wanted = _system_points(application) * percent / 100
    if abs(font.pointSizeF() - wanted) > _SAME:
        font.setPointSizeF(wanted)
        application.setFont(font)


def _system_points(application: QApplication) -> float:
    """Return the size of the system's font: the application's before it was scaled for the first time."""
    known = application.property(_POINTS)
    if known is None:
        known = QFontInfo(application.font()).pointSizeF()
        application.setProperty(_POINTS, known)
    return float(known)


def monospace_families() -> list[str]:
    """Return the fixed-width font first, then the window's own for what it lacks (Chinese)."""
    return [_real_family(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)), *QFont().families()]


def _real_family(font: QFont) -> str:
    """Return the font that the system uses for a name such as "Sans Serif": in a list of families Qt skips such names."""
    return QFontInfo(font).family()
