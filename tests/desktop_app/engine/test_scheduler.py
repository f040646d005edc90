"""Several replies at once in a real engine: each is the one that it would be alone, and none waits for another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from desktop_app.engine.client import Engine, EngineFailed, Job
from desktop_app.engine.protocol import (
    Complete,
    Load,
    LoadSettings,
    Progress,
    SamplingSettings,
    Stats,
    Text,
    Tokenize,
    Unload,
    Update,
)
from desktop_app.engine.results import Reply
from tests.support.byte_llama import byte_llama
from tests.support.rwkv_world import world_model

CONTEXT = 512
PROMPTS = ("a", "bb" * 40, "c", "The quick brown fox " * 6, "ee", "f")


def greedy(tokens: int) -> SamplingSettings:
    return SamplingSettings(temperature=0, max_tokens=tokens)


@dataclass
class Asked:
    """A request under way, with what was heard of it."""

    engine: Engine
    text: str
    tokens: int = 40
    updates: list[Update] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    """Shared among several: the texts of those that ended."""

    def __post_init__(self) -> None:
        self.begun = threading.Event()
        self.job: Job[Reply] = self.engine.submit(Complete(self.text, greedy(self.tokens)), self.hear)
        self.job.future.add_done_callback(lambda _: self.order.append(self.text))

    def hear(self, update: Update) -> None:
        self.updates.append(update)
        self.begun.set()

    @property
    def reply(self) -> Reply:
        return self.job.result(120)


@pytest.fixture(scope="module", params=["llama", "rwkv7"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    if request.param == "rwkv7":
        return world_model(folder, "7", "RWKV")
    return byte_llama(folder)


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as running:
        yield running


def load(engine: Engine, model: Path, parallel: int) -> None:
    settings = LoadSettings(context=CONTEXT, kv_type="f32", threads=1, batch=128, parallel=parallel)
    assert engine.submit(Load(model, settings)).result(60).sequences == parallel


def test_replies_together_are_those_of_each_alone(engine: Engine, model: Path) -> None:
    load(engine, model, 1)
    alone = [Asked(engine, text).reply.text for text in PROMPTS]
    load(engine, model, 3)
    assert [asked.reply.text for asked in [Asked(engine, text) for text in PROMPTS]] == alone
    again = [asked.reply for asked in [Asked(engine, text) for text in PROMPTS[:3]]]
    assert [reply.text for reply in again] == alone[:3]
    assert all(alone)


def test_a_short_reply_overtakes_a_long_one(engine: Engine, model: Path) -> None:
    load(engine, model, 2)
    order: list[str] = []
    long = Asked(engine, "long", 400, order=order)
    long.begun.wait(60)
    short = Asked(engine, "short", 4, order=order)
    assert short.reply.tokens == 4
    assert engine.submit(Tokenize("hello")).result(60).ids, "what asks nothing of the sequences does not wait either"
    assert engine.submit(Stats()).result(60).resident_bytes
    assert long.reply.tokens > 4
    assert order == ["short", "long"]


def test_more_requests_than_sequences_wait_their_turn(engine: Engine, model: Path) -> None:
    load(engine, model, 2)
    order: list[str] = []
    asked = [Asked(engine, str(number), 6, order=order) for number in range(7)]
    assert all(one.reply.tokens for one in asked)
    assert sorted(order) == [str(number) for number in range(7)]


def test_a_cancelled_reply_takes_no_other_along(engine: Engine, model: Path) -> None:
    load(engine, model, 1)
    alone = Asked(engine, "stays", 60).reply.text
    load(engine, model, 2)
    for _ in range(3):
        leaving, staying = Asked(engine, "leaves", 400), Asked(engine, "stays", 60)
        waiting = Asked(engine, "never begins", 400)
        leaving.begun.wait(60)
        waiting.job.cancel()
        leaving.job.cancel()
        assert leaving.reply.reason == "cancelled"
        assert (waiting.reply.reason, waiting.reply.tokens) == ("cancelled", 0)
        assert staying.reply.text == alone


def test_a_prompt_that_is_too_long_takes_no_other_along(engine: Engine, model: Path) -> None:
    load(engine, model, 2)
    if engine.submit(Load(model, LoadSettings(context=CONTEXT, parallel=2))).result(60).context == 0:
        pytest.skip("a recurrent model has no limit")
    staying = Asked(engine, "stays", 60)
    with pytest.raises(EngineFailed, match="context"):
        _ = Asked(engine, "x" * 2000).reply
    assert staying.reply.tokens == 60
    full = Asked(engine, "y" * 500, 400).reply
    assert full.reason == "full"
    assert full.prompt_tokens + full.tokens == CONTEXT + 1  # the last one is shown, not decoded


@pytest.mark.slow  # for a busy computer: on a quiet one this model reads the prompt between two texts, thirty a second at most
def test_a_running_reply_goes_on_while_a_long_prompt_is_read(engine: Engine, model: Path) -> None:
    load(engine, model, 2)
    heard: list[str] = []
    running = Asked(engine, "runs", 450)
    running.begun.wait(60)
    running.hear = lambda update: heard.append("text") if isinstance(update, Text) else None  # type: ignore[method-assign]
    running.job.on_update = running.hear
    long = Asked(engine, "z" * 440, 1)
    long.job.on_update = lambda update: heard.append("part" if isinstance(update, Progress) else "done")
    assert long.reply.tokens == 1
    assert heard.count("text") > 1, "a reply stands still while another's prompt is read"
    assert running.reply.tokens == 450 or running.reply.reason == "end"


def test_a_load_waits_for_the_replies_before_it(engine: Engine, model: Path) -> None:
    load(engine, model, 2)
    order: list[str] = []
    before = [Asked(engine, str(number), 80, order=order) for number in range(3)]
    unload = engine.submit(Unload())
    unload.future.add_done_callback(lambda _: order.append("unload"))
    after = Asked(engine, "after", order=order)
    with pytest.raises(EngineFailed, match="No model"):
        _ = after.reply
    assert all(one.reply.tokens for one in before)
    assert order[3:] == ["unload", "after"]
