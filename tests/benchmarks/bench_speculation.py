"""Replies with guessed tokens against replies without.

    uv run python -m tests.benchmarks.bench_speculation [--model FILE] [--threads 1] [--rounds 10] [--tokens 250]

Three requests: a text word for word with one change, a quotation from a document, and a story. The engine writes each reply with
guesses and without, in turns (ABBA), at temperature 0 and, the story, at temperature 1 too; the median of the rounds' ratios
counts. Times are the engine process's processor time, so that what else the computer does counts little: with one thread that is
what the reply takes; with more, threads that wait for each other count too.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import psutil

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Generate, Load, LoadSettings, SamplingSettings
from desktop_app.engine.results import Reply
from desktop_app.library.installed import Library

CONTEXT = 3072
DOCUMENT = Path(__file__).parents[2] / "docs" / "server.md"
CHARACTERS = 2500
GREEDY = SamplingSettings(temperature=0)
DRAWN = SamplingSettings(temperature=1, top_k=0, top_p=1, min_p=0, seed=1)
STORY = "Write a long story about a fox who learns to read."
LEAST = {"repeat": 1.5, "quote": 1.5, "story": 0.97, "story, drawn": 0.97}


def main() -> int:
    """Print each request's ratio; return 1 where one is less than promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a GGUF file (default: the starter model)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=250)
    arguments = parser.parse_args()
    starter = Library(Path(tempfile.mkdtemp())).starter()
    path = arguments.model or (starter.path if starter else parser.error("the starter model is not installed"))
    text = DOCUMENT.read_text("utf-8")[:CHARACTERS]
    good = True
    with Engine() as engine:
        engine.submit(Load(path, LoadSettings(context=CONTEXT, threads=arguments.threads))).result()
        for name, asked, sampling in (
            ("repeat", f"Repeat this text word for word, but write Tor instead of Ollama:\n\n{text}", GREEDY),
            ("quote", f"{text}\n\nQuote the first paragraphs of the text above exactly.", GREEDY),
            ("story", STORY, GREEDY),
            ("story, drawn", STORY, DRAWN),
        ):
            good &= compared(engine, name, asked, replace(sampling, max_tokens=arguments.tokens), arguments.rounds)
    return 0 if good else 1


def compared(engine: Engine, name: str, asked: str, sampling: SamplingSettings, rounds: int) -> bool:
    """Print one request's ratio; return whether it is as promised."""
    ratios: list[float] = []
    same = True
    written(engine, asked, replace(sampling, max_tokens=1))
    for number in range(rounds):
        order = (False, True) if number % 2 else (True, False)
        found = {guesses: written(engine, asked, replace(sampling, guesses=guesses)) for guesses in order}
        (plain, without), (reply, with_guesses) = found[False], found[True]
        ratios.append(without / with_guesses)
        same &= plain.text == reply.text
    low, middle, high = statistics.quantiles(ratios, n=4)
    good = middle >= LEAST[name]
    print(
        f"{name}: {middle:.3f} times as fast with guesses (quartiles {low:.3f} and {high:.3f}, {rounds} rounds); of "
        f"{reply.tokens} tokens {reply.right_guesses} were guessed, {reply.guessed_tokens - reply.right_guesses} more wrongly; "
        f"texts {'the same' if same else 'NOT the same'}{'' if good else f'; LESS than {LEAST[name]}'}",
        flush=True,
    )
    return good


def written(engine: Engine, asked: str, sampling: SamplingSettings) -> tuple[Reply, float]:
    """Return a reply and the processor time that each of its tokens took."""
    process = psutil.Process(engine.pid)
    before = sum(process.cpu_times()[:2])
    reply = engine.submit(Generate(({"role": "user", "content": asked},), sampling)).result()
    return reply, (sum(process.cpu_times()[:2]) - before) / max(reply.tokens, 1)


if __name__ == "__main__":
    raise SystemExit(main())
