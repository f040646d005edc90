"""The window and `zhiyin chat` ask the engine the same for the same chat."""

from __future__ import annotations

import io
from typing import Any

import pytest
from msgspec.structs import replace

from desktop_app.cli import main
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Generate, Request
from tests.desktop_app.ui.conftest import OpenWindow

QUESTIONS = ("Name a river.", "And a mountain?")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Generate]:
    """What the real engine is asked, in order; what belongs to a chat's file on disk is left out."""
    requests: list[Generate] = []
    submit = Engine.submit

    def recorded(engine: Engine, request: Request[Any], *rest: Any) -> Any:
        if isinstance(request, Generate):
            requests.append(replace(request, state=""))
        return submit(engine, request, *rest)

    monkeypatch.setattr(Engine, "submit", recorded)
    return requests


def type_in(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Let a pipe with these lines be standard input."""
    text = "".join(f"{line}\n" for line in lines)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8"))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"system_prompt": "You answer in one word.", "top_k": 7, "top_p": 0.5, "seed": 3, "max_tokens": 5},
        {"temperature": 0.0, "repeat_penalty": 1.3, "min_p": 0.2, "thinking": False, "effort": "low"},
    ],
    ids=["defaults", "instructions", "choices"],
)
def test_window_and_terminal_send_the_same(
    open_window: OpenWindow, asked: list[Generate], settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    person = open_window(**{"temperature": 0.0, "max_tokens": 6, **settings})
    person.wait(lambda: person.model_state == "ready")
    for question in QUESTIONS:
        person.ask(question)
    from_window = asked[:]
    person.close()
    asked.clear()

    type_in(monkeypatch, *QUESTIONS)
    assert main(["chat"]) == 0
    assert asked == from_window
    assert len(asked) == len(QUESTIONS)


def test_options_of_the_command_come_before_the_settings(
    open_window: OpenWindow, asked: list[Generate], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_window(system_prompt="You answer in French.", top_k=7, max_tokens=5).close()
    type_in(monkeypatch)
    assert main(["chat", "--prompt", "Hi", "--system", "", "--top-k", "9", "--max-tokens", "2"]) == 0
    (request,) = asked
    assert [message["role"] for message in request.messages] == ["user"]
    assert (request.sampling.top_k, request.sampling.max_tokens) == (9, 2)
