"""Whole chats of the GLM family: a checkpoint is converted, the engine process answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Generate, Load, LoadSettings, Prompt, SamplingSettings, Tokenize
from tests.support.answering import write_answering
from tests.support.checkpoints import write_checkpoint
from tests.support.random_glm import random_chatglm, random_chatglm1
from tests.support.random_shared_experts import random_glm4_moe
from tests.support.sentencepieces import processor, trained, with_pieces
from tests.support.vocabularies import llama_cpp_vocabularies

GREEDY = SamplingSettings(temperature=0, max_tokens=8, top_k=1, min_p=0.0)
CALL = "get_weather\n ```python\ntool_call(city='北京')\n```"
TOOLS = ({"type": "function", "function": {"name": "get_weather", "parameters": {}}},)
USER = ({"role": "user", "content": "天气？"},)
CONTROL = ["[MASK]", "[gMASK]", "[sMASK]", "<unused_0>", "<sop>", "<eop>", "<ENC>", "<dBLOCK>"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIYIN_HOME", str(tmp_path_factory.mktemp("engine")))
        with Engine() as running:
            yield running


def answering(weights: dict[str, np.ndarray], embedding: str, head: str, follows: Mapping[int, int]) -> None:
    """Make a model say after certain tokens certain others: its blocks add nothing, its head knows the embeddings."""
    for name, values in weights.items():
        if name.endswith(("dense.weight", "dense.bias", "dense_4h_to_h.weight", "dense_4h_to_h.bias")):
            values[:] = 0
    weights[head] *= 0.01
    for before, after in follows.items():
        weights[head][after] = weights[embedding][before]


def test_chatglm3_calls_a_tool(engine: Engine, tmp_path: Path) -> None:
    rules = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "byte_fallback": True}
    model = with_pieces(trained("bpe", 400, **rules), [(CALL, 4)])
    count = processor(model).vocab_size()
    config, weights = random_chatglm(padded_vocab_size=512, _name_or_path="THUDM/chatglm3-6b")
    follows = {count + 7: count - 1, count - 1: count + 8}  # <|assistant|>, the call, <|observation|>
    table, head = "transformer.embedding.word_embeddings.weight", "transformer.output_layer.weight"
    answering(weights, table, head, follows)
    source = write_checkpoint(tmp_path / "checkpoint", config, weights)
    (source / "tokenizer.model").write_bytes(model)
    out = convert(ConvertRequest(source, tmp_path / "model.gguf", "F32")).path
    engine.submit(Load(out, LoadSettings(context=1024, kv_type="f32"))).result(60)
    reply = engine.submit(Generate(USER, GREEDY, TOOLS)).result(60)
    assert (reply.text, reply.reason) == ("", "end")
    (call,) = reply.tool_calls
    assert call["function"] == {"name": "get_weather", "arguments": json.dumps({"city": "北京"}, ensure_ascii=False)}
    asked = (*USER, {"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool", "content": "晴"})
    ids = engine.submit(Prompt(asked, TOOLS)).result(60).ids
    assert ids.count(count + 7) == 2
    assert ids[-1] == count + 7
    assert count + 8 in ids


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("images", [0, 100])
def test_chatglm1_answers(kind: str, images: int, engine: Engine, tmp_path: Path) -> None:
    specials = [(text, 3) for text in CONTROL] + [(f"<|blank_{n}|>", 4) for n in range(2, 81)] + [("<|tab|>", 4)]
    base = trained(kind, 300, user_defined_symbols=["<n>", "好,世界!"], pad_id=3)
    model = with_pieces(base, specials + [(f"<0x{byte:02X}>", 6) for byte in range(256)], byte_fallback=True)
    library = processor(model)
    sop, answer = (images + library.piece_to_id(text) for text in ("<sop>", "好,世界!"))
    ids = {"mask_token_id": sop - 4, "gmask_token_id": sop - 3, "bos_token_id": sop, "eos_token_id": sop + 1}
    config, weights = random_chatglm1(vocab_size=images + library.vocab_size() + 8, **ids)
    answering(weights, "transformer.word_embeddings.weight", "lm_head.weight", {sop: answer, answer: sop + 1})
    source = write_checkpoint(tmp_path / "checkpoint", config, weights)
    (source / "ice_text.model").write_bytes(model)
    out = convert(ConvertRequest(source, tmp_path / "model.gguf", "F32")).path
    engine.submit(Load(out, LoadSettings(context=256, kv_type="f32"))).result(60)

    def encoded(text: str) -> list[int]:
        return [images + number for number in library.encode(text)] + [sop - 3, sop]

    text = "def main():\n    print('你好')\t# [gMASK]<sop>"
    written = "def main():<n><|blank_4|>print('你好')<|tab|># [gMASK]<sop>"
    assert engine.submit(Tokenize(text)).result(60).ids == encoded(written)
    assert engine.submit(Prompt(({"role": "user", "content": text},))).result(60).ids == encoded(written)
    chat = (
        {"role": "user", "content": "<eop>"},
        {"role": "assistant", "content": "好"},
        {"role": "user", "content": "再见"},
    )
    rounds = "[Round 0]<n>问：<eop><n>答：好<n>[Round 1]<n>问：再见<n>答："
    assert engine.submit(Prompt(chat)).result(60).ids == encoded(rounds)
    reply = engine.submit(Generate(chat, GREEDY)).result(60)
    assert (reply.text, reply.reason) == ("好，世界！", "end")


ROLES = ("<|user|>", "<|assistant|>", "<|observation|>", "<|endoftext|>")
TAGS = ("<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>")
WORDS = ("get_weather", "city", "Rome")
SAID = (
    "<|assistant|>", "<tool_call>", "get_weather", "<arg_key>", "city", "</arg_key>", "<arg_value>", "Rome", "</arg_value>",
    "</tool_call>", "<|observation|>",
)  # fmt: skip


@pytest.mark.parametrize("special", [False, True], ids=["tags are words", "tags are control tokens"])
def test_glm45_calls_a_tool(special: bool, engine: Engine, tmp_path: Path) -> None:
    template = llama_cpp_vocabularies() / "templates" / "GLM-4.6.jinja"
    if not template.is_file():
        pytest.skip("llama.cpp's sources here have no such template")
    source = write_answering(
        tmp_path / "checkpoint",
        partial(random_glm4_moe, max_position_embeddings=1024),
        SAID,
        control=(*ROLES, *TAGS) if special else ROLES,
        words=WORDS if special else (*TAGS, *WORDS),
        ends=("<|endoftext|>", "<|user|>", "<|observation|>"),
        template=template.read_text("utf-8"),
    )
    path = convert(ConvertRequest(source, tmp_path / "model.gguf", "F32")).path
    engine.submit(Load(path, LoadSettings(context=1024, kv_type="f32"))).result(60)
    asked = ({"role": "user", "content": "Weather?"},)
    reply = engine.submit(Generate(asked, replace(GREEDY, max_tokens=12), TOOLS)).result(60)
    assert (reply.text, reply.reason) == ("", "end")
    (call,) = reply.tool_calls
    assert call["function"] == {"name": "get_weather", "arguments": '{"city": "Rome"}'}
    answered = (
        *asked,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "sunny"},
    )
    assert engine.submit(Generate(answered, replace(GREEDY, max_tokens=12), TOOLS)).result(60).reason == "end"
