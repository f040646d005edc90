"""The loop: a model's calls are made, their results go back to it, until it answers. Runs on any thread that may wait.

Every step is stored as it happens: a call before it is made and when it ended, a reply while it is written. Whoever was killed
can go on with what is stored, and no call is made twice. A stop ends the reply that is being written or the tool that is running,
and the loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import TimeoutError as StillRunning
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from msgspec.structs import replace as with_fields

from desktop_app.assistant.approvals import Approvals
from desktop_app.assistant.arguments import arguments_fault
from desktop_app.assistant.budget import fitting, room
from desktop_app.assistant.tool import Tool, ToolResult
from desktop_app.chat.conversation import Message, State
from desktop_app.chat.failure import failure_facts
from desktop_app.chat.grounding import Grounding
from desktop_app.chat.reasoning import THINKING_SECONDS, ReasoningClock
from desktop_app.chat.request import ReplyOptions, reply_request
from desktop_app.chat.steps import Call, begin_call, calls_of, calls_of_reply, ended, open_calls, result_text, resumable
from desktop_app.engine.client import Answers, Job
from desktop_app.engine.protocol import Generate, Text, Update
from desktop_app.engine.results import Reply
from models.errors import ZhiyinError

MOST_STEPS = 16
"""Replies with calls in one go; after them the model is asked for its answer without tools."""
_LOOK = 0.05
"""Seconds between two looks at whether to stop."""
_ABANDON = 5.0
"""Seconds that a tool gets to end after a stop."""
_RETRIES = 3
_SAVE = 1.0
"""Seconds between two times that a reply is stored while it is written."""


class Listener(Protocol):
    """Hears of the steps, on the loop's thread, those that are stored after they were."""

    def step(self, message: Message) -> None:
        """A message began or ended. One of a call begins before the user is asked for it."""
        ...

    def update(self, message: Message, update: Update) -> None:
        """The reply that is being written grew, or its prompt is read."""
        ...

    def output(self, message: Message, text: str) -> None:
        """A running tool wrote something."""
        ...


@dataclass
class Assistant:
    """One chat's assistant."""

    engine: Answers
    context: int
    """Tokens that the loaded context holds; 0: no limit."""
    tools: Sequence[Tool]
    approvals: Approvals
    options: ReplyOptions
    recommended: Mapping[str, float]
    store: Callable[[Message], None]
    """Puts a message on the disk before it returns; raises `ZhiyinError`, which ends the loop."""
    listener: Listener
    model: str = ""
    """Its name, for the messages."""
    state_file: Path | None = None
    """As in `Generate.state`."""
    stop: threading.Event = field(default_factory=threading.Event)
    grounding: Grounding | None = None
    """What the model is to read of documents, besides the messages."""
    _clock: ReasoningClock = field(default_factory=ReasoningClock, init=False)
    """Of the reply under way."""

    def run(self, path: Sequence[Message], begun: Message | None = None) -> list[Message]:
        """Go on with a branch that ends in a message of the user, or in the middle of an assistant's work; return what came.

        Args:
            path: the branch.
            begun: the message of the first reply, where it is there already; it goes on after the text that it has.

        Raises:
            ZhiyinError: the engine refuses or ends, and the message of the reply is stored as failed before; or nothing can
                be stored.
        """
        branch = resumable(path)
        first = len(branch)
        steps = 0
        while not self.stop.is_set():
            pending = open_calls(branch)
            if pending is not None:
                self._make(pending[1], branch)
                if self.stop.is_set():
                    break
            steps += 1
            reply = self._reply(branch, begun, with_tools=steps <= MOST_STEPS)
            begun = None
            branch.append(reply)
            if not calls_of(reply) or reply.state != "done":
                break
        return branch[first:]

    def _reply(self, branch: Sequence[Message], begun: Message | None, *, with_tools: bool) -> Message:
        """Let the model write its next reply."""
        message = begun or Message(branch[-1].conversation, branch[-1].id, "assistant", "", state="streaming")
        message = replace(message, model=self.model)
        self.listener.step(message)
        try:
            reply = self._generated(branch, message, with_tools)
        except ZhiyinError as error:
            with suppress(ZhiyinError):  # the first one is said
                self._keep(replace(message, state="failed", facts=message.facts | failure_facts(error)))
            raise
        made = sum(len(calls_of(earlier)) for earlier in branch)
        calls = calls_of_reply(reply, made) if with_tools and reply.reason != "cancelled" else []
        if reply.reason in ("length", "full"):  # a call that was cut off there would be cut off again
            calls = [call for call in calls if not call.fault]
        facts = (
            message.facts
            | _facts(reply)
            | self._clock.facts
            | {"context": self.context}
            | ({"tool_calls": [call.stored() for call in calls]} if calls else {})
        )
        state: State = "stopped" if reply.reason == "cancelled" else "done"
        message = replace(message, content=reply.text, state=state, facts=facts)
        self._keep(message)
        return message

    def _keep(self, message: Message) -> None:
        """Store a step and tell of it."""
        self.store(message)
        self.listener.step(message)

    def _generated(self, branch: Sequence[Message], message: Message, with_tools: bool) -> Reply:
        """Ask the engine; where the results do not fit after all, with shorter ones."""
        tools = tuple(tool.offer() for tool in self.tools) if with_tools else ()
        for attempt in range(_RETRIES + 1):
            shorter = [_halved(earlier, attempt) for earlier in branch]
            request = reply_request(shorter, self.options, self.recommended, self.state_file, self.grounding)
            try:
                return self._wait(with_fields(request, tools=tools, begun=message.content), message)
            except ZhiyinError as error:
                has_results = any(earlier.role == "tool" for earlier in branch)
                if error.code != "context-full" or not has_results or attempt == _RETRIES:
                    raise
        raise AssertionError("unreachable")

    def _wait(self, request: Generate, message: Message) -> Reply:
        """Wait for a reply, storing what there is of it, passing on what comes and a stop."""
        written: list[str] = []
        self._clock = clock = ReasoningClock(message.content, float(message.facts.get(THINKING_SECONDS, 0)))

        def heard(update: Update) -> None:
            if isinstance(update, Text):
                written.append(update.text)
                clock.hear(update.text, time.monotonic())
            self.listener.update(message, update)

        job: Job[Reply] = self.engine.submit(request, heard)
        try:
            self.store(message)  # while the model reads: it costs no time before the first word
            return self._followed(job, message, written)
        except BaseException:
            job.cancel()
            raise

    def _followed(self, job: Job[Reply], message: Message, written: Sequence[str]) -> Reply:
        stored, next_time = 0, time.monotonic() + _SAVE
        while True:
            try:
                return job.result(_LOOK)
            except StillRunning:
                if job.future.done():
                    raise
                if self.stop.is_set():
                    job.cancel()
                    return job.result()
            if time.monotonic() > next_time and len(written) > stored:
                stored, next_time = len(written), time.monotonic() + _SAVE
                self.store(replace(message, content=message.content + "".join(written[:stored])))

    def _make(self, calls: Sequence[Call], branch: list[Message]) -> None:
        """Make calls one after the other, each a message at the end of the branch."""
        for call in calls:
            if self.stop.is_set():
                return
            tool = next((tool for tool in self.tools if tool.name == call.name), None)
            message = begin_call(call, branch[-1], "" if tool is None else tool.source)
            self.listener.step(message)
            result, seconds = self._called(call, tool, message)
            text = self._fitted(result.text, branch)
            state: State = "stopped" if self.stop.is_set() else "failed" if result.failed else "done"
            message = ended(message, text, state, seconds, result.files, result.tables)
            branch.append(message)
            self._keep(message)

    def _called(self, call: Call, tool: Tool | None, message: Message) -> tuple[ToolResult, float]:
        """Return what a call gives, and how many seconds it ran, without the time in which the user was asked.

        An error is a result as well, which tells the model what was wrong.

        A call is stored when the user allowed it and before it is made: one that was asked for only is asked for again after a
        kill, one that may have done something is not made again.
        """
        if call.fault or tool is None:
            return _refused(call.fault or f"There is no tool named {call.name!r} in this chat now.")
        if fault := arguments_fault(tool, call.arguments):
            return _refused(fault)
        if not self.approvals.allows(tool, call.arguments):
            return _refused("The user did not allow this call. Go on without it, or ask what they would like.")
        if self.stop.is_set():
            return _refused("")
        self.store(message)
        begun = time.monotonic()
        result = run_tool(tool, call.arguments, self.stop, lambda text: self.listener.output(message, text))
        return result, time.monotonic() - begun

    def _fitted(self, text: str, branch: Sequence[Message]) -> str:
        """Return a result as long as the context allows."""
        facts: Mapping[str, Any] = next(
            (earlier.facts for earlier in reversed(branch) if earlier.role == "assistant"), {}
        )
        used = int(facts.get("prompt_tokens", 0)) + int(facts.get("tokens", 0))
        most = room(self.context, used)
        if len(text.encode("utf-8", "replace")) <= most:  # no token is shorter than a byte
            return text
        text = fitting(text, 0, 1)
        try:
            tokens = self.engine.count_tokens(text)
        except ZhiyinError:  # the engine died meanwhile; what the tool gave is kept all the same
            tokens = len(text.encode("utf-8", "replace"))
        return fitting(text, tokens, most)


def _refused(why: str) -> tuple[ToolResult, float]:
    """Return the result of a call that was not made."""
    return ToolResult(why, failed=True), 0.0


def run_tool(
    tool: Tool, arguments: Mapping[str, Any], stop: threading.Event, output: Callable[[str], None]
) -> ToolResult:
    """Run a tool on a thread of its own, which is left behind where it does not end after a stop."""
    answers: SimpleQueue[ToolResult] = SimpleQueue()

    def run() -> None:
        try:
            answers.put(_storable(tool.run(arguments, stop, output)))
        except ZhiyinError as error:
            answers.put(ToolResult(str(error), failed=True))
        except Exception as error:  # a tool's own fault must not end the chat
            answers.put(ToolResult(f"The tool failed: {type(error).__name__}: {error}"[:2000], failed=True))

    threading.Thread(target=run, name=f"tool-{tool.name}", daemon=True).start()
    end: float | None = None
    while True:
        try:
            return answers.get(timeout=_LOOK)
        except Empty:
            if stop.is_set():
                end = end or time.monotonic() + _ABANDON
                if time.monotonic() > end:
                    return ToolResult("", failed=True)


def _storable(result: ToolResult) -> ToolResult:
    """Return a result whose text is UTF-8: names of files may have bytes that are none."""
    return replace(result, text=result.text.encode("utf-8", "backslashreplace").decode())


def _halved(message: Message, times: int) -> Message:
    """Return a result shortened to a half of itself some times; other messages as they are."""
    if message.role != "tool" or not times:
        return message
    text = result_text(message)
    return replace(message, content=fitting(text, 1 << times, 1))


def _facts(reply: Reply) -> dict[str, Any]:
    """Return what is stored of a reply beside its text."""
    names = ("reason", "prompt_tokens", "reused_tokens", "tokens", "prompt_seconds", "seconds")
    return {name: getattr(reply, name) for name in names}
