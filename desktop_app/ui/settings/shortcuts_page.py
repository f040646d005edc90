"""The keys that work in the window: what each does, and another one for it."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QGridLayout, QKeySequenceEdit, QLabel, QWidget

from desktop_app.settings import Settings
from desktop_app.ui.settings.section import Section
from desktop_app.ui.shortcuts import ACTIONS, SHORTCUTS
from desktop_app.ui.widgets.enabling import enable
from desktop_app.ui.widgets.icons import IconButton

_FIELD = 150


class KeysPage(Section):
    """A line for each action: its words, its keys in a field that takes others, and a button for the usual ones."""

    def __init__(self, settings: Settings) -> None:
        """Show all of them."""
        super().__init__(settings)
        self._hint = self.add_hint()
        self._said = QLabel(wordWrap=True)
        self._said.setObjectName("said")
        self.add_below(self._said)
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(0, 1)
        self._words: dict[str, QLabel] = {}
        self._fields: dict[str, QKeySequenceEdit] = {}
        self._resets: dict[str, IconButton] = {}
        for row, action in enumerate(ACTIONS):
            self._add_row(grid, row, action.name)
        self._column.insertLayout(self._column.count() - 1, grid)
        self._all = self.add_button()
        self._all.clicked.connect(lambda: self._store({}))
        self.retranslate()

    def retranslate(self) -> None:
        """Write every word again."""
        self._hint.setText(self.tr("Click into a field and press the keys; the backspace key takes them away."))
        self._all.setText(self.tr("All usual keys again"))
        for action in ACTIONS:
            words = QCoreApplication.translate("Actions", action.words)
            self._words[action.name].setText(words)
            self._fields[action.name].setAccessibleName(words)
            self._resets[action.name].set_words(self.tr("Usual keys again: {action}").format(action=words))
        self._show()

    def _add_row(self, grid: QGridLayout, row: int, name: str) -> None:
        words, field, reset = QLabel(wordWrap=True), QKeySequenceEdit(), IconButton("regenerate", size=16)
        words.setBuddy(field)
        field.setMaximumSequenceLength(1)
        field.setClearButtonEnabled(True)
        field.setFixedWidth(_FIELD)
        field.editingFinished.connect(lambda: self._choose(name, field.keySequence()))
        reset.clicked.connect(lambda: self._reset(name))
        parts: tuple[QWidget, ...] = (words, field, reset)
        for column, part in enumerate(parts):
            grid.addWidget(part, row, column)
        self._words[name], self._fields[name], self._resets[name] = words, field, reset

    def _show(self) -> None:
        for name, field in self._fields.items():
            keys = SHORTCUTS.keys(name)
            field.blockSignals(True)
            field.setKeySequence(QKeySequence(keys[0] if keys else ""))
            field.blockSignals(False)
            enable(self._resets[name], {self.tr("It has its usual keys."): name not in self._settings.shortcuts})

    def _choose(self, name: str, sequence: QKeySequence) -> None:
        keys = sequence.toString(QKeySequence.SequenceFormat.PortableText)
        if keys in SHORTCUTS.keys(name) or (not keys and not SHORTCUTS.keys(name)):
            return
        owner = SHORTCUTS.owner(keys) if keys else ""
        if owner:
            words = QCoreApplication.translate("Actions", next(one.words for one in ACTIONS if one.name == owner))
            warning = self.tr("{keys} does something else already: {action}.")
            self._said.setText(warning.format(keys=sequence.toString(), action=words))
            self._show()
        elif _would_be_written(keys):
            self._said.setText(self.tr("{keys} alone writes a character; hold Ctrl or Alt with it.").format(keys=keys))
            self._show()
        else:
            self._store({**self._settings.shortcuts, name: keys})

    def _reset(self, name: str) -> None:
        self._store({other: keys for other, keys in self._settings.shortcuts.items() if other != name})

    def _store(self, chosen: dict[str, str]) -> None:
        self._said.setText("")
        self.store("shortcuts", chosen)
        self._show()


def _would_be_written(keys: str) -> bool:
    """Tell whether a key writes a character, so that it would be missing in messages."""
    return len(keys) == 1 or keys in ("Space", "Return", "Enter", "Tab", "Backspace") or keys.startswith("Shift+")
