"""The command palette finds settings by the words that stand beside them."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

import resources
from desktop_app.ui.controllers.palette_entries import _FIELDS, _THEMES, PaletteEntries, matching
from desktop_app.ui.widgets.theme import DARK, LIGHT
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person


@pytest.mark.parametrize("language", ["zh_CN"])
def test_its_words_are_those_of_the_sections(language: str) -> None:
    """Where a section is changed, its words here would be in no language but English."""
    tree = ElementTree.parse(str(resources.FOLDER / "translations" / f"zhiyin_{language}.ts"))  # noqa: S314
    known = {
        (str(context.findtext("name")), str(message.findtext("source")))
        for context in tree.getroot().iter("context")
        for message in context.iter("message")
    }
    wanted = {(context, field) for _, context, fields in _FIELDS for field in fields}
    assert wanted | {("AppearanceSection", words) for words in ("Theme", *_THEMES.values())} <= known


def test_the_theme_and_a_setting_are_found(person: Person) -> None:
    opened: list[str] = []
    entries = PaletteEntries(person.services, {}, opened.append, opened.append)
    (dark,) = matching(entries.all(), "theme dark")
    dark.act()
    person.wait(lambda: person.services.themes.theme == DARK)
    matching(entries.all(), "theme light")[0].act()
    person.wait(lambda: person.services.themes.theme == LIGHT)
    matching(entries.all(), "text size")[0].act()
    assert opened == ["appearance"]


def test_english_words_are_found_in_any_language(open_window: OpenWindow) -> None:
    person = open_window(language="zh_CN")
    entries = PaletteEntries(person.services, {"new": lambda: None}, lambda _: None, lambda _: None).all()
    assert [entry.words for entry in matching(entries, "theme dark")] == ["主题：深色"]
    assert [entry.words for entry in matching(entries, "主题 深")] == ["主题：深色"]
