"""The parts around an assistant's loop in tests: what it tells, a question, an engine with a model."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from desktop_app.assistant.approvals import Approvals
from desktop_app.assistant.loop import Assistant
from desktop_app.assistant.tool import Tool
from desktop_app.chat.conversation import Message
from desktop_app.chat.request import ReplyOptions
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings, Text, Update

CONTEXT = 4096


class Notes:
    """What a listener hears."""

    def __init__(self) -> None:
        self.steps: list[Message] = []
        self.kept: list[Message] = []
        self.text = ""
        self.begun = threading.Event()

    def step(self, message: Message) -> None:
        self.steps.append(message)

    def store(self, message: Message) -> None:
        self.kept.append(message)

    def update(self, message: Message, update: Update) -> None:
        if isinstance(update, Text):
            self.text += update.text
            self.begun.set()

    def output(self, message: Message, text: str) -> None:
        self.begun.set()

    @property
    def stored(self) -> dict[str, Message]:
        return {message.id: message for message in self.steps}


def question(text: str = "6 * 7?") -> Message:
    return Message("chat", None, "user", text)


def assistant(engine: Any, tools: Sequence[Tool], notes: Notes, context: int = CONTEXT, **more: Any) -> Assistant:
    approvals = more.pop("approvals", None) or Approvals(lambda asked: "refuse")
    store = more.pop("store", notes.store)
    return Assistant(engine, context, tools, approvals, ReplyOptions(), {"temperature": 0.0}, store, notes, **more)


def loaded(engine: Engine, path: Path, context: int = CONTEXT) -> Engine:
    engine.submit(Load(path, LoadSettings(context=context, kv_type="f32"))).result(60)
    return engine
