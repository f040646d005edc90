"""The switch for models whose thinking is optional."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from desktop_app.ui.chat.choice_button import ICON, ChoiceButton
from desktop_app.ui.i18n.formats import with_keys
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.icons import icon


class ThinkingSwitch(ChoiceButton):
    """A button that stays down while the model is to think; not there for models without the choice."""

    chosen = Signal(bool)
    """The user wants the next replies to begin with reasoning, or not."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin hidden: no model is known yet."""
        super().__init__("thinkingSwitch", parent)
        self.setCheckable(True)
        self.clicked.connect(self.chosen)
        self.toggled.connect(self._draw)
        SHORTCUTS.bind("think", self, self.click)  # the button's own would take the focus
        self._retranslate()
        self._draw()

    def show_choice(self, thinking: bool | None) -> None:
        """Show what is chosen; None: there is no choice."""
        self.setVisible(thinking is not None)
        self.setChecked(bool(thinking))

    def _retranslate(self) -> None:
        self.setText("" if self._narrow else self.tr("Think"))
        self.setAccessibleName(self.tr("Think before answering"))
        effect = self.tr("Think before answering: slower, but better at hard questions")
        self.setToolTip(with_keys(effect, SHORTCUTS.text("think")))

    def _draw(self) -> None:
        colours = theme.current()
        self.setIcon(icon("think", colours.accent if self.isChecked() else colours.muted, ICON))
