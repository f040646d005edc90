"""How long the window's thread is busy at one go: python -m tests.benchmarks.bench_window [--tokens 2000].

Prints, for streaming replies into a long chat, opening chats, sending, pasting and changing the theme, the longest turn of
the event loop and what 99 of 100 take: the processor time that the window's thread spent in it (what the code costs) and the
time on the clock (which also counts what other programs took). A frame has 16.7 ms. The streamed text is a written one, sent
piece by piece through the engine's bridge at a speed that no model on a laptop reaches: 200 tokens a second.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import psutil
from PySide6.QtCore import QMimeData, Qt, QTimer
from PySide6.QtWidgets import QTreeWidget

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
from desktop_app.engine import protocol
from desktop_app.engine.results import Reply
from desktop_app.ui.bridges.engine_bridge import Call, EngineBridge
from desktop_app.ui.garbage import collect_in_pauses
from desktop_app.ui.models.conversion_dialog import ConversionDialog
from tests.support.checkpoints import checkpoint_of_gguf
from tests.support.window import Person, run_events

TOKENS_PER_SECOND = 200
_BUSY = 0.001
"""Seconds of work: turns that only looked whether there is any would hide the others."""
CHAPTER = """## Chapter {n}: the fox and the hill

The fox *Zephyr* lived on a **hill** near [the sea](https://example.org/sea), and `foxes(hill)` gave one.
狐狸住在海边的小山上，每天清晨都会去看日出；它的朋友们也一样。

1. First it looked for food,
   - berries,
   - and a fish.
2. Then it slept.

```python
def foxes(hill: Hill) -> list[Fox]:
    # every fox of the hill, by age
    return sorted((fox for fox in hill.animals if fox.kind == "fox"), key=lambda fox: fox.age)
```

| animal | count | note |
|---|---:|---|
| fox | {n} | red |
| owl | 3 | 夜行 |

> A quiet place, said the owl.

"""


class Meter:
    """Measures the turns of the event loop while it lives."""

    def __init__(self) -> None:
        self.turns: list[tuple[float, float]] = []
        self._last = (time.thread_time(), time.perf_counter())
        self._timer = QTimer(interval=0)
        self._timer.timeout.connect(self._turn)
        self._timer.start()

    def _turn(self) -> None:
        now = (time.thread_time(), time.perf_counter())
        work, clock = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        if work >= _BUSY or clock >= _BUSY:  # the others are 100,000 a second, which would be what takes the memory
            self.turns.append((work, clock))

    def report(self, what: str) -> None:
        self._timer.stop()
        work, clock = (max((turn[i] for turn in self.turns), default=0.0) * 1000 for i in (0, 1))
        busy = sorted(turn[0] * 1000 for turn in self.turns if turn[0] >= _BUSY)
        usual = busy[math.ceil(0.99 * len(busy)) - 1] if busy else 0.0
        late = sum(turn[0] > 0.0167 for turn in self.turns)
        print(
            f"{what}: 99 of 100 busy turns up to {usual:.1f} ms of work, longest {work:.1f} ms, {clock:.1f} ms on the clock; "
            f"{late} turns over a frame"
        )


class ReplayBridge(EngineBridge):
    """The engine's bridge with a written reply instead of a model's."""

    reply = ""
    piece = 4
    """Characters of a token."""

    def submit(
        self,
        request: protocol.Request[Any],
        on_update: Callable[[protocol.Update], None],
        on_done: Callable[[Any], None],
        on_failed: Callable[[Exception], None],
    ) -> Call:
        if not isinstance(request, protocol.Generate):
            return super().submit(request, on_update, on_done, on_failed)

        def speak() -> None:
            for start in range(0, len(self.reply), self.piece):
                update = protocol.Text(self.reply[start : start + self.piece])
                self._background.post(lambda update=update: on_update(update))
                time.sleep(1 / TOKENS_PER_SECOND)
            reply = Reply(self.reply, "end", 0, 0, len(self.reply) // 4, 0.0, 10.0)
            self._background.post(lambda: on_done(reply))

        threading.Thread(target=speak, daemon=True).start()
        return Call(self._background)


def write_chats(home: Path) -> None:
    """Write one chat with 500 messages and one with 100."""
    history = History(home / "chats.sqlite3")
    for title, count in (("500 messages", 500), ("100 messages", 100)):
        chat = Conversation(title=title)
        history.save_conversation(chat)
        parent = None
        for number in range(count):
            text = CHAPTER.format(n=number) if number % 2 else "Tell me another chapter, 再讲一章。"
            role = "assistant" if number % 2 else "user"
            message = Message(chat.id, parent, role, text, created=chat.created + number)
            history.save_message(message)
            parent = message.id
        history.save_conversation(Conversation(chat.id, title, chat.created, chat.updated, parent))
    history.close()


def measure(person: Person, what: str, act: Callable[[], object], until: Callable[[], object]) -> None:
    run_events(300)
    meter = Meter()
    act()
    person.wait(until)
    run_events(300)
    meter.report(what)


def seconds_later(seconds: float) -> Callable[[], bool]:
    """Return what becomes true so long after it was asked for first."""
    ends: list[float] = []

    def is_over() -> bool:
        ends.append(time.monotonic() + seconds)
        return time.monotonic() > ends[0]

    return is_over


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["ZHIYIN_HOME"] = folder
        home = Path(folder)
        write_chats(home)
        from desktop_app.ui import app, services

        services.EngineBridge = ReplayBridge  # type: ignore[misc]
        window = app.create_window(app.make_application())
        window.show()
        person = Person(window)
        person.wait(lambda: person.model_state == "ready" and person.titles)
        chats = person.services.chats
        collect_in_pauses(chats)
        ids = {chat.title: chat.id for chat in chats.list.conversations}
        measure(
            person,
            "opening a chat with 500 messages",
            lambda: chats.open(ids["500 messages"]),
            lambda: len(person.messages) == 500,
        )
        chats.open(ids["100 messages"])
        person.wait(lambda: len(person.messages) == 100)
        story = "".join(CHAPTER.format(n=n) for n in range(100))
        ReplayBridge.reply = story[: 4 * arguments.tokens]
        measure(
            person,
            f"streaming {arguments.tokens} tokens of Markdown",
            lambda: person.send("Go on."),
            lambda: not person.busy,
        )
        ReplayBridge.reply = ("- " + "a word and 另一个词, " * 6 + "\n") * 60
        measure(person, "streaming one long list", lambda: person.send("A list."), lambda: not person.busy)
        ReplayBridge.reply = "```python\n" + "value = compute(item, 3)  # 注释\n" * 220
        measure(person, "streaming one long code block", lambda: person.send("Code."), lambda: not person.busy)
        ReplayBridge.reply = "word " * arguments.tokens
        measure(person, "streaming one paragraph", lambda: person.send("Words."), lambda: not person.busy)
        measure_long_replies(person)
        ReplayBridge.reply = "".join(
            f"The sum $s_{{{n}}} = \\sum_{{i=1}}^{{{n}}} i^2$ is\n\n$$\\frac{{{n}({n}+1)(2\\cdot {n}+1)}}{{6}}$$\n\n"
            for n in range(100)
        )
        measure(person, "streaming 200 formulas", lambda: person.send("Sums."), lambda: not person.busy)
        for name, text in (("lines", "A line, 一行字 of a log.\n" * 45_000), ("one line", "word " * 200_000)):
            mime = QMimeData()
            mime.setText(text)
            measure(person, f"pasting 1 MB of {name}", partial(person.editor.insertFromMimeData, mime), lambda: True)
            ReplayBridge.reply = "Done."
            measure(person, f"sending 1 MB of {name}", partial(person.press, Qt.Key.Key_Return), seconds_later(5))
            chats.replies.stop()  # looking through so much takes a process of its own much longer
            person.wait(lambda: not person.busy)
        starter = person.services.library.models[-1].path
        (home / "copy.gguf").symlink_to(starter)
        measure(
            person,
            "importing a model",
            lambda: person.window.import_files([str(home / "copy.gguf")]),
            lambda: person.model_state == "ready" and len(person.services.library.models) == 2,
        )
        measure(
            person,
            "changing the theme",
            lambda: (setattr(person.services.settings, "theme", "dark"), person.services.apply_setting("theme")),
            lambda: True,
        )
        measure_conversion(person, checkpoint_of_gguf(starter, home / "Smol-Chat", shards=2, dtype="F16"))
        person.close()


def measure_long_replies(person: Person) -> None:
    """Stream a table of 5,000 rows and 50,000 brackets, as fast as 3,000 tokens come; say how the memory grows."""
    idle, usual = psutil.Process().memory_info().rss, ReplayBridge.piece
    rows = "".join(f"| {n} | **fox** | 一行 `x` |\n" for n in range(5000))
    table = f"| n | word | note |\n|---|---|---|\n{rows}"
    for name, text in (
        ("a table of 5,000 rows", table),
        ("50,000 brackets", "[" * 50_000),
        ("50,000 brackets with words", "[ and words " * 50_000),
    ):
        ReplayBridge.reply, ReplayBridge.piece = text, len(text) // 3000
        measure(person, f"streaming {name}", lambda: person.send("Go on."), lambda: not person.busy)
        print(f"    memory {psutil.Process().memory_info().rss / idle:.2f} times what it was before")
    ReplayBridge.piece = usual


def measure_conversion(person: Person, source: Path) -> None:
    """Look at a checkpoint of 270 MB with 49,152 tokens, then convert it."""
    window, conversions = person.window, person.services.conversions

    def dialog() -> ConversionDialog | None:
        return window.findChild(ConversionDialog)

    def is_judged() -> bool:
        shown = dialog()
        tree = None if shown is None else shown.findChild(QTreeWidget)
        return tree is not None and tree.topLevelItemCount() > 0 and bool(tree.topLevelItem(0).text(2))

    measure(person, "looking at a checkpoint", lambda: window.import_files([str(source)]), is_judged)
    measure(person, "converting it", lambda: person.click("Convert", dialog()), lambda: not conversions.jobs)


if __name__ == "__main__":
    main()
