"""What the application's own processes, and the system's programs that it starts, find in their environment."""

from __future__ import annotations

import os

import pytest

from desktop_app.processes.start import restore_library_path


def test_the_systems_programs_do_not_find_a_bundles_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser opened from a bundle loaded the bundle's libraries instead of its own."""
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/zhiyin/_internal:/home/me/lib")
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/home/me/lib")
    restore_library_path()
    assert os.environ["LD_LIBRARY_PATH"] == "/home/me/lib"
    assert "LD_LIBRARY_PATH_ORIG" not in os.environ
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/zhiyin/_internal")
    restore_library_path()
    assert "LD_LIBRARY_PATH" not in os.environ
