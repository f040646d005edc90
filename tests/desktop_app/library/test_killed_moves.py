"""SIGKILL at every moment of a storage's move and of a rename: nothing is lost, and the next start goes on or is as before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from converter.hub.manifest import note_conversion
from desktop_app.library.installed import Library
from desktop_app.library.installed_model import ModelSettings
from desktop_app.library.model_care import note_use
from desktop_app.library.model_settings import store_model_settings
from desktop_app.paths import downloads_folder, models_folder
from tests.converter.hub.test_cleanup import fetched
from tests.support.tiny_gguf import tiny_gguf

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")]
LEAST = {"move": 60, "rename": 8}
"""Moments there are at least."""


@pytest.mark.parametrize("kind", ["move", "rename"])
def test_a_kill_at_any_moment_loses_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("ZHIYIN_HOME", str(home))
    made = tiny_gguf(models_folder() / "Tea.gguf")
    folder = fetched(downloads_folder() / "org--tea", {"config.json": b"{}", "model.safetensors": b"x" * 50_000})
    note_conversion(folder, folder, "c0ffee", "Q8_0", made)
    ready = fetched(downloads_folder() / "org--coffee", {"m.gguf": made.read_bytes() + b"\0"}, "org/coffee")
    library = Library(models_folder())
    library.import_file(ready / "m.gguf")
    for name, when in (("Tea", 7.0), ("m", 8.0)):
        model = library.find(name)
        store_model_settings(model.identifier, ModelSettings(instructions=f"You are {name}."))
        note_use(model, when)
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_moves", kind, str(home)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= LEAST[kind]
