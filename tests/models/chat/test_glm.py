"""Chats of ChatGLM-6B, ChatGLM2, ChatGLM3 and GLM-4, as their publishers write and read them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.chat import chatglm3, glm4
from models.chat.calls.scanner import calls_in
from models.chat.chat_formats import CHAT_FORMATS, prepared
from models.chat.glm import CHATGLM1, CHATGLM2, CHATGLM3, GLM4, chatglm_chat
from models.chat.reply import ReplyText
from models.chat.template import render
from models.config import Config

Q1, A1, Q2 = (
    {"role": "user", "content": "你好"},
    {"role": "assistant", "content": "你好！"},
    {"role": "user", "content": "再见"},
)
WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather for `city_name`",
    "parameters": {"type": "object", "properties": {"city_name": {"type": "string"}}, "required": ["city_name"]},
}
TOOLS = [{"type": "function", "function": WEATHER}]
CALL = {"id": "call_0", "type": "function", "function": {"name": "get_weather", "arguments": '{"city_name": "北京"}'}}
TOOL_CHAT = [
    {"role": "user", "content": "北京天气？"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_0", "content": '{"temp": 20}'},
]
OPENING = "Answer the following questions as best as you can. You have access to the following tools:\n"


def rendered(
    name: str, template: str, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None
) -> str:
    return render(template, prepared(messages, CHAT_FORMATS[name], template), tools=tools)


def test_chatglm1_asks_a_first_question_alone_and_numbers_rounds_from_0() -> None:
    assert rendered("chatglm1", CHATGLM1.template, [Q1]) == "你好"
    expected = "[Round 0]\n问：你好\n答：你好！\n[Round 1]\n问：再见\n答："
    assert rendered("chatglm1", CHATGLM1.template, [Q1, A1, Q2]) == expected


def test_chatglm2_numbers_rounds_from_1() -> None:
    assert rendered("chatglm2", CHATGLM2.template, [Q1]) == "[Round 1]\n\n问：你好\n\n答："
    expected = "[Round 1]\n\n问：你好\n\n答：你好！\n\n[Round 2]\n\n问：再见\n\n答："
    assert rendered("chatglm2", CHATGLM2.template, [Q1, A1, Q2]) == expected


def test_chatglm2_puts_a_system_prompt_before_the_first_question() -> None:
    chat = [{"role": "system", "content": "Be brief."}, Q1]
    assert rendered("chatglm2", CHATGLM2.template, chat) == "[Round 1]\n\n问：Be brief.\n\n你好\n\n答："


def test_chatglm3_writes_a_role_and_a_line_before_each_content() -> None:
    assert rendered("chatglm3", CHATGLM3.template, [Q1]) == "[gMASK]<sop><|user|>\n 你好<|assistant|>"
    chat = [{"role": "system", "content": "Be brief."}, Q1, A1, {"role": "user", "content": ""}]
    expected = "[gMASK]<sop><|system|>\n Be brief.<|user|>\n 你好<|assistant|>\n 你好！<|user|>\n<|assistant|>"
    assert rendered("chatglm3", CHATGLM3.template, chat) == expected


def test_chatglm3_lists_tools_as_json_and_writes_calls_as_python() -> None:
    listed = json.dumps([WEATHER], indent=4, ensure_ascii=False)
    expected = (
        f"[gMASK]<sop><|system|>\n {OPENING}{listed}<|user|>\n 北京天气？"
        "<|assistant|>get_weather\n ```python\ntool_call(city_name='北京')\n```"
        '<|observation|>\n {"temp": 20}<|assistant|>'
    )
    assert rendered("chatglm3", CHATGLM3.template, TOOL_CHAT, TOOLS) == expected


def test_chatglm3_lists_tools_below_a_system_prompt_of_ones_own() -> None:
    listed = json.dumps([WEATHER], indent=4, ensure_ascii=False)
    chat = [{"role": "system", "content": "Use these tools:"}, Q1]
    expected = f"[gMASK]<sop><|system|>\n Use these tools:\n{listed}<|user|>\n 你好<|assistant|>"
    assert rendered("chatglm3", CHATGLM3.template, chat, TOOLS) == expected


def test_chatglm3_code_interpreter_turns() -> None:
    code = {"name": "interpreter", "arguments": json.dumps({"code": "print(1 + 1)"})}
    chat = [Q1, {"role": "assistant", "tool_calls": [{"type": "function", "function": code}]}]
    expected = "<|assistant|>interpreter\n ```python\nprint(1 + 1)\n```<|assistant|>"
    assert rendered("chatglm3", CHATGLM3.template, chat).endswith(expected)


def test_glm4_lists_tools_and_writes_calls_as_json() -> None:
    assert rendered("glm4", GLM4.template, [Q1]) == "[gMASK]<sop><|user|>\n你好<|assistant|>"
    found = rendered("glm4", GLM4.template, TOOL_CHAT, TOOLS)
    listed = json.dumps(WEATHER, indent=4, ensure_ascii=False)
    assert found.startswith("[gMASK]<sop><|system|>\n你是一个名为 ChatGLM 的人工智能助手。")
    assert (
        f"\n\n# 可用工具\n\n## get_weather\n\n{listed}\n在调用上述函数时，请使用 Json 格式表示调用的参数。<|user|>\n"
        in found
    )
    ending = '<|assistant|>get_weather\n{"city_name": "北京"}<|observation|>\n{"temp": 20}<|assistant|>'
    assert found.endswith(ending)


def test_a_template_that_knows_tool_calls_gets_them_as_they_are() -> None:
    assert prepared(TOOL_CHAT, CHAT_FORMATS["glm4"], "{{ messages[0].tool_calls }}") == TOOL_CHAT


CALLS = [
    ("get_weather\n ```python\ntool_call(city_name='北京')\n```", {"city_name": "北京"}),
    ('get_weather\n```python\ntool_call(city_name="a\'b", days=3, exact=True, at=[1.5, None])\n```', None),
    ("\n get_weather \n```python\ntool_call()\n```", {}),
    ("get_weather\n```\ntool_call(x=-1)\n```", {"x": -1}),
]


@pytest.mark.parametrize(("reply", "arguments"), CALLS)
def test_chatglm3_calls_are_read(reply: str, arguments: dict[str, Any] | None) -> None:
    (call,) = calls_in(chatglm3.NOTATION, reply, TOOLS)
    assert call.name == "get_weather"
    wanted = {"city_name": "a'b", "days": 3, "exact": True, "at": [1.5, None]} if arguments is None else arguments
    assert call.arguments == wanted


@pytest.mark.parametrize(
    "code",
    [
        "__import__('os').system('true')",
        "tool_call(x=__import__('os'))",
        "tool_call(x=(lambda: 1)())",
        "tool_call(1)",
        "tool_call(**{'x': 1})",
        "other(x=1)",
        "tool_call(x=1); tool_call(x=2)",
        "tool_call(x=1e999)",
        "tool_call(x={1, 2})",
        "tool_call(x=b'a')",
        "tool_call(x=1",
        "tool_call(x=" + "(" * 5000 + ")" * 5000 + ")",
        "tool_call(x=" + "-" * 100000 + "1)",
        "\x00",
        "",
    ],
)
def test_code_that_is_no_call_is_a_fault(code: str) -> None:
    calls = calls_in(chatglm3.NOTATION, f"get_weather\n```python\n{code}\n```", TOOLS)
    assert all(call.fault and not call.arguments for call in calls)
    assert calls


def test_text_with_a_code_block_further_down_is_text() -> None:
    assert calls_in(chatglm3.NOTATION, "Here it is:\nlook\n```python\ntool_call(x=1)\n```", TOOLS) == []
    assert calls_in(chatglm3.NOTATION, "你好！有什么可以帮你？", TOOLS) == []


def test_endless_blanks_are_searched_in_one_pass() -> None:
    """Each blank tried as a beginning of its own took a minute at 256 KB."""
    for blanks in (" \n\t" * 80_000, "x" + " " * 250_000, "x\n" + " \n" * 120_000):
        assert calls_in(chatglm3.NOTATION, blanks, TOOLS) == []


def test_interpreter_blocks_are_calls_with_code() -> None:
    python = [{"type": "function", "function": {"name": "python"}}]
    block = "interpreter\n ```python\nfor i in range(3):\n    print(i)\n```"
    (call,) = calls_in(chatglm3.NOTATION, block, python)
    assert call.openai(0)["function"] == {
        "name": "python",
        "arguments": json.dumps({"code": "for i in range(3):\n    print(i)"}),
    }


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(lambda name: name.isidentifier() and not _is_keyword(name))


def _is_keyword(name: str) -> bool:
    import keyword

    return keyword.iskeyword(name)


TOOL = [{"type": "function", "function": {"name": "tool"}}]


@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_what_is_written_is_read_back(arguments: dict[str, Any]) -> None:
    block = chatglm3.written("tool", arguments)
    if "```" not in block.removeprefix("```python").removesuffix("```"):
        assert [call.arguments for call in calls_in(chatglm3.NOTATION, f"tool\n {block}", TOOL)] == [arguments]
    written = f"tool\n{glm4.written('tool', arguments)}"
    assert [call.arguments for call in calls_in(glm4.NOTATION, written, TOOL)] == [arguments]


@pytest.mark.parametrize("reply", ["get_weather", "get_weather\nnot json", "get_weather\n[1]", "other\n{}", "{}", ""])
def test_glm4_text_is_text(reply: str) -> None:
    assert calls_in(glm4.NOTATION, reply, TOOLS) == []


def publishers_response(text: str) -> str:
    """Return what `process_response` of ChatGLM-6B makes of a reply."""
    text = text.strip().replace("[[训练时间]]", "2023年")
    for half, full in (",，", "!！", ":：", ";；", "?？"):
        text = re.sub(rf"([\u4e00-\u9fff]){re.escape(half)}", rf"\1{full}", text)
        text = re.sub(rf"{re.escape(half)}([\u4e00-\u9fff])", rf"{full}\1", text)
    return text


PIECES = st.sampled_from([*" \n,!:;?a你好。年", "[[训练时间]]", "[[训练", "时间]]", "[", "]"])


@given(st.lists(PIECES, max_size=12))
def test_streamed_replies_are_the_publishers(pieces: list[str]) -> None:
    for full_width in (True, False):
        shown = ReplyText(full_width=full_width)
        found = "".join(map(shown.feed, pieces)) + shown.finish()
        whole = "".join(pieces)
        assert found == (publishers_response(whole) if full_width else whole.strip().replace("[[训练时间]]", "2023年"))


@pytest.mark.parametrize(
    ("config", "format_"),
    [
        ({"_name_or_path": "THUDM/chatglm2-6b", "padded_vocab_size": 65024}, CHATGLM2),
        ({"_name_or_path": "THUDM/codegeex2-6b", "padded_vocab_size": 65024}, CHATGLM2),
        ({"_name_or_path": "THUDM/chatglm3-6b-128k", "padded_vocab_size": 65024}, CHATGLM3),
        ({"_name_or_path": "THUDM/chatglm3-6b-base", "padded_vocab_size": 65024}, None),
        ({"_name_or_path": "THUDM/glm-4-9b-chat-1m", "padded_vocab_size": 151552}, GLM4),
        ({"_name_or_path": "THUDM/glm-4-9b", "padded_vocab_size": 151552}, None),
    ],
)
def test_the_format_follows_the_checkpoint(config: dict[str, Any], format_: Any) -> None:
    assert chatglm_chat(Config(config)) == format_
