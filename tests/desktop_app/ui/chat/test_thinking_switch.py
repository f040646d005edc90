"""Whether a model thinks first, chosen in the window: it reaches the prompt, and each chat remembers it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from desktop_app.engine.protocol import Prompt
from desktop_app.engine.results import RenderedPrompt
from desktop_app.paths import models_folder
from desktop_app.ui.chat.thinking_switch import ThinkingSwitch
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.rwkv_world import world_model
from tests.support.window import Person


@pytest.fixture
def thinker(open_window: OpenWindow, tmp_path: Path) -> Person:
    """A user before RWKV-7 G1, which thinks unless it is asked not to."""
    world_model(tmp_path, "7", "RWKV-G1").replace(models_folder() / "g1.gguf")
    person = open_window(model="g1", max_tokens=3)
    person.wait(lambda: person.model_state == "ready")
    return person


def choice(person: Person) -> bool | None:
    switch = person.find(ThinkingSwitch)
    return switch.isChecked() if switch.isVisible() else None


def prompt_lengths(person: Person, *texts: str) -> list[int]:
    """Ask the engine how many tokens a chat's prompt has, with a thought and without."""
    messages = tuple(
        {"role": role, "content": text} for role, text in zip(("user", "assistant") * len(texts), texts, strict=False)
    )
    found: list[RenderedPrompt] = []
    for thinking in (True, False):
        request = Prompt(messages, thinking=thinking)
        person.services.engine.submit(request, lambda _: None, found.append, lambda error: pytest.fail(str(error)))
    person.wait(lambda: len(found) == 2)
    return [len(each.ids) for each in found]


def asked(person: Person) -> int:
    return int(person.services.chats.list.path[-1].facts["prompt_tokens"])


def test_the_choice_reaches_the_prompt(thinker: Person) -> None:
    person = thinker
    assert choice(person) is True
    assert person.ask("1+1=?").startswith("<think")
    on, off = prompt_lengths(person, "1+1=?")
    assert asked(person) == on > off

    person.click("Think")
    assert choice(person) is False
    person.services.chats.regenerate(person.services.chats.list.path[-1].id)
    person.wait(lambda: not person.busy)
    assert not person.messages[-1][1].startswith("<think")
    assert asked(person) == off
    answer = person.messages[-1][1]

    person.ask("2+2=?")
    assert asked(person) == prompt_lengths(person, "1+1=?", answer.strip(), "2+2=?")[1]
    person.click("Think")
    assert person.ask("3+3=?").startswith("<think")


def test_each_chat_remembers_it_and_a_new_one_begins_with_the_last_choice(
    thinker: Person, open_window: OpenWindow
) -> None:
    person = thinker
    person.click("Think")
    person.ask("quick")
    quick = person.services.chats.list.current.id
    person.window.new_chat()
    assert choice(person) is False
    person.click("Think")
    person.ask("deep")
    person.services.chats.open(quick)
    person.wait(lambda: person.services.chats.list.current.id == quick)
    assert choice(person) is False
    person.close()

    person = open_window()
    person.wait(lambda: person.model_state == "ready" and person.titles)
    assert choice(person) is True
    person.services.chats.open(quick)
    person.wait(lambda: person.services.chats.list.current.id == quick)
    assert choice(person) is False


def test_keyboard_and_screen_reader(thinker: Person) -> None:
    person = thinker
    person.window.activateWindow()
    person.editor.setFocus()
    person.press(Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    person.wait(lambda: choice(person) is False)
    assert person.editor.hasFocus()
    switch = person.find(ThinkingSwitch)
    passed = []
    while not switch.hasFocus():
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        passed.append(QApplication.focusWidget().objectName())
        assert len(passed) < 4, passed
    QTest.keyClick(switch, Qt.Key.Key_Space)
    assert choice(person) is True
    assert person.services.chats.list.current.thinking is True
    seen = QAccessible.queryAccessibleInterface(switch)
    assert seen.text(QAccessible.Text.Name) == "Think before answering"
    assert seen.state().checkable
    assert seen.state().checked


def test_models_without_the_choice_have_no_switch(person: Person) -> None:
    assert choice(person) is None
