"""The commands, run as a user runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from desktop_app import cli
from desktop_app.paths import models_folder
from tests.support.checkpoints import write_checkpoint
from tests.support.commands import without_display, zhiyin
from tests.support.efforts import SAID, effort_model
from tests.support.random_llama import random_llama
from tests.support.trash import in_bin

ROOT = Path(__file__).parents[3]
STARTER = "SmolLM2-135M-Instruct"


def test_chat_prints_the_reply_alone() -> None:
    done = zhiyin("chat", "--prompt", "Say hello.", "--temperature", "0", "--max-tokens", "12")
    assert done.returncode == 0
    assert done.stdout.strip()
    assert done.stdout.count("\n") == done.stdout.strip().count("\n") + 1
    assert done.stderr == ""


def test_without_a_display_it_says_so_and_chats() -> None:
    """The reply is drawn at random, and the tiny model's may go on until the context is full: its beginning is enough."""
    with start(stdin=subprocess.PIPE, env=without_display()) as chat:
        assert chat.stdin is not None
        assert chat.stdout is not None
        chat.stdin.write(b"Say hello.\n")
        chat.stdin.flush()
        assert chat.stdout.read(1)
        chat.kill()
        assert chat.communicate(timeout=60)[1].count(b"no display") == 1


def test_a_terminal_chat_remembers(tmp_path: Path) -> None:
    done = zhiyin("chat", "--temperature", "0", "--max-tokens", "16", stdin="My name is Li.\n\nWhat is my name?\n")
    assert done.returncode == 0
    assert len(done.stdout.strip().splitlines()) >= 2


def test_models_list_info_import_remove(starter_gguf: Path, tmp_path: Path) -> None:
    copy = tmp_path / "mine.gguf"
    copy.write_bytes(starter_gguf.read_bytes())
    assert [m["name"] for m in json.loads(zhiyin("models", "--json").stdout)] == [STARTER]
    imported = json.loads(zhiyin("models", "import", str(copy), "--json").stdout)
    assert imported[0]["path"] == str(copy)
    assert [m["name"] for m in json.loads(zhiyin("models", "list", "--json").stdout)] == ["mine", STARTER]
    info = json.loads(zhiyin("models", "info", "mine", "--json").stdout)
    assert info["metadata"]["llama.block_count"] == 30
    assert zhiyin("models", "remove", "mine").returncode == 0
    assert copy.exists(), "a file that was imported where it lies is not deleted"
    assert zhiyin("models", "remove", STARTER).returncode == 1


def test_removing_a_split_model_removes_all_its_files(data_home: Path, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "random", *random_llama())
    out = data_home / "models" / "mine.gguf"
    out.parent.mkdir()
    options = ("--tokenizer", "none", "--quant", "F32", "--split-max-size", "100K", "--out", str(out))
    first = zhiyin("convert", str(checkpoint), *options).stdout.splitlines()[0]
    assert len(list(out.parent.glob("mine-0*.gguf"))) > 1
    names = {path.name for path in out.parent.glob("*.gguf")}
    done = zhiyin("models", "remove", Path(first).stem)
    assert done.returncode == 0
    assert "is in the system's bin, and" in done.stderr
    assert not list(out.parent.glob("*.gguf"))
    assert in_bin() == names


def test_a_model_is_deleted_for_good_where_that_is_wanted(starter_gguf: Path) -> None:
    path = models_folder() / "mine.gguf"
    path.write_bytes(starter_gguf.read_bytes())
    done = zhiyin("models", "remove", "mine", "--delete")
    assert done.returncode == 0
    assert "are free again" in done.stderr
    assert "bin" not in done.stderr
    assert (path.exists(), in_bin()) == (False, set())


def test_without_a_bin_nothing_is_removed(starter_gguf: Path, data_home: Path) -> None:
    path = models_folder() / "mine.gguf"
    path.write_bytes(starter_gguf.read_bytes())
    (data_home / "share").write_text("no folder")
    done = zhiyin("models", "remove", "mine")
    assert done.returncode == 1
    assert "cannot be moved to the system's bin" in done.stderr
    assert "--delete" in done.stderr
    assert path.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="a variable of Linux")
@pytest.mark.parametrize("named", ["", "share"])
def test_no_bin_is_made_in_the_folder_a_command_runs_in(starter_gguf: Path, tmp_path: Path, named: str) -> None:
    """A base folder that is empty or relative counts as none."""
    path = models_folder() / "mine.gguf"
    path.write_bytes(starter_gguf.read_bytes())
    assert zhiyin("models", "remove", "mine", XDG_DATA_HOME=named, HOME=str(tmp_path)).returncode == 0
    assert not path.exists()
    assert (tmp_path / ".local/share/Trash/files/mine.gguf").exists()


def test_importing_a_text_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.gguf").write_text("hello")
    done = zhiyin("models", "import", str(tmp_path / "letter.gguf"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "not a GGUF file" in done.stderr


def test_messages_that_are_nested_too_deeply_are_one_sentence(tmp_path: Path) -> None:
    for depth in (900, 100_000):
        (tmp_path / "messages.json").write_text('[{"role": "user", "content": ' + "[" * depth + "]" * depth + "}]")
        done = zhiyin("prompt", STARTER, "--messages", str(tmp_path / "messages.json"))
        assert done.returncode == 1
        assert done.stderr.endswith("is not JSON (it is nested too deeply); correct it.\n")


def test_tokenize_prompt_and_logits(tmp_path: Path) -> None:
    assert zhiyin("tokenize", STARTER, "Hello world").stdout == "19556 905\n"
    assert json.loads(zhiyin("tokenize", STARTER, "Hello world", "--json").stdout) == {"ids": [19556, 905]}
    messages = tmp_path / "messages.json"
    messages.write_text(json.dumps([{"role": "user", "content": "你好"}]), "utf-8")
    assert "<|im_start|>user\n你好<|im_end|>" in zhiyin("prompt", STARTER, "--messages", str(messages)).stdout
    out = tmp_path / "logits.npy"
    assert zhiyin("logits", STARTER, "--ids", "19556,905", "--out", str(out)).returncode == 0
    by_text = tmp_path / "text.npy"
    assert zhiyin("logits", STARTER, "--text", "Hello world", "--out", str(by_text)).returncode == 0
    logits = np.load(out)
    assert (logits.dtype, logits.shape) == (np.float32, (2, 49152))
    assert np.array_equal(logits, np.load(by_text))


def test_hardware_and_doctor() -> None:
    hardware = json.loads(zhiyin("hardware", "--json").stdout)
    assert hardware["total_memory"] >= hardware["available_memory"] > 0
    assert hardware["physical_cores"] >= 1
    assert any(device["type"] == "cpu" for device in hardware["devices"])
    done = zhiyin("doctor", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert all(check["good"] for check in report["checks"])
    assert report["versions"]["llama-cpp-python"] == "0.3.36"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["bogus"], 2, "invalid choice"),
        (["convert"], 2, "SOURCE"),
        (["chat", "-m", "nowhere"], 1, "no model and no file named 'nowhere'"),
        (["convert", "nowhere", "--out", "x.gguf"], 1, "does not exist"),
        (["logits", STARTER, "--ids", "1,x", "--out", "x.npy"], 2, "not a list of numbers"),
        (["logits", STARTER, "--ids", "99999999", "--out", "x.npy"], 1, "between 0 and 49151"),
        (["prompt", STARTER, "--messages", "nowhere.json"], 1, "nowhere.json"),
        (["chat", "--temperature", "nan"], 2, "between 0 and 100"),
        (["chat", "--threads", "100000"], 2, "between 0 and 512"),
        (["chat", "--max-tokens", "-1"], 2, "not be less than 0"),
        (["logits", STARTER, "--text", "", "--out", "x.npy"], 1, "there is none"),
        (["logits", STARTER, "--text", "hi", "--out", os.devnull], 1, "not an ordinary file"),
    ],
)
def test_failures_are_one_sentence(arguments: list[str], code: int, words: str) -> None:
    done = zhiyin(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [["chat", "--prompt", "hi"], ["models"], ["hardware"], []])
def test_a_data_folder_that_cannot_be_used_is_one_sentence(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = zhiyin(*arguments, ZHIYIN_HOME=str(tmp_path / "file"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "set ZHIYIN_HOME to a folder that can be written" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_commands_start_without_the_libraries_of_the_engine_and_the_window() -> None:
    """Each takes a part of a second to import."""
    modules = ", ".join(f"desktop_app.commands.{name}" for name in cli._COMMANDS)
    code = f"import sys, {modules}; print(*({{'llama_cpp', 'jinja2', 'PySide6'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_messages_without_a_role_are_refused(tmp_path: Path) -> None:
    (tmp_path / "messages.json").write_text('[{"content": "hi"}]', "utf-8")
    done = zhiyin("prompt", STARTER, "--messages", str(tmp_path / "messages.json"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "without a role" in done.stderr


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ('[{"role": "user", "content": 5}]', "message 1 is neither a text"),
        ('[{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": "b"}]', "message 2 has tool_calls"),
        (
            '[{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]',
            "message 1 has tool_c",
        ),
    ],
)
def test_the_file_of_messages_is_named_where_it_is_wrong(messages: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "messages.json"
    file.write_text(messages, "utf-8")
    done = zhiyin("prompt", STARTER, "--messages", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert str(file) in done.stderr
    assert reason in done.stderr


def test_messages_are_read_behind_a_byte_order_mark(tmp_path: Path) -> None:
    file, tools = tmp_path / "messages.json", tmp_path / "tools.json"
    file.write_text('[{"role": "user", "content": [{"type": "text", "text": "你好"}]}]', "utf-8-sig")
    tools.write_text("[]", "utf-8-sig")
    done = zhiyin("prompt", STARTER, "--messages", str(file), "--tools", str(tools))
    assert "<|im_start|>user\n你好<|im_end|>" in done.stdout


def test_bytes_that_are_no_text_are_taken() -> None:
    with start("chat", "--max-tokens", "2", stdin=subprocess.PIPE) as chat:
        output, _ = chat.communicate(b"\xff\xfe\n", timeout=60)
    assert chat.returncode == 0
    assert output.strip()


def start(*arguments: str, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "desktop_app.cli", *arguments],
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def test_a_reader_that_goes_away_ends_the_command() -> None:
    with start("chat", "--prompt", "Tell a long story.", "--temperature", "0") as chat:
        assert chat.stdout is not None
        assert chat.stderr is not None
        assert chat.stdout.read(1)
        chat.stdout.close()
        assert chat.wait(60) == 1
        assert chat.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_the_output_is_one_sentence() -> None:
    with Path("/dev/full").open("wb") as full:
        done = start("models", "--json", stdout=full)
        _, errors = done.communicate(timeout=60)
    assert done.returncode == 1
    assert b"No space left on device" in errors
    assert len(errors.splitlines()) == 1


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let it reach what a test starts even where the tests run in the background: shells keep it from there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.skipif(sys.platform == "win32", reason="sends signals as POSIX does")
def test_ctrl_c_stops_the_reply_and_a_chat_goes_on() -> None:
    """A terminal sends the signal to the whole group of processes, the engine included."""
    limits = ("--temperature", "0", "--max-tokens", "100")
    with start("chat", *limits, stdin=subprocess.PIPE, start_new_session=True) as chat:
        assert chat.stdin is not None
        assert chat.stdout is not None
        chat.stdin.write(b"Tell a long story.\n")
        chat.stdin.flush()
        assert chat.stdout.read(1)
        os.killpg(chat.pid, signal.SIGINT)
        output, errors = chat.communicate(b"Say hello.\n", timeout=60)
        assert chat.returncode == 0
        assert output.count(b"\n") >= 2
        assert errors == b""


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.skipif(sys.platform == "win32", reason="sends signals as POSIX does")
def test_ctrl_c_ends_a_single_prompt_with_the_shells_code() -> None:
    with start("chat", "--prompt", "Tell a long story.", "--temperature", "0", start_new_session=True) as chat:
        assert chat.stdout is not None
        assert chat.stdout.read(1)
        os.killpg(chat.pid, signal.SIGINT)
        output, errors = chat.communicate(timeout=60)
        assert (chat.returncode, errors) == (130, b"")
        assert output.endswith(b"\n")


def test_how_long_to_think(tmp_path: Path) -> None:
    model, messages = effort_model(tmp_path), tmp_path / "messages.json"
    messages.write_text('[{"role": "user", "content": "Hi"}]', "utf-8")
    for effort, said in SAID.items():
        done = zhiyin(
            "chat", "-m", str(model), "--prompt", "Hi", "--effort", effort, "--max-tokens", "1", "--ctx", "512"
        )
        assert (done.returncode, done.stdout) == (0, f"{said}\n"), done.stderr
        assert zhiyin("prompt", str(model), "--messages", str(messages), "--effort", effort).stdout == f"Hi<|{effort}|>"
    assert zhiyin("chat", "--effort", "extreme").returncode == 2


def test_standard_input_is_the_prompt_or_stands_before_it(tmp_path: Path) -> None:
    """The text arrives whole: the refusal counts its tokens."""
    text = "知音 words " * 1500
    alone = zhiyin("chat", "--prompt", "-", "--ctx", "512", stdin=text)
    before = zhiyin("chat", "--prompt", "What is this about?", "--ctx", "512", stdin=text)
    assert (alone.returncode, before.returncode, alone.stdout, before.stdout) == (1, 1, "", "")
    tokens = [int(found[0]) for done in (alone, before) if (found := re.findall(r"\d{4,}", done.stderr))]
    assert len(tokens) == 2, (alone.stderr, before.stderr)
    assert 4500 < tokens[0] < tokens[1] < tokens[0] + 20
    empty = zhiyin("chat", "--prompt", "-")
    assert (empty.returncode, empty.stdout) == (1, "")
    assert empty.stderr == "zhiyin: Standard input holds no text for --prompt -; give it a file or a pipe that does.\n"


def test_a_piped_chat_says_that_a_reply_failed() -> None:
    done = zhiyin("chat", "--max-tokens", "2", "--ctx", "256", stdin="Hello.\n" + "words " * 2000 + "\nHello.\n")
    assert done.returncode == 1
    assert len(done.stdout.strip().splitlines()) >= 2, "the others are answered"
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="shells of POSIX")
@pytest.mark.parametrize(
    ("closing", "command", "code", "said"),
    [
        ("<&-", ["models"], 0, b""),
        ("2>&-", ["models"], 0, b""),
        ("2>&-", ["tokenize", STARTER, "hi"], 0, b""),
        ("2>&-", ["models", "remove", "nothing"], 1, b""),
        ("2>/dev/full", ["models", "remove", "nothing"], 1, b""),
        ("<&- 2>&-", ["chat", "--prompt", "hi", "--max-tokens", "2"], 0, b""),
        ("<&- 2>&-", ["chat"], 0, b""),
        ("<&- >&- 2>&-", ["models", "info", STARTER], 1, b""),
        (">&-", ["models", "info", STARTER], 1, b"Standard output is closed"),
        (">&-", ["tokenize", STARTER, "hi"], 1, b"Standard output is closed"),
        (">&-", ["chat", "--prompt", "hi"], 1, b"Standard output is closed"),
        (">/dev/full", ["--help"], 1, b"No space left on device"),
    ],
)
def test_closed_streams(closing: str, command: list[str], code: int, said: bytes) -> None:
    line = f'exec "$0" -m desktop_app.cli "$@" {closing}'
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # as users have it
    done = subprocess.run(["sh", "-c", line, sys.executable, *command], cwd=ROOT, capture_output=True, env=buffered)  # noqa: PLW1510
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == (1 if said else 0)
