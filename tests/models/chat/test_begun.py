"""A reply that was cut off in its thought or its answer: written as its family's template writes it, and read on from there."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from desktop_app.engine.prompting import reply_opening
from models.chat.begun import Written, as_prompt, as_reply, thinks_still
from models.chat.chat_formats import CHAT_FORMATS, ReplyReader, begun_parts, name_of
from models.chat.template import render
from tests.support.vocabularies import llama_cpp_vocabularies

THOUGHT, ANSWER = "Six <|end|>[/THINK] times seven.", "It is <|end|> 42."
QUESTION = {"role": "user", "content": "6 * 7?"}
REPLIES = {
    "openai-gpt-oss-120b": f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}",
    "mistralai-Ministral-3-14B-Reasoning-2512": f"<think>{THOUGHT}</think>{ANSWER}",
    "Qwen-Qwen3-0.6B": f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}",
    "Qwen3.5-4B": f"<think>{THOUGHT}\n</think>\n\n{ANSWER}",
    "GLM-4.6": f"\n<think>{THOUGHT}</think>\n{ANSWER}",
    "openbmb-MiniCPM5-1B": f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}",
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": f"<think>{THOUGHT}\n</think>\n{ANSWER}",
}
"""Published template -> the text of a reply whose thought the template writes out again, as the window has it."""
FORMATS = ("harmony", "mistral", "minicpm3", "hermes", "qwen_xml", "glm45", "chatglm3", "json")
TOOLS = [{"type": "function", "function": {"name": "sums", "parameters": {"type": "object", "properties": {}}}}]


def template_of(name: str) -> str:
    path = llama_cpp_vocabularies() / "templates" / f"{name}.jinja"
    if not path.is_file():
        pytest.skip("llama.cpp's sources here have no such template")
    return path.read_text("utf-8")


def finished(name: str, template: str) -> str:
    """Return what a template makes of the whole chat."""
    reply: dict[str, object] = {"role": "assistant", "content": ANSWER, "reasoning_content": THOUGHT}
    if "gpt-oss" in name:
        reply["thinking"] = THOUGHT
    if "Ministral" in name:
        reply["content"] = [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": ANSWER}]
    return render(template, [QUESTION, reply], add_generation_prompt=False)


def cuts(text: str) -> Iterator[str]:
    """Yield the beginnings of a reply that can be shown: no mark is ever cut."""
    inside = {place for mark in re.finditer("</?think>", text) for place in range(mark.start() + 1, mark.end())}
    yield from (text[:place] for place in range(1, len(text) + 1) if place not in inside)


@pytest.mark.parametrize("name", REPLIES)
def test_what_was_cut_off_is_written_as_its_template_writes_it(name: str) -> None:
    template = template_of(name)
    chat_format = CHAT_FORMATS.get(name_of({}, template))
    whole, prompt = finished(name, template), render(template, [QUESTION])
    opening = reply_opening(prompt)
    for begun in cuts(REPLIES[name]):
        if len(begun) >= len(opening):
            written = as_prompt(begun_parts(chat_format, begun), str).removeprefix(opening)
            assert whole.startswith(prompt + written), begun
            assert ("times seven." in begun) == ("times seven." in written)
            assert thinks_still(begun) == ("<think>" in begun and "</think>" not in begun)


@pytest.mark.parametrize("name", FORMATS)
def test_only_the_marks_of_a_thought_may_become_control_tokens(name: str) -> None:
    chat_format = CHAT_FORMATS[name]
    for parts in (begun_parts(chat_format, text) for text in REPLIES.values()):
        marks = {part.text for part in parts if part.is_mark}
        assert marks <= {*chat_format.marks, "<think>", "</think>"}
        plain = as_prompt(parts, lambda text: text.replace("<|end|>", "").replace("[/THINK]", ""))
        assert plain.count("<|end|>") == [*parts].count(Written("<|end|>", True))
        assert plain.count("[/THINK]") == [*parts].count(Written("[/THINK]", True))


@pytest.mark.parametrize("tools", [(), TOOLS], ids=["alone", "tools"])
@pytest.mark.parametrize("name", FORMATS)
def test_whoever_goes_on_with_a_reply_shows_the_rest_and_nothing_twice(
    name: str, tools: list[dict[str, object]]
) -> None:
    chat_format = CHAT_FORMATS[name]
    text = "<think>\nSix times.\n</think>\n\nIt is  42, 知音。\n\nYes."
    for place in range(1, len(text)):
        begun, rest = text[:place], text[place:]
        if re.search("</?[think]{0,5}$", begun):
            continue
        if name == "harmony" and begun.endswith("</think>"):  # which message comes next is the model's choice
            rest = f"\ufdd1final\ufdd2{rest.lstrip()}"
        elif name == "harmony":  # the model ends the thought's message itself
            rest = (
                rest.replace("\n</think>\n\n", "\ufdd4\ufdd3assistant\ufdd1final\ufdd2") if "</think>" in rest else rest
            )
        for pieces in ([rest], list(rest)):
            reader = ReplyReader(chat_format, "{{ tools }}", tools, begun)
            shown = begun + "".join([*map(reader.feed, pieces), reader.finish()])
            assert " ".join(shown.split()) == " ".join(text.split()), begun
            assert not reader.calls


def test_a_thought_of_gpt_oss_that_was_cut_off_ends_in_a_call_or_an_answer() -> None:
    begun = "<think>\nI shall"
    call = " sum.\ufdd4\ufdd3assistant\ufdd1commentary to=functions.sums json\ufdd2{}"
    reader = ReplyReader(CHAT_FORMATS["harmony"], "{{ tools }}", TOOLS, begun)
    assert begun + reader.feed(call) + reader.finish() == "<think>\nI shall sum.\n</think>"
    assert [one.name for one in reader.calls] == ["sums"]
    reader = ReplyReader(CHAT_FORMATS["harmony"], "{{ tools }}", TOOLS, begun + " sum.\n</think>")
    assert reader.feed("\ufdd1final\ufdd2Forty-two.") + reader.finish() == "\n\nForty-two."
    assert (
        as_reply(begun_parts(CHAT_FORMATS["harmony"], begun), CHAT_FORMATS["harmony"].marks)
        == "\ufdd1analysis\ufdd2I shall"
    )


def test_a_call_that_was_cut_off_before_it_could_be_told_from_text_is_made_whole() -> None:
    reader = ReplyReader(CHAT_FORMATS["json"], None, TOOLS, '{"na')
    assert reader.feed('me": "sums", "arguments": {}}') + reader.finish() == ""
    assert [one.fault for one in reader.calls] == [""]
