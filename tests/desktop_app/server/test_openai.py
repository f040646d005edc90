"""OpenAI's own client against a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from openai import OpenAI

from desktop_app.chat.reasoning import split_reasoning
from desktop_app.engine.protocol import Embed, Generate, SamplingSettings, Text
from desktop_app.engine.results import Reply
from desktop_app.remote.addresses import RemoteModel, model_named, read_address
from desktop_app.remote.engine import RemoteEngine, list_models
from models.errors import ZhiyinError
from tests.support.serving import EMBEDDER, STARTER, Served

TOOLS: Any = [
    {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
]
ASK: Any = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]


@pytest.fixture(scope="module")
def client(server: Served) -> OpenAI:
    return OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)


def test_models_are_listed_and_shown(client: OpenAI) -> None:
    assert {model.id for model in client.models.list()} == {STARTER, "caller", "thinker"}
    assert client.models.retrieve(STARTER).owned_by == "zhiyin"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")


def test_a_chat_whole_and_streamed_is_the_same(client: OpenAI) -> None:
    whole = client.chat.completions.create(model=STARTER, messages=ASK, temperature=0, max_tokens=12)
    assert whole.choices[0].message.content
    assert whole.choices[0].finish_reason in {"stop", "length"}
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    chunks = list(
        client.chat.completions.create(
            model=STARTER,
            messages=ASK,
            temperature=0,
            max_tokens=12,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stop_text_and_a_seed(client: OpenAI) -> None:
    def asked(**options: Any) -> str:
        ask: Any = [{"role": "user", "content": "Count from one to ten in words."}]
        reply = client.chat.completions.create(model=STARTER, messages=ask, max_tokens=16, **options)
        return reply.choices[0].message.content or ""

    whole = asked(temperature=0)
    stop = whole[4:7]
    assert asked(temperature=0, stop=[stop]) == whole[: whole.index(stop)]
    assert asked(temperature=1.5, seed=7) == asked(temperature=1.5, seed=7) != asked(temperature=1.5, seed=8)


def test_several_choices_differ_and_count_together(client: OpenAI) -> None:
    reply = client.chat.completions.create(model=STARTER, messages=ASK, temperature=2, n=3, max_tokens=8, seed=1)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in reply.choices}) > 1
    streamed = client.chat.completions.create(
        model=STARTER, messages=ASK, temperature=2, n=3, max_tokens=8, seed=1, stream=True
    )
    said = ["", "", ""]
    for chunk in streamed:
        said[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert len(set(said)) > 1
    assert all(said)


def test_log_probabilities_belong_to_the_text(client: OpenAI) -> None:
    reply = client.chat.completions.create(
        model=STARTER, messages=ASK, temperature=0, max_tokens=6, logprobs=True, top_logprobs=3
    )
    entries = reply.choices[0].logprobs.content if reply.choices[0].logprobs else None
    assert entries
    assert b"".join(bytes(entry.bytes or ()) for entry in entries).decode() == reply.choices[0].message.content
    assert all(len(entry.top_logprobs) == 3 and entry.logprob <= 0 for entry in entries)
    chunks = client.chat.completions.create(
        model=STARTER, messages=ASK, temperature=0, max_tokens=6, logprobs=True, stream=True
    )
    streamed = [entry.token for c in chunks if (given := c.choices[0].logprobs) for entry in given.content or ()]
    assert streamed == [entry.token for entry in entries]


def test_a_tool_is_called(client: OpenAI) -> None:
    reply = client.chat.completions.create(model="caller", messages=ASK, tools=TOOLS, temperature=0, max_tokens=20)
    (call,) = reply.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Rome"})
    assert reply.choices[0].finish_reason == "tool_calls"
    chunks = list(
        client.chat.completions.create(
            model="caller", messages=ASK, tools=TOOLS, temperature=0, max_tokens=20, stream=True
        )
    )
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert calls[0].function is not None
    assert calls[0].function.name == "get_weather"
    assert json.loads("".join(call.function.arguments or "" for call in calls if call.function)) == {"city": "Rome"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    following: Any = [*ASK, reply.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "Sunny."}]
    again = client.chat.completions.create(model="caller", messages=following, tools=TOOLS, max_tokens=4)
    assert again.usage is not None
    assert reply.usage is not None
    assert again.usage.prompt_tokens > reply.usage.prompt_tokens


def test_reasoning_is_told_from_the_answer(client: OpenAI) -> None:
    reply = client.chat.completions.create(model="thinker", messages=ASK, temperature=0, max_tokens=20)
    assert reply.choices[0].message.model_extra == {"reasoning_content": "Hm."}
    assert reply.choices[0].message.content == ""
    chunks = client.chat.completions.create(model="thinker", messages=ASK, temperature=0, max_tokens=20, stream=True)
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas) == "Hm."


def test_a_text_is_gone_on_with(client: OpenAI) -> None:
    ask: Any = {"model": STARTER, "prompt": ["The capital of France is", "Two and two make"], "temperature": 0}
    whole = client.completions.create(**ask, max_tokens=5, echo=True, logprobs=2)
    assert "Paris" in whole.choices[0].text
    assert whole.choices[1].text.startswith("Two and two make")
    assert whole.choices[0].logprobs is not None
    assert len(whole.choices[0].logprobs.tokens or ()) == 5
    said = ["", ""]
    for chunk in client.completions.create(**ask, max_tokens=5, stream=True):
        said[chunk.choices[0].index] += chunk.choices[0].text
    assert [choice.text for choice in whole.choices] == [a + b for a, b in zip(ask["prompt"], said, strict=True)]


def test_responses_whole_and_streamed(client: OpenAI) -> None:
    ask: Any = {"model": STARTER, "input": ASK, "instructions": "Be brief.", "temperature": 0, "max_output_tokens": 8}
    whole = client.responses.create(**ask)
    assert whole.output_text
    with client.responses.stream(**ask) as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == whole.output_text
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] in {"response.completed", "response.incomplete"}


def test_responses_call_tools_and_think(client: OpenAI) -> None:
    tools: Any = [{"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}]
    called = client.responses.create(model="caller", input=ASK, tools=tools, temperature=0, max_output_tokens=20)
    (call,) = called.output
    assert call.type == "function_call"
    assert json.loads(call.arguments) == {"city": "Rome"}
    result: Any = [*ASK, call, {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}]
    again = client.responses.create(model="caller", input=result, tools=tools, max_output_tokens=4)
    assert again.usage is not None
    assert called.usage is not None
    assert again.usage.input_tokens > called.usage.input_tokens
    with client.responses.stream(model="thinker", input=ASK, temperature=0, max_output_tokens=20) as stream:
        thought = "".join(event.delta for event in stream if event.type == "response.reasoning_text.delta")
    assert thought == "Hm."


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, None),
        ({"n": 0}, "n"),
        ({"logit_bias": {"Paris": 1}}, "logit_bias"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"max_tokens": -1}, "max_tokens"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_wrong_values_are_refused_by_name(client: OpenAI, changes: Any, param: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**({"model": STARTER, "messages": ASK, "max_tokens": 2} | changes))
    assert param is None or refused.value.param == param
    assert refused.value.type == "invalid_request_error"


def test_unknown_fields_are_refused_as_by_openai(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=STARTER, messages=ASK, extra_body={"magic": 1})
    assert (refused.value.code, refused.value.param) == ("unknown_parameter", "magic")


def test_a_prompt_that_is_too_long_has_openais_code(client: OpenAI) -> None:
    long: Any = [{"role": "user", "content": "word " * 3000}]
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model=STARTER, messages=long, stream=stream)
        assert refused.value.code == "context_length_exceeded"


def test_an_unknown_model_and_paths_for_names(client: OpenAI, server: Served) -> None:
    model = next((server.home / "models").glob("*.gguf"))
    for name in ("gpt-5", "", str(model), "../models/caller", f"models/{model.name}", "caller\0"):
        with pytest.raises(openai.NotFoundError) as refused:
            client.chat.completions.create(model=name, messages=ASK)
        assert refused.value.code == "model_not_found"


SCHEMA: Any = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "large": {"type": "boolean"}},
    "required": ["city", "large"],
    "additionalProperties": False,
}


def test_an_answer_is_held_to_a_schema(client: OpenAI) -> None:
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}
    reply = client.chat.completions.create(model=STARTER, messages=ASK, response_format=wanted, max_tokens=64)
    found = json.loads(reply.choices[0].message.content or "")
    assert set(found) == {"city", "large"}
    assert isinstance(found["large"], bool)
    free: Any = {"type": "json_object"}
    chunks = client.chat.completions.create(
        model=STARTER, messages=ASK, response_format=free, temperature=0, max_tokens=200, stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).startswith("{")
    text: Any = {"format": {"type": "json_schema", "name": "city", "schema": SCHEMA}}
    answered = client.responses.create(model=STARTER, input=ASK, text=text, max_output_tokens=64)
    assert set(json.loads(answered.output_text)) == {"city", "large"}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "locate"}}], ids=str)
def test_a_tool_can_be_forced_on_any_model(client: OpenAI, choice: Any) -> None:
    tools: Any = [{"type": "function", "function": {"name": "locate", "parameters": SCHEMA}}]
    ask: Any = {"model": STARTER, "messages": ASK, "tools": tools, "tool_choice": choice, "max_tokens": 80}
    (call,) = client.chat.completions.create(**ask).choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert (call.function.name, set(json.loads(call.function.arguments))) == ("locate", {"city", "large"})
    chunks = list(client.chat.completions.create(**ask, stream=True))
    assert not any(chunk.choices[0].delta.content for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def strict_format(schema: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}


@pytest.mark.parametrize(
    "changes",
    [
        {"response_format": {"type": "xml"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#"}}}},
        {"response_format": strict_format({"type": "integer", "multipleOf": 7})},
        {"tool_choice": "required"},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}},
        {"tools": [{"type": "function"}]},
    ],
    ids=str,
)
def test_what_an_answer_cannot_be_held_to_is_refused(client: OpenAI, changes: Any) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**({"model": STARTER, "messages": ASK, "max_tokens": 2} | changes))


def test_vectors(client: OpenAI) -> None:
    texts = ["A cat sits on the mat.", "\u732b\u5750\u5728\u57ab\u5b50\u4e0a", "Interest rates rose."]
    made = client.embeddings.create(model=EMBEDDER, input=texts)
    rows = np.array([entry.embedding for entry in made.data])
    assert rows.shape == (3, 384)
    assert rows[0] @ rows[1] > rows[0] @ rows[2]
    assert made.usage.prompt_tokens > 10
    plain = client.embeddings.create(model=EMBEDDER, input=texts[0], encoding_format="float")
    np.testing.assert_allclose(plain.data[0].embedding, rows[0], atol=1e-3)
    with pytest.raises(openai.BadRequestError, match="makes no vectors"):
        client.embeddings.create(model=STARTER, input="Hi")
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=EMBEDDER, input=[])
    with pytest.raises(openai.BadRequestError, match="writes none"):
        client.chat.completions.create(model=EMBEDDER, messages=ASK)


def test_our_own_remote_engine_reads_what_the_server_writes(server: Served, data_home: Path) -> None:
    remote = list_models(read_address(server.address.removeprefix("http://")), "")
    assert {model.name for model in remote.models} == {STARTER, "caller", "thinker"}

    def replied(name: str, **options: Any) -> Reply:
        heard: list[str] = []
        request = Generate(tuple(ASK), SamplingSettings(temperature=0, max_tokens=12), **options)
        job = RemoteEngine(remote, model_named(remote, name), "").submit(
            request, lambda update: heard.append(update.text) if isinstance(update, Text) else None
        )
        reply = job.result(60)
        assert reply.text == "".join(heard)
        return reply

    reply = replied(STARTER)
    assert reply.text
    assert 0 < reply.tokens <= 12 < reply.prompt_tokens
    assert split_reasoning(replied("thinker").text).reasoning == "Hm."
    (call,) = replied("caller", tools=tuple(TOOLS)).tool_calls
    assert call["function"] == {"name": "get_weather", "arguments": '{"city": "Rome"}'}
    vectors = RemoteEngine(remote, RemoteModel(EMBEDDER), "").submit(Embed(("one", "two"))).result(60)
    assert [len(row) for row in vectors.rows()] == [vectors.dimensions] * 2
    with pytest.raises(ZhiyinError, match="has no model 'nobody'"):
        RemoteEngine(remote, RemoteModel("nobody"), "").submit(Generate(tuple(ASK))).result(60)
