"""Formulas of models are read as a user would write them in a line, and what is none stays text."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QTextCharFormat
from PySide6.QtWidgets import QApplication

from desktop_app.ui.markdown.formula import formula
from desktop_app.ui.markdown.parser import parse
from desktop_app.ui.markdown.rich_text import RichText
from desktop_app.ui.markdown.span import Span
from desktop_app.ui.markdown.view import MarkdownView
from tests.support.window import run_events

SCRIPT = {"": "{}", "sub": "_{{{}}}", "super": "^{{{}}}"}


def read(source: str) -> str:
    """Return a formula's text with its scripts marked."""
    groups = groupby(formula(source), key=lambda span: span.script)
    return "".join(SCRIPT[script].format("".join(span.text for span in spans)) for script, spans in groups)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}", "x = (−b ± √(b^{2} − 4ac))/(2a)"),
        (r"\frac12 mv^2", "(1/2) mv^{2}"),
        (r"\frac{d}{dx} f(x) = f'(x)", "(d/dx) f(x) = f′(x)"),
        (r"\frac{\partial f}{\partial x}", "∂f/∂x"),
        (r"\lim_{x \to 0} \frac{\sin x}{x} = 1", "lim_{x→0} (sin x)/x = 1"),
        (r"\mathrm{tr}(A) = \sum_{i=1}^n a_{ii}", "tr(A) = ∑_{i=1}^{n} a_{ii}"),
        (r"e^{-x^2}", "e^{−x²}"),
        (r"e^{x^y}", "e^{x^y}"),
        (r"A \in \mathbb{R}^{n \times n}", "A ∈ ℝ^{n×n}"),
        (r"P(A \mid B) = \frac{P(B \mid A)\,P(A)}{P(B)}", "P(A | B) = (P(B | A)\u2009P(A))/(P(B))"),
        (r"\text{面积} = \pi r^2 = 78.5\ \text{cm}^2", "面积 = πr^{2} = 78.5 cm^{2}"),
        (r"90^\circ, 10{,}000, 50\%", "90°, 10,000, 50%"),
        (r"\left\{ x \mid x \not= 0 \right\}", "{x | x ≠ 0}"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "(1\u00a0\u00a02;\u20033\u00a0\u00a04)"),
        (r"\begin{aligned} a &= b \\[2pt] &= -c \end{aligned}", "a = b\n= −c"),
        (r"\sqrt[3]{x+1} \neq \sqrt2", "∛(x + 1) ≠ √2"),
        (r"a \equiv b \pmod{n}", "a ≡ b\u00a0(mod n)"),
        (r"\hat{y}", "y\u0302"),
        (r"\unheardof{x} y", r"\unheardof xy"),
        (r"\begin{x", r"\begin{x"),
        ("{" * 100 + "x", "{" * 100 + "x"),
    ],
)
def test_a_formula_is_a_line_of_text(source: str, text: str) -> None:
    assert read(source) == text


def test_letters_slant_and_names_do_not() -> None:
    assert formula(r"\sin x") == (Span("sin "), Span("x", italic=True))
    assert formula(r"\mathbf{v} = \boxed{42}") == (Span("v", bold=True), Span(" = "), Span("42", bold=True))


def kinds(source: str) -> list[tuple[str, str]]:
    return [(block.kind, "".join(span.text for span in block.spans)) for block in parse(source)]


@pytest.mark.parametrize(
    "source", ["$$\na\n+ b = c\n$$", "\\[\na\n+ b = c\n\\]", "\\begin{align*}\na\n+ b = c\n\\end{align*}"]
)
def test_a_formula_of_its_own(source: str) -> None:
    assert kinds(f"So:\n{source}\nGood.") == [("paragraph", "So:"), ("formula", "a + b = c"), ("paragraph", "Good.")]


def test_one_that_is_still_being_written_is_shown_and_one_that_nothing_ends_is_text() -> None:
    assert kinds("So:\n\\[ a\n+ b = c") == [("paragraph", "So:"), ("formula", "a + b = c")]
    assert "formula" not in dict(kinds("So:\n\\[ a = b\n\nGood."))


def test_formulas_in_lines_lists_and_tables() -> None:
    assert kinds(r"If \(a_1\), then \[ b^2 = c, \] and $d$.") == [
        ("paragraph", "If a1, then"),
        ("formula", "b2 = c,"),
        ("paragraph", "and d."),
    ]
    [first, second] = parse("- $$x^2$$\n- so **$y$**")
    assert (first.kind, first.marker, second.spans[-1]) == (
        "formula",
        "•",
        Span("y", bold=True, italic=True, formula="y"),
    )
    [table] = parse("| $a_1$ |\n|---|\n| $b$ |")
    assert table.rows[1][0] == (Span("b", italic=True, formula="b"),)


@pytest.mark.parametrize(
    "source",
    [
        "It costs $5, or $10 for two.",
        "From US$5 to US$10, $3/$4.",
        "Set $HOME and $PATH, or $A_B/$C_D.",
        "价格是$5元，还有$",
        "`$x$` and `\\(y\\)`",
        "five \\$ and $ x $",
    ],
)
def test_what_is_no_formula_stays_text(source: str) -> None:
    plain = source.replace("`", "").replace("\\$", "$")
    assert kinds(source) == [("paragraph", plain)]
    assert not any(span.italic for block in parse(source) for span in block.spans)


def test_escaped_brackets_stay_brackets() -> None:
    assert kinds(r"See \[1\] and \(the second part\).") == [("paragraph", "See [1] and (the second part).")]
    assert kinds("```\n$$x$$\n```")[0][0] == "code"


def test_a_formula_without_a_picture_is_shown_in_the_middle_with_its_scripts(application: QApplication) -> None:
    view = MarkdownView()
    view.set_text("So $\\text{速}_1$:\n\n$$\\text{度}^2$$")
    while view.is_building:
        run_events(5)
    text = view.findChild(RichText)
    assert text is not None
    while text.toPlainText() != "So 速1:\n度2":
        run_events(5)
    block = text.document().lastBlock()
    assert block.blockFormat().alignment().name == "AlignHCenter"
    aligned = [fragment.fragment().charFormat().verticalAlignment() for fragment in block]
    assert aligned == [
        QTextCharFormat.VerticalAlignment.AlignNormal,
        QTextCharFormat.VerticalAlignment.AlignSuperScript,
    ]
    view.deleteLater()


PIECES = [
    r"\frac",
    r"\sqrt",
    r"\left",
    r"\right",
    r"\begin{cases}",
    r"\end{cases}",
    r"\hat",
    r"\text",
    r"\not",
    r"\mathbb",
    r"\\",
    *"{}[]^_'&$12x. ",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES)))
def test_whatever_a_model_writes_is_shown(pieces: list[str]) -> None:
    source = "".join(pieces)
    assert formula(source) or not source
