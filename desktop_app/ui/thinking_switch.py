"""The switch for models that can think before they answer and can leave it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QPushButton, QWidget

from desktop_app.ui import theme
from desktop_app.ui.formats import with_keys
from desktop_app.ui.icons import icon

_KEYS = "Ctrl+T"
_ICON = 16


class ThinkingSwitch(QPushButton):
    """A button that stays down while the model is to think; not there for models without the choice."""

    chosen = Signal(bool)
    """The person wants the next replies to begin with a thought, or not."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin hidden: no model is known yet."""
        super().__init__(parent)
        self.setObjectName("thinkingSwitch")
        self.setCheckable(True)
        self.setIconSize(QSize(_ICON, _ICON))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._narrow = False
        self.clicked.connect(self.chosen)
        self.toggled.connect(self._draw)
        QShortcut(QKeySequence(_KEYS), self).activated.connect(self.click)  # the button's own would take the focus
        self._retranslate()
        self._draw()
        self.hide()

    def show_choice(self, thinking: bool | None) -> None:
        """Show what is chosen; None: there is no choice."""
        self.setVisible(thinking is not None)
        self.setChecked(bool(thinking))

    def set_narrow(self, narrow: bool) -> None:
        """Show the icon alone, where the text is to have the room."""
        if narrow != self._narrow:
            self._narrow = narrow
            self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language and the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()
        elif event.type() == QEvent.Type.PaletteChange:
            self._draw()

    def _retranslate(self) -> None:
        self.setText("" if self._narrow else self.tr("Think"))
        self.setAccessibleName(self.tr("Think before answering"))
        effect = self.tr("Think before answering: slower, but better at hard questions")
        self.setToolTip(with_keys(effect, _KEYS))

    def _draw(self) -> None:
        colours = theme.current()
        self.setIcon(icon("think", colours.accent if self.isChecked() else colours.muted, _ICON))
