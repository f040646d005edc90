"""Every text of both themes can be read: contrast by the Web Content Accessibility Guidelines, level AA."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication, QFrame, QLabel, QLineEdit, QPushButton, QWidget

from desktop_app.chat.conversation import Message
from desktop_app.ui.chat.message_edit import MessageEdit
from desktop_app.ui.chat.message_widget import Versions
from desktop_app.ui.chat.question_widget import QuestionWidget
from desktop_app.ui.chat.reply_widget import ReplyWidget
from desktop_app.ui.markdown.view import MarkdownView
from desktop_app.ui.widgets import short_turns
from desktop_app.ui.widgets.icons import PADDING, IconButton, draw_icons, icon
from desktop_app.ui.widgets.look import SIZES, Look, larger
from desktop_app.ui.widgets.notice import Notice
from desktop_app.ui.widgets.theme import DARK, LIGHT, Theme, ThemeKeeper, contrast, style_sheet
from tests.support.window import run_events, run_until

BACKGROUNDS = ("window", "sidebar", "surface")
TEXTS = [
    *[(colour, behind) for colour in ("text", "muted") for behind in (*BACKGROUNDS, "hover")],
    *[("text", behind) for behind in ("selected", "bubble", "code")],
    *[(colour, behind) for colour in ("link", "danger") for behind in ("window", "surface", "bubble")],
    *[(f"code_{part}", "code") for part in ("keyword", "string", "number", "comment", "name")],
    ("muted", "code"),
    ("on_accent", "accent"),
    ("on_accent", "accent_hover"),
    ("on_warning", "warning"),
    ("text", "warning"),
    ("text", "match"),
    ("on_found_now", "found_now"),
]
EDGES = [
    ("control", "window"),
    ("control", "surface"),
    ("accent", "window"),
    ("accent", "surface"),
    ("accent", "sidebar"),
]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_reach_a_contrast_of_4_5(theme: Theme) -> None:
    found = {pair: contrast(getattr(theme, pair[0]), getattr(theme, pair[1])) for pair in TEXTS}
    assert {pair: round(value, 2) for pair, value in found.items() if value < 4.5} == {}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_edges_of_inputs_and_focus_rings_reach_3(theme: Theme) -> None:
    found = {pair: contrast(getattr(theme, pair[0]), getattr(theme, pair[1])) for pair in EDGES}
    assert {pair: round(value, 2) for pair, value in found.items() if value < 3} == {}


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)  # the well-known grey that just fails


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_colour_of_the_style_sheet_is_filled_in(theme: Theme) -> None:
    assert "$" not in style_sheet(theme, 10, Look())


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_what_an_empty_box_says_is_as_readable_as_other_texts(application: QApplication, mode: str) -> None:
    keeper = ThemeKeeper(application, application)
    keeper.choose(mode)
    for box in (MessageEdit(), QLineEdit()):
        box.setPlaceholderText("Write a message")
        box.ensurePolished()
        colour = box.palette().color(QPalette.ColorRole.PlaceholderText)
        assert (colour.name(), colour.alpha()) == (keeper.theme.muted, 255)


def test_the_icons_below_a_message_are_in_line_with_it(application: QApplication) -> None:
    reply = ReplyWidget(Message("c", None, "assistant", "Hello"), Versions())
    question = QuestionWidget(Message("c", None, "user", "Hello"), Versions())
    for widget in (reply, question):
        widget.resize(500, 200)
        widget.show()
        run_events(20)
    copy, *_ = reply.findChildren(IconButton)
    assert copy.x() + PADDING == reply.findChild(MarkdownView).x()
    edit = max(question.findChildren(IconButton), key=lambda button: button.x())
    assert edit.geometry().right() - PADDING == question.findChild(QFrame, "bubble").geometry().right()


def test_text_grows_in_steps_to_an_end() -> None:
    grown = [larger(percent, 1) for percent in SIZES]
    assert grown == [*SIZES[1:], SIZES[-1]]
    assert larger(SIZES[0], -1) == SIZES[0]
    assert larger(120, 1) == 150, "from the nearest step"


def test_a_look_changes_the_font_and_comes_back(application: QApplication) -> None:
    before = application.font().pointSizeF()
    keeper = ThemeKeeper(application, application)
    changed: list[str] = []
    keeper.changed.connect(lambda: changed.append("changed"))
    keeper.choose("light")
    keeper.choose_look(Look(150, compact=True))
    run_events(20)
    assert application.font().pointSizeF() == pytest.approx(before * 1.5, abs=0.1)
    keeper.choose_look(Look())
    keeper.choose_look(Look(150, compact=True))
    run_events(20)
    assert len(changed) >= 3, "what was taken away for a change that was taken back comes again"
    keeper.choose_look(Look())
    run_events(20)
    assert application.font().pointSizeF() == pytest.approx(before, abs=0.1)


class _Counting(QPushButton):
    """Counts how often it is styled."""

    styled = 0

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        super().changeEvent(event)
        self.styled += event.type() == QEvent.Type.StyleChange


def test_a_change_of_the_theme_styles_a_widget_once_however_deep_it_is(application: QApplication) -> None:
    keeper = ThemeKeeper(application, application)
    keeper.choose("light")
    window = QWidget()
    inner = window
    for _ in range(8):
        inner = QWidget(inner)
    deep, hidden = _Counting(inner), QLabel(window)
    hidden.setObjectName("muted")
    hidden.hide()
    window.show()
    hidden.ensurePolished()
    run_events(20)
    before = deep.styled
    keeper.choose("dark")
    run_events(50)
    assert deep.styled - before == 1
    hidden.show()
    run_until(lambda: hidden.palette().color(QPalette.ColorRole.WindowText).name() == DARK.muted)
    keeper.choose("light")
    run_events(50)
    assert hidden.palette().color(QPalette.ColorRole.WindowText).name() == LIGHT.muted


class _Slow:
    """A clock by which each widget takes longer than a turn may."""

    def __init__(self) -> None:
        self.now = 0.0

    def thread_time(self) -> float:
        self.now += 1
        return self.now


def test_widgets_are_styled_one_a_turn_and_the_window_shows_them_together(
    application: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = ThemeKeeper(application, application)
    keeper.choose("light")
    window = QWidget()
    labels = [QLabel("muted", window, objectName="muted") for _ in range(9)]
    labels[0].hide()
    window.show()
    run_events(20)

    def colours() -> set[str]:
        return {label.palette().color(QPalette.ColorRole.WindowText).name() for label in labels if label.isVisible()}

    turns: list[tuple[bool, set[str]]] = []
    monkeypatch.setattr(short_turns, "time", _Slow())
    keeper.choose("dark")
    while not turns or turns[-1] != (True, {DARK.muted}):
        application.processEvents()
        turns.append((window.updatesEnabled(), colours()))
    assert (False, {LIGHT.muted, DARK.muted}) in turns, "styled over several turns, and not seen meanwhile"
    assert {seen for is_drawn, seen in ((drawn, frozenset(names)) for drawn, names in turns) if is_drawn} <= {
        frozenset({LIGHT.muted}),
        frozenset({DARK.muted}),
    }
    keeper.choose("light")
    run_events(5)
    keeper.choose("dark")  # before the other one is through
    keeper.choose("light")
    run_until(lambda: window.updatesEnabled() and colours() == {LIGHT.muted})
    labels[0].show()
    run_until(lambda: colours() == {LIGHT.muted})


def test_icons_of_buttons_are_drawn_before_the_theme_comes(application: QApplication) -> None:
    button = IconButton("close")
    draw_icons(DARK)
    drawn = icon.cache_info().misses
    assert not button.icon().isNull()
    icon("close", DARK.muted, 18)
    assert icon.cache_info().misses == drawn


def test_a_widget_whose_properties_change_looks_so_at_once(application: QApplication) -> None:
    ThemeKeeper(application, application).choose("light")
    run_events(20)
    notice = Notice()
    notice.say("Something is wrong.")
    notice.show()
    text = notice.findChild(QLabel)
    assert text.palette().color(QPalette.ColorRole.WindowText).name() == LIGHT.on_warning
    notice.say("Something was done.", kind="plain")
    assert text.palette().color(QPalette.ColorRole.WindowText).name() == LIGHT.text
