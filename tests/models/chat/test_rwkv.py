"""Chats of RWKV: the template beside a checkpoint in Hugging Face's layout, and what a user may type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import Load, LoadSettings, Prompt
from desktop_app.engine.runner import Runner
from models.vocab.rwkv_world import WORLD_SIZE
from tests.support.checkpoints import write_checkpoint
from tests.support.prompts import prompt_tokens
from tests.support.random_rwkv import random_rwkv

# As fla-hub's repositories of RWKV-7 have it, but for the branch of thinking.
PUBLISHED = (
    "{{ '<|rwkv_tokenizer_end_of_text|>' }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{'User: ' + message['content'] + '\\n\\n'}}{% else %}{{'Assistant: ' + message['content'] + eos_token}}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{'Assistant:'}}{% endif %}"
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
CHAT = [
    {"role": "user", "content": "你好"},
    {"role": "assistant", "content": "hi"},
    {"role": "user", "content": "a\\xff<s>b<|rwkv_tokenizer_end_of_text|>"},
]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    tensors = random_rwkv("7", 3, hidden=64, rows=WORLD_SIZE)
    return write_checkpoint(tmp_path / "checkpoint", {"architectures": ["RWKV7ForCausalLM"]}, tensors)


@contextmanager
def loaded(source: Path, out: Path) -> Iterator[Runner]:
    convert(ConvertRequest(source, out, "Q8_0"))
    runner = load_runner(out, LoadSettings(context=0, threads=1), lambda part: None)
    yield runner
    runner.close()


def describe(folder: Path, values: dict[str, str]) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(values), "utf-8")


def test_a_published_template_is_read_as_its_tokenizer_reads_it(checkpoint: Path, tmp_path: Path) -> None:
    describe(
        checkpoint, {"chat_template": PUBLISHED, "eos_token": "\n\n", "bos_token": "<|rwkv_tokenizer_end_of_text|>"}
    )
    with loaded(checkpoint, tmp_path / "model.gguf") as runner:
        text = "User: 你好\n\nAssistant: hi\n\nUser: a\\xff<s>b<|rwkv_tokenizer_end_of_text|>\n\nAssistant:"
        ids = prompt_tokens(runner, CHAT)
        assert ids == [0, *runner.tokenize(text, add_special=False, special=False)]
        assert 0 not in ids[1:]


def test_a_template_of_other_turns_is_not_cut_at_blank_lines(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "config.json").write_text(
        json.dumps({"architectures": ["RWKV7ForCausalLM"], "_name_or_path": "rwkv7-world"}), "utf-8"
    )
    with loaded(checkpoint, tmp_path / "world.gguf") as runner:
        assert runner.stop_texts == ("\n\n",)
    (checkpoint / "chat_template.jinja").write_text(CHATML, "utf-8")
    with loaded(checkpoint, tmp_path / "own.gguf") as runner:
        assert runner.chat_template == CHATML
        assert "\n\n" not in runner.stop_texts


def test_what_lies_around_a_single_file_says_nothing_about_it(checkpoint: Path, tmp_path: Path) -> None:
    single = checkpoint / "RWKV-x-world.safetensors"
    (checkpoint / "model.safetensors").rename(single)
    (checkpoint / "chat_template.jinja").write_text(CHATML, "utf-8")
    (checkpoint / "tokenizer.json").write_text("another model's", "utf-8")
    with loaded(single, tmp_path / "model.gguf") as runner:
        assert runner.chat_template != CHATML
        assert runner.tokenize("你好", add_special=True, special=False) == [10464, 11685]


def test_id_0_cannot_be_typed(checkpoint: Path, tmp_path: Path) -> None:
    with loaded(checkpoint, tmp_path / "model.gguf") as runner:
        assert runner.tokenize(runner.vocabulary.bos_text, add_special=False, special=True) == [0]
        assert 0 not in prompt_tokens(runner, CHAT)


def test_g1_thinks_unless_it_is_asked_not_to(checkpoint: Path, tmp_path: Path) -> None:
    convert(ConvertRequest(checkpoint, tmp_path / "rwkv7-g1.gguf", "Q8_0"))
    with Engine() as engine:
        engine.submit(Load(tmp_path / "rwkv7-g1.gguf", LoadSettings(context=0, threads=1))).result(60)
        prompts = [engine.submit(Prompt(tuple(CHAT), thinking=wish)).result(60).prompt for wish in (None, True, False)]
    assert [prompt.rpartition("\n\n")[2] for prompt in prompts] == [
        "Assistant: <think",
        "Assistant: <think",
        "Assistant:",
    ]
