"""Every command of the parser in terminals of some widths, in a pipe, with closed streams and in a locale without Chinese.

The cases are made of the parser itself, so that a new command is tried without a word here. All of them take minutes: a sample is
tried by default, the rest with `-m slow`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop_app import cli
from desktop_app.commands.terminal import columns_of
from tests.support.commands import without_display

ROOT = Path(__file__).parents[3]
NOWHERE = "no-such-thing"
PASTED = "知 word " * 14_286
ENDLESS = ("serve", "worker")
"""Go on until they are stopped."""
SAMPLE = (("chat",), ("models", "remove"), ("fit",))
CLOSED = ("", "<&-", ">&-", "2>&-", "<&- >&- 2>&-", "| cat")
_ONE_OPTION = re.compile(r" *(\[[^\[]*(\[[^\[]*\][^\[]*)?\]|\([^()]*\))")
"""In the usage an option with its value is never broken, nor options of which one is needed; the terminal does that."""
LOCALE = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shells and terminals of POSIX")


def leaves() -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """Return every command with the parser of its arguments."""
    found = {}
    for name in cli._COMMANDS:
        found.update(_leaves(_choices(cli._parser(name))[name], (name,)))
    return found


def _leaves(
    parser: argparse.ArgumentParser, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    yield words, parser
    for name, choice in _choices(parser).items():
        yield from _leaves(choice, (*words, name))


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def arguments_of(parser: argparse.ArgumentParser) -> list[str]:
    """Return what the parser demands, of things that are nowhere."""
    found = []
    for action in parser._actions:
        if not action.required or isinstance(action, argparse._SubParsersAction):
            continue
        value = str(next(iter(action.choices))) if action.choices else "1" if action.type is not None else NOWHERE
        found += [*action.option_strings[:1], value]
    return found


ALL = leaves()


def cases() -> list[object]:
    return [pytest.param(words, marks=() if words in SAMPLE else pytest.mark.slow, id=" ".join(words)) for words in ALL]


@pytest.mark.parametrize("words", cases())
def test_help_fits_the_terminal_and_names_every_option(words: tuple[str, ...]) -> None:
    from tests.support.terminals import Terminal

    options = {option for action in ALL[words]._actions for option in action.option_strings if action.help}
    for columns in (40, 80, 200):
        with Terminal(*words, "--help", columns=columns, COLUMNS="", **LOCALE) as shown:
            text = shown.read_to_end().decode()
            assert shown.process.wait() == 0, text
        assert "Traceback" not in text
        assert all(option in text for option in options), (columns, text)
        wide = [line for line in text.splitlines() if columns_of(line) > columns and not _ONE_OPTION.fullmatch(line)]
        assert wide == [], columns


@pytest.mark.parametrize("words", cases())
def test_wrong_usage_is_two_and_what_is_nowhere_is_one_sentence(words: tuple[str, ...], data_home: Path) -> None:
    for closing in CLOSED:
        done = run(*words, "--no-such-option", closing=closing)
        assert done.returncode == (0 if closing == "| cat" else 2), done.stderr
        assert b"Traceback" not in done.stderr
        if words[0] in ENDLESS or _choices(ALL[words]):
            continue
        done = run(*words, *arguments_of(ALL[words]), closing=closing)
        assert done.returncode in (0, 1, 2), (closing, done.returncode, done.stderr)
        assert b"Traceback" not in done.stderr, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_pasted_text_where_a_name_belongs_is_one_sentence(words: tuple[str, ...], data_home: Path) -> None:
    if words[0] in ENDLESS or words == ("engine", "build") or _choices(ALL[words]):
        return
    arguments = [PASTED if word in (NOWHERE, "1") else word for word in arguments_of(ALL[words])]
    done = run(*words, *arguments, closing="", pasted=PASTED)
    assert done.returncode in (0, 1, 2), done.stderr
    assert b"Traceback" not in done.stderr
    assert len(done.stderr) < 4000


def run(*arguments: str, closing: str, pasted: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run the command in a shell that closes some of its streams; nothing is fetched."""
    environment = without_display() | LOCALE | {"HF_HUB_OFFLINE": "1", "PIP_NO_INDEX": "1"}
    line = f'"$0" -m desktop_app.cli "$@" {closing}'
    command = ["sh", "-c", line, sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, input=pasted.encode(), check=False, timeout=200
    )
