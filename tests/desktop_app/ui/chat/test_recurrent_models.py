"""A chat with a recurrent model in the window: it goes on after a restart without being read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from desktop_app.paths import chat_state_file, models_folder
from desktop_app.ui.settings.settings_page import SettingsPage
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.rwkv_world import world_model
from tests.support.window import Person


def facts(person: Person) -> dict[str, Any]:
    return person.services.chats.list.path[-1].facts


def test_a_chat_goes_on_after_a_restart_and_leaves_nothing_when_deleted(
    open_window: OpenWindow, tmp_path: Path
) -> None:
    world_model(tmp_path, "7").replace(models_folder() / "rwkv-world.gguf")
    person = open_window(model="rwkv-world", context=512)
    person.wait(lambda: person.model_state == "ready")
    person.ask("你好")
    person.ask("今天天气怎么样？")
    whole = facts(person)["prompt_tokens"] + facts(person)["tokens"]
    chat = person.services.chats.list.current.id
    person.close()
    assert chat_state_file(chat).exists()

    person = open_window()
    person.wait(lambda: person.model_state == "ready" and person.services.chats.list.conversations)
    person.services.chats.open(chat)
    person.wait(lambda: len(person.messages) == 4)
    person.ask("谢谢")
    assert facts(person)["reused_tokens"] == whole
    person.services.chats.delete(chat)
    person.services.chats.list.forget([chat])
    person.close()
    assert not chat_state_file(chat).exists()


def test_the_context_is_no_setting_of_a_model_without_one(open_window: OpenWindow, tmp_path: Path) -> None:
    world_model(tmp_path, "7").replace(models_folder() / "rwkv-world.gguf")
    person = open_window(model="rwkv-world")
    person.wait(lambda: person.model_state == "ready")
    person.window.open_settings("chat")
    dialog = person.find(SettingsPage)
    words = person.sentences(dialog)
    assert "any length in mind" in words
    assert "Context" not in words.splitlines()
    assert "Instructions" in words.splitlines()
    dialog.close()
