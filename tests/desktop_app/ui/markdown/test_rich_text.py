"""What the model writes is drawn, never run, loaded or followed without a click."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject, QPoint, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QTextCursor, QTextDocument, QTextFormat
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from desktop_app.ui.markdown.code_box import CodeBox
from desktop_app.ui.markdown.parser import parse
from desktop_app.ui.markdown.rich_text import RichText, TableText
from desktop_app.ui.markdown.view import MarkdownView, _runs
from tests.support.window import run_events, run_until

HOSTILE = (
    '<script>alert(1)</script> <img src="http://127.0.0.1:9/x.png"> ![p](http://127.0.0.1:9/p.png) '
    "[bad](javascript:alert(1)) <a href='file:///etc/passwd'>x</a>"
)


class Browser(QObject):
    """Stands in for the system's browser."""

    def __init__(self) -> None:
        super().__init__()
        self.visited: list[str] = []

    @Slot(QUrl)
    def visit(self, url: QUrl) -> None:
        self.visited.append(url.toString())


@pytest.fixture
def browser(application: QApplication) -> Iterator[Browser]:
    browser = Browser()
    for scheme in ("http", "https", "file", "javascript"):
        QDesktopServices.setUrlHandler(scheme, browser, "visit")
    yield browser
    for scheme in ("http", "https", "file", "javascript"):
        QDesktopServices.unsetUrlHandler(scheme)


def view_of(text: str) -> MarkdownView:
    view = MarkdownView()
    view.resize(600, 400)
    view.set_text(text)
    view.show()
    while view.is_building:
        run_events(5)
    run_events(20)
    return view


def formats(document: QTextDocument) -> list[QTextFormat]:
    found = []
    block = document.begin()
    while block.isValid():
        iterator = block.begin()
        while not iterator.atEnd():
            found.append(iterator.fragment().charFormat())
            iterator += 1
        block = block.next()
    return found


def test_html_and_pictures_are_neither_made_nor_loaded(browser: Browser) -> None:
    view = view_of(HOSTILE)
    text = view.findChild(RichText)
    assert "<script>" in text.toPlainText()
    assert not any(style.isImageFormat() for style in formats(text.document()))
    assert {style.anchorHref() for style in formats(text.document())} - {""} == {
        "http://127.0.0.1:9/x.png",
        "http://127.0.0.1:9/p.png",
    }
    assert text.loadResource(QTextDocument.ResourceType.ImageResource.value, QUrl("http://127.0.0.1:9/x.png")) is None
    assert browser.visited == []


def test_a_link_opens_with_a_click_and_not_before(browser: Browser) -> None:
    view = view_of("[Zhiyin](https://example.org/zhiyin)")
    text = view.findChild(RichText)
    assert browser.visited == []
    cursor = QTextCursor(text.document())
    cursor.setPosition(3)
    QTest.mouseClick(text.viewport(), Qt.MouseButton.LeftButton, pos=text.cursorRect(cursor).center() + QPoint(2, 0))
    assert browser.visited == ["https://example.org/zhiyin"]
    text.anchorClicked.emit(QUrl("file:///etc/passwd"))
    text.anchorClicked.emit(QUrl("javascript:alert(1)"))
    assert browser.visited == ["https://example.org/zhiyin"]


def test_links_are_reached_by_keyboard(browser: Browser) -> None:
    assert view_of("no link").findChild(RichText).focusPolicy() == Qt.FocusPolicy.NoFocus
    view = view_of("[Zhiyin](https://example.org/zhiyin)")
    text = view.findChild(RichText)
    text.window().activateWindow()
    text.setFocus(Qt.FocusReason.TabFocusReason)
    run_events(20)
    QTest.keyClick(text, Qt.Key.Key_Tab)
    QTest.keyClick(text, Qt.Key.Key_Return)
    assert browser.visited == ["https://example.org/zhiyin"]


def test_code_tables_and_texts_have_their_widgets() -> None:
    view = view_of("Text\n\n```python\nx = 1\n```\n\n| a |\n|---|\n| 1 |\n\nmore")
    kinds = [type(part) for part in view.findChildren(CodeBox) + view.findChildren(RichText)]
    assert kinds.count(CodeBox) == 1
    assert kinds.count(TableText) == 1
    assert kinds.count(RichText) == 2


def test_a_growing_reply_keeps_the_widgets_of_what_is_closed() -> None:
    view = view_of("First paragraph.\n\n```python\nx = 1\n")
    before = view.findChildren(CodeBox)
    view.set_text("First paragraph.\n\n```python\nx = 1\ny = 2\n```\n\nThen more")
    assert view.findChildren(CodeBox) == before
    view.set_text("Something else")
    run_events(20)
    assert [box for box in view.findChildren(CodeBox) if not box.isHidden()] == []


def test_a_long_text_appears_over_several_turns_and_ends_the_same(application: QApplication) -> None:
    text = "".join(
        f"# Part {n}\n\nText *{n}*.\n\n1. one\n   - two\n\n```\ncode {n}\n```\n\n> said\n\n" for n in range(40)
    )
    at_once, grown = view_of(text), MarkdownView()
    assert at_once._runs == _runs(parse(text))
    for end in range(0, len(text) + 97, 97):
        grown.set_text(text[:end])
    while grown.is_building:
        run_events(5)
    assert grown._runs == at_once._runs
    assert len(grown._parts) == len(grown._runs)
    grown.set_text("Another text.")
    run_until(lambda: not grown.is_building)
    assert [type(part) for part in grown._parts] == [RichText]


@pytest.mark.parametrize("count", [30, 60, 200])
def test_a_stored_paragraph_has_its_marks_before_the_view_rests(count: int, application: QApplication) -> None:
    """Shown as it is for a moment, it would move what is read."""
    text = "A word and a *word*. " * count
    view = view_of(text)
    run_until(lambda: not view.is_building)
    assert view._runs == _runs(parse(text))


@pytest.mark.parametrize("step", [40, 100_000])
def test_a_long_reply_has_its_links_whose_addresses_stand_at_its_end(application: QApplication, step: int) -> None:
    text = "See [the guide][1].\n\n" + "Words of a paragraph.\n\n" * 40 + "[1]: https://a.b/guide"
    view = view_of("")
    for end in range(step, len(text) + step, step):
        view.set_text(text[:end])
    run_until(lambda: view._runs == _runs(parse(text)))
    run_until(lambda: not view.is_building)
    assert "https://a.b/guide" in [style.anchorHref() for style in formats(view.findChildren(RichText)[0].document())]


def test_numbers_of_documents_are_links_to_them_and_others_are_not(browser: Browser) -> None:
    view = view_of("It leaves at nine [2], see [1, 7] 和【1】.\n\n| a |\n| - |\n| b [2] |\n\n`[2]` [2](citation:2)")
    opened: list[int] = []
    view.citation_opened.connect(opened.append)
    view.set_citations({1: "tea.md", 2: "report.pdf, page <41>"})
    run_events(20)
    texts = view.findChildren(RichText)
    links = [
        (style.anchorHref(), style.toolTip())
        for text in texts
        for style in formats(text.document())
        if style.isAnchor()
    ]
    tea, report = ("citation:1", "tea.md"), ("citation:2", "report.pdf, page &lt;41&gt;")
    assert sorted(links) == sorted([report, tea, tea, report])
    cursor = texts[0].document().find("[2]")
    cursor.setPosition(cursor.selectionStart() + 1)
    place = texts[0].cursorRect(cursor).center() + QPoint(2, 0)
    QTest.mouseClick(texts[0].viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert (opened, browser.visited) == ([2], [])
    view.set_text(view._text + " It is [1].")
    run_events(400)
    assert (
        sum(style.anchorHref() == "citation:1" for t in view.findChildren(RichText) for style in formats(t.document()))
        == 3
    )
