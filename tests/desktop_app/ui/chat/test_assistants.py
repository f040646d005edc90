"""Assistants as a user meets them: chosen for a new chat, made, changed. Real engine, real SQLite."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtWidgets import QCheckBox, QLineEdit, QListWidget, QPlainTextEdit

from desktop_app.assistant.mcp.configuration import Server, save_servers
from desktop_app.chat.tool_choice import ToolChoice
from desktop_app.engine.protocol import Generate
from desktop_app.ui.chat.assistant_editor import AssistantEditor
from desktop_app.ui.chat.assistants_dialog import AssistantsDialog
from desktop_app.ui.chat.tools_button import ToolsButton
from desktop_app.ui.chat.welcome import Welcome
from tests.desktop_app.ui.chat.test_same_request import asked
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person

__all__ = ("asked",)


def select(person: Person, name: str) -> AssistantsDialog:
    person.click("Choose an assistant…")
    dialog = person.find(AssistantsDialog)
    listed = dialog.findChild(QListWidget)
    names = [listed.item(row).text().split("\n")[0] for row in range(listed.count())]
    listed.setCurrentRow(names.index(name))
    return dialog


def test_a_chat_begins_with_an_assistant_and_keeps_it(open_window: OpenWindow, asked: list[Generate]) -> None:
    person = open_window(system_prompt="General.", max_tokens=3)
    person.wait(lambda: person.model_state == "ready")
    person.click("Start chat", select(person, "Translator"))
    person.wait(lambda: "Translator" in person.sentences(person.find(Welcome)))
    person.ask("Good morning")
    person.window.new_chat()
    assert "Translator" not in person.sentences(person.find(Welcome))
    person.ask("Hello")
    systems = [request.messages[0]["content"] for request in asked]
    assert systems[0].startswith("You translate.")
    assert systems[1] == "General."
    person.close()

    person = open_window()
    person.wait(lambda: len(person.titles) == 2)
    chat = next(one for one in person.services.chats.list.conversations if one.title == "Good morning")
    person.services.chats.open(chat.id)
    person.wait(lambda: person.services.chats.list.current.id == chat.id)
    assert person.services.assistant_list.current is not None
    assert person.services.assistant_list.current.name == "Translator"


def test_an_assistant_is_made_changed_and_removed(open_window: OpenWindow) -> None:
    save_servers({"shop": Server(command="shop"), "off": Server(command="off", disabled=True)})
    person = open_window()
    person.wait(lambda: person.services.library.is_read and "Choose an assistant…" in person.buttons())
    dialog = select(person, "Translator")
    person.click("New…", dialog)
    editor = person.find(AssistantEditor)
    assert not editor._save.isEnabled()
    editor.findChildren(QLineEdit)[0].setText("My cook")
    editor.findChild(QPlainTextEdit).setPlainText("You cook.")
    editor._temperature.setValue(0.3)
    for words in ("Calculator", "MCP server shop"):
        next(box for box in editor.findChildren(QCheckBox) if box.text() == words).click()
    person.click("Save", editor)
    made = replace(person.services.assistant_list.all[0], collections=("Recipes",))
    assert (made.name, made.instructions, made.sampling) == ("My cook", "You cook.", {"temperature": 0.3})
    assert (made.tools, made.servers) == (("calculator",), ("shop",))
    person.services.assistant_list.save(made)
    dialog.findChild(QListWidget).setCurrentRow(0)
    person.click("Start chat", dialog)
    chats, button = person.services.chats, person.find(ToolsButton)
    assert chats.list.current.tools == ToolChoice(("calculator",), servers=("shop",))
    assert chats.list.current.collections == ("Recipes",)
    assert button.text() == "2"
    person.window.new_chat()
    assert (chats.list.current.tools, chats.list.current.collections) == (ToolChoice(), ())
    assert button.text() == ""
    person.click("Choose an assistant…")
    dialog = next(one for one in person.window.findChildren(AssistantsDialog) if one.isVisible())
    dialog.findChild(QListWidget).setCurrentRow(0)
    person.click("Remove", dialog)
    assert "My cook" not in [one.name for one in person.services.assistant_list.all]


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_the_list_is_in_the_windows_language(open_window: OpenWindow, language: str) -> None:
    person = open_window(language=language)
    names = [one.name for one in person.services.assistant_list.all]
    assert ("翻译" in names) is (language == "zh_CN")
