"""A model of other servers that are at hand (llama-server, vLLM): what they stream, refuse and say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop_app.engine.protocol import Embed, Generate, SamplingSettings, Text
from desktop_app.remote.addresses import Remote, read_address
from desktop_app.remote.engine import RemoteEngine, list_models
from models.errors import ZhiyinError
from tests.support.other_servers import CONTEXT, KEY, NAME, llama_server, running, vllm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ASK = ({"role": "user", "content": "What is the capital of France?"},)


@pytest.fixture(scope="module", params=[llama_server, vllm])
def server(
    request: pytest.FixtureRequest, starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with running(request.param, starter_gguf, tmp_path_factory.mktemp("server")) as address:
        yield read_address(address)


@pytest.fixture
def engine(server: str, data_home: Path) -> RemoteEngine:
    remote = list_models(server, KEY)
    (model,) = remote.models
    assert model.name == NAME
    assert model.context == CONTEXT  # llama-server: of one slot
    return RemoteEngine(remote, model, KEY)


def test_a_reply_streams_and_counts(engine: RemoteEngine) -> None:
    heard: list[str] = []
    request = Generate(ASK, SamplingSettings(temperature=0, max_tokens=4, seed=1))
    reply = engine.submit(request, lambda one: heard.append(one.text) if isinstance(one, Text) else None).result(120)
    assert reply.text == "".join(heard)
    assert len(heard) > 1
    assert reply.tokens <= 4 < reply.prompt_tokens
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
    with pytest.raises(ZhiyinError, match=r"embeddings|what was asked \(Not Found\)"):
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
