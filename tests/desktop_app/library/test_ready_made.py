"""GGUF files that somebody made already: found by name, named by their maker, taken as the user wants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from converter.hub.manifest import write_manifest
from converter.hub.request import DownloadRequest
from desktop_app.library.install import InstallRequest, _what_to_fetch
from desktop_app.library.ready_made import ReadyMade, better_deal, ready_made
from desktop_app.paths import downloads_folder
from models.errors import ZhiyinError
from tests.support.hub_server import HubServer, Repository

CHECKPOINT = {"config.json": b"{}", "model.safetensors": b"x" * 900}
FILES = {"tea-Q8_0.gguf": b"x" * 500, "tea-q4_k_m.gguf": b"x" * 300, "mmproj-tea-F16.gguf": b"x", "README.md": b"x"}
SIZES = {"Q8_0": 500, "Q4_K_M": 300}


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as hub:
        hub.repositories["org/tea"] = Repository({"main": CHECKPOINT, "master": CHECKPOINT})
        yield hub


def wanted(server: HubServer, name: str = "org/tea") -> DownloadRequest:
    return DownloadRequest(name, downloads_folder(), endpoint=server.endpoint)


def put(server: HubServer, name: str) -> None:
    server.repositories[name] = Repository({"main": FILES, "master": FILES})


def test_the_publisher_comes_first_and_then_nobody_else_is_asked(server: HubServer) -> None:
    assert ready_made(wanted(server)) == ()
    put(server, "bartowski/org_tea-GGUF")
    put(server, "unsloth/tea-GGUF")
    assert ready_made(wanted(server)) == (ReadyMade("bartowski/org_tea-GGUF", own=False, files=SIZES),)
    assert ready_made(wanted(server), others=False) == ()
    put(server, "org/tea-GGUF")
    server.requests.clear()
    [own] = ready_made(wanted(server))
    assert (own.source, own.own, own.maker, own.files) == ("org/tea-GGUF", True, "org", SIZES)
    assert len(server.requests) == 2
    assert ready_made(wanted(server, "org/tea-GGUF")) == ready_made(wanted(server, "org/tea/model.safetensors")) == ()
    there = ready_made(wanted(server, "modelscope:org/tea"))
    assert [one.source for one in there] == ["modelscope:org/tea-GGUF"]


def test_gguf_files_beside_the_checkpoint_are_the_publishers_too(server: HubServer) -> None:
    server.repositories["org/tea"] = Repository({"main": CHECKPOINT | FILES})
    assert ready_made(wanted(server)) == (ReadyMade("org/tea", own=True, files=SIZES),)


def test_a_host_that_fails_offers_nothing(server: HubServer) -> None:
    put(server, "org/tea-GGUF")
    server.raw["tea-GGUF"] = lambda _: [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]
    assert ready_made(wanted(server)) == ()


def test_by_itself_only_the_publishers_file_of_the_planned_quantization_is_taken(server: HubServer) -> None:
    put(server, "unsloth/tea-GGUF")
    assert better_deal(wanted(server), "auto", "Q8_0") is None
    ready = better_deal(wanted(server), "ready", "Q8_0")
    assert ready is not None
    assert ready.maker == "unsloth"
    put(server, "org/tea-GGUF")
    own = better_deal(wanted(server), "auto", "Q8_0")
    assert own is not None
    assert own.source == "org/tea-GGUF"
    assert better_deal(wanted(server), "auto", "Q6_K") is None
    assert better_deal(wanted(server), "convert", "Q8_0") is None
    with pytest.raises(ZhiyinError, match="Nobody whom Zhiyin knows offers GGUF files of org/coffee"):
        better_deal(wanted(server, "org/coffee"), "ready", "Q8_0")


def test_a_checkpoint_that_came_already_is_converted(server: HubServer, data_home: Path) -> None:
    put(server, "org/tea-GGUF")
    folder = downloads_folder() / "org--tea"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"x" * 900)
    entry = {"size": 900, "digest": "0" * 64, "mtime": 1}
    write_manifest(folder, {"repository": "org/tea", "files": {"model.safetensors": entry}})
    assert better_deal(wanted(server), "auto", "Q8_0") is None
    assert better_deal(wanted(server), "ready", "Q8_0") is not None


def test_an_installation_asks_for_what_the_way_says(server: HubServer) -> None:
    put(server, "org/tea-GGUF")

    def asked(**how: str) -> tuple[str, tuple[str, ...], bool]:
        request = InstallRequest("org/tea", endpoint=server.endpoint, **how)  # type: ignore[arg-type]
        found, selection = _what_to_fetch(request)
        return found.repository, tuple(selection.quants), selection.checkpoint

    assert asked(quant="Q8_0") == ("org/tea-GGUF", ("Q8_0",), False)
    assert asked(quant="Q8_0", way="convert") == ("org/tea", (), True)
    assert asked(quant="Q6_K") == ("org/tea", ("Q6_K",), True)
