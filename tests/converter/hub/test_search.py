"""Looking for models by words, and what a person reads of one, against a server that plays both hosts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from converter.hub.repository import describe
from converter.hub.request import DownloadRequest, FoundRepository
from converter.hub.search import search
from models.errors import Cancelled, ZhiyinError
from tests.support.hub_server import HubServer, Repository

QWEN = {
    "downloads": 900,
    "pipeline_tag": "text-generation",
    "tags": ["license:apache-2.0"],
    "config": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"},
    "safetensors": {"total": 494032768},
}
CARD = "---\nlicense: apache-2.0\n---\n# Tea\n\nAbout tea.\n"


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as hub:
        yield hub


def put(server: HubServer, name: str, *, gated: bool = False, **facts: object) -> Repository:
    files = {"README.md": CARD.encode(), "model.safetensors": b"x" * 2000}
    server.repositories[name] = Repository({"main": files, "master": files}, gated=gated, facts=facts)
    return server.repositories[name]


def test_the_hub_says_what_each_repository_is(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    put(server, "org/tea-small", **QWEN)
    put(server, "org/tea-GGUF", downloads=1000, gguf={"architecture": "qwen2", "total": 7}, cardData={"license": "mit"})
    put(server, "org/tea-gated", gated=True, downloads=2, cardData={"license": "other", "license_name": "tea-1"})
    put(server, "org/tea-pictures", downloads=5000, pipeline_tag="text-to-image")
    put(server, "org/coffee", downloads=5000)
    assert search(" tea ", server.endpoint) == [
        FoundRepository("org/tea-GGUF", "qwen2", 7, "mit", 1000, gguf=True),
        FoundRepository("org/tea-small", "Qwen2ForCausalLM", 494032768, "apache-2.0", 900),
        FoundRepository("org/tea-gated", "", 0, "tea-1", 2, gated=True),
    ]
    assert len(server.requests) == 1
    assert server.requests[0].authorization is None, "everybody may look, so no token is sent"


def test_modelscope_is_asked_in_its_own_words(server: HubServer) -> None:
    put(server, "org/tea", downloads=3, license="Apache License 2.0", params=500, tasks=["text-generation"])
    put(server, "org/tea-GGUF", downloads=9)
    put(server, "org/tea-voice", downloads=9, tasks=["text-to-speech"])
    found = search("modelscope:tea", server.endpoint)
    assert found == [
        FoundRepository("modelscope:org/tea-GGUF", downloads=9, gguf=True),
        FoundRepository("modelscope:org/tea", "", 500, "Apache License 2.0", 3),
    ]
    assert found[0].name == "org/tea-GGUF"


def test_a_host_that_asks_to_wait_is_asked_again_then(server: HubServer) -> None:
    put(server, "org/tea", **QWEN)
    server.faults.status, server.faults.status_count, server.faults.retry_after = 429, 2, "1"
    heard: list[tuple[str, float]] = []
    begun = time.monotonic()
    names = [
        one.source for one in search("tea", server.endpoint, again=lambda *one: heard.append((str(one[0]), one[1])))
    ]
    assert names == ["org/tea"] and heard == [("the server asked to wait 1 s", 1.0)] * 2
    assert time.monotonic() - begun >= 2 and len(server.requests) == 3
    server.faults.status_count = 1
    server.faults.retry_after = ""
    with pytest.raises(ZhiyinError, match="try again in some minutes"):
        search("tea", server.endpoint)


def test_a_wait_for_a_busy_host_ends_with_the_search(server: HubServer) -> None:
    put(server, "org/tea", **QWEN)
    server.faults.status, server.faults.status_count, server.faults.retry_after = 503, 1, "50"
    waits: list[float] = []

    def check() -> None:
        if waits:
            raise Cancelled("Stopped.")

    begun = time.monotonic()
    with pytest.raises(Cancelled):
        search("tea", server.endpoint, check, lambda reason, seconds: waits.append(seconds))
    assert waits == [50.0] and time.monotonic() - begun < 20


def test_an_answer_of_other_kinds_is_no_harm(server: HubServer) -> None:
    strange = [
        {"id": "../../etc", "downloads": 1},
        {"id": "org/\u202etea"},
        {"id": 7},
        {"id": "org/tea", "downloads": "many", "config": [], "tags": {"a": 1}, "safetensors": {"total": -4}, "gguf": 3},
    ]
    answers = [json.dumps(strange), '{"error": "no"}', "[1]", "null", "<html>", "[" * 100_000]

    def send(answer: str) -> None:
        body = answer.encode()
        server.raw["api/models"] = lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body]

    send(answers[0])
    assert search("tea", server.endpoint) == [FoundRepository("org/tea")]
    for answer in answers[1:]:
        send(answer)
        with pytest.raises(ZhiyinError, match="does not answer as a host of models does"):
            search("tea", server.endpoint)
    with pytest.raises(ZhiyinError, match="Write what to look for"):
        search("modelscope: ", server.endpoint)


def test_offline_nobody_is_asked(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converter.hub.permission._gate.is_offline", lambda: True)
    with pytest.raises(ZhiyinError, match="switched to offline") as refusal:
        search("tea", server.endpoint)
    assert refusal.value.code == "offline"
    assert server.requests == []


def test_a_description_has_card_files_and_licence(server: HubServer, tmp_path: Path) -> None:
    put(server, "org/tea", **QWEN)
    found = describe(DownloadRequest("org/tea", tmp_path, endpoint=server.endpoint))
    assert (found.card, found.licence, found.downloads, found.gated) == (
        "# Tea\n\nAbout tea.",
        "apache-2.0",
        900,
        False,
    )
    assert [(file.name, file.size) for file in found.files] == [("README.md", len(CARD)), ("model.safetensors", 2000)]
    assert list(tmp_path.iterdir()) == []
    put(server, "org/tea", license="MIT", downloads=4)
    there = describe(DownloadRequest("modelscope:org/tea", tmp_path, endpoint=server.endpoint))
    assert (there.card, there.licence, there.downloads) == ("# Tea\n\nAbout tea.", "MIT", 4)


def test_a_gated_model_shows_what_everybody_may_see(server: HubServer, tmp_path: Path) -> None:
    put(server, "org/tea", gated=True, cardData={"license": "tea-1"})
    found = describe(DownloadRequest("org/tea", tmp_path, endpoint=server.endpoint))
    assert (found.card, found.withheld, found.gated, found.licence) == ("", True, True, "tea-1")
    assert len(found.files) == 2
