"""Chinese is drawn in the same weight on dark as on light."""

from __future__ import annotations

import sys

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFontDatabase, QImage, QPainter
from PySide6.QtWidgets import QApplication


def ink(text: str, application: QApplication, colour: str, behind: str) -> float:
    """Return how much of a picture is covered by a text, whatever its colours."""
    picture = QImage(220, 40, QImage.Format.Format_RGB32)
    picture.fill(QColor(behind))
    painter = QPainter(picture)
    painter.setFont(application.font())
    painter.setPen(QColor(colour))
    painter.drawText(picture.rect(), Qt.AlignmentFlag.AlignCenter, text)
    painter.end()
    start = QColor(behind).red()
    return sum(
        abs(picture.pixelColor(x, y).red() - start) for x in range(picture.width()) for y in range(picture.height())
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems draw text themselves")
def test_chinese_is_as_heavy_on_dark_as_on_light(application: QApplication) -> None:
    if not any("CJK" in family for family in QFontDatabase.families()):
        pytest.skip("no font with PostScript outlines is installed")
    for text in ("新对话设置语言", "New chat"):
        on_light, on_dark = ink(text, application, "black", "white"), ink(text, application, "white", "black")
        assert on_dark == pytest.approx(on_light, rel=0.03), text
