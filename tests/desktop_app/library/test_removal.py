"""Removing models: what a bin does not take stays where it can be removed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import send2trash

from converter.pipeline import ConvertRequest, convert
from desktop_app.library.bin import NoBin, into_bin
from desktop_app.library.installed import Library
from desktop_app.paths import models_folder
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama
from tests.support.trash import use_bin


def test_a_split_model_of_which_a_part_stays_can_still_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_checkpoint(tmp_path / "random", *random_llama())
    convert(ConvertRequest(source, models_folder() / "mine.gguf", "F32", tokenizer="none", split_max_size=100_000))
    parts = sorted(models_folder().glob("mine-*.gguf"))
    assert len(parts) > 2
    taken = []

    def take(path: Path) -> None:
        if path == parts[1]:
            raise send2trash.TrashPermissionError(str(path))
        path.unlink()
        taken.append(path)

    monkeypatch.setattr(send2trash, "send2trash", take)
    library = Library(models_folder())
    with pytest.raises(NoBin):
        library.remove(library.removal(library.find_installed(parts[0].stem)))
    assert taken == parts[:1:-1]
    library = Library(models_folder())
    library.remove(library.removal(library.find_installed(parts[0].stem)), for_good=True)
    assert not list(models_folder().glob("*.gguf"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system moves")
def test_a_move_that_fails_half_way_leaves_nothing_in_the_bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_bin(tmp_path / "share", monkeypatch)
    info = tmp_path / "share" / "Trash" / "info"
    info.mkdir(parents=True)
    other = info / "model.trashinfo"
    other.write_text("[Trash Info]\nPath=/elsewhere/model\nDeletionDate=2026-01-01T00:00:00\n")
    (info.parent / "files").write_text("")  # where the file would go there is no folder
    model = tmp_path / "model %41 二.gguf"
    model.write_bytes(b"GGUF")
    with pytest.raises(NoBin, match=r"\(Not a directory\)"):
        into_bin([model])
    assert model.read_bytes() == b"GGUF"
    assert list(info.iterdir()) == [other]


_READ_ONLY = """
import os, subprocess, sys
from pathlib import Path
folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
(folder / "m.gguf").write_bytes(b"GGUF")
subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
from desktop_app.library.bin import into_bin
from models.errors import BadFile
try:
    into_bin([folder / "m.gguf"])
except BadFile as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="mounts a disk")
def test_what_lies_on_a_read_only_disk_is_not_offered_to_be_deleted(tmp_path: Path) -> None:
    command = ["unshare", "--mount", sys.executable, "-c", _READ_ONLY, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in told.stderr or "mount" in told.stderr:
        pytest.skip("nothing can be mounted here")
    assert "make that disk or folder writable" in told.stdout
    assert "--delete" not in told.stdout
