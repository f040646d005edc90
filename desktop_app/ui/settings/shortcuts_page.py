"""The keys that work in the window, for those who look for them."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from desktop_app.ui.i18n.translate import to_translate

_KEYS = (
    "Ctrl+N",
    "Ctrl+F",
    "Ctrl+Shift+F",
    "Ctrl+L",
    "Ctrl+T",
    "Esc",
    "Ctrl+B",
    "F2",
    "Del",
    "Ctrl+Z",
    "Ctrl+G",
    "Ctrl+O",
    "Ctrl++",
    "Ctrl+=",
    "Ctrl+-",
    "Ctrl+0",
    "Ctrl+,",
    "F1",
)
_WORDS = (
    to_translate("KeysPage", "New chat"),
    to_translate("KeysPage", "Find in the chat, or among the models to get"),
    to_translate("KeysPage", "Search in all chats"),
    to_translate("KeysPage", "To the message box"),
    to_translate("KeysPage", "Think before the answer, or for how long"),
    to_translate("KeysPage", "Stop the reply"),
    to_translate("KeysPage", "Show or hide the chats"),
    to_translate("KeysPage", "Rename the open chat"),
    to_translate("KeysPage", "Delete the chat that is selected in the list"),
    to_translate("KeysPage", "Bring back the chat that was deleted last"),
    to_translate("KeysPage", "Get models"),
    to_translate("KeysPage", "Add a model"),
    to_translate("KeysPage", "Larger text"),
    to_translate("KeysPage", "Larger text"),
    to_translate("KeysPage", "Smaller text"),
    to_translate("KeysPage", "Text as large as the system's"),
    to_translate("KeysPage", "Settings"),
    to_translate("KeysPage", "These keys"),
)


class KeysPage(QWidget):
    """What each key does, a line for each."""

    def __init__(self) -> None:
        """Show all of them."""
        super().__init__()
        self._words = [QLabel(wordWrap=True) for _ in _WORDS]
        grid = QGridLayout(self)
        grid.setContentsMargins(4, 16, 4, 4)
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(1, 1)
        for row, (keys, words) in enumerate(zip(_KEYS, self._words, strict=True)):
            name = QLabel(QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText))
            name.setObjectName("key")
            grid.addWidget(name, row, 0, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
            grid.addWidget(words, row, 1)
        grid.setRowStretch(len(_KEYS), 1)
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        for label, words in zip(self._words, _WORDS, strict=True):
            label.setText(self.tr(words))
