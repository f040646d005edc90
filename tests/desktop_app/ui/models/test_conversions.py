"""Conversions and downloads in the background of the window: one after the other, stopped, failed, and what is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPlainTextEdit

from converter.atomic_write import is_unfinished
from converter.hub.cleanup import KeptDownload
from converter.progress import Progress
from desktop_app.library.install import InstallRequest
from desktop_app.library.jobs import ConversionJob
from desktop_app.paths import downloads_folder, models_folder
from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.markdown.code_box import CodeBox
from desktop_app.ui.models.conversion_panel import ConversionCard
from desktop_app.ui.models.delete_downloads import DeletionQuestion, DownloadsRow
from desktop_app.ui.settings.settings_page import SettingsPage
from tests.benchmarks.bench_convert import write_vocabulary
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.checkpoints import write_checkpoint
from tests.support.hub_server import HubServer, Repository
from tests.support.random_llama import random_llama
from tests.support.window import Person


def checkpoint(folder: Path, **changes: int) -> Path:
    """Write a tiny model with a tokenizer; `hidden_size` makes it larger."""
    config, weights = random_llama(3, **{"vocab_size": 320, "bos_token_id": 1, "eos_token_id": 2} | changes)
    write_checkpoint(folder, config, weights, dtype="F16")
    write_vocabulary(folder / "tokenizer.model", config["vocab_size"])
    return folder


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        yield running


def publish(server: HubServer, name: str, folder: Path) -> None:
    server.repositories[name] = Repository({"main": {path.name: path.read_bytes() for path in folder.iterdir()}})


def names(person: Person) -> list[str]:
    return [model.name for model in person.services.library.models if not model.starter]


def test_a_checkpoint_becomes_a_model_on_the_list(person: Person, tmp_path: Path) -> None:
    bridge, seen = person.services.conversions, []
    bridge.progressed.connect(lambda progress, job: seen.append(progress))
    job = bridge.start(checkpoint(tmp_path / "Tea-Chat"))
    person.wait(lambda: job.is_over)
    assert (job.state, job.error) == ("done", None)
    assert names(person) == ["Tea-103K-Chat-Q8_0"]
    assert job.model == person.services.library.models[0]
    assert job.installed is not None
    assert job.installed.conversion is not None
    assert "decoded 4 tokens" in str(job.installed.conversion.verification.smoke_load)
    assert {progress.phase for progress in seen} == {"converting", "checking"}
    last = seen[-1]
    assert (last.bytes_done, last.items_done) == (last.bytes_total, last.items_total)
    assert bridge.current is None


def test_a_repository_is_downloaded_converted_and_found_again(
    open_window: OpenWindow, tmp_path: Path, server: HubServer
) -> None:
    publish(server, "tiny/Tea-Chat", checkpoint(tmp_path / "tea"))
    person = open_window(endpoint=server.endpoint)
    phases: list[str] = []
    person.services.conversions.progressed.connect(lambda progress: phases.append(progress.phase))
    job = person.services.conversions.start("tiny/Tea-Chat", "Q4_K_M")
    person.wait(lambda: job.is_over)
    assert names(person) == ["Tea-103K-Chat-Q4_K_M"], job.error
    assert list(dict.fromkeys(phases)) == ["downloading", "converting", "checking"]
    again = person.services.conversions.start("tiny/Tea-Chat", "Q4_K_M")
    person.wait(lambda: again.is_over)
    assert again.model == job.model
    assert names(person) == ["Tea-103K-Chat-Q4_K_M"]


def answer(person: Person, words: str) -> None:
    """Answer the question whether to delete."""
    person.click(words, person.find(DeletionQuestion))
    person.wait(lambda: person.window.findChild(DeletionQuestion) is None)


def test_a_download_is_deleted_when_its_model_is_made(
    open_window: OpenWindow, tmp_path: Path, server: HubServer
) -> None:
    source = checkpoint(tmp_path / "tea")
    publish(server, "tiny/Tea-Chat", source)
    person = open_window(endpoint=server.endpoint)
    job = person.services.conversions.start("tiny/Tea-Chat", "Q4_K_M")
    person.wait(lambda: job.is_over)
    person.window.open_downloads()
    card, fetched = person.find(ConversionCard), downloads_folder() / "tiny--Tea-Chat"
    total = size(sum(path.stat().st_size for path in source.iterdir()))
    offer = f"Delete the download ({total})"
    person.wait(lambda: offer in person.buttons(card))
    person.click(offer, card)
    assert "tiny/Tea-Chat" in person.find(DeletionQuestion).text()
    answer(person, "Keep")
    assert (fetched / "model.safetensors").exists()
    person.click(offer, card)
    answer(person, "Delete")
    person.wait(lambda: offer not in person.buttons(card))
    assert [path.name for path in fetched.iterdir() if path.name != ".lock"] == [".hub.json"]
    assert job.model is not None
    assert job.model.path.exists()
    assert names(person) == [job.model.name]

    again = person.services.conversions.start("tiny/Tea-Chat", "Q8_0")
    person.wait(lambda: again.is_over)
    assert (again.state, (fetched / "model.safetensors").exists()) == ("done", True)
    assert again.model != job.model


def test_a_folder_of_the_persons_own_is_never_offered(person: Person, tmp_path: Path) -> None:
    job = person.services.conversions.start(checkpoint(tmp_path / "Tea-Chat"))
    person.wait(lambda: job.is_over)
    asked: list[list[KeptDownload]] = []
    person.services.conversions.find_downloads(person.window, asked.append)
    person.wait(lambda: asked)
    assert asked == [[]]
    person.window.open_downloads()
    assert not [words for words in person.buttons(person.find(ConversionCard)) if "Delete" in words]


def test_the_settings_show_what_downloads_take_and_delete_them(
    open_window: OpenWindow, tmp_path: Path, server: HubServer
) -> None:
    person = open_window(endpoint=server.endpoint)
    bridge = person.services.conversions
    for number, name in enumerate(("tiny/Tea-Chat", "tiny/Coffee")):
        publish(server, name, checkpoint(tmp_path / str(number)))
        job = bridge.start(name, "Q8_0")
        person.wait(lambda job=job: job.is_over)
    person.window.open_settings("models")
    row = person.find(DownloadsRow)
    person.wait(row.isVisible)
    person.click("Delete…", row)
    question = person.find(DeletionQuestion)
    assert "2 downloads" in question.text()
    assert "tiny/Coffee" in question.informativeText()
    answer(person, "Delete")
    person.wait(lambda: not row.isVisible())
    assert not list(downloads_folder().rglob("*.safetensors"))
    assert len(names(person)) == 2
    person.find(SettingsPage).close()


def test_a_download_that_a_job_waits_for_is_not_offered(
    open_window: OpenWindow, tmp_path: Path, server: HubServer
) -> None:
    publish(server, "tiny/Tea-Chat", checkpoint(tmp_path / "tea", hidden_size=256, intermediate_size=2048))
    person = open_window(endpoint=server.endpoint)
    bridge = person.services.conversions
    first = bridge.start("tiny/Tea-Chat", "Q8_0")
    person.wait(lambda: first.is_over)
    second = bridge.start("tiny/Tea-Chat", "F16")
    asked: list[list[str]] = []
    bridge.find_downloads(person.window, lambda kept: asked.append([one.name for one in kept]))
    person.wait(lambda: asked or second.is_over)
    assert asked == [[]]
    person.wait(lambda: second.is_over)
    bridge.find_downloads(person.window, lambda kept: asked.append([one.name for one in kept]))
    person.wait(lambda: len(asked) == 2)
    assert asked[1] == ["tiny/Tea-Chat"]


def test_a_conversion_that_is_stopped_half_way_leaves_nothing(person: Person, tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "big", hidden_size=512, intermediate_size=4096, num_hidden_layers=6)
    bridge = person.services.conversions
    half: list[Path] = []

    def stop(progress: Progress, job: ConversionJob) -> None:
        if progress.phase == "converting" and not half:
            assert job.out is not None
            half.extend(path for path in job.out.parent.iterdir() if is_unfinished(path))
            assert half
            bridge.cancel()

    bridge.progressed.connect(stop)
    job = bridge.start(source, "Q4_K_M")  # slow enough to be stopped on any machine
    person.wait(lambda: job.is_over)
    assert job.state == "cancelled"
    assert half
    assert list(models_folder().iterdir()) == []
    assert names(person) == []


def test_a_download_that_is_stopped_goes_on_later(open_window: OpenWindow, tmp_path: Path, server: HubServer) -> None:
    publish(server, "tiny/Tea-Chat", checkpoint(tmp_path / "tea", hidden_size=256, intermediate_size=2048))
    person = open_window(endpoint=server.endpoint)
    server.faults.drop_after, server.faults.drops = 2_000_000, 1  # stays at 2 MB for the second before another try
    bridge = person.services.conversions
    job = bridge.start("tiny/Tea-Chat", "F16")
    person.wait(lambda: list(downloads_folder().glob("*/.model.safetensors.*.part")))
    (part,) = downloads_folder().glob("*/.model.safetensors.*.part")
    person.wait(lambda: part.stat().st_size == 2_000_000)
    bridge.cancel(job)
    person.wait(lambda: job.is_over)
    assert job.state == "cancelled"
    said: list[str] = []
    person.window.open_downloads()
    bridge.progressed.connect(lambda *_: said.append(person.sentences(person.find(ConversionCard))))
    job = bridge.start("tiny/Tea-Chat", "F16")
    person.wait(lambda: job.is_over)
    assert job.state == "done", job.error
    assert any("Going on with the download:" in words and " left, file" in words for words in said)
    assert server.fetched("model.safetensors")[-1].startswith("bytes=2000000-")


def test_jobs_wait_for_each_other_and_one_that_fails_stops_nothing(person: Person, tmp_path: Path) -> None:
    bridge = person.services.conversions
    source = checkpoint(tmp_path / "tea")
    cut = checkpoint(tmp_path / "cut")
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:-100])
    order: list[tuple[str, str]] = []
    for signal in (bridge.finished, bridge.failed, bridge.cancelled):
        signal.connect(lambda *arguments: order.append((arguments[-1].name, arguments[-1].state)))
    jobs = [bridge.start(path, "Q8_0") for path in (cut, source, source)]
    assert bridge.jobs == jobs
    assert [job.state for job in jobs] == ["running", "waiting", "waiting"]
    bridge.cancel(jobs[2])
    person.wait(lambda: not bridge.jobs)
    assert order == [("tea", "cancelled"), ("cut", "failed"), ("tea", "done")]
    assert "model.safetensors" in str(jobs[0].error)
    assert [path.name for path in models_folder().iterdir()] == ["Tea-103K-Q8_0.gguf"]


def test_a_fault_of_our_own_is_said_in_one_sentence_with_the_details_apart(person: Person, tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "Tea-Chat")
    request = InstallRequest(source, "Q8_0", threads="two")  # type: ignore[arg-type]  # a mistake that the core does not expect
    job = person.services.conversions.install(request)
    person.wait(lambda: job.is_over)
    person.window.open_downloads()
    card = person.find(ConversionCard)
    [sentence] = [text for text in person.sentences(card).splitlines() if "mistake" in text]
    assert str(source) in sentence
    assert "try again" in sentence
    assert "Error" not in sentence
    assert card.findChild(CodeBox) is None
    person.click("Details", card)
    shown = card.findChild(CodeBox).findChild(QPlainTextEdit).toPlainText()
    assert str(source) in shown
    assert "Traceback (most recent call last)" in shown
    assert "TypeError" in shown
    person.click("Copy code", card)
    assert QGuiApplication.clipboard().text() == job.details
    person.click("Details", card)
    assert not card.findChild(CodeBox).isVisible()


def test_closing_stops_what_is_under_way(person: Person, tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "big", hidden_size=512, intermediate_size=4096, num_hidden_layers=6)
    bridge: ConversionBridge = person.services.conversions
    job = bridge.start(source, "F16")
    person.wait(lambda: job.out is not None)
    bridge.close()
    assert list(models_folder().iterdir()) == []
