"""Publishers' templates render as transformers renders them: rounds, system messages, tools, calls, thinking on and off.

The templates lie in llama.cpp's sources; what transformers made of them is noted in tests/data/prompts.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from models.chat.template import render
from models.errors import ZhiyinError
from tests.support.vocabularies import llama_cpp_vocabularies

FOLDER = Path(__file__).parents[2] / "data" / "prompts"
CASES = json.loads((FOLDER / "cases.json").read_text("utf-8"))
NOTED = json.loads((FOLDER / "prompts.json").read_text("utf-8"))

_NO_CONTENT = (
    "LFM2-8B-A1B",
    "LFM2.5-Instruct",
    "microsoft-Phi-3.5-mini-instruct",
    "MiMo-VL",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
    "Qwen-QwQ-32B",
    "Qwen-Qwen2.5-7B-Instruct",
    "Qwen-Qwen3-0.6B",
    "Qwen3-Coder",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "deepseek-ai-DeepSeek-V3.1",
    "mistralai-Mistral-Nemo-Instruct-2407",
    "unsloth-mistral-Devstral-Small-2507",
)
DIFFERENT = {
    # transformers fails at a message without content.
    **{name: {"null"} for name in _NO_CONTENT},
    # This one shows calls only where the content is none: with transformers an empty one hides them, and none is refused.
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": {"call", "null"},
    # It refuses system messages.
    "google-gemma-2-2b-it": {"off", "system", "tools"},
    # It takes arguments as JSON text alone.
    "meetkai-functionary-medium-v3.2": {"call", "null", "results"},
}
"""Chats that transformers cannot render, or not rightly, and we can; `test_messages.py` says how."""


def rendered(text: str, case: str) -> str:
    said = CASES[case]
    try:
        prompt = render(
            text, said["messages"], tools=said.get("tools"), bos="<BOS>", eos="<EOS>", **said.get("extra", {})
        )
    except ZhiyinError:
        return ""
    return sha256(prompt.encode()).hexdigest()


@pytest.mark.parametrize("name", NOTED)
def test_prompts_are_those_of_transformers(name: str) -> None:
    path = llama_cpp_vocabularies() / "templates" / name
    if not path.is_file():
        pytest.skip("llama.cpp's sources here have no such template")
    text = path.read_text("utf-8")
    if "strftime_now" in text:
        pytest.skip("this template writes today's date")
    prompts = {case: rendered(text, case) for case in CASES}
    assert {case for case in CASES if prompts[case] != NOTED[name][case]} == DIFFERENT.get(
        name.removesuffix(".jinja"), set()
    )
    assert all(prompts[case] for case in DIFFERENT.get(name.removesuffix(".jinja"), ()))


def test_marks_for_training_change_no_prompt() -> None:
    reply = "{% generation %}{% set kept = m.content %}<{{ kept }}>{% endgeneration %}{{ kept }}"
    text = f"{{% for m in messages %}}{reply}{{% endfor %}}"
    assert render(text, [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]) == "<a><b>"
