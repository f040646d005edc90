"""What the READMEs say is so: the commands exist, and the ways to run and test are the ones that are used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.commands import zhiyin

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")
PAGES = [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.fixture(scope="module")
def help_text() -> str:
    return zhiyin("--help").stdout


@pytest.mark.parametrize("readme", READMES)
def test_its_table_lists_the_commands_of_the_help(readme: str, help_text: str) -> None:
    listed = re.findall(r"^\| `zhiyin ([\w-]+)` \|", text_of(readme), re.MULTILINE)
    assert listed == re.findall(r"^    ([\w-]+)(?:  +\w|$)", help_text, re.MULTILINE)  # a long name has its own line
    assert len(listed) >= 8


@pytest.mark.parametrize("readme", READMES)
def test_its_test_command_is_the_one_that_runs_in_ci(readme: str) -> None:
    last = text_of(".ci/run").rstrip().splitlines()[-1]
    assert last == "exec uv run pytest"
    assert "\n    uv run pytest\n" in text_of(readme)


@pytest.mark.parametrize("readme", READMES)
def test_it_names_the_compilers_that_a_failed_build_names(readme: str) -> None:
    systems = re.search(r'"messages\.after-failure" = """\n(.*?)"""', text_of("pyproject.toml"), re.DOTALL)
    assert systems is not None
    commands = re.findall(r"^  \S.*?   +([a-z][^,\n]*)", systems[1], re.MULTILINE)
    assert len(commands) == 5
    assert all(f"`{command}`" in text_of(readme) for command in commands)


@pytest.mark.parametrize("readme", [*READMES, "CONTRIBUTING.md", *PAGES])
def test_the_files_that_it_names_are_there(readme: str) -> None:
    for named in re.findall(
        r"`((?:models|converter|desktop_app|resources|packaging|tests)/[\w./-]+)`", text_of(readme)
    ):
        made = "NAME" in named or named == "resources/release.pub"  # the makers' own, with the first release
        assert made or (ROOT / named).exists(), named


@pytest.mark.parametrize("readme", [*READMES, "CONTRIBUTING.md", *PAGES])
def test_its_links_within_the_repository_lead_somewhere(readme: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", text_of(readme)):
        assert (ROOT / readme).parent.joinpath(target).exists(), target
