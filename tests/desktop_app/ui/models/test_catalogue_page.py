"""The page of models to get: what is said of each, search, filter, keyboard, and a model got and talked to."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QListView

from desktop_app.library.catalogue import catalogue, disk_needed
from desktop_app.library.install import InstallRequest
from desktop_app.system.memory_limits import MainMemory
from desktop_app.system.read_speed import ReadSpeed
from desktop_app.ui.models.catalogue_list import CatalogueList, Row, words_of
from tests.desktop_app.ui.conftest import OpenWindow
from tests.desktop_app.ui.models.test_conversions import checkpoint, publish
from tests.support.hub_server import HubServer
from tests.support.window import Person, run_events

GB = 1_000_000_000
ALL = sum(1 for _ in catalogue().models())


@pytest.fixture(autouse=True)
def laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer of 8 GB with 5.5 GB free, whose threads read 40 GB a second when they wait for each other."""
    monkeypatch.setattr("desktop_app.system.hardware.main_memory", lambda: MainMemory(8 * GB, 5_500_000_000))
    speed = ReadSpeed({"F16": 40.0 * GB / 0.9, "Q4_K": 32.0 * GB / 0.9}, 8)
    monkeypatch.setattr("desktop_app.planning.computer.read_speed", lambda *_: speed)


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        yield running


@pytest.fixture
def person(person: Person) -> Person:
    """A user who looks at the catalogue."""
    person.click("Get models")
    person.wait(lambda: "fit this computer now" in person.sentences())
    return person


def rows(person: Person) -> list[Row]:
    shown = person.find(CatalogueList)
    return [shown.row_at(number) for number in range(shown.model().rowCount())]


def names(person: Person) -> list[str]:
    return [row.offer.model.name for row in rows(person)]


def search(person: Person, text: str) -> None:
    person.find(QLineEdit, "catalogueSearch").setText(text)  # QTest's keys are those of Latin letters


def row_of(person: Person, name: str) -> Row:
    return next(row for row in rows(person) if row.offer.model.name == name)


def press_button(person: Person, number: int = 0) -> None:
    """Click the button of a row."""
    shown = person.find(CatalogueList)
    person.wait(lambda: shown.visualRect(shown.model().index(number, 0)).height() > 0)
    place: QPoint = shown.button_rect(shown.model().index(number, 0)).center()
    QTest.mouseClick(shown.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_every_model_says_what_it_would_be_here(person: Person) -> None:
    assert len(rows(person)) == ALL
    small = words_of(row_of(person, "Qwen3-4B"))
    assert small.badge == "fits"
    assert small.nature == "4B · 中文, English · context 40,960 · 2025 · Apache-2.0"
    assert (
        small.cost
        == "Q4_K_M · about 11 tokens a second · 8.0\u00a0GB to download (2.5\u00a0GB if its publisher has it "
        "ready-made) · 2.5\u00a0GB on disk"
    )
    large = row_of(person, "Qwen3-32B")
    assert words_of(large).badge == "too large"
    assert words_of(large).cost.startswith("even Q2_K needs ")
    assert not large.can_act
    search(person, "qwen3-4b")
    text = person.find(CatalogueList).model().index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert text.startswith("Qwen3-4B. fits. Conversation with or without thinking")
    assert text.endswith("Get")
    tip = person.find(CatalogueList).model().index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert "Qwen/Qwen3-4B" in tip
    assert "free in main memory" in tip


def test_search_and_filter(person: Person) -> None:
    search(person, "deepseek 1.5b")
    assert names(person) == ["DeepSeek-R1-Distill-Qwen-1.5B"]
    search(person, "编程")  # the other language's purpose, and names of languages, are searched too
    assert {"Qwen2.5-Coder-1.5B-Instruct", "Qwen2.5-Coder-7B-Instruct"} <= set(names(person))
    assert len(names(person)) < ALL / 4
    search(person, "한국어 glm")
    assert {"glm-4-9b", "glm-4-9b-chat"} <= set(names(person))
    assert "Qwen3-4B" not in names(person)
    search(person, "mixtral")
    person.click("Fits this computer")
    assert names(person) == []
    assert "No model here is about “mixtral”." in person.sentences()
    person.click("Show all models")
    assert len(rows(person)) == ALL
    person.click("Fits this computer")
    assert 0 < len(rows(person)) < ALL
    assert all(row.offer.fits for row in rows(person))


def test_the_keyboard_is_enough(person: Person) -> None:
    asked: list[str] = []
    person.window._pages.catalogue.get_asked.disconnect()
    person.window._pages.catalogue.get_asked.connect(lambda offer: asked.append(offer.model.name))
    field, shown = person.find(QLineEdit, "catalogueSearch"), person.find(CatalogueList)
    assert field.hasFocus()
    QTest.keyClick(field, Qt.Key.Key_Down)
    assert shown.hasFocus()
    QTest.keyClick(shown, Qt.Key.Key_Down)
    QTest.keyClick(shown, Qt.Key.Key_Return)
    assert asked == [names(person)[1]]
    QTest.keyClick(shown, Qt.Key.Key_Up)
    QTest.keyClick(shown, Qt.Key.Key_Up)
    assert field.hasFocus()
    QTest.keyClick(field, Qt.Key.Key_Escape)
    assert person.editor.hasFocus()
    assert not person.window._pages.catalogue.isVisible()
    QTest.keyClick(person.window, Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier)
    assert person.window._pages.catalogue.isVisible()
    assert not person.editor.isVisible()
    person.click("New chat")
    assert person.editor.isVisible()


def test_it_speaks_chinese_and_fits_a_small_window(person: Person) -> None:
    person.services.settings.language = "zh_CN"
    person.services.apply_setting("language")
    person.window.resize(390, 460)
    run_events(50)
    first = words_of(row_of(person, "Qwen3-4B"))
    assert first.purpose == "可思考可直答的对话与工具调用，支持百余种语言。"
    assert (
        first.cost
        == "Q4_K_M · 约每秒 11 个词元 · 下载 8.0\u00a0GB（若发布者有现成文件则为 2.5\u00a0GB） · 占用磁盘 2.5\u00a0GB"
    )
    assert (first.badge, first.button) == ("放得下", "获取")
    shown = person.find(CatalogueList)
    place = shown.visualRect(shown.model().index(0, 0))
    assert place.width() <= shown.viewport().width()
    assert shown.viewport().rect().contains(shown.button_rect(shown.model().index(0, 0)))


def test_where_downloads_come_from_modelscope_the_names_are_those_there(open_window: OpenWindow) -> None:
    person = open_window(endpoint="https://modelscope.cn")
    asked = person.services.conversions._with_endpoint(InstallRequest("meta-llama/Meta-Llama-3-8B-Instruct"))
    assert (asked.source, asked.endpoint) == ("LLM-Research/Meta-Llama-3-8B-Instruct", "https://modelscope.cn")
    assert person.services.conversions._with_endpoint(InstallRequest("some/Model")).source == "some/Model"


def test_a_full_disk_is_told_before(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr("desktop_app.paths.shutil.disk_usage", lambda _: usage._replace(free=10 * GB))
    person.services.catalogue.refresh()
    person.wait(
        lambda: words_of(row_of(person, "Qwen3-4B")).warning.startswith("Download and result take 10.5\u00a0GB of disk")
    )
    assert words_of(row_of(person, "Qwen3-0.6B")).warning == ""


def test_a_model_is_got_and_talked_to(
    open_window: OpenWindow, server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop_app.ui.bridges.conversion_bridge.HELD_MS", 50)
    publish(server, "Qwen/Qwen3-0.6B", checkpoint(tmp_path / "tiny"))
    person = open_window(endpoint=server.endpoint)
    person.wait(lambda: person.model_state == "ready")
    person.click("Get models")
    person.wait(lambda: "fit this computer now" in person.sentences())
    search(person, "Qwen/Qwen3-0.6B")
    assert words_of(rows(person)[0]).button == "Get"
    press_button(person)
    (job,) = person.services.conversions.jobs
    assert job.request.quant == "Q8_0"
    assert not rows(person)[0].can_act, "it is under way"
    assert words_of(rows(person)[0]).button == "waits", "a large download can still be undone"
    person.wait(lambda: words_of(rows(person)[0]).button != "waits")
    person.wait(lambda: job.is_over)
    assert (job.state, job.error) == ("done", None)
    person.wait(lambda: words_of(rows(person)[0]).button == "Chat")
    assert words_of(rows(person)[0]).badge == "installed"
    press_button(person)
    person.wait(lambda: person.model_state == "ready" and not person.services.models.state.model.starter)
    assert not person.window._pages.catalogue.isVisible()
    assert person.services.models.state.model.file_type == "Q8_0"
    person.click("Get models")
    assert words_of(rows(person)[0]).button == "Chat"


def test_the_count_follows_the_search_which_begins_at_the_top(person: Person) -> None:
    shown = person.find(CatalogueList)
    person.wait(lambda: shown.verticalScrollBar().maximum() > 0)
    shown.scrollToBottom()
    search(person, "qwen")
    found = len(rows(person))
    assert 0 < found < ALL
    assert f"of {found} models fit this computer now" in person.sentences()
    assert shown.verticalScrollBar().value() == 0


def test_what_the_disk_has_no_room_for_does_not_fit(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desktop_app.library.catalogue.free_space", lambda _: 3 * GB)
    person.services.catalogue.refresh()
    person.wait(lambda: row_of(person, "Qwen3-4B").free_disk == 3 * GB)
    note = next(line for line in person.sentences().splitlines() if "fit this computer now" in line)
    sure, conditional = int(note.split()[0]), int(note.split("For ")[1].split()[0])
    tight, full = row_of(person, "Qwen3-4B"), row_of(person, "Qwen3-8B")
    assert words_of(tight).badge == "fits ready-made"
    assert (
        words_of(tight).warning
        == "Download and result take 10.5\u00a0GB of disk, 3.0\u00a0GB are free: fits only ready-made, or "
        "converted file by file"
    )
    assert (words_of(full).badge, full.offer.fits) == ("disk too full", True)
    person.click("Fits this computer")
    fitting = [row for row in rows(person) if disk_needed(row.offer) <= 3 * GB or row.installed]
    assert (len(fitting), len(rows(person))) == (sure, sure + conditional)
    assert all(row.offer.disk <= 3 * GB for row in rows(person))
    assert "Qwen3-4B" in names(person) and "Qwen3-8B" not in names(person)


def test_where_only_a_ready_made_file_fits_the_ways_are_shown_before_a_byte_is_fetched(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop_app.library.catalogue.free_space", lambda _: 3 * GB)
    person.services.catalogue.refresh()
    person.wait(lambda: row_of(person, "Qwen3-4B").free_disk == 3 * GB)
    asked: list[InstallRequest] = []
    page = person.window._pages.catalogue
    page.look_asked.disconnect()
    page.look_asked.connect(asked.append)
    search(person, "qwen3-4b")
    press_button(person)
    assert [request.source for request in asked] == ["Qwen/Qwen3-4B"]
    assert person.services.conversions.jobs == []


def test_without_a_trustworthy_speed_the_smallest_come_first_and_it_is_said(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    disturbed = ReadSpeed({"F16": 40.0 * GB, "Q4_K": 0.5 * GB}, spread=3.0)
    monkeypatch.setattr("desktop_app.planning.computer.read_speed", lambda *_: disturbed)
    person.services.catalogue.refresh()
    person.wait(lambda: "too busy to measure its speed" in person.sentences())
    fitting = [row.offer for row in rows(person) if row.offer.fits and row.offer.model.chat]
    assert all(offer.option.tokens_per_second is None for offer in fitting)
    good = [offer.model.parameters for offer in fitting if offer.option.good]
    assert good == sorted(good)
    assert "tokens a second" not in words_of(row_of(person, "Qwen3-4B")).cost


def test_a_large_download_can_be_undone_before_it_begins(person: Person) -> None:
    person.find(QListView, "catalogueList").setFocus()
    before = person.find(CatalogueList).visualRect(person.find(CatalogueList).model().index(0, 0))
    large = row_of(person, "Qwen3-4B").offer
    person.find(CatalogueList).get_asked.emit(large)
    [job] = person.services.conversions.jobs
    assert (job.held, job.state, person.services.conversions.current) == (True, "waiting", None)
    run_events(30)
    assert person.find(CatalogueList).visualRect(person.find(CatalogueList).model().index(0, 0)) == before
    person.click("Undo")
    assert (job.state, person.services.conversions.jobs) == ("cancelled", [])


def test_the_texts_are_true_of_every_size() -> None:
    for entry in {id(entry): entry for entry, _ in catalogue().models()}.values():
        largest = max(model.parameters for other, model in catalogue().models() if other is entry)
        assert largest < 5 or not re.search(r"\bsmall\b", entry.good_for["en"].lower()), entry.title
        assert largest < 5 or not any(word in entry.good_for["zh"] for word in ("小型", "小尺寸", "小模型")), (
            entry.title
        )
