"""The list of models that may be had: one row a model, drawn, with a button that gets it or chats with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from PySide6.QtCore import (
    QAbstractListModel,
    QCoreApplication,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from desktop_app.library.catalogue import CatalogueOffer, disk_room
from desktop_app.library.installed_model import InstalledModel
from desktop_app.ui.focus import is_written
from desktop_app.ui.models.catalogue_labels import cost, everything, nature, purpose, shortage
from desktop_app.ui.models.fit import COLOURS, verdict_words
from desktop_app.ui.widgets import theme

_ROW = Qt.ItemDataRole.UserRole
_MARGIN, _GAP, _SPACE, _BETWEEN = 14, 10, 3, 8
_BUTTON = QSize(92, 32)
_RADIUS = 10
_BATCH = 16
"""Rows that are laid out at once."""
_OTHER_FONTS = "\u0250"
"""Letters from here on may come from fonts with higher lines."""
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Lines:
    """The texts of a row; an empty one takes no room."""

    name: str
    badge: str
    purpose: str
    nature: str
    cost: str
    warning: str
    button: str


class ListedModel(Protocol):
    """The listed facts of one model."""

    @property
    def key(self) -> object:
        """Equal for the same model."""

    @property
    def installed(self) -> InstalledModel | None:
        """It is here."""

    @property
    def verdict(self) -> str:
        """`RunConfiguration.verdict`; "": not known."""

    @property
    def can_act(self) -> bool:
        """Its button does something."""

    @property
    def asked(self) -> object:
        """The button's install request, where the model is not installed."""

    def lines(self) -> Lines:
        """Return its texts in the window's language."""

    def tip(self) -> str:
        """Return all that is known of it."""

    def __hash__(self) -> int:
        """Return another number for each row."""

    def looks_like(self, other: Any) -> bool:
        """Tell whether another one of the same model shows the same."""


@dataclass(frozen=True, eq=False)
class Row:
    """A row of the catalogue."""

    offer: CatalogueOffer
    installed: InstalledModel | None = None
    free_disk: int | None = None
    under_way: str = ""
    """What is being done to get it, in the window's language; "": nothing."""

    @property
    def can_act(self) -> bool:
        """Its button does something."""
        if self.installed is not None:
            return not self.offer.model.measures  # the collections' page is where it is chosen
        return self.offer.fits and not self.under_way

    @property
    def key(self) -> object:
        """Equal for the same model."""
        return self.offer.model

    @property
    def verdict(self) -> str:
        """`RunConfiguration.verdict`, or the `DiskRoom` of what would run but has too little; "": not known."""
        room = disk_room(self.offer, self.free_disk)
        return self.offer.verdict if room == "convert" or not self.offer.fits else room

    @property
    def asked(self) -> object:
        """The button's install request, where the model is not installed."""
        return self.offer

    def lines(self) -> Lines:
        """Return its texts in the window's language."""
        offer = self.offer
        get, chat = QCoreApplication.translate("Catalogue", "Get"), QCoreApplication.translate("Catalogue", "Chat")
        here = QCoreApplication.translate("Catalogue", "installed")
        use = here if offer.model.measures else chat
        button = use if self.installed is not None else self.under_way or get
        badge = here if self.installed is not None else verdict_words(self.verdict)
        warning = "" if self.installed is not None or not offer.fits else shortage(offer, self.free_disk)
        return Lines(offer.model.name, badge, purpose(offer), nature(offer), cost(offer), warning, button)

    def tip(self) -> str:
        """Return all that is known of it."""
        return everything(self.offer)

    def looks_like(self, other: Row) -> bool:
        """Tell whether both show the same."""
        mine, theirs = (
            (self.installed, self.free_disk, self.under_way),
            (other.installed, other.free_disk, other.under_way),
        )
        return self.offer is other.offer and mine == theirs


class CatalogueModelList(QAbstractListModel):
    """The rows that pass the search."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin empty."""
        super().__init__(parent)
        self._rows: list[ListedModel] = []

    def show_rows(self, rows: Sequence[ListedModel]) -> None:
        """Show other rows; where they are the same models, nothing scrolls."""
        before, self._rows = self._rows, list(rows)
        if [row.key for row in rows] != [row.key for row in before]:
            self.beginResetModel()
            self.endResetModel()
            return
        for number, (row, old) in enumerate(zip(rows, before, strict=True)):
            if not row.looks_like(old):
                self.dataChanged.emit(self.index(number), self.index(number))

    def rowCount(self, parent: Index | None = None) -> int:  # noqa: N802  (Qt's name)
        """Return how many there are."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the row, and its words for tips and screen readers."""
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if role == _ROW:
            return row
        if role == Qt.ItemDataRole.DisplayRole:
            return words_of(row).name
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.tip()
        if role == Qt.ItemDataRole.AccessibleTextRole:
            lines = words_of(row)
            texts = (lines.name, lines.badge, lines.purpose, lines.nature, lines.cost, lines.warning, lines.button)
            return ". ".join(text for text in texts if text)
        return None


@lru_cache(512)
def words_of(row: ListedModel) -> Lines:
    """Return the texts of a row in the window's language."""
    return row.lines()


class CatalogueList(QListView):
    """The rows; Enter or a click on a row's button acts."""

    get_asked = Signal(object)
    """`ListedModel.asked` of the row."""
    chat_asked = Signal(InstalledModel)
    left_upwards = Signal()
    """The arrow key went up from the first row."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin empty."""
        super().__init__(parent)
        self.setObjectName("catalogueList")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._model = CatalogueModelList(self)
        self.setModel(self._model)
        self.setItemDelegate(_RowDelegate(self))
        self.setFrameShape(QListView.Shape.NoFrame)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setMouseTracking(True)
        self.setLayoutMode(QListView.LayoutMode.Batched)  # wrapping the texts of all rows takes longer than a frame
        self.setBatchSize(_BATCH)
        self.verticalScrollBar().setSingleStep(24)

    def show_rows(self, rows: Sequence[ListedModel]) -> None:
        """Show other rows, or the same ones as they are now."""
        self._model.show_rows(rows)

    def row_at(self, number: int) -> Any:
        """Return a row."""
        return self._model.index(number).data(_ROW)

    def rows_in_sight(self) -> list[Any]:
        """Return the rows of which a part can be seen."""
        area = self.viewport().rect()
        shown = (self._model.index(number) for number in range(self._model.rowCount()))
        return [index.data(_ROW) for index in shown if self.visualRect(index).intersects(area)]

    def button_rect(self, index: Index) -> QRect:
        """Return where a row's button is."""
        return _button_of(self.visualRect(index))

    def act(self, index: Index) -> None:
        """Do what a row's button says."""
        row: ListedModel | None = index.data(_ROW)
        if row is None or not row.can_act:
            return
        if row.installed is not None:
            self.chat_asked.emit(row.installed)
        else:
            self.get_asked.emit(row.asked)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        """Act on Enter, and leave upwards."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.act(self.currentIndex())
        elif event.key() == Qt.Key.Key_Up and self.currentIndex().row() <= 0:
            self.left_upwards.emit()
        elif is_written(event):
            event.ignore()  # it is for the search
        else:
            super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Act on a click on a button."""
        super().mouseReleaseEvent(event)
        index = self.indexAt(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and self._is_on_button(event.position().toPoint()):
            self.act(index)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Show a hand over a button."""
        super().mouseMoveEvent(event)
        if self._is_on_button(event.position().toPoint()):
            self.viewport().setCursor(Qt.CursorShape.PointingHandCursor)
        else:
            self.viewport().unsetCursor()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Wrap the texts anew."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.scheduleDelayedItemsLayout()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follow language, font and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self.scheduleDelayedItemsLayout()

    def _is_on_button(self, place: QPoint) -> bool:
        index = self.indexAt(place)
        row: ListedModel | None = index.data(_ROW)
        return row is not None and row.can_act and self.button_rect(index).contains(place)


class _Fonts:
    """The three fonts of a row, with their measures."""

    def __init__(self, base: QFont) -> None:
        self.name, self.text, self.small = QFont(base), QFont(base), QFont(base)
        self.name.setWeight(QFont.Weight.DemiBold)
        self.small.setPointSizeF(base.pointSizeF() * 0.88 if base.pointSizeF() > 0 else 9)
        self.of_name, self.of_text, self.of_small = map(QFontMetrics, (self.name, self.text, self.small))


class _RowDelegate(QStyledItemDelegate):
    """Draws rows: as high as their wrapped texts."""

    def __init__(self, view: CatalogueList) -> None:
        super().__init__(view)
        self._view = view

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802  (Qt's name)
        width = self._view.viewport().width()
        return QSize(width, _height(words_of(index.data(_ROW)), width, self._view.font().toString()))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: ListedModel = index.data(_ROW)
        lines, colours = words_of(row), theme.current()
        selected = index.row() == self._view.currentIndex().row() and self._view.hasFocus()
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(colours.accent if selected else colours.border), 2 if selected else 1))
        painter.setBrush(QColor(colours.hover if hovered else colours.surface))
        card = _card_of(option.rect)
        painter.drawRoundedRect(card.adjusted(1, 1, -1, -1), _RADIUS, _RADIUS)
        self._draw_texts(painter, card, row, lines)
        _draw_button(painter, _button_of(option.rect), row, lines, self._view.font())
        painter.restore()

    def _draw_texts(self, painter: QPainter, rect: QRect, row: ListedModel, lines: Lines) -> None:
        colours, fonts = theme.current(), _fonts(self._view.font().toString())
        left, top = rect.left() + _MARGIN, rect.top() + _MARGIN - 2
        width, height = _text_width(rect.width()), fonts.of_name.height()
        name_width = width - (_badge_width(lines.badge, fonts) + _GAP if lines.badge else 0)
        name = fonts.of_name.elidedText(lines.name, Qt.TextElideMode.ElideRight, name_width)
        painter.setFont(fonts.name)
        painter.setPen(QColor(colours.text))
        painter.drawText(QRect(left, top, name_width, height), Qt.AlignmentFlag.AlignVCenter, name)
        if lines.badge:
            at = left + fonts.of_name.horizontalAdvance(name) + _GAP
            colour = "accent" if row.installed is not None else COLOURS.get(row.verdict, "muted")
            _draw_badge(painter, QRect(at, top, _badge_width(lines.badge, fonts), height), lines.badge, colour, fonts)
        top += height + _SPACE
        for text, font, metrics, ink in (
            (lines.purpose, fonts.text, fonts.of_text, colours.text),
            (lines.nature, fonts.small, fonts.of_small, colours.muted),
            (lines.cost, fonts.small, fonts.of_small, colours.muted),
            (lines.warning, fonts.small, fonts.of_small, _warning_ink(row)),
        ):
            if text:
                height = _wrapped(text, metrics, width)
                painter.setFont(font)
                painter.setPen(QColor(ink))
                painter.drawText(QRect(left, top, width, height), Qt.TextFlag.TextWordWrap, text)
                top += height + _SPACE


@lru_cache(4)
def _fonts(base: str) -> _Fonts:
    """Return the fonts for a base font in Qt's own writing."""
    font = QFont()
    font.fromString(base)
    return _Fonts(font)


def _warning_ink(row: ListedModel) -> str:
    ink: str = getattr(theme.current(), "code_number" if row.verdict == "ready_made" else "danger")
    return ink


def _text_width(row_width: int) -> int:
    return max(80, row_width - 2 * _MARGIN - _BUTTON.width() - _GAP)


def _card_of(rect: QRect) -> QRect:
    """Return a row without the gap below it."""
    return rect.adjusted(0, 0, 0, -_BETWEEN)


def _button_of(rect: QRect) -> QRect:
    card = _card_of(rect)
    return QRect(
        QPoint(card.right() - _MARGIN - _BUTTON.width() + 1, card.center().y() - _BUTTON.height() // 2), _BUTTON
    )


def _badge_width(text: str, fonts: _Fonts) -> int:
    return fonts.of_small.horizontalAdvance(text) + 16


def _wrapped(text: str, metrics: QFontMetrics, width: int) -> int:
    """Return the height of a wrapped text."""
    if max(text) < _OTHER_FONTS and metrics.horizontalAdvance(text) <= width:
        return metrics.height()  # the usual case, in a tenth of the time
    return metrics.boundingRect(QRect(0, 0, width, 10_000), Qt.TextFlag.TextWordWrap, text).height()


@lru_cache(1024)
def _height(lines: Lines, width: int, font: str) -> int:
    """Return the height of a row."""
    fonts = _fonts(font)
    texts = (
        (lines.purpose, fonts.of_text),
        *((text, fonts.of_small) for text in (lines.nature, lines.cost, lines.warning)),
    )
    heights = [_wrapped(text, metrics, _text_width(width)) for text, metrics in texts if text]
    return _BETWEEN + 2 * (_MARGIN - 2) + fonts.of_name.height() + sum(heights) + _SPACE * len(heights)


def _draw_badge(painter: QPainter, rect: QRect, text: str, colour: str, fonts: _Fonts) -> None:
    shown = QColor(getattr(theme.current(), colour))
    painter.setPen(QPen(shown, 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    pill = QRect(rect)
    pill.setHeight(fonts.of_small.height() + 3)
    pill.moveCenter(rect.center())
    painter.drawRoundedRect(pill, pill.height() / 2, pill.height() / 2)
    painter.setFont(fonts.small)
    painter.drawText(pill.adjusted(0, -1, 0, 0), Qt.AlignmentFlag.AlignCenter, text)


def _draw_button(painter: QPainter, rect: QRect, row: ListedModel, lines: Lines, font: QFont) -> None:
    colours = theme.current()
    primary = row.can_act and row.installed is None and not lines.warning
    painter.setPen(QPen(QColor(colours.accent if primary else colours.border), 1))
    painter.setBrush(QColor(colours.accent if primary else colours.surface))
    painter.drawRoundedRect(rect, 8, 8)
    ink = colours.on_accent if primary else colours.text if row.can_act else colours.muted
    painter.setPen(QColor(ink))
    painter.setFont(font)
    shown = QFontMetrics(font).elidedText(lines.button, Qt.TextElideMode.ElideRight, rect.width() - 12)
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, shown)
