"""Who may ask, and what a client may cost: foreign hosts and origins, keys, large and slow requests, malformed ones."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from desktop_app.server.connections import most_connections
from tests.support.commands import zhiyin
from tests.support.random_llama import random_llama
from tests.support.serving import STARTER, Served, served
from tests.support.sparse_gguf import sparse_gguf

CHAT = "/v1/chat/completions"
BODY = {"model": STARTER, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(
        tmp_path_factory.mktemp("guarded"),
        *("--allow-origin", "https://chat.example", "--allow-host", "nas.example"),
        ZHIYIN_API_KEY="sesame",
    ) as running:
        yield running


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("open")) as running:
        yield running


def asked(server: Served, headers: dict[str, str], path: str = "/v1/models") -> httpx2.Response:
    return httpx2.get(server.address + path, headers=headers)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "[::1", "a b"]
)
def test_foreign_hosts_are_refused(open_server: Served, host: str) -> None:
    """A name that its owner let point to this computer (DNS rebinding)."""
    assert asked(open_server, {"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:1", "[::1]:8484", "192.168.1.5", "LOCALHOST", socket.gethostname()]
)
def test_own_names_and_addresses_are_let_through(open_server: Served, host: str) -> None:
    assert asked(open_server, {"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "file://", "https://chat.example.evil", "http://["]
)
def test_pages_of_other_origins_are_refused(open_server: Served, origin: str) -> None:
    refused = asked(open_server, {"Origin": origin})
    assert refused.status_code == 403
    assert not any(name.startswith("access-control") for name in refused.headers)
    preflight = httpx2.request(
        "OPTIONS", open_server.address + CHAT, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    assert preflight.status_code == 403


def test_an_allowed_origin_gets_its_headers(guarded: Served) -> None:
    origin = "https://chat.example"
    preflight = httpx2.request(
        "OPTIONS",
        guarded.address + CHAT,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == origin
    answered = asked(guarded, {"Origin": origin, "Authorization": "Bearer sesame"})
    assert answered.status_code == 200
    assert answered.headers["access-control-allow-origin"] == origin
    assert asked(guarded, {"Host": "nas.example:8484", "x-api-key": "sesame"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer Sesame"},
        {"Authorization": "Basic sesame"},
        {"x-api-key": "s"},
    ],
    ids=str,
)
def test_without_the_key_nothing_is_answered(guarded: Served, headers: dict[str, str]) -> None:
    for path, shape in (("/v1/models", "error"), ("/api/tags", "error"), ("/", "error"), ("/v1/messages", "error")):
        refused = asked(guarded, headers, path)
        assert refused.status_code == 401
        assert shape in refused.json()
    assert asked(guarded, headers | {"anthropic-version": "1"}).json()["error"]["type"] == "authentication_error"


def test_a_key_is_made_and_kept_as_soon_as_others_can_reach_it(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        with served(tmp_path, "--host", "0.0.0.0") as running:  # noqa: S104
            port = urlsplit(running.address).port
            assert httpx2.get(f"http://127.0.0.1:{port}/v1/models").status_code == 401
            keys.append((tmp_path / "server.key").read_text())
            key = {"Authorization": f"Bearer {keys[-1]}"}
            assert httpx2.get(f"http://127.0.0.1:{port}/v1/models", headers=key).status_code == 200
    assert keys[0] == keys[1]
    assert (tmp_path / "server.key").stat().st_mode & 0o077 == 0


def test_a_large_body_is_refused_before_it_is_read(open_server: Served) -> None:
    parts = urlsplit(open_server.address)
    with socket.create_connection((parts.hostname, parts.port or 0), 20) as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 104857600\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 413")


def test_a_large_body_without_a_length_is_cut_off(open_server: Served) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * (1 << 20)

    try:
        answer = httpx2.post(open_server.address + CHAT, content=chunks(), timeout=60)
    except httpx2.NetworkError:
        return  # it was closed while more was on its way
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"model": 1}', b"[" * 100_000, b'{"a":' * 50_000, b'{"model": NaN}'],
    ids=lambda body: repr(body[:16]),
)
def test_malformed_bodies_are_refused(open_server: Served, body: bytes) -> None:
    for path in (CHAT, "/v1/completions", "/v1/responses", "/v1/messages", "/api/chat", "/api/generate", "/api/show"):
        answer = httpx2.post(open_server.address + path, content=body, timeout=60)
        assert answer.status_code in {400, 404}, path
        assert "error" in answer.json()


@pytest.mark.parametrize(
    "request_line", [b"GARBAGE\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"\x16\x03\x01\x02\x00" * 40, b"A" * 70_000]
)
def test_what_is_no_http_is_closed(open_server: Served, request_line: bytes) -> None:
    parts = urlsplit(open_server.address)
    with socket.create_connection((parts.hostname, parts.port or 0), 30) as connection:
        connection.sendall(request_line)
        answer = b""
        try:
            while part := connection.recv(4096):
                answer += part
        except ConnectionResetError:
            pass
        assert answer.startswith(b"HTTP/1.1 4") or not answer


def test_a_wrong_path_and_method_have_the_shapes_too(open_server: Served) -> None:
    assert asked(open_server, {}, "/v1/nothing").json()["error"]["code"] == "unknown_url"
    assert asked(open_server, {}, "/api/nothing").json().keys() == {"error"}
    wrong = asked(open_server, {}, CHAT)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


def test_nothing_of_the_content_is_logged(open_server: Served) -> None:
    said = "Xyzzy-words"
    body = BODY | {"messages": [{"role": "user", "content": said}]}
    assert httpx2.post(f"{open_server.address}{CHAT}?q={said}", json=body, timeout=60).status_code == 200
    httpx2.post(open_server.address + CHAT, json=body | {"magic": said}, timeout=60)
    logs = [path for path in open_server.home.rglob("*") if path.suffix in {".log", ".json"}]
    assert any(CHAT in path.read_text("utf-8") for path in logs)
    assert not any(said in path.read_text("utf-8", "replace") for path in logs)


def test_a_port_in_use_is_said(open_server: Served) -> None:
    port = urlsplit(open_server.address).port
    done = zhiyin("serve", "--port", str(port))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "choose another address or port" in done.stderr
    assert str(port) in done.stderr


def test_a_model_that_cannot_be_loaded_is_said_by_the_command(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 64)
    done = zhiyin("serve", "--port", "0", "-m", str(tmp_path / "bad.gguf"))
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_model_that_does_not_fit_gets_the_planners_sentence(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    huge = random_llama()[0] | {"hidden_size": 16384, "intermediate_size": 65536, "num_hidden_layers": 200}
    sparse_gguf(huge, "F16", tmp_path / "models" / "huge.gguf")
    with served(tmp_path) as running:
        body = BODY | {"model": "huge"}
        answer = httpx2.post(running.address + CHAT, json=body, timeout=60)
    assert answer.status_code == 503
    assert "more than is free now" in answer.json()["error"]["message"]


def test_more_connections_than_are_kept_are_closed_and_the_others_served(open_server: Served) -> None:
    parts = urlsplit(open_server.address)
    held = []
    try:
        for _ in range(most_connections() + 20):
            held.append(socket.create_connection((parts.hostname, parts.port or 0), 20))
        held[-1].settimeout(20)
        with contextlib.suppress(ConnectionResetError):
            assert held[-1].recv(1) == b""
        for connection in held[:50]:
            connection.close()
        answers = (asked(open_server, {}).status_code for _ in range(3))
        assert list(answers) == [200, 200, 200]
    finally:
        for connection in held:
            connection.close()


def test_a_body_that_is_no_object_is_said_to_be_that(server: Served) -> None:
    answer = httpx2.post(server.address + CHAT, content=b"[]")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, None)
    assert answer.json()["error"]["message"] == "The body of the request must be a JSON object, not array."
