"""Another style sheet for all widgets, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt
from PySide6.QtWidgets import QApplication, QWidget
from shiboken6 import isValid

from desktop_app.ui.widgets.restyling import restyle
from desktop_app.ui.widgets.short_turns import ShortTurns

_POLISHED, _OWN_STYLE = Qt.WidgetAttribute.WA_WState_Polished, Qt.WidgetAttribute.WA_SetStyle


class SheetChange(QObject):
    """Replaces the application's style sheet over many short turns.

    Qt styles all widgets in the turn in which the sheet is set. Those that say that they are not styled yet, or that their style
    is their own, are passed over; they are styled here, the visible ones first. Windows stay as they are until those are done.
    """

    def __init__(self, application: QApplication, parent: QObject) -> None:
        """Nothing is to do."""
        super().__init__(parent)
        self._application = application
        self._frozen: list[QWidget] = []
        self._turns = ShortTurns(self)

    def begin(self, replace: Callable[[], None], seen: Callable[[], None]) -> None:
        """Call `replace`, which sets the sheet, style all widgets, and call `seen` when the visible ones are done."""
        self._turns.begin(self._steps(replace, seen))

    def _steps(self, replace: Callable[[], None], seen: Callable[[], None]) -> Iterator[None]:
        """Do the work; each step is short, but the one that replaces the sheet."""
        for window in self._application.topLevelWidgets():
            if window.isVisible() and window.updatesEnabled():
                window.setUpdatesEnabled(False)
                self._frozen.append(window)
        widgets = _parents_first(self._application)
        for widget in _valid(widgets):
            widget.setAttribute(_POLISHED, False)
            widget.setAttribute(_OWN_STYLE, True)
            yield
        replace()
        yield
        hidden = []
        for widget in _valid(widgets):
            if widget.isVisible():
                _style(widget)
            else:
                hidden.append(widget)
            yield
        for window in _valid(self._frozen):
            window.setUpdatesEnabled(True)
        self._frozen = []
        seen()
        yield
        for widget in _valid(hidden):
            _style(widget)
            yield


def _parents_first(application: QApplication) -> list[QWidget]:
    """Return all widgets, parents before children, to which they hand fonts and colours down."""
    widgets: list[QWidget] = []
    for window in application.topLevelWidgets():
        widgets += [window, *window.findChildren(QWidget)]
    return list(dict.fromkeys(widgets))


def _style(widget: QWidget) -> None:
    widget.setAttribute(_OWN_STYLE, False)
    restyle(widget)
    QCoreApplication.sendEvent(widget, QEvent(QEvent.Type.StyleChange))


def _valid(widgets: Iterable[QWidget]) -> Iterator[QWidget]:
    """Yield those that are still there when their turn comes."""
    return (widget for widget in widgets if isValid(widget))
