"""Settings: every one is reachable, used at once and kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from gguf import GGUFValueType, GGUFWriter
from gguf.scripts import gguf_new_metadata
from PySide6.QtGui import QPalette
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
    QTabWidget,
    QWidget,
)

from converter.hub.permission import Contact
from desktop_app.chat.request import options_from, prompt_messages, sampling
from desktop_app.engine.protocol import SamplingSettings
from desktop_app.library.hub_tokens import token_at
from desktop_app.library.install import InstallRequest
from desktop_app.network import OFFLINE, is_offline, record, switch
from desktop_app.paths import loads_file, models_folder, settings_file
from desktop_app.planning.calibration import Loads
from desktop_app.settings import Settings, load_settings
from desktop_app.ui.chat.composer import Composer
from desktop_app.ui.settings.settings_dialog import DOWNLOADS, REPLIES, SettingsDialog
from desktop_app.ui.widgets.theme import DARK, LIGHT
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.gguf_reader import GGUFReader
from tests.support.hub_server import HubServer, Repository
from tests.support.window import Person


def dialog_of(person: Person) -> SettingsDialog:
    person.window.open_settings()
    return person.find(SettingsDialog)


def field(dialog: SettingsDialog, label: str) -> QWidget:
    return next(found.buddy() for found in dialog.findChildren(QLabel) if found.text() == label)


def test_every_setting_is_reached_used_and_kept(open_window: OpenWindow) -> None:
    person = open_window()
    dialog = dialog_of(person)
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
    facts = person.services.chats.path[-1].facts
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
    dialog = dialog_of(person)
    dialog.findChild(QTabWidget).setCurrentIndex(2)
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

    dialog = dialog_of(person)
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
    dialog.findChild(QTabWidget).setCurrentIndex(2)
    person.click("Reset to defaults", dialog)
    assert (temperature.value(), "recommended" in temperature.suffix()) == (0.0, True)
    assert person.services.settings.temperature is None
    dialog.close()
    assert load_settings(settings_file()).temperature is None


def test_theme_and_language_change_at_once(person: Person, application: QApplication) -> None:
    person.ask("Hello")
    dialog = dialog_of(person)
    theme, language = field(dialog, "Appearance"), field(dialog, "Language")
    assert isinstance(theme, QComboBox)
    assert isinstance(language, QComboBox)
    window_colour: Callable[[], str] = lambda: application.palette().color(QPalette.ColorRole.Window).name()  # noqa: E731
    assert window_colour() == LIGHT.window
    theme.setCurrentIndex(theme.findData("dark"))
    person.wait(lambda: window_colour() == DARK.window)
    language.setCurrentIndex(language.findData("zh_CN"))
    person.wait(lambda: dialog.windowTitle() == "设置")
    assert field(dialog, "外观") is theme
    assert person.find(Composer).findChild(QPlainTextEdit).placeholderText().startswith("输入消息")
    assert "复制" in person.buttons()
    assert "今天" in _headings(person)
    language.setCurrentIndex(language.findData("en"))
    person.wait(lambda: dialog.windowTitle() == "Settings")
    assert "Copy" in person.buttons()
    dialog.close()
    assert (person.services.settings.theme, person.services.settings.language) == ("dark", "en")


def _headings(person: Person) -> list[str]:
    chats = person.find(QListWidget, "chatList")
    return [chats.item(i).text() for i in range(chats.count())]


def test_values_out_of_range_fall_back_to_the_defaults(open_window: OpenWindow) -> None:
    wrong = {"top_k": -5, "top_p": 7, "seed": "x", "theme": "pink", "context": True, "max_tokens": None, "min_p": 0.2}
    settings_file().write_text(json.dumps(wrong), "utf-8")
    assert asdict(load_settings(settings_file())) == asdict(Settings(min_p=0.2))
    settings_file().write_text("not json", "utf-8")
    assert load_settings(settings_file()) == Settings()


def test_the_address_and_the_token_of_downloads_are_kept(open_window: OpenWindow) -> None:
    person = open_window()
    dialog = dialog_of(person)
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
    assert (kept.endpoint, token_at(kept, "https://mirror.example")) == ("https://mirror.example", "hf_mine")
    assert "hf_mine" not in repr(kept)
    if os.name != "nt":
        assert settings_file().stat().st_mode & 0o077 == 0
    person.window.open_settings()
    dialog = person.window.findChildren(SettingsDialog)[-1]
    address = field(dialog, "Download from")
    assert isinstance(address, QComboBox)
    assert address.currentText() == "https://mirror.example"
    address.setCurrentIndex(0)
    dialog.close()
    assert load_settings(settings_file()).endpoint == ""


def test_a_token_stays_with_the_address_that_it_was_entered_for(open_window: OpenWindow) -> None:
    with HubServer() as first, HubServer() as second:
        for server in (first, second):
            server.repositories["a/tea"] = Repository({"main": {"config.json": b"{}"}}, private=True)
        person = open_window(endpoint=first.endpoint)
        dialog = dialog_of(person)
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

        def look(**where: str) -> None:
            over: list[object] = []
            person.services.conversions.describe(InstallRequest("a/tea", **where), over.append, over.append)  # type: ignore[arg-type]
            person.wait(lambda: over)

        look()
        look(endpoint=first.endpoint)
        assert {request.authorization for request in second.requests} == {None}
        assert {request.authorization for request in first.requests} == {f"Bearer {first.token}"}
        person.window.open_settings()
        dialog = person.window.findChildren(SettingsDialog)[-1]
        address, token = field(dialog, "Download from"), field(dialog, "Access token")
        assert isinstance(address, QComboBox)
        assert isinstance(token, QLineEdit)
        address.setEditText(first.endpoint)
        assert token.text() == first.token
        token.clear()
        dialog.close()
    assert load_settings(settings_file()).tokens == {}


def test_the_token_of_an_earlier_version_belongs_to_the_address_that_was_set(data_home: Path) -> None:
    stored = {"endpoint": "https://mirror.example", "token": "hf_mine", "tokens": {"https://other.example:443": "x"}}
    settings_file().write_text(json.dumps(stored), "utf-8")
    settings = load_settings(settings_file())
    assert [token_at(settings, f"https://{host}.example") for host in ("mirror", "other", "third")] == [
        "hf_mine",
        "x",
        "",
    ]
    assert token_at(settings, "http://mirror.example") == token_at(settings, "") == ""


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
    person.window.open_settings(REPLIES)
    box = person.find(SettingsDialog)._context
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
    person.find(SettingsDialog).close()


def test_the_offline_switch_and_the_list_of_connections(open_window: OpenWindow) -> None:
    record(Contact("host.example", 443, "/org/name/config.json", 4096, "done"))
    record(Contact("host.example", 443, "/org/name/model.gguf", 0, "failed"))
    person = open_window()
    dialog = dialog_of(person)
    positions = field(dialog, "Connections")
    assert isinstance(positions, QComboBox)
    positions.setCurrentIndex(1)
    person.wait(is_offline)
    dialog.show_page(DOWNLOADS)
    person.click("Show all connections…", dialog)
    table = person.find(QTableWidget)
    rows = [[table.item(row, column).text() for column in range(1, 4)] for row in range(table.rowCount())]
    assert rows == [
        ["host.example:443", "0 bytes, failed", "/org/name/model.gguf"],
        ["host.example:443", "4.1 kB", "/org/name/config.json"],
    ]
    dialog.close()


def test_a_switch_that_a_command_moved_stays_moved(open_window: OpenWindow) -> None:
    person = open_window()
    switch(OFFLINE)
    person.services.save_settings()
    assert is_offline()
    person.close()
    assert is_offline()
