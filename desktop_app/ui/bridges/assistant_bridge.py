"""The assistant's loop for the window: it runs on a thread of its own, and asks the user through signals.

Nothing here waits on the window's thread. Whether a call may be made is decided by `answer` alone, whatever texts say.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from desktop_app import reports
from desktop_app.assistant.keeper import ToolKeeper
from desktop_app.chat.conversation import Message
from desktop_app.ui.bridges.background import Background
from desktop_app.ui.bridges.engine_bridge import EngineBridge
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from desktop_app.assistant.approvals import Asked, Decision
    from desktop_app.assistant.loop import Assistant
    from desktop_app.assistant.mcp.configuration import Server
    from desktop_app.chat.grounding import Grounding
    from desktop_app.chat.request import ReplyOptions
    from desktop_app.chat.tool_choice import ToolChoice
    from desktop_app.engine.protocol import Update

_LOOK = 0.1
_GATHER_MS = 50
_END = 8.0
"""Seconds that a loop gets to end with the application."""


@dataclass(frozen=True)
class Work:
    """A task for an assistant."""

    path: Sequence[Message]
    choice: ToolChoice
    options: ReplyOptions
    recommended: Mapping[str, float]
    context: int
    model: str
    state_file: Path
    begun: Message | None = None
    """The message of the first reply, where it is there already."""
    grounding: Grounding | None = None
    """What the model is to read of documents."""

    @property
    def conversation(self) -> str:
        """Whose it is."""
        return self.path[0].conversation


@dataclass(frozen=True)
class Hearing:
    """Who hears of it, on the window's thread."""

    step: Callable[[Message], None]
    update: Callable[[Message, Update], None]
    output: Callable[[Message, str], None]
    asked: Callable[[Message, Asked], None]
    done: Callable[[], None]
    failed: Callable[[Exception], None]


@dataclass
class Run:
    """An assistant at work."""

    stop: threading.Event = field(default_factory=threading.Event)
    answers: SimpleQueue[tuple[str, Decision]] = field(default_factory=SimpleQueue)
    thread: threading.Thread | None = None

    def cancel(self) -> None:
        """Stop it; it ends as usual."""
        self.stop.set()

    def answer(self, message: str, decision: Decision) -> None:
        """Say whether the call of one message may be made."""
        self.answers.put((message, decision))


class AssistantBridge(QObject):
    """Begins loops, one at a time."""

    def __init__(self, engine: EngineBridge, store: Callable[[Message], None], parent: QObject | None = None) -> None:
        """`store` puts a step on the disk before it returns, on the loop's thread."""
        super().__init__(parent)
        self._engine, self._store = engine, store
        self._background = Background("assistant", self)
        self._keeper = ToolKeeper()
        self._allowed: dict[str, set[str]] = {}
        """What is allowed in each chat, until the application ends."""
        self._run: Run | None = None
        self._told = False
        """That Python cannot be confined here."""

    def begin(self, work: Work, hearing: Hearing) -> Run:
        """Let an assistant work; exactly one of `done` and `failed` is called, after all else."""
        run = self._run = Run()
        ears = _Ears(self._background, hearing)

        def act() -> None:
            try:
                self._assistant(work, hearing, run, ears).run(work.path, work.begun)
            except Exception as error:
                failure = error
                self._background.post(lambda: hearing.failed(failure))
            else:
                self._background.post(hearing.done)

        run.thread = threading.Thread(target=act, name="assistant", daemon=True)
        run.thread.start()
        return run

    def forget(self, conversation: str) -> None:
        """End what a chat's tools keep open."""
        self._allowed.pop(conversation, None)
        self._background.run(lambda: self._keeper.forget(conversation))

    def close(self) -> None:
        """Stop what is under way, and end the tools' processes."""
        if self._run is not None and self._run.thread is not None:
            self._run.cancel()
            self._run.thread.join(_END)
        self._background.close()
        self._keeper.close()

    def _assistant(self, work: Work, hearing: Hearing, run: Run, ears: _Ears) -> Assistant:
        """Return the loop with its tools, which may take a while: servers are connected."""
        from desktop_app.assistant.approvals import Approvals, always_allowed, remember_allowed
        from desktop_app.assistant.loop import Assistant
        from desktop_app.assistant.sandbox.trial import is_enforced
        from desktop_app.assistant.tool_names import PYTHON
        from desktop_app.assistant.tools.python import unconfined

        tools = self._keeper.tools(work.conversation, work.choice, _servers(), reports.say, run.stop)
        if PYTHON in work.choice.names and not is_enforced() and not self._told:
            self._told = True
            reports.say(unconfined())

        def ask(asked: Asked) -> Decision:
            message = ears.latest
            self._background.post(lambda: hearing.asked(message, asked))
            return _answer(run, message.id)

        approvals = Approvals(
            ask,
            set(always_allowed().read()),
            remember_allowed,
            self._allowed.setdefault(work.conversation, set()),
        )
        return Assistant(
            self._engine.engine,
            work.context,
            tools,
            approvals,
            work.options,
            work.recommended,
            self._store,
            ears,
            work.model,
            work.state_file,
            run.stop,
            work.grounding,
        )


class _Ears:
    """The loop's listener: passes on to the window's thread."""

    def __init__(self, background: Background, hearing: Hearing) -> None:
        self._background, self._hearing = background, hearing
        self._lock = threading.Lock()
        self._written: list[tuple[Message, str]] = []
        """What tools wrote and the window has not heard yet."""
        self.latest: Message

    def step(self, message: Message) -> None:
        self.latest = message
        self._background.post(self._pass_on)
        self._background.post(lambda: self._hearing.step(message))

    def update(self, message: Message, update: Update) -> None:
        self._background.post(lambda: self._hearing.update(message, update))

    def output(self, message: Message, text: str) -> None:
        """Gather what a tool writes: a loop that prints would be a hundred thousand turns of the window's thread."""
        with self._lock:
            waits = bool(self._written)
            self._written.append((message, text))
        if not waits:
            pass_on = partial(self._background.post, self._pass_on)
            self._background.post(lambda: QTimer.singleShot(_GATHER_MS, pass_on))

    def _pass_on(self) -> None:
        with self._lock:
            written, self._written = self._written, []
        for _, texts in groupby(written, key=lambda one: one[0].id):
            messages, pieces = zip(*texts, strict=True)
            self._hearing.output(messages[-1], "".join(pieces))


def _answer(run: Run, message: str) -> Decision:
    """Wait for what the user says of one call, or for a stop: a second click on an earlier one allows nothing."""
    while not run.stop.is_set():
        try:
            answered, decision = run.answers.get(timeout=_LOOK)
        except Empty:
            continue
        if answered == message:
            return decision
    return "refuse"


def _servers() -> Mapping[str, Server]:
    """Return the servers that may be used; a damaged file is said, and none are there."""
    from desktop_app.assistant.mcp.configuration import own_servers

    try:
        return {name: server for name, server in own_servers().items() if not server.disabled}
    except ZhiyinError as error:
        reports.say(error)
        return {}
