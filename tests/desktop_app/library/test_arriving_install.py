"""A disk too small for download and result: files of weights go as they are converted, and the disk holds what was said."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from converter import progress as meters
from converter.hub import transfer
from converter.hub.leftovers import delete_leftover, leftovers
from converter.hub.manifest import write_manifest
from converter.hub.repository import TooLittleRoom
from converter.pipeline import ConvertRequest, convert
from converter.progress import Progress
from desktop_app.library.install import Installed, InstallRequest, install
from desktop_app.library.source_facts import look_and_tell, ways
from desktop_app.paths import downloads_folder, models_folder
from models.errors import BadFile, Cancelled
from tests.support.hub_server import HubServer
from tests.support.random_llama import Checkpoint, random_llama, random_mixtral
from tests.support.sharded_models import VOCABULARY, repository_of, sharded_source

NAME, QUANT = "org/Tea", "Q8_0"
SPARE = 64 * 1024 * 1024
SIZES = {**VOCABULARY, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4}
SHARDS = 6
WEIGHTS = (".safetensors", ".bin")


class Disk:
    """A disk that has so many bytes for what is in the storage."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.most = 0

    def usage(self, _: object) -> NamedTuple:
        return shutil._ntuple_diskusage(self.size, 0, self.size - taken())  # type: ignore[attr-defined, no-any-return]

    def look(self, _: object = None) -> None:
        self.most = max(self.most, taken())


def taken() -> int:
    """Return the bytes that files of models and downloads take of the disk."""
    folders = (downloads_folder(), models_folder())
    return sum(path.stat().st_blocks * 512 for folder in folders for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(transfer, "PAUSE", 0.01)
    monkeypatch.setattr(meters, "_SECONDS", 0.0)
    with HubServer() as running:
        yield running


def put(server: HubServer, folder: Path, model: Checkpoint, *, torch: bool = False) -> bytes:
    """Put a model on the server; return what converting it whole makes."""
    source = sharded_source(folder / "org--Tea", model, SHARDS, torch=torch)
    server.repositories[NAME] = repository_of(source)
    write_manifest(source, {"repository": NAME, "page": f"{server.endpoint}/{NAME}"})  # as a download has it
    return convert(ConvertRequest(source, folder / "right.gguf", QUANT)).path.read_bytes()


def short_disk(server: HubServer, monkeypatch: pytest.MonkeyPatch, more: int = 0) -> tuple[Disk, int]:
    """Give the disk what the worst moment is said to need, and `more`; return it, and what is said."""
    cost = ways(look_and_tell(request(server), lambda _: None, lambda: False), QUANT)[-1]
    assert cost.made < cost.least < cost.disk
    small = sum(
        -(-len(data) // 4096) * 4096
        for name, data in server.repositories[NAME].revisions["main"].items()
        if not name.endswith(WEIGHTS)
    )
    disk = Disk(cost.least + small + SPARE + 64 * 1024 + more)
    monkeypatch.setattr(shutil, "disk_usage", disk.usage)
    return disk, cost.least + small + 64 * 1024


def request(server: HubServer) -> InstallRequest:
    return InstallRequest(NAME, QUANT, endpoint=server.endpoint, way="convert")


def run(server: HubServer, tell: Callable[[Progress], None] = lambda _: None) -> Installed:
    return install(request(server), tell)


def begun(server: HubServer) -> dict[str, list[int]]:
    """Return from which byte on each file of weights was asked for, whenever all the rest of it was."""
    sizes = {name: len(data) for name, data in server.repositories[NAME].revisions["main"].items()}
    starts: dict[str, list[int]] = {}
    for one in server.requests:
        name = one.path.rpartition("/")[2]
        first, _, last = (one.range or "").removeprefix("bytes=").partition("-")
        if name.endswith(WEIGHTS) and last == str(sizes[name] - 1):
            starts.setdefault(name, []).append(int(first))
    return starts


def files() -> set[str]:
    return {path.name for path in (downloads_folder() / "org--Tea").iterdir()}


@pytest.mark.parametrize(
    ("model", "torch"),
    [
        pytest.param(random_llama(0, **SIZES), False, marks=pytest.mark.slow),
        (random_mixtral(0, **SIZES), False),
        (random_llama(0, **SIZES), True),
    ],
)
def test_the_disk_never_holds_more_than_was_said(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Checkpoint, torch: bool
) -> None:
    right = put(server, tmp_path, model, torch=torch)
    disk, said = short_disk(server, monkeypatch)
    heard: list[Progress] = []

    def hear(progress: Progress) -> None:
        heard.append(progress)
        disk.look()

    made = run(server, hear)
    assert made.path.read_bytes() == right
    assert disk.most <= said
    assert disk.most > 0.7 * said, "the promise is not idle"
    assert made.conversion is not None
    assert "deleted once it is converted" in str(made.warnings[-1])
    assert not [name for name in files() if name.endswith((*WEIGHTS, ".part"))]
    assert leftovers(downloads_folder()) == []
    fetched = [one for one in heard if one.phase == "downloading"]
    assert all(before.bytes_done <= after.bytes_done for before, after in pairwise(fetched))
    assert fetched[-1].bytes_done == fetched[-1].bytes_total
    server.requests.clear()
    assert run(server).path == made.path
    assert not [one for one in server.requests if one.path.endswith(WEIGHTS)], "it was converted before"


@pytest.mark.slow
def test_a_large_disk_keeps_the_checkpoint(server: HubServer, tmp_path: Path) -> None:
    right = put(server, tmp_path, random_llama(0, **SIZES))
    assert run(server).path.read_bytes() == right
    assert sum(name.endswith(".safetensors") for name in files()) == SHARDS


def test_a_disk_too_small_even_so_says_what_is_missing(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, tmp_path, random_llama(0, **SIZES))
    short_disk(server, monkeypatch, more=-2 * 1024 * 1024)
    with pytest.raises(TooLittleRoom, match="even where each file of weights is deleted") as caught:
        run(server)
    assert 1024**2 < caught.value.values["missing"] <= 2 * 1024**2
    assert not [name for name in files() if name.startswith("model-")]


@pytest.mark.parametrize("torch", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_stop_anywhere_loses_nothing(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch: bool
) -> None:
    right = put(server, tmp_path, random_llama(0, **SIZES), torch=torch)
    disk, said = short_disk(server, monkeypatch)
    steps = 0
    for stop in range(3, 400, 17):
        seen: list[Progress] = []

        def hear(progress: Progress, seen: list[Progress] = seen) -> None:
            seen.append(progress)
            disk.look()

        try:
            made = install(request(server), hear, lambda seen=seen, stop=stop: len(seen) >= stop)
        except Cancelled:
            steps += 1
            (left,) = leftovers(downloads_folder())
            assert left.source == NAME
            assert left.partial
        else:
            break
    assert steps > 3
    assert made.path.read_bytes() == right
    assert disk.most <= said
    for name, starts in begun(server).items() if not torch else ():  # a zip's list of records is at its end
        assert starts == sorted(starts), f"{name} was begun anew"
    assert leftovers(downloads_folder()) == []


@pytest.mark.slow
def test_what_is_left_over_can_be_removed(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = put(server, tmp_path, random_llama(0, **SIZES))
    short_disk(server, monkeypatch)
    seen: list[Progress] = []
    with pytest.raises(Cancelled):
        install(request(server), seen.append, lambda: len(seen) > 0 and seen[-1].phase == "converting")
    (left,) = leftovers(downloads_folder())
    delete_leftover(left)
    assert leftovers(downloads_folder()) == []
    assert run(server).path.read_bytes() == right


@pytest.mark.slow
def test_another_content_begins_anew(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(server, tmp_path / "old", random_llama(0, **SIZES))
    short_disk(server, monkeypatch)
    seen: list[Progress] = []
    with pytest.raises(Cancelled):
        install(request(server), seen.append, lambda: sum(one.items_done for one in seen[-1:]) > 4)
    right = put(server, tmp_path / "new", random_llama(1, **SIZES))
    assert run(server).path.read_bytes() == right


@pytest.mark.slow
def test_a_result_that_cannot_run_is_thrown_away(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, weights = random_llama(0, **SIZES)
    weights["model.norm.weight"][:] = 1e38
    put(server, tmp_path, (config, weights))
    short_disk(server, monkeypatch)
    with pytest.raises(BadFile, match="thrown away"):
        run(server)
    assert list(models_folder().iterdir()) == []
    assert leftovers(downloads_folder()) == []
