"""The choice between a GGUF file that somebody made and converting the checkpoint here: bytes, trust and quality of each."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QLabel, QRadioButton, QVBoxLayout, QWidget

from desktop_app.library.ready_made import ReadyMade
from desktop_app.library.source_facts import SourceFacts, WayCost, fitting_way, ways
from desktop_app.paths import downloads_folder, free_space
from desktop_app.ui.i18n.formats import size

_INDENT = 26


class WayChoice(QWidget):
    """A button for each way, with what it means below; not there where only one way is."""

    changed = Signal()
    """The user chose another way."""

    def __init__(self) -> None:
        """Begin without a way."""
        super().__init__()
        self._ways: list[ReadyMade | None] = []
        self._chosen: ReadyMade | None = None
        self._touched = False
        self._group = QButtonGroup(self)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self.hide()

    @property
    def chosen(self) -> ReadyMade | None:
        """Whose file is taken; None: it is converted here."""
        return self._chosen

    @property
    def is_choice(self) -> bool:
        """There is more than one way."""
        return len(self._ways) > 1

    def offer(self, facts: SourceFacts | None, quant: str) -> None:
        """Show the ways to a model.

        Args:
            facts: its facts; None: they are not known.
            quant: the quantization that is planned; `fitting_way` of it is chosen by itself.
        """
        self._ways = [] if facts is None else [*facts.ready_made, None]
        if not self.is_choice:
            self._touched = False
        if not (self._touched and self._chosen in self._ways):
            self._chosen = None if facts is None else fitting_way(facts, quant, free_space(downloads_folder()))
        self._show(facts, quant)

    def _show(self, facts: SourceFacts | None, quant: str) -> None:
        while (item := self._column.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        if facts is None or not self.is_choice:
            self.hide()
            return
        for cost in ways(facts, quant):
            way = cost.maker
            words, meaning = self._words(cost)
            button = QRadioButton(words)
            button.setChecked(way is self._chosen)
            button.setAccessibleDescription(meaning)
            button.clicked.connect(lambda _=False, way=way: self._choose(way))
            self._group.addButton(button)
            note = QLabel(meaning, wordWrap=True)
            note.setObjectName("muted")
            note.setContentsMargins(_INDENT, 0, 0, 4)
            self._column.addWidget(button)
            self._column.addWidget(note)
        self.show()

    def _choose(self, way: ReadyMade | None) -> None:
        self._touched, self._chosen = True, way
        self.changed.emit()

    def _words(self, cost: WayCost) -> tuple[str, str]:
        """Return a way's name with its bytes, and what it means for trust and quality."""
        way = cost.maker
        if way is None:
            text = self.tr("Convert here: {download} to download, then a file of {size} ({quant})")
            words = text.format(download=size(cost.download), size=size(cost.made), quant=cost.quant)
            return words, self.tr(
                "Zhiyin makes the file from the publisher's weights and checks it; every quantization can be had."
            )
        text = self.tr("Ready-made by {maker}: {size} to download ({quant})")
        words = text.format(maker=way.maker, size=size(cost.download), quant=cost.quant)
        if way.own:
            return words, self.tr("The publisher's own file: made by the one whose weights you trust anyway.")
        return words, self.tr(
            "Somebody else made it of the publisher's weights, and whether it is true to them cannot be checked here; "
            "its card says how it was made."
        )
