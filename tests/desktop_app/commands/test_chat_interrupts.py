"""Ctrl+C in the terminal's chat while a tool runs: once and twice, with a prompt and typed."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from desktop_app.assistant.sandbox import trial
from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.history import History

if os.name != "nt":
    from tests.support.terminals import Terminal

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="terminals of POSIX"),
    pytest.mark.skipif(not trial.is_enforced(), reason="this system has no sandbox"),
]
STUBBORN = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"


def running(model: Path, home: Path, code: str, *more: str) -> Terminal:
    """Return a chat in which Python runs."""
    call = {"id": "call00000", "name": "python", "arguments": {"code": f"{code}print('beg' + 'un')\nwhile True: pass"}}
    with closing(History(home / "chats.sqlite3")) as history:
        history.save_conversation(Conversation("chat", "Numbers", leaf="asks"))
        history.save_message(Message("chat", None, "user", "Count.", "asks"))
        history.save_step(Message("chat", "asks", "assistant", "", "calls", facts={"tool_calls": [call]}))
    said = ("chat", "-m", str(model), "--ctx", "1024", "--max-tokens", "4", "--continue", "--tools", "python", *more)
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
def test_ctrl_c_ends_a_tool_and_the_prompt_comes_back(starter_gguf: Path, tmp_path: Path, code: str) -> None:
    with running(starter_gguf, tmp_path, code) as terminal:
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
def test_ctrl_c_ends_a_command_in_which_a_tool_runs(starter_gguf: Path, tmp_path: Path, times: int) -> None:
    with running(starter_gguf, tmp_path, "", "--prompt", "Thanks.") as terminal:
        started = psutil.Process(terminal.process.pid).children(recursive=True)
        terminal.type(b"\x03" * times)
        printed = terminal.read_to_end()
        assert terminal.process.wait(20) == 130
    assert b"cli.py" not in printed, "a traceback of ours: the code's own ends in KeyboardInterrupt"
    assert stored(tmp_path).state in ("stopped", "streaming")
    assert_ended(started)
