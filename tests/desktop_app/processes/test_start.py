"""What the application's own processes, and the system's programs that it starts, find in their environment."""

from __future__ import annotations

import os
import sys

import pytest

from desktop_app.processes import start
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


def test_a_bundles_own_processes_find_its_libraries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a system without SQLite a worker of the bundle did not find the bundle's, since its path had been taken away."""
    print_it = [sys.executable, "-c", "import os; print(os.environ['PYINSTALLER_RESET_ENVIRONMENT'])"]
    monkeypatch.setattr(start, "own_command", lambda mode: print_it)
    with start.start("--worker", None) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"1\n"
