"""What an assistant's loop tells the window."""

from __future__ import annotations

import threading
from typing import Any

from PySide6.QtWidgets import QApplication

from desktop_app.chat.conversation import Message
from desktop_app.ui.bridges.assistant_bridge import Hearing, _Ears
from desktop_app.ui.bridges.background import Background
from tests.support.window import run_events


def test_a_flood_of_lines_is_gathered_and_whole_before_the_next_step(application: QApplication) -> None:
    heard: list[tuple[str, str]] = []

    def note(kind: str) -> Any:
        return lambda message, more="": heard.append((kind, message.id + more))

    background = Background("test")
    hearing = Hearing(note("step"), note("update"), note("output"), note("asked"), lambda: None, lambda error: None)
    ears = _Ears(background, hearing)
    first, second = Message("chat", None, "tool", "", id="a"), Message("chat", None, "tool", "", id="b")

    def write() -> None:
        for number in range(60_000):
            ears.output(first, f"{number}\n")
        ears.output(second, "end")
        ears.step(second)

    thread = threading.Thread(target=write)
    thread.start()
    while thread.is_alive() or ("step", "b") not in heard:
        run_events(10)
    background.close()
    *outputs, step = heard
    assert step == ("step", "b")
    assert {kind for kind, _ in outputs} == {"output"}
    assert len(outputs) < 6000
    assert outputs[-1] == ("output", "bend")
    texts = "".join(text.removeprefix("a") for _, text in outputs[:-1])
    assert texts == "".join(f"{number}\n" for number in range(60_000))
