"""llama.cpp's recurrent models go back to a snapshot where a chat changes, instead of reading all of it again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.generation import generate
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import LoadSettings, SamplingSettings
from desktop_app.engine.results import Reply
from desktop_app.engine.runner import Runner
from models.errors import Cancelled
from tests.support.checkpoints import write_safetensors
from tests.support.random_rwkv import random_rwkv


@pytest.fixture(scope="module", params=["6", "7"])
def runner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("rwkv")
    write_safetensors(folder / "RWKV-x.safetensors", random_rwkv(request.param, 2))
    out: Path = folder / "model.gguf"
    convert(ConvertRequest(folder / "RWKV-x.safetensors", out, "F32", tokenizer="none"))
    loaded = load_runner(out, LoadSettings(context=0, threads=2, batch=16), lambda part: None)
    yield loaded
    loaded.close()


def reply_to(runner: Runner, prompt: list[int], count: int = 8) -> tuple[Reply, list[int]]:
    settings = SamplingSettings(temperature=0, max_tokens=count)
    # No vocabulary: what llama.cpp would call an end or a piece must not be asked of it.
    runner.vocabulary.is_end = lambda token: False
    runner.vocabulary.piece = lambda token: b""
    reply = generate(runner, prompt, settings, lambda text: None, lambda part: None)
    return reply, list(runner.tokens)


def test_the_same_and_another_question_use_what_was_read(runner: Runner) -> None:
    rng = np.random.default_rng(4)
    first, second = rng.integers(0, 96, 40).tolist(), rng.integers(0, 96, 20).tolist()
    runner.truncate(0)
    _, fresh = reply_to(runner, first)
    again, tokens = reply_to(runner, first)
    assert again.reused_tokens == len(first) - 1
    assert tokens == fresh
    longer = fresh + second
    reply, tokens = reply_to(runner, longer)
    assert reply.reused_tokens == len(fresh)
    edited = fresh[: len(first) + 2] + second
    reply, after_edit = reply_to(runner, edited)
    assert reply.reused_tokens == len(first) - 1
    runner.truncate(0)
    assert reply_to(runner, edited)[1] == after_edit
    runner.truncate(0)
    assert reply_to(runner, longer)[1] == tokens


def test_snapshots_of_another_text_are_not_used(runner: Runner) -> None:
    rng = np.random.default_rng(5)
    texts = [rng.integers(0, 96, 40).tolist() for _ in range(2)]
    runner.truncate(0)
    fresh = [reply_to(runner, text)[1] for text in texts]
    assert [reply_to(runner, text)[1] for text in texts] == fresh


def test_a_stop_goes_back_to_a_snapshot(runner: Runner) -> None:
    rng = np.random.default_rng(6)
    first, second = rng.integers(0, 96, 40).tolist(), rng.integers(0, 96, 400).tolist()
    runner.truncate(0)
    _, fresh = reply_to(runner, first, 1)
    timer = threading.Timer(0.003, runner.interrupt, (True,))
    timer.start()
    try:
        runner.decode(second)
    except Cancelled:
        assert list(runner.tokens) == (fresh + second)[: len(runner.tokens)]
    timer.join()
    runner.interrupt(False)
    assert reply_to(runner, first, 1)[1] == fresh


def test_a_stop_while_reading_loses_one_batch_at_most(runner: Runner) -> None:
    text = np.random.default_rng(7).integers(0, 96, 200).tolist()
    runner.truncate(0)
    _, fresh = reply_to(runner, text)
    runner.truncate(0)
    with pytest.raises(Cancelled):
        runner.decode(text, on_progress=lambda part: runner.interrupt(part > 0.6))
    runner.interrupt(False)
    read = len(runner.tokens)
    assert 0.6 < read / len(text) < 0.8
    reply, tokens = reply_to(runner, text)
    assert (reply.reused_tokens, tokens) == (read, fresh)
