"""What the window does when something happens, without a window: drafts, imports, remedies, notices."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication

from desktop_app.chat.attachment import Attachment, Draft
from desktop_app.engine.client import EngineFailed
from desktop_app.library.install import InstallRequest
from desktop_app.library.installed_model import Listing
from desktop_app.ui.controllers.chat_actions import ChatActions
from desktop_app.ui.controllers.drafts import DraftController
from desktop_app.ui.controllers.importing import ImportController
from desktop_app.ui.controllers.model_actions import ModelActions
from desktop_app.ui.controllers.notices import NoticeController
from desktop_app.ui.controllers.remedies import RemedyController
from desktop_app.ui.controllers.thinking import ThinkingController
from desktop_app.ui.models.model_session import EngineState
from desktop_app.ui.services import Services
from tests.support.window import run_events


class Said:
    """A place for sentences that remembers them."""

    def __init__(self) -> None:
        self.text = ""
        self.topic = ""
        self.actions: dict[str, Any] = {}

    def say(self, text: str, *actions: Any, kind: str = "warning", topic: str = "") -> None:
        self.text, self.topic, self.actions = text, topic, dict(actions)

    def is_about(self, topic: str) -> bool:
        return bool(self.text) and self.topic == topic

    def withdraw(self, topic: str) -> None:
        if self.topic == topic:
            self.text = ""


@dataclass
class Written:
    """A message box without a window."""

    draft: Draft

    def set_draft(self, draft: Draft) -> None:
        self.draft = draft


@pytest.fixture
def services(application: QApplication, data_home: Path) -> Iterator[Services]:
    made = Services(application)
    made.begin()
    yield made
    made.close()
    made.deleteLater()


def make_chat_actions(services: Services, warnings: Said, news: Said, typed: str = "") -> ChatActions:
    drafts = DraftController(services.chats, Written(Draft(typed)))
    return ChatActions(services, drafts, NoticeController(services, warnings, news))


def wait(condition: Any) -> None:
    for _ in range(12_000):
        if condition():
            return
        run_events(10)
    raise AssertionError("waited in vain")


def test_a_draft_is_stored_at_a_pause_and_at_once(services: Services) -> None:
    writing = Written(Draft("Half a"))
    drafts = DraftController(services.chats, writing)
    drafts.edited()
    wait(lambda: services.chats.list.current.draft == "Half a")
    writing.set_draft(Draft("Half a sentence"))
    drafts.keep()
    assert services.chats.list.current.draft == "Half a sentence"


def test_files_go_where_they_belong(services: Services, starter_gguf: Path, tmp_path: Path) -> None:
    importing = ImportController(services.library, services.documents)
    texts: list[Attachment] = []
    large: list[str] = []
    adapters: list[Path] = []
    asked: list[InstallRequest] = []
    importing.text_found.connect(texts.append)
    importing.text_too_large.connect(large.append)
    importing.adapter_found.connect(adapters.append)
    importing.conversion_asked.connect(asked.append)
    (tmp_path / "notes.txt").write_text("Tea is a drink.")
    (tmp_path / "book.txt").write_text("word " * 3_000_000)
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    (tmp_path / "lora" / "adapter_model.safetensors").write_bytes(b"")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    shutil.copy(starter_gguf, tmp_path / "Mine.gguf")
    wait(lambda: services.library.is_read)
    importing.take([str(tmp_path / name) for name in ("notes.txt", "book.txt", "lora", "model", "Mine.gguf")])
    assert [(text.name, text.text, text.kind) for text in texts] == [("notes.txt", "Tea is a drink.", "text")]
    assert large == ["book.txt"]
    assert adapters == [tmp_path / "lora"]
    assert [request.source for request in asked] == [tmp_path / "model"]
    wait(lambda: "Mine" in [model.name for model in services.library.models])


def test_remedies_of_a_failed_load_go_by_its_code(services: Services) -> None:
    said = Said()
    remedies = RemedyController(services, said)
    wait(lambda: services.models.state.kind == "ready")
    for code, offered in (
        ("out-of-memory", ["Try again", "Use a smaller context"]),
        ("engine-died", ["Try again", "Use a smaller context"]),
        ("bad-file", ["Try again"]),
    ):
        error = EngineFailed("It failed for a test.", code=code)
        remedies.model_changed(EngineState("failed", context=4096, error=error))
        assert list(said.actions) == offered
        assert said.text.endswith("It failed for a test.")
    remedies.model_changed(EngineState("ready", context=4096))
    assert said.text == ""


def test_a_deleted_chat_can_be_brought_back(services: Services) -> None:
    warnings, news = Said(), Said()
    actions = make_chat_actions(services, warnings, news)
    wait(lambda: services.models.state.kind == "ready")
    services.settings.max_tokens = 4
    services.chats.send("Hello")
    wait(lambda: not services.chats.replies.busy)
    (chat,) = services.chats.list.conversations
    actions.delete(chat.id)
    assert services.chats.list.conversations == []
    assert news.text == "The chat was deleted."
    news.actions["Undo"]()
    assert [found.id for found in services.chats.list.conversations] == [chat.id]


def test_what_was_found_damaged_is_said_once_each_below_what_was_said_before(services: Services) -> None:
    warnings = Said()
    notices = NoticeController(services, warnings, Said())
    services.history.troubled.emit("The disk is full, so chats cannot take more; free some space.")
    assert "not saved yet" in warnings.text
    assert list(warnings.actions) == ["Try again"]
    services.history.recovered.emit()
    assert warnings.text == ""
    notices.text_too_large("book.txt")
    assert warnings.text.startswith("book.txt is too large for a message")


def test_another_chat_is_opened_with_what_was_typed_kept(services: Services) -> None:
    actions = make_chat_actions(services, Said(), Said(), typed="Half a thought")
    turned: list[str] = []
    actions.turned.connect(lambda: turned.append(services.chats.list.current.id))
    wait(lambda: services.models.state.kind == "ready")
    services.settings.max_tokens = 4
    services.chats.send("Hello")
    wait(lambda: not services.chats.replies.busy)
    first = services.chats.list.current.id
    actions.new()
    assert services.chats.list.current.id != first
    wait(lambda: [chat.draft for chat in services.chats.list.conversations if chat.id == first] == ["Half a thought"])
    actions.open(first)
    wait(lambda: services.chats.list.current.id == first)
    assert len(turned) == 2


def test_a_message_without_any_model_is_given_back(services: Services) -> None:
    actions, missing = make_chat_actions(services, Said(), Said()), []
    actions.model_missing.connect(missing.append)
    wait(lambda: services.library.is_read)
    services.library.listing = Listing([], [])
    actions.send(Draft("Hello"))
    assert missing == [Draft("Hello")]
    assert services.chats.list.path == []


def test_remedies_of_a_reply_say_what_is_to_be_shown(services: Services) -> None:
    remedies = RemedyController(services, Said())
    shown: list[str] = []
    remedies.new_chat_asked.connect(lambda: shown.append("chat"))
    remedies.settings_asked.connect(lambda: shown.append("settings"))
    remedies.models_asked.connect(lambda: shown.append("models"))
    for remedy in ("new_chat", "settings", "models"):
        remedies.apply("a message", remedy)
    assert shown == ["chat", "settings", "models"]


def test_what_fits_is_asked_once_at_a_time(services: Services) -> None:
    actions, answers = ModelActions(services), []
    wait(lambda: services.models.state.kind == "ready")
    actions.options_found.connect(answers.append)
    wait(lambda: answers)
    answers.clear()
    for _ in range(5):
        actions.find_options()
    wait(lambda: len(answers) == 2)
    run_events(300)
    assert len(answers) == 2
    assert list(answers[0]) == [model.path for model in services.library.models]


def test_thinking_is_what_the_chat_or_the_model_says(services: Services) -> None:
    thinking, shown = ThinkingController(services), []
    thinking.thinking_shown.connect(shown.append)
    thinking.effort_shown.connect(shown.append)
    wait(lambda: services.models.state.kind == "ready")
    assert shown[-2:] == [None, ""]  # the starter model does not think
    thinking.choose(True)
    assert services.chats.list.current.thinking is True
