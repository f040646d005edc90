"""The sections of the settings: their names, and what they are called in the window."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QCoreApplication

from desktop_app.ui.i18n.translate import to_translate

SectionName = Literal[
    "general", "appearance", "chat", "tools", "models", "network", "engine", "privacy", "shortcuts", "about"
]
SECTIONS: tuple[SectionName, ...] = (
    "general",
    "appearance",
    "chat",
    "tools",
    "models",
    "network",
    "engine",
    "privacy",
    "shortcuts",
    "about",
)
_TITLES = (
    to_translate("SettingsPage", "General"),
    to_translate("SettingsPage", "Appearance"),
    to_translate("SettingsPage", "Chat"),
    to_translate("SettingsPage", "Tools"),
    to_translate("SettingsPage", "Models and storage"),
    to_translate("SettingsPage", "Network"),
    to_translate("SettingsPage", "Engine"),
    to_translate("SettingsPage", "Privacy"),
    to_translate("SettingsPage", "Shortcuts"),
    to_translate("SettingsPage", "About"),
)


def section_titles() -> list[str]:
    """Return the sections' names in the window's language."""
    return [QCoreApplication.translate("SettingsPage", title) for title in _TITLES]
