"""Templates that take too much: each command says so in one sentence, and leaves no process and no file."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from converter.pipeline import ConvertRequest, convert
from tests.models.chat.test_published_files import baichuan_chat
from tests.support.commands import zhiyin
from tests.support.slow_cases import most_slow

HOSTILE = {
    "power": "{% set n = 10 %}{{ (n ** (n ** 8)) % 7 }}",
    "multiplication": "{% set t = 'x' * 3000000000 %}",
    "output": "{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}",
    "size": "x" * 1_100_000,  # blanks alone would be no template
    "after-the-first": "{% if messages|length > 1 %}{% set n = 10 %}{{ (n ** (n ** 8)) % 7 }}{% endif %}",
}


def processes_of(data_home: str) -> list[psutil.Process]:
    """Return all processes that have this data folder, whoever started them."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("ZHIYIN_HOME") == data_home:
                found.append(process)
    return found


def refused(*arguments: str | Path) -> str:
    """Run a command that fails, and return its last words."""
    done = zhiyin(*map(str, arguments))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    _, alive = psutil.wait_procs(processes_of(os.environ["ZHIYIN_HOME"]), 30)
    assert alive == []
    return done.stderr.strip().split("\n")[-1]


def made(folder: Path, template: str) -> Path:
    return baichuan_chat(folder / "source", generation=None, template=template)


@pytest.mark.parametrize("name", most_slow({"after-the-first"}, HOSTILE))  # each kind: `processes/test_renderer.py`
def test_no_chat_begins_with_a_hostile_template(name: str, tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "Hi"}, {"role": "user", "content": "Hi"}]
    (tmp_path / "chat.json").write_text(json.dumps(chat), "utf-8")
    file = convert(ConvertRequest(made(tmp_path, HOSTILE[name]), tmp_path / "model.gguf", "F32")).path
    for command in (
        ("prompt", file, "--messages", tmp_path / "chat.json"),
        ("chat", "-m", file, "--prompt", "Hi", "--system", "Hi", "--max-tokens", "1"),
    ):
        assert f"chat template of {file} " in refused(*command)
    tokens = zhiyin("tokenize", str(file), "Hi")
    assert tokens.returncode == 0, "the model itself is good"


@pytest.mark.parametrize("name", most_slow({"output"}, ["power", "multiplication", "output", "size"]))
def test_a_hostile_template_is_not_converted(name: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    sentence = refused("convert", made(tmp_path, HOSTILE[name]), "--out", tmp_path / "out" / "model.gguf")
    assert "no chat can begin with it: The chat template of " in sentence
    assert list((tmp_path / "out").iterdir()) == []
