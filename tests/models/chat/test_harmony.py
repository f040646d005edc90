"""gpt-oss's chats: channels become a thought and an answer, calls are found, earlier turns are written as the template wants."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.chat.calls.scanner import calls_in
from models.chat.chat_formats import CHAT_FORMATS, name_of, prepared
from models.chat.harmony import CALL_MARK, MARKS, NOTATION, HarmonyReply
from models.chat.template import render
from models.chat.template_facts import template_facts
from tests.support.vocabularies import llama_cpp_vocabularies

TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": {}}}]
CALL = {"type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}
FINAL = "<|start|>assistant<|channel|>final<|message|>"


def said(text: str) -> str:
    """Write control tokens as the engine hands them on."""
    for token, sign in MARKS.items():
        text = text.replace(token, sign)
    return text


def shown(*pieces: str) -> str:
    reply = HarmonyReply()
    return "".join([*map(reply.feed, pieces), reply.finish()])


REPLIES = {
    "<|channel|>analysis<|message|>Hm.<|end|>" + FINAL + "Four.": "<think>\nHm.\n</think>\n\nFour.",
    "<|channel|>final<|message|>Four.": "Four.",
    "<|channel|>analysis<|message|>A<|end|><|start|>assistant<|channel|>analysis<|message|>B<|end|>" + FINAL + "C": (
        "<think>\nA\n\nB\n</think>\n\nC"
    ),
    "<|channel|>commentary<|message|>Let me see.<|end|>" + FINAL + "Four.": "Let me see.\n\nFour.",
    "<|channel|>commentary<|message|>One.<|end|><|start|>assistant<|channel|>analysis<|message|>B<|end|>"
    + FINAL
    + "C": ("One.\n\nC"),
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather "
    '<|constrain|>json<|message|>{"city": "Rome"}': '<think>\nHm.\n</think>\n\nto=functions.get_weather\n{"city": "Rome"}',
    ' to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Rome"}': (
        'to=functions.get_weather\n{"city": "Rome"}'
    ),
    "<|channel|>analysis<|message|>cut o": "<think>\ncut o",
    "An answer whose head the prompt wrote.": "An answer whose head the prompt wrote.",
    " spaced": " spaced",
    "": "",
}


@pytest.mark.parametrize("reply", REPLIES)
def test_channels(reply: str) -> None:
    assert shown(said(reply)) == REPLIES[reply]
    assert shown(*said(reply)) == REPLIES[reply]


@given(st.lists(st.sampled_from([*MARKS.values(), "a", " ", "to=x", "analysis", "{}"])))
def test_any_order_of_marks_is_text(pieces: list[str]) -> None:
    assert not set(shown(*pieces)) & {sign for sign in MARKS.values() if sign != " "}


def test_calls_of_offered_tools_are_found() -> None:
    reply = f'<think>\nto=other\n{{}}\n</think>\n\n{CALL_MARK}to=functions.get_weather\n{{"city": "Rome"}}'
    (call,) = calls_in(NOTATION, reply, TOOLS)
    assert (call.name, call.arguments) == ("get_weather", {"city": "Rome"})
    for text in (
        "to=functions.other\n{}",
        "to=get_weather\n{broken",
        'to=get_weather\n{"n": NaN}',
        "to=get_weather",
    ):
        (call,) = calls_in(NOTATION, CALL_MARK + text, TOOLS)
        assert call.fault


def template() -> str:
    path = llama_cpp_vocabularies() / "templates" / "openai-gpt-oss-120b.jinja"
    if not path.is_file():
        pytest.skip("llama.cpp's sources here have no such template")
    return path.read_text("utf-8")


def rendered(messages: list[dict[str, Any]], **more: Any) -> str:
    return render(template(), prepared(messages, CHAT_FORMATS["harmony"], template()), **more)


def test_earlier_thoughts_are_left_out_and_a_file_of_others_is_recognised() -> None:
    assert name_of({}, template()) == "harmony"
    assert name_of({"zhiyin.chat.dialect": "glm4"}, template()) == "glm4"
    assert template_facts(template()).reasoning
    asked = {"role": "user", "content": "2 + 2?"}
    prompt = rendered([asked, {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nFour."}, asked])
    ending = f"<|start|>user<|message|>2 + 2?<|end|>{FINAL}Four.<|end|><|start|>user<|message|>2 + 2?<|end|><|start|>assistant"
    assert prompt.endswith(ending)
    assert "Reasoning: medium" in prompt


def test_calls_keep_their_thought_until_the_answer() -> None:
    asked = [{"role": "user", "content": "Weather?"}]
    call = {"role": "assistant", "content": "<think>\nHm.\n</think>\n\n", "tool_calls": [CALL]}
    prompt = rendered([*asked, call, {"role": "tool", "content": "sunny"}], tools=TOOLS)
    assert prompt.endswith(
        "<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|>"
        "<|start|>assistant to=functions.get_weather<|channel|>commentary json<|message|>"
        + json.dumps({"city": "Rome"})
        + "<|call|>"
        '<|start|>functions.get_weather to=assistant<|channel|>commentary<|message|>"sunny"<|end|><|start|>assistant'
    )
    assert "Hm." not in rendered([*asked, {**call, "tool_calls": None}, *asked])
