"""A model of llama-server, whose sources come with llama-cpp-python: what it streams, refuses and says of itself."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from desktop_app.engine.protocol import Embed, Generate, SamplingSettings, Text
from desktop_app.remote.addresses import Remote, read_address
from desktop_app.remote.engine import RemoteEngine, list_models
from models.errors import ZhiyinError

pytestmark = pytest.mark.slow
KEY = "secret"
ASK = ({"role": "user", "content": "What is the capital of France?"},)


@pytest.fixture(scope="module")
def server(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = os.environ.get("ZHIYIN_LLAMA_SERVER")
    if not program:
        pytest.skip("ZHIYIN_LLAMA_SERVER names no llama-server; tests/benchmarks/bench_server.py says how it is built")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ("--port", str(port), "--api-key", KEY, "-c", "1024", "-np", "2", "-t", "1", "--jinja", "-a", "starter")
    log = (tmp_path_factory.mktemp("llama-server") / "log").open("w")
    with subprocess.Popen([program, "-m", starter_gguf, *options], stdout=log, stderr=log) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            end = time.monotonic() + 120
            while not _is_ready(address):
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.2)
            yield read_address(address)
        finally:
            process.kill()


def _is_ready(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/health").status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


@pytest.fixture
def engine(server: str, data_home: Path) -> RemoteEngine:
    remote = list_models(server, KEY)
    (model,) = remote.models
    assert model.name == "starter"
    assert model.context == 512  # of one slot
    return RemoteEngine(remote, model, KEY)


def test_a_reply_streams_and_counts(engine: RemoteEngine) -> None:
    heard: list[str] = []
    request = Generate(ASK, SamplingSettings(temperature=0, max_tokens=12, seed=1))
    reply = engine.submit(request, lambda one: heard.append(one.text) if isinstance(one, Text) else None).result(120)
    assert reply.text == "".join(heard)
    assert len(heard) > 1
    assert reply.tokens <= 12 < reply.prompt_tokens
    assert reply.reason == "length"
    assert engine.submit(request).result(120).text == reply.text


def test_a_schema_holds_the_answer(engine: RemoteEngine) -> None:
    schema = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}
    reply = engine.submit(Generate(ASK, SamplingSettings(max_tokens=60), schema=schema)).result(120)
    assert "".join(reply.text.split()) == '{"city":"Paris"}'


def test_refusals_are_sentences(engine: RemoteEngine, server: str) -> None:
    with pytest.raises(ZhiyinError) as caught:
        engine.submit(Generate(({"role": "user", "content": "word " * 2000},))).result(120)
    assert caught.value.code == "context-full"
    with pytest.raises(ZhiyinError, match="embeddings"):
        engine.submit(Embed(("a",))).result(120)
    with pytest.raises(ZhiyinError, match=r"wants a key \(401\)"):
        RemoteEngine(Remote(server), engine._model, "").submit(Generate(ASK)).result(120)
    with pytest.raises(ZhiyinError, match=r"refuses the key \(401\)"):
        RemoteEngine(Remote(server), engine._model, "wrong").submit(Generate(ASK)).result(120)


def test_a_stop_frees_the_server(engine: RemoteEngine) -> None:
    job = engine.submit(
        Generate(ASK, SamplingSettings(temperature=0)), lambda one: isinstance(one, Text) and job.cancel()
    )
    assert job.result(120).reason == "cancelled"
    assert engine.submit(Generate(ASK, SamplingSettings(max_tokens=2))).result(120).tokens == 2
