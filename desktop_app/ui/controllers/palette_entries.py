"""Entries of the command palette: the window's actions, the chats, the models and the sections of the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QCoreApplication, QObject

from desktop_app.ui.services import Services
from desktop_app.ui.settings.sections import SECTIONS, SectionName, section_titles
from desktop_app.ui.shortcuts import ACTIONS, SHORTCUTS

_NOT_IN_ITSELF = ("palette", "stop")
_MOST = 60
_THEMES = {"system": "Like the system", "light": "Light", "dark": "Dark"}
_FIELDS: tuple[tuple[SectionName, str, tuple[str, ...]], ...] = (
    ("general", "GeneralSection", ("Language", "Send with")),
    ("appearance", "AppearanceSection", ("Text size", "Width of messages", "Density")),
    ("chat", "ChatSection", ("Instructions", "Context", "Temperature", "Repeat penalty", "Seed")),
    ("models", "ModelsSection", ("Folder of models",)),
    ("network", "NetworkSection", ("Connections", "Workers", "Download from", "Access token", "Speed of downloads")),
)
"""Settings by the section that has them and the words that stand beside them there."""
Act = Callable[[], object]


@dataclass(frozen=True)
class Entry:
    """Something that may be chosen."""

    words: str
    kind: str
    """What it is: a chat, a model … in the user's language."""
    act: Callable[[], object]
    keys: str = ""
    english: str = ""
    """The same words in English, which many type in any language."""


def matching(entries: Sequence[Entry], text: str) -> list[Entry]:
    """Return the entries that have all words of a text; those that begin with it come first."""
    words = text.lower().split()
    matches = [
        entry
        for entry in entries
        if all(word in f"{entry.words} {entry.kind} {entry.english}".lower() for word in words)
    ]
    return sorted(matches, key=lambda entry: not entry.words.lower().startswith(text.strip().lower()))[:_MOST]


class PaletteEntries(QObject):
    """Puts the entries together, as things are now."""

    def __init__(
        self,
        services: Services,
        acts: Mapping[str, Act],
        open_chat: Callable[[str], object],
        open_settings: Callable[[SectionName], object],
    ) -> None:
        """`acts` are the actions of the window by name."""
        super().__init__()
        self._services, self._acts = services, acts
        self._open_chat, self._open_settings = open_chat, open_settings

    def all(self) -> list[Entry]:
        """Return all entries, actions first."""
        return [*self._actions(), *self._themes(), *self._chats(), *self._models(), *self._settings()]

    def _actions(self) -> Iterator[Entry]:
        kind = self.tr("Action")
        for action in ACTIONS:
            if action.name in self._acts and action.name not in _NOT_IN_ITSELF:
                words = QCoreApplication.translate("Actions", action.words)
                yield Entry(words, kind, self._acts[action.name], SHORTCUTS.text(action.name), action.words)

    def _chats(self) -> Iterator[Entry]:
        for chat in self._services.chats.list.conversations:
            yield Entry(chat.title or self.tr("New chat"), self.tr("Chat"), partial(self._open_chat, chat.id))

    def _models(self) -> Iterator[Entry]:
        for model in self._services.library.everywhere:
            yield Entry(model.label or model.name, self.tr("Model"), partial(self._services.choose_model, model))

    def _settings(self) -> Iterator[Entry]:
        kind, translate = self.tr("Settings"), QCoreApplication.translate
        for name, title in zip(SECTIONS, section_titles(), strict=True):
            yield Entry(title, kind, partial(self._open_settings, name), english=name)
        for section, context, names in _FIELDS:
            for field in names:
                yield Entry(translate(context, field), kind, partial(self._open_settings, section), english=field)

    def _themes(self) -> Iterator[Entry]:
        words = self.tr("{setting}: {value}")
        title = QCoreApplication.translate("AppearanceSection", "Theme")
        for theme, name in _THEMES.items():
            value = QCoreApplication.translate("AppearanceSection", name)
            english = f"Theme: {name}"
            act = partial(self._use_theme, theme)
            yield Entry(words.format(setting=title, value=value), self.tr("Action"), act, english=english)

    def _use_theme(self, theme: str) -> None:
        self._services.settings.theme = theme
        self._services.apply_setting("theme")
        self._services.save_settings()
