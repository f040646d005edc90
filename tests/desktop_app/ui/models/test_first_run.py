"""The first time: what this computer has, three models, a file, or the starter at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtWidgets import QPushButton

from desktop_app.library.catalogue import Overview, offers
from desktop_app.library.first_run import USUAL_RATE, FirstRun, first_run
from desktop_app.paths import settings_file, speed_file
from desktop_app.planning.speed import keep_speed
from desktop_app.settings import load_settings
from desktop_app.system.read_speed import TYPES, ReadSpeed
from desktop_app.ui.chat.welcome import Welcome
from desktop_app.ui.models.first_run_page import FirstRunPage
from tests.desktop_app.planning.test_planner import laptop
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person


@pytest.fixture
def newcomer(open_window: OpenWindow) -> Person:
    """Somebody who opens the window for the first time, on a computer whose speed is known."""
    keep_speed(speed_file(), ReadSpeed(dict.fromkeys(TYPES, 4e10), 1, dict.fromkeys(TYPES, 0.0), 1.0))
    person = open_window(welcomed=False)
    person.wait(lambda: page(person).isVisible() and person.window._pages._first_run.found is not None)
    return person


def page(person: Person) -> FirstRunPage:
    return person.window._pages.first_run


def on_a_laptop(person: Person) -> FirstRun:
    """What would be found on a usual laptop."""
    found = person.window._pages._first_run.found
    assert found is not None
    return first_run(found.hardware, Overview(offers(laptop(16))))


def test_a_newcomer_gets_a_model_with_one_click_or_begins_at_once(newcomer: Person) -> None:
    found = on_a_laptop(newcomer)
    page(newcomer).show_found(found, has_starter=True)
    said = newcomer.sentences(page(newcomer))
    assert found.hardware.processor in said and "of memory" in said and "free on the disk" in said
    assert "Best for Chinese · Qwen3.5-2B" in said and "Best for English" in said and "Smallest" in said
    assert "to download, about 10\u00a0min" in said and "tokens a second" in said and "50\u00a0Mbit/s" in said
    assert "knows English only" in said
    newcomer.click("Get", page(newcomer))
    [job] = newcomer.services.conversions.jobs
    assert job.held and job.request.source == found.suggestions[0].offer.model.source
    assert newcomer.find(Welcome).isVisible()
    newcomer.services.conversions.cancel(job)
    assert page(newcomer).isVisible()
    faster = first_run(found.hardware, Overview(offers(laptop(16))), 10 * USUAL_RATE)
    page(newcomer).show_found(faster, has_starter=True)
    said = newcomer.sentences(page(newcomer))
    assert "last download (500\u00a0Mbit/s)" in said and "about 1\u00a0min" in said
    page(newcomer).show_found(replace(found, suggestions=()), has_starter=False)
    assert "No model fits" in newcomer.sentences(page(newcomer))
    shown = [button.text() for button in page(newcomer).findChildren(QPushButton) if button.isVisible()]
    assert shown == ["All models", "Add a model…"]
    page(newcomer).show_found(found, has_starter=True)
    newcomer.ask("Hello")
    newcomer.window.new_chat()
    assert newcomer.find(Welcome).isVisible()
    newcomer.services.settings.welcomed = False
    newcomer.services.chats.delete(newcomer.services.chats.list.conversations[0].id)
    assert page(newcomer).isVisible()
    newcomer.click("Begin at once")
    assert newcomer.find(Welcome).isVisible() and newcomer.editor.hasFocus()
    assert load_settings(settings_file()).welcomed
