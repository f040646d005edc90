"""What is wrong with this computer's network is said by the window too, in its language, with the button that helps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QLineEdit, QPushButton

from desktop_app.library import other_hosts
from desktop_app.ui.models.add_dialog import AddDialog
from desktop_app.ui.models.conversion_dialog import ConversionDialog
from desktop_app.ui.models.conversion_panel import ConversionCard
from desktop_app.ui.settings.network_section import NetworkSection
from desktop_app.ui.settings.settings_page import SettingsPage
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support import hostile_answers as hostile
from tests.support.hub_server import HubServer, Repository
from tests.support.network_cases import SETTINGS, WRONG
from tests.support.window import Person

HOSTS = ("huggingface.co", "hf-mirror.com", "modelscope.cn")


def test_what_is_wrong_is_said_with_the_button_that_helps(
    open_window: OpenWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One window for all: the card of each follows the language."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    person = open_window()
    person.window.open_downloads()
    for case, wrong in WRONG.items():
        with monkeypatch.context() as environment, wrong.prevailing(environment.setenv) as filled:
            person.services.settings.endpoint = filled.endpoint
            job = person.services.conversions.start("org/tiny", "Q8_0")
            person.wait(lambda job=job: job.is_over)
        [card] = person.window.findChildren(ConversionCard)
        others = HOSTS if wrong.elsewhere else ()
        english = filled.english.partition("; ")[0]
        assert said(person, card, "en", english) == {"Try again", *(f"Try {host}" for host in others)} | (
            {"Settings"} if wrong.settings else set()
        ), case
        assert said(person, card, "zh_CN", filled.chinese) == {"重试", *(f"试试 {host}" for host in others)} | (
            {"设置"} if wrong.settings else set()
        ), case
        assert job.error is not None
        assert (job.error.code, "secret" in card._words.text()) == (wrong.code, False)
        card.closed.emit()
        QCoreApplication.sendPostedEvents(card, QEvent.Type.DeferredDelete)


def said(person: Person, card: ConversionCard, language: str, words: str) -> set[str]:
    """Check what a card says in a language, and return what its buttons say."""
    person.services.settings.language = language
    person.services.apply_setting("language")
    person.wait(lambda: card._again.text() == ("Try again" if language == "en" else "重试"))
    assert words in card._words.text()
    return {button.text() for button in card.findChildren(QPushButton) if button.isVisibleTo(card) and button.text()}


def test_the_button_leads_to_the_setting(open_window: OpenWindow) -> None:
    person = open_window(endpoint="hf-mirror.com")
    person.window.open_downloads()
    job = person.services.conversions.start("org/tiny", "Q8_0")
    person.wait(lambda: job.is_over)
    card = person.window.findChild(ConversionCard)
    assert "is no address of a Hub; write it in the settings" in card._words.text()
    person.click("Settings", card)
    assert person.find(NetworkSection)._endpoint.isVisible()
    person.find(SettingsPage).close()


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        running.repositories["org/tiny"] = Repository({"main": {"m-Q8_0.gguf": b"GGUF" * 500_000}})
        yield running


@pytest.mark.parametrize("silent", ["^/api/", "^/cdn/"])
def test_a_silent_host_is_said_and_the_job_is_cancelled(
    open_window: OpenWindow, server: HubServer, silent: str
) -> None:
    part = hostile.head(b"Content-Range: bytes 0-1999999/2000000", status=b"HTTP/1.1 206 Partial Content")
    server.raw[silent] = hostile.slow(server, part + b"GGUF", piece=b"")
    person = open_window(endpoint=server.endpoint)
    job = person.services.conversions.start("org/tiny", "Q8_0")
    person.window.open_downloads()
    card = person.window.findChild(ConversionCard)
    words = "Waiting for the host, which says nothing yet…" if "api" in silent else "nothing comes at the moment"
    person.wait(lambda: words in card._words.text())
    person.services.conversions.cancel(job)
    person.wait(lambda: job.is_over)
    assert job.state == "cancelled"
    assert not server.closing.is_set(), "the host is still silent"


def test_the_dialog_asks_another_host_in_place_and_a_pasted_name_is_kept(
    open_window: OpenWindow, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_hosts, "MIRROR", server.endpoint)
    person = open_window(endpoint="http://no-such-hub.invalid")
    person.window.add_model()
    add = person.find(AddDialog)
    add.findChild(QLineEdit, "repository").setText("org/tiny")
    person.click("Look", add)
    dialog = person.find(ConversionDialog)
    mirror = f"Try {server.endpoint.removeprefix('http://')}"
    person.wait(lambda: mirror in person.buttons(dialog))
    assert {"Try again", mirror, "Try modelscope.cn", "Try huggingface.co", "Cancel"} == set(person.buttons(dialog))
    dialog.reject()
    person.window.add_model()
    add = next(one for one in person.window.findChildren(AddDialog) if one.isVisible())
    assert add.findChild(QLineEdit, "repository").text() == "org/tiny"
    person.click("Look", add)
    dialog = next(one for one in person.window.findChildren(ConversionDialog) if one.isVisible())
    person.wait(lambda: mirror in person.buttons(dialog))
    person.click(mirror, dialog)
    person.wait(lambda: "Download" in person.buttons(dialog))
    dialog.reject()
