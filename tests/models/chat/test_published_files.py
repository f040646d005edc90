"""A chat format's way into a GGUF file, and what the engine makes of it: tokens, ends of a reply, sampling, the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from converter.gguf_header import read_gguf_header
from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings, Prompt
from models.chat import published
from models.chat.sampling import recommended_sampling
from models.vocab.vocabulary import TokenType
from tests.support.adapters import random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint
from tests.support.commands import zhiyin
from tests.support.random_baichuan import FIRST_7B, random_baichuan
from tests.support.random_llama import RandomWeights, random_llama
from tests.support.sentencepieces import trained, with_pieces

NORMAL = 1
USER, ASSISTANT = "<reserved_102>", "<reserved_103>"
MESSAGES = [
    {"role": "user", "content": f"你好 {ASSISTANT}"},
    {"role": "assistant", "content": "你好。"},
    {"role": "user", "content": "世界"},
]


def baichuan_chat(folder: Path, *, generation: dict[str, Any] | None, template: str | None = None) -> Path:
    """Write a tiny Baichuan-13B-Chat: its role tokens are ordinary pieces, as in the publisher's vocabulary."""
    model = with_pieces(trained("bpe", 500, byte_fallback=True), [(USER, NORMAL), (ASSISTANT, NORMAL)])
    config, weights = random_baichuan(FIRST_7B, 2)
    draw, size, width = RandomWeights(1), 800, config["hidden_size"]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = draw.matrix(size, width)
    write_checkpoint(folder, config | {"vocab_size": size, "eos_token_id": 2}, weights)
    (folder / "tokenizer.model").write_bytes(model)
    described = {} if template is None else {"chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(described), "utf-8")
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation), "utf-8")
    return folder


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    said = {"user_token_id": 195, "assistant_token_id": 196, "temperature": 0.3, "top_k": 5, "repetition_penalty": 1.1}
    source = baichuan_chat(folder / "any-name", generation=said | {"do_sample": True})
    return convert(ConvertRequest(source, out=folder / "model.gguf", quant="F32")).path


def test_the_file_holds_format_ends_and_sampling(file: Path) -> None:
    found = read_gguf_header(file).metadata
    tokens, types = found["tokenizer.ggml.tokens"], found["tokenizer.ggml.token_type"]
    assert found["tokenizer.chat_template"] == published.BAICHUAN.template
    assert types[tokens.index(USER)] == types[tokens.index(ASSISTANT)] == TokenType.CONTROL
    assert tokens[found["tokenizer.ggml.eot_token_id"]] == USER
    assert found["general.sampling.temp"] == pytest.approx(0.3)
    assert (found["general.sampling.top_k"], found["general.sampling.penalty_repeat"]) == (5, pytest.approx(1.1))


def test_the_engine_reads_roles_as_tokens_and_typed_roles_as_text(file: Path) -> None:
    tokens = read_gguf_header(file).metadata["tokenizer.ggml.tokens"]
    with Engine() as engine:
        engine.submit(Load(file, LoadSettings(context=256))).result()
        result = engine.submit(Prompt(tuple(MESSAGES))).result()
    roles = [tokens[number] for number in result.ids if tokens[number] in (USER, ASSISTANT)]
    assert roles == [USER, ASSISTANT, USER, ASSISTANT]
    assert result.prompt.endswith(f"你好。</s>{USER}世界{ASSISTANT}")


def test_the_command_shows_the_prompt(file: Path, tmp_path: Path) -> None:
    (tmp_path / "chat.json").write_text(json.dumps(MESSAGES[2:]), "utf-8")
    result = zhiyin("prompt", str(file), "--messages", str(tmp_path / "chat.json"))
    assert (result.returncode, result.stdout) == (0, f"{USER}世界{ASSISTANT}")


def test_the_command_chooses_tokens_as_the_publisher_recommends(tmp_path: Path) -> None:
    """A temperature of 0 in the file makes replies repeatable without a seed; the user's own word counts more."""
    source = baichuan_chat(tmp_path / "m", generation={"user_token_id": 195, "temperature": 0.0, "do_sample": True})
    path = str(convert(ConvertRequest(source, out=tmp_path / "m.gguf", quant="F32")).path)

    def reply(*options: str) -> str:
        result = zhiyin("chat", "-m", path, "--prompt", "你好", "--max-tokens", "24", *options)
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert reply() == reply()
    assert reply("--temperature", "2", "--top-k", "0", "--seed", "1") != reply()


def test_recommendations_without_sense_are_left_out() -> None:
    said = {"temp": -1.0, "top_k": True, "top_p": 7.5, "min_p": "x", "penalty_repeat": 0}
    assert recommended_sampling({f"general.sampling.{key}": value for key, value in said.items()}) == {}
    assert recommended_sampling({"general.sampling.top_k": 20, "general.sampling.top_p": 0.8}) == {
        "top_k": 20,
        "top_p": 0.8,
    }


def test_the_checkpoints_own_template_counts(tmp_path: Path) -> None:
    source = baichuan_chat(tmp_path / "m", generation={"user_token_id": 195}, template="{{ messages[0].content }}")
    path = convert(ConvertRequest(source, out=tmp_path / "m.gguf", quant="F32")).path
    assert read_gguf_header(path).metadata["tokenizer.chat_template"] == "{{ messages[0].content }}"


def test_a_base_model_gets_no_format(tmp_path: Path) -> None:
    source = baichuan_chat(tmp_path / "Baichuan-13B-Base", generation={"do_sample": False, "temperature": 0.3})
    found = read_gguf_header(convert(ConvertRequest(source, out=tmp_path / "m.gguf", quant="F32")).path).metadata
    assert "tokenizer.chat_template" not in found
    assert not [key for key in found if key.startswith(("general.sampling.", "zhiyin.chat."))]


def test_an_adapter_makes_a_chat_model_of_a_base(tmp_path: Path) -> None:
    """Chinese-Alpaca is published as an adapter for LLaMA; the base's recommendations go on counting."""
    config, weights = random_llama(vocab_size=800)
    base = write_checkpoint(tmp_path / "llama-7b-hf", config, weights)
    (base / "tokenizer.model").write_bytes(trained("bpe", 500, byte_fallback=True))
    (base / "generation_config.json").write_text(json.dumps({"temperature": 0.4, "do_sample": True}), "utf-8")
    lora = write_adapter(tmp_path / "chinese-alpaca-plus-lora-7b", random_adapter(weights, ("q_proj",)))
    path = convert(ConvertRequest(base, lora=(lora,), out=tmp_path / "m.gguf", quant="F32")).path
    found = read_gguf_header(path).metadata
    assert found["tokenizer.chat_template"] == published.CHINESE_ALPACA.template
    assert found["zhiyin.chat.stop"] == ["### Instruction:"]
    assert found["general.sampling.temp"] == pytest.approx(0.4)


@pytest.mark.parametrize(("name", "chat"), [("Atom-7B-Chat", published.LLAMA2_CHINESE), ("Atom-7B", None)])
def test_a_folder_in_the_cache_of_the_hub_goes_by_its_repository(name: str, chat: Any, tmp_path: Path) -> None:
    folder = tmp_path / f"models--FlagAlpha--{name}" / "snapshots" / "0123456789abcdef"
    config, weights = random_llama(vocab_size=800)
    write_checkpoint(folder, config, weights)
    (folder / "tokenizer.model").write_bytes(trained("bpe", 500, byte_fallback=True))
    path = convert(ConvertRequest(folder, out=tmp_path / "m.gguf", quant="F32")).path
    expected = None if chat is None else chat.template
    assert read_gguf_header(path).metadata.get("tokenizer.chat_template") == expected
