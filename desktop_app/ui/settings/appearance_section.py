"""Settings: what the window looks like."""

from __future__ import annotations

from desktop_app.settings import Settings
from desktop_app.ui.i18n.formats import number
from desktop_app.ui.settings.section import Section, name_values
from desktop_app.ui.widgets.look import SIZES, WIDTHS


class AppearanceSection(Section):
    """Colours and sizes."""

    def __init__(self, settings: Settings) -> None:
        """Show the settings as they are."""
        super().__init__(settings)
        self._theme = self.add_choice("theme", ["system", "light", "dark"])
        self._size = self.add_choice("text_size", sorted({*SIZES, settings.text_size}))
        self._width = self.add_choice("message_width", list(WIDTHS))
        self._density = self.add_choice("compact", [False, True])
        self._hint = self.add_hint()
        self.retranslate()

    def retranslate(self) -> None:
        """Write every word again."""
        self.name_field(self._theme, self.tr("Theme"))
        self.name_field(self._size, self.tr("Text size"))
        self.name_field(self._width, self.tr("Width of messages"))
        self.name_field(self._density, self.tr("Density"))
        percents = [self._size.itemData(row) for row in range(self._size.count())]
        name_values(
            self._size,
            [self.tr("{percent} % of the system's").format(percent=number(percent, 0)) for percent in percents],
        )
        name_values(self._width, [self.tr("Normal"), self.tr("Wide"), self.tr("As wide as the window")])
        name_values(self._density, [self.tr("Comfortable"), self.tr("Compact")])
        self._hint.setText(
            self.tr("Text follows the font of your system; Ctrl with + and − changes its size at any time.")
        )
        name_values(self._theme, [self.tr("Like the system"), self.tr("Light"), self.tr("Dark")])
