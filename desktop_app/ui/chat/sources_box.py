"""The sources of an answer, shown below it: which documents were read whole, which were searched, and the passages it names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialogButtonBox, QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop_app.chat.grounding import Grounding, Quotation, cited
from desktop_app.ui.chat.parted_text import PartedText
from desktop_app.ui.documents.open_file import open_document
from desktop_app.ui.i18n.formats import number
from desktop_app.ui.widgets.enabling import enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog

_WIDTH = 640
_MOST = 20
"""Passages that are listed."""
_LONGEST_NAME = 60


class SourcesBox(QFrame):
    """Says what was read, and lists the passages that an answer names, or those that were found where it names none."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self._grounding = Grounding()
        self._parts: Mapping[int, Quotation] = {}
        self._answer = ""
        self._read = QLabel(wordWrap=True)
        self._read.setObjectName("muted")
        self._read.setTextFormat(Qt.TextFormat.PlainText)
        self._buttons: list[QPushButton] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 2, 0, 2)
        self._column.setSpacing(1)
        self._column.addWidget(self._read)

    def ground(self, grounding: Grounding, parts: Mapping[int, Quotation]) -> None:
        """Show what was read and searched; `parts`: everything that the answer's numbers stand for."""
        self._grounding, self._parts = grounding, parts
        self.retranslate()

    def names(self) -> dict[int, str]:
        """Return the file and page of everything that the answer's numbers stand for."""
        return {place: self._source(part) for place, part in self._parts.items()}

    def show_passage(self, place: int) -> None:
        """Show what a number of the answer stands for."""
        dialog = PassageDialog(self._source(self._parts[place]), self._parts[place], self.window())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def show_cited(self, answer: str) -> None:
        """List what an answer names."""
        if answer != self._answer:
            self._answer = answer
            self.retranslate()

    def retranslate(self) -> None:
        """Write every word again."""
        self._read.setText("\n".join(self._words()))
        for button in self._buttons:
            self._column.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._buttons = [self._button(self._parts[place]) for place in self._listed()]

    def _listed(self) -> list[int]:
        if not self._answer:
            return []
        named = cited(self._answer, self._parts)
        return (named or [quotation.number for quotation in self._grounding.quotations])[:_MOST]

    def _words(self) -> list[str]:
        grounding = self._grounding
        quoted = {quotation.number for quotation in grounding.quotations}
        complete = list(dict.fromkeys(part.name for place, part in self._parts.items() if place not in quoted))
        words = []
        if complete:
            words.append(self.tr("Read whole: {names}").format(names=_listed(complete)))
        if grounding.found_nothing:
            searched = _listed(grounding.searched)
            words.append(self.tr("Nothing in {names} has to do with the question.").format(names=searched))
        elif grounding.searched:
            count = number(len(grounding.quotations), 0)
            words.append(
                self.tr("Searched: {names} · passages used: {count}").format(
                    names=_listed(grounding.searched), count=count
                )
            )
        if grounding.searched and grounding.by_words:
            words.append(self.tr("Searched by words alone: this installation has no embedding model."))
        return words

    def _button(self, part: Quotation) -> QPushButton:
        button = QPushButton()
        button.setObjectName("sourceButton")
        button.setCursor(Qt.CursorShape.PointingHandCursor)
        words = f"[{part.number}] {self._source(part)}"
        button.setText(words.replace("&", "&&"))  # Qt would take it for the mark of a key
        button.setAccessibleName(words)
        button.clicked.connect(partial(self.show_passage, part.number))
        self._column.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        return button

    def _source(self, part: Quotation) -> str:
        name = shortened(part.name)
        if not part.page:
            return name
        if part.last_page > part.page:
            return self.tr("{name}, pages {first} to {last}").format(name=name, first=part.page, last=part.last_page)
        return self.tr("{name}, page {page}").format(name=name, page=part.page)


class PassageDialog(FittingDialog):
    """A passage, with a button that opens its file."""

    def __init__(self, title: str, part: Quotation, parent: QWidget | None = None) -> None:
        """Show a passage; `title` names its file and page."""
        super().__init__(_WIDTH, parent)
        self.setWindowTitle(title)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 18, 20, 8)
        column.addWidget(PartedText(part.text))
        column.addStretch()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.button(QDialogButtonBox.StandardButton.Close).setText(self.tr("Close"))
        buttons.rejected.connect(self.reject)
        self._file = Path(part.path) if part.path else None
        if self._file is not None:
            opening = buttons.addButton(self.tr("Open the file"), QDialogButtonBox.ButtonRole.ActionRole)
            enable(opening, {self.tr("The file is not there any more."): not self._file.is_file()})
            opening.clicked.connect(partial(open_document, self._file, part.page))
        self.set_content(page, buttons)


def shortened(name: str) -> str:
    """Return a name as long as a line takes, with its ending, which tells what it is."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(shortened, names))
