"""What an interrupted download leaves: found, gone on with, and removed without touching anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from converter.hub.leftovers import delete_leftover, leftovers
from converter.hub.manifest import LOCK, NOTE, note_conversion
from converter.hub.repository import download
from converter.hub.request import DownloadRequest
from models.errors import ZhiyinError
from tests.converter.hub.test_cleanup import fetched, left, model
from tests.support.hub_server import HubServer, Repository


def interrupted(server: HubServer, name: str, folder: Path) -> None:
    """Stop a download in the middle of its largest file."""
    stop: list[bool] = []
    request = DownloadRequest(name, folder, endpoint=server.endpoint)
    with pytest.raises(ZhiyinError):
        download(request, lambda now: stop.append(True) if now.bytes_done > 1000 else None, lambda: bool(stop))


def test_what_was_interrupted_goes_on_or_goes(tmp_path: Path) -> None:
    big = bytes(range(256)) * 12_000
    with HubServer() as server:
        server.faults.bytes_per_second = 2_000_000
        files = {"config.json": b"{}", "model.safetensors": big}
        server.repositories["org/tea"] = Repository({"main": files})
        server.repositories["org/cup-GGUF"] = Repository({"master": {"README.md": b"x", "cup-Q8_0.gguf": big}})
        interrupted(server, "org/tea", tmp_path)
        interrupted(server, "modelscope:org/cup-GGUF", tmp_path)
        cup, tea = leftovers(tmp_path)
        assert (tea.repository, tea.source, tea.endpoint, tea.partial) == ("org/tea", "org/tea", server.endpoint, True)
        assert 0 < tea.bytes < len(big)
        assert cup.source == "modelscope:org/cup-GGUF/cup-Q8_0.gguf"
        server.faults.bytes_per_second = 0
        done = download(DownloadRequest(cup.source, tmp_path, endpoint=cup.endpoint))
        assert done.source.read_bytes() == big
        assert done.fetched < len(big), "it went on from what was there"
    delete_leftover(tea)
    assert not (tmp_path / "org--tea").exists()
    assert leftovers(tmp_path) == []
    assert done.source.exists()


def test_a_checkpoint_that_was_never_converted_is_one(tmp_path: Path) -> None:
    tea = fetched(tmp_path / "org--tea", {"config.json": b"{}", "model.safetensors": b"x" * 100, "own.gguf": b"GGUF"})
    (tea / "mine.txt").write_text("of the user")
    [found] = leftovers(tmp_path)
    assert (found.bytes, found.partial, found.files) == (100, False, (tea / "model.safetensors",))
    with FileLock(tea / LOCK), pytest.raises(ZhiyinError, match="another Zhiyin"):
        delete_leftover(found)
    delete_leftover(found)
    assert left(tea) - {LOCK} == {NOTE, "config.json", "own.gguf", "mine.txt"}
    fetched(tmp_path / "org--cup", {"model.safetensors": b"x"}, "org/cup")
    note_conversion(tmp_path / "org--cup", tmp_path / "org--cup", "c1", "Q8_0", model(tmp_path))
    assert leftovers(tmp_path / "missing") == leftovers(tmp_path) == []


def test_of_another_revision_or_without_a_note_it_can_only_go(tmp_path: Path) -> None:
    fetched(tmp_path / "org--tea--v1", {"model.safetensors": b"x"})
    (tmp_path / "org--cup").mkdir()
    (tmp_path / "org--cup" / f".model.safetensors.{'a' * 16}.part").write_bytes(b"xx")
    (tmp_path / "org--cup" / ".strange.part").write_bytes(b"of the user")
    cup, tea = leftovers(tmp_path)
    assert (cup.repository, cup.source, cup.bytes) == ("org/cup", "", 2)
    assert (tea.repository, tea.source) == ("org/tea", "")
    delete_leftover(cup)
    assert left(tmp_path / "org--cup") - {LOCK} == {".strange.part"}
