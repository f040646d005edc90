"""Texts that are gone on with, and how probable a model takes its tokens to be, held to its own logits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Complete, Generate, Load, LoadSettings, Logits, SamplingSettings, Text, Tokenize
from desktop_app.engine.results import Reply, TokenLogprob

GREEDY = SamplingSettings(temperature=0, max_tokens=12)
START = "The capital of France is"


@pytest.fixture(scope="module")
def engine(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIYIN_HOME", str(tmp_path_factory.mktemp("engine")))
        with Engine() as running:
            running.submit(Load(starter_gguf, LoadSettings(context=1024))).result(60)
            yield running


def completed(engine: Engine, text: str, sampling: SamplingSettings) -> tuple[Reply, list[TokenLogprob]]:
    noted: list[TokenLogprob] = []
    job = engine.submit(
        Complete(text, sampling), lambda update: noted.extend(update.logprobs) if isinstance(update, Text) else None
    )
    reply = job.result(60)
    return reply, [*noted, *reply.logprobs]


def test_a_text_is_gone_on_with_as_it_is(engine: Engine) -> None:
    reply, _ = completed(engine, START, GREEDY)
    assert "Paris" in reply.text
    assert reply.prompt_tokens == len(engine.submit(Tokenize(START)).result().ids)


def test_log_probabilities_are_those_of_the_logits(engine: Engine, tmp_path: Path) -> None:
    reply, noted = completed(engine, START, replace(GREEDY, logprobs=3))
    assert len(noted) == reply.tokens
    assert "".join(entry.text for entry in noted) == reply.text
    ids = engine.submit(Tokenize(START + reply.text)).result().ids
    engine.submit(Logits(tuple(ids), tmp_path / "logits.npy")).result()
    rows = np.load(tmp_path / "logits.npy").astype(np.float64)[reply.prompt_tokens - 1 : -1]
    expected = rows.max(1) - np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1)) - rows.max(1)
    np.testing.assert_allclose([entry.logprob for entry in noted], expected, atol=0.1)  # one by one rounds otherwise
    for entry in noted:
        assert [other.logprob for other in entry.top] == sorted((other.logprob for other in entry.top), reverse=True)
        assert len(entry.top) == 3
        assert entry.top[0].bytes == entry.bytes


def test_none_are_reported_where_nobody_asks(engine: Engine) -> None:
    assert completed(engine, START, GREEDY)[1] == []


def test_a_bias_forbids_or_forces_a_token(engine: Engine) -> None:
    paris = engine.submit(Tokenize(" Paris", add_special=False)).result().ids[0]
    forbidden, _ = completed(engine, START, replace(GREEDY, logit_bias=((paris, -100.0), (1 << 30, 5.0))))
    assert "Paris" not in forbidden.text
    forced, _ = completed(engine, START, replace(GREEDY, logit_bias=((paris, 100.0),), max_tokens=3))
    assert forced.text == " Paris Paris Paris"


def test_what_repeats_itself_is_guessed_and_stays_the_same(engine: Engine) -> None:
    again = "The rain in Spain stays mainly in the plain. " * 8
    plain, expected = completed(engine, again, replace(GREEDY, max_tokens=40, logprobs=0, guesses=False))
    guessed, noted = completed(engine, again, replace(GREEDY, max_tokens=40, logprobs=0))
    assert plain.guessed_tokens == 0
    assert 0 < guessed.right_guesses <= guessed.guessed_tokens
    assert guessed.text == plain.text == "".join(entry.text for entry in noted)
    assert np.allclose([entry.logprob for entry in noted], [entry.logprob for entry in expected], atol=0.1)


@pytest.mark.parametrize("penalty", ["presence_penalty", "frequency_penalty"])
def test_penalties_keep_a_text_from_repeating_itself(engine: Engine, penalty: str) -> None:
    again = "rain, rain, rain, rain, rain, rain, rain, rain,"
    plain, _ = completed(engine, again, GREEDY)
    penalised, _ = completed(engine, again, replace(GREEDY, **{penalty: 5.0}))
    assert plain.text.count("rain") > penalised.text.count("rain")


def test_a_chat_reports_them_too(engine: Engine) -> None:
    reply = engine.submit(
        Generate(({"role": "user", "content": "Say yes."},), replace(GREEDY, max_tokens=1, logprobs=0))
    ).result(60)
    assert reply.tokens == 1
