"""A question answered again by another model, each version with its model; how long a reply thought. Real engine and SQLite."""

from __future__ import annotations

import shutil
from pathlib import Path

from PySide6.QtWidgets import QMenu

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
from desktop_app.paths import database_file, models_folder
from desktop_app.ui.chat.reasoning_box import Thought
from desktop_app.ui.chat.reply_widget import ReplyWidget
from desktop_app.ui.widgets.elided_label import ElidedLabel
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person


def last_reply(person: Person) -> ReplyWidget:
    widget = person.widgets[-1]
    assert isinstance(widget, ReplyWidget)
    return widget


def facts(widget: ReplyWidget) -> str:
    return widget.findChild(ElidedLabel).whole


def test_a_question_is_answered_again_by_another_model(open_window: OpenWindow, starter_gguf: Path) -> None:
    models_folder().mkdir(parents=True, exist_ok=True)
    shutil.copy(starter_gguf, models_folder() / "Other.gguf")
    person = open_window(max_tokens=3)
    person.wait(lambda: person.model_state == "ready")
    first = person.services.models.state.model
    assert first is not None
    person.ask("Hello")
    person.click("Answer again with another model", last_reply(person))
    menu = next(menu for menu in person.window.findChildren(QMenu, "modelsMenu") if menu.isVisible())
    assert len(menu.actions()) == 2
    other = next(model for model in person.services.library.models if model.identifier != first.identifier)
    next(action for action in menu.actions() if action.text().startswith(f"{other.label}\t")).trigger()
    menu.close()
    person.wait(lambda: not person.busy)
    one, two = person.services.chats.versions(person.services.chats.list.path[-1])
    assert (one.model, two.model) == (first.name, other.name)
    assert other.name in facts(last_reply(person))
    assert person.services.models.state.model == other
    person.click("Previous version", last_reply(person))
    assert first.name in facts(last_reply(person))


def test_how_long_a_reply_thought_is_said_and_goes_on_counting(open_window: OpenWindow) -> None:
    history = History(database_file())
    asked = Message("chat", None, "user", "Hello")
    thought = Message("chat", asked.id, "assistant", "<think>Let me", state="stopped", facts={"thinking_seconds": 12.3})
    history.save_conversation(Conversation("chat", "Hello", leaf=thought.id))
    for message in (asked, thought):
        history.save_message(message)
    history.close()
    person = open_window(max_tokens=3)
    person.wait(lambda: person.titles and person.model_state == "ready")
    person.services.chats.open("chat")
    person.wait(lambda: len(person.messages) == 2)
    assert last_reply(person).findChild(Thought)._button.text().startswith("Thought for 12\u00a0s")
    person.click("Continue this reply", last_reply(person))
    person.wait(lambda: not person.busy)
    assert person.services.chats.list.path[-1].facts["thinking_seconds"] >= 12.3
    assert last_reply(person).findChild(Thought)._button.text().startswith("Thought for 12\u00a0s")
