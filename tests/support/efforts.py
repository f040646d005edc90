"""A model that says how long it was asked to think, in one token."""

from __future__ import annotations

from pathlib import Path

from converter.pipeline import ConvertRequest, convert
from models.chat.efforts import EFFORTS
from tests.support.answering import write_answering
from tests.support.random_llama import random_llama

SAID = {"low": "Briefly.", "medium": "As usual.", "high": "Deeply."}
_MARKS = {effort: f"<|{effort}|>" for effort in EFFORTS}
_TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}{{ '<|' + (reasoning_effort or 'medium') + '|>' }}"


def effort_model(folder: Path) -> Path:
    """Convert it; its template is as gpt-oss's in this."""
    source = write_answering(
        folder / "checkpoint",
        random_llama,
        [token for effort in EFFORTS for token in (_MARKS[effort], SAID[effort])],
        control=(*_MARKS.values(), "<|end|>"),
        words=tuple(SAID.values()),
        ends=("<|end|>",),
        template=_TEMPLATE,
    )
    return convert(ConvertRequest(source, folder / "effort.gguf", "F32")).path
