"""`zhiyin chat --tools`: steps on stderr, the answer on stdout, and nothing is changed unasked."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import zhiyin


def test_a_question_with_tools_is_answered(starter_gguf: Path, tmp_path: Path) -> None:
    said = ("chat", "-m", str(starter_gguf), "--prompt", "Say hello.", "--temperature", "0", "--max-tokens", "30")
    done = zhiyin(*said, "--ctx", "2048", "--tools", "calculator,time", ZHIYIN_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() or "→" in done.stderr


def test_wrong_tools_are_refused_before_a_model_is_loaded(tmp_path: Path) -> None:
    done = zhiyin("chat", "--prompt", "x", "--tools", "nothing", ZHIYIN_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no tool nothing; choose among calculator" in done.stderr


def test_a_schema_and_tools_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text("{}", "utf-8")
    said = ("chat", "--prompt", "x", "--tools", "time", "--schema", str(tmp_path / "schema.json"))
    done = zhiyin(*said, ZHIYIN_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "A schema holds the whole reply" in done.stderr
