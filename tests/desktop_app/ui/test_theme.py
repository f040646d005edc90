"""Every text of both themes can be read: contrast by the Web Content Accessibility Guidelines, level AA."""

from __future__ import annotations

import pytest

from desktop_app.ui.theme import DARK, LIGHT, Theme, contrast, style_sheet

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
    assert "$" not in style_sheet(theme, 10)
