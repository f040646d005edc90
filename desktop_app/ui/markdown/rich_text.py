"""Text with styles in a widget as high as its content, built block by block without HTML."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from PySide6.QtCore import QEvent, QMimeData, QRectF, Qt, QUrl, Signal
from PySide6.QtGui import (
    QColor,
    QDesktopServices,
    QFont,
    QFontInfo,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextFormat,
    QTextFrameFormat,
    QTextOption,
    QTextTable,
    QTextTableFormat,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QWidget

from desktop_app.sequences import common_prefix
from desktop_app.ui.focus import is_written
from desktop_app.ui.markdown.citations import with_citations
from desktop_app.ui.markdown.formula_objects import (
    draw_formulas_in,
    formula_objects,
    insert_formula,
    text_with_sources,
)
from desktop_app.ui.markdown.parser import Block, safe_link
from desktop_app.ui.markdown.selection import SELECTION
from desktop_app.ui.markdown.span import Span
from desktop_app.ui.widgets import look, theme
from desktop_app.ui.widgets.fonts import monospace_families

INDENT = 26
"""Pixels for each level of a list or quote."""
_QUOTE = QTextFormat.Property.UserProperty + 1
_RULE = QTextFormat.Property.UserProperty + 2
_CITATION = "citation"
_TIGHT_GAP, _HEADING_GAP = 3, 18
_HEADING_SIZES = {1: 1.45, 2: 1.28, 3: 1.14}


class RichText(QTextBrowser):
    """Read-only text that can be selected; links open in the browser after a click, nothing is ever loaded."""

    citation_opened = Signal(int)
    """A number that stands for a part of a document was clicked."""

    def __init__(self, parent: QWidget | None = None, *, colour: str = "text") -> None:
        """`colour` names the text's colour in the theme."""
        super().__init__(parent)
        self._colour = colour
        self._blocks: list[Block] = []
        self._starts: list[int] = []
        self._waiting: set[tuple[str, bool]] = set()
        """Formulas whose pictures are being made, and whether they stand alone."""
        self._sources: Mapping[int, str] = {}
        self._drawn_in = (theme.current(), self.font())
        self.setOpenLinks(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # selected with the mouse; the keyboard stays with the message
        self.viewport().setAutoFillBackground(False)
        self.document().setDocumentMargin(0)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self.anchorClicked.connect(self._open_link)
        self.selectionChanged.connect(self._selection_changed)
        draw_formulas_in(self.document())
        formula_objects().typesetter.ready.connect(self._formulas_ready)
        self._fit()

    def set_blocks(self, blocks: Sequence[Block]) -> None:
        """Show paragraphs, headings and rules, leaving the blocks that did not change as they are."""
        same = common_prefix(self._blocks, blocks)
        if same == len(self._blocks) == len(blocks):
            return
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        if same < len(self._blocks):
            cursor.setPosition(self._starts[same])
            cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
            cursor.removeSelectedText()
        else:
            cursor.movePosition(QTextCursor.MoveOperation.End)
        del self._starts[same:]
        for index in range(same, len(blocks)):
            self._insert(cursor, blocks[index], blocks[index - 1] if index else None)
        cursor.endEditBlock()
        self._blocks = list(blocks)
        self._describe()
        spans = (span for block in blocks for span in with_citations(block.spans, self._sources))
        has_link = any(span.link or span.citation for span in spans)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus if has_link else Qt.FocusPolicy.NoFocus)  # Tab visits links

    def set_citations(self, sources: Mapping[int, str]) -> None:
        """Make links of the numbers that stand for parts of documents; `sources` names each."""
        if sources != self._sources:
            self._sources = sources
            self._draw_again()

    def same_blocks(self, blocks: Sequence[Block]) -> int:
        """Return how many of the blocks are shown already."""
        return common_prefix(self._blocks, blocks)

    def set_plain(self, text: str) -> None:
        """Show a text as it is."""
        self.set_blocks([Block("paragraph", (Span(text),))])

    def createMimeDataFromSelection(self) -> QMimeData:  # noqa: N802  (Qt's name)
        """Copy formulas as they were written."""
        data = QMimeData()
        data.setText(text_with_sources(self.textCursor()))
        return data

    def _formulas_ready(self) -> None:
        """Lay the text out with the pictures that are there by now, or write what has none."""
        typesetter = formula_objects().typesetter
        before, self._waiting = self._waiting, {one for one in self._waiting if typesetter.is_waiting(*one)}
        done = before - self._waiting
        if impossible := {one for one in done if typesetter.is_impossible(*one)}:
            self._draw_again(self._blocks_with(impossible)[0])
        elif done:
            self._lay_out_again(done)

    def _blocks_with(self, formulas: set[tuple[str, bool]]) -> list[int]:
        return [
            index
            for index, block in enumerate(self._blocks)
            if any((span.formula, block.kind == "formula") in formulas for span in _spans_of(block))
        ]

    def _lay_out_again(self, formulas: set[tuple[str, bool]]) -> None:
        """Lay out the blocks alone in which these formulas are: all of a long text takes longer than a frame."""
        places = [*self._starts, self.document().characterCount()]
        for index in self._blocks_with(formulas):
            self.document().markContentsDirty(places[index], places[index + 1] - places[index])

    def _draw_again(self, first: int = 0) -> None:
        """Draw the blocks anew, from one on."""
        blocks = self._blocks
        if first:
            self._blocks = [*blocks[:first], _ANOTHER]
        else:
            self._blocks, self._starts = [], []
            self.document().clear()
        self.set_blocks(blocks)

    def _describe(self) -> None:
        """Note which formulas are still to be drawn, and let screen readers hear them as lines: a picture is a gap to them."""
        formulas = {(span.formula, block.kind == "formula") for block in self._blocks for span in _spans_of(block)}
        typesetter = formula_objects().typesetter
        self._waiting = {one for one in formulas if one[0] and typesetter.is_waiting(*one)}
        if any(source for source, _ in formulas):
            lines = ("".join(span.text for span in _spans_of(block)) for block in self._blocks)
            self.setAccessibleName("\n".join(lines))

    def _selection_changed(self) -> None:
        SELECTION.changed(self)

    def loadResource(self, kind: int, name: QUrl | str) -> Any:  # noqa: N802  (Qt's name)
        """Load nothing: no picture, no style sheet, from nowhere."""
        return None

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Leave characters to the message, a space too, which would turn a page."""
        if is_written(event):
            event.ignore()
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Leave scrolling to the chat."""
        event.ignore()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Draw everything again in the new theme's colours or the new font."""
        super().changeEvent(event)
        if event.type() not in (QEvent.Type.PaletteChange, QEvent.Type.FontChange) or not self._blocks:
            return
        if self._drawn_in != (theme.current(), self.font()):  # both events come several times for one change
            self._drawn_in = (theme.current(), self.font())
            self._draw_again()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw the text, a bar beside each quote, and the rules."""
        super().paintEvent(event)
        if not any(block.quote or block.kind == "rule" for block in self._blocks):
            return
        painter = QPainter(self.viewport())
        colour = QColor(theme.current().border)
        area_of = self.document().documentLayout().blockBoundingRect
        block = self.document().begin()
        while block.isValid():
            area, style, after = area_of(block), block.blockFormat(), block.next()
            if style.boolProperty(_RULE):
                painter.fillRect(QRectF(0, round(area.center().y()), self.viewport().width(), 1), colour)
            for level in range(style.intProperty(_QUOTE)):
                goes_on = after.isValid() and after.blockFormat().intProperty(_QUOTE) > level
                end = area_of(after).top() if goes_on else area.bottom()
                painter.fillRect(QRectF(level * INDENT + 2, area.top(), 3, end - area.top()), colour)
            block = after

    def _insert(self, cursor: QTextCursor, block: Block, before: Block | None) -> None:
        block_format, char_format = self._formats(block)
        if before is None:
            self._starts.append(0)
            cursor.setBlockFormat(block_format)
            cursor.setBlockCharFormat(char_format)
        else:
            self._starts.append(cursor.position())
            block_format.setTopMargin(_gap(before, block))
            cursor.insertBlock(block_format, char_format)
        if block.marker:
            cursor.insertText(f"{block.marker}\t", char_format)
        spans = with_citations(block.spans, self._sources)
        insert_spans(cursor, spans, char_format, display=block.kind == "formula")

    def _formats(self, block: Block) -> tuple[QTextBlockFormat, QTextCharFormat]:
        paragraph, text = QTextBlockFormat(), QTextCharFormat()
        text.setForeground(QColor(getattr(theme.current(), self._colour)))
        if block.quote:
            text.setForeground(QColor(theme.current().muted))
        margin = (block.depth + block.quote) * INDENT
        paragraph.setLeftMargin(margin)
        if block.marker:
            paragraph.setTextIndent(-INDENT + 6)
            paragraph.setTabPositions([QTextOption.Tab(INDENT - 6, QTextOption.TabType.LeftTab)])
        paragraph.setProperty(_QUOTE, block.quote)
        size = 1.0
        if block.kind == "heading":
            paragraph.setHeadingLevel(block.level)
            text.setFontWeight(QFont.Weight.DemiBold)
            size = _HEADING_SIZES.get(block.level, 1.0)
            text.setFontPointSize(self.font().pointSizeF() * size)
        elif block.kind == "formula" and not block.marker:
            paragraph.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        elif block.kind == "rule":
            paragraph.setProperty(_RULE, True)
        height = QFontInfo(self.font()).pixelSize() * size * look.current().line_height
        paragraph.setLineHeight(height, QTextBlockFormat.LineHeightTypes.MinimumHeight.value)
        return paragraph, text

    def _fit(self) -> None:
        self.setFixedHeight(max(1, math.ceil(self.document().size().height())))

    def _open_link(self, url: QUrl) -> None:
        if url.scheme() == _CITATION:  # made here alone: a link of a text is http or https
            self.citation_opened.emit(int(url.path()))
        elif safe_link(url.toString()):
            QDesktopServices.openUrl(url)


class TableText(RichText):
    """A table; one that is too wide scrolls sideways."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin empty."""
        self._table: QTextTable | None = None
        super().__init__(parent)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.horizontalScrollBar().rangeChanged.connect(self._fit)

    def set_blocks(self, blocks: Sequence[Block]) -> None:
        """Show one table."""
        if list(blocks) == self._blocks:
            return
        before, self._blocks = self._blocks, list(blocks)
        block, columns = blocks[0], len(blocks[0].rows[0])
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        first = self._kept_rows(before[0], block) if before and self._table is not None else 0
        if self._table is None or not first:
            self.document().clear()
            cursor = QTextCursor(self.document())
            self._table = cursor.insertTable(len(block.rows), columns, _table_format())
        elif len(block.rows) > self._table.rows():
            self._table.appendRows(len(block.rows) - self._table.rows())
        for row in range(first, len(block.rows)):
            self._fill_row(self._table, row, block)
        cursor.endEditBlock()
        self._describe()
        self._fit()

    def _lay_out_again(self, formulas: set[tuple[str, bool]]) -> None:
        self.document().markContentsDirty(0, self.document().characterCount())

    def _kept_rows(self, before: Block, block: Block) -> int:
        """Return how many rows stay as they are where a table grew by its end; 0: it is drawn anew."""
        same = common_prefix(before.rows, block.rows)
        is_longer = len(block.rows) >= len(before.rows) and len(block.rows[0]) == len(before.rows[0])
        return same if is_longer and before.alignments == block.alignments and same >= len(before.rows) - 1 else 0

    def _fill_row(self, table: QTextTable, row: int, block: Block) -> None:
        for column, spans in enumerate(block.rows[row][: table.columns()]):
            cell = table.cellAt(row, column)
            style = QTextCharFormat()
            style.setForeground(QColor(theme.current().text))
            if row == 0:
                style.setFontWeight(QFont.Weight.DemiBold)
            place = cell.firstCursorPosition()
            place.setPosition(cell.lastPosition(), QTextCursor.MoveMode.KeepAnchor)
            place.removeSelectedText()
            alignment = block.alignments[column] if column < len(block.alignments) else "left"
            paragraph = QTextBlockFormat()
            paragraph.setAlignment(_ALIGNMENTS.get(alignment, Qt.AlignmentFlag.AlignLeft))
            place.setBlockFormat(paragraph)
            insert_spans(place, with_citations(spans, self._sources), style)

    def _fit(self) -> None:
        bar = self.horizontalScrollBar()
        extra = bar.sizeHint().height() if bar.maximum() > 0 else 0
        self.setFixedHeight(max(1, math.ceil(self.document().size().height()) + extra))


def _spans_of(block: Block) -> Iterator[Span]:
    yield from block.spans
    for row in block.rows:
        for cell in row:
            yield from cell


_ANOTHER = Block("paragraph", (Span("\0"),))
"""No block of a text is like it: what stands in its place is drawn anew."""
_ALIGNMENTS = {"center": Qt.AlignmentFlag.AlignHCenter, "right": Qt.AlignmentFlag.AlignRight}


def _table_format() -> QTextTableFormat:
    style = QTextTableFormat()
    style.setHeaderRowCount(1)
    style.setBorder(1)
    style.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
    style.setBorderBrush(QColor(theme.current().border))
    style.setBorderCollapse(True)
    style.setCellPadding(6)
    style.setCellSpacing(0)
    return style


_SCRIPTS = {
    "sub": QTextCharFormat.VerticalAlignment.AlignSubScript,
    "super": QTextCharFormat.VerticalAlignment.AlignSuperScript,
}


def insert_spans(cursor: QTextCursor, spans: Sequence[Span], base: QTextCharFormat, *, display: bool = False) -> None:
    """Insert styled text; formulas become pictures where that is possible, large ones if `display`."""
    for source, group in groupby(spans, key=lambda span: span.formula):
        members = list(group)
        if not source or not insert_formula(cursor, members, base, display=display):
            _insert_text(cursor, members, base)


def _insert_text(cursor: QTextCursor, spans: Sequence[Span], base: QTextCharFormat) -> None:
    for span in spans:
        style = QTextCharFormat(base)
        if span.bold:
            style.setFontWeight(QFont.Weight.Bold)
        if span.italic:
            style.setFontItalic(True)
        if span.strike:
            style.setFontStrikeOut(True)
        if span.code:
            style.setFontFamilies(monospace_families())
            style.setBackground(QColor(theme.current().code))
        if span.script:
            style.setVerticalAlignment(_SCRIPTS[span.script])
        if span.link or span.citation:
            style.setAnchor(True)
            style.setAnchorHref(span.link or f"{_CITATION}:{span.citation}")
            style.setToolTip(span.link or escape(span.tip))
            style.setForeground(QColor(theme.current().link))
            style.setFontUnderline(bool(span.link))
        cursor.insertText(span.text.replace("\n", "\u2028"), style)


def _gap(before: Block, block: Block) -> int:
    """Return the pixels between two blocks."""
    if block.continued:
        return 0
    if block.kind == "heading":
        return _HEADING_GAP
    return _TIGHT_GAP if block.tight and before.depth else look.current().paragraph_gap
