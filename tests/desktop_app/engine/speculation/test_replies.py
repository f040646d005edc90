"""However wrong guesses are, a reply stays what it is: its tokens, its draws, its end, and what the sequence holds then."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.backends import prepare_environment
from desktop_app.engine.client import Engine
from desktop_app.engine.generation import generation
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import Complete, Load, LoadSettings, SamplingSettings
from desktop_app.engine.results import Reply
from desktop_app.engine.runner import Runner
from desktop_app.engine.scheduler import Running, Scheduler
from desktop_app.engine.speculation.draft_model import DraftModel
from desktop_app.engine.speculation.draft_pace import DraftPace
from desktop_app.engine.speculation.drafts import Drafts
from desktop_app.engine.speculation.pace import Pace
from desktop_app.sequences import MOST_GUESSES
from models.vocab.byte_level import written
from tests.support.checkpoints import checkpoint_of_gguf, write_checkpoint
from tests.support.random_llama import random_llama

PROMPT = [ord(letter) for letter in "It was a dark and stormy night; it was a dark"]
SAMPLINGS = {
    "greedy": SamplingSettings(temperature=0, max_tokens=60),
    "drawn": SamplingSettings(temperature=1, top_k=0, top_p=1, min_p=0, seed=7, max_tokens=60),
    "penalties": SamplingSettings(temperature=0.8, seed=3, repeat_penalty=1.3, presence_penalty=0.5, max_tokens=60),
    "bias": SamplingSettings(temperature=0, logit_bias=((100, 3.0), (101, -3.0)), max_tokens=60),
    "grammar": SamplingSettings(temperature=1, seed=5, grammar="root ::= [a-f]+ ([0-9] [a-f]+)*", max_tokens=60),
    "greedy grammar": SamplingSettings(temperature=0, grammar="root ::= [a-f]+ ([0-9] [a-f]+)*", max_tokens=60),
    "full context": SamplingSettings(temperature=1, seed=2),
}


class SomeGuesses(Drafts):
    """Guesses what the reply is known to be, but for every few tokens."""

    def __init__(self, known: Sequence[int], wrong: int) -> None:
        super().__init__(Pace(), PROMPT, MOST_GUESSES, lambda: True)
        self._known, self._wrong = known, wrong
        self._at = 0
        self._rng = np.random.default_rng(wrong)

    def add(self, token: int) -> None:
        self._at += 1

    def next(self, most: int) -> Sequence[int]:
        count = min(most, int(self._rng.integers(0, MOST_GUESSES + 1)))
        guesses = list(self._known[self._at : self._at + count])
        guesses += [0] * (count - len(guesses))
        changed = [(token + 1) % 256 if self._rng.integers(self._wrong) == 0 else token for token in guesses]
        self.guessed += len(changed)
        return changed


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    config, weights = random_llama(vocab_size=257, eos_token_id=256)
    source = write_checkpoint(folder / "checkpoint", config, weights)
    end = {"id": 256, "content": "<end>", "special": True}
    bytes_ = {"type": "BPE", "vocab": {written(bytes([byte])): byte for byte in range(256)}, "merges": []}
    tokenizer = {"added_tokens": [end], "pre_tokenizer": {"type": "ByteLevel", "use_regex": True}, "model": bytes_}
    (source / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    (source / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end>"}), "utf-8")
    return convert(ConvertRequest(source, folder / "model.gguf", "F32")).path


@pytest.fixture(scope="module")
def runner(model: Path) -> Iterator[Runner]:
    prepare_environment()
    loaded = load_runner(model, LoadSettings(context=256, threads=1, kv_type="f32"), lambda part: None)
    assert not loaded.info.embedding
    yield loaded  # type: ignore[misc]
    loaded.close()


def reply_of(
    runner: Runner, sampling: SamplingSettings, drafts: Drafts | None = None, stop_after: int = 0
) -> tuple[Reply, list[int], list[float], list[int]]:
    """Return a reply with its tokens, the logits of each, and what the sequence holds at its end."""
    runner.truncate(0)
    reply, tokens, chosen = written_reply(runner, sampling, drafts, stop_after)
    return reply, tokens, chosen, list(runner.tokens)


def written_reply(
    runner: Runner, sampling: SamplingSettings, drafts: Drafts | None, stop_after: int = 0
) -> tuple[Reply, list[int], list[float]]:
    tokens: list[int] = []
    chosen: list[float] = []

    def note(token: int, logits: np.ndarray) -> None:
        tokens.append(token)
        chosen.append(float(logits[token]))

    scheduler = Scheduler(runner)
    steps = generation(runner.sequences[0], PROMPT, sampling, lambda text: None, None, None, note, drafts)
    ended = scheduler.begin(Running(1, runner.sequences[0], steps, lambda part: None, lambda reply: reply))
    while not ended:
        ended = scheduler.step({1} if stop_after and len(tokens) >= stop_after else ())
    assert isinstance(ended[0].ended, Reply), ended[0].ended
    return ended[0].ended, tokens, chosen


@pytest.mark.parametrize("wrong", [2, 12], ids=["often wrong", "seldom wrong"])
@pytest.mark.parametrize("name", SAMPLINGS)
def test_a_reply_is_what_it_is_without_guesses(runner: Runner, name: str, wrong: int) -> None:
    plain, tokens, logits, held = reply_of(runner, SAMPLINGS[name])
    guessed, same, near, kept = reply_of(runner, SAMPLINGS[name], SomeGuesses(tokens, wrong))
    assert (same, kept, guessed.text, guessed.reason) == (tokens, held, plain.text, plain.reason)
    assert np.allclose(near, logits, atol=1e-4)
    assert guessed.guessed_tokens > len(tokens) > 20


def test_a_stop_text_ends_it_at_the_same_place(runner: Runner) -> None:
    _, tokens, _, _ = reply_of(runner, SAMPLINGS["drawn"])
    place = next(at for at in range(20, 60) if 32 < tokens[at] < 127 and tokens[at] not in tokens[:at])
    sampling = replace(SAMPLINGS["drawn"], stop=(chr(tokens[place]),))
    plain, _, _, held = reply_of(runner, sampling)
    guessed, _, _, kept = reply_of(runner, sampling, SomeGuesses(tokens, 12))
    assert (guessed.text, guessed.reason, guessed.stop, kept) == (plain.text, "stop", plain.stop, held)


def test_a_stopped_reply_leaves_no_guess_behind(runner: Runner) -> None:
    _, tokens, _, _ = reply_of(runner, SAMPLINGS["drawn"])
    reply, some, _, held = reply_of(runner, SAMPLINGS["drawn"], SomeGuesses(tokens, 3), stop_after=25)
    assert reply.reason == "cancelled"
    assert some == tokens[: len(some)]
    assert held == (PROMPT + some)[: len(held)]
    assert len(held) >= len(PROMPT) + len(some) - 1


class Always(DraftPace):
    """Has three tokens guessed in every step."""

    def worth(self, most: int) -> int:
        return min(3, max(most, 0))

    def note(self, count: int, tokens: int, seconds: float) -> None:
        """Learn nothing."""


@pytest.mark.parametrize("context", [256, 48], ids=["all of the chat", "its end"])
@pytest.mark.parametrize("name", ["greedy", "drawn", "full context"])
def test_a_reply_is_what_it_is_without_a_draft_model(runner: Runner, model: Path, name: str, context: int) -> None:
    plain, tokens, logits, held = reply_of(runner, SAMPLINGS[name])
    draft = DraftModel(load_runner(model, LoadSettings(context=context, threads=1, kv_type="f32"), lambda part: None))  # type: ignore[arg-type]
    drafts = Drafts(Pace(), PROMPT, MOST_GUESSES, lambda: True, (draft, Always()))
    guessed, same, near, kept = reply_of(runner, SAMPLINGS[name], drafts)
    draft.close()
    assert (same, kept, guessed.text, guessed.reason) == (tokens, held, plain.text, plain.reason)
    assert np.allclose(near, logits, atol=1e-4)
    assert guessed.guessed_tokens > len(tokens) / 2
    if name == "greedy" and context == 256:
        assert guessed.right_guesses == guessed.guessed_tokens, "its own best tokens all come true"


class AnyGuess(Drafts):
    """Guesses a token of a few."""

    def __init__(self, tokens: Sequence[int], seed: int) -> None:
        super().__init__(Pace(), PROMPT, MOST_GUESSES, lambda: True)
        self._token = tokens[seed % len(tokens)]

    def next(self, most: int) -> Sequence[int]:
        return (self._token,)[:most]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_draws_follow_the_models_distribution(runner: Runner) -> None:
    """50,000 draws of the token in a guess's place, against the probabilities of the model's own logits."""
    allowed = list(range(60, 68))
    bias = tuple((token, -1e9) for token in range(257) if token not in allowed)
    plain = SamplingSettings(temperature=1, top_k=0, top_p=1, min_p=0, max_tokens=2, logit_bias=bias)
    runner.truncate(0)
    runner.decode(PROMPT)
    first = probabilities(runner.logits()[allowed])
    expected = np.zeros(len(allowed))
    for token, probability in zip(allowed, first, strict=True):
        runner.truncate(len(PROMPT))
        runner.decode((token,))
        expected += probability * probabilities(runner.logits()[allowed])
    counts, right, draws = np.zeros(len(allowed)), 0, 50_000
    for seed in range(draws):
        guesses = AnyGuess(allowed, seed)
        _, tokens, _ = written_reply(runner, replace(plain, seed=seed), guesses)
        counts[allowed.index(tokens[1])] += 1
        right += tokens[1] == guesses.next(1)[0]
    chi_squared = float(((counts - draws * expected) ** 2 / (draws * expected)).sum())
    assert draws / 16 < right < draws / 4
    assert chi_squared < 24.3, "seven degrees of freedom: one in a thousand is larger"


def probabilities(logits: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.exp(logits - logits.max()).astype(np.float64)
    return found / found.sum()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_thousand_tokens_are_the_same(starter_gguf: Path) -> None:
    """With one thread: ggml then adds up what a token alone and several at once find in the same order."""
    text = (Path(__file__).parents[4] / "docs" / "server.md").read_text("utf-8")[:2500]
    with Engine() as engine:
        engine.submit(Load(starter_gguf, LoadSettings(context=4096, threads=1))).result(60)
        ends = tuple((token, -1e9) for token in (0, 1, 2))
        sampling = SamplingSettings(temperature=0, max_tokens=2000, logit_bias=ends)
        plain = engine.submit(Complete(text, replace(sampling, guesses=False))).result()
        guessed = engine.submit(Complete(text, sampling)).result()
    assert plain.tokens == guessed.tokens == 2000
    assert guessed.text == plain.text
    assert guessed.right_guesses > 200


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_small_file_of_a_model_guesses_for_a_large_one(starter_gguf: Path, tmp_path: Path) -> None:
    source = checkpoint_of_gguf(starter_gguf, tmp_path / "SmolLM2", dtype="F16")
    large = convert(ConvertRequest(source, tmp_path / "large.gguf", "F16")).path
    small = convert(ConvertRequest(source, tmp_path / "small.gguf", "Q2_K")).path
    sampling = SamplingSettings(temperature=0, max_tokens=400)
    replies = []
    for draft in (None, small):
        with Engine() as engine:
            engine.submit(Load(large, LoadSettings(context=1024, threads=1, draft=draft))).result(60)
            asked = Complete("Once upon a time there was a fox who learned to read.", sampling)
            replies.append(engine.submit(asked).result())
    assert replies[0].text == replies[1].text
    assert replies[1].right_guesses > replies[0].right_guesses
