"""Messages in the forms that templates take: arguments, content, system messages.

Where a template fails or writes nonsense with what OpenAI's API gives, the right prompt is that of the form its publisher means:
transformers' rendering of arguments as a mapping (or as text where the template joins texts), and of content as a text.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.chat.template import render
from models.errors import ZhiyinError
from tests.support.vocabularies import llama_cpp_vocabularies

ASK = {"role": "user", "content": "Weather?"}
ARGUMENTS = {"city": "北京", "days": 2}
TEXT = json.dumps(ARGUMENTS, ensure_ascii=False)
RESULT = {"role": "tool", "content": "sunny", "name": "get_weather", "tool_call_id": "call00001"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Tells the weather",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "where"},
                    "days": {"type": "integer", "description": "how long"},
                },
                "required": ["city"],
            },
        },
    }
]


def calling(arguments: Any, **content: Any) -> list[dict[str, Any]]:
    call = {"id": "call00001", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    return [ASK, {"role": "assistant", "tool_calls": [call], **content}, RESULT]


def published(name: str) -> str:
    path = llama_cpp_vocabularies() / "templates" / f"{name}.jinja"
    if not path.is_file():
        pytest.skip("llama.cpp's sources here have no such template")
    return path.read_text("utf-8")


WRITTEN = {
    "Qwen-Qwen2.5-7B-Instruct": f'<tool_call>\n{{"name": "get_weather", "arguments": {TEXT}}}\n</tool_call>',
    "Qwen-Qwen3-0.6B": f'<tool_call>\n{{"name": "get_weather", "arguments": {TEXT}}}\n</tool_call>',
    "Qwen3-Coder": "<function=get_weather>\n<parameter=city>\n北京\n</parameter>\n<parameter=days>\n2\n</parameter>",
    "Qwen3.5-4B": "<function=get_weather>\n<parameter=city>\n北京\n</parameter>\n<parameter=days>\n2\n</parameter>",
    "meta-llama-Llama-3.1-8B-Instruct": f'{{"name": "get_weather", "parameters": {TEXT}}}',
    "mistralai-Mistral-Nemo-Instruct-2407": f'"arguments": {TEXT}, "id": "call00001"',
    "GLM-4.6": "<arg_key>city</arg_key>\n<arg_value>北京</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>",
    "openai-gpt-oss-120b": f"<|message|>{TEXT}<|call|>",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": f"get_weather\n```json\n{TEXT}\n```",
    "deepseek-ai-DeepSeek-V3.1": f"get_weather<｜tool▁sep｜>{TEXT}",
    "meetkai-functionary-medium-v3.2": f">>>get_weather\n{TEXT}",
}


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}])
@pytest.mark.parametrize("arguments", [TEXT, ARGUMENTS])
@pytest.mark.parametrize("name", WRITTEN)
def test_a_call_is_written_the_publishers_way_whatever_form_it_comes_in(
    name: str, arguments: Any, content: dict[str, Any]
) -> None:
    prompt = render(published(name), calling(arguments, **content), tools=TOOLS)
    assert prompt.count(WRITTEN[name]) == 1
    assert "None" not in prompt
    assert '\\"city' not in prompt


def test_arguments_stay_as_they_are_where_both_forms_come_out_right() -> None:
    spaced = '{"city":   "北京"}'
    assert spaced in render(published("Qwen-Qwen3-0.6B"), calling(spaced, content=""), tools=TOOLS)


@pytest.mark.parametrize("text", ["", "  "])
def test_no_arguments_are_an_empty_object(text: str) -> None:
    assert '"arguments": {}}' in render(published("Qwen-Qwen2.5-7B-Instruct"), calling(text), tools=TOOLS)


@pytest.mark.parametrize("text", ["{", "[1]", '"x"'])
def test_arguments_that_are_no_object_are_named(text: str) -> None:
    with pytest.raises(ZhiyinError, match=r"get_weather.*no JSON object"):
        render(published("Qwen3-Coder"), calling(text), tools=TOOLS)


TEXTS = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
JOINED = "{% for m in messages %}{{ '[' + m.role + ']' + m.content }}{% endfor %}"
PARTS = "{% for m in messages %}[{{ m.role }}]{% for part in m.content %}<{{ part.text }}>{% endfor %}{% endfor %}"
BOTH = (
    "{% for m in messages %}[{{ m.role }}]{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}<{{ part.text }}>{% endfor %}{% endif %}{% endfor %}"
)


def part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


@pytest.mark.parametrize(
    ("template", "content", "prompt"),
    [
        (TEXTS, "Hi", "[user]Hi"),
        (TEXTS, [part("Hi"), part("there")], "[user]Hi\nthere"),
        (JOINED, [part("Hi")], "[user]Hi"),
        (PARTS, "Hi", "[user]<Hi>"),
        (PARTS, [part("Hi"), part("there")], "[user]<Hi><there>"),
        (BOTH, "Hi", "[user]Hi"),
        (BOTH, [part("Hi"), part("there")], "[user]<Hi><there>"),
        (TEXTS, None, "[user]"),
        (JOINED, None, "[user]"),
        (PARTS, None, "[user]"),
    ],
)
def test_content_is_given_as_the_template_takes_it(template: str, content: Any, prompt: str) -> None:
    assert render(template, [{"role": "user", "content": content}]) == prompt


def test_a_part_that_is_no_text_is_named() -> None:
    with pytest.raises(ZhiyinError, match="type image_url"):
        render(TEXTS, [{"role": "user", "content": [part("What is it?"), {"type": "image_url", "image_url": {}}]}])


REFUSING = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + TEXTS
SKIPPING = "{% for m in messages %}{% if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endif %}{% endfor %}"
SYSTEM = {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize("template", [REFUSING, SKIPPING])
@pytest.mark.parametrize(
    ("chat", "prompt"),
    [
        ([SYSTEM, ASK], "[user]Be brief.\n\nWeather?"),
        (
            [SYSTEM, ASK, {"role": "assistant", "content": "?"}, ASK],
            "[user]Be brief.\n\nWeather?[assistant]?[user]Weather?",
        ),
        ([{"role": "system", "content": [part("Be brief.")]}, ASK], "[user]Be brief.\n\nWeather?"),
        ([SYSTEM], "[user]Be brief."),
        ([{"role": "system", "content": ""}, ASK], "[user]Weather?"),
        ([{"role": "system", "content": None}, ASK], "[user]Weather?"),
        ([ASK], "[user]Weather?"),
    ],
)
def test_a_system_message_without_a_place_is_put_in_front_of_the_first_question(
    template: str, chat: list[dict[str, Any]], prompt: str
) -> None:
    assert render(template, chat) == prompt


def test_a_system_message_keeps_its_place_where_there_is_one() -> None:
    assert render(TEXTS, [SYSTEM, ASK]) == "[system]Be brief.[user]Weather?"


def test_reasoning_goes_by_every_name_that_templates_use() -> None:
    template = "{% for m in messages %}{{ m.reasoning_content }}|{{ m.thinking }};{% endfor %}"
    chat = [
        {"role": "assistant", "content": "4", name: "hm"} for name in ("reasoning", "thinking", "reasoning_content")
    ]
    assert render(template, chat) == "hm|hm;" * 3


def test_no_calls_are_no_key() -> None:
    template = (
        "{% for m in messages %}{% if m.tool_calls is defined %}calls{% else %}{{ m.content }}{% endif %}{% endfor %}"
    )
    assert (
        render(template, [{"role": "assistant", "content": "Hi", "tool_calls": calls} for calls in ([], None)])
        == "HiHi"
    )


def test_a_chat_that_a_sound_template_cannot_render_is_not_the_models_fault() -> None:
    with pytest.raises(ZhiyinError, match="change its messages"):
        render(JOINED, [{"role": "user", "content": 5}])
    with pytest.raises(ZhiyinError, match="convert the model again"):
        render("{{ nothing.at.all }}", [ASK])


@pytest.mark.parametrize("template", [REFUSING, SKIPPING])
def test_several_system_messages_without_a_place_are_put_there_together(template: str) -> None:
    more = {"role": "system", "content": [{"type": "text", "text": "In verse."}]}
    assert render(template, [SYSTEM, more, ASK]) == "[user]Be brief.\n\nIn verse.\n\nWeather?"


def test_a_call_without_content_is_no_fault_where_no_call_is_shown() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": TEXT}}]}
    assert render(JOINED, [ASK, call, ASK]) == "[user]Weather?[assistant][user]Weather?"


CALLS = (
    "{% for m in messages %}<{{ m.role }}>{% for c in m.tool_calls %}{{ c.type }} {{ c.function.name }} "
    "{{ c.function.arguments if c.function.arguments is string else c.function.arguments | tojson }}{% endfor %}"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}{% endfor %}"
)


@pytest.mark.parametrize(
    "call",
    [
        {"id": "1", "type": "function", "function": {"name": "clock", "arguments": {}}},
        {"id": "1", "function": {"name": "clock", "arguments": {}}},
        {"id": "1", "name": "clock", "arguments": {}},
        {"name": "clock"},
        {"name": "clock", "arguments": " "},
        {"type": "function", "function": {"name": "clock", "arguments": ""}},
    ],
)
def test_calls_that_lack_what_surrounds_them_are_whole(call: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    assert render(CALLS, messages) == "<user>x<assistant>function clock {}"


def test_texts_among_parts_are_parts() -> None:
    assert render(CALLS, [{"role": "user", "content": ["a", {"type": "text", "text": "b"}]}]) == "<user>ab"


def test_no_content_is_given_where_it_is_right_before_a_result_too() -> None:
    """QwQ's template takes the content of a call that is followed apart, and shows a last one without any."""
    template = (
        "{% for m in messages %}<{{ m.role }}>{% if m.tool_calls and not loop.last %}{{ m.content.strip() }}{% endif %}"
        "{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}"
        "{{ m.content or '' }}{% endfor %}"
    )
    call = {"type": "function", "function": {"name": "clock", "arguments": {"a": "b"}}}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "noon"},
    ]
    assert render(template, messages) == '<user>x<assistant>clock{"a": "b"}<tool>noon'


SHOWS_THREE = (
    "{% for m in messages %}{% if m.role in ['system', 'user', 'assistant', 'tool'] %}"
    "<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}{% endif %}{% endfor %}"
)
SHOWS_ALL = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"


@pytest.mark.parametrize(("role", "usual"), [("developer", "system"), ("function", "tool")])
def test_openais_other_words_for_a_role_are_not_dropped(role: str, usual: str) -> None:
    messages = [{"role": role, "content": "Be kind."}, ASK]
    assert render(SHOWS_THREE, messages) == f"<{usual}>Be kind.<user>Weather?"
    assert render(SHOWS_ALL, messages) == f"<{role}>Be kind.<user>Weather?"


def test_a_developers_message_is_merged_where_there_are_no_system_ones() -> None:
    template = SHOWS_THREE.replace("'system', ", "").replace(", 'tool'", "")
    assert render(template, [{"role": "developer", "content": "Be kind."}, ASK]) == "<user>Be kind.\n\nWeather?"


@pytest.mark.parametrize("parts", [[], [{"type": "text", "text": ""}], [""]])
def test_parts_without_a_text_hide_no_call(parts: list[Any]) -> None:
    template = published("deepseek-ai-DeepSeek-R1-Distill-Llama-8B")
    assert render(template, calling(ARGUMENTS, content=parts)) == render(template, calling(ARGUMENTS, content=""))


def test_a_system_message_in_parts_is_merged_like_a_text() -> None:
    parts = [{"type": "text", "text": "Weather?"}]
    chats = [
        [{"role": "system", "content": "Be kind."}, {"role": "user", "content": question}]
        for question in ("Weather?", parts)
    ]
    first, second = (render(published("google-gemma-2-2b-it"), chat) for chat in chats)
    assert first == second
