"""Tool calls are read as llama.cpp reads them: the cases of its own chat tests, whole and cut at every character.

The cases are noted in tests/data/calls by make.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.chat.reasoning import split_reasoning
from models.chat.calls.scanner import CallScanner, calls_in
from models.chat.chat_formats import CHAT_FORMATS, ReplyReader, name_of, prepared, tell_of_tools
from models.chat.reply import ToolCall
from models.chat.template import render
from tests.support.vocabularies import llama_cpp_vocabularies

NOTED = json.loads((Path(__file__).parents[2] / "data" / "calls" / "cases.json").read_text("utf-8"))
FORMATS = {
    "Apriel-1.5": "hunyuan",
    "DeepSeek-R1": "deepseek_v3",
    "DeepSeek-V3.1": "deepseek",
    "Devstral": "mistral",
    "GLM-4": "glm45",
    "Hermes": "hermes",
    "LFM2": "minicpm3",
    "Llama-3.": "llama3",
    "MiMo": "hermes",
    "MiniCPM5": "minicpm5",
    "Mistral": "mistral",
    "Ministral": "mistral",
    "Nemotron-3": "qwen_xml",
    "Nemotron-Nano": "nemotron",
    "QwQ": "hermes",
    "Qwen2.5": "hermes",
    "Qwen3-Coder": "qwen_xml",
    "Qwen3.5": "qwen_xml",
    "deepseek-r1": "deepseek_v3",
    "gemma": "",
    "gpt-oss": "harmony",
    "granite-3": "granite",
    "granite-4": "hermes",
}
BEGUN = re.compile(r"<think>|\[THINK\]|<\|channel\|>|Hello, ")
"""Where a reply that goes on begins in a prompt's end."""
LISTS_TOOLS = "{{ tools }}"
"""Stands for a template that does; what else it says does not matter to a reply."""
DIFFERENCES = {
    "fence": "an answer held to a schema is never fenced: the grammar leaves no place for a fence",
    "raw": "marks of reasoning are tags in our text, whatever the model's own are",
    "no tools": "gpt-oss's call of a tool that nobody offered is shown as text; llama.cpp leaves it out",
}


NONE_OF_OURS = {
    "an architecture that no family of ours converts": (
        "Apertus-8B-Instruct", "Apriel-1.6-15b-Thinker-fixed", "ByteDance-Seed-OSS", "Cohere2MoE",
        "CohereForAI-c4ai-command-r-plus-tool_use", "CohereForAI-c4ai-command-r7b-12-2024-tool_use", "Kimi-K3",
        "LFM2.5-Instruct", "MiniMax-M2", "MiniMax-M3", "Reka-Edge", "Spark2.5", "StepFun3.5-Flash",
        "deepseek-ai-DeepSeek-V3.2", "deepseek-ai-DeepSeek-V4", "deepseek-ai-DeepSeek-V4-Flash-0731",
        "google-gemma-4-31B-it", "inclusionai-ling-3.0-flash", "muse-glimmer",
    ),
    "another publisher's notation on an architecture of ours: such a model has the generic one": (
        "GigaChat3-10B-A1.8B", "GigaChat3.1-10B-A1.8B", "Kimi-K2-Instruct", "Kimi-K2-Thinking",
        "fireworks-ai-llama-3-firefunction-v2", "meetkai-functionary-medium-v3.1", "meetkai-functionary-medium-v3.2",
        "moonshotai-Kimi-K2",
    ),
}  # fmt: skip
"""Why the other templates of llama.cpp's tests are not compared."""


def format_of(template: str) -> str:
    found = [name for part, name in FORMATS.items() if part in template]
    assert len(found) >= 1, template
    return found[0] if "R1-Distill" not in template else "deepseek_v3"


def difference(case: Mapping[str, Any]) -> str:
    if case["schema"] and "```" in case["input"]:
        return "fence"
    raw = case["reasoning"] == "none" and re.search(r"\[THINK\]|<\|channel\|>", case["expect"]["content"])
    if raw:
        return "raw"
    return (
        "no tools"
        if "gpt-oss" in case["template"]
        and " to=" in case["input"]
        and not NOTED["tools"][case["tools"]]
        and "to=assistant" not in case["input"]
        else ""
    )


CASES = [case for case in NOTED["cases"] if not difference(case)]


def reader_of(case: Mapping[str, Any], begun: str = "") -> ReplyReader:
    chat_format = CHAT_FORMATS.get(format_of(case["template"]))
    return ReplyReader(chat_format, LISTS_TOOLS, NOTED["tools"][case["tools"]], begun)


def begin(case: Mapping[str, Any]) -> tuple[str, ReplyReader]:
    """Return what is there of a reply already, by the prompt or by a reply that was stopped, and the reader of the rest."""
    if case["continued"]:
        stopped = reader_of(case)
        begun = case["opening"][BEGUN.search(case["opening"]).start() :]  # type: ignore[union-attr]
        shown = stopped.feed(in_our_signs(case, begun)) + stopped.finish()
        return shown, reader_of(case, shown)
    opening = "<think>" if re.search(r"<think>\s*\Z", case["opening"]) else ""
    return opening, reader_of(case, opening)


def read(case: Mapping[str, Any], pieces: Iterable[str]) -> tuple[str, list[ToolCall]]:
    """Return what a reader sees of a reply, and its calls."""
    opening, reader = begin(case)
    text = "".join([opening, *map(reader.feed, pieces), reader.finish()])
    return text, list(reader.calls)


def as_written(case: Mapping[str, Any]) -> str:
    """Return a reply as the engine hands it on."""
    return in_our_signs(case, case["input"])


def in_our_signs(case: Mapping[str, Any], text: str) -> str:
    """Return a text with what stands for control tokens in their place."""
    chat_format = CHAT_FORMATS.get(format_of(case["template"]))
    for token, sign in (chat_format.marks if chat_format else {}).items():
        text = text.replace(token, sign)
    return text


def value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def test_the_cases_are_there() -> None:
    assert len(NOTED["cases"]) == 216
    assert len(CASES) == 210
    assert sum(NOTED["left_out"].values()) == 247
    assert sorted(NOTED["left_out"]) == sorted(name for names in NONE_OF_OURS.values() for name in names)
    left_out = [difference(case) for case in NOTED["cases"] if difference(case)]
    assert {reason: left_out.count(reason) for reason in DIFFERENCES} == {
        "fence": 2,
        "raw": 2,
        "no tools": 2,
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['template']}-{NOTED['cases'].index(case)}")
def test_calls_are_read_as_llama_cpp_reads_them(case: Mapping[str, Any]) -> None:
    text, calls = read(case, [as_written(case)])
    assert read(case, as_written(case)) == (text, calls)  # a character at a time
    expected = case["expect"]
    if case["reasoning"] == "none":  # the tags are part of the content
        assert "".join(text.removeprefix("<think>").split()) == "".join(
            expected["content"].removeprefix("<think>").split()
        )
    else:
        parts = split_reasoning(text)
        assert parts.answer.strip() == expected["content"].strip()
        assert parts.reasoning.strip() == expected["reasoning"].strip()
    whole = [(call.name, dict(call.arguments)) for call in calls if not call.fault]
    wanted = [(call["name"], value(call["arguments"])) for call in expected["calls"]]
    if case["partial"]:  # llama.cpp shows the half of a call that is there
        assert whole == [call for call in wanted if isinstance(call[1], dict)]
        assert [call.fault for call in calls if call.fault] or whole == wanted
    else:
        assert whole == wanted
        assert not [call.fault for call in calls if call.fault]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['template']}-{NOTED['cases'].index(case)}")
def test_no_mark_and_no_half_call_is_shown(case: Mapping[str, Any]) -> None:
    """Whatever the place at which a reply stops, its text is a beginning of the whole reply's text."""
    if not NOTED["tools"][case["tools"]]:
        pytest.skip("without tools nothing is a call")
    whole, _ = read(case, [as_written(case)])
    shown, reader = begin(case)
    for character in as_written(case):
        shown += reader.feed(character)
        assert whole.startswith(shown) or shown.strip() == whole.strip()


@pytest.mark.parametrize("template", sorted({case["template"] for case in NOTED["cases"]}))
def test_templates_show_their_notation(template: str) -> None:
    path = llama_cpp_vocabularies() / "templates" / f"{template}.jinja"
    if not path.is_file():
        pytest.skip("llama.cpp's sources here have no such template")
    assert name_of({}, path.read_text("utf-8")) == format_of(template)


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
        },
    },
    {
        "type": "function",
        "function": {
            "name": "python",
            "parameters": {"type": "object", "properties": {"code": {"type": "string"}}},
        },
    },
]
WEATHER = ToolCall("get_weather", {"city": "Rome", "days": 3})
CODE = ToolCall("python", {"code": "print(1)"})
JSON = '{"name": "get_weather", "arguments": {"city": "Rome", "days": 3}}'
WRITTEN: dict[tuple[str, str], list[ToolCall]] = {
    (
        "internlm2",
        '<|action_start|><|plugin|>\n{"name": "get_weather", "parameters": {"city": "Rome", "days": 3}}<|action_end|>',
    ): [WEATHER],
    ("internlm2", "<|action_start|><|interpreter|>\n```python\nprint(1)\n```<|action_end|>\n"): [CODE],
    ("phi4_mini", f"<|tool_call|>[{JSON}]<|/tool_call|>"): [WEATHER],
    ("phi4_mini", f"functools[{JSON}]"): [WEATHER],
    ("hunyuan", f"<tool_calls>[{JSON}, {JSON}]</tool_calls>"): [WEATHER, WEATHER],
    ("hermes", f"<tool_call>\n{JSON}\n</tool_call>\n<tool_call>\n{JSON}\n</tool_call>"): [WEATHER, WEATHER],
    ("minicpm3", "<|tool_call_start|>\n```python\nget_weather(city='Rome', days=3)\n```\n<|tool_call_end|>"): [WEATHER],
    ("llama3", "<|python_tag|>print(1)"): [CODE],
    ("llama3", '<|python_tag|>get_weather.call(city="Rome", days=3)'): [WEATHER],
    ("llama3", '{"name": "get_weather", "parameters": {"city": "Rome", "days": 3}}'): [WEATHER],
    ("chatglm3", "get_weather\n ```python\ntool_call(city='Rome', days=3)\n```"): [WEATHER],
    ("chatglm3", "interpreter\n ```python\nprint(1)\n```"): [CODE],
    ("glm4", 'get_weather\n{"city": "Rome", "days": 3}'): [WEATHER],
    ("json", JSON): [WEATHER],
    ("json", f"[{JSON}]"): [WEATHER],
}


def read_as(name: str, pieces: Iterable[str]) -> tuple[str, list[ToolCall]]:
    reader = ReplyReader(CHAT_FORMATS[name], LISTS_TOOLS, TOOLS)
    return "".join([*map(reader.feed, pieces), reader.finish()]), list(reader.calls)


@pytest.mark.parametrize(("name", "reply"), WRITTEN, ids=lambda text: text[:30])
@pytest.mark.parametrize("before", ["", "<think>I shall call.</think>\n\n"])
def test_calls_of_families_that_llama_cpp_has_no_case_for(name: str, reply: str, before: str) -> None:
    for pieces in ([before + reply], list(before + reply)):
        text, calls = read_as(name, pieces)
        assert calls == WRITTEN[name, reply]
        assert text.strip() == before.strip()


FAULTS = {
    ("hermes", '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome}\n</tool_call>'): "no valid JSON",
    ("hermes", '<tool_call>\n{"name": "get_weather", "argu'): "not whole",
    (
        "hermes",
        '<tool_call>\n{"name": "unknown", "arguments": {}}\n</tool_call>',
    ): "There is no tool named 'unknown'; the tools are: get_weather, python.",
    ("hermes", '<tool_call>\n{"name": "get_weather", "arguments": [1]}\n</tool_call>'): "must be a JSON object",
    ("hermes", '<tool_call>\n{"name": "get_weather", "arguments": {"days": NaN}}\n</tool_call>'): "no valid JSON",
    ("hermes", "<tool_call>\n[]\n</tool_call>"): "no JSON object",
    ("qwen_xml", "<tool_call>\n<function=get_weather>\n<parameter=city>\nRome"): "</parameter> is missing",
    (
        "qwen_xml",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n",
    ): "</function> is missing",
    ("glm45", "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Rome"): "not whole",
    (
        "deepseek",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{broken<｜tool▁call▁end｜>",
    ): "no valid JSON",
    ("mistral", '[TOOL_CALLS]get_weather[ARGS]{"city": '): "not whole",
    ("minicpm3", "<|tool_call_start|>get_weather('Rome')<|tool_call_end|>"): "NAME(key=value)",
    ("minicpm3", "<|tool_call_start|>get_weather(city=open('x'))<|tool_call_end|>"): "NAME(key=value)",
    ("minicpm5", '<function name="get_weather"><param name="city">Rome</function>'): "</param> is missing",
    ("internlm2", "<|action_start|><|plugin|>\nnonsense<|action_end|>"): "no valid JSON",
    ("chatglm3", "get_weather\n```python\nprint(1)\n```"): "tool_call(key=value)",
    ("glm4", 'get_weather\n{"city": '): "no valid JSON",
    ("json", '{"name": "get_weather", "arguments": {"city": '): "no valid JSON",
    ("harmony", "\ufdd1commentary to=functions.get_weather\ufdd2{broken"): "no valid JSON",
}


@pytest.mark.parametrize(("name", "reply"), FAULTS, ids=lambda text: text[:30])
def test_a_malformed_call_says_what_is_wrong_and_is_not_shown(name: str, reply: str) -> None:
    for pieces in ([reply], list(reply)):
        text, (call,) = read_as(name, pieces)
        assert text.strip() == ""
        assert FAULTS[name, reply] in call.fault
        json.dumps(call.openai(0))


@pytest.mark.parametrize("name", [name for name, chat_format in CHAT_FORMATS.items() if chat_format.notation])
@pytest.mark.parametrize(
    "answer",
    [
        "It is sunny.",
        '{"city": "Rome"}',
        "```python\nprint(1)\n```",
        "a < b, and [1] { x }",
        "姓名\n内容",
        "<tool",
        "[TOOL",
    ],
)
def test_an_answer_stays_text(name: str, answer: str) -> None:
    for pieces in ([answer], list(answer)):
        assert read_as(name, pieces) == (answer, [])


def test_the_name_of_a_broken_call_is_looked_for_in_that_call_alone() -> None:
    notation = CHAT_FORMATS["hermes"].notation
    assert notation is not None
    (call,) = calls_in(notation, '<tool_call><tool_call></tool_call>{"name": "get_weather"', TOOLS)
    assert (call.name, bool(call.fault)) == ("", True)


@pytest.mark.parametrize(
    "reply",
    [
        '<tool_call>"}</tool_call>{"name": "',
        "<tool_call>3</tool_call>3",
        '<tool_call>"a</tool_call>"</tool_call>b',
        '<tool_call>```json\n"</tool_call>"',
    ],
)
def test_where_a_value_that_is_no_call_ends_is_the_same_cut_or_whole(reply: str) -> None:
    assert read_as("hermes", [reply]) == read_as("hermes", reply)


@given(st.sampled_from(sorted(CHAT_FORMATS)), st.data())
def test_any_order_of_tags_ends_well_and_cut_or_whole_is_the_same(name: str, data: st.DataObject) -> None:
    marks = [
        *(CHAT_FORMATS[name].notation.openings if CHAT_FORMATS[name].notation else ()),
        *CHAT_FORMATS[name].marks.values(),
    ]
    parts = [
        *marks,
        "get_weather",
        '{"name": "',
        '"}',
        "{",
        "}",
        "\n",
        " ",
        "```",
        "<think>",
        "</think>",
        "a",
        "3",
        JSON,
    ]
    reply = "".join(data.draw(st.lists(st.sampled_from(parts), max_size=12)))
    assert read_as(name, [reply]) == read_as(name, reply)


@pytest.mark.parametrize("name", [name for name, chat_format in CHAT_FORMATS.items() if chat_format.notation])
def test_endless_openings_are_read_in_one_pass(name: str) -> None:
    notation = CHAT_FORMATS[name].notation
    assert notation is not None
    reads = 0

    def counted(*values: Any) -> Any:
        nonlocal reads
        reads += 1
        return notation.read(*values)

    for opening in (*notation.openings, "{", '{"name":', "get_weather\n"):
        reads = 0
        calls_in(replace(notation, read=counted), opening * 50_000, TOOLS)
        assert reads < 200, "each reads all that follows"
        scanner = CallScanner(notation, TOOLS)
        for _ in range(2000):
            scanner.feed(opening * 5)
        scanner.finish()


TURNS = [
    {"role": "user", "content": "Weather?"},
    {"role": "assistant", "content": None, "tool_calls": [WEATHER.openai(0)]},
    {"role": "tool", "name": "get_weather", "content": "sunny"},
]


def test_models_without_a_notation_are_told_of_tools_in_plain_turns() -> None:
    messages, tools = tell_of_tools(TURNS, TOOLS, CHAT_FORMATS.get(""), "{{ messages }}")
    assert not tools
    system, asked, call, result = messages
    assert system["role"] == "system"
    assert '"get_weather"' in system["content"]
    assert (asked["role"], call["role"], result["role"]) == ("user", "assistant", "user")
    assert json.loads(call["content"]) == {"name": "get_weather", "arguments": {"city": "Rome", "days": 3}}
    assert result["content"] == "Result of get_weather:\nsunny"


CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def test_internlm2_has_turns_of_its_own() -> None:
    chat_format = CHAT_FORMATS[name_of({"general.architecture": "internlm2"}, CHATML)]
    messages, tools = tell_of_tools(TURNS, TOOLS, chat_format, CHATML)
    prompt = render(CHATML, prepared(messages, chat_format, CHATML), tools=tools)
    assert prompt.startswith('<|im_start|>system name=<|plugin|>\n[{"name": "get_weather"')
    assert "<|im_start|>system name=<|interpreter|>\n" in prompt
    assert (
        '<|action_start|><|plugin|>\n{"name": "get_weather", "parameters": {"city": "Rome", "days": 3}}<|action_end|>\n'
        "<|im_end|>\n"
        "<|im_start|>environment name=<|plugin|>\nsunny<|im_end|>\n"
    ) in prompt
