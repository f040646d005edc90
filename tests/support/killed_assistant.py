"""An assistant at work until somebody kills it: `python -m tests.support.killed_assistant DATABASE MODEL POINT`.

Prints `at POINT` when it got there and waits; POINT "end": it goes on with what is stored, and prints the branch.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from desktop_app.assistant.approvals import Approvals, Asked, Decision
from desktop_app.assistant.tool import Tool, ToolResult, schema
from desktop_app.assistant.tools.python import Interpreter
from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.history import History
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Text, Update
from tests.support.acting import Notes, assistant, loaded
from tests.support.scripted_engine import ScriptedEngine

POINTS = ("reply", "tool", "result", "asked", "changed", "answer")
"""Where a kill comes: in a reply, in a tool, after its result, while the user is asked, in what changes, in the answer."""


class Stop(Notes):
    """Waits to be killed at one point."""

    def __init__(self, point: str, history: History) -> None:
        super().__init__()
        self._point, self._history = point, history

    def reach(self, point: str) -> None:
        if point == self._point:
            print(f"at {point}", flush=True)
            time.sleep(600)

    def store(self, message: Message) -> None:
        self._history.save_step(message)
        first = message.parent == "question"
        if message.role == "assistant" and message.state == "streaming" and first:
            self.reach("reply")
        if message.role == "tool" and message.state == "done" and message.facts["tool"] == "python":
            self.reach("result")

    def update(self, message: Message, update: Update) -> None:
        if isinstance(update, Text):
            self.reach("answer")
        super().update(message, update)

    def output(self, message: Message, text: str) -> None:
        self.reach("tool")

    def ask(self, asked: Asked) -> Decision:
        self.reach("asked")
        return "once"


def main() -> None:
    """Work, with a call of Python, one of a tool that changes something, and an answer."""
    database, model, point = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    history = History(database)
    if not history.conversations():
        history.save_conversation(Conversation("chat", "title", leaf="question"))
        history.save_message(Message("chat", None, "user", "Do it.", "question"))
    tree = MessageTree(history.messages("chat"))
    path = tree.path(tree.newest_leaf(history.conversations()[0].leaf))
    notes = Stop(point, history)

    def change(arguments: Any, stop: threading.Event, output: Any) -> ToolResult:
        with (database.parent / "changes").open("a") as file:
            file.write("changed\n")
        notes.reach("changed")
        return ToolResult("It is changed.")

    code = "open('runs', 'a').write('run\\n')\nprint('hello', flush=True)" + (
        "\nimport time\ntime.sleep(600)" if point == "tool" else ""
    )
    calls = [{"name": "python", "arguments": {"code": code}}, {"name": "change", "arguments": {}}]
    written = sum(message.role == "assistant" and message.state == "done" for message in path)
    script = [*map(json.dumps, calls), "Done."][written:]
    interpreter = Interpreter(database.parent / "work")
    tools = [interpreter.tool(), Tool("change", "Changes.", schema(), change, changes=True)]
    with Engine() as engine:
        acting = assistant(
            ScriptedEngine(loaded(engine, model), script).as_engine(), tools, notes, approvals=Approvals(notes.ask)
        )
        acting.run(path)
    interpreter.close()
    tree = MessageTree(history.messages("chat"))
    branch = tree.path(history.conversations()[0].leaf)
    print(json.dumps([[message.role, message.state, message.content, message.facts] for message in branch]))


if __name__ == "__main__":
    main()
