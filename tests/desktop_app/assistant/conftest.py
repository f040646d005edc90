"""What the tests of assistants share: a model that takes no time."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from converter.pipeline import ConvertRequest, convert
from tests.support.acting import CONTEXT
from tests.support.answering import write_answering
from tests.support.random_llama import random_llama

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random tiny model that knows no tools, so that its calls are JSON."""
    folder = tmp_path_factory.mktemp("tiny")
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
