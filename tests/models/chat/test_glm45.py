"""Tool calls of GLM-4.5 and later: what the published templates write is read back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.chat.calls.scanner import calls_in
from models.chat.chat_formats import CHAT_FORMATS, name_of, prepared
from models.chat.glm45 import NOTATION
from models.chat.reply import ToolCall
from models.chat.template import render
from tests.support.vocabularies import llama_cpp_vocabularies

ANY: dict[str, Any] = {
    "city": {"type": "string"},
    "days": {"type": "integer"},
    "exact": {"type": "boolean"},
    "at": {"type": "array", "items": {"type": "number"}},
    "unit": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "free": {},
}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": ANY}}}]
ASKED = {"role": "user", "content": "北京天气？"}


def tool_calls(reply: str, tools: list[dict[str, Any]]) -> list[ToolCall]:
    return [call for call in calls_in(NOTATION, reply, tools) if not call.fault]


def template(name: str) -> str:
    path = llama_cpp_vocabularies() / "templates" / f"{name}.jinja"
    if not path.is_file():
        pytest.skip("llama.cpp's sources here have no such template")
    return path.read_text("utf-8")


def calling(*arguments: dict[str, Any], content: str | None = None) -> dict[str, Any]:
    functions = [{"name": "get_weather", "arguments": json.dumps(said)} for said in arguments]
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": [{"type": "function", "function": function} for function in functions],
    }


ARGUMENTS: list[dict[str, Any]] = [
    {"city": "北京", "days": 3, "exact": True, "at": [1.5, 2], "unit": None},
    {"city": "123", "unit": "true", "free": {"a": [None, "x"]}},
    {"city": " two\nlines <b> & 'quotes' "},
    {"city": "", "unit": "null and void", "free": "words", "days": -1},
    {},
]


@pytest.mark.parametrize("name", ["GLM-4.6", "GLM-4.7-Flash"])
@pytest.mark.parametrize("thought", ["", "<think>\nI call <tool_call>get_weather</tool_call>\n</think>\n\nOne moment."])
def test_what_the_template_writes_is_read_back(name: str, thought: str) -> None:
    text = template(name)
    chat_format = CHAT_FORMATS[name_of({}, text)]
    messages = [ASKED, calling(*ARGUMENTS, content=thought), {"role": "tool", "content": "晴"}]
    prompt = render(text, prepared(messages, chat_format, text), tools=TOOLS)
    reply = prompt.rpartition("<|assistant|>")[0].rpartition("<|assistant|>")[2].partition("<|observation|>")[0]
    assert "None" not in reply
    calls = tool_calls(reply, TOOLS)
    assert [(call.name, call.arguments) for call in calls] == [("get_weather", said) for said in ARGUMENTS]


CALL = "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>北京</arg_value>\n</tool_call>"


@pytest.mark.parametrize(
    ("reply", "count"),
    [
        (CALL, 1),
        (f"Let me look. {CALL}\n{CALL}", 2),
        (f"<think>Hm.</think>\n{CALL}", 1),
        (f"A call begins with <tool_call> and so on.\n{CALL}", 1),
        ("<tool_call>get_weather<arg_key>days</arg_key><arg_value>3</arg_value></tool_call>", 1),
        ("<tool_call>get_weather</tool_call>", 1),
        (f"<think>{CALL}", 0),
        (f"<think>{CALL}</think>No.", 0),
        (CALL.replace("get_weather", "other"), 0),
        (CALL.removesuffix("</tool_call>"), 0),
        (CALL.replace("</arg_value>", ""), 0),
        (CALL.replace("<arg_value>", "so: <arg_value>"), 0),
        ("It is sunny.", 0),
        ("", 0),
    ],
)
def test_calls_are_told_from_text(reply: str, count: int) -> None:
    assert len(tool_calls(reply, TOOLS)) == count


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1" * 5000, "[" * 100_000, "{broken", "three days"])
def test_a_value_that_is_no_json_is_text(value: str) -> None:
    (call,) = tool_calls(CALL.replace("city", "days").replace("北京", value), TOOLS)
    assert call.arguments == {"days": value}
    json.loads(call.openai(0)["function"]["arguments"])


@pytest.mark.parametrize(
    "parameters", [None, {}, {"properties": None}, {"properties": {"city": 1}}, {"properties": []}]
)
def test_any_schema_will_do(parameters: Any) -> None:
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}]
    (call,) = tool_calls(CALL, tools)
    assert call.arguments == {"city": "北京"}


@given(
    st.lists(st.sampled_from([*NOTATION.marks, "get_weather", "city", "\n", "3", "<think>", "</think>"]), max_size=20)
)
def test_any_order_of_tags_ends_well(pieces: list[str]) -> None:
    for call in tool_calls("".join(pieces), TOOLS):
        assert call.name == "get_weather"


def test_endless_openings_are_read_in_one_pass() -> None:
    """Each tried to the end as a call of its own would take minutes."""
    for piece in ("<tool_call>a<arg_key>", "<tool_call>", "<tool_call>a<arg_key>b</arg_key> <arg_value>", " <", "\n"):
        assert tool_calls(f"<tool_call>a{piece * 100_000}", TOOLS) == []
        assert tool_calls(f"{piece * 100_000}</arg_key><arg_value></arg_value>", TOOLS) == []


def test_other_templates_keep_their_own_ways() -> None:
    assert name_of({}, "{{ '<tool_call>' + tool_call.arguments }}") == "hermes"
    assert name_of({"zhiyin.chat.dialect": "glm4"}, "<tool_call> <arg_key>") == "glm4"
