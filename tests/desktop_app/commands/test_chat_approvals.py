"""What the terminal's chat asks before a tool changes something: answered, refused and stopped as a user does it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.history import History

if os.name != "nt":
    from tests.support.terminals import Terminal

pytestmark = pytest.mark.skipif(os.name == "nt", reason="terminals of POSIX")
QUESTION = b"Allow it?"
SERVER = Path(__file__).parents[2] / "support" / "mcp_server.py"


@contextmanager
def asked(model: Path, home: Path, *more: str) -> Iterator[Terminal]:
    """Start a chat in which a call waits for its approval."""
    call = {"id": "call00000", "name": "write_file", "arguments": {"name": "note.txt", "content": "tea"}}
    with closing(History(home / "chats.sqlite3")) as history:
        history.save_conversation(Conversation("chat", "Notes", leaf="asks"))
        history.save_message(Message("chat", None, "user", "Write it down.", "asks"))
        history.save_step(Message("chat", "asks", "assistant", "", "calls", facts={"tool_calls": [call]}))
    arguments = (
        "chat",
        "-m",
        str(model),
        "--ctx",
        "1024",
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


def result(home: Path) -> Message:
    with closing(History(home / "chats.sqlite3")) as history:
        (chat,) = history.conversations()
        branch = MessageTree(history.messages("chat")).path(chat.leaf)
    return next(message for message in branch if message.role == "tool")


@pytest.mark.parametrize(
    ("answer", "prompt"),
    [
        (b"yx\x7f\r", ()),
        (b"yn\r", ()),
        (b"\x04", ()),
        (b"y\r", ("--prompt", "Thanks.")),
        (b"\r", ("--prompt", "Thanks.")),
    ],
)
def test_enter_ends_an_answer(starter_gguf: Path, tmp_path: Path, answer: bytes, prompt: tuple[str, ...]) -> None:
    with asked(starter_gguf, tmp_path, *prompt) as terminal:
        terminal.type(answer)
        terminal.read_until(b"\xe2\x86\x90 ")  # the result
        terminal.read_until(b"> ") if not prompt else terminal.read_to_end()
    assert result(tmp_path).state == ("done" if answer in (b"y\r", b"yx\x7f\r") else "failed")
    assert bool(list(tmp_path.rglob("note.txt"))) == (answer in (b"y\r", b"yx\x7f\r"))


@pytest.mark.parametrize("prompt", [(), ("--prompt", "Thanks.")], ids=["typed", "prompt"])
def test_ctrl_c_ends_the_question(starter_gguf: Path, tmp_path: Path, prompt: tuple[str, ...]) -> None:
    with asked(starter_gguf, tmp_path, *prompt) as terminal:
        terminal.type(b"y\x03")
        if prompt:
            terminal.read_to_end()
            assert terminal.process.wait(20) == 130
        else:
            terminal.read_until(b"> ")
            terminal.type(b"\x04")
            terminal.read_to_end()
            assert terminal.process.wait(20) == 0
    assert not list(tmp_path.rglob("note.txt"))


@pytest.mark.skipif(sys.platform == "darwin", reason="the servers' processes are looked for in /proc")
def test_ctrl_c_while_a_server_connects(starter_gguf: Path, tmp_path: Path) -> None:
    servers = {kind: {"command": sys.executable, "args": [str(SERVER), kind]} for kind in ("good", "deaf")}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": servers}), "utf-8")
    arguments = ("chat", "-m", str(starter_gguf), "--prompt", "x", "--mcp", str(tmp_path / "mcp.json"))
    with Terminal(*arguments, ZHIYIN_HOME=str(tmp_path)) as terminal:
        while not servers_running("deaf"):
            assert terminal.process.poll() is None
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
