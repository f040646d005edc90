"""What the terminal is given and gives: messages of any length, progress within its width, no command from anybody's text."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter
from gguf.scripts import gguf_new_metadata

from desktop_app.commands import streams, terminal
from desktop_app.commands.streams import decode_text
from desktop_app.commands.terminal import ProgressLine, columns_of, counted, cut_to_columns, print_json
from models.visible import visible_lines
from tests.support.commands import zhiyin
from tests.support.gguf_reader import GGUFReader

pty = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
EDITOR = """
import sys
from desktop_app.commands.message_input import MessageEditor, unread_input_kept
from desktop_app.commands.streams import prepare_streams, show_control_characters
prepare_streams()
show_control_characters()
with unread_input_kept():
    print("loading", flush=True)
    sys.stdout.flush()
    if "typed-ahead" in sys.argv:
        import time
        while not __import__("select").select([0], [], [], 1)[0]: pass
        time.sleep(0.5)
    editor = MessageEditor()
    try:
        while True:
            text = editor.read()
            print("GOT", len(text), text.count("\\n"), hash(text) == hash(text.strip()), repr(text[-12:]), flush=True)
    except (EOFError, KeyboardInterrupt) as end:
        print("END", type(end).__name__, flush=True)
"""


@pty
@pytest.mark.parametrize("columns", [40, 200])
def test_a_message_of_any_length_arrives_whole(columns: int) -> None:
    """The terminal itself would cut a line at 4,095 bytes."""
    from tests.support.terminals import Terminal

    with Terminal("typed-ahead", code=EDITOR, columns=columns) as typed:
        typed.read_until(b"loading")
        typed.type("知音 words ".encode() * 1000 + b"end.\r")  # while nobody reads
        assert b" True 'ds \xe7\x9f\xa5\xe9\x9f\xb3 words end.'"[-14:] in typed.read_until(
            b"GOT 9004 0"
        ) + typed.read_until(b"\n")
        typed.read_until(b"> ")
        typed.type(b"\x1b[200~" + b"one line\r\n" * 11_000 + b"the last\x1b[201~\r")
        typed.read_until(b"GOT 99008 11000")
        typed.read_until(b"> ")
        typed.type(b"first\x1b\rsecond\r")  # Alt+Enter begins a line
        typed.read_until(b"GOT 12 1")
        typed.type(b"\x1b[A\x1b[A\r")  # the arrow: the last message again
        typed.read_until(b"GOT 12 1")
        typed.type(b"\x04")
        typed.read_until(b"END EOFError")


@pty
def test_ctrl_c_clears_what_is_typed_and_then_ends() -> None:
    from tests.support.terminals import Terminal

    with Terminal(code=EDITOR) as typed:
        typed.read_until(b"\x1b[?2004h")  # the editor has taken Ctrl+C over from the terminal
        typed.type(b"a mistake\x03correct\r")
        typed.read_until(b"GOT 7 0")
        typed.read_until(b"\x1b[?2004h")
        typed.type(b"\x03")
        typed.read_until(b"END KeyboardInterrupt")


@pty
def test_a_chat_in_a_terminal_answers_and_ends_in_order(starter_gguf: Path) -> None:
    from tests.support.terminals import Terminal

    with Terminal("chat", "--max-tokens", "3", "--temperature", "0", columns=40) as chat:
        before = chat.read_until(b"> ")
        assert all(columns_of(line) < 40 for line in drawn(before) if "loading" in line), "progress fits"
        chat.type(b"Say hello.\r")
        chat.read_until(b"\n> ")
        chat.type(b"\x04")
        assert b"Traceback" not in chat.read_to_end()
        assert chat.process.wait() == 0


def drawn(output: bytes) -> list[str]:
    return [re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", line) for line in re.split("[\r\n]+", output.decode())]


@pty
@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_progress_is_one_line_of_the_terminal(columns: int) -> None:
    from tests.support.terminals import Terminal

    code = """
from desktop_app.commands.terminal import ProgressLine
line = ProgressLine()
for part in range(101):
    line.show(part / 100, f"4.1 GB of 8.2 GB, {part}/100 files, 12.3 MB/s, {'知音' * 9}\\x1b[2J{'x' * part}")
line.clear()
"""
    with Terminal(code=code, columns=columns) as shown:
        output = shown.read_to_end()
    assert b"\n" not in output
    assert b"\x1b" not in output
    lines = [line for line in output.decode().split("\r") if line]
    assert len(lines) == 102
    assert max(map(columns_of, lines)) == columns - 1


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_progress_is_one_line_a_minute_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where many lines follow each other: each step of a long work has one of its own."""
    clock = Clock()
    monkeypatch.setattr(terminal, "time", clock)
    monkeypatch.setattr(ProgressLine, "_said", None)
    for step in range(100):
        line = ProgressLine()
        for part in range(10):
            line.show(part / 10, f"step {step}\n")
            clock.now += 0.3
        line.clear()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert said[0] == r"10%  step 20\n"


def test_text_is_cut_by_the_columns_it_takes() -> None:
    assert cut_to_columns("abc", 3) == "abc"
    assert cut_to_columns("知音知音", 8) == "知音知音"
    assert cut_to_columns("知音知音", 7) == "知音知…"
    assert cut_to_columns("知音知音", 6) == "知音…"


def test_control_characters_are_shown() -> None:
    text = "a\x1b]0;t\x07\x9b2J\tb\r\nc\rd\x08\x7f\u202e\u2028\ud800知\u200f"
    assert visible_lines(text) == "a\\x1b]0;t\\x07\\x9b2J\tb\nc\\rd\\x08\\x7f\\u202e\\u2028\\ud800知\u200f"


HOSTILE = "evil\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"


@pytest.fixture
def hostile_gguf(tmp_path: Path) -> Path:
    path = tmp_path / "evil\x1b[31m.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_string("general.name", HOSTILE)
    writer.add_string("general.author" + HOSTILE, HOSTILE)
    writer.add_float32("llama.rope.freq_base", float("nan"))
    writer.add_float64("llama.infinite", float("-inf"))
    writer.add_array("llama.several", [1.0, float("inf")])
    writer.add_tensor("blk.0.attn_norm.weight", np.zeros(8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pty
@pytest.mark.parametrize("arguments", [["models", "info"], ["models", "import"], ["fit"], ["chat", "-m"], ["tokenize"]])
def test_no_text_of_a_file_commands_the_terminal(arguments: list[str], hostile_gguf: Path) -> None:
    from tests.support.terminals import Terminal

    more = ["hi"] if arguments == ["tokenize"] else []
    with Terminal(*arguments, str(hostile_gguf), *more, columns=200) as shown:
        output = shown.read_to_end().decode()
    assert "evil" in output
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", output.replace("\x1b[?12l\x1b[?25h", ""))


def test_json_has_no_numbers_that_are_none(hostile_gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from desktop_app.cli import main

    assert main(["models", "info", str(hostile_gguf), "--json"]) == 0

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    facts = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert facts["metadata"]["llama.rope.freq_base"] is None
    assert facts["metadata"]["general.name"] == HOSTILE
    print_json({"a": [float("nan"), {"b": (float("inf"), 1.5)}], "c": np.array([np.nan, 0.5], np.float32)})
    written = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert written == {"a": [None, {"b": [None, 1.5]}], "c": [None, 0.5]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_of_a_pipe_is_read_in_its_encoding(encoding: str) -> None:
    assert decode_text("知音\r\n".encode(encoding)) == "知音\r\n"


def test_bytes_of_no_encoding_are_text_nevertheless() -> None:
    assert decode_text(b"abc\xff\xfe\xfa")[:3] == "abc"


class Gone(io.StringIO):
    """A stream whose reader went away, or whose disk is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_nobody_is_told_where_stderr_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[int] = []
    monkeypatch.setattr(streams, "redirect_to_null", dropped.append)
    monkeypatch.setattr(sys, "stderr", Gone())
    terminal.say("Hello")
    assert dropped == [2]


@pty
@pytest.mark.parametrize("seconds", [0.05, 0.7])
def test_ctrl_c_while_a_model_loads_ends_with_the_shells_code(seconds: float, starter_gguf: Path) -> None:
    """Wherever it is then: in imports, in the plan, in the load."""
    from tests.support.terminals import Terminal

    with Terminal(
        "chat",
        code=f"import time, threading, os, signal; from desktop_app.cli import main; import sys\n"
        f"threading.Timer({seconds}, os.kill, (0, signal.SIGINT)).start()\nraise SystemExit(main())",
    ) as chat:
        output = chat.read_to_end()
        assert chat.process.wait() in (130, -signal.SIGINT)
    assert b"Traceback" not in output


def test_a_base_model_is_said_to_continue_texts(starter_gguf: Path, tmp_path: Path) -> None:
    """The starter without its template, as a base model is published."""
    base = tmp_path / "tiny-base.gguf"
    reader, writer = GGUFReader(starter_gguf), GGUFWriter(base, "llama")
    gguf_new_metadata.copy_with_new_metadata(reader, writer, {}, ["tokenizer.chat_template"])
    done = zhiyin("chat", "-m", str(base), "--prompt", "Once upon a time", "--max-tokens", "4", "--ctx", "256")
    assert done.returncode == 0, done.stderr
    assert "is a base model: it continues your text" in done.stderr
    again = zhiyin("chat", "-m", str(starter_gguf), "--prompt", "Hello", "--max-tokens", "2", "--ctx", "256")
    assert "base model" not in again.stderr


def test_an_empty_prompt_and_two_ways_to_choose_types_are_refused(tmp_path: Path) -> None:
    for words, sentence in (
        (("chat", "--prompt", " "), "--prompt is empty"),
        (("convert", str(tmp_path), "--bits", "4.5", "--quant", "Q8_0"), "leave one of them out"),
    ):
        done = zhiyin(*words)
        assert done.returncode == 1
        assert sentence in done.stderr


def test_one_thing_is_no_plural() -> None:
    assert [counted(count, "file") for count in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
