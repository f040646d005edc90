"""A random tiny model that chats: it takes no time, and whatever it says is nonsense."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from converter.pipeline import ConvertRequest, convert
from tests.support.acting import CONTEXT
from tests.support.answering import write_answering
from tests.support.random_llama import random_llama

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def tiny_chat(folder: Path) -> Path:
    """Write one that knows no tools, so that its calls are JSON."""
    source = write_answering(
        folder / "checkpoint",
        partial(random_llama, max_position_embeddings=CONTEXT),
        (),
        control=("<|im_end|>", "<|im_start|>"),
        words=(),
        ends=("<|im_end|>",),
        template=TEMPLATE,
    )
    return convert(ConvertRequest(source, folder / "model.gguf", "F32")).path
