"""How long a model thinks, chosen in the window: it reaches the prompt, and each chat remembers it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt

from desktop_app.paths import models_folder
from desktop_app.ui.chat.effort_menu import EffortMenu
from desktop_app.ui.chat.thinking_switch import ThinkingSwitch
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.efforts import SAID, effort_model
from tests.support.window import Person


def thinker(open_window: OpenWindow, tmp_path: Path, **settings: str) -> Person:
    """Return a user before a model with efforts, which thinks a medium time by itself."""
    effort_model(tmp_path).replace(models_folder() / "effort.gguf")
    person = open_window(model="effort", max_tokens=1, **settings)
    person.wait(lambda: person.model_state == "ready")
    return person


def choice(person: Person) -> str:
    button = person.find(EffortMenu)
    return button.text().removesuffix("  ▾") if button.isVisible() else ""


def choose(person: Person, words: str) -> None:
    next(action for action in person.find(EffortMenu).menu().actions() if action.text() == words).trigger()


def test_the_choice_reaches_the_model_and_each_chat_remembers_it(open_window: OpenWindow, tmp_path: Path) -> None:
    person = thinker(open_window, tmp_path)
    assert choice(person) == "Think"
    assert not person.find(ThinkingSwitch).isVisible()
    assert person.ask("Hello") == SAID["medium"]
    choose(person, "Think deeply")
    assert choice(person) == "Think deeply"
    assert person.ask("Again") == SAID["high"]
    deep = person.services.chats.list.current.id
    person.window.new_chat()
    assert choice(person) == "Think deeply", "a new chat begins with the last choice"
    choose(person, "Think briefly")
    assert person.ask("Hello") == SAID["low"]
    person.close()

    person = open_window()
    person.wait(lambda: person.model_state == "ready" and person.titles)
    assert choice(person) == "Think briefly"
    person.services.chats.open(deep)
    person.wait(lambda: person.services.chats.list.current.id == deep)
    assert choice(person) == "Think deeply"
    checked = [action.text() for action in person.find(EffortMenu).menu().actions() if action.isChecked()]
    assert checked == ["Think deeply"]
    assert person.ask("And now?") == SAID["high"]


def test_keyboard_words_and_little_room(open_window: OpenWindow, tmp_path: Path) -> None:
    person = thinker(open_window, tmp_path, language="zh_CN")
    button = person.find(EffortMenu)
    opened: list[list[str]] = []
    button.menu().aboutToShow.connect(lambda: opened.append([action.text() for action in button.menu().actions()]))
    button.menu().aboutToShow.connect(button.menu().close, Qt.ConnectionType.QueuedConnection)
    person.window.activateWindow()
    person.editor.setFocus()
    person.press(Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert opened == [["简短思考", "适度思考", "深入思考"]]
    assert button.accessibleName() == "思考多久：适度思考"
    person.window.resize(360, 600)
    person.wait(lambda: button.text() == "")


def test_models_without_the_choice_have_no_menu(person: Person) -> None:
    assert choice(person) == ""
