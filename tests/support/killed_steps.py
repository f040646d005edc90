"""A window whose model works with tools until somebody kills it: `python -m tests.support.killed_steps POINT`.

Prints `at POINT` when it got there and waits; POINT "end": it opens the chat that is there, lets it go on as a user does, and
prints its branch.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from PySide6.QtCore import QTimer

from desktop_app.assistant.mcp.configuration import Server, save_servers
from desktop_app.chat.conversation import Message
from desktop_app.chat.tool_choice import ToolChoice
from desktop_app.paths import data_folder, settings_file
from desktop_app.settings import Settings, save_settings
from desktop_app.ui.app import create_window, make_application
from desktop_app.ui.bridges.engine_bridge import EngineBridge
from desktop_app.ui.chat.step_question import StepQuestion
from tests.support.scripted_engine import ScriptedEngine
from tests.support.window import Person, run_events

POINTS = ("call", "tool", "result", "asked", "changed", "answer")
"""Where a kill comes: while a call is written, in a tool, after its result, while the user is asked, in what changes
something, in the answer."""
ANSWER = "All of it is done, and this is a long answer. " * 4
LONG = "which takes the model a while to write, " * 8
WAIT = 600


def main() -> None:
    """Work, with a call of Python, one of a server's tool that changes something, and an answer."""
    point = sys.argv[1]
    save_settings(Settings(language="en", temperature=0.0, welcomed=True), settings_file())
    program = str(Path(__file__).with_name("mcp_server.py"))
    changes = str(data_folder() / "changes")
    pause = str(WAIT if point == "changed" else 0)
    save_servers({"changes": Server(command=sys.executable, args=(program, "append", changes, pause))})
    person = Person(create_window(make_application()))
    person.window.show()
    person.wait(lambda: person.model_state == "ready" and (point != "end" or person.titles))
    if point == "end":
        go_on(person)
    else:
        begin(person, point)


def say(done: int, point: str, answered: str = "") -> None:
    """Let the engine say what comes after so many replies and a part of the answer."""
    pause = WAIT if point == "tool" else 0
    run = f"open('runs', 'a').write('run\\n')\nprint('begun', flush=True)\nimport time\ntime.sleep({pause})"
    run += f"\n# {LONG}"  # a call that takes a while to be written
    calls = [{"name": "python", "arguments": {"code": run}}, {"name": "echo", "arguments": {"text": "changed"}}]
    script = [*map(json.dumps, calls), ANSWER.removeprefix(answered)][done:]

    def scripted(bridge: EngineBridge) -> ScriptedEngine:
        engine = ScriptedEngine(bridge._engine, [])
        engine.script = script
        return engine

    EngineBridge.engine = property(scripted)  # type: ignore[assignment, method-assign]


def begin(person: Person, point: str) -> None:
    """Ask, and wait at a point to be killed."""
    chats = person.services.chats
    say(0, point)

    def reached(name: str) -> None:
        if name == point:
            wait_for_the_kill(point)

    def step(message: Message) -> None:
        if message.role == "tool" and message.state == "done" and message.facts["tool"] == "python":
            reached("result")

    def grown(identifier: str, text: str) -> None:
        if len(text) > 20:
            reached("answer")

    def asked(_: Message) -> None:
        reached("asked")
        person.wait(lambda: questions(person))
        person.click("Allow once", questions(person)[0])
        if point == "changed":
            person.wait((data_folder() / "changes").is_file)
            reached("changed")

    chats.replies.changed.connect(step)
    chats.replies.grown.connect(grown)
    if point == "call":
        chats.list.added.connect(
            lambda message: message.role == "assistant" and QTimer.singleShot(500, lambda: reached("call"))
        )
    chats.replies.output.connect(lambda *_: reached("tool"))
    chats.replies.asked.connect(asked)
    chats.list.set_tools(ToolChoice(("python",), servers=("changes",)))
    person.send("Do it.")
    run_events(WAIT * 1000)


def wait_for_the_kill(point: str) -> None:
    print(f"at {point}", flush=True)
    if point == "result":  # the loop on its thread would go on until the kill comes
        os.kill(os.getpid(), signal.SIGSTOP)
    run_events(WAIT * 1000)


def go_on(person: Person) -> None:
    """Open the chat, and use what is offered to go on."""
    chats = person.services.chats
    (chat,) = chats.list.conversations
    chats.open(chat.id)
    person.wait(lambda: chats.list.path)
    offered = [words for words in ("Go on", "Continue this reply", "Answer again") if words in person.buttons()]
    assert offered, person.buttons()
    answered = chats.list.path[-1].content if offered[0] == "Continue this reply" else ""
    say(sum(message.role == "assistant" and message.state == "done" for message in chats.list.path), "end", answered)
    person.click(offered[0])
    person.wait(lambda: questions(person) or not person.busy)
    if questions(person):
        person.click("Allow once", questions(person)[0])
    person.wait(lambda: not person.busy)
    branch = [
        [message.role, message.state, message.content, message.facts.get("tool", "")] for message in chats.list.path
    ]
    print(json.dumps({"offered": offered, "branch": branch}), flush=True)
    person.close()


def questions(person: Person) -> list[StepQuestion]:
    return [one for one in person.window.findChildren(StepQuestion) if one.isVisible()]


if __name__ == "__main__":
    main()
