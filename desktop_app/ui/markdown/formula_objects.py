"""Formulas in a text: pictures that are made on a thread, a line of text until then."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from PySide6.QtCore import QByteArray, QObject, QRect, QRectF, QSizeF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontInfo,
    QFontMetricsF,
    QPainter,
    QPyTextObject,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from desktop_app.ui.bridges.background import Background
from desktop_app.ui.markdown.span import Span
from desktop_app.ui.markdown.typesetting import COLOUR, Typeset, typeset

OBJECT_SIGN = "\ufffc"
"""What stands in the text for a picture."""
_OBJECT = QTextFormat.ObjectTypes.UserObject.value + 1
_SOURCE, _DISPLAY, _LINE = (QTextFormat.Property.UserProperty.value + number for number in (11, 12, 13))
_TOGETHER_MS = 40
"""Pictures that are ready within that time are shown at once: each time the text is laid out anew."""
_KEPT = 400
_Key = tuple[str, bool]


class Typesetter(QObject):
    """Makes pictures on a thread, each once."""

    ready = Signal()
    """Some more pictures are there, or are known not to be possible."""

    def __init__(self, parent: QObject | None = None) -> None:
        """Begin without a picture."""
        super().__init__(parent)
        self._made: dict[_Key, Typeset | None] = {}
        self._asked: set[_Key] = set()
        self._worker = Background("formulas", self)
        self._together = QTimer(self, singleShot=True, interval=_TOGETHER_MS)
        self._together.timeout.connect(self.ready)

    def is_impossible(self, source: str, display: bool) -> bool:
        """Tell whether a formula is known to have no picture."""
        return self._made.get((source, display), False) is None

    def is_waiting(self, source: str, display: bool) -> bool:
        """Tell whether a formula's picture is being made."""
        return (source, display) in self._asked

    def picture(self, source: str, *, display: bool) -> Typeset | None:
        """Return a formula's picture; None: it is being made, or there is none."""
        key = (source, display)
        if key not in self._made and key not in self._asked:
            self._asked.add(key)
            self._worker.run(lambda: typeset(source, display=display), lambda picture: self._keep(key, picture))
        return self._made.get(key)

    def _keep(self, key: _Key, picture: Typeset | None) -> None:
        self._asked.discard(key)
        self._made[key] = picture
        if not self._together.isActive():
            self._together.start()


class FormulaObjects(QPyTextObject):
    """Draws formulas in documents, in the colour and the size of the text around them."""

    def __init__(self, parent: QObject) -> None:
        """Belongs to the application."""
        super().__init__(parent)
        self.typesetter = Typesetter(self)
        self._drawn: OrderedDict[tuple[str, bool, str], QSvgRenderer] = OrderedDict()

    def intrinsicSize(self, document: QTextDocument, place: int, style: QTextFormat) -> QSizeF:  # noqa: N802  (Qt's name)
        """Return what a formula takes: as much above the line's middle as below it, so that it stands on the line."""
        picture, metrics = self._picture(style), _metrics(document, style)
        if picture is None:
            return QSizeF(metrics.horizontalAdvance(str(style.property(_LINE))), metrics.height())
        size = _size(document, picture, style)
        half = metrics.xHeight() / 2
        height = max(2 * picture.ascent * size - half, 2 * picture.descent * size + half)
        return QSizeF(picture.width * size, height)

    def drawObject(  # noqa: N802
        self, painter: QPainter, within: QRectF | QRect, document: QTextDocument, place: int, style: QTextFormat
    ) -> None:
        """Draw a formula, or its line of text while there is no picture."""
        area, picture, text = QRectF(within), self._picture(style), style.toCharFormat()
        colour = text.foreground().color()
        if picture is None:
            painter.setFont(_font(document, text))
            painter.setPen(colour)
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, str(style.property(_LINE)))
            return
        size = _size(document, picture, style)
        line = area.top() + (area.height() + _metrics(document, style).xHeight() / 2) / 2
        place_of_it = QRectF(
            area.left(), line - picture.ascent * size, picture.width * size, (picture.ascent + picture.descent) * size
        )
        self._renderer(picture, style, colour).render(painter, place_of_it)

    def _picture(self, style: QTextFormat) -> Typeset | None:
        return self.typesetter.picture(str(style.property(_SOURCE)), display=bool(style.property(_DISPLAY)))

    def _renderer(self, picture: Typeset, style: QTextFormat, colour: QColor) -> QSvgRenderer:
        key = (str(style.property(_SOURCE)), bool(style.property(_DISPLAY)), colour.name())
        if key not in self._drawn:
            self._drawn[key] = QSvgRenderer(QByteArray(picture.svg.replace(COLOUR, colour.name()).encode()))
            if len(self._drawn) > _KEPT:
                self._drawn.popitem(last=False)
        self._drawn.move_to_end(key)
        return self._drawn[key]


_shared: list[FormulaObjects] = []


def formula_objects() -> FormulaObjects:
    """Return what draws formulas in this application."""
    application = QApplication.instance()
    if not _shared and application is not None:
        _shared.append(FormulaObjects(application))
    return _shared[0]


def draw_formulas_in(document: QTextDocument) -> None:
    """Let a document show formulas."""
    document.documentLayout().registerHandler(_OBJECT, formula_objects())


def insert_formula(cursor: QTextCursor, spans: Sequence[Span], style: QTextCharFormat, *, display: bool) -> bool:
    """Insert a formula; False: it has no picture, and its spans are to be inserted."""
    source = spans[0].formula
    typesetter = formula_objects().typesetter
    if typesetter.is_impossible(source, display):
        return False
    typesetter.picture(source, display=display)
    formula = QTextCharFormat(style)
    formula.setObjectType(_OBJECT)
    formula.setVerticalAlignment(QTextCharFormat.VerticalAlignment.AlignMiddle)
    for name, value in ((_SOURCE, source), (_DISPLAY, display), (_LINE, "".join(span.text for span in spans))):
        formula.setProperty(name, value)
    cursor.insertText(OBJECT_SIGN, formula)
    return True


def text_with_sources(cursor: QTextCursor) -> str:
    """Return what is selected, each formula as it was written."""
    fragment = QTextDocument()
    QTextCursor(fragment).insertFragment(cursor.selection())
    lines = []
    block = fragment.begin()
    while block.isValid():
        line = ""
        parts = block.begin()
        while not parts.atEnd():
            part = parts.fragment()
            style = part.charFormat()
            line += _source(style) * len(part.text()) if style.objectType() == _OBJECT else part.text()
            parts += 1
        lines.append(line)
        block = block.next()
    return "\n".join(lines).replace("\u2028", "\n").replace("\xa0", " ")


def _source(style: QTextCharFormat) -> str:
    mark = "$$" if style.property(_DISPLAY) else "$"
    return f"{mark}{style.property(_SOURCE)}{mark}"


def _font(document: QTextDocument, style: QTextCharFormat) -> QFont:
    return style.font().resolve(document.defaultFont())


def _metrics(document: QTextDocument, style: QTextFormat) -> QFontMetricsF:
    return QFontMetricsF(_font(document, style.toCharFormat()))


def _size(document: QTextDocument, picture: Typeset, style: QTextFormat) -> float:
    """Return the font's size in pixels, less where the formula would be wider than the text."""
    size = float(QFontInfo(_font(document, style.toCharFormat())).pixelSize())
    room = document.textWidth()
    return min(size, room / picture.width) if room > 0 else size
