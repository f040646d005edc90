"""Details of a repository before it is fetched: its card as text, and its files."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QScrollArea,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from converter.hub.request import Description
from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.markdown.view import MarkdownView

_HEIGHT = 320


class ModelDetails(QWidget):
    """Two pages, of which one is shown; what is on them is asked for when it is first looked at."""

    asked = Signal()

    def __init__(self) -> None:
        """Begin without a description."""
        super().__init__()
        self._found: Description | None = None
        self._failure: Exception | None = None
        self._files_shown = False
        self._head = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._head.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._head.setObjectName("sourceFacts")
        self._card = MarkdownView()
        self._scroll = QScrollArea(widgetResizable=True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(self._card)
        self._files = QTreeWidget()
        self._files.setRootIsDecorated(False)
        self._files.setUniformRowHeights(True)
        self._files.setColumnCount(2)
        self._files.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self._files.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._files.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._files.header().setStretchLastSection(False)
        self._files.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self._files.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        for widget in (self._scroll, self._files):
            widget.setObjectName("offers")
            widget.setFixedHeight(_HEIGHT)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for shown in (self._head, self._scroll, self._files):
            column.addWidget(shown)
        self._retranslate()

    def show_page(self, *, files: bool) -> None:
        """Show the files, or the card."""
        self._files_shown = files
        if self._found is None:
            self._failure = None
            self.asked.emit()
        self._retranslate()

    def show_description(self, description: Description) -> None:
        """Show what was asked for."""
        self._found = description
        self._card.set_text(description.card)
        self._files.clear()
        for file in description.files:
            item = QTreeWidgetItem([file.name, size(file.size)])
            item.setToolTip(0, file.name)
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self._files.addTopLevelItem(item)
        self._retranslate()

    def show_failure(self, error: Exception) -> None:
        """Say why nothing is known."""
        self._failure = error
        self._retranslate()

    def forget(self) -> None:
        """Another repository is meant from now on."""
        self._found, self._failure = None, None

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        self._files.setHeaderLabels([self.tr("File"), self.tr("Size")])
        self._files.setAccessibleName(self.tr("Files"))
        self._head.setText(self._words())
        self._head.setProperty("kind", "failure" if self._failure is not None else "plain")
        self._head.style().polish(self._head)
        self._files.setVisible(self._found is not None and self._files_shown)
        self._scroll.setVisible(self._found is not None and bool(self._found.card) and not self._files_shown)

    def _words(self) -> str:
        description = self._found
        if self._failure is not None:
            return translated(self._failure)
        if description is None:
            return self.tr("Asking what it is…")
        parts = [
            self.tr("licence: {name}").format(name=description.licence)
            if description.licence
            else self.tr("licence not told")
        ]
        if description.downloads:
            parts.append(self.tr("{count} downloads").format(count=number(description.downloads, 0)))
        text = self.tr("{count} files, {size} in all")
        parts.append(
            text.format(
                count=number(len(description.files), 0), size=size(sum(file.size for file in description.files))
            )
        )
        lines = [" · ".join(parts)]
        if description.gated:
            lines.append(
                self.tr(
                    "Gated: accept its licence at {page}, make a token there, and enter it in Settings, Network."
                ).format(page=description.page)
            )
        if not description.card and not self._files_shown:
            lines.append(
                self.tr("Its card is shown to those who were let in.")
                if description.withheld
                else self.tr("It has no card.")
            )
        return "\n".join(lines)
