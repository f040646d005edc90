"""Which installed model may guess for another one, and that its memory is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import LoadSettings
from desktop_app.planning import drafts
from desktop_app.planning.drafts import draft_for
from desktop_app.planning.load_plan import LoadPlanner


def file(path: Path, tokens: str, size: int) -> Path:
    """Write a GGUF file with a vocabulary and a tensor of so many bytes."""
    writer = GGUFWriter(path, "llama")
    writer.add_token_list(list(tokens))
    writer.add_tensor("weights", np.zeros(size // 4, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_it_has_the_same_vocabulary_and_is_much_smaller(tmp_path: Path) -> None:
    large = file(tmp_path / "large.gguf", "abc", 1 << 20)
    near = file(tmp_path / "near.gguf", "abc", 3 << 18)
    other = file(tmp_path / "other.gguf", "abd", 1 << 16)
    small = file(tmp_path / "small.gguf", "abc", 1 << 16)
    smaller = file(tmp_path / "smaller.gguf", "abc", 1 << 12)
    (tmp_path / "damaged.gguf").write_bytes(b"GGUF")
    everything = [*tmp_path.iterdir(), tmp_path / "gone.gguf"]
    assert draft_for(large, everything) == small
    assert draft_for(near, everything) == small
    assert draft_for(large, [large, near, other]) is None
    assert draft_for(small, everything) == smaller
    assert draft_for(other, everything) is None


def test_its_memory_is_planned(starter_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "_SMALLER", 1)
    small = tmp_path / "small.gguf"
    small.symlink_to(starter_gguf)
    with Engine() as engine:
        planner = LoadPlanner(engine)
        alone, both = (
            planner.plan(starter_gguf, LoadSettings(), context=512, others=others) for others in ((), (small,))
        )
    assert (alone.settings.draft, both.settings.draft) == (None, small)
    assert both.plan.chosen.bytes - alone.plan.chosen.bytes > starter_gguf.stat().st_size / 2
