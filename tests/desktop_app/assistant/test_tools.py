"""The application's own tools: what they give, and where they never get."""

from __future__ import annotations

import math
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.assistant.tool import Tool, ToolFailed, ToolResult
from desktop_app.assistant.toolbox import built_in, chosen_from, without_duplicates
from desktop_app.assistant.tools.calculator import calculated
from desktop_app.assistant.tools.clock import clock
from desktop_app.assistant.tools.folders import Folders
from desktop_app.assistant.tools.workspace import workspace
from models.errors import ZhiyinError


def run(tool: Tool, **arguments: Any) -> ToolResult:
    return tool.run(arguments, threading.Event(), lambda text: None)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("6 * 7", "42"),
        ("0.1 + 0.2", "0.3"),
        ("1 / 8", "0.125"),
        ("1 / 3", "0.333333333333333… (1/3)"),
        ("-7 // 2", "-4"),
        ("2 ** 100", str(2**100)),
        ("2^10", "1024"),
        ("3 × 4 ÷ 2 − 1", "5"),
        ("sqrt(2)", f"{math.sqrt(2):.15g}"),
        ("factorial(20)", str(math.factorial(20))),
        ("round(2.675, 2)", "2.68"),
        ("max(1, 2.5, 2)", "2.5"),
        ("2 ** -2", "0.25"),
        ("π", f"{math.pi:.15g}"),
    ],
)
def test_the_calculator_is_right(expression: str, value: str) -> None:
    assert calculated(expression) == value


@given(st.fractions(max_denominator=50), st.fractions(max_denominator=50))
def test_fractions_are_exact(a: Any, b: Any) -> None:
    assert calculated(f"({a}) + ({b}) - (({a}) + ({b}))") == "0"


@pytest.mark.parametrize(
    "expression",
    [
        "1 / 0",
        "9 ** 9 ** 9 ** 9",
        "2 ** 1000000000",
        "factorial(100000)",
        "(" * 900 + "1" + ")" * 900,
        "__import__('os').system('true')",
        "(1).__class__",
        "open('/etc/passwd')",
        "[x for x in range(10)]",
        "lambda: 1",
        "1 if True else 2",
        "'a' * 1000",
        "(-8) ** 0.5",
        "exp(1000)",
        "x",
        "",
        "1" * 1001,
        "round(1 / 3, 1000000000)",
        "round(5, -1000000000)",
        "comb(2000, 1000) * factorial(1000) * 2 ** 4000",
    ],
)
def test_the_calculator_runs_no_code_and_has_limits(expression: str) -> None:
    with pytest.raises(ToolFailed):
        calculated(expression)


def test_the_clock_knows_zones() -> None:
    assert "UTC+0800" in run(clock(), zone="Asia/Shanghai").text
    assert run(clock()).text
    for zone in ("Nowhere/City", "../../etc/passwd", "/etc/localtime", "\0"):
        with pytest.raises(ToolFailed):
            run(clock(), zone=zone)


@pytest.fixture
def granted(tmp_path: Path) -> Path:
    folder = tmp_path / "granted"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("one\nTwo words\nthree\n", "utf-8")
    (folder / "sub" / "b.md").write_text("two more", "utf-8")
    (folder / "binary").write_bytes(b"\0\1two")
    (tmp_path / "secret.txt").write_text("two secrets", "utf-8")
    (tmp_path / "granted-not").mkdir()
    (tmp_path / "granted-not" / "c.txt").write_text("two", "utf-8")
    (folder / "link").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to(tmp_path, target_is_directory=True)
    (folder / "loop").symlink_to(folder / "loop")
    return folder


def tools(folder: Path) -> dict[str, Tool]:
    return {tool.name: tool for tool in Folders([folder]).tools()}


def test_granted_folders_are_read_and_searched(granted: Path) -> None:
    found = tools(granted)
    assert run(found["read_file"], path="a.txt").text == "one\nTwo words\nthree\n"
    assert run(found["read_file"], path=str(granted / "a.txt"), first_line=2, last_line=2).text == "Two words\n"
    listed = run(found["list_folder"]).text
    assert "sub/" in listed
    assert "link (link)" in listed
    said = run(found["search_files"], words="TWO").text
    assert "a.txt:2: Two words" in said
    assert "b.md:1: two more" in said
    assert "secret" not in said
    assert run(found["search_files"], words="absent").text == "Nothing was found."


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "link",
        "up/secret.txt",
        "up",
        "/etc/passwd",
        "../granted-not/c.txt",
        "sub/../../secret.txt",
        "loop",
        "\0",
        "/dev/zero",
        "/proc/self/environ",
        "missing",
    ],
)
def test_nothing_outside_is_read(path: str, granted: Path) -> None:
    for name in ("read_file", "list_folder"):
        with pytest.raises(ToolFailed):
            run(tools(granted)[name], path=path)


def test_pipes_and_sockets_are_never_opened(granted: Path) -> None:
    os.mkfifo(granted / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(granted / "socket")[:100])
        for name in ("pipe", "socket"):
            with pytest.raises(ToolFailed):
                run(tools(granted)["read_file"], path=name)
        run(tools(granted)["search_files"], words="x")


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "..", ".", "", ".hidden", "a\\b", "a\0b", "a" * 300, "C:x"])
def test_only_the_work_folder_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(ToolFailed):
        run(workspace(tmp_path / "work"), name=name, content="x")
    assert list(tmp_path.rglob("*")) in ([], [tmp_path / "work"])


def test_a_file_is_written_whole_and_a_link_is_not_followed(tmp_path: Path) -> None:
    tool, work = workspace(tmp_path / "work"), tmp_path / "work"
    result = run(tool, name="笔记.md", content="你好")
    assert result.files == (work / "笔记.md",)
    assert result.files[0].read_text("utf-8") == "你好"
    assert tool.changes
    (tmp_path / "target").write_text("kept", "utf-8")
    (work / "link").symlink_to(tmp_path / "target")
    with pytest.raises(ToolFailed):
        run(tool, name="link", content="lost")
    assert (tmp_path / "target").read_text("utf-8") == "kept"


def test_tools_are_chosen_by_name(tmp_path: Path) -> None:
    chosen = chosen_from(f"calculator, time,files={tmp_path}")
    names = [tool.name for tool in built_in(chosen, tmp_path / "work")]
    assert names == ["calculator", "current_time", "list_folder", "read_file", "search_files"]
    for wrong in ("nothing", "files", "calculator=1", f"files={tmp_path / 'missing'}"):
        with pytest.raises(ZhiyinError):
            chosen_from(wrong)


def test_two_tools_of_one_name_are_told_apart() -> None:
    tool = built_in(chosen_from("calculator"), Path())[0]
    other = Tool(tool.name, "", tool.parameters, tool.run, source="server")
    assert [one.name for one in without_duplicates([tool, other])] == ["calculator", "server_calculator"]
