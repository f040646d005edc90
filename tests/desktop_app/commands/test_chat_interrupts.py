"""Ctrl+C in the terminal's chat with tools at each step of a reply: once and twice, with a prompt and typed."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import psutil
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.assistant.sandbox import trial
from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.history import History
from tests.support.answering import write_answering
from tests.support.random_llama import random_llama
from tests.support.tiny_chat import tiny_chat

if os.name != "nt":
    from tests.support.terminals import Terminal

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="terminals of POSIX"),
    pytest.mark.skipif(not trial.is_enforced(), reason="this system has no sandbox"),
]
STUBBORN = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_chat(tmp_path_factory.mktemp("tiny"))


def running(model: Path, home: Path, code: str, *more: str) -> Terminal:
    """Return a chat in which Python runs."""
    call = {"id": "call00000", "name": "python", "arguments": {"code": f"{code}print('beg' + 'un')\nwhile True: pass"}}
    with closing(History(home / "chats.sqlite3")) as history:
        history.save_conversation(Conversation("chat", "Numbers", leaf="asks"))
        history.save_message(Message("chat", None, "user", "Count.", "asks"))
        history.save_step(Message("chat", "asks", "assistant", "", "calls", facts={"tool_calls": [call]}))
    said = ("chat", "-m", str(model), "--ctx", "4096", "--max-tokens", "4", "--continue", "--tools", "python", *more)
    terminal = Terminal(*said, ZHIYIN_HOME=str(home))
    terminal.read_until(b"begun")
    return terminal


def stored(home: Path) -> Message:
    with closing(History(home / "chats.sqlite3")) as history:
        (chat,) = history.conversations()
        return next(
            message for message in MessageTree(history.messages("chat")).path(chat.leaf) if message.role == "tool"
        )


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def assert_ended(started: list[psutil.Process]) -> None:
    """Hold that engine and interpreter are gone; who waits for them is the system, at its leisure."""
    end = time.monotonic() + 20
    while any(map(lives, started)):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("code", ["", pytest.param(STUBBORN, marks=pytest.mark.slow)], ids=["plain", "stubborn"])
def test_ctrl_c_ends_a_tool_and_the_prompt_comes_back(model: Path, tmp_path: Path, code: str) -> None:
    with running(model, tmp_path, code) as terminal:
        terminal.type(b"\x03")
        printed = terminal.read_until(b"> ")
        started = psutil.Process(terminal.process.pid).children(recursive=True)
        terminal.type(b"\x04")
        printed += terminal.read_to_end()
        assert terminal.process.wait(20) == 0
    assert b"cli.py" not in printed, "a traceback of ours: the code's own ends in KeyboardInterrupt"
    assert stored(tmp_path).state == "stopped"
    assert "begun" in stored(tmp_path).content
    assert_ended(started)


@pytest.mark.parametrize("times", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_ctrl_c_ends_a_command_in_which_a_tool_runs(model: Path, tmp_path: Path, times: int) -> None:
    with running(model, tmp_path, "", "--prompt", "Thanks.") as terminal:
        started = psutil.Process(terminal.process.pid).children(recursive=True)
        terminal.type(b"\x03" * times)
        printed = terminal.read_to_end()
        assert terminal.process.wait(20) == 130
    assert b"cli.py" not in printed, "a traceback of ours: the code's own ends in KeyboardInterrupt"
    assert stored(tmp_path).state in ("stopped", "streaming")
    assert_ended(started)


CONTEXT = 60_000
TEMPLATE = "{# <tool_call> #}{% if tools %}{% endif %}{% for m in messages %}{{ m.content }}{% endfor %}"
"""The last letter of a question decides what is said."""


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that thinks, answers or writes a call without end, or calls a tool with a long result: as it is asked."""
    folder = tmp_path_factory.mktemp("endless")
    (folder / "long").mkdir()
    (folder / "long" / "file.txt").write_text("rice " * 50_000, "utf-8")
    call = json.dumps({"name": "read_file", "arguments": {"path": str(folder / "long" / "file.txt")}})
    chains = (
        ("T", "<think>", " hm", " hm"),
        ("A", " tea", " tea"),
        ("C", " so", '<tool_call>{"name": "', "x", "x"),
        ("R", " look", f"<tool_call>{call}</tool_call>", "<end>"),
    )
    words = dict.fromkeys(word for chain in chains for word in chain if len(word) > 1 and word != "<end>")
    source = write_answering(
        folder / "checkpoint",
        partial(random_llama, max_position_embeddings=CONTEXT),
        (),
        control=("<end>",),
        words=tuple(words),
        ends=("<end>",),
        template=TEMPLATE,
        more=chains,
    )
    return convert(ConvertRequest(source, folder / "model.gguf", "F32")).path


STEPS = {
    "thinking": ("T", b"hm hm"),
    "answering": ("A", b"tea tea"),
    "calling": ("C", b"so"),
    "reading": ("R", "← rice".encode()),
}
"""Step -> a question that leads to it, and what is printed when it is reached."""


def chat_with(model: Path, home: Path, *more: str) -> Terminal:
    granted = model.parent / "long"
    said = ("chat", "-m", str(model), "--ctx", str(CONTEXT), "--max-tokens", "0", "--tools", f"files={granted}", *more)
    return Terminal(*said, ZHIYIN_HOME=str(home))


def branch_of(home: Path) -> list[Message]:
    with closing(History(home / "chats.sqlite3")) as history:
        (chat,) = history.conversations()
        return MessageTree(history.messages(chat.id)).path(chat.leaf)


def test_ctrl_c_at_each_step_of_a_reply_leaves_a_chat_that_goes_on(endless: Path, tmp_path: Path) -> None:
    printed = b""
    with chat_with(endless, tmp_path) as terminal:
        for question, reached in STEPS.values():
            printed += terminal.read_until(b"> ")
            terminal.type(question.encode() + b"\r")
            printed += terminal.read_until(reached)
            time.sleep(0.3)  # the text before a call is printed before the call is begun
            terminal.type(b"\x03")
        printed += terminal.read_until(b"> ")
        terminal.type(b"\x04")
        printed += terminal.read_to_end()
        assert terminal.process.wait(20) == 0
    assert b"Traceback" not in printed
    assert b"tool_call" not in printed
    branch = branch_of(tmp_path)
    assert [(message.role, message.content) for message in branch if message.role == "user"] == [
        ("user", question) for question, _ in STEPS.values()
    ]
    thinking, answering, calling, looking, result, reading = (one for one in branch if one.role != "user")
    assert [one.state for one in (thinking, answering, calling, reading)] == ["stopped"] * 4
    assert (looking.state, result.role, result.state) == ("done", "tool", "done")
    assert thinking.content.startswith("<think> hm hm")
    assert answering.content.startswith(" tea tea")
    assert (calling.content.strip(), calling.facts.get("tool_calls")) == ("so", None)
    assert reading.content == ""


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_at_each_step_ends_a_command(step: str, endless: Path, tmp_path: Path) -> None:
    question, reached = STEPS[step]
    with chat_with(endless, tmp_path, "--prompt", question) as terminal:
        terminal.read_until(reached)
        started = psutil.Process(terminal.process.pid).children(recursive=True)
        terminal.type(b"\x03")
        printed = terminal.read_to_end()
        assert terminal.process.wait(20) == 130
    assert b"Traceback" not in printed
    assert branch_of(tmp_path)[-1].state == "stopped"
    assert_ended(started)
