"""Libraries that Qt lacks are named all at once, with the system's own command, and in a dialog after a double click."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from desktop_app.commands import doctor
from desktop_app.system import display_libraries
from desktop_app.system.display import missing_package
from desktop_app.system.display_libraries import _known, how_to_install, missing_libraries
from desktop_app.system.native_dialog import _plain
from models.errors import ZhiyinError
from tests.support.commands import without_display

ABSENT = {
    "libabsent-one.so.1": display_libraries._Packages("libabsent1", "absent", "absent"),
    "libabsent-two.so.2": display_libraries._Packages("libabsent2", "absent", "absent2"),
}
ROOT = Path(__file__).parents[3]
linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems bring what Qt needs")


@linux
def test_all_missing_libraries_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    present = set(missing_libraries())
    monkeypatch.setattr(display_libraries, "_COMMON", display_libraries._COMMON | ABSENT)
    assert set(missing_libraries()) - present == set(ABSENT)
    reason = missing_package(ImportError("libabsent-one.so.1: cannot open shared object file"))
    assert "libabsent-one.so.1, libabsent-two.so.2" in reason
    with pytest.raises(ZhiyinError, match=r"libabsent-one\.so\.1, libabsent-two\.so\.2"):
        doctor._check_libraries()


@linux
def test_without_a_display_nothing_is_asked_of_x11(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display_libraries, "_X11", display_libraries._X11 | ABSENT)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert not set(ABSENT) & set(missing_libraries())
    monkeypatch.setenv("DISPLAY", ":7")
    assert set(ABSENT) <= set(missing_libraries())


@pytest.mark.parametrize(
    ("distribution", "command"),
    [
        ("debian", "sudo apt install libegl1 libxcb-cursor0 libxcb-xkb1"),
        ("fedora", "sudo dnf install libglvnd-egl xcb-util-cursor libxcb"),
        ("arch", "sudo pacman -S libglvnd xcb-util-cursor libxcb"),
        ("plan9", ""),
    ],
)
def test_the_command_is_the_distributions_own(distribution: str, command: str) -> None:
    assert how_to_install(["libEGL.so.1", "libxcb-cursor.so.0", "libxcb-xkb.so.1"], distribution) == command


def test_a_package_is_named_once() -> None:
    assert how_to_install(["libxcb-randr.so.0", "libxcb-shape.so.0"], "fedora") == "sudo dnf install libxcb"
    assert how_to_install([], "fedora") == ""


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (("ubuntu", "debian"), "debian"),
        (("linuxmint", "ubuntu"), "debian"),
        (("nobara", "fedora"), "fedora"),
        (("nixos",), ""),
    ],
)
def test_relatives_of_a_distribution_are_known(names: tuple[str, ...], known: str) -> None:
    assert _known(names) == known


@linux
@pytest.mark.parametrize("double_click", [True, False])
def test_after_a_double_click_a_dialog_says_it(tmp_path: Path, double_click: bool) -> None:
    """A tool for dialogs that only writes down what it shows; DISPLAY is set, the library is not there."""
    shown = tmp_path / "shown"
    tool = tmp_path / "zenity"
    tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{shown}"\n', "utf-8")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    code = (
        "import sys; from desktop_app.system import display_libraries as d; from desktop_app import cli\n"
        "d._COMMON['libabsent.so.1'] = d._Packages('libabsent1', 'absent', 'absent')\n"
        "sys.exit(cli.main([]))"
    )
    environment = without_display() | {"DISPLAY": ":4242", "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    reader = subprocess.DEVNULL if double_click else subprocess.PIPE
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=reader,
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
        timeout=120,
    )
    if double_click:
        assert done.returncode == 1
        text = shown.read_text("utf-8")
        assert "Zhiyin cannot open its window: " in text
        assert "知音无法打开窗口" in text
    else:
        assert "Going on as `zhiyin chat`" in done.stderr
        assert not shown.exists()


def test_the_oldest_dialog_gets_short_lines_without_chinese() -> None:
    text = f"Zhiyin cannot open its window: {'libabsent.so.1, ' * 20}\n\n知音无法打开窗口"
    shown = _plain(text)
    assert shown.isascii()
    assert max(map(len, shown.splitlines())) <= 72
    assert shown.count("libabsent.so.1") == 20
