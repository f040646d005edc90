"""The loop with random tiny models of several families, in their own notations: a call, its result, an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.assistant.tools.calculator import calculator
from desktop_app.engine.client import Engine
from tests.support.acting import CONTEXT, Notes, assistant, loaded, question
from tests.support.answering import write_answering
from tests.support.checkpoints import write_checkpoint
from tests.support.random_glm import random_chatglm
from tests.support.random_gpt_oss import random_gpt_oss
from tests.support.random_llama import random_llama
from tests.support.scripted_engine import ScriptedEngine
from tests.support.sentencepieces import trained
from tests.support.vocabularies import llama_cpp_vocabularies

JSON_CALL = '{"name": "calculator", "arguments": {"expression": "6 * 7"}}'
HARMONY_MARKS = ("<|channel|>", "<|message|>", "<|end|>", "<|start|>")
MODELS: Mapping[str, tuple[str, tuple[str, ...], str, str]] = {
    "qwen": (
        "Qwen-Qwen2.5-7B-Instruct",
        ("<|im_end|>", "<|im_start|>"),
        f"Let me see.\n<tool_call>\n{JSON_CALL}\n</tool_call>",
        "It is 42.",
    ),
    "llama": (
        "meta-llama-Llama-3.1-8B-Instruct",
        ("<|eot_id|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>"),
        JSON_CALL.replace("arguments", "parameters"),
        "It is 42.",
    ),
    "glm": (
        "GLM-4.6",
        ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|observation|>", "<|system|>"),
        "<tool_call>calculator\n<arg_key>expression</arg_key>\n<arg_value>6 * 7</arg_value>\n</tool_call>",
        "It is 42.",
    ),
    "harmony": (
        "openai-gpt-oss-120b",
        ("<|return|>", "<|call|>", "<|constrain|>", *HARMONY_MARKS),
        "<|channel|>analysis<|message|>I calculate.<|end|><|start|>assistant<|channel|>commentary to=functions.calculator json"
        '<|message|>{"expression": "6 * 7"}',
        "<|channel|>final<|message|>It is 42.",
    ),
}


def model_of(name: str, folder: Path) -> Path:
    """Convert a random tiny model with a published template."""
    template, control, _, _ = MODELS[name]
    path = llama_cpp_vocabularies() / "templates" / f"{template}.jinja"
    if not path.is_file():
        pytest.skip("llama.cpp's sources here have no such template")
    make = partial(random_gpt_oss, packed=False) if name == "harmony" else random_llama
    make = partial(make, max_position_embeddings=CONTEXT)
    source = write_answering(
        folder / "checkpoint",
        make,
        (),
        control=control,
        words=(),
        ends=control[:2] if name == "harmony" else control[:1],
        template=path.read_text("utf-8"),
    )
    return convert(ConvertRequest(source, folder / "model.gguf", "F32")).path


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIYIN_HOME", str(tmp_path_factory.mktemp("engine")))
        with Engine() as running:
            yield running


@pytest.mark.parametrize(
    "name", ["qwen", "harmony", *(pytest.param(name, marks=pytest.mark.slow) for name in ("llama", "glm"))]
)
def test_a_model_calls_the_calculator_and_answers(name: str, engine: Engine, tmp_path: Path) -> None:
    _, _, call, answer = MODELS[name]
    loaded(engine, model_of(name, tmp_path))
    scripted = ScriptedEngine(engine, [call, answer], HARMONY_MARKS if name == "harmony" else ())
    notes = Notes()
    first, result, last = assistant(scripted.as_engine(), [calculator()], notes).run([question()])
    assert [call["name"] for call in first.facts["tool_calls"]] == ["calculator"]
    assert "6 * 7" not in first.content
    assert (result.role, result.content, result.state) == ("tool", "42", "done")
    assert last.content == "It is 42."
    assert notes.text.replace("Let me see.", "").replace("<think>\nI calculate.\n</think>", "").strip() == "It is 42."
    assert [message.parent for message in (result, last)] == [first.id, result.id]


def test_chatglm3_calls_the_calculator_and_answers(engine: Engine, tmp_path: Path) -> None:
    rules = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "byte_fallback": True}
    config, weights = random_chatglm(padded_vocab_size=512, _name_or_path="THUDM/chatglm3-6b", seq_length=CONTEXT)
    source = write_checkpoint(tmp_path / "checkpoint", config, weights)
    (source / "tokenizer.model").write_bytes(trained("bpe", 400, **rules))
    loaded(engine, convert(ConvertRequest(source, tmp_path / "model.gguf", "F32")).path)
    call = "calculator\n ```python\ntool_call(expression='6 * 7')\n```"
    scripted = ScriptedEngine(engine, [call, "42."])
    _, result, last = assistant(scripted.as_engine(), [calculator()], Notes()).run([question()])
    assert (result.content, last.content) == ("42", "42.")
