"""Malformed calls of every notation: each is a call with a fault or what was meant, and nothing of it reaches the text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.chat.calls.scanner import CallScanner
from models.chat.chat_formats import CHAT_FORMATS, ReplyReader
from models.chat.reply import ToolCall

TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {key: {"type": "string"}}}},
    }
    for name, key in (("get_weather", "city"), ("python", "code"))
]
ROME = ToolCall("get_weather", {"city": "Rome"})
OSLO = ToolCall("get_weather", {"city": "Oslo"})
LISTS_TOOLS = "{{ tools }}"
GOOD = '{"name": "get_weather", "arguments": {"city": "Rome"}}'
JSON: dict[str, tuple[str, Any]] = {
    "a comma at the end": (GOOD.replace('"Rome"', '"Rome",'), "no valid JSON"),
    "single quotes": (GOOD.replace('"', "'"), "no valid JSON"),
    "names without quotes": (GOOD.replace('"name"', "name").replace('"arguments"', "arguments"), "no valid JSON"),
    "a comment": (GOOD.replace(", ", ", /* the city */ "), "no valid JSON"),
    "no number": (GOOD.replace('"Rome"', "NaN"), "NaN is no JSON"),
    "a number without end": (GOOD.replace('"Rome"', "1e999"), "1e999 is no JSON"),
    "thousands of digits": (GOOD.replace('"Rome"', "1" * 5000), "no valid JSON"),
    "a bracket left out": (GOOD[:-1], "not whole"),
    "brackets too many": (f"{GOOD}}}]", [ROME]),
    "a colon left out": (GOOD.replace('"name":', '"name"'), "Expecting ':' delimiter"),
    "a quotation mark left out": (GOOD.replace('Rome"', "Rome"), "not whole"),
    "a name that is a number": (GOOD.replace('"get_weather"', "5"), "no name of a tool"),
    "a name that is empty": (GOOD.replace("get_weather", ""), "no name of a tool"),
    "arguments that are none": (GOOD.replace('{"city": "Rome"}', "null"), [ToolCall("get_weather", {})]),
    "arguments in a list": (GOOD.replace('{"city": "Rome"}', '["Rome"]'), "must be a JSON object"),
    "arguments that are a text": (GOOD.replace('{"city": "Rome"}', '"Rome"'), "must be a JSON object"),
    "arguments in a text": (GOOD.replace('{"city": "Rome"}', json.dumps('{"city": "Rome"}')), [ROME]),
    "arguments left out": ('{"name": "get_weather"}', [ToolCall("get_weather", {})]),
    "an unknown tool": (GOOD.replace("get_weather", "nothing"), "There is no tool named 'nothing'"),
    "another case": (GOOD.replace("get_weather", "Get_Weather"), "There is no tool named 'Get_Weather'"),
    "the other order": ('{"arguments": {"city": "Rome"}, "name": "get_weather"}', [ROME]),
    "OpenAI's form": (f'{{"type": "function", "function": {GOOD}}}', [ROME]),
    "escapes": (GOOD.replace("get_w", "get_\\u0077").replace("Rome", "\\u0052ome"), [ROME]),
    "half a character": (GOOD.replace("Rome", "\\ud83c"), [ToolCall("get_weather", {"city": "\ud83c"})]),
    "an escape that is none": (GOOD.replace("Rome", "\\x41"), "Invalid \\escape"),
    "a line in a text": (GOOD.replace("Rome", "Ro\nme"), "Invalid control character"),
    "a call in a call": (
        GOOD.replace('"Rome"', GOOD),
        [ToolCall("get_weather", {"city": {"name": "get_weather", "arguments": {"city": "Rome"}}})],
    ),
    "a list of lists": (f"[[{GOOD}]]", [ROME]),
    "two in a list": (f"[{GOOD}, {GOOD.replace('Rome', 'Oslo')}]", [ROME, OSLO]),
    "a long text": (GOOD.replace("Rome", "R" * 20_000), [ToolCall("get_weather", {"city": "R" * 20_000})]),
    "brackets without end": (GOOD.replace('"Rome"', "[" * 3000), "no valid JSON"),
    "deep": (GOOD.replace('"Rome"', "[" * 3000 + "]" * 3000), "nested too deep"),
    "in a block of code": (f"```json\n{GOOD}\n```", [ROME]),
}
"""What -> the JSON of a call, and the calls that it is, or a part of the fault."""
AROUND = {
    "hermes": ("<tool_call>\n", "\n</tool_call>"),
    "granite": ("<|tool_call|>", ""),
    "phi4_mini": ("<|tool_call|>", "<|/tool_call|>"),
    "hunyuan": ("<tool_calls>", "</tool_calls>"),
    "nemotron": ("<TOOLCALL>", "</TOOLCALL>"),
    "qwen_xml": ("<tool_call>\n", "\n</tool_call>"),
    "glm45": ("<tool_call>\n", "\n</tool_call>"),
    "llama3": ("", ""),
    "json": ("", ""),
}
NOT_WHOLE, FOUR_TAGS, PLAIN = "not whole", "needs its four tags", "NAME(key=value)"
XML = "<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n</function>"
QWEN, GLM = (
    f"<tool_call>\n{XML}\n</tool_call>",
    ("<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n</tool_call>"),
)
DEEP = (
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>"
    '{"city": "Rome"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>'
)
CHATGLM3 = "get_weather\n ```python\ntool_call(city='Rome')\n```"
MISTRAL, GLM4 = '[TOOL_CALLS]get_weather[ARGS]{"city": "Rome"}', 'get_weather\n{"city": "Rome"}'
HARMONY = '\ufdd1commentary to=functions.get_weather json\ufdd2{"city": "Rome"}'
MINICPM = "<|tool_call_start|>\n```python\nget_weather(city='Rome')\n```\n<|tool_call_end|>"
MINICPM5 = '<function name="get_weather"><param name="city">Rome</param></function>'
OTHERS: list[tuple[str, str, Any]] = [
    ("qwen_xml", QWEN.replace("=", " = "), [ROME]),
    ("qwen_xml", QWEN.replace("\n</function>", ""), "</function> is missing"),
    ("qwen_xml", QWEN.replace("\n</parameter>", ""), "</parameter> is missing"),
    ("qwen_xml", QWEN.replace("=get_weather", ""), "needs <function=NAME>"),
    ("qwen_xml", QWEN.replace("=get_weather", ' name="get_weather"'), "needs <function=NAME>"),
    ("qwen_xml", QWEN.replace("get_weather", "nothing"), "no tool named 'nothing'"),
    ("qwen_xml", QWEN.replace("<parameter=city>\nRome\n</parameter>", "city: Rome"), "</function> is missing"),
    ("qwen_xml", "<tool_call>\n</tool_call>", "needs <function=NAME>"),
    ("qwen_xml", "<tool_call>", "needs <function=NAME>"),
    ("qwen_xml", f"<tool_call>{QWEN}</tool_call>", [ROME]),
    ("qwen_xml", QWEN + QWEN.replace("Rome", "Oslo"), [ROME, OSLO]),
    ("qwen_xml", QWEN.replace("<tool_call>", "< tool_call >").replace("</tool_call>", "</ tool_call>"), [ROME]),
    ("qwen_xml", QWEN.replace("\n</function>", "") + QWEN, ["</function> is missing", ROME]),
    ("glm45", GLM.replace("</arg_value>", ""), FOUR_TAGS),
    ("glm45", GLM.replace("<arg_key>city</arg_key>\n", ""), FOUR_TAGS),
    ("glm45", GLM.replace("get_weather", "get weather"), "begin with the name of a tool"),
    ("glm45", "<tool_call></tool_call>", "begin with the name of a tool"),
    ("glm45", '<tool_call>get_weather\n{"city": "Rome"}\n</tool_call>', FOUR_TAGS),
    ("glm45", GLM.replace("get_weather", "nothing"), "no tool named 'nothing'"),
    ("glm45", f"<tool_call>{GLM}</tool_call>", [ROME]),
    ("glm45", GLM.replace("</tool_call>", "") + GLM.replace("Rome", "Oslo"), [ROME, OSLO]),
    ("deepseek", DEEP.replace("<｜tool▁sep｜>", ""), "no valid JSON"),
    ("deepseek", DEEP.replace("get_weather", ""), "no name of a tool"),
    ("deepseek", DEEP.replace('"Rome"}', '"Rome"'), NOT_WHOLE),
    ("deepseek", "<｜tool▁calls▁begin｜><｜tool▁calls▁end｜>", "no valid JSON"),
    ("deepseek", DEEP.replace("get_weather", "nothing"), "no tool named 'nothing'"),
    ("deepseek", "<｜tool▁call▁begin｜>" + DEEP.split("begin｜>", 2)[2], [ROME]),
    ("chatglm3", CHATGLM3.replace("city=", ""), "tool_call(key=value)"),
    ("chatglm3", CHATGLM3.replace("')", "'"), "tool_call(key=value)"),
    ("chatglm3", CHATGLM3.replace("\n```", "", 1).replace(" ```python", "```python"), "has no end"),
    ("chatglm3", 'get_weather\n{"city": "Rome"}', "a block of Python is needed"),
    ("chatglm3", "get_weather\ntool_call(city='Rome')", "a block of Python is needed"),
    ("chatglm3", CHATGLM3.replace("get_weather", "nothing"), "no tool named 'nothing'"),
    ("chatglm3", CHATGLM3.replace("'Rome'", "1e999"), "tool_call(key=value)"),
    ("chatglm3", f"{CHATGLM3}\n{CHATGLM3.replace('Rome', 'Oslo')}", [ROME, OSLO]),
    ("glm4", GLM4[:-1], NOT_WHOLE),
    ("glm4", GLM4.replace('"', "'"), "no valid JSON"),
    ("glm4", GLM4.replace("\n", " "), [ROME]),
    ("glm4", GLM4.replace("weather", "news"), "no tool named 'get_news'"),
    ("glm4", f"{GLM4}\n{GLM4.replace('Rome', 'Oslo')}", [ROME, OSLO]),
    ("glm4", f"{GLM4}}}", [ROME]),
    ("mistral", MISTRAL[:-1], NOT_WHOLE),
    ("mistral", MISTRAL.replace("[ARGS]", " [ARGS] "), [ROME]),
    ("mistral", MISTRAL.replace("get_weather", ""), NOT_WHOLE),
    ("mistral", "[TOOL_CALLS][]", "no JSON object"),
    ("mistral", "[TOOL_CALLS]", NOT_WHOLE),
    ("mistral", f"{MISTRAL}}}", [ROME]),
    ("mistral", MISTRAL + MISTRAL.replace("Rome", "Oslo"), [ROME, OSLO]),
    ("harmony", HARMONY.replace("get_weather", ""), "no name of a tool"),
    ("harmony", HARMONY[:-1], NOT_WHOLE),
    ("harmony", HARMONY.replace("get_weather", "nothing"), "no tool named 'nothing'"),
    ("harmony", HARMONY.replace("\ufdd1commentary ", "").replace(" json", ""), [ROME]),
    ("harmony", f"{HARMONY}\ufdd4\ufdd3assistant{HARMONY.replace('Rome', 'Oslo')}", [ROME, OSLO]),
    ("minicpm3", MINICPM.replace("'Rome'", "Rome"), PLAIN),
    ("minicpm3", MINICPM.replace("city='Rome'", "**{'city': 'Rome'}"), PLAIN),
    ("minicpm3", MINICPM.replace("')", "'"), "no valid Python"),
    ("minicpm3", MINICPM.replace("'Rome'", "10**10**10"), PLAIN),
    ("minicpm3", MINICPM.replace("get_weather(city='Rome')", "(" * 3000), "no valid Python"),
    ("minicpm3", "<|tool_call_start|><|tool_call_end|>", "is empty"),
    ("minicpm5", MINICPM5.replace('"get_weather"', "get_weather"), 'needs <function name="NAME">'),
    ("minicpm5", MINICPM5.replace("</param>", ""), "</param> is missing"),
    ("minicpm5", MINICPM5.replace("get_weather", "nothing"), "no tool named 'nothing'"),
    ("internlm2", "<|action_start|><|action_end|>", NOT_WHOLE),
    ("internlm2", "<|action_start|><|plugin|>[]<|action_end|>", "no JSON object"),
    ("internlm2", f"<|action_start|><|plugin|>{GOOD[:-1]}<|action_end|>", NOT_WHOLE),
    ("llama3", '<|python_tag|>get_weather.call("Rome")', "NAME.call(key=value)"),
    ("llama3", '<|python_tag|>get_weather.call(city="Rome"', "NAME.call(key=value)"),
    ("llama3", f"<|python_tag|>{GOOD[:-1]}", NOT_WHOLE),
    ("hermes", f"<tool_call>{GOOD}{GOOD.replace('Rome', 'Oslo')}</tool_call>", [ROME, OSLO]),
    ("hermes", f"<tool_call><tool_call>{GOOD}</tool_call></tool_call>", [ROME]),
    ("hermes", f"<tool_\ncall>{GOOD}</tool_call >", [ROME]),
    ("hermes", QWEN, "no valid JSON"),
    ("hermes", f"<think>So: <tool_call>{GOOD}</tool_call>", "inside of a thought"),
]


def read(name: str, reply: str, *, at_once: bool, cut: bool = False) -> tuple[str, list[ToolCall]]:
    reader = ReplyReader(CHAT_FORMATS[name], LISTS_TOOLS, TOOLS)
    text = "".join([*map(reader.feed, [reply] if at_once else reply), reader.finish(cut=cut)])
    return text, list(reader.calls)


def check(name: str, reply: str, wanted: Any) -> None:
    text, calls = read(name, reply, at_once=True)
    assert read(name, reply, at_once=False) == (text, calls)
    assert text.strip() in ("", reply.strip() if reply.startswith("<think>") else "")
    wanted = [wanted] if isinstance(wanted, str) else wanted
    assert len(calls) == len(wanted)
    for number, (call, expected) in enumerate(zip(calls, wanted, strict=True)):
        assert (expected in call.fault) if isinstance(expected, str) else call == expected
        json.dumps(call.openai(number)).encode()


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("what", JSON)
def test_json(what: str, name: str) -> None:
    before, after = AROUND[name]
    check(name, f"{before}{JSON[what][0]}{after}", JSON[what][1])


@pytest.mark.parametrize(("name", "reply", "wanted"), OTHERS, ids=str)
def test_other_notations(name: str, reply: str, wanted: Any) -> None:
    check(name, reply, wanted)


WHOLE = {
    "hermes": f"<tool_call>{GOOD}</tool_call>", "qwen_xml": QWEN, "glm45": GLM, "deepseek": DEEP, "chatglm3": CHATGLM3,
    "glm4": GLM4, "mistral": MISTRAL, "minicpm3": MINICPM, "minicpm5": MINICPM5, "llama3": GOOD, "json": GOOD,
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_wherever_a_call_is_cut_off_nothing_of_it_is_shown(name: str) -> None:
    for place in range(1, len(WHOLE[name])):
        text, calls = read(name, WHOLE[name][:place], at_once=False, cut=True)
        assert text == ""
        assert all(call.fault or call == ROME for call in calls)


STRAY = {
    "hermes": "</tool_call>", "glm45": "</arg_value>", "mistral": "[ARGS]", "internlm2": "<|action_end|>",
    "minicpm3": "<|tool_call_end|>", "deepseek": "<｜tool▁calls▁end｜>", "minicpm5": "</function>", "phi4_mini": "<|/tool_call|>",
}  # fmt: skip


@pytest.mark.parametrize("name", STRAY)
def test_marks_that_close_nothing_are_no_text(name: str) -> None:
    for reply in (f"{STRAY[name]}Done.", f"Done.{STRAY[name]}", f"Do{STRAY[name]}ne."):
        assert read(name, reply, at_once=True)[0].strip() == "Done."
        assert read(name, reply, at_once=False) == ("Done.", [])


ANSWERS = [
    '{"name": "Tom", "age": 5}', '{"answer": 42}', "[1, 2]", "```json\n{\"name\": \"Tom\"}\n```", "```python\nprint(1)\n```",
    "a < b and c > d", "< tool", "name: get_weather", '{"arguments": {"city": "Rome"}}', "{names: []}",
]  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("name", ["llama3", "json", "hermes", "glm4", "chatglm3", "mistral"])
def test_answers_that_are_no_calls_are_shown_as_they_are(name: str, answer: str) -> None:
    for at_once in (True, False):
        assert read(name, answer, at_once=at_once) == (answer, [])


def test_a_call_inside_of_a_thought_that_ends_is_a_thought() -> None:
    reply = f"<think><tool_call>{GOOD}</tool_call></think>Done."
    assert read("hermes", reply, at_once=False) == (reply, [])
    assert CallScanner(CHAT_FORMATS["hermes"].notation, TOOLS).feed(reply)  # type: ignore[arg-type]
