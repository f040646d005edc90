"""Anthropic's own client against a real server."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from tests.support.serving import STARTER, Served

GREEDY = {"temperature": 0}
ASK: Any = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
TOOLS: Any = [{"name": "get_weather", "description": "", "input_schema": {"type": "object", "properties": {}}}]


@pytest.fixture(scope="module")
def client(server: Served) -> Anthropic:
    return Anthropic(base_url=server.address, api_key="none", max_retries=0)


def test_a_message_whole_and_streamed_is_the_same(client: Anthropic) -> None:
    ask: Any = {"model": STARTER, "messages": ASK, "system": "Be brief.", "extra_body": GREEDY, "max_tokens": 10}
    whole = client.messages.create(**ask)
    assert whole.content[0].type == "text"
    assert whole.stop_reason in {"end_turn", "max_tokens"}
    with client.messages.stream(**ask) as stream:
        assert "".join(stream.text_stream) == whole.content[0].text
        final = stream.get_final_message()
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens
    read = (whole.usage.cache_read_input_tokens or 0) + whole.usage.input_tokens
    assert client.messages.count_tokens(model=STARTER, messages=ASK, system="Be brief.").input_tokens == read


def test_a_stop_sequence_is_named(client: Anthropic) -> None:
    whole = client.messages.create(model=STARTER, messages=ASK, extra_body=GREEDY, max_tokens=10)
    assert whole.content[0].type == "text"
    stop = whole.content[0].text[2:5]
    stopped = client.messages.create(
        model=STARTER, messages=ASK, extra_body=GREEDY, max_tokens=10, stop_sequences=[stop]
    )
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", stop)


def test_a_tool_is_used(client: Anthropic) -> None:
    used = client.messages.create(model="caller", messages=ASK, tools=TOOLS, extra_body=GREEDY, max_tokens=20)
    (block,) = used.content
    assert block.type == "tool_use"
    assert (block.name, block.input, used.stop_reason) == ("get_weather", {"city": "Rome"}, "tool_use")
    with client.messages.stream(model="caller", messages=ASK, tools=TOOLS, extra_body=GREEDY, max_tokens=20) as stream:
        (streamed,) = stream.get_final_message().content
    assert streamed.type == "tool_use"
    assert streamed.input == {"city": "Rome"}
    result: Any = {"type": "tool_result", "tool_use_id": block.id, "content": [{"type": "text", "text": "Sunny."}]}
    following: Any = [*ASK, {"role": "assistant", "content": used.content}, {"role": "user", "content": [result]}]
    again = client.messages.create(model="caller", messages=following, tools=TOOLS, max_tokens=4)
    assert again.usage.input_tokens + (again.usage.cache_read_input_tokens or 0) > used.usage.input_tokens


def test_a_thought_is_a_block_of_its_own(client: Anthropic) -> None:
    whole = client.messages.create(model="thinker", messages=ASK, extra_body=GREEDY, max_tokens=20)
    assert [block.type for block in whole.content] == ["thinking", "text"]
    with client.messages.stream(model="thinker", messages=ASK, extra_body=GREEDY, max_tokens=20) as stream:
        first = stream.get_final_message().content[0]
    assert first.type == "thinking"
    assert first.thinking == "Hm."


def test_errors_have_anthropics_shape(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as refused:
        client.messages.create(model="claude", messages=ASK, max_tokens=4)
    assert refused.value.body == {
        "type": "error",
        "error": {"type": "not_found_error", "message": str(refused.value.body["error"]["message"])},  # type: ignore[index]
        "request_id": None,
    }
    with pytest.raises(anthropic.BadRequestError, match="magic: Extra inputs are not permitted"):
        client.messages.create(model=STARTER, messages=ASK, max_tokens=4, extra_body={"magic": 1})
    for messages in ([], [{"role": "wizard", "content": "Hi"}]):
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(model=STARTER, messages=messages, max_tokens=4)  # type: ignore[arg-type]
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model=STARTER, messages=ASK, max_tokens=0)


def test_models_are_listed_in_its_shape(client: Anthropic) -> None:
    assert STARTER in {model.id for model in client.models.list()}
    assert client.models.retrieve(STARTER).type == "model"


def test_a_tool_can_be_forced(client: Anthropic) -> None:
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
    tools: Any = [{"name": "answer", "input_schema": schema}]
    used = client.messages.create(
        model=STARTER, messages=ASK, tools=tools, tool_choice={"type": "tool", "name": "answer"}, max_tokens=60
    )
    (block,) = used.content
    assert block.type == "tool_use"
    assert isinstance(block.input["yes"], bool)
