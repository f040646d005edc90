"""A model on another computer: what it is sent, what becomes of its answers, and a sentence for everything that goes wrong."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from converter.hub import permission
from desktop_app.connections import connections
from desktop_app.engine.protocol import Embed, Generate, SamplingSettings, Stats, Text
from desktop_app.engine.results import Reply
from desktop_app.network import OFFLINE, own_networks, read_networks, switch
from desktop_app.remote.addresses import Remote, RemoteModel
from desktop_app.remote.connection import Patience
from desktop_app.remote.engine import RemoteEngine, estimated_tokens, list_models
from models.errors import ZhiyinError
from tests.support.canned_server import HANG, STREAM, Canned, answer, canned, delta, streamed
from tests.support.certificates import make_certificate, tls_of

pytestmark = pytest.mark.usefixtures("data_home", "no_keyring", "no_proxy")
ASKED = Generate(({"role": "user", "content": "Hello?"},))
WHOLE = streamed(delta(content="Hel"), delta(content="lo."), delta("stop"))


@pytest.fixture
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def engine_at(address: str, key: str = "", **patience: float) -> RemoteEngine:
    return RemoteEngine(Remote(address), RemoteModel("m"), key, Patience(**patience))


def reply_of(*pieces: bytes | None, request: Generate = ASKED, key: str = "") -> tuple[Reply, list[str], Canned]:
    heard: list[str] = []
    with canned(*pieces) as server:
        job = engine_at(server.address, key).submit(
            request, lambda update: heard.append(update.text) if isinstance(update, Text) else None
        )
        return job.result(20), heard, server


def failure(*pieces: bytes | None, key: str = "", **patience: float) -> ZhiyinError:
    with canned(*pieces) as server, pytest.raises(ZhiyinError) as caught:
        engine_at(server.address, key, **patience).submit(ASKED).result(20)
    assert str(caught.value).count("\n") == 0
    return caught.value


def test_a_reply_comes_as_it_is_written() -> None:
    usage = {
        "choices": [],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}},
    }
    reply, heard, server = reply_of(
        streamed(delta(content="Hel"), delta(content="lo."), delta("length"), usage), key="k1"
    )
    assert heard == ["Hel", "lo."]
    assert (reply.text, reply.reason) == ("Hello.", "length")
    assert (reply.prompt_tokens, reply.reused_tokens, reply.tokens) == (7, 5, 3)
    line, headers, body = server.requests[0]
    assert line == "POST /v1/chat/completions HTTP/1.1"
    assert headers["authorization"] == "Bearer k1"
    assert body == {
        "messages": [{"role": "user", "content": "Hello?"}],
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_what_the_user_chose_is_sent_and_nothing_else() -> None:
    request = Generate(
        ({"role": "user", "content": "?"},),
        SamplingSettings(temperature=0.0, seed=5, max_tokens=9, stop=("X",)),
        tools=({"type": "function", "function": {"name": "f"}},),
        schema={"type": "object"},
        thinking=False,
        effort="low",
        begun="It",
    )
    reply, _, server = reply_of(WHOLE, request=request)
    assert reply.text == "ItHello."
    body = server.requests[0][2]
    assert body["messages"][-1] == {"role": "assistant", "content": "It"}
    assert {name: body[name] for name in ("temperature", "seed", "max_tokens", "stop")} == {
        "temperature": 0.0,
        "seed": 5,
        "max_tokens": 9,
        "stop": ["X"],
    }
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert body["tools"] == [{"type": "function", "function": {"name": "f"}}]
    assert (body["chat_template_kwargs"], body["reasoning_effort"]) == ({"enable_thinking": False}, "low")
    assert not {"top_k", "top_p", "min_p", "repeat_penalty", "grammar"} & body.keys()


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_get_their_marks(name: str) -> None:
    reply, heard, _ = reply_of(
        streamed(delta(**{name: "Hm"}), delta(**{name: "."}), delta(content="Yes."), delta("stop"))
    )
    assert reply.text == "".join(heard) == "<think>\nHm.\n</think>\n\nYes."


def test_calls_come_in_parts() -> None:
    parts = (
        {"index": 0, "id": "a", "function": {"name": "get_weather", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"city": "R'}},
        {"index": 0, "function": {"arguments": 'ome"}'}},
        {"index": 1, "id": "b", "function": {"name": "time", "arguments": "no JSON"}},
    )
    reply, _, _ = reply_of(streamed(*(delta(tool_calls=[part]) for part in parts), delta("tool_calls")))
    first, second = reply.tool_calls
    assert first["function"] == {"name": "get_weather", "arguments": '{"city": "Rome"}'}
    assert second["function"]["arguments"] == "{}"
    assert "no JSON object" in second["fault"]


def test_an_answer_without_a_stream_is_taken_whole() -> None:
    body = b'{"choices": [{"message": {"content": "All."}, "finish_reason": "stop"}]}'
    assert reply_of(answer(body))[0].text == "All."


def test_comments_and_split_characters_do_no_harm() -> None:
    event = streamed(delta(content="知音"), delta("stop"))
    half = event.index("音".encode()) + 1 if "音".encode() in event else len(event) // 2
    reply, _, _ = reply_of(STREAM + b": keep-alive\n\nevent: x\n" + event[len(STREAM) : half], event[half:])
    assert reply.text == "知音"


def test_a_stop_ends_the_reply_with_what_came() -> None:
    with canned(streamed(delta(content="Hel"), end=False), HANG) as server:
        engine = engine_at(server.address)
        heard: list[Any] = []
        job = engine.submit(
            ASKED, lambda update: (heard.append(update), job.cancel() if isinstance(update, Text) else None)
        )
        reply = job.result(20)
    assert (reply.text, reply.reason) == ("Hel", "cancelled")


def test_a_fault_of_the_listener_is_the_jobs() -> None:
    def broken(update: object) -> None:
        raise BrokenPipeError

    with canned(WHOLE) as server, pytest.raises(BrokenPipeError):
        engine_at(server.address).submit(ASKED, broken).result(20)


def test_a_key_is_asked_for_or_refused() -> None:
    refusal = answer(b'{"error": {"message": "Invalid key"}}', "401 Unauthorized")
    assert "wants a key (401)" in str(failure(refusal))
    assert "refuses the key (401)" in str(failure(refusal, key="wrong"))


@pytest.mark.parametrize(
    ("status", "body", "words", "code"),
    [
        ("404 Not Found", b'{"error": {"message": "model \'m\' not found"}}', "has no model 'm'", "remote"),
        ("404 Not Found", b"<html>nginx</html>", "look at its list of models", "remote"),
        ("429 Too Many Requests", b'{"error": {"message": "quota"}}', "asks to wait", "busy"),
        ("400 Bad Request", b'{"error": {"message": "no such field"}}', "no such field", "remote"),
        (
            "400 Bad Request",
            b'{"error": {"code": "context_length_exceeded", "message": "9 > 8"}}',
            "longer",
            "context-full",
        ),
        (
            "400 Bad Request",
            b'{"error": {"code": 400, "param": "input_tokens", "message": "9 > 8"}}',
            "longer",
            "context-full",
        ),
        (
            "400 Bad Request",
            b'{"object": "error", "message": "This model\'s maximum context length is 8 tokens.", "code": 400}',
            "longer",
            "context-full",
        ),
        ("500 Oops", b'{"detail": "CUDA out of memory"}', "CUDA out of memory", "remote"),
        ("503 Busy", b"", "it gives no reason", "remote"),
        ("307 Elsewhere", b"", "sends on to another address", "remote"),
    ],
)
def test_refusals_are_sentences(status: str, body: bytes, words: str, code: str) -> None:
    error = failure(answer(body, status))
    assert words in str(error)
    assert error.code == code


def test_no_connection_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    with pytest.raises(ZhiyinError, match=r"cannot be reached \(the connection was refused"):
        engine_at(address).submit(ASKED).result(20)


def test_a_certificate_of_nobody_is_refused(tmp_path: Path) -> None:
    context = tls_of(make_certificate(tmp_path / "certificate.pem"))
    with (
        canned(WHOLE, tls=context) as server,
        pytest.raises(ZhiyinError, match=r"certificate of 127\.0\.0\.1 is not trusted"),
    ):
        engine_at(server.address).submit(ASKED).result(20)
    assert server.requests == []


def test_plain_http_behind_https_is_said() -> None:
    with canned(WHOLE) as server, pytest.raises(ZhiyinError, match="no secure connection"):
        engine_at(server.address.replace("http:", "https:")).submit(ASKED).result(20)


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ((b"SSH-2.0-OpenSSH_9.2\r\n\r\n",), "does not speak HTTP"),
        ((streamed(delta(content="Hel"), end=False),), "broke off in the middle"),
        (
            (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 999\r\n\r\ndata: {}\n\n",),
            "broke off",
        ),
        ((streamed(delta(content="Hel"), b"{half"),), "no JSON"),
        ((streamed(b"[1]"),), "no object"),
        ((answer(b"<html>login</html>", kind="text/html"),), "no JSON"),
        ((streamed(delta(content="a"), {"error": {"message": "out of memory"}}),), "failed (500: out of memory)"),
        ((STREAM + b"data: " + b"x" * (5 << 20),), "a line is too long"),
    ],
)
def test_broken_answers_are_sentences(pieces: tuple[bytes, ...], words: str) -> None:
    assert words in str(failure(*pieces))


def test_silence_is_a_sentence() -> None:
    assert failure(HANG, first=0.2).code == "stalled"
    assert failure(streamed(delta(content="Hel"), end=False), HANG, next=0.2).code == "stalled"


def test_models_are_listed_with_their_contexts() -> None:
    listed = b'{"data": [{"id": "a", "max_model_len": 4096}, {"id": "b", "meta": {"n_ctx": 512}}, {"id": 3}, "x", {"id": "c"}]}'
    with canned(answer(listed)) as server:
        remote = list_models(server.address)
    assert remote.models == (RemoteModel("a", 4096), RemoteModel("b", 512), RemoteModel("c"))
    with canned(answer(b"{}")) as server, pytest.raises(ZhiyinError, match="no list of models"):
        list_models(server.address)


def test_vectors() -> None:
    body = b'{"data": [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}]}'
    with canned(answer(body)) as server:
        assert engine_at(server.address).submit(Embed(("a", "b"))).result(20).rows() == [[1, 2], [3, 4]]
    with canned(answer(body)) as server, pytest.raises(ZhiyinError, match="other vectors"):
        engine_at(server.address).submit(Embed(("a",))).result(20)


def test_what_only_an_engine_here_does_is_refused() -> None:
    with pytest.raises(ZhiyinError, match="another computer"):
        engine_at("http://127.0.0.1:9/v1").submit(Stats()).result(20)
    assert estimated_tokens("知音") == 2


def test_every_request_is_on_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permission, "_gate", permission._Gate())
    from desktop_app.connections import record

    permission._gate.listener = record
    _, _, server = reply_of(WHOLE)
    (entry,) = connections()
    assert (entry.host, entry.what, entry.state) == ("127.0.0.1", "/v1/chat/completions", "done")
    assert entry.port == int(server.address.split(":")[2].split("/")[0])


def test_offline_only_allowed_networks_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = permission._Gate()
    gate.is_offline, gate.own_networks = lambda: True, own_networks
    monkeypatch.setattr(permission, "_gate", gate)
    switch(OFFLINE, "192.168.7.0/24")
    for address in ("http://192.168.8.1/v1", "http://example.invalid/v1", "https://8.8.8.8/v1"):
        with pytest.raises(ZhiyinError, match="switched to offline") as caught:
            engine_at(address).submit(ASKED).result(20)
        assert caught.value.code == "offline"
    assert permission.in_own_network("192.168.7.9")
    assert permission.in_own_network("::ffff:192.168.7.9")
    with permission.permitted(own_network=True):
        permission._check("192.168.7.9")
        with pytest.raises(PermissionError):
            permission._check("192.168.8.1")
    with permission.permitted(), pytest.raises(PermissionError):
        permission._check("192.168.7.9")
    assert reply_of(WHOLE)[0].text == "Hello."  # this computer is nobody's business


@pytest.mark.parametrize("text", ["8.8.8.0/24", "0.0.0.0/0", "::/0", "10.0.0.0/7", "gpu", "192.168.1.0/33"])
def test_only_private_networks_can_be_allowed(text: str) -> None:
    with pytest.raises(ZhiyinError):
        read_networks(text)


def test_allowed_networks_are_kept(data_home: Path) -> None:
    switch(networks="192.168.1.7/24 10.0.0.7, fd00::/8")
    assert list(map(str, own_networks())) == ["192.168.1.0/24", "10.0.0.7/32", "fd00::/8"]
    switch(networks="")
    assert own_networks() == ()
