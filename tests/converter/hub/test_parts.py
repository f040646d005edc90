"""Several connections fetch one file: nothing is lost, nothing comes twice, and what is on the disk has no holes."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from converter.hub import parts, transfer
from converter.hub.repository import DownloadRequest, download
from converter.progress import Progress
from models.errors import Cancelled, ZhiyinError
from tests.support import hostile_answers as hostile
from tests.support.hub_server import HubServer, Repository, Request

NAME, FILE = "org/model", "m-Q8_0.gguf"
CONTENT = random.Random(5).randbytes(3_000_000)
PART = 100_000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(transfer, "PAUSE", 0.01)
    monkeypatch.setattr(transfer, "_SEVERAL_FROM", 2 * PART)
    monkeypatch.setattr(parts, "PART", PART)
    with HubServer() as running:
        running.repositories[NAME] = Repository({"main": {FILE: CONTENT}})
        yield running


def fetch(server: HubServer, folder: Path, seen: list[Progress] | None = None) -> Path:
    heard = [] if seen is None else seen
    return download(DownloadRequest(NAME, folder, endpoint=server.endpoint), heard.append).source


def asked(server: HubServer) -> list[tuple[int, int]]:
    """Return the first and last bytes that were asked for, in order."""
    ranges = (re.fullmatch(r"bytes=(\d+)-(\d+)", text or "") for text in server.fetched(FILE))
    return sorted((int(match[1]), int(match[2])) for match in ranges if match)


def first_of(request: Request) -> int:
    return int((request.range or "").removeprefix("bytes=").split("-")[0])


def part_of(request: Request) -> Iterable[bytes]:
    """Return the answer to a request for a part."""
    last = int((request.range or "").split("-")[1])
    piece = CONTENT[first_of(request) : last + 1]
    place = f"Content-Range: bytes {first_of(request)}-{last}/{len(CONTENT)}".encode()
    length = f"Content-Length: {len(piece)}".encode()
    return [hostile.head(place, length, status=b"HTTP/1.1 206 Partial Content"), piece]


def partial(folder: Path) -> bytes:
    return next(folder.glob("**/*.part")).read_bytes()


def test_parts_are_asked_for_once_each(server: HubServer, tmp_path: Path) -> None:
    seen: list[Progress] = []
    assert fetch(server, tmp_path, seen).read_bytes() == CONTENT
    assert asked(server) == [(first, first + PART - 1) for first in range(0, len(CONTENT), PART)]
    assert seen[-1].bytes_done == len(CONTENT)


def test_where_the_hub_leads_is_asked_once_for_all_parts(server: HubServer, tmp_path: Path) -> None:
    fetch(server, tmp_path)
    redirects = [request for request in server.requests if "/resolve/" in request.path]
    assert len(redirects) <= parts.AT_ONCE


def test_an_address_that_is_good_no_more_is_asked_for_again(server: HubServer, tmp_path: Path) -> None:
    uses: list[int] = []

    def lead(request: Request) -> Iterable[bytes]:
        uses.append(0)
        return [hostile.head(f"Location: /signed/{len(uses) - 1}".encode(), status=b"HTTP/1.1 302 Found")]

    def send(request: Request) -> Iterable[bytes]:
        signature = int(request.path.rpartition("/")[2])
        uses[signature] += 1
        return part_of(request) if uses[signature] <= 4 else [hostile.head(status=b"HTTP/1.1 403 Forbidden")]

    server.raw |= {"/resolve/": lead, "^/signed/": send}
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert len(uses) >= len(CONTENT) // PART // 4


def test_a_host_that_sends_whole_files_only(server: HubServer, tmp_path: Path) -> None:
    server.faults.ignore_ranges = True
    seen: list[Progress] = []
    assert fetch(server, tmp_path, seen).read_bytes() == CONTENT
    assert seen[-1].bytes_done == len(CONTENT)


@pytest.mark.parametrize("seed", range(5))
def test_cuts_cost_nothing_but_the_bytes_that_were_cut(server: HubServer, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    server.faults.drop_after, server.faults.drops = dice.randrange(20_000, PART), dice.randrange(1, 12)
    seen: list[Progress] = []
    assert fetch(server, tmp_path, seen).read_bytes() == CONTENT
    assert seen[-1].bytes_done == len(CONTENT)


@pytest.mark.parametrize("after", [1, 700_000, 2_000_000])
def test_a_stop_leaves_the_beginning_of_the_file(server: HubServer, tmp_path: Path, after: int) -> None:
    server.faults.bytes_per_second = 2_000_000
    seen: list[Progress] = []

    def is_stopped() -> bool:
        return bool(seen) and seen[-1].bytes_done >= after

    with pytest.raises(Cancelled):
        download(DownloadRequest(NAME, tmp_path, endpoint=server.endpoint), seen.append, is_stopped)
    assert all(event.bytes_done >= 0 for event in seen)
    found = list(tmp_path.glob("**/*.part"))
    here = found[0].read_bytes() if found else b""
    assert here == CONTENT[: len(here)]
    server.faults.bytes_per_second = 0
    server.requests.clear()
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert asked(server)[0][0] == len(here)


def test_a_host_that_goes_away_keeps_what_came(server: HubServer, tmp_path: Path) -> None:
    def goes_away(request: Request) -> Iterable[bytes]:
        if first_of(request) >= 1_000_000:
            return []
        return part_of(request)

    server.raw["^/cdn/"] = goes_away
    with pytest.raises(ZhiyinError, match="it goes on from there"):
        fetch(server, tmp_path)
    assert partial(tmp_path) == CONTENT[:1_000_000]
    server.raw.clear()
    server.requests.clear()
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert asked(server)[0][0] == 1_000_000


def test_a_wrong_byte_is_noticed(server: HubServer, tmp_path: Path) -> None:
    server.faults.wrong_bytes = FILE
    with pytest.raises(ZhiyinError, match="checksum"):
        fetch(server, tmp_path)
    assert not list(tmp_path.glob("**/*.part"))


def test_a_token_reaches_the_hub_alone(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", server.token)
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    with HubServer(server.repositories) as elsewhere:
        server.content_at = elsewhere.endpoint
        assert fetch(server, tmp_path).read_bytes() == CONTENT
        assert len(elsewhere.requests) == len(CONTENT) // PART
        assert {request.authorization for request in elsewhere.requests} == {None}
    assert any(request.authorization for request in server.requests)
