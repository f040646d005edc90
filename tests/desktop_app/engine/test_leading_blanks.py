"""The space that a tokenizer puts in front of a text is none of a reply's, as its decoder has it."""

from __future__ import annotations

from pathlib import Path

import pytest

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
