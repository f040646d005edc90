"""What the assistant's loop costs where no tool is on: the time to the first token with it and without it, by turns.

    python -m tests.benchmarks.bench_assistant [MODEL] [--turns N]

Each turn asks another question, so that nothing is reused of the one before; the order changes with each turn. Steps are stored
in SQLite as in a chat. The medians are compared; on a busy computer only the processor time of this process says what the loop
costs, which is held against the processor time of the whole turn, the engine's included.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psutil

from desktop_app.assistant.approvals import Approvals
from desktop_app.assistant.loop import Assistant
from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
from desktop_app.chat.request import ReplyOptions, reply_request
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings, Text, Update
from desktop_app.library.installed import Library

_SAMPLING = {"temperature": 0.0}
_OPTIONS = ReplyOptions(max_tokens=2)


Taken = tuple[float, float]
"""Seconds until the first text, and seconds of processor time of this process until then."""


class _First:
    """Hears when the first text comes."""

    def __init__(self) -> None:
        self.at = 0.0
        self.own = 0.0
        """Processor time of this process until then."""

    def step(self, message: Message) -> None:
        """Steps are of no interest here."""

    def output(self, message: Message, text: str) -> None:
        """Nor is what tools write."""

    def update(self, message: Message | None, update: Update) -> None:
        """Note the time of the first text."""
        if isinstance(update, Text) and not self.at:
            self.at, self.own = time.perf_counter(), time.process_time()


def direct(engine: Engine, history: History, question: Message) -> Taken:
    """Ask as the window does without tools: the reply is stored, then asked for."""
    first = _First()
    begun, own = time.perf_counter(), time.process_time()
    history.save_message(Message(question.conversation, question.id, "assistant", "", state="streaming"))
    engine.submit(reply_request([question], _OPTIONS, _SAMPLING), lambda update: first.update(None, update)).result()
    return first.at - begun, first.own - own


def looped(engine: Engine, history: History, question: Message) -> Taken:
    """Ask through the loop."""
    first = _First()
    begun, own = time.perf_counter(), time.process_time()
    Assistant(engine, 2048, [], Approvals(lambda asked: "refuse"), _OPTIONS, _SAMPLING, history.save_step, first).run(
        [question]
    )
    return first.at - begun, first.own - own


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--turns", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, closing(History(Path(folder) / "chats.sqlite3")) as history:
        starter = Library(Path(folder) / "models").starter()
        model = arguments.model or (starter.path if starter else None)
        assert model is not None, "name a model"
        history.save_conversation(Conversation("chat", "title"))
        times: dict[str, list[Taken]] = {"direct": [], "loop": []}
        with Engine() as engine:
            engine.submit(Load(model, LoadSettings(context=2048))).result()
            direct(engine, history, _question(history, 0))
            whole = _processor_time(engine)
            for turn in range(1, arguments.turns + 1):
                ways = [("direct", direct), ("loop", looped)]
                for place, (name, way) in enumerate(ways if turn % 2 else ways[::-1]):
                    times[name].append(way(engine, history, _question(history, 2 * turn + place)))
            whole = (_processor_time(engine) - whole) / (2 * arguments.turns)
    before, after = (statistics.median(wall for wall, _ in times[name]) for name in ("direct", "loop"))
    print(f"time to the first token: {before * 1000:.1f} ms without the loop, {after * 1000:.1f} ms with it")
    print(f"difference {(after - before) / before:+.2%} of it; quartiles without the loop:", end=" ")
    print(", ".join(f"{value * 1000:.1f}" for value in statistics.quantiles((t for t, _ in times["direct"]), n=4)))
    less, more = (statistics.median(own for _, own in times[name]) for name in ("direct", "loop"))
    print(f"processor time of this process until then: {less * 1000:.2f} and {more * 1000:.2f} ms")
    print(
        f"difference {(more - less) / whole:+.2%} of a turn's processor time ({whole * 1000:.0f} ms, the engine's included)"
    )


def _processor_time(engine: Engine) -> float:
    """Return what this process and the engine's have taken so far."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in (os.getpid(), engine.pid) if pid is not None)


def _question(history: History, number: int) -> Message:
    message = Message("chat", None, "user", f"{number}: " + "name one river and say where it flows, in short. " * 12)
    history.save_message(message)
    return message


if __name__ == "__main__":
    main()
