"""Finds words in the open chat: counts on a thread, marks what is built, and brings one place into sight."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer
from shiboken6 import isValid

from desktop_app.ui.bridges.background import Background
from desktop_app.ui.chat.chat_session import ChatSession
from desktop_app.ui.chat.chat_view import ChatView
from desktop_app.ui.chat.find_bar import FindBar
from desktop_app.ui.chat.finding import Hit, find_hits
from desktop_app.ui.markdown.marks import mark, texts_in

_PAUSE_MS = 120
"""After a letter, until the search begins."""
_MARGIN = 80
"""Pixels that stay above and below the place."""
_EDGE = 12


class ChatFinder(QObject):
    """Belongs to a chat view, and lays its bar over it."""

    def __init__(self, session: ChatSession, view: ChatView) -> None:
        """Begin without a search."""
        super().__init__(view)
        self._session, self._view = session, view
        self._hits: list[Hit] = []
        self._place = -1
        self._first = ""
        """The message whose first place is shown at first; "": the last place of all."""
        self._expected: tuple[str, str] | None = None
        self._asked = 0
        self._scrolls = False
        """The place is in a message that is still to be built."""
        self.bar = FindBar(view)
        self.bar.hide()
        self.bar.searched.connect(self._wait)
        self.bar.stepped.connect(self._step)
        self.bar.closed.connect(self._end)
        self._pause = QTimer(self, singleShot=True, interval=_PAUSE_MS)
        self._pause.timeout.connect(self._search)
        self._counter = Background("find", self)
        view.resized.connect(self._put)
        view.built.connect(self._mark)
        session.list.opened.connect(self._chat_changed)
        session.replies.ended.connect(lambda _: self._again())

    def expect(self, words: str, message: str) -> None:
        """Begin at a message as soon as its chat is shown."""
        self._expected = (words, message)
        self._begin_expected()

    def begin(self, words: str = "", message: str = "") -> None:
        """Show the bar; `message`: where some words were found already."""
        self._put()
        self._view.setViewportMargins(0, self.bar.height() + _EDGE, 0, 0)  # it would lie on the first message
        self.bar.begin(words)
        self._first = message
        if self.bar.words:
            self._search()

    def _put(self) -> None:
        self.bar.adjustSize()
        self.bar.setFixedWidth(min(400, self._view.viewport().width() - 2 * _EDGE))
        self.bar.move(self._view.viewport().width() - self.bar.width() - _EDGE, _EDGE)

    def _wait(self, words: str) -> None:
        self._first = ""
        if words:
            self._pause.start()
        else:
            self._found([])

    def _again(self) -> None:
        if not self.bar.isHidden() and self.bar.words:
            self._pause.start()

    def _chat_changed(self) -> None:
        if not self._begin_expected():
            self.bar.close()

    def _begin_expected(self) -> bool:
        """Begin the search that another chat was opened for, once it is there."""
        if self._expected is None or all(one.id != self._expected[1] for one in self._session.list.path):
            return False
        (words, message), self._expected = self._expected, None
        self._first = ""
        self.bar.hide()
        self.begin(words, message)
        return True

    def _search(self) -> None:
        self._pause.stop()
        self._asked += 1
        asked, words, messages = self._asked, self.bar.words, list(self._session.list.path)

        def show(hits: list[Hit]) -> None:
            if isValid(self) and asked == self._asked:
                self._found(hits)

        self._counter.run(lambda: find_hits(messages, words), show)

    def _found(self, hits: list[Hit]) -> None:
        before = self._hits[self._place] if 0 <= self._place < len(self._hits) else None
        self._hits = hits
        first = next((number for number, hit in enumerate(hits) if hit.message == self._first), len(hits) - 1)
        if self._first and not hits:
            self._view.show_message(self._first)  # what was found stands in a document or a thought of it
        self._place = hits.index(before) if before in hits and not self._first else first
        self._show_place()

    def _step(self, by: int) -> None:
        if self._hits:
            self._place = (self._place + by) % len(self._hits)
            self._show_place()

    def _show_place(self) -> None:
        self.bar.show_count(self._place + 1, len(self._hits))
        if self._hits:
            self._view.build_up_to(self._hits[self._place].message)
        self._mark(scrolls=True)

    def _mark(self, *, scrolls: bool = False) -> None:
        """Mark the places in all messages that are built; scroll to the one that is shown, once it is."""
        words = "" if self.bar.isHidden() else self.bar.words
        shown = self._hits[self._place] if 0 <= self._place < len(self._hits) else None
        self._scrolls = shown is not None and (scrolls or self._scrolls)
        for widget in self._view.messages:
            if shown is None or widget.message.id != shown.message:
                mark(texts_in(widget.answer), words)
                continue
            widget.show_all()
            place = mark(texts_in(widget.answer), words, shown.index)
            if place is not None and self._scrolls and not widget.is_building:
                text, point = place
                self._view.scroll_to(text.viewport(), point, _MARGIN)
                self._scrolls = False

    def _end(self) -> None:
        self._hits, self._place = [], -1
        self._asked += 1
        self._view.setViewportMargins(0, 0, 0, 0)
        self._mark()
        self._view.left.emit()
