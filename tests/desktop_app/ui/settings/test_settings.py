"""Settings: every one is reachable, used at once and kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import pytest
from gguf import GGUFValueType, GGUFWriter
from gguf.scripts import gguf_new_metadata
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QPalette, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QSpinBox,
    QTableWidget,
    QTreeWidget,
    QWidget,
)

from converter.hub.permission import Contact
from desktop_app.chat.request import options_from, prompt_messages, sampling
from desktop_app.connections import record
from desktop_app.engine.protocol import SamplingSettings
from desktop_app.library.hub_tokens import token_at
from desktop_app.library.install import InstallRequest
from desktop_app.network import ASKED, OFFLINE, ONLINE, is_offline, position, switch
from desktop_app.paths import data_folder, loads_file, models_folder, settings_file
from desktop_app.planning.calibration import Loads
from desktop_app.settings import Settings, load_settings
from desktop_app.ui.chat.composer import Composer
from desktop_app.ui.settings.chat_section import ChatSection
from desktop_app.ui.settings.sections import SECTIONS, SectionName
from desktop_app.ui.settings.settings_page import SettingsPage
from desktop_app.ui.widgets.theme import DARK, LIGHT
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.gguf_reader import GGUFReader
from tests.support.hub_server import HubServer, Repository
from tests.support.window import Person, run_events


def page_of(person: Person, section: SectionName) -> SettingsPage:
    person.window.open_settings(section)
    return person.window.findChildren(SettingsPage)[-1]


def field(dialog: SettingsPage, label: str) -> QWidget:
    return next(found.buddy() for found in dialog.findChildren(QLabel) if found.text() == label)


def test_every_setting_is_reached_used_and_kept(open_window: OpenWindow) -> None:
    person = open_window()
    dialog = page_of(person, "chat")
    for label, value in {
        "Temperature": 0.25,
        "Top-k": 12,
        "Top-p": 0.5,
        "Min-p": 0.15,
        "Repeat penalty": 1.15,
        "Seed": 7,
        "Longest reply (tokens)": 9,
    }.items():
        box = field(dialog, label)
        assert isinstance(box, (QSpinBox, QDoubleSpinBox))
        box.setValue(value)
    instructions, context = field(dialog, "Instructions"), field(dialog, "Context")
    assert isinstance(instructions, QPlainTextEdit)
    assert isinstance(context, QComboBox)
    instructions.setPlainText("You answer in French.")
    context.setCurrentIndex(context.findData(2048))
    dialog.close()
    settings = person.services.settings
    assert sampling(options_from(settings), {"top_k": 64}) == SamplingSettings(
        temperature=0.25, top_k=12, top_p=0.5, min_p=0.15, repeat_penalty=1.15, seed=7, max_tokens=9
    )
    assert prompt_messages([], settings.system_prompt) == [{"role": "system", "content": "You answer in French."}]
    person.wait(lambda: person.model_state == "ready")
    assert person.services.models.state.info.context == 2048
    person.ask("What is the capital of France? Tell me more about it.")
    facts = person.services.chats.list.path[-1].facts
    assert (facts["tokens"], facts["reason"]) == (9, "length")
    assert "the longest length that the settings allow" in person.sentences()
    assert load_settings(settings_file()) == settings
    assert json.loads(settings_file().read_text("utf-8"))["top_k"] == 12


def test_one_seed_gives_one_reply(person: Person) -> None:
    person.services.settings.temperature, person.services.settings.seed = 1.5, 3
    replies = set()
    for _ in range(2):
        person.window.new_chat()
        replies.add(person.ask("Tell me about rain."))
    assert len(replies) == 1


def test_reset_brings_the_defaults_of_sampling_back(open_window: OpenWindow) -> None:
    person = open_window(top_k=3, seed=9, max_tokens=5, temperature=1.9, system_prompt="Stay.")
    dialog = page_of(person, "chat")
    person.click("Reset to defaults", dialog)
    assert sampling(options_from(person.services.settings), {}) == SamplingSettings()
    assert person.services.settings.system_prompt == "Stay."
    dialog.close()


def test_the_publishers_recommendation_counts_until_it_is_changed(open_window: OpenWindow, starter_gguf: Path) -> None:
    recommending = models_folder() / "Recommending.gguf"
    reader = GGUFReader(starter_gguf)
    writer = GGUFWriter(recommending, "llama")
    gguf_new_metadata.copy_with_new_metadata(
        reader,
        writer,
        {
            "general.sampling.temp": gguf_new_metadata.MetadataDetails(GGUFValueType.FLOAT32, 0.0),
            "general.sampling.top_k": gguf_new_metadata.MetadataDetails(GGUFValueType.INT32, 3000),
        },
        [],
    )
    person = open_window(model="Recommending", temperature=None, max_tokens=4)
    person.wait(lambda: person.model_state == "ready")
    replies = set()
    for _ in range(2):
        person.window.new_chat()
        replies.add(person.ask("Tell me about rain."))
    assert len(replies) == 1  # a temperature of 0, though the usual one is not

    dialog = page_of(person, "chat")
    temperature, top_k, top_p = field(dialog, "Temperature"), field(dialog, "Top-k"), field(dialog, "Top-p")
    assert isinstance(temperature, QDoubleSpinBox)
    assert isinstance(top_k, QSpinBox)
    assert isinstance(top_p, QDoubleSpinBox)
    assert (temperature.value(), top_k.value(), top_p.value()) == (0.0, 3000, SamplingSettings().top_p)
    marked = [box.suffix() for box in (temperature, top_k, top_p)]
    assert ["recommended" in suffix for suffix in marked] == [True, True, False]
    temperature.setValue(1.25)
    assert temperature.suffix() == ""
    model = person.services.models.state.model
    assert model is not None
    assert sampling(options_from(person.services.settings), model.sampling) == SamplingSettings(
        temperature=1.25, top_k=3000, max_tokens=4
    )
    person.click("Reset to defaults", dialog)
    assert (temperature.value(), "recommended" in temperature.suffix()) == (0.0, True)
    assert person.services.settings.temperature is None
    dialog.close()
    assert load_settings(settings_file()).temperature is None


def test_theme_and_language_change_at_once(person: Person, application: QApplication) -> None:
    person.ask("Hello")
    dialog = page_of(person, "appearance")
    theme, language = field(dialog, "Theme"), field(page_of(person, "general"), "Language")
    assert isinstance(theme, QComboBox)
    assert isinstance(language, QComboBox)
    window_colour: Callable[[], str] = lambda: application.palette().color(QPalette.ColorRole.Window).name()  # noqa: E731
    assert window_colour() == LIGHT.window
    theme.setCurrentIndex(theme.findData("dark"))
    person.wait(lambda: window_colour() == DARK.window)
    language.setCurrentIndex(language.findData("zh_CN"))
    person.wait(lambda: "设置" in person.sentences(dialog))
    assert field(dialog, "主题") is theme
    assert person.find(Composer).findChild(QPlainTextEdit).placeholderText().startswith("输入消息")
    dialog.close()
    person.wait(lambda: "复制" in person.buttons())
    assert "今天" in _headings(person)
    language = field(page_of(person, "general"), "语言")
    assert isinstance(language, QComboBox)
    language.setCurrentIndex(language.findData("en"))
    person.wait(lambda: "Settings" in person.sentences())
    person.find(SettingsPage).close()
    person.wait(lambda: "Copy" in person.buttons())
    assert (person.services.settings.theme, person.services.settings.language) == ("dark", "en")


def _headings(person: Person) -> list[str]:
    chats = person.find(QListWidget, "chatList")
    return [chats.item(i).text() for i in range(chats.count())]


def settled_height(person: Person) -> int:
    """Return the height of the first message once it changes no more: the messages are made anew, a few at a time."""
    heights = [0]
    while len(heights) < 4 or len(set(heights[-3:])) > 1:
        run_events(200)
        heights.append(person.widgets[0].height() if person.widgets else -len(heights))
    return heights[-1]


def test_text_size_width_and_density_change_at_once_and_are_kept(person: Person, application: QApplication) -> None:
    person.ask("Hello")
    points = application.font().pointSizeF()
    heights = [widget.height() for widget in person.widgets]
    QTest.keyClick(person.window, Qt.Key.Key_Plus, Qt.KeyboardModifier.ControlModifier)
    person.wait(lambda: application.font().pointSizeF() > points)
    assert person.services.settings.text_size == 110
    page = page_of(person, "appearance")
    size, width, density = (field(page, name) for name in ("Text size", "Width of messages", "Density"))
    assert isinstance(size, QComboBox)
    assert isinstance(width, QComboBox)
    assert isinstance(density, QComboBox)
    assert size.currentText() == "110 % of the system's"
    size.setCurrentIndex(size.findData(150))
    person.wait(lambda: application.font().pointSizeF() == pytest.approx(points * 1.5, abs=0.1))
    page.close()
    person.wait(lambda: [w.height() for w in person.widgets] > heights)
    tall = settled_height(person)
    page = page_of(person, "appearance")
    density = field(page, "Density")
    assert isinstance(density, QComboBox)
    density.setCurrentIndex(1)
    width = field(page, "Width of messages")
    assert isinstance(width, QComboBox)
    width.setCurrentIndex(width.findData("wide"))
    page.close()
    person.wait(lambda: person.widgets[0].height() < tall)
    QTest.keyClick(person.window, Qt.Key.Key_0, Qt.KeyboardModifier.ControlModifier)
    person.wait(lambda: application.font().pointSizeF() == pytest.approx(points, abs=0.1))
    kept = load_settings(settings_file())
    assert (kept.text_size, kept.message_width, kept.compact) == (100, "wide", True)


def test_values_out_of_range_fall_back_to_the_defaults(open_window: OpenWindow) -> None:
    wrong = {"top_k": -5, "top_p": 7, "seed": "x", "theme": "pink", "context": True, "max_tokens": None, "min_p": 0.2}
    settings_file().write_text(json.dumps(wrong), "utf-8")
    assert asdict(load_settings(settings_file())) == asdict(Settings(min_p=0.2))
    settings_file().write_text("not json", "utf-8")
    assert load_settings(settings_file()) == Settings()


def test_the_address_and_the_token_of_downloads_are_kept(open_window: OpenWindow, data_home: Path) -> None:
    person = open_window()
    dialog = page_of(person, "network")
    address, token = field(dialog, "Download from"), field(dialog, "Access token")
    assert isinstance(address, QComboBox)
    assert isinstance(token, QLineEdit)
    assert address.currentText() == "https://huggingface.co"
    offered = [address.itemText(i) for i in range(address.count())]
    assert offered == ["https://huggingface.co", "https://hf-mirror.com", "https://modelscope.cn"]
    address.setEditText("mirror.example/")
    token.setText(" hf_mine ")
    assert token.displayText() != token.text()
    dialog.close()
    kept = load_settings(settings_file())
    assert kept.endpoint == "https://mirror.example"
    person.wait(lambda: token_at("https://mirror.example") == "hf_mine")
    assert [path.name for path in data_home.rglob("*.*") if path.is_file() and b"hf_mine" in path.read_bytes()] == [
        path.name for path in data_home.glob("hub-*.key")
    ]
    if os.name != "nt":
        assert {path.stat().st_mode & 0o077 for path in data_home.glob("hub-*.key")} == {0}
    dialog = page_of(person, "network")
    address = field(dialog, "Download from")
    assert isinstance(address, QComboBox)
    assert address.currentText() == "https://mirror.example"
    address.setCurrentIndex(0)
    dialog.close()
    assert load_settings(settings_file()).endpoint == ""


def test_a_token_stays_with_the_address_that_it_was_entered_for(open_window: OpenWindow, data_home: Path) -> None:
    with HubServer() as first, HubServer() as second:
        for server in (first, second):
            server.repositories["a/tea"] = Repository({"main": {"config.json": b"{}"}}, private=True)
        person = open_window(endpoint=first.endpoint)
        dialog = page_of(person, "network")
        address, token = field(dialog, "Download from"), field(dialog, "Access token")
        assert isinstance(address, QComboBox)
        assert isinstance(token, QLineEdit)
        token.setText(first.token)
        address.setEditText(second.endpoint)
        assert token.text() == ""
        address.setEditText("ftp://host")
        assert not token.isEnabled()
        address.setEditText(second.endpoint)
        assert token.isEnabled()
        dialog.close()
        person.wait(lambda: token_at(first.endpoint))

        def look(**where: str) -> None:
            over: list[object] = []
            person.services.conversions.describe(InstallRequest("a/tea", **where), over.append, over.append)  # type: ignore[arg-type]
            person.wait(lambda: over)

        look()
        look(endpoint=first.endpoint)
        assert {request.authorization for request in second.requests} == {None}
        assert {request.authorization for request in first.requests} == {f"Bearer {first.token}"}
        dialog = page_of(person, "network")
        address, token = field(dialog, "Download from"), field(dialog, "Access token")
        assert isinstance(address, QComboBox)
        assert isinstance(token, QLineEdit)
        address.setEditText(first.endpoint)
        person.wait(lambda: token.text() == first.token)
        assert "lies in a file that only you can read" in person.sentences(dialog)
        token.clear()
        dialog.close()
        person.wait(lambda: not token_at(first.endpoint))
    assert not list(data_home.glob("*.key"))


def test_tokens_of_earlier_versions_leave_the_settings(open_window: OpenWindow, data_home: Path) -> None:
    person = open_window(endpoint="https://mirror.example", token="hf_mine", tokens={"https://other.example:443": "x"})  # noqa: S106
    person.wait(lambda: "hf_mine" not in settings_file().read_text("utf-8"))
    hosts = ("https://mirror.example", "https://other.example", "https://third.example", "http://mirror.example", "")
    assert [token_at(host) for host in hosts] == ["hf_mine", "x", "", "", ""]
    assert load_settings(settings_file()).tokens == {}


def test_damaged_files_are_said_in_the_window(open_window: OpenWindow) -> None:
    open_window().close()
    settings_file().write_text('{"language": "en", "theme": 7}', "utf-8")
    person = open_window()
    person.wait(lambda: f"{settings_file()} was damaged" in person.sentences())
    loads_file().write_text("[7]", "utf-8")
    Loads(loads_file())
    person.wait(lambda: f"{loads_file()} was damaged" in person.sentences())
    assert f"{settings_file()} was damaged" in person.sentences(), "the first sentence is still to be read"


def test_contexts_that_the_model_was_not_made_for_cannot_be_chosen(person: Person) -> None:
    page_of(person, "chat")
    box = person.find(ChatSection)._context
    assert box is not None
    person.wait(lambda: "of memory" in box.itemText(1))
    texts = [box.itemText(row) for row in range(box.count())]
    possible = [bool(box.model().item(row).isEnabled()) for row in range(box.count())]
    assert texts[0] == "Automatic"
    assert texts[-1] == "131,072 tokens · the model was made for 8,192 at most"
    assert possible == [True] * 4 + [False] * 4
    page = box.parentWidget()
    person.wait(page.isVisible)
    assert page.width() == page.parentWidget().width(), "nothing is cut off at the right"
    assert box.view().minimumWidth() >= box.fontMetrics().horizontalAdvance(texts[-1])
    person.find(SettingsPage).close()


def test_the_offline_switch_and_the_list_of_connections(open_window: OpenWindow) -> None:
    record(Contact("host.example", 443, "/org/name/config.json", 4096, "done"))
    record(Contact("host.example", 443, "/org/name/model.gguf", 0, "failed"))
    person = open_window()
    dialog = page_of(person, "network")
    positions = field(dialog, "Connections")
    assert isinstance(positions, QComboBox)
    assert positions.currentData() == ASKED, "nothing is looked for unasked before the user says so"
    for chosen in (ONLINE, OFFLINE):
        positions.setCurrentIndex(positions.findData(chosen))
        person.wait(lambda chosen=chosen: position() == chosen)
    dialog.show_section("privacy")
    person.click("Show all connections…", dialog)
    table = person.find(QTableWidget)
    rows = [[table.item(row, column).text() for column in range(1, 4)] for row in range(table.rowCount())]
    assert rows == [
        ["host.example:443", "0\u00a0bytes, failed", "/org/name/model.gguf"],
        ["host.example:443", "4.1\u00a0kB", "/org/name/config.json"],
    ]
    dialog.close()


def test_a_switch_that_a_command_moved_stays_moved(open_window: OpenWindow) -> None:
    person = open_window()
    switch(OFFLINE)
    person.services.save_settings()
    assert is_offline()
    person.close()
    assert is_offline()


def test_the_settings_are_a_page_of_sections_each_of_which_is_named(person: Person) -> None:
    person.click("Settings")
    page = person.find(SettingsPage)
    assert page.window() is person.window
    sections = page.findChild(QListWidget, "sections")
    assert [sections.item(row).text() for row in range(sections.count())] == [
        "General", "Appearance", "Chat", "Tools", "Models and storage", "Network", "Engine", "Privacy", "Shortcuts", "About",
    ]  # fmt: skip
    for row, name in enumerate(SECTIONS):
        sections.setCurrentRow(row)
        assert page.show_section(name).isVisible()
    QTest.keyClick(sections, Qt.Key.Key_Escape)
    person.wait(lambda: not page.isVisible())
    assert person.editor.hasFocus()


def test_a_chat_that_is_opened_takes_the_place_of_the_settings(person: Person) -> None:
    person.ask("Name a colour.")
    page = page_of(person, "general")
    person.window.new_chat()
    assert not page.isVisible()
    assert person.editor.isVisible()


def test_the_report_and_the_licences_are_shown_and_copied(person: Person) -> None:
    page = page_of(person, "about")
    words = page.findChild(QPlainTextEdit)
    person.wait(words.toPlainText)
    person.click("Copy", page)
    copied = QApplication.clipboard().text()
    assert copied == words.toPlainText()
    assert f"zhiyin: {version('zhiyin')}" in copied
    assert "SmolLM2" in copied
    assert str(data_folder()) not in copied
    rows = page.findChild(QTreeWidget)
    licences = {
        rows.topLevelItem(i).text(0).lower(): rows.topLevelItem(i).text(2) for i in range(rows.topLevelItemCount())
    }
    assert "LGPL" in licences["pyside6_essentials"]
    assert licences["llama_cpp_python"] == "MIT"
    assert not [name for name, licence in licences.items() if licence.upper().startswith("GPL")]


def test_the_wheel_scrolls_the_page_and_changes_no_value(person: Person) -> None:
    page = page_of(person, "chat")
    box = field(page, "Top-k")
    assert isinstance(box, QSpinBox)
    before = box.value()
    middle = QPointF(box.rect().center())
    wheel = QWheelEvent(
        middle, box.mapToGlobal(middle), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(box, wheel)
    assert box.value() == before
