"""Draws the application's icon in the sizes and formats that systems want, from resources/icons/zhiyin.svg, with Qt.

python packaging/icons.py FOLDER      # zhiyin.ico, zhiyin.icns, zhiyin.svg and PNG files named by their size
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

SOURCE = Path(__file__).parents[1] / "resources" / "icons" / "zhiyin.svg"
SIZES = (16, 24, 32, 48, 64, 128, 256, 512)
LARGEST = {"ico": 256, "icns": 512}
"""One picture each: Qt writes no more into a file, and both systems scale it."""


def drawn(size: int) -> QImage:
    """Return the icon, `size` pixels wide."""
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(SOURCE)).render(painter)
    painter.end()
    return image


def main() -> None:
    """Write all files."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    application = QGuiApplication([])
    for size in SIZES:
        save(drawn(size), folder / f"{size}.png")
    for suffix, size in LARGEST.items():
        save(drawn(size), folder / f"zhiyin.{suffix}")
    shutil.copyfile(SOURCE, folder / "zhiyin.svg")
    application.quit()


def save(image: QImage, path: Path) -> None:
    """Write one picture, or end."""
    if not image.save(str(path)):
        raise SystemExit(f"{path} cannot be written")


if __name__ == "__main__":
    main()
