"""`zhiyin bench --full`: speeds over context length beside bare llama.cpp, the wait for the first token, and guessed tokens."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from desktop_app.commands.session import LoadedSession
from desktop_app.commands.terminal import ProgressLine
from desktop_app.engine.client import Answers, Engine, EngineFailed
from desktop_app.engine.protocol import Generate, Load, Measure, SamplingSettings, Text, Update
from desktop_app.engine.results import Durations, Reply
from desktop_app.plots import Line, Panel, linear_ticks, svg

_LENGTHS = (128, 512, 1024, 2048, 4096, 8192)
_TOKENS = 32
_ROUNDS = 3
_SECONDS_OF_LENGTHS, _SECONDS_OF_GUESSES = 60.0, 30.0
"""After which nothing more is begun, as what was measured before promises: a slow computer gets fewer lengths and rounds."""
_LONGER = 1.3
"""Times longer than by the tokens alone: attention grows with them."""
_READING, _WRITING = 10.0, 6.0
"""Seconds that one prompt and one reply are to take at most."""
_REPLY, _SHORTEST = 200, 48
_QUESTION = "Repeat the text word for word, but write seven wherever it says two.\n\n"
_WORDS = (
    "river",
    "stone",
    "of",
    "the",
    "two",
    "music",
    "friend",
    "light",
    "house",
    "under",
    "trees",
    "with",
    "doors",
    "and",
)


@dataclass(frozen=True)
class AtLength:
    """Tokens a second at a length of the context."""

    length: int
    reads: float
    writes: float
    bare_reads: float | None
    bare_writes: float | None
    """None: llama.cpp does not run this model."""


@dataclass(frozen=True)
class FirstToken:
    """Seconds from a question to the first piece of its answer."""

    tokens: int
    """Of the chat before the answer."""
    cold: float
    """In a chat that nothing is remembered of."""
    warm: float
    """The next question of the same chat."""
    resumed: float
    """The next question after the program was started anew; the model is loaded again already."""


@dataclass(frozen=True)
class Guessing:
    """A reply that repeats a text with one change, tokens a second."""

    plain: float
    guessed: float
    right: float
    """Of the guesses, the part that came true."""


@dataclass(frozen=True)
class Full:
    """Everything that is measured; None: the model has no chat template."""

    lengths: Sequence[AtLength]
    first_token: FirstToken | None
    guessing: Guessing | None


def measure(session: LoadedSession) -> Full:
    """Measure a loaded model; takes minutes."""
    line = ProgressLine()
    try:
        lengths = _over_lengths(session, line)
        if not session.info.chat:
            return Full(lengths, None, None)
        line.show(0.7, "the wait for the first token")
        first_token = _first_token(session, lengths[0].reads)
        line.show(0.9, "guessed tokens")
        return Full(lengths, first_token, _guessing(session.engine, lengths[0].writes))
    finally:
        line.clear()


def _over_lengths(session: LoadedSession, line: ProgressLine) -> list[AtLength]:
    room = session.info.context or _LENGTHS[-1] + _TOKENS
    drawn = tuple(np.random.default_rng(1).integers(0, session.info.vocabulary_size, _LENGTHS[-1]).tolist())
    lengths_measured: list[AtLength] = []
    end, promised = time.monotonic() + _SECONDS_OF_LENGTHS, 0.0
    for number, length in enumerate(_LENGTHS):
        if number:
            promised *= _LONGER * length / _LENGTHS[number - 1]
        if length + _TOKENS > room or time.monotonic() + promised > end:
            break
        line.show(0.7 * number / len(_LENGTHS), f"{length} tokens of context")
        at, promised = _at_length(session.engine, drawn[:length], end)
        lengths_measured.append(at)
    return lengths_measured


def _at_length(engine: Answers, ids: tuple[int, ...], end: float) -> tuple[AtLength, float]:
    """Measure rounds until a time, one at least; return with what was found how long the shortest took."""
    ours: list[Durations] = []
    bare: list[Durations] = []
    shortest = math.inf
    for number in range(_ROUNDS):
        start = time.monotonic()
        if number and start + shortest > end:
            break
        for is_bare in (False, True) if number % 2 else (True, False):
            try:
                durations = engine.submit(Measure(ids, _TOKENS, bare=is_bare)).result()
            except EngineFailed:
                if not is_bare:
                    raise
            else:
                (bare if is_bare else ours).append(durations)
        shortest = min(shortest, time.monotonic() - start)
    reads, writes = _speeds(ours, len(ids))
    return AtLength(len(ids), reads, writes, *(_speeds(bare, len(ids)) if bare else (None, None))), shortest


def _speeds(durations: Sequence[Durations], length: int) -> tuple[float, float]:
    return length / median(one.prompt_seconds for one in durations), _TOKENS / median(one.seconds for one in durations)


def _first_token(session: LoadedSession, reads: float) -> FirstToken:
    text = " ".join(np.random.default_rng(2).choice(_WORDS, _text_words(session, reads)))
    chat = [{"role": "user", "content": text}]
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "chat"
        reply, cold = _asked(session.engine, chat, state)
        chat += [{"role": "assistant", "content": reply.text}, {"role": "user", "content": "And then?"}]
        _, warm = _asked(session.engine, chat, state)
        with Engine() as engine:
            engine.submit(Load(session.model.path, session.planned.settings)).result()
            reply, resumed = _asked(engine, chat, state)
    return FirstToken(reply.prompt_tokens, cold, warm, resumed)


def _text_words(session: LoadedSession, reads: float) -> int:
    return min(1500, (session.info.context or 4096) // 3, max(_SHORTEST, round(_READING * reads)))


def _asked(engine: Answers, chat: Sequence[dict[str, str]], state: Path) -> tuple[Reply, float]:
    """Return a short reply, and the seconds to its first piece."""
    first: list[float] = []

    def listen(update: Update) -> None:
        if isinstance(update, Text) and not first:
            first.append(time.perf_counter())

    start = time.perf_counter()
    reply = engine.submit(
        Generate(tuple(chat), SamplingSettings(temperature=0, max_tokens=8), state=state), listen
    ).result()
    return reply, (first[0] if first else time.perf_counter()) - start


def _guessing(engine: Answers, writes: float) -> Guessing:
    length = min(_REPLY, max(_SHORTEST, round(_WRITING * writes)))
    text = " ".join(np.random.default_rng(3).choice(_WORDS, length))
    messages = ({"role": "user", "content": _QUESTION + text},)
    speeds: dict[bool, list[float]] = {False: [], True: []}
    right, end = 0.0, time.monotonic() + _SECONDS_OF_GUESSES
    for number in range(_ROUNDS + 1):
        if number > 1 and time.monotonic() > end:
            break
        for guesses in (False, True) if number % 2 else (True, False):
            sampling = SamplingSettings(temperature=0, max_tokens=length, guesses=guesses)
            reply = engine.submit(Generate(messages, sampling)).result()
            speeds[guesses].append(reply.tokens / max(reply.seconds, 1e-9))
            right = reply.right_guesses / reply.guessed_tokens if reply.guessed_tokens else right
    plain, guessed = (median(speeds[guesses][1:]) for guesses in (False, True))
    return Guessing(plain, guessed, right)


def rows(full: Full) -> list[tuple[str, ...]]:
    """Return the table."""
    table: list[tuple[str, ...]] = [
        ("context", "reads", "bare llama.cpp", "ratio", "writes", "bare llama.cpp", "ratio")
    ]
    for at in full.lengths:
        table.append(
            (
                f"{at.length} tokens",
                *_beside(at.reads, at.bare_reads),
                *_beside(at.writes, at.bare_writes),
            )
        )
    return table


def _beside(ours: float, bare: float | None) -> tuple[str, str, str]:
    if bare is None:
        return f"{ours:.1f} tokens/s", "", ""
    return f"{ours:.1f} tokens/s", f"{bare:.1f} tokens/s", f"{ours / bare:.3f}"


def sentences(full: Full) -> list[tuple[str, str]]:
    """Return what the table has no place for."""
    lines = []
    if (first := full.first_token) is not None:
        lines += [
            ("first token, new chat", f"{first.cold:.2f} s"),
            ("first token, next question", f"{first.warm:.2f} s after {first.tokens} tokens"),
            ("first token, after a restart", f"{first.resumed:.2f} s after {first.tokens} tokens"),
        ]
    if (guessing := full.guessing) is not None:
        ratio = guessing.guessed / guessing.plain
        lines += [
            ("repeats a text", f"{guessing.plain:.1f} tokens/s"),
            (
                "with guessed tokens",
                f"{guessing.guessed:.1f} tokens/s, {ratio:.2f} times as fast; {guessing.right:.0%} of the guesses were right",
            ),
        ]
    return lines


def picture(full: Full, title: str) -> str:
    """Return the speeds over context length as SVG."""
    lengths = [at.length for at in full.lengths]
    reads = _panel(
        f"{title}: reading", lengths, [at.reads for at in full.lengths], [at.bare_reads for at in full.lengths]
    )
    writes = _panel(
        f"{title}: writing", lengths, [at.writes for at in full.lengths], [at.bare_writes for at in full.lengths]
    )
    return svg(reads, writes)


def _panel(title: str, lengths: Sequence[int], ours: Sequence[float], bare: Sequence[float | None]) -> Panel:
    places = [number / max(1, len(lengths) - 1) for number in range(len(lengths))]
    end, ticks = linear_ticks(max(value for value in (*ours, *bare) if value is not None))
    beside = [(place, value / end) for place, value in zip(places, bare, strict=True) if value is not None]
    lines = [Line("Zhiyin", [(place, value / end) for place, value in zip(places, ours, strict=True)])]
    if beside:
        lines.append(Line("bare llama.cpp", beside))
    across = [(place, str(length)) for place, length in zip(places, lengths, strict=True)]
    return Panel(title, "tokens of context", "tokens a second", across, ticks, lines)
