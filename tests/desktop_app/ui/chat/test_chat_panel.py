"""The panel at the right: what is chosen there counts for one chat alone, and the memory plan follows the slider."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QPlainTextEdit, QSlider, QSpinBox, QWidget

from desktop_app.chat.history import History
from desktop_app.paths import database_file
from desktop_app.ui.chat.chat_panel import ChatPanel
from desktop_app.ui.chat.load_plan_box import LoadPlanBox
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person


def opened(person: Person) -> ChatPanel:
    person.click("Instructions and sampling of this chat")
    panel = person.find(ChatPanel)
    person.wait(lambda: panel.isVisible() and named(panel, "Instructions"))
    return panel


def named(panel: ChatPanel, label: str) -> list[QLabel]:
    return [one for one in panel.findChildren(QLabel) if one.text() == label and one.isVisible()]


def field(panel: ChatPanel, label: str) -> QWidget:
    return named(panel, label)[-1].buddy()


def test_what_is_chosen_for_a_chat_counts_there_alone_and_is_kept(open_window: OpenWindow) -> None:
    person = open_window(system_prompt="Be kind.", top_k=40)
    person.wait(lambda: person.model_state == "ready")
    assert person.find(ChatPanel).isHidden(), "closed at first"
    person.ask("Hello")
    panel = opened(person)
    instructions, top_k = field(panel, "Instructions"), field(panel, "Top-k")
    assert isinstance(instructions, QPlainTextEdit)
    assert isinstance(top_k, QSpinBox)
    assert instructions.toPlainText() == "Be kind."
    instructions.setPlainText("Answer in French.")
    top_k.setValue(7)
    choices = person.services.chats.list.current.choices
    assert (choices.instructions, dict(choices.sampling)) == ("Answer in French.", {"top_k": 7})
    assert (person.services.settings.system_prompt, person.services.settings.top_k) == ("Be kind.", 40)
    top_k.setValue(40)
    assert dict(person.services.chats.list.current.choices.sampling) == {}
    top_k.setValue(7)
    person.window.new_chat()
    person.wait(lambda: named(panel, "Instructions"))
    fresh = field(panel, "Instructions")
    assert isinstance(fresh, QPlainTextEdit)
    assert fresh.toPlainText() == "Be kind."
    person.close()
    history = History(database_file())
    [chat] = [one for one in history.conversations() if one.begun]
    assert (chat.choices.instructions, dict(chat.choices.sampling)) == ("Answer in French.", {"top_k": 7})
    history.close()


def test_the_memory_plan_follows_the_slider(person: Person) -> None:
    panel = opened(person)
    box = panel.findChild(LoadPlanBox)
    person.wait(box.isVisible)
    slider = box.findChild(QSlider)
    caches = []
    for value in range(slider.minimum(), slider.maximum() + 1):
        slider.setValue(value)
        caches.append(box._values[2].text())
    assert len(set(caches)) == len(caches) > 2
    assert box._values[0].text() == "8,192 tokens", "no more than the model was made for"
    slider.setValue(0)
    person.click("Load with this context", box)
    person.wait(lambda: person.model_state == "ready" and person.services.models.state.context == 2048)
