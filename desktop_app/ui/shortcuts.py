"""The actions of the window that keys do: their names, their usual keys, and those that the user chose instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PySide6.QtGui import QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget
from shiboken6 import isValid

from desktop_app.ui.i18n.translate import to_translate


@dataclass(frozen=True)
class Action:
    """Something that is done at once."""

    name: str
    words: str
    """In the translations' context "Actions"."""
    keys: tuple[str, ...]
    """What presses it unless the user chose something else."""


ACTIONS = (
    Action("new-chat", to_translate("Actions", "New chat"), ("Ctrl+N",)),
    Action("palette", to_translate("Actions", "Do anything by its name"), ("Ctrl+K",)),
    Action("find", to_translate("Actions", "Find in the chat, or among the models to get"), ("Ctrl+F",)),
    Action("search", to_translate("Actions", "Search in all chats"), ("Ctrl+Shift+F",)),
    Action("write", to_translate("Actions", "To the message box"), ("Ctrl+L",)),
    Action("think", to_translate("Actions", "Think before the answer, or for how long"), ("Ctrl+T",)),
    Action("stop", to_translate("Actions", "Stop the reply, or go back to the chat"), ("Esc",)),
    Action("sidebar", to_translate("Actions", "Show or hide the chats"), ("Ctrl+B",)),
    Action("panel", to_translate("Actions", "Instructions and sampling of this chat"), ("Ctrl+Shift+B",)),
    Action("rename", to_translate("Actions", "Rename the open chat"), ("F2",)),
    Action("delete", to_translate("Actions", "Delete the chat that is selected in the list"), ("Del",)),
    Action("undo", to_translate("Actions", "Bring back the chat that was deleted last"), ("Ctrl+Z",)),
    Action("attach", to_translate("Actions", "Attach files"), ("Ctrl+U",)),
    Action("catalogue", to_translate("Actions", "Get models"), ("Ctrl+G",)),
    Action("downloads", to_translate("Actions", "Downloads"), ("Ctrl+J",)),
    Action("compare", to_translate("Actions", "Ask two models side by side"), ("Ctrl+D",)),
    Action("add-model", to_translate("Actions", "Add a model"), ("Ctrl+O",)),
    Action("larger", to_translate("Actions", "Larger text"), ("Ctrl++", "Ctrl+=")),
    Action("smaller", to_translate("Actions", "Smaller text"), ("Ctrl+-",)),
    Action("usual-size", to_translate("Actions", "Text as large as the system's"), ("Ctrl+0",)),
    Action("settings", to_translate("Actions", "Settings"), ("Ctrl+,",)),
    Action("shortcuts", to_translate("Actions", "Shortcuts"), ("F1",)),
)
_USUAL = {action.name: action.keys for action in ACTIONS}


class Shortcuts:
    """Which keys do what."""

    def __init__(self) -> None:
        """Begin with the usual keys."""
        self._chosen: dict[str, str] = {}
        self._bound: list[tuple[str, QShortcut]] = []

    def choose(self, chosen: Mapping[str, str]) -> None:
        """Let the user's keys count: for an action's name a key, or "" for none; others have their usual ones."""
        self._chosen = {name: keys for name, keys in chosen.items() if name in _USUAL}
        self._bound = [(name, shortcut) for name, shortcut in self._bound if isValid(shortcut)]
        for name, shortcut in self._bound:
            shortcut.setKeys(self._sequences(name))

    def bind(self, name: str, widget: QWidget, act: Callable[[], object]) -> None:
        """Let an action's keys do something in the window of a widget, as long as that lives."""
        shortcut = QShortcut(widget)
        shortcut.setKeys(self._sequences(name))
        shortcut.activated.connect(act)
        self._bound.append((name, shortcut))

    def keys(self, name: str) -> tuple[str, ...]:
        """Return an action's keys, as they are stored."""
        chosen = self._chosen.get(name)
        return _USUAL[name] if chosen is None else (chosen,) if chosen else ()

    def text(self, name: str) -> str:
        """Return the first of an action's keys as the system writes it; "": there is none."""
        keys = self._sequences(name)
        return keys[0].toString(QKeySequence.SequenceFormat.NativeText) if keys else ""

    def owner(self, keys: str) -> str:
        """Return the name of the action that a key does; "": it is free."""
        wanted = QKeySequence(keys)
        return next((action.name for action in ACTIONS if wanted in self._sequences(action.name)), "")

    def matches(self, event: QKeyEvent, name: str) -> bool:
        """Tell whether a key that was pressed does an action."""
        return QKeySequence(event.keyCombination()) in self._sequences(name)

    def _sequences(self, name: str) -> list[QKeySequence]:
        return [QKeySequence(keys) for keys in self.keys(name)]


SHORTCUTS = Shortcuts()
"""Of the application: there is one window."""
