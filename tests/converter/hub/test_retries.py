"""Why a file does not come, when it is asked for again, and the mirrors that it comes from instead."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest

from converter import progress as progress_module
from converter.hub import parts, transfer
from converter.hub.network_errors import Unreachable, refusal
from converter.hub.repository import DownloadRequest, download
from converter.hub.selection import RemoteFile
from converter.hub.transfer import Interrupted, _Patience, partial_path
from converter.progress import Progress
from models.errors import ZhiyinError
from models.sentence import Sentence
from tests.support.hub_server import HubServer, Repository, Request

NAME, FILE = "org/model", "m-Q8_0.gguf"
CONTENT = random.Random(7).randbytes(1_500_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(transfer, "PAUSE", 0.001)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with HubServer({NAME: Repository({"main": {FILE: CONTENT}})}) as running:
        yield running


@pytest.fixture
def mirror(server: HubServer) -> Iterator[HubServer]:
    with HubServer(server.repositories) as running:
        yield running


def fetch(server: HubServer, folder: Path, *mirrors: HubServer, seen: list[Progress] | None = None) -> bytes:
    heard = [] if seen is None else seen
    request = DownloadRequest(
        NAME, folder, endpoint=server.endpoint, mirrors=tuple(mirror.endpoint for mirror in mirrors)
    )
    return download(request, heard.append).source.read_bytes()


def range_of(request: Request) -> tuple[int, int]:
    first, last = (request.range or "").removeprefix("bytes=").split("-")
    return int(first), int(last)


def answer(first: int, last: int, end: int) -> Iterable[bytes]:
    """Return a part of the file that is cut off in front of the byte `end`."""
    head = f"HTTP/1.1 206 Partial Content\r\nContent-Length: {last + 1 - first}\r\n"
    return [f"{head}Content-Range: bytes {first}-{last}/{len(CONTENT)}\r\n\r\n".encode(), CONTENT[first:end]]


def nothing(_: Request) -> Iterable[bytes]:
    return []


def test_a_host_says_when_to_ask_again(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_SILENT", 0.0)
    monkeypatch.setattr(progress_module, "_SECONDS", 0.0)
    server.faults.status, server.faults.status_count, server.faults.retry_after = 429, 1, "30"
    seen: list[Progress] = []
    waited: list[float] = []
    monkeypatch.setattr(transfer._Transfer, "_wait", lambda self, seconds: (waited.append(seconds), self._tick()))
    assert fetch(server, tmp_path, seen=seen) == CONTENT
    [said] = {(str(event.retry.reason), event.retry.at) for event in seen if event.retry is not None}
    assert said[0] == "the server asked to wait 30 s"
    assert waited == [30]


@pytest.mark.parametrize("at", ["^/api/", "^/cdn/"])
def test_a_busy_host_is_asked_again_before_a_download_begins(server: HubServer, tmp_path: Path, at: str) -> None:
    def busy(_: Request) -> Iterable[bytes]:
        server.raw.clear()
        return [b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"]

    server.raw[at] = busy
    seen: list[Progress] = []
    assert fetch(server, tmp_path, seen=seen) == CONTENT
    assert "the server asked to wait 1 s" in {str(event.retry.reason) for event in seen if event.retry is not None}


@pytest.mark.parametrize(
    ("asked", "seconds"), [("30", 30), ("", 0), ("soon", 0), ("-5", 0), ("999999999999999", 86400), ("²", 0)]
)
def test_what_a_host_asks_to_wait(asked: str, seconds: int) -> None:
    error = refusal(httpx2.Response(503, headers=[(b"Retry-After", asked.encode())]), "host", None)
    assert error.values["wait"] == seconds


def test_a_date_is_a_time_to_wait_too() -> None:
    later = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=90), usegmt=True)
    waits = refusal(httpx2.Response(429, headers={"Retry-After": later}), "host", None).values["wait"]
    assert 80 <= waits <= 91
    past = refusal(httpx2.Response(429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), "host", None)
    assert past.values["wait"] == 0


def test_the_pause_is_the_longer_one_and_a_very_long_one_ends_it() -> None:
    said: list[tuple[str, float]] = []
    patience = _Patience(RemoteFile(FILE, 10, "0" * 64), lambda reason, seconds: said.append((str(reason), seconds)))
    busy = Sentence("the server answered {status}", status=503)
    assert patience.pause_after(Unreachable("no", reason=busy, wait=30), 0, 0) == 30
    assert patience.pause_after(Unreachable("no", reason=busy), 0, 0) == transfer.PAUSE * 4
    assert said == [("the server answered 503", 30.0), ("the server answered 503", transfer.PAUSE * 4)]
    with pytest.raises(Interrupted):
        patience.pause_after(Unreachable("no", reason=busy, wait=3600), 0, 0)


def test_a_file_comes_from_a_mirror_where_the_host_fails(
    server: HubServer, mirror: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", server.token)
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    server.raw["^/cdn/"] = nothing
    seen: list[Progress] = []
    assert fetch(server, tmp_path, mirror, seen=seen) == CONTENT
    assert seen[-1].mirror == mirror.endpoint.removeprefix("http://")
    assert {request.authorization for request in mirror.requests} == {None}, "a token is of one host"
    assert any(request.authorization for request in server.requests)
    assert not [request for request in mirror.requests if request.path.startswith("/api/")], "it lists nothing"


def test_a_mirror_goes_on_where_the_host_stopped(server: HubServer, mirror: HubServer, tmp_path: Path) -> None:
    def begins(request: Request) -> Iterable[bytes]:
        first, last = range_of(request)
        return answer(first, last, 600_000) if first == 0 else []

    server.raw["^/cdn/"] = begins
    assert fetch(server, tmp_path, mirror) == CONTENT
    assert mirror.fetched(FILE) == [f"bytes=600000-{len(CONTENT) - 1}"]


def test_the_checksum_is_the_hosts(server: HubServer, mirror: HubServer, tmp_path: Path) -> None:
    server.faults.wrong_bytes = FILE
    assert fetch(server, tmp_path, mirror) == CONTENT
    mirror.faults.wrong_bytes = FILE
    with pytest.raises(ZhiyinError, match="checksum differs"):
        fetch(server, tmp_path / "again", mirror)
    assert not list((tmp_path / "again").rglob("*.gguf"))


def test_a_licence_is_accepted_at_the_host_alone(server: HubServer, mirror: HubServer, tmp_path: Path) -> None:
    server.repositories[NAME].gated = True
    with pytest.raises(ZhiyinError, match="gated"):
        fetch(server, tmp_path, mirror)
    assert mirror.requests == []


def test_the_working_one_is_asked_first(server: HubServer, mirror: HubServer, tmp_path: Path) -> None:
    names = [f"m-Q8_0-{number:05}-of-00003.gguf" for number in (1, 2, 3)]
    files = {name: CONTENT + bytes([place]) for place, name in enumerate(names)}
    for hub in (server, mirror):
        hub.repositories = {NAME: Repository({"main": files})}
    server.raw["^/cdn/"] = nothing
    fetch(server, tmp_path, mirror)
    assert [name for name in names if server.fetched(name)] == names[:1]


@pytest.mark.parametrize("several", [False, True])
def test_cuts_at_fifty_random_bytes(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, several: bool
) -> None:
    if several:
        monkeypatch.setattr(transfer, "_SEVERAL_FROM", 200_000)
        monkeypatch.setattr(parts, "PART", 100_000)
    dice = random.Random(50)
    cuts = [dice.randrange(20_000, 90_000) for _ in range(50)]

    def cut(request: Request) -> Iterable[bytes]:
        first, last = range_of(request)
        return answer(first, last, min(last + 1, first + cuts.pop()) if cuts else last + 1)

    server.raw["^/cdn/"] = cut
    assert fetch(server, tmp_path) == CONTENT
    assert not list(tmp_path.rglob("*.part"))


def killed_half_way(server: HubServer, folder: Path) -> int:
    """Let another process fetch, kill it in the middle, and return how many bytes it left."""
    server.faults.bytes_per_second = 1_000_000
    code = (
        "import sys; from pathlib import Path; from converter.hub.repository import DownloadRequest, download; "
        "download(DownloadRequest(sys.argv[1], Path(sys.argv[2]), endpoint=sys.argv[3]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, NAME, str(folder), server.endpoint])
    try:
        while not any(part.stat().st_size > 100_000 for part in folder.rglob("*.part")):
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    server.faults.bytes_per_second = 0
    server.requests.clear()
    [part] = folder.rglob("*.part")
    return part.stat().st_size


def test_after_a_kill_the_next_one_goes_on(server: HubServer, tmp_path: Path) -> None:
    have = killed_half_way(server, tmp_path)
    assert fetch(server, tmp_path) == CONTENT
    assert server.fetched(FILE)[-1] == f"bytes={have}-{len(CONTENT) - 1}"
    assert not list(tmp_path.rglob("*.part"))


def test_a_changed_revision_begins_anew(server: HubServer, tmp_path: Path) -> None:
    begun = partial_path(tmp_path / "org--model" / FILE, RemoteFile(FILE, len(CONTENT), sha256(CONTENT).hexdigest()))
    begun.parent.mkdir()
    begun.write_bytes(CONTENT[:500_000])
    newest = CONTENT[::-1]
    server.repositories[NAME] = Repository({"main": {FILE: newest}})
    assert fetch(server, tmp_path) == newest
    assert server.fetched(FILE)[-1] == f"bytes=0-{len(newest) - 1}"
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of a process there")
def test_a_full_disk_keeps_what_came(server: HubServer, tmp_path: Path) -> None:
    import resource

    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, usual[1]))
    try:
        with pytest.raises(ZhiyinError, match="org--model"):
            fetch(server, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    [part] = tmp_path.rglob("*.part")
    assert part.read_bytes() == CONTENT[: part.stat().st_size]
    assert fetch(server, tmp_path) == CONTENT
