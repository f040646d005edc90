"""The application's fonts: the system's own, and one that certainly has Chinese in every weight."""

from __future__ import annotations

from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QApplication

_CHINESE = (
    "PingFang SC",
    "Microsoft YaHei UI",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Noto Sans SC",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
)


def use_fonts(application: QApplication) -> None:
    """Name a Chinese font after the system's: left to itself, Qt may choose a bold one or Japanese forms."""
    font = application.font()
    installed = set(QFontDatabase.families())
    chinese = next((family for family in _CHINESE if family in installed), None)
    if chinese is not None and chinese not in font.families():
        font.setFamilies([*font.families(), chinese])
        application.setFont(font)
