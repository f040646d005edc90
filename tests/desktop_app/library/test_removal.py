"""Removing models: what a bin does not take stays where it can be removed."""

from __future__ import annotations

from pathlib import Path

import pytest
import send2trash

from converter.pipeline import ConvertRequest, convert
from desktop_app.library.bin import NoBin
from desktop_app.library.installed import Library
from desktop_app.paths import models_folder
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama


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
