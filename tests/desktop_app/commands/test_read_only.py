"""A data folder that nothing can be written to: chatting and planning go on, and whatever writes says so in one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import without_display
from tests.support.slow_cases import most_slow
from tests.support.tiny_gguf import tiny_gguf

ROOT = Path(__file__).parents[3]
STARTER = "SmolLM2-135M-Instruct"
_DROPPED = "-dac_override,-dac_read_search"
_AS_ANYBODY = ["setpriv", "--bounding-set", _DROPPED, "--inh-caps", _DROPPED, "--"]
"""The administrator may write everywhere; without these capabilities permissions count for him too."""

pytestmark = pytest.mark.skipif(
    os.name == "nt" or (os.geteuid() == 0 and not shutil.which("setpriv")), reason="permissions do not count here"
)


@pytest.fixture(params=most_slow({"used"}, ["missing", "empty", "used"]))
def home(request: pytest.FixtureRequest, data_home: Path, starter_gguf: Path) -> Iterator[Path]:
    parent = data_home / "parent"
    home = parent / "home"
    parent.mkdir()
    if request.param != "missing":
        home.mkdir()
    if request.param == "used":
        (home / "models").mkdir()
        shutil.copy(starter_gguf, home / "models" / "mine.gguf")
        (home / "settings.json").write_text('{"theme": 7, "model": "mine.gguf"}')
        (home / "models" / ".half.gguf.abcdefgh.part").mkdir()
        (home / "models" / ".half.gguf.lock").touch()
    folders = [path for path in (parent, *parent.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    yield home
    for folder in folders:
        folder.chmod(0o755)


def _zhiyin(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    prefix = _AS_ANYBODY if os.geteuid() == 0 else []
    return subprocess.run(
        [*prefix, sys.executable, "-m", "desktop_app.cli", *arguments],
        capture_output=True,
        text=True,
        env=without_display() | {"ZHIYIN_HOME": str(home)},
        cwd=ROOT,
        check=False,
        timeout=120,
    )


def test_reading_goes_on_and_writing_is_refused(home: Path, starter_gguf: Path, tmp_path: Path) -> None:
    before = sorted(home.parent.rglob("*"))
    for command in (
        ["chat", "--prompt", "hi", "--max-tokens", "2"],
        ["chat", "-m", str(starter_gguf), "--prompt", "hi", "--max-tokens", "2"],
        ["fit", str(starter_gguf)],
        ["models"],
        ["tokenize", STARTER, "tea"],
    ):
        done = _zhiyin(home, *command)
        assert done.returncode == 0, done.stderr
        assert done.stdout
        if command[0] == "chat" and (home / "settings.json").exists():
            assert f"{home / 'settings.json'} is damaged and cannot be put aside" in done.stderr
            assert done.stderr.count("damaged") == 1
    other = tiny_gguf(tmp_path / "other.gguf")
    for command in (["models", "import", str(other)], ["models", "import", "--copy", str(other)]):
        done = _zhiyin(home, *command)
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert str(home) in done.stderr
    if (home / "models" / "mine.gguf").exists():
        for more, words in (((), "cannot be removed"), (("--delete",), "cannot be deleted")):
            done = _zhiyin(home, "models", "remove", "mine", *more)
            assert done.returncode == 1
            assert words in done.stderr
            assert "--delete" not in done.stderr, "it cannot do more on such a disk"
    assert sorted(home.parent.rglob("*")) == before


def test_a_folder_that_cannot_be_read_is_said(data_home: Path) -> None:
    tiny_gguf(data_home / "models" / "mine.gguf")
    closed = data_home / "models" / "closed"
    tiny_gguf(closed / "hidden.gguf")
    closed.chmod(0)
    done = _zhiyin(data_home, "models")
    closed.chmod(0o755)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["mine", STARTER]
    assert done.stderr == f"zhiyin: {closed} cannot be read: Permission denied.\n"
