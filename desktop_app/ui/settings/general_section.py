"""Settings: the language and the key that sends."""

from __future__ import annotations

from desktop_app.settings import Settings
from desktop_app.ui.i18n.translate import LANGUAGES
from desktop_app.ui.settings.section import Section, name_values


class GeneralSection(Section):
    """Settings of the window."""

    def __init__(self, settings: Settings) -> None:
        """Show the settings as they are."""
        super().__init__(settings)
        self._language = self.add_choice("language", ["system", *LANGUAGES])
        self._send_key = self.add_choice("send_key", ["enter", "ctrl_enter"])
        self.retranslate()

    def retranslate(self) -> None:
        """Write every word again."""
        self.name_field(self._language, self.tr("Language"))
        self.name_field(self._send_key, self.tr("Send with"))
        name_values(self._language, [self.tr("Like the system"), *LANGUAGES.values()])
        name_values(self._send_key, ["Enter", "Ctrl+Enter"])
