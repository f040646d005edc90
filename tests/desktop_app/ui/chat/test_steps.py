"""Tools in the window: the real engine says, by grammars, what a test wants; steps are cards, approvals are in the chat."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QPushButton, QTableWidget

from desktop_app.assistant.sandbox.trial import is_enforced
from desktop_app.chat.tool_choice import ToolChoice
from desktop_app.paths import approvals_file, work_folder
from desktop_app.ui.bridges.engine_bridge import EngineBridge
from desktop_app.ui.chat.step_question import StepQuestion
from desktop_app.ui.chat.step_widget import StepWidget
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.scripted_engine import ScriptedEngine
from tests.support.window import Person

Say = Callable[[Sequence[str]], None]
confined = pytest.mark.skipif(not is_enforced(), reason="this kernel has no Landlock")


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Let the engine of the window say these texts, one a reply."""
    texts: list[str] = []

    def scripted(bridge: EngineBridge) -> ScriptedEngine:
        engine = ScriptedEngine(bridge._engine, [])
        engine.script = texts
        return engine

    monkeypatch.setattr(EngineBridge, "engine", property(scripted))
    return texts.extend


def call_of(tool: str, /, **arguments: object) -> str:
    return json.dumps({"name": tool, "arguments": arguments})


def cards(person: Person) -> list[StepWidget]:
    found = [card for card in person.window.findChildren(StepWidget) if card.isVisible()]
    return sorted(found, key=lambda card: card.y())


@confined
def test_steps_are_cards_with_what_they_gave(person: Person, say: Say) -> None:
    drawn = "import matplotlib.pyplot as plt, numpy as np\nplt.plot([1, 2])"
    code = f"{drawn}\nnp.array([(1, 'a')], dtype=[('n', 'i4'), ('s', 'U1')])"
    say([call_of("calculator", expression="6 * 7"), call_of("python", code=code), "It is 42."])
    person.services.chats.list.set_tools(ToolChoice(("calculator", "python")))
    assert person.ask("6 * 7, and draw.") == "It is 42."
    assert [role for role, _ in person.messages] == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    first, second = cards(person)
    person.click("▸  Calculator", first)
    assert [text.toPlainText() for text in first.findChildren(QPlainTextEdit)] == ["6 * 7", "42"]
    figure = second.findChild(QLabel, "figure")
    person.wait(lambda: not figure.pixmap().isNull())
    table = second.findChild(QTableWidget)
    assert [table.horizontalHeaderItem(column).text() for column in range(2)] == ["n", "s"]
    assert table.item(0, 1).text() == "a"


def test_what_changes_something_is_allowed_inside_the_chat(person: Person, say: Say) -> None:
    chat = person.services.chats.list.current.id
    write = call_of("write_file", name="a.txt", content="one")
    say([write, write, write, "Done."])
    person.services.chats.list.set_tools(ToolChoice(("write",)))
    person.send("Write it.")
    question = asked(person)
    assert str(work_folder(chat) / "a.txt") in person.sentences(question)
    assert [text.toPlainText() for text in question.findChildren(QPlainTextEdit)] == ["a.txt", "one"]
    assert not (work_folder(chat) / "a.txt").exists()
    person.click("Do not allow", question)
    person.wait(lambda: question is not asked(person))
    assert not (work_folder(chat) / "a.txt").exists()
    question = asked(person)
    for button in question.findChildren(QPushButton):
        if button.text() == "Allow once":
            button.clicked.emit()
            button.clicked.emit()  # a second click is no answer to the next question
    person.wait(lambda: len(cards(person)) == 3)
    assert (work_folder(chat) / "a.txt").read_text() == "one"
    question = asked(person)
    assert "would be replaced" in person.sentences(question)
    person.click("Always allow", question)
    person.wait(lambda: not person.busy)
    assert [card.message.state for card in cards(person)] == ["failed", "done", "done"]
    assert json.loads(approvals_file().read_text())["always"] == ["/write_file"]
    say([write, "Again."])
    assert person.ask("Once more.") == "Again."


def asked(person: Person) -> StepQuestion:
    found: list[StepQuestion] = []

    def visible() -> list[StepQuestion]:
        found[:] = [one for one in person.window.findChildren(StepQuestion) if one.isVisible()]
        return found

    person.wait(visible)
    return found[-1]


def test_stop_works_while_the_user_is_asked_and_the_work_can_go_on(person: Person, say: Say) -> None:
    say([call_of("write_file", name="a.txt", content="one")])
    person.services.chats.list.set_tools(ToolChoice(("write",)))
    person.send("Write it.")
    asked(person)
    person.click("Stop")
    person.wait(lambda: not person.busy)
    assert person.services.chats.list.path[-1].state == "stopped"
    assert not [one for one in person.window.findChildren(StepQuestion) if one.isVisible()]
    say(["As you like."])
    person.click("Go on")
    person.wait(lambda: not person.busy)
    assert person.messages[-1] == ("assistant", "As you like.")


@confined
def test_stop_works_while_a_tool_runs(person: Person, say: Say) -> None:
    say([call_of("python", code="print('begun', flush=True)\nwhile True: pass")])
    person.services.chats.list.set_tools(ToolChoice(("python",)))
    person.send("Run it.")
    person.wait(lambda: cards(person) and "begun" in cards(person)[0]._output)
    person.click("Stop")
    person.wait(lambda: not person.busy)
    assert person.services.chats.list.path[-1].state == "stopped"


def test_a_stopped_answer_goes_on_where_it_was(person: Person, say: Say) -> None:
    say(["One two three " * 25])
    person.services.chats.list.set_tools(ToolChoice(("calculator",)))
    person.send("Count.")
    person.wait(lambda: "two three" in person.messages[-1][1])
    person.click("Stop")
    person.wait(lambda: not person.busy)
    stopped = person.messages[-1][1]
    shown: list[tuple[str, str]] = []
    person.services.chats.replies.grown.connect(lambda message, text: shown.append((message, text)))
    say(["and so on."])
    person.click("Continue this reply")
    person.wait(lambda: not person.busy)
    assert person.messages == [("user", "Count."), ("assistant", f"{stopped}and so on.")]
    assert all(text.startswith(stopped) and text.count(stopped) == 1 for _, text in shown)


def stop(person: Person) -> str:
    """Stop what is under way and return the text of the last message."""
    person.click("Stop")
    person.wait(lambda: not person.busy)
    assert person.services.chats.list.path[-1].state == "stopped"
    return person.messages[-1][1]


def test_a_stopped_thought_goes_on_where_it_was(person: Person, say: Say) -> None:
    say(["<think>" + "One two three " * 25])
    person.services.chats.list.set_tools(ToolChoice(("calculator",)))
    person.send("Count.")
    person.wait(lambda: "two three" in person.messages[-1][1])
    stopped = stop(person)
    assert stopped.startswith("<think>One two three")
    say(["and so on.</think>It is done."])
    person.click("Continue this reply")
    person.wait(lambda: not person.busy)
    assert person.messages == [("user", "Count."), ("assistant", f"{stopped}and so on.</think>It is done.")]


def test_a_call_that_was_stopped_in_the_middle_is_none(person: Person, say: Say) -> None:
    say(["<think>I add.</think>" + call_of("calculator", expression="1 + " * 100 + "1")])
    person.services.chats.list.set_tools(ToolChoice(("calculator",)))
    person.send("Add.")
    person.wait(lambda: "I add.</think>" in person.messages[-1][1])
    assert stop(person).strip() == "<think>I add.</think>"
    assert not cards(person)
    say(["It is 101."])
    person.click("Continue this reply")
    person.wait(lambda: not person.busy)
    assert person.messages[-1][1].split("</think>")[1].strip() == "It is 101."
    assert not cards(person)


def test_stop_works_while_a_result_is_read_and_the_work_can_go_on(person: Person, say: Say, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("rice\n" * 3000, "utf-8")
    say([call_of("read_file", path="long.txt"), "never said"])
    person.services.chats.list.set_tools(ToolChoice(("files",), (str(tmp_path),)))
    person.send("Read it.")
    person.wait(lambda: cards(person) and cards(person)[0].message.state == "done")
    assert stop(person) == ""
    assert [role for role, _ in person.messages] == ["user", "assistant", "tool", "assistant"]
    assert len(cards(person)) == 1


@pytest.mark.slow
def test_a_stored_call_that_was_not_made_is_made_when_one_goes_on(
    open_window: OpenWindow, say: Say, data_home: Path
) -> None:
    person = open_window()
    person.wait(lambda: person.model_state == "ready")
    say([call_of("write_file", name="a.txt", content="one")])
    person.services.chats.list.set_tools(ToolChoice(("write",)))
    person.send("Write it.")
    asked(person)
    chat = person.services.chats.list.current.id
    leaf = person.services.chats.list.path[-2].id
    person.close()
    with sqlite3.connect(data_home / "chats.sqlite3") as database:  # as a kill while the user was asked leaves it
        database.execute("DELETE FROM messages WHERE role = 'tool'")
        database.execute("UPDATE conversations SET leaf = ?", (leaf,))
    database.close()
    person = open_window()
    person.wait(lambda: person.model_state == "ready" and person.titles)
    person.services.chats.open(chat)
    person.wait(lambda: person.services.chats.list.path)
    assert person.services.chats.list.current.tools == ToolChoice(("write",))
    say(["Done."])
    person.click("Go on")
    person.click("Allow once", asked(person))
    person.wait(lambda: not person.busy)
    assert person.messages[-1] == ("assistant", "Done.")
    assert (work_folder(chat) / "a.txt").read_text() == "one"
