"""Colours, light and dark: named tokens, the Qt palette and the style sheet made from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

import resources
from desktop_app.ui.widgets import look
from desktop_app.ui.widgets.fonts import scale_font
from desktop_app.ui.widgets.look import Look

if TYPE_CHECKING:
    from desktop_app.ui.widgets.sheet_change import SheetChange


@dataclass(frozen=True)
class Theme:
    """One set of colours, each `#rrggbb`."""

    dark: bool
    window: str
    sidebar: str
    surface: str
    """Cards, menus, the input box."""
    text: str
    muted: str
    """Secondary text."""
    border: str
    control: str
    """The edge of an input, which must be seen."""
    hover: str
    selected: str
    accent: str
    accent_hover: str
    on_accent: str
    bubble: str
    """Behind the user's own messages."""
    code: str
    """Behind code."""
    link: str
    match: str
    """Behind words that were searched for."""
    found_now: str
    """Behind the place that is shown of them."""
    on_found_now: str
    danger: str
    warning: str
    on_warning: str
    code_keyword: str
    code_string: str
    code_number: str
    code_comment: str
    code_name: str


LIGHT = Theme(
    dark=False,
    window="#fbfbf9",
    sidebar="#f1f1ee",
    surface="#ffffff",
    text="#1c1f22",
    muted="#5b6167",
    border="#dedfda",
    control="#85898c",
    hover="#e7e8e3",
    selected="#dce7e3",
    accent="#1f6f64",
    accent_hover="#185a51",
    on_accent="#ffffff",
    bubble="#e3efeb",
    code="#f3f4f1",
    link="#14655a",
    match="#fff0b3",
    found_now="#ffc14d",
    on_found_now="#1c1f22",
    danger="#b3261e",
    warning="#fff3d6",
    on_warning="#5f4300",
    code_keyword="#8a2a8f",
    code_string="#1a6b36",
    code_number="#9a4a00",
    code_comment="#656b70",
    code_name="#1c5aa8",
)

DARK = Theme(
    dark=True,
    window="#1c1d1f",
    sidebar="#161718",
    surface="#26282b",
    text="#e9e9e6",
    muted="#a6abb0",
    border="#3a3d41",
    control="#7b8085",
    hover="#2e3134",
    selected="#27403a",
    accent="#5cc2b0",
    accent_hover="#7bd3c4",
    on_accent="#05221d",
    bubble="#263d38",
    code="#131415",
    link="#6fcdbd",
    match="#4d421a",
    found_now="#e0a83a",
    on_found_now="#1c1d1f",
    danger="#ff8f85",
    warning="#3b3118",
    on_warning="#f2d491",
    code_keyword="#d79be0",
    code_string="#93cf9f",
    code_number="#eab27a",
    code_comment="#9aa0a5",
    code_name="#8fbdf0",
)

_PALETTE = {
    QPalette.ColorRole.Window: "window",
    QPalette.ColorRole.WindowText: "text",
    QPalette.ColorRole.Base: "surface",
    QPalette.ColorRole.AlternateBase: "sidebar",
    QPalette.ColorRole.Text: "text",
    QPalette.ColorRole.PlaceholderText: "muted",
    QPalette.ColorRole.Button: "surface",
    QPalette.ColorRole.ButtonText: "text",
    QPalette.ColorRole.BrightText: "danger",
    QPalette.ColorRole.Highlight: "accent",
    QPalette.ColorRole.HighlightedText: "on_accent",
    QPalette.ColorRole.Link: "link",
    QPalette.ColorRole.LinkVisited: "link",
    QPalette.ColorRole.ToolTipBase: "surface",
    QPalette.ColorRole.ToolTipText: "text",
    QPalette.ColorRole.Mid: "border",
    QPalette.ColorRole.Accent: "accent",
}

_LOOK_MS = 10

_SCHEMES = {
    "system": Qt.ColorScheme.Unknown,
    "light": Qt.ColorScheme.Light,
    "dark": Qt.ColorScheme.Dark,
}


class ThemeKeeper(QObject):
    """Applies the chosen theme and follows the system's while the choice is "system"."""

    changing = Signal()
    """Another theme comes in the next turn: what is costly to draw again may be taken away before."""
    coming = Signal(Theme)
    """The same, a turn later: what is drawn with these colours may be drawn before."""
    changed = Signal()

    def __init__(self, application: QApplication, parent: QObject) -> None:
        """Look after the application's colours."""
        super().__init__(parent)
        self._application = application
        self._mode = "system"
        self._theme: Theme | None = None
        self._look = Look()
        self._used: tuple[Theme, Look] | None = None
        self._sheet: SheetChange | None = None
        self._is_busy: Callable[[], bool] = lambda: False
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._apply)

    @property
    def theme(self) -> Theme:
        """The colours in use."""
        return self._theme or LIGHT

    def choose(self, mode: str) -> None:
        """Use "system", "light" or "dark"."""
        self._mode = mode
        QGuiApplication.styleHints().setColorScheme(_SCHEMES[mode])
        self._apply()

    def choose_look(self, chosen: Look) -> None:
        """Use a text size and a density."""
        if chosen != self._look:
            self._look = chosen
            if self._theme is not None:
                self._begin()

    def _apply(self) -> None:
        scheme = QGuiApplication.styleHints().colorScheme()
        dark = self._mode == "dark" or (self._mode == "system" and scheme == Qt.ColorScheme.Dark)
        theme = DARK if dark else LIGHT
        if theme is self._theme:
            return
        self._theme = theme
        self._begin()

    def _begin(self) -> None:
        if self._used is None:
            self._use_theme()
        else:
            self.changing.emit()
            QTimer.singleShot(0, self, self._prepare)

    def wait_while(self, is_busy: Callable[[], bool]) -> None:
        """Let a change begin only when what is taken away for it is gone."""
        self._is_busy = is_busy

    def _prepare(self) -> None:
        self.coming.emit(self.theme)
        QTimer.singleShot(0, self, self._change)

    def _change(self) -> None:
        if self._is_busy():
            QTimer.singleShot(_LOOK_MS, self, self._change)
        elif (self.theme, self._look) == self._used:
            self.changed.emit()  # it changed and changed back: what was taken away may come again
        else:
            from desktop_app.ui.widgets.sheet_change import SheetChange

            self._sheet = self._sheet or SheetChange(self._application, self)
            self._sheet.begin(self._use_theme, self.changed.emit)

    def _use_theme(self) -> None:
        self._used = self.theme, self._look
        set_current(self.theme)
        look.set_current(self._look)
        scale_font(self._application, self._look.text_size)
        self._application.setPalette(palette(self.theme))
        # In place of a sheet, Qt would style each widget as often as it has ancestors; from none, it does so once.
        self._application.setStyleSheet("")
        self._application.setStyleSheet(style_sheet(self.theme, self._application.font().pointSizeF(), self._look))


_current = LIGHT


def current() -> Theme:
    """Return the colours in use; for what is drawn without the palette (icons, documents)."""
    return _current


def set_current(theme: Theme) -> None:
    """Set what `current` returns."""
    global _current  # noqa: PLW0603  (one application, one theme)
    _current = theme


def palette(theme: Theme) -> QPalette:
    """Return the palette of a theme."""
    result = QPalette()
    for role, token in _PALETTE.items():
        result.setColor(role, QColor(getattr(theme, token)))
    disabled = QColor(theme.muted)
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText, QPalette.ColorRole.WindowText):
        result.setColor(QPalette.ColorGroup.Disabled, role, disabled)
    return result


def style_sheet(theme: Theme, point_size: float, chosen: Look) -> str:
    """Return the application's style sheet; sizes follow the system's font and the look."""
    sizes = {f"size_{name}": f"{point_size * factor:.1f}pt" for name, factor in _SIZES.items()}
    text = (resources.FOLDER / "styles" / "app.qss").read_text("utf-8")
    icons = Path(
        str(resources.FOLDER / "icons")
    ).as_posix()  # Qt reads the arrows of boxes from files, a grey for both themes
    veil = f"#e6{theme.surface[1:]}"  # nine tenths opaque
    return Template(text).substitute(
        asdict(theme), veil=veil, icons=icons, row_padding=f"{chosen.row_padding}px", **sizes
    )


_SIZES = {"small": 0.88, "normal": 1.0, "large": 1.15, "title": 1.7}


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours, 1 to 21 (Web Content Accessibility Guidelines 2.2, 1.4.3)."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
