"""`zhiyin bench`: prompt and generation speed, and the memory that a model takes, loaded as `zhiyin chat` would load it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from desktop_app.commands import bench_full
from desktop_app.commands.options import add_json, add_model
from desktop_app.commands.session import LoadedSession, find_model, loaded_by_plan
from desktop_app.commands.terminal import ProgressLine, human_bytes, print_json, print_table
from desktop_app.engine.client import Engine, EngineFailed
from desktop_app.engine.protocol import LoadSettings, Measure, Stats, Tokenize
from desktop_app.engine.results import Durations
from desktop_app.paths import speed_file
from desktop_app.planning.candidates import model_of_gguf
from desktop_app.planning.planner import plan
from desktop_app.planning.speed import read_speed
from desktop_app.plots import write_picture
from models.errors import ZhiyinError

_PROMPT = 512
_TOKENS = 128
_ROUNDS = 5
_LONGEST = 60.0
"""Seconds after which no further round begins."""


@dataclass(frozen=True)
class Speed:
    """Tokens per second over some rounds."""

    tokens: int
    """In each round."""
    median: float
    lowest: float
    highest: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser)
    parser.add_argument(
        "--full",
        action="store_true",
        help="also speeds over the length of the context beside bare llama.cpp, the wait for the first token, and what guessed "
        "tokens bring; takes minutes",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.svg", help="draw the speeds over the length of the context (with --full)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print speeds and memory."""
    if arguments.plot is not None and not arguments.full:
        raise ZhiyinError("--plot draws what --full measures; add --full.")
    with loaded_by_plan(find_model(arguments.model), LoadSettings(), None) as session:
        full = bench_full.measure(session) if arguments.full else None
        reading, writing = _speeds(session)
        peak = session.engine.submit(Stats()).result().peak_bytes
    info, best = session.info, session.planned.plan.best
    planned = best.shares[0].total if best is not None else None
    predicted = _planned_speed(session)
    if full is not None and arguments.plot is not None:
        write_picture(arguments.plot, bench_full.picture(full, f"{session.model.name}, {info.file_type}"))
    if arguments.json:
        facts = {"model": session.model.name, "file_type": info.file_type, "parameters": info.parameters}
        facts |= {"context": info.context, "prompt": asdict(reading), "generation": asdict(writing)}
        facts |= {"planned_tokens_per_second": predicted, "peak_bytes": peak, "planned_bytes": planned}
        print_json(facts | ({} if full is None else {"full": asdict(full)}))
        return 0
    context = f"{info.context} tokens of context" if info.context else "any context"
    print_table([("model", f"{session.model.name}, {info.file_type}, {context}")])
    print()
    print_table(
        [
            ("", "measured", "from", "to", "planned"),
            _row(f"reads {reading.tokens} tokens", reading, None),
            _row(f"writes {writing.tokens} tokens", writing, predicted),
            ("main memory, at most", human_bytes(peak), "", "", "" if planned is None else human_bytes(planned)),
        ]
    )
    if full is not None:
        print()
        print_table(bench_full.rows(full))
        print()
        print_table(bench_full.sentences(full))
    return 0


def _speeds(session: LoadedSession) -> tuple[Speed, Speed]:
    """Return the speeds of reading a prompt and of writing at the beginning of a context; each round measures both."""
    beginning, prompt = _prompt(session)
    tokens = min(_TOKENS, session.info.context - len(beginning)) if session.info.context else _TOKENS
    reading: list[float] = []
    writing: list[float] = []
    line = ProgressLine()

    def measure(request: Measure) -> Durations:
        return session.engine.submit(request).result()

    try:
        measure(Measure(prompt, 1))  # brings the file's pages into memory
        end = time.monotonic() + _LONGEST
        while len(reading) < _ROUNDS and (not reading or time.monotonic() < end):
            line.show(len(reading) / _ROUNDS, f"round {len(reading) + 1} of {_ROUNDS}")
            reading.append(len(prompt) / measure(Measure(prompt)).prompt_seconds)
            writing.append(tokens / measure(Measure(beginning, tokens)).seconds)
    finally:
        line.clear()
    return _speed(len(prompt), reading), _speed(tokens, writing)


def _planned_speed(session: LoadedSession) -> float | None:
    """Return how many tokens a second the planner says are written; its first answer here takes two seconds of measuring."""
    planned = session.planned
    with Engine() as engine:  # started only where the speed was never measured
        computer = replace(planned.computer, speed=read_speed(engine, speed_file()))
    settings = planned.settings
    run_plan = plan(model_of_gguf(session.model.path), computer, context=settings.context, kv_type=settings.kv_type)
    return None if run_plan.best is None else run_plan.best.tokens_per_second


def _prompt(session: LoadedSession) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the ids that begin every text of the model, one at least, and a prompt of them and drawn ones."""
    size, context = session.info.vocabulary_size, session.info.context
    drawn = np.random.default_rng(1).integers(0, size, _PROMPT).tolist()
    beginning: list[int] = []
    with suppress(EngineFailed):  # a model without a tokenizer has speeds too
        beginning = session.engine.submit(Tokenize("")).result().ids
    length = min(_PROMPT, context - 1) if context else _PROMPT
    return tuple(beginning or drawn[:1]), tuple((beginning + drawn)[:length])


def _speed(tokens: int, rounds: Sequence[float]) -> Speed:
    return Speed(tokens, median(rounds), min(rounds), max(rounds))


def _row(name: str, speed: Speed, planned: float | None) -> tuple[str, ...]:
    measured = (f"{value:.1f}" for value in (speed.lowest, speed.highest))
    return (name, f"{speed.median:.1f} tokens/s", *measured, "" if planned is None else f"{planned:.1f}")
