"""Whatever a host answers: one sentence, soon, in little memory, and nothing is left here."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from converter.hub import connection as hub_connection
from converter.hub import transfer as hub_transfer
from converter.hub.manifest import LOCK, NOTE
from converter.hub.repository import download, preview
from converter.hub.request import DownloadRequest
from models.errors import ZhiyinError
from tests.support import hostile_answers as hostile
from tests.support.hostile_answers import answer, entry, listing, weights
from tests.support.hub_server import HubServer, Raw, Repository

NAME = "org/model"
LIST = "^/api/"
TOOLS: tuple[Callable[[DownloadRequest], object], ...] = (preview, download)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(hub_transfer, "PAUSE", 0.01)
    monkeypatch.setattr(hub_connection, "HEAD_SECONDS", 2.0)
    monkeypatch.setattr(hub_connection, "WINDOW_SECONDS", 1.0)
    monkeypatch.setattr(hub_connection, "ANSWER_SECONDS", 8.0)
    for variable in ("HF_TOKEN", "HF_ENDPOINT", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    with HubServer() as running:
        running.repositories[NAME] = Repository({"main": {"config.json": hostile.CONFIG, "model.safetensors": b"w"}})
        yield running


def refusal(call: Callable[[], object]) -> str:
    """Return the sentence with which something fails."""
    with pytest.raises(ZhiyinError) as caught:
        call()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert not any(unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp") for mark in sentence), ascii(sentence)
    assert len(sentence) < 700
    assert sentence.endswith((".", "others with --quant."))
    return sentence


def left(folder: Path) -> set[str]:
    """Return the files below a folder, besides the note and the lock."""
    return {path.name for path in folder.rglob("*") if path.is_file()} - {NOTE, LOCK}


def refused(server: HubServer, folder: Path, name: str = NAME) -> list[str]:
    """Return the sentences with which a preview and a download fail, which leave nothing."""
    request = DownloadRequest(name, folder / "downloads", endpoint=server.endpoint)
    sentences = [refusal(functools.partial(tool, request)) for tool in TOOLS]
    assert left(folder) == set()
    return sentences


@pytest.mark.parametrize("case", hostile.LISTINGS)
def test_lists(server: HubServer, tmp_path: Path, case: str) -> None:
    server.raw[LIST] = answer(hostile.LISTINGS[case])
    for sentence in refused(server, tmp_path):
        assert "does not answer as a Hub does" in sentence or "does not tell the size and checksum" in sentence


@pytest.mark.parametrize("case", hostile.NAMES)
def test_names(server: HubServer, tmp_path: Path, case: str) -> None:
    server.raw[LIST] = answer(listing(entry(), weights(), weights(name=hostile.NAMES[case])))
    for sentence in refused(server, tmp_path):
        assert sentence.startswith("org/model holds a file")
        assert "nothing was fetched: get the model elsewhere" in sentence


@pytest.mark.parametrize("case", hostile.KEPT_NAMES)
def test_names_that_some_disk_does_not_keep(server: HubServer, tmp_path: Path, case: str) -> None:
    server.raw[LIST] = answer(listing(*(weights(name=name) for name in hostile.KEPT_NAMES[case])))
    request = DownloadRequest(NAME, tmp_path, endpoint=server.endpoint)
    sentence = refusal(lambda: download(request))
    assert "org/model holds" in sentence or "does not answer as a Hub does" in sentence
    assert not server.fetched("model.safetensors")
    assert left(tmp_path) == set()


def test_names_that_differ_in_capitals_only(tmp_path: Path, server: HubServer) -> None:
    names = ("Model-Q8_0-00001-of-00002.gguf", "model-Q8_0-00001-OF-00002.gguf".replace("OF", "of"))
    server.raw[LIST] = answer(listing(*(weights(name=f"{name}/x-Q8_0.gguf") for name in names)))
    folder = tmp_path / "org--model"
    folder.mkdir()
    (folder / LOCK.upper()).touch()  # where it is the lock itself, the disk knows no capitals
    request = DownloadRequest(f"{NAME}/{names[0]}/x-Q8_0.gguf", tmp_path, endpoint=server.endpoint)
    assert "holds" not in refusal(lambda: download(request))


@pytest.mark.parametrize("case", hostile.HEADS)
def test_heads(server: HubServer, tmp_path: Path, case: str) -> None:
    server.raw[LIST] = hostile.HEADS[case]
    refused(server, tmp_path)


@pytest.mark.parametrize("case", hostile.LOCATIONS)
def test_redirects_are_refused_at_once(server: HubServer, tmp_path: Path, case: str) -> None:
    lines = [b"Location: " + location.encode() for location in hostile.LOCATIONS[case]]
    server.raw[LIST] = hostile.endless(hostile.head(*lines, status=b"HTTP/1.1 302 Found"))
    for sentence in refused(server, tmp_path):
        assert "redirects" in sentence
    assert len(server.requests) <= 2 * 11, "nobody follows it again and again"


@pytest.mark.parametrize("hops", [9, 11, 100])
def test_redirects_come_to_an_end(server: HubServer, tmp_path: Path, hops: int) -> None:
    def further(request: object) -> list[bytes]:
        hop = len(server.requests)
        if hop > hops:
            return [hostile.OK + listing(weights(b"w"))]
        return [hostile.head(b"Location: /api/hop/%d" % hop, b"Content-Length: 0", status=b"HTTP/1.1 307 Go")]

    server.raw[LIST] = further
    request = DownloadRequest(NAME, tmp_path, endpoint=server.endpoint)
    if hops < 10:
        assert preview(request).weights == 1
    else:
        assert "redirects more than 10 times" in refusal(lambda: preview(request))


def test_a_slow_host_is_given_up(server: HubServer, tmp_path: Path) -> None:
    trickles = {
        "list": hostile.slow(server, hostile.OK),
        "head": hostile.slow(server, b"HTTP/1.1 200 OK\r\nX: ", piece=b"y"),
        "nothing": hostile.slow(server, piece=b""),
        "nothing after the head": hostile.slow(server, hostile.OK + b"{", piece=b""),
        "packed": hostile.slow(server, hostile.head(b"Content-Encoding: gzip"), piece=b"\x1f"),
    }
    for trickle in trickles.values():
        server.raw[LIST] = trickle
        for sentence in refused(server, tmp_path):
            assert "answers too slowly" in sentence or "cannot be reached" in sentence


def test_a_slow_but_steady_host_is_waited_for(server: HubServer, tmp_path: Path) -> None:
    content = listing(weights(b"w"))

    def pieces(_: object) -> Iterator[bytes]:
        yield hostile.head(b"Content-Length: %d" % (len(content) + 6000))
        for part in (*(b" " * 300 for _ in range(20)), content):
            server.closing.wait(0.1)
            yield part

    server.raw[LIST] = pieces
    assert preview(DownloadRequest(NAME, tmp_path, endpoint=server.endpoint)).weights == 1


CONTENT: dict[str, tuple[str, Raw]] = {
    "other bytes": ("config.json", answer(hostile.CONFIG.replace(b"Llama", b"Lamma"))),
    "fewer bytes": ("config.json", answer(hostile.CONFIG[:-1])),
    "endless": ("config.json", hostile.endless(hostile.OK)),
    "refused": ("config.json", answer(b"", "403 Forbidden")),
    "not there": ("config.json", answer(b"", "404 Not Found")),
    "not in range": ("config.json", answer(b"", "416 Range Not Satisfiable")),
    "no HTTP": ("config.json", hostile.raw(b"hello")),
    "packed bomb": ("config.json", answer(hostile.bomb(200_000_000), Content_Encoding="gzip")),
    "redirect to a file": ("config.json", answer(b"", "302 Found", Location="file:///etc/passwd")),
}


@pytest.mark.parametrize("case", CONTENT)
def test_small_files(server: HubServer, tmp_path: Path, case: str) -> None:
    name, raw = CONTENT[case]
    server.raw[f"/{name}$"] = raw
    request = DownloadRequest(NAME, tmp_path, endpoint=server.endpoint)
    for tool in TOOLS:
        refusal(functools.partial(tool, request))
    came = {"model.safetensors", f".config.json.{hostile.git_digest(hostile.CONFIG)[:16]}.part"}
    assert left(tmp_path) <= (came if case == "fewer bytes" else came - {name for name in came if "part" in name})


@pytest.mark.parametrize("case", hostile.RANGES)
def test_parts_of_a_file_that_are_others(server: HubServer, tmp_path: Path, case: str) -> None:
    content = b"GGUF" + b"x" * 100_000
    server.repositories[NAME] = Repository({"main": {"m-Q8_0.gguf": content}})

    def part(request: object) -> list[bytes]:
        lines = [
            f"Content-Range: {text.format(last=len(content) - 1, size=len(content))}".encode()
            for text in hostile.RANGES[case]
        ]
        return [hostile.head(*lines, status=b"HTTP/1.1 206 Partial Content") + content]

    server.raw["^/cdn/"] = part
    request = DownloadRequest(NAME, tmp_path, endpoint=server.endpoint)
    sentence = refusal(lambda: download(request))
    assert "the server sends" in sentence or "several headers Content-Range" in sentence
    assert len(server.fetched("m-Q8_0.gguf")) == 1, "asking again would not help"
    assert preview(request).unread
    assert left(tmp_path) == set()


def test_an_index_that_is_none(server: HubServer, tmp_path: Path) -> None:
    for index in hostile.INDEXES.values():
        files = {"model.safetensors.index.json": index, "config.json": hostile.CONFIG, "model.safetensors": b"w"}
        server.repositories[NAME] = Repository({"main": files})
        request = DownloadRequest(NAME, tmp_path, endpoint=server.endpoint)
        for tool in TOOLS:
            refusal(functools.partial(tool, request))
        assert left(tmp_path) <= {"model.safetensors.index.json"}


@pytest.mark.parametrize("case", hostile.FOLDERS)
def test_lists_of_modelscope(server: HubServer, tmp_path: Path, case: str) -> None:
    server.raw[LIST] = answer(hostile.FOLDERS[case])
    refused(server, tmp_path, f"modelscope:{NAME}")


@pytest.mark.parametrize("case", hostile.HEADS)
def test_heads_of_modelscope(server: HubServer, tmp_path: Path, case: str) -> None:
    server.raw[LIST] = hostile.HEADS[case]
    refused(server, tmp_path, f"modelscope:{NAME}")


def test_folders_of_modelscope_without_end(server: HubServer, tmp_path: Path) -> None:
    """Each folder is said to hold more than an answer lists, and another folder like it."""

    def folder(request: object) -> list[bytes]:
        depth = len(server.requests)
        names = [f"{'a/' * (depth // 2)}a/{number}" for number in range(3000 if depth % 2 else 2999)]
        files = [{"Path": name, "Type": "tree", "Size": 0} for name in names]
        return list(answer(hostile.json.dumps({"Data": {"Files": files}}).encode())(request))

    server.raw[LIST] = folder
    refused(server, tmp_path, f"modelscope:{NAME}")
    assert len(server.requests) < 200


def test_a_file_of_one_byte_an_attempt_is_given_up(server: HubServer, tmp_path: Path) -> None:
    content = b"w" * 100_000
    server.repositories[NAME] = Repository({"main": {"config.json": hostile.CONFIG, "model.safetensors": content}})

    def one_byte(request: object) -> list[bytes]:
        first = int((server.requests[-1].range or "bytes=0-").removeprefix("bytes=").split("-")[0])
        lines = (b"Content-Range: bytes %d-99999/100000" % first, b"Content-Length: %d" % (100_000 - first))
        return [hostile.head(*lines, status=b"HTTP/1.1 206 Partial Content") + b"w"]

    server.raw["^/cdn/"] = one_byte
    request = DownloadRequest(NAME, tmp_path, endpoint=server.endpoint)
    sentence = refusal(lambda: download(request))
    assert "stopped at 5 of 100000 bytes (the connection was closed early); what came is kept" in sentence
    assert len(server.fetched("model.safetensors")) == 5


def test_heads_of_gguf_files_are_bounded_together(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from converter.hub import remote_headers

    monkeypatch.setattr(remote_headers, "_MOST_TOGETHER", 1_000_000)
    head = b"GGUF" + (3).to_bytes(4, "little") + (0).to_bytes(8, "little") + (1).to_bytes(8, "little")
    key = (14).to_bytes(8, "little") + b"tokenizer.list" + (9).to_bytes(4, "little") + (8).to_bytes(4, "little")
    texts = (300_000).to_bytes(8, "little") + ((1).to_bytes(8, "little") + b"x") * 300_000
    content = head + key + texts
    files = {f"m-Q{bits}_0.gguf": content + bytes([bits]) for bits in range(2, 9)}
    server.repositories[NAME] = Repository({"main": files})
    found = preview(DownloadRequest(NAME, tmp_path, endpoint=server.endpoint))
    assert any("together" in str(error) for error in found.unread)
    assert server.sent < 2_500_000
