"""Models that are here twice are told by their bytes, not by their names or sizes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from desktop_app.library.duplicates import duplicates
from desktop_app.library.installed import Library
from desktop_app.paths import models_folder
from tests.support.commands import zhiyin
from tests.support.tiny_gguf import tiny_gguf


def test_same_bytes_and_not_same_names_or_sizes(tmp_path: Path) -> None:
    tea = tiny_gguf(models_folder() / "Tea.gguf", part=1)
    other = tiny_gguf(models_folder() / "other" / "Tea.gguf", part=2)
    assert tea.stat().st_size == other.stat().st_size
    library = Library(models_folder())
    os.link(tea, models_folder() / "linked.gguf")
    assert duplicates(library.models()) == [], "one file takes no room twice"
    copy = tmp_path / "copy.gguf"
    shutil.copy(tea, copy)
    library.import_file(copy)
    (group,) = duplicates(library.models())
    assert copy in {model.path for model in group}
    assert len(group) == 2
    (listed,) = json.loads(zhiyin("models", "duplicates", "--json").stdout)
    assert [model["path"] for model in listed] == [str(model.path) for model in group]
    done = zhiyin("models", "duplicates")
    assert len(done.stdout.splitlines()) == 2
    assert "are taken twice" in done.stderr
