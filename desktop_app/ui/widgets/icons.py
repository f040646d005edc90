"""The application's own icons, drawn from SVG in the colour that is asked for."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QByteArray, QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QToolButton, QWidget

import resources
from desktop_app.ui.i18n.formats import with_keys
from desktop_app.ui.widgets import theme

PADDING = 6
"""Around a button's icon. Texts above a row of buttons stand in by this much, so that its icons are in line with them."""
_SCALES = (1.0, 1.25, 1.5, 2.0, 3.0)
_RESTYLED = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange)


_drawn_so_far: set[tuple[str, str, int]] = set()
"""Name, the colour's name in the theme, and size of the icons of buttons."""


def draw_icons(colours: theme.Theme) -> None:
    """Draw the icons of buttons in the colours of a theme, which takes longer than to show them."""
    for name, colour, size in _drawn_so_far:
        icon(name, getattr(colours, colour), size)


def resource_path(*names: str) -> str:
    """Return the path of a file in resources/, for the parts of Qt that read files themselves."""
    return str(resources.FOLDER.joinpath(*names))


@cache
def icon(name: str, colour: str, size: int = 18) -> QIcon:
    """Return resources/icons/<name>.svg in a colour, sharp at every scale of the screen."""
    source = (resources.FOLDER / "icons" / f"{name}.svg").read_text("utf-8")
    renderer = QSvgRenderer(QByteArray(source.replace("currentColor", colour).encode()))
    result = QIcon()
    for scale in _SCALES:
        pixmap = QPixmap(QSize(round(size * scale), round(size * scale)))
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter, QRectF(pixmap.rect()))
        painter.end()
        pixmap.setDevicePixelRatio(scale)
        result.addPixmap(pixmap)
    return result


class IconButton(QToolButton):
    """A button with an icon that follows the theme, a name for screen readers and a tip."""

    def __init__(self, name: str, parent: QWidget | None = None, *, colour: str = "muted", size: int = 18) -> None:
        """`colour` names the icon's colour in the theme."""
        super().__init__(parent)
        self._icon, self._colour, self._size = name, colour, size
        self._drawn: tuple[str, str] | None = None
        self.setIconSize(QSize(size, size))
        self.setFixedSize(size + 2 * PADDING, size + 2 * PADDING)
        self.setAutoRaise(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._draw()

    def set_icon(self, name: str, colour: str | None = None) -> None:
        """Show another icon, in another colour of the theme if one is named."""
        self._icon = name
        self._colour = colour or self._colour
        self._draw()

    def set_words(self, text: str, shortcut: str = "") -> None:
        """Set what screen readers say and what the tip shows."""
        self.setAccessibleName(text)
        self.setToolTip(with_keys(text, shortcut))

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Draw the icon in the new theme's colour."""
        super().changeEvent(event)
        if event.type() in _RESTYLED:
            self._draw()

    def _draw(self) -> None:
        wanted = (self._icon, getattr(theme.current(), self._colour))
        if wanted != self._drawn:  # the events come many times for one change
            self._drawn = wanted
            _drawn_so_far.add((self._icon, self._colour, self._size))
            self.setIcon(icon(*wanted, self._size))
