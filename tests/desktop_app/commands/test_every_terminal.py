"""Every command at work in a terminal: of three widths, in a locale without Chinese, and interrupted at each phase.

What each is given to do is in a table; a test holds that no command of the parser is missing in it. All take minutes: a sample is
tried by default, the rest with `-m slow`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from converter.atomic_write import is_unfinished
from desktop_app.commands.terminal import columns_of
from tests.desktop_app.commands.test_every_command import ALL, ENDLESS, LOCALE, _choices
from tests.support.checkpoints import write_checkpoint
from tests.support.hostile_model import hostile_model
from tests.support.random_llama import random_llama

if os.name != "nt":
    from tests.support.terminals import Terminal

WORK = {
    "chat": "-m {model} --prompt Hello --max-tokens 24 --ctx 512 --temperature 0",
    "convert": "{checkpoint} --tokenizer none --quant Q4_K_M --out {out}/converted.gguf",
    "pull": "owner/name --endpoint {silent}",
    "search": "words --endpoint {silent}",
    "models": "",
    "models list": "",
    "models info": "{model}",
    "models remove": "nothing-of-this-name",
    "models set": "{model} --temperature 0.5",
    "models rename": "nothing-of-this-name another",
    "models import": "{model} --copy",
    "models found": "",
    "models folders": "--add {out}",
    "models newer": "",
    "models duplicates": "",
    "models pack": "{model} --out {out}/packed",
    "models unpack": "{out}/nothing.zip",
    "hardware": "",
    "fit": "{model} --ctx 512",
    "tokenize": "{model} {words}",
    "embed": "{model} {words}",
    "docs": "list",
    "docs add": "papers {documents}",
    "docs list": "",
    "docs remove": "papers {documents}",
    "docs search": "papers fox",
    "docs ask": "papers fox",
    "docs models": "",
    "prompt": "{model} --messages {messages}",
    "logits": "{model} --text {words} --out {out}/logits.npy",
    "perplexity": "{model} {text} --ctx 256",
    "quality": "{model} --against {model} --text {text} --ctx 256",
    "imatrix": "{model} --text {text} --ctx 256 --out {out}/matrix.gguf",
    "bench": "{model}",
    "serve": "--port 0",
    "worker": "--listen 127.0.0.1:0",
    "remote": "",
    "remote list": "",
    "remote add": "{silent}/v1",
    "remote remove": "{silent}/v1",
    "engine": "list",
    "engine list": "",
    "engine add": "{text}",
    "engine remove": "nothing-of-this-name",
    "engine pack": "{out} {out}/part.zip",
    "engine use": "nothing-of-this-name",
    "engine rollback": "",
    "engine build": "vulkan",
    "network": "",
    "update": "{silent}",
    "doctor": "",
}
SAMPLE = ("models list", "perplexity", "search")
COLUMNS = (40, 80, 200)
PHASES = (0.02, 0.25, 0.5, 0.75, 0.95)
"""Shares of the time that the command takes undisturbed."""
STALLED = 3.0
"""Seconds after which a command that waits for a silent host is interrupted at the latest."""
INTERRUPTED = (128 + signal.SIGINT, -signal.SIGINT)
_OF_THE_EDITOR = re.compile("\x1b\\[\\?[0-9]+[hl]")
_COMMAND_TO_TERMINAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="terminals of POSIX")


@pytest.fixture
def silent_host() -> Iterator[str]:
    """A host that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def arguments(starter_gguf: Path, silent_host: str, tmp_path: Path) -> dict[str, str]:
    """What the table's places stand for."""
    config, weights = random_llama(hidden_size=512, intermediate_size=2048, vocab_size=512, num_hidden_layers=4)
    text, messages, documents = tmp_path / "text.txt", tmp_path / "chat.json", tmp_path / "documents"
    text.write_text("The fox 狐狸 lived on a quiet hill near the sea. " * 60, "utf-8")
    messages.write_text(json.dumps([{"role": "user", "content": "Hello 知音"}]), "utf-8")
    documents.mkdir()
    (documents / "notes 笔记.txt").write_text(text.read_text("utf-8"), "utf-8")
    (tmp_path / "out").mkdir()
    return {
        "model": str(starter_gguf),
        "silent": silent_host,
        "checkpoint": str(write_checkpoint(tmp_path / "checkpoint", config, weights)),
        "text": str(text),
        "messages": str(messages),
        "documents": str(documents),
        "out": str(tmp_path / "out"),
        "words": "狐狸-fox",
    }


def started(name: str, places: dict[str, str], columns: int = 80) -> Terminal:
    """Start the command with its work, in a locale without Chinese; nothing is fetched by pip."""
    words = [*name.split(), *(word.format(**places) for word in WORK[name].split())]
    return Terminal(*words, columns=columns, COLUMNS="", PIP_NO_INDEX="1", **LOCALE)


def cases() -> list[object]:
    return [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.slow) for name in WORK]


def test_every_command_has_something_to_do() -> None:
    assert set(WORK) == {" ".join(words) for words in ALL}
    assert {name for name in WORK if _choices(ALL[(*name.split(),)])} == {"models", "docs", "remote", "engine"}


@pytest.mark.parametrize("name", cases())
def test_what_is_shown_fits_and_commands_no_terminal(name: str, arguments: dict[str, str]) -> None:
    for columns in COLUMNS:
        with started(name, arguments, columns) as shown:
            if name in ENDLESS or "{silent}" in WORK[name]:
                time.sleep(STALLED)
                shown.type(b"\x03")
            output = shown.read_to_end().decode()
            code = shown.process.wait(60)
        assert code in (0, 1, *INTERRUPTED), output
        assert "Traceback" not in output
        plain = _OF_THE_EDITOR.sub("", output)
        assert not _COMMAND_TO_TERMINAL.search(plain), output
        rewritten = [part for line in plain.split("\n") for part in line.rstrip("\r").split("\r")[:-1] if part]
        assert [part for part in rewritten if columns_of(part) >= columns] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, words in WORK.items() if "{model}" in words])
def test_no_word_of_a_model_commands_the_terminal(
    name: str, arguments: dict[str, str], starter_gguf: Path, tmp_path: Path
) -> None:
    """Names, author, licence, a token and what its chat template adds to each prompt."""
    with started(name, arguments | {"model": str(hostile_model(starter_gguf, tmp_path))}, 200) as shown:
        output = _OF_THE_EDITOR.sub("", shown.read_to_end().decode())
        shown.process.wait(60)
    assert "Traceback" not in output
    assert not re.search(f"{_COMMAND_TO_TERMINAL.pattern}|[\u202a-\u202e\u2066-\u2069]", output), output


@pytest.mark.parametrize("name", cases())
def test_ctrl_c_ends_it_at_each_phase(name: str, arguments: dict[str, str], tmp_path: Path) -> None:
    seconds = STALLED
    if name not in ENDLESS and "{silent}" not in WORK[name]:
        begun = time.monotonic()
        with started(name, arguments) as shown:
            shown.read_to_end()
        seconds = time.monotonic() - begun
    for phase in PHASES:
        with started(name, arguments) as shown:
            time.sleep(phase * seconds)
            with suppress(OSError):  # it ended before
                children = psutil.Process(shown.process.pid).children(recursive=True)
                shown.type(b"\x03")
            output = shown.read_to_end(60).decode()
            code = shown.process.wait(60)
        assert code in (0, 1, *INTERRUPTED), (phase, output)
        if (
            phase > PHASES[0] or "desktop_app" in output
        ):  # before a line of ours runs, Python itself says what stopped it
            assert "Traceback" not in output, (phase, output)
        _, alive = psutil.wait_procs(children, 20)
        assert not alive, phase
        assert not [path for path in tmp_path.rglob("*") if is_unfinished(path)], phase
