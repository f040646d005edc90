"""`zhiyin models` with real processes: names that several models have, imports at once and killed, hostile names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from desktop_app.paths import models_folder, settings_file
from desktop_app.settings import Settings, save_settings
from tests.support.commands import without_display, zhiyin
from tests.support.tiny_gguf import tiny_gguf

ROOT = Path(__file__).parents[3]
STARTER = "SmolLM2-135M-Instruct"
on_posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals, signals or files")


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "desktop_app.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=without_display(),
        cwd=ROOT,
    )


def _listed() -> list[str]:
    done = zhiyin("models", "--json")
    assert done.returncode == 0, done.stderr
    return [model["path"] for model in json.loads(done.stdout) if not model["starter"]]


@pytest.mark.parametrize("count", [8, pytest.param(16, marks=pytest.mark.slow)])
def test_no_import_is_lost_when_several_come_at_once(tmp_path: Path, count: int) -> None:
    files = [tiny_gguf(tmp_path / str(number) / f"{number}.gguf") for number in range(count)]
    processes = [_start("models", "import", str(file)) for file in files]
    failures = [process.communicate()[1] for process in processes if process.wait() != 0]
    assert failures == []
    assert sorted(_listed()) == sorted(map(str, files))
    assert [path.name for path in models_folder().iterdir()] == ["imported.json"]


def test_one_of_several_copies_of_a_name_is_made(tmp_path: Path) -> None:
    files = [tiny_gguf(tmp_path / str(number) / "same.gguf", part=number) for number in range(8)]
    processes = [_start("models", "import", "--copy", str(file)) for file in files]
    results = [(process.wait(), process.communicate()[1]) for process in processes]
    assert [code for code, _ in results].count(0) == 1
    assert all("is there already" in error or "being written" in error for code, error in results if code)
    [copy] = models_folder().iterdir()
    assert copy.read_bytes() in [file.read_bytes() for file in files]


@on_posix
def test_a_killed_import_leaves_nothing_that_is_listed(tmp_path: Path, starter_gguf: Path) -> None:
    large = tmp_path / "large.gguf"
    large.write_bytes(starter_gguf.read_bytes())
    with large.open("ab") as file:
        file.truncate(3 << 30)  # sparse: takes long to copy, and no room
    process = _start("models", "import", "--copy", str(large))
    while not list(models_folder().glob(".large.gguf.*.part/large.gguf")):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert list(models_folder().iterdir()), "its leftovers"
    assert _listed() == []
    assert list(models_folder().iterdir()) == []


def test_an_ambiguous_name_is_refused_where_nobody_can_be_asked(tmp_path: Path) -> None:
    one, two = tiny_gguf(models_folder() / "same.gguf"), tiny_gguf(tmp_path / "same.gguf")
    assert zhiyin("models", "import", str(two)).returncode == 0
    commands = [["models", "remove", "same"], ["models", "info", "same"], ["chat", "-m", "same", "--prompt", "hi"]]
    commands += [["tokenize", "same", "tea"], ["logits", "same", "--ids", "1", "--out", str(tmp_path / "o.npy")]]
    commands += [["fit", "same"]]
    for command in commands:
        done = zhiyin(*command, stdin="1\n")
        assert (done.returncode, done.stdout) == (1, ""), command
        assert "Traceback" not in done.stderr
        assert str(one) in done.stderr
        assert str(two) in done.stderr
    assert one.exists()
    assert zhiyin("models", "remove", str(one)).returncode == 0
    assert (one.exists(), two.exists(), _listed()) == (False, True, [str(two)])


@on_posix
@pytest.mark.parametrize(("answer", "code"), [("2\n", 0), ("7\nx\n0\n-1\n2\n", 0), ("\n", 1)])
def test_an_ambiguous_name_is_asked_about_in_a_terminal(tmp_path: Path, answer: str, code: int) -> None:
    one, two = tiny_gguf(models_folder() / "a" / "same.gguf"), tiny_gguf(models_folder() / "b" / "same.gguf")
    main, other = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "desktop_app.cli", "models", "remove", "same"],
        stdin=other,
        stdout=subprocess.PIPE,
        stderr=other,
        env=without_display(),
        cwd=ROOT,
    )
    os.close(other)
    os.write(main, answer.encode())
    assert process.wait(60) == code
    said = os.read(main, 65536).decode()
    os.close(main)
    assert str(one) in said
    assert (one.exists(), two.exists()) == (True, code != 0)


@on_posix
def test_names_reach_no_terminal_unescaped(tmp_path: Path) -> None:
    tiny_gguf(models_folder() / "a\x1b]0;x\x07\nb\u202e.gguf", "arch\x1b[2J")
    (models_folder() / "bad\x1b[2J\n.gguf").write_text("text")
    for arguments in (["models"], ["models", "info", "a\\x1b]0;x\\x07\\nb\\u202e"], ["models", "remove", "x\x1b[2J"]):
        done = zhiyin(*arguments)
        assert not {"\x1b", "\x07", "\u202e"} & {*done.stdout, *done.stderr}
        assert "Traceback" not in done.stderr
    assert json.loads(zhiyin("models", "--json").stdout)[0]["path"].endswith("a\x1b]0;x\x07\nb\u202e.gguf")


def test_chat_says_that_the_model_used_last_is_gone(tmp_path: Path) -> None:
    save_settings(Settings(model=str(tmp_path / "mine.gguf")), settings_file())
    done = zhiyin("chat", "--prompt", "hi", "--max-tokens", "2")
    assert done.returncode == 0
    assert f"mine cannot be used, so {STARTER} is used. {tmp_path / 'mine.gguf'} is not there any more" in done.stderr


def test_chat_takes_the_model_used_last(tmp_path: Path, starter_gguf: Path) -> None:
    mine, newer = models_folder() / "mine.gguf", models_folder() / "newer.gguf"
    for path in (mine, newer):
        path.symlink_to(starter_gguf)
    save_settings(Settings(model="mine.gguf"), settings_file())
    assert zhiyin("chat", "--prompt", "hi", "--max-tokens", "2").stderr == ""
    mine.unlink()
    assert "mine cannot be used, so newer is used." in zhiyin("chat", "--prompt", "hi", "--max-tokens", "2").stderr


@on_posix
@pytest.mark.timeout(300)
@pytest.mark.slow
def test_no_command_waits_for_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    (tmp_path / "link.bin").symlink_to(pipe)
    (tmp_path / "zero.gguf").symlink_to("/dev/zero")
    for name in ("pipe.gguf", "link.bin", "zero.gguf"):
        path = str(tmp_path / name)
        for command in (
            ["models", "import", path],
            ["models", "import", "--copy", path],
            ["models", "info", path],
            ["tokenize", path, "tea"],
            ["fit", path],
            ["convert", path],
            ["convert", path, "--out", str(tmp_path / "out.gguf")],
            ["perplexity", STARTER, path],
            ["prompt", STARTER, "--messages", path],
            ["chat", "-m", path, "--prompt", "hi"],
        ):
            done = zhiyin(*command)
            assert done.returncode == 1, command
            assert "Traceback" not in done.stderr
            assert len(done.stderr.strip().splitlines()) <= 2, done.stderr


@pytest.mark.slow
def test_a_split_model_of_any_ending_is_run(tmp_path: Path, starter_gguf: Path) -> None:
    out = tmp_path / "big.gguf"
    options = ["--quant", "Q8_0", "--allow-requantize", "--split-max-size", "60M", "--out", str(out)]
    assert zhiyin("convert", str(starter_gguf), *options).returncode == 0
    parts = sorted(tmp_path.glob("big-0*.gguf"))
    assert len(parts) > 1
    small = zhiyin("chat", "-m", str(parts[0]), "--prompt", "hi", "--max-tokens", "4", "--temperature", "0")
    for part in parts:
        part.rename(part.with_suffix(".GGUF"))
    first = str(parts[0].with_suffix(".GGUF"))
    capital = zhiyin("chat", "-m", first, "--prompt", "hi", "--max-tokens", "4", "--temperature", "0")
    assert (capital.returncode, capital.stdout) == (0, small.stdout)


@pytest.mark.slow
def test_settings_of_a_model_count_in_its_chats_and_its_name_can_change(tmp_path: Path, starter_gguf: Path) -> None:
    models_folder().mkdir(parents=True, exist_ok=True)
    (models_folder() / "Tea.gguf").write_bytes(starter_gguf.read_bytes())
    ask = ("chat", "--prompt", "Name a hot drink.", "--seed", "1", "-m")
    done = zhiyin("models", "set", "Tea", "--max-tokens", "3", "--temperature", "0", "--context", "512", "--json")
    assert json.loads(done.stdout) | {"path": ""} == {
        "model": "Tea",
        "path": "",
        "context": 512,
        "max_tokens": 3,
        "temperature": 0.0,
    }
    short = zhiyin(*ask, "Tea").stdout
    assert zhiyin(*ask, STARTER, "--temperature", "0", "--max-tokens", "3").stdout == short
    assert len(zhiyin(*ask, "Tea", "--max-tokens", "12").stdout) > len(short), "an option comes before what is set"
    assert "the loaded context holds 512" in _too_long(tmp_path, "Tea")
    assert zhiyin("models", "rename", "Tea", "Green tea").returncode == 0
    assert (models_folder() / "Green tea.gguf").is_file()
    assert zhiyin(*ask, "Green tea").stdout == short
    assert "keeps its name" in zhiyin("models", "rename", STARTER, "Other").stderr
    assert "Nothing is set" in zhiyin("models", "set", "Green tea", "--reset").stderr
    assert zhiyin("models", "set", "Green tea", "--temperature", "7").returncode == 2


def _too_long(tmp_path: Path, model: str) -> str:
    text = tmp_path / "long.txt"
    text.write_text("tea and milk " * 400, "utf-8")
    with text.open() as stream:
        done = subprocess.run(
            [sys.executable, "-m", "desktop_app.cli", "chat", "-m", model, "--prompt", "-"],
            stdin=stream,
            capture_output=True,
            text=True,
            env=without_display(),
            cwd=ROOT,
            check=False,
        )
    return done.stderr
