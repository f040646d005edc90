"""A real `zhiyin serve` with the starter model, and two that say certain things: one thinks, one calls a tool."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from converter.pipeline import ConvertRequest, convert
from tests.support.answering import write_answering
from tests.support.commands import without_display
from tests.support.random_gpt_oss import random_gpt_oss

STARTER = "SmolLM2-135M-Instruct"
EMBEDDER = "multilingual-e5-small"
_CONTROL = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|constrain|>", "<|call|>", "<|return|>")
_WORDS = (
    "assistant",
    "commentary",
    "analysis",
    "final",
    " to=functions.get_weather ",
    "json",
    '{"city": "Rome"}',
    "Hm.",
)
_TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}{{ '<|channel|>' if tools }}"
    "{{ '<|start|>assistant' }}"
)
_CALL = (
    *("assistant", "<|channel|>", "commentary", " to=functions.get_weather ", "<|constrain|>", "json", "<|message|>"),
    *('{"city": "Rome"}', "<|call|>"),
)
_THOUGHT = ("assistant", "<|channel|>", "analysis", "<|message|>", "Hm.", "<|end|>", "<|return|>")


@dataclass(frozen=True)
class Served:
    """A running server."""

    address: str
    process: subprocess.Popen[str]
    home: Path


@contextmanager
def served(home: Path, *options: str, before: tuple[str, ...] = (), **environment: str) -> Iterator[Served]:
    """Run `zhiyin serve` on a port of its own with a data folder; `before` is what its command is given to."""
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "desktop_app.cli", "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=(home / "serve.log").open("w"),
        text=True,
        env=without_display()
        | {"ZHIYIN_HOME": str(home), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        | environment,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    try:
        yield Served(process.stdout.readline().strip(), process, home)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def add_talkers(home: Path, scratch: Path) -> None:
    """Put the models `caller`, which calls get_weather, and `thinker`, which thinks "Hm.", into a data folder."""
    for name, chain in (("caller", _CALL), ("thinker", _THOUGHT)):
        source = write_answering(
            scratch / name,
            partial(random_gpt_oss, packed=False),
            chain,
            control=_CONTROL,
            words=_WORDS,
            ends=("<|return|>", "<|call|>"),
            template=_TEMPLATE,
        )
        (home / "models").mkdir(exist_ok=True)
        convert(ConvertRequest(source, home / "models" / f"{name}.gguf", "F32"))
        shutil.rmtree(source)


def open_files(pid: int) -> int:
    """Return how many files and sockets a process has open (Linux)."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
