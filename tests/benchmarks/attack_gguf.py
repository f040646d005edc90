"""Damages small GGUF files in every field and uses each as `zhiyin fit`, `tokenize`, `chat --prompt` and `logits` do.

    nice python -m tests.benchmarks.attack_gguf [COUNT] [SEED] [FOLDER]

Every file must end in an answer or in one sentence. Prints how many were refused by what, how many ended the engine process
(each with what was damaged and what ggml said last), the slowest and the engine's most memory. Whatever is not an answer or a
sentence is written to FOLDER; the exit code is 1 where there was any.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import TimeoutError as NoAnswer
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from desktop_app.engine.client import Engine, EngineDied, EngineFailed
from desktop_app.engine.protocol import (
    Generate,
    Load,
    LoadSettings,
    Logits,
    Prompt,
    Request,
    SamplingSettings,
    Stats,
    Tokenize,
)
from desktop_app.library.installed import Library
from desktop_app.paths import log_file, models_folder
from desktop_app.planning.candidates import model_of_gguf
from desktop_app.planning.computer import computer_now
from desktop_app.planning.configuration import Computer
from desktop_app.planning.load_plan import LoadPlanner
from desktop_app.planning.planner import plan
from models.errors import ZhiyinError
from tests.support.damaged_gguf import damaged
from tests.support.gguf_seeds import seed_files

R = TypeVar("R")
SECONDS = 5.0
_MOST_MEMORY = 8 << 30
TEXT = "hello 知音 \n🙂 <|im_end|> a\x00b"
ASKED = ({"role": "user", "content": "hello world"},)


@dataclass
class Outcome:
    """What became of the files."""

    refused: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    answered: int = 0
    slowest: float = 0.0
    peak: int = 0


class Attack:
    """One engine, started again where it ends."""

    def __init__(self, folder: Path, seconds: float = SECONDS) -> None:
        """Write files into `folder`; whatever takes longer than `seconds` has failed."""
        self.folder = folder
        self.seconds = seconds
        self.engine = Engine()
        self.planner = LoadPlanner(self.engine)
        self.computer: Computer = computer_now(self.engine)
        self.outcome = Outcome()

    def close(self) -> None:
        """End the engine."""
        self.engine.close()

    def use(self, path: Path, what: str) -> bool:
        """Use a file in every way; return whether it ended well."""
        result = self.outcome
        failures, crashes = len(result.failures), result.crashes.total()
        ways = (self._fit, self._tokenize, self._chat, self._logits)
        refused = [self._sentence(way, path, what) for way in ways]
        result.answered += not any(refused)
        result.refused[next((name for name in refused if name), "nobody")] += 1
        return (failures, crashes) == (len(result.failures), result.crashes.total())

    def _sentence(self, way: Any, path: Path, what: str) -> str:
        """Return who refused, "" for nobody."""
        start = time.monotonic()
        about = f"{path.name} {way.__name__.strip('_')}: {what}"
        try:
            way(path)
        except Exception as error:
            return self._refusal(error, about)
        else:
            return ""
        finally:
            took = time.monotonic() - start
            self.outcome.slowest = max(self.outcome.slowest, took)
            if took > self.seconds:
                self._fail(f"{about}: {took:.1f} s")

    def _refusal(self, error: Exception, about: str) -> str:
        if isinstance(error, EngineDied):
            self.outcome.crashes[f"{_last_words() or error}"] += 1
            print(f"CRASH {about}: {error} {_last_words()}", flush=True)
            return "the engine's end"
        if isinstance(error, NoAnswer):
            self._fail(f"{about}: no answer in {self.seconds * 2} s")
            if self.engine.pid is not None:
                os.kill(self.engine.pid, signal.SIGKILL)
                time.sleep(1)
            return "nobody in time"
        if not isinstance(error, ZhiyinError) or "\n" in str(error):
            self._fail(f"{about}: no sentence: {type(error).__name__}: {error!s:.500}")
            return "no sentence"
        if isinstance(error, EngineFailed):
            if error.code == "internal":
                self._fail(f"{about}: {_log_end()}")
            return f"the engine ({error.code})"
        return "the reader"

    def _fail(self, why: str) -> None:
        print(f"FAILURE {why}", flush=True)
        self.outcome.failures.append(why)

    def _fit(self, path: Path) -> None:
        Library(models_folder()).find(str(path))
        plan(model_of_gguf(path), self.computer)

    def _tokenize(self, path: Path) -> None:
        self._ask(Load(path, LoadSettings(context=512)))
        for text in (TEXT, "", " "):
            self._ask(Tokenize(text))

    def _chat(self, path: Path) -> None:
        planned = self.planner.plan(path, LoadSettings(), context=None)
        if planned.plan.best is None:
            raise planned.plan.refusal
        self._ask(Load(path, planned.settings))
        self._ask(Prompt(ASKED))
        self._ask(Generate(ASKED, SamplingSettings(max_tokens=8, seed=1)))

    def _logits(self, path: Path) -> None:
        settings = LoadSettings(context=512, kv_type="f32", gpu_layers=0, logit_rows=64)
        self._ask(Load(path, settings))
        self._ask(Logits((0, 1, 2), self.folder / "logits.npy"))
        self.outcome.peak = max(self.outcome.peak, self._ask(Stats()).peak_bytes)

    def _ask(self, request: Request[R]) -> R:
        return self.engine.submit(request).result(self.seconds * 2)


def _last_words() -> str:
    """Return where ggml or llama.cpp gave up, by the engine's log."""
    lines = [
        line for line in _log_end().splitlines() if any(word in line for word in ("GGML_", ".cpp:", ".c:", "what()"))
    ]
    return next((line[-160:] for line in lines if "what()" in line or ": " in line), "")


def _log_end() -> str:
    data = log_file("engine").read_bytes()
    log_file("engine").write_bytes(b"")
    return data[-6000:].decode("utf-8", "replace")


def main(count: int = 1000, seed: int = 0, kept: Path = Path("attack")) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))  # the engine's too
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["ZHIYIN_HOME"] = temporary
        folder = Path(temporary)
        seeds = seed_files(folder / "seeds")
        attack = Attack(folder)
        for name, good in seeds.items():
            (folder / f"{name}.gguf").write_bytes(good.written())
            attack.use(folder / f"{name}.gguf", "nothing")
        assert attack.outcome.refused["nobody"] == len(seeds) - 1, attack.outcome  # one has no tokenizer
        attack.outcome = Outcome()
        for number in range(count):
            name = rng.choice(list(seeds))
            parts = damaged(seeds[name], rng)
            path = folder / f"{name}-{number}.gguf"
            path.write_bytes(parts.written())
            if not attack.use(path, parts.what):
                kept.mkdir(exist_ok=True)
                (kept / path.name).write_bytes(path.read_bytes())
            path.unlink()
        attack.close()
    result = attack.outcome
    print(f"{count} files: {result.answered} answered; refused by {dict(result.refused.most_common())}")
    print(f"slowest {result.slowest:.1f} s, the engine's most memory {result.peak >> 20} MB")
    print(f"{result.crashes.total()} ends of the engine, {len(result.failures)} failures")
    for words, times in result.crashes.most_common():
        print(f"  {times} x {words}")
    return 1 if result.failures else 0


if __name__ == "__main__":
    given = sys.argv[1:]
    raise SystemExit(main(*map(int, given[:2]), *map(Path, given[2:3])))
