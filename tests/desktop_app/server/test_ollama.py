"""Ollama's own client against a real server."""

from __future__ import annotations

import json
from typing import Any

import ollama
import pytest

from tests.support.serving import EMBEDDER, STARTER, Served

ASK: Any = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
TOOLS: Any = [
    {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
]
BRIEF = {"temperature": 0, "num_predict": 8}


@pytest.fixture(scope="module")
def client(server: Served) -> ollama.Client:
    return ollama.Client(server.address)


def test_models_are_listed_shown_and_running(client: ollama.Client) -> None:
    assert {model.model for model in client.list().models} == {STARTER, "caller", "thinker"}
    shown = client.show(STARTER)
    assert shown.modelinfo is not None
    assert shown.modelinfo["general.architecture"] == "llama"
    assert "completion" in (shown.capabilities or ())
    client.generate(STARTER, "Hi", options={"num_predict": 1})
    assert STARTER in {model.model for model in client.ps().models}


def test_a_chat_whole_and_streamed_is_the_same(client: ollama.Client) -> None:
    whole = client.chat(f"{STARTER}:latest", ASK, options=BRIEF)
    assert whole.message.content
    assert whole.eval_count
    parts = list(client.chat(STARTER, ASK, options=BRIEF, stream=True))
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert [part.done for part in parts[-2:]] == [False, True]
    assert parts[-1].done_reason == whole.done_reason


def test_a_prompt_and_a_raw_one(client: ollama.Client) -> None:
    raw = client.generate(STARTER, "The capital of France is", raw=True, options=BRIEF)
    assert "Paris" in raw.response
    whole = client.generate(STARTER, "Say hi.", system="Be brief.", options=BRIEF)
    streamed = client.generate(STARTER, "Say hi.", system="Be brief.", options=BRIEF, stream=True)
    assert "".join(part.response for part in streamed) == whole.response


def test_a_tool_is_called(client: ollama.Client) -> None:
    reply = client.chat("caller", ASK, tools=TOOLS, options={"temperature": 0, "num_predict": 20})
    (call,) = reply.message.tool_calls or ()
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "Rome"})
    following = [*ASK, reply.message, {"role": "tool", "tool_name": "get_weather", "content": "Sunny."}]
    again = client.chat("caller", following, tools=TOOLS, options={"num_predict": 2})
    assert (again.prompt_eval_count or 0) > (reply.prompt_eval_count or 0)


def test_a_thought_is_told_apart(client: ollama.Client) -> None:
    reply = client.chat("thinker", ASK, options={"temperature": 0, "num_predict": 20}, think=True)
    assert (reply.message.thinking, reply.message.content) == ("Hm.", "")


def test_a_model_is_loaded_and_unloaded_by_an_empty_request(client: ollama.Client) -> None:
    assert client.generate("thinker", keep_alive="10m").done_reason == "load"
    assert "thinker" in {model.model for model in client.ps().models}
    assert client.generate("thinker", keep_alive=0).done_reason == "unload"
    assert "thinker" not in {model.model for model in client.ps().models}


def test_errors_have_ollamas_shape(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="model 'nobody' not found") as refused:
        client.chat("nobody", ASK)
    assert refused.value.status_code == 404
    with pytest.raises(ollama.ResponseError) as refused:
        client.generate(STARTER, "Hi", keep_alive="soon")
    assert (refused.value.status_code, refused.value.error) == (400, 'time: invalid duration "soon"')


def test_unknown_fields_are_passed_over(client: ollama.Client, server: Served) -> None:
    import httpx2

    body = {"model": STARTER, "prompt": "Hi", "magic": 1, "stream": False, "options": {"num_predict": 1, "mirostat": 2}}
    assert httpx2.post(f"{server.address}/api/generate", json=body, timeout=60).status_code == 200


def test_vectors_and_a_format(client: ollama.Client) -> None:
    made = client.embed(EMBEDDER, ["one", "two"])
    assert [len(row) for row in made.embeddings] == [384, 384]
    assert len(client.embeddings(EMBEDDER, "one").embedding) == 384
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
    reply = client.chat(STARTER, ASK, format=schema, options={"num_predict": 40})
    assert isinstance(json.loads(reply.message.content or "")["yes"], bool)
