"""Damaged GGUF files in the real engine: an answer or one sentence, and the engine lives on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop_app.engine.client import Engine, EngineFailed
from desktop_app.engine.protocol import Generate, Load, LoadSettings, SamplingSettings, Tokenize
from desktop_app.library.installed import Library
from tests.benchmarks.attack_gguf import Attack
from tests.support.commands import zhiyin
from tests.support.damaged_gguf import ARRAY, STRING, U32, Parts, damaged
from tests.support.gguf_seeds import seed_files

COUNT = 80
NAMES = (
    "llama-bytes",
    "llama-pieces",
    "llama-words",
    "llama-unigram",
    "qwen3moe",
    "deepseek2",
    "qwen35",
    "rwkv7",
    "rwkv4",
)
ASKED = ({"role": "user", "content": "hello"},)
SHORT = SamplingSettings(max_tokens=4, seed=1)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Parts]:
    return seed_files(tmp_path_factory.mktemp("seeds"), NAMES)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIYIN_HOME", str(tmp_path_factory.mktemp("engine")))
        with Engine() as running:
            yield running


def load(engine: Engine, parts: Parts, path: Path, **settings: int) -> None:
    path.write_bytes(parts.written())
    engine.submit(Load(path, LoadSettings(context=256, **settings))).result(60)


def test_a_sample_ends_in_answers_and_sentences(seeds: dict[str, Parts], tmp_path: Path) -> None:
    """`tests.benchmarks.attack_gguf` tries thousands."""
    rng = random.Random(7)
    attack = Attack(tmp_path, seconds=300)
    try:
        for number in range(COUNT):
            name = rng.choice(NAMES)
            parts = damaged(seeds[name], rng)
            path = tmp_path / f"{name}-{number}.gguf"
            path.write_bytes(parts.written())
            attack.use(path, parts.what)
    finally:
        attack.close()
    assert attack.outcome.failures == []
    assert not attack.outcome.crashes
    assert attack.outcome.answered > COUNT / 10


def test_an_empty_prompt(engine: Engine, seeds: dict[str, Parts], tmp_path: Path) -> None:
    """There are no logits before the first token."""
    parts = seeds["llama-bytes"].copy()
    parts.put("tokenizer.chat_template", STRING, b"{{ '' }}")
    load(engine, parts, tmp_path / "silent.gguf")
    with pytest.raises(EngineFailed, match="becomes an empty prompt"):
        engine.submit(Generate(ASKED, SHORT)).result(60)
    assert engine.submit(Tokenize("")).result(60).ids == []


@pytest.mark.parametrize("mapped", [True, False])
def test_an_alignment_that_ggml_cannot_map(
    engine: Engine, seeds: dict[str, Parts], tmp_path: Path, mapped: bool
) -> None:
    parts = seeds["llama-bytes"].copy()
    parts.put("general.alignment", U32, 1)
    parts.lay_out(random.Random(0))
    path = tmp_path / "packed.gguf"
    path.write_bytes(parts.written())
    engine.submit(Load(path, LoadSettings(context=256, mmap=mapped))).result(60)
    assert engine.submit(Generate(ASKED, SHORT)).result(60).prompt_tokens


def test_a_vocabulary_without_bytes(engine: Engine, seeds: dict[str, Parts], tmp_path: Path) -> None:
    """llama.cpp ends the process at a character that has neither a token nor tokens for its bytes."""
    parts = seeds["llama-pieces"].copy()
    tokens = parts.pair("tokenizer.ggml.tokens")
    assert tokens is not None
    kind, texts = tokens.value
    parts.put("tokenizer.ggml.tokens", ARRAY, (kind, [text.replace(b"<0x", b"<no") for text in texts]))
    load(engine, parts, tmp_path / "letters.gguf")
    assert engine.submit(Tokenize("hello 知音<|im_end|>")).result(60).ids
    with pytest.raises(EngineFailed, match="no token for 'z'"):
        engine.submit(Tokenize("hello z")).result(60)


def test_rows_of_the_head_beyond_the_vocabulary(engine: Engine, seeds: dict[str, Parts], tmp_path: Path) -> None:
    """Our own runner takes such files; their text is empty."""
    parts = seeds["rwkv4"].copy()
    for key in ("tokens", "token_type"):
        pair = parts.pair(f"tokenizer.ggml.{key}")
        assert pair is not None
        pair.value = (pair.value[0], pair.value[1][:270])
    load(engine, parts, tmp_path / "short.gguf")
    reply = engine.submit(
        Generate(ASKED, SamplingSettings(max_tokens=40, temperature=5, top_k=0, top_p=1, min_p=0, seed=1))
    )
    assert reply.result(60).tokens


@pytest.mark.parametrize(
    "settings",
    [{"context": -1}, {"context": 2**40}, {"batch": 0}, {"threads": 10**6}, {"gpu_layers": -2}, {"logit_rows": 0}],
)
def test_settings_that_cannot_be(
    settings: dict[str, int], engine: Engine, seeds: dict[str, Parts], tmp_path: Path
) -> None:
    path = tmp_path / "good.gguf"
    path.write_bytes(seeds["llama-bytes"].written())
    engine.submit(Load(path, LoadSettings(context=256))).result(60)
    process = engine.pid
    with pytest.raises(EngineFailed):
        engine.submit(Load(path, LoadSettings(**settings))).result(60)
    engine.submit(Load(path, LoadSettings(context=256))).result(60)
    assert engine.pid == process


def test_a_context_beyond_all_numbers(seeds: dict[str, Parts], tmp_path: Path) -> None:
    path = tmp_path / "good.gguf"
    path.write_bytes(seeds["llama-bytes"].written())
    done = zhiyin("chat", "-m", str(path), "--prompt", "hello", "--ctx", "1" + "0" * 23)
    assert done.returncode == 2
    assert "must lie between 1 and 2147483392" in done.stderr


def test_a_kind_that_is_no_text(seeds: dict[str, Parts], tmp_path: Path) -> None:
    parts = seeds["llama-bytes"].copy()
    parts.put("general.type", ARRAY, (U32, []))
    path = tmp_path / "model.gguf"
    path.write_bytes(parts.written())
    assert Library(tmp_path / "models").import_file(path).path == path
