"""The first and the last token of a reply are written as the publisher's decoder writes those of a text."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Complete, Generate, Load, LoadSettings, SamplingSettings
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama
from tests.support.sentencepieces import trained

FORCED = SamplingSettings(temperature=0, max_tokens=8, grammar='root ::= "  the"')
ASKED = ({"role": "user", "content": "hello"},)
TEMPLATE = "{% for m in messages %}[INST] {{ m['content'] }} [/INST]{% endfor %}"


@pytest.mark.parametrize(("prefix", "text"), [(True, " the"), (False, "  the")])
def test_a_reply_begins_without_it(prefix: bool, text: str, tmp_path: Path) -> None:
    config, weights = random_llama(vocab_size=400)
    checkpoint = write_checkpoint(tmp_path / "checkpoint", config, weights)
    model = trained("bpe", 400, add_dummy_prefix=prefix, remove_extra_whitespaces=False, byte_fallback=True)
    (checkpoint / "tokenizer.model").write_bytes(model)
    (checkpoint / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    out = convert(ConvertRequest(checkpoint, tmp_path / "model.gguf", "F32")).path
    with Engine() as engine:
        engine.submit(Load(out, LoadSettings(context=128, gpu_layers=0))).result(60)
        assert engine.submit(Generate(ASKED, FORCED)).result(60).text == text
        assert engine.submit(Generate(ASKED, FORCED, begun="so")).result(60).text == "so  the"
        assert engine.submit(Complete("hello", FORCED)).result(60).text == "  the"


def words_with_suffix() -> tokenizers.Tokenizer:
    vocab = {text: number for number, text in enumerate(("<unk>", "</s>", "the</w>", "cat</w>"))}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab, [], unk_token=next(iter(vocab)), end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Whitespace(), decoders.BPEDecoder("</w>")
    return tokenizer


def test_a_reply_that_ended_has_no_space_behind_its_last_word(tmp_path: Path) -> None:
    tokenizer = words_with_suffix()
    config, weights = random_llama(vocab_size=4)
    checkpoint = write_checkpoint(tmp_path / "checkpoint", config | {"eos_token_id": 1}, weights)
    tokenizer.save(str(checkpoint / "tokenizer.json"))
    (checkpoint / "tokenizer_config.json").write_text('{"eos_token": "</s>", "unk_token": "<unk>"}', "utf-8")
    (checkpoint / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }} {% endfor %}", "utf-8")
    out = convert(ConvertRequest(checkpoint, tmp_path / "model.gguf", "F32")).path
    replies = []
    with Engine() as engine:
        engine.submit(Load(out, LoadSettings(context=128, gpu_layers=0))).result(60)
        for seed in range(24):
            sampling = SamplingSettings(temperature=2, max_tokens=4, seed=seed)
            replies.append(engine.submit(Generate(ASKED, sampling)).result(60))
    texts = {reason: [r.text for r in replies if r.reason == reason and r.text] for reason in ("end", "length")}
    assert texts["end"]
    assert not any(text.endswith(" ") for text in texts["end"])
    assert all(text.endswith(" ") for text in texts["length"])  # one that was cut can be gone on with
    assert any("the cat" in text or "cat the" in text for text in texts["length"])
