"""No display, a dead one, a missing library: said in one line, and the chat goes on in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from desktop_app.system.display import _missing_library, why_no_window
from tests.support.commands import zhiyin

NAMES = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
linux = pytest.mark.skipif(sys.platform != "linux", reason="displays are found otherwise there")


@linux
@pytest.mark.parametrize(
    ("display", "words"), [(None, "there is no display here"), (":4242", "the display :4242 does not answer")]
)
def test_without_a_display_the_chat_goes_on_in_the_terminal(display: str | None, words: str) -> None:
    done = zhiyin(**({"DISPLAY": display} if display is not None else {}))
    assert done.returncode == 0
    first, *_ = done.stderr.splitlines()
    assert first.startswith("No window: ")
    assert words in first or "sudo apt install" in first  # a system without the libraries of X11 has none to ask
    assert first.endswith("Going on as `zhiyin chat`.")


@linux
def test_a_platform_that_was_named_is_not_questioned(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    assert why_no_window() is not None
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert why_no_window() is None


def test_a_library_that_does_not_load_is_a_reason(tmp_path: Path) -> None:
    broken = tmp_path / "libqxcb.so"
    broken.write_bytes(b"no library")
    reason = _missing_library(broken)
    assert reason is not None
    assert reason.startswith("Qt cannot start")
