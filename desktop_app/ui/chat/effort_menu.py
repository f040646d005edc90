"""The button for models that let one choose how long they think before they answer (gpt-oss)."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QWidget

from desktop_app.ui.chat.choice_button import ICON, ChoiceButton
from desktop_app.ui.i18n.formats import with_keys
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.icons import icon
from desktop_app.ui.widgets.menus import light_only_under_pointer
from models.chat.efforts import EFFORTS


class EffortMenu(ChoiceButton):
    """A button with a menu of efforts; not there for models without the choice."""

    chosen = Signal(str)
    """How long the next replies are to think: one of `EFFORTS`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin hidden: no model is known yet."""
        super().__init__("effortMenu", parent)
        self._effort = ""
        menu, group = QMenu(self), QActionGroup(self)
        self._actions = {effort: QAction(group, checkable=True) for effort in EFFORTS}
        for effort, action in self._actions.items():
            menu.addAction(action)
            action.triggered.connect(lambda _, effort=effort: self.chosen.emit(effort))
        self.setMenu(menu)
        light_only_under_pointer(self, menu)
        SHORTCUTS.bind("think", self, self.showMenu)
        self._retranslate()
        self._draw()

    def show_choice(self, effort: str) -> None:
        """Show what is chosen; "": there is no choice."""
        self._effort = effort
        self.setVisible(bool(effort))
        if effort:
            self._actions[effort].setChecked(True)
        self._retranslate()

    def _retranslate(self) -> None:
        words = (self.tr("Think briefly"), self.tr("Think"), self.tr("Think deeply"))
        names = dict(zip(EFFORTS, words, strict=True))
        for effort, action in self._actions.items():
            action.setText(names[effort])
        name = names.get(self._effort, "")
        self.setText("" if self._narrow else f"{name}  ▾")
        self.setAccessibleName(self.tr("How long to think: {choice}").format(choice=name))
        effect = self.tr("How long to think before answering: longer is slower, but better at hard questions")
        self.setToolTip(with_keys(effect, SHORTCUTS.text("think")))

    def _draw(self) -> None:
        self.setIcon(icon("think", theme.current().accent, ICON))
