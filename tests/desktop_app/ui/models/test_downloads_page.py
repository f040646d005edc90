"""The page of downloads: they pause, go on, change places and are tried again, and nothing is forgotten by a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QComboBox, QFileDialog

from desktop_app.library.download_record import read_record
from desktop_app.library.jobs import ConversionJob
from desktop_app.paths import settings_file
from desktop_app.settings import load_settings
from desktop_app.ui.models.conversion_panel import ConversionCard, ConversionPanel
from desktop_app.ui.models.downloads_button import DownloadsButton
from desktop_app.ui.models.downloads_history import DownloadsHistory
from desktop_app.ui.models.downloads_page import DownloadsPage
from desktop_app.ui.settings.settings_page import SettingsPage
from tests.desktop_app.ui.conftest import OpenWindow
from tests.desktop_app.ui.models.test_conversions import checkpoint, names
from tests.support.hub_server import HubServer, Repository
from tests.support.window import Person


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = checkpoint(tmp_path_factory.mktemp("tea"), hidden_size=256, intermediate_size=1024)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def server(published: dict[str, bytes]) -> Iterator[HubServer]:
    repositories = {f"tiny/{name}": Repository({"main": published}) for name in ("Tea", "Coffee", "Water")}
    with HubServer(repositories) as running:
        yield running


def card_of(person: Person, job: ConversionJob) -> ConversionCard:
    card = next(card for card in person.find(ConversionPanel).findChildren(ConversionCard) if card.job is job)
    person.wait(card.isVisible)
    return card


def came(job: ConversionJob) -> int:
    return job.progress.bytes_done if job.progress is not None else 0


def test_downloads_pause_go_on_and_change_places(open_window: OpenWindow, server: HubServer) -> None:
    server.faults.bytes_per_second = 2_000_000
    person = open_window(endpoint=server.endpoint)
    person.window.open_downloads()
    bridge = person.services.conversions
    tea, coffee, water = (bridge.start(f"tiny/{name}", "Q8_0") for name in ("Tea", "Coffee", "Water"))
    assert bridge.queue.queued == [coffee, water]
    person.click("Move up", card_of(person, water))
    assert bridge.queue.queued == [water, coffee]
    person.click("Pause", card_of(person, coffee))
    assert coffee.state == "paused"
    person.wait(lambda: came(tea) > 300_000)
    person.click("Pause", card_of(person, tea))
    person.wait(lambda: tea.state == "paused")
    assert bridge.current is water, "the next one that does not pause"
    person.click("Pause", card_of(person, water))
    person.wait(lambda: bridge.current is None)
    server.faults.bytes_per_second = 0
    server.requests.clear()
    person.click("Go on", card_of(person, tea))
    person.wait(lambda: tea.is_over)
    assert tea.state == "done", tea.error
    assert not str(server.fetched("model.safetensors")[-1]).startswith("bytes=0-"), "what had come is kept"
    assert [job.state for job in (coffee, water)] == ["paused", "paused"]
    for job in (coffee, water):
        bridge.cancel(job)
    assert [one.outcome for one in bridge.history] == ["cancelled", "cancelled", "done"]
    assert not bridge.jobs


def test_what_was_not_finished_pauses_after_a_restart(open_window: OpenWindow, server: HubServer) -> None:
    server.faults.bytes_per_second = 500_000
    person = open_window(endpoint=server.endpoint)
    bridge = person.services.conversions
    tea, _ = (bridge.start(f"tiny/{name}", "Q8_0") for name in ("Tea", "Coffee"))
    person.wait(lambda: came(tea) > 100_000)
    person.window._may_stop = True
    person.close()
    assert [wanted.source for wanted in read_record().unfinished] == ["tiny/Tea", "tiny/Coffee"]
    server.faults.bytes_per_second = 0
    server.requests.clear()
    person = open_window()
    bridge = person.services.conversions
    person.wait(lambda: len(bridge.jobs) == 2)
    assert [(job.name, job.state) for job in bridge.jobs] == [("tiny/Tea", "paused"), ("tiny/Coffee", "paused")]
    assert server.requests == [], "nothing is fetched before the user asks"
    person.window.open_downloads()
    person.click("Go on", card_of(person, bridge.jobs[0]))
    person.wait(lambda: bridge.queue.outcomes)
    assert not str(server.fetched("model.safetensors")[-1]).startswith("bytes=0-")
    assert len(names(person)) == 1
    person.wait(lambda: [wanted.source for wanted in read_record().unfinished] == ["tiny/Coffee"])


def test_the_history_outlives_the_window_and_is_tried_again(open_window: OpenWindow, server: HubServer) -> None:
    person = open_window(endpoint=server.endpoint)
    bridge = person.services.conversions
    job = bridge.start("tiny/None", "Q8_0")
    person.wait(lambda: job.is_over)
    assert "failed" in person.find(DownloadsButton)._button.text()
    person.window.open_downloads()
    history = person.find(DownloadsHistory)
    assert not history.isVisible(), "it has a card"
    person.click("Close", card_of(person, job))
    assert "tiny/None · Q8_0" in person.sentences(history)
    assert "There is no repository tiny/None" in person.sentences(history)
    person.close()
    server.repositories["tiny/None"] = server.repositories["tiny/Tea"]
    person = open_window()
    person.window.open_downloads()
    history = person.find(DownloadsHistory)
    person.wait(history.isVisible)
    person.click("Try again", history)
    bridge = person.services.conversions
    person.wait(lambda: bridge.queue.outcomes)
    [made] = bridge.queue.outcomes
    assert made.state == "done", made.error
    assert "is ready" in person.find(DownloadsButton)._button.text()
    bridge.dismiss(made)
    assert "finished" in person.sentences(history)
    person.click("Clear the list", history)
    assert not history.isVisible()
    person.wait(lambda: read_record().ended == ())


def test_speed_and_mirror_are_chosen_there(person: Person) -> None:
    person.window.open_downloads()
    limit, mirror = person.find(DownloadsPage).findChildren(QComboBox)
    for box, row in ((limit, 2), (mirror, 1)):
        box.setCurrentIndex(row)
        box.activated.emit(row)
    settings = load_settings(settings_file())
    assert (settings.download_limit, settings.mirror) == (5, "https://hf-mirror.com")


def test_a_retry_says_why_and_when(open_window: OpenWindow, server: HubServer) -> None:
    server.repositories["tiny/Made"] = Repository({"main": {"m-Q8_0.gguf": b"GGUF" * 500_000}})
    server.faults.status, server.faults.status_count, server.faults.retry_after = 503, 99, "30"
    person = open_window(endpoint=server.endpoint)
    person.window.open_downloads()
    job = person.services.conversions.start("tiny/Made", "Q8_0")
    card = card_of(person, job)
    person.wait(lambda: "The server asked to wait 30\u00a0s: trying again at " in card._words.text())
    person.services.conversions.cancel(job)
    person.wait(lambda: job.is_over)


def test_a_folder_that_is_converted_is_in_the_history_and_does_not_pause(person: Person, tmp_path: Path) -> None:
    job = person.services.conversions.start(checkpoint(tmp_path / "Milk"), "Q8_0")
    assert not job.can_pause
    person.services.conversions.pause(job)
    person.wait(lambda: job.is_over)
    assert job.state == "done"
    person.wait(lambda: [(one.wanted.name, one.outcome) for one in read_record().ended] == [("Milk", "done")])


def test_the_folder_of_models_is_chosen_in_the_settings(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "disk"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(target))
    person.window.open_settings("models")
    job = person.services.conversions.start(checkpoint(tmp_path / "Milk"), "Q8_0")
    person.click("Move models and downloads to another folder…")
    assert "wait for it, or stop it" in person.sentences()
    person.wait(lambda: job.is_over)
    [name] = names(person)
    person.click("Move models and downloads to another folder…")
    person.wait(lambda: not person.services.storage.under_way and person.model_state == "ready")
    assert person.services.storage.error is None
    assert [path.stem for path in (target / "models").glob("*.gguf")] == [name]
    person.wait(lambda: names(person) == [name])
    assert str(target / "models") in person.sentences()
    person.find(SettingsPage).close()
