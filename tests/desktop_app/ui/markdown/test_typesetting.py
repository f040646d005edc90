"""Formulas are set as in print, copied as they were written, and lines of text where they cannot be set."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QBuffer, QMimeData
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QApplication

from desktop_app.ui.markdown.formula_objects import OBJECT_SIGN, formula_objects
from desktop_app.ui.markdown.rich_text import RichText
from desktop_app.ui.markdown.typesetting import typeset
from desktop_app.ui.markdown.view import MarkdownView
from tests.support.window import run_events


@pytest.mark.parametrize(
    "source",
    [
        r"\frac{-b \pm \sqrt{b^2 - 4ac}}{2a}",
        r"\sum_{i=1}^n i^2",
        r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}^{-1}",
        r"\begin{cases} x & x > 0 \\ -x & \text{otherwise} \end{cases}",
        r"\begin{aligned} a &= b \\ &= c \end{aligned}",
        r"\int_0^\infty e^{-x^2}\,dx",
        r"A \in \mathbb{R}^{n \times n}",
    ],
)
def test_what_models_write_is_set(source: str) -> None:
    found = typeset(source, display=True)
    assert found is not None
    assert found.width > 0.5
    assert found.ascent > 0.5
    assert "<use" not in found.svg, "Qt draws none"


@pytest.mark.parametrize("source", [r"\frac{1}", r"\text{速度} = s", r"\notacommand{x}", "x" * 2000, r"\begin{a}"])
def test_what_cannot_be_set_is_said(source: str) -> None:
    assert typeset(source, display=False) is None


def test_a_fraction_hangs_below_the_line_and_is_higher_alone() -> None:
    inline, display = typeset(r"\frac12", display=False), typeset(r"\frac12", display=True)
    assert inline is not None
    assert display is not None
    assert inline.descent > 0.2
    assert display.ascent + display.descent > inline.ascent + inline.descent


def shown(text: str) -> MarkdownView:
    view = MarkdownView()
    view.resize(500, 400)
    view.set_text(text)
    view.show()
    while view.is_building:
        run_events(5)
    return view


def wait(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        run_events(10)
    raise AssertionError("it did not come")


def is_done(text: RichText) -> Callable[[], bool]:
    return lambda: not text._waiting


def test_formulas_are_drawn_copied_and_told(application: QApplication) -> None:
    view = shown("Let $x_1 = 2$ and\n\n$$\\frac{a}{b}$$\n\nso $\\text{速度}$ it is.")
    text = view.findChild(RichText)
    assert text is not None
    wait(is_done(text))
    assert text.toPlainText().count(OBJECT_SIGN) == 2
    assert "速度" in text.toPlainText(), "what cannot be set is a line of text"
    text.selectAll()
    copied: QMimeData = text.createMimeDataFromSelection()
    assert copied.text() == "Let $x_1 = 2$ and\n$$\\frac{a}{b}$$\nso 速度 it is."
    assert not copied.hasHtml()
    assert "x1 = 2" in text.accessibleName()
    assert "a/b" in text.accessibleName()
    assert OBJECT_SIGN not in text.accessibleName()
    picture = view.grab()
    buffer = QBuffer()
    assert picture.save(buffer, "PNG")
    view.deleteLater()


def test_a_formula_that_is_too_wide_is_made_narrower(application: QApplication) -> None:
    long = " + ".join(f"a_{{{number}}}" for number in range(60))
    view = shown(f"$${long}$$")
    text = view.findChild(RichText)
    assert text is not None
    wait(is_done(text))
    assert text.document().idealWidth() <= text.width()
    view.deleteLater()


def test_each_formula_is_made_once(application: QApplication) -> None:
    view = shown("\n\n".join(f"$y_{number} = \\frac{{{number}}}{{7}}$ and $z^2$" for number in range(20)))
    text = view.findChild(RichText)
    assert text is not None
    wait(lambda: not view.is_building and not text._waiting)
    made = [key for key in formula_objects().typesetter._made if key[0].startswith(("y_", "z^"))]
    assert len(made) == 21
    cursor = QTextCursor(text.document())
    cursor.select(QTextCursor.SelectionType.Document)
    assert cursor.selectedText().count(OBJECT_SIGN) == 40
    view.deleteLater()
