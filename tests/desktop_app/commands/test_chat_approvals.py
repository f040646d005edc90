"""What the terminal's chat asks before a tool changes something: answered, refused and stopped as a user does it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.history import History
from tests.support.tiny_chat import tiny_chat

if os.name != "nt":
    from tests.support.terminals import Terminal

pytestmark = pytest.mark.skipif(os.name == "nt", reason="terminals of POSIX")
QUESTION = b"Allow it?"
SERVER = Path(__file__).parents[2] / "support" / "mcp_server.py"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_chat(tmp_path_factory.mktemp("tiny"))


@contextmanager
def asked(model: Path, home: Path, *more: str, calls: int = 1) -> Iterator[Terminal]:
    """Start a chat in which calls wait for their approval, one after the other."""
    made = [
        {"id": f"call0000{number}", "name": "write_file", "arguments": {"name": f"note{number}.txt", "content": "tea"}}
        for number in range(calls)
    ]
    with closing(History(home / "chats.sqlite3")) as history:
        history.save_conversation(Conversation("chat", "Notes", leaf="asks"))
        history.save_message(Message("chat", None, "user", "Write it down.", "asks"))
        history.save_step(Message("chat", "asks", "assistant", "", "calls", facts={"tool_calls": made}))
    arguments = (
        "chat",
        "-m",
        str(model),
        "--ctx",
        "4096",
        "--max-tokens",
        "4",
        "--continue",
        "--tools",
        "write",
        *more,
    )
    with Terminal(*arguments, ZHIYIN_HOME=str(home)) as terminal:
        terminal.read_until(QUESTION)
        yield terminal


def states(home: Path) -> list[str]:
    """Return how the calls ended."""
    with closing(History(home / "chats.sqlite3")) as history:
        (chat,) = history.conversations()
        branch = MessageTree(history.messages("chat")).path(chat.leaf)
    return [message.state for message in branch if message.role == "tool"]


@pytest.mark.parametrize(
    ("answers", "prompt"),
    [
        ({b"yx\x7f\r": "done", b"yn\r": "failed", b"\x04": "failed", b"yes\r": "done"}, ()),
        ({b"\r": "failed", b"y\r": "done"}, ("--prompt", "Thanks.")),
    ],
    ids=["typed", "prompt"],
)
def test_enter_ends_an_answer(model: Path, tmp_path: Path, answers: dict[bytes, str], prompt: tuple[str, ...]) -> None:
    with asked(model, tmp_path, *prompt, calls=len(answers)) as terminal:
        for number, answer in enumerate(answers):
            if number:
                terminal.read_until(QUESTION)
            terminal.type(answer)
            terminal.read_until(b"\xe2\x86\x90 ")  # the result
        terminal.read_until(b"> ") if not prompt else terminal.read_to_end()
    assert states(tmp_path) == list(answers.values())
    written = [f"note{number}.txt" for number, state in enumerate(answers.values()) if state == "done"]
    assert sorted(path.name for path in tmp_path.rglob("note*.txt")) == written


@pytest.mark.parametrize("prompt", [(), ("--prompt", "Thanks.")], ids=["typed", "prompt"])
def test_ctrl_c_ends_the_question(model: Path, tmp_path: Path, prompt: tuple[str, ...]) -> None:
    with asked(model, tmp_path, *prompt) as terminal:
        terminal.type(b"y\x03")
        if prompt:
            terminal.read_to_end()
            assert terminal.process.wait(20) == 130
        else:
            terminal.read_until(b"> ")
            terminal.type(b"\x04")
            terminal.read_to_end()
            assert terminal.process.wait(20) == 0
    assert not list(tmp_path.rglob("note0.txt"))


@pytest.mark.skipif(sys.platform == "darwin", reason="the servers' processes are looked for in /proc")
def test_ctrl_c_while_a_server_connects(model: Path, tmp_path: Path) -> None:
    servers = {kind: {"command": sys.executable, "args": [str(SERVER), kind]} for kind in ("good", "deaf")}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": servers}), "utf-8")
    arguments = ("chat", "-m", str(model), "--prompt", "x", "--mcp", str(tmp_path / "mcp.json"))
    with Terminal(*arguments, ZHIYIN_HOME=str(tmp_path)) as terminal:
        while not servers_running("deaf"):
            assert terminal.process.poll() is None
            time.sleep(0.1)  # looking at all processes takes time that they need
        terminal.type(b"\x03")
        printed = terminal.read_to_end(60)
        assert terminal.process.wait(20) == 130
        assert b"Traceback" not in printed
    assert not servers_running("good")


def servers_running(kind: str) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"] and process.info["cmdline"][-2:] == [str(SERVER), kind]:
            found.append(process.pid)
    return found
