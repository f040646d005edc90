"""Replies that are computed together: each step decodes one token of every running one, and parts of new prompts beside them.

A prompt is read in parts so small that those who are being answered hardly wait for it (continuous batching with chunked prefill,
as in Agrawal et al., "Taming Throughput-Latency Tradeoff in LLM Inference with Sarathi-Serve", OSDI 2024).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from desktop_app.engine.generation import Generation
from desktop_app.engine.prompt_budget import PromptBudget
from desktop_app.engine.results import Reply
from desktop_app.engine.runner import Part, ProgressCallback, Runner, RunningSequence
from desktop_app.sequences import common_prefix
from models.errors import Cancelled

_WORTH_COPYING = 64
"""Tokens: fewer are sooner computed than copied."""
_SHORT = 32
"""Tokens of a prompt that are read in one step: in parts they take longer, and hold the others up no less."""


@dataclass
class Running:
    """A reply under way."""

    number: int
    """Of its request."""
    sequence: RunningSequence
    steps: Generation
    on_progress: ProgressCallback
    """Hears of the part of the prompt that is done."""
    on_end: Callable[[Reply], Reply]
    """Completes the reply when it has ended."""
    ids: Sequence[int] = ()
    """What is to be decoded next."""
    total: int = 0
    """Of them there were so many."""
    guessed: int = 0
    """So many of the last ones are guesses, which are decoded together with the token before them."""
    ended: Reply | Exception | None = None


class Scheduler:
    """The replies of a loaded model that are under way, at most as many as it has sequences."""

    def __init__(self, runner: Runner) -> None:
        """Begin without any."""
        self._runner = runner
        self._running: list[Running] = []
        self._last_use = dict.fromkeys(range(len(runner.sequences)), 0)
        self._uses = 0
        self._budget = PromptBudget(runner.batch)

    @property
    def running(self) -> frozenset[int]:
        """The requests that are being answered."""
        return frozenset(run.number for run in self._running)

    @property
    def is_one(self) -> bool:
        """No two replies are under way."""
        return len(self._running) < 2

    @property
    def has_room(self) -> bool:
        """Another reply can begin."""
        return len(self._running) < len(self._runner.sequences)

    def sequence_for(self, prompt: Sequence[int], *, shortened: bool = False) -> RunningSequence:
        """Return a free sequence that holds as much of a prompt as any, also of what another one holds.

        It is the one that holds most of it; of several, the one that was used longest ago. That one it is too where most of the
        other would be lost: then that is another chat, which begins alike.

        Args:
            prompt: what is to be read.
            shortened: turns were left out of it; what is remembered of the others is moved (`RunningSequence.move`).
        """
        sequences = self._runner.sequences
        held = [
            sequence.movable(prompt) if shortened else min(sequence.unmoved, common_prefix(sequence.tokens, prompt))
            for sequence in sequences
        ]
        used = [run.sequence for run in self._running]
        free = [number for number, sequence in enumerate(sequences) if sequence not in used]
        number = max(free, key=lambda one: (held[one], -self._last_use[one]))
        if not shortened and sequences[number].can_share and len(sequences[number].tokens) > 2 * held[number]:
            number = min(free, key=lambda one: self._last_use[one])
        if shortened:
            sequences[number].move(prompt)
            held[number] = common_prefix(sequences[number].tokens, prompt)
        elif sequences[number].unmoved < len(sequences[number].tokens):
            sequences[number].truncate(sequences[number].unmoved)
        self._uses += 1
        self._last_use[number] = self._uses
        most = max(range(len(sequences)), key=lambda one: held[one])
        if held[most] - held[number] >= _WORTH_COPYING:
            sequences[number].take_from(sequences[most], held[most])
        return sequences[number]

    def begin(self, run: Running) -> list[Running]:
        """Take up a reply; return it in a list where it ends at once."""
        self._running.append(run)
        self._go_on(run, None)
        return self._take_ended()

    def step(self, cancelled: Collection[int]) -> list[Running]:
        """Compute the next token of each reply, or a part of its prompt; return those that ended.

        Args:
            cancelled: requests that are to be stopped.
        """
        for run in self._running:
            if run.number in cancelled:
                self._go_on(run, Cancelled("Stopped."))
        ended = self._take_ended()
        if self._running:
            self._decode(self._parts())
        return [*ended, *self._take_ended()]

    def _decode(self, parts: Sequence[tuple[Running, Sequence[int]]]) -> None:
        alone = parts[0][0].on_progress if len(parts) == 1 and len(parts[0][1]) == len(parts[0][0].ids) else None
        start = time.perf_counter()
        try:
            self._runner.decode_together([Part(run.sequence, ids, run.guessed) for run, ids in parts], alone)
        except Exception as error:
            for run, _ in parts:
                self._go_on(run, error)
            return
        if not any(run.guessed for run, _ in parts):
            self._budget.note([len(ids) for _, ids in parts], time.perf_counter() - start)
        for run, ids in parts:
            run.ids = run.ids[len(ids) :]
            if run.total > 1 and not run.guessed:
                run.sequence.pass_on(more=bool(run.ids), at_least=self._runner.batch)
                run.on_progress(1 - len(run.ids) / run.total)
        for run, _ in parts:  # only now: choosing a token takes the logits of this step
            if not run.ids:
                self._go_on(run, None)

    def _parts(self) -> list[tuple[Running, Sequence[int]]]:
        """Return what is decoded next: a token of each running reply, and of the prompts as much as there is time for."""
        replying = [run for run in self._running if len(run.ids) == 1 or run.guessed]
        prompts = [run for run in self._running if run not in replying]
        parts: list[tuple[Running, Sequence[int]]] = [(run, run.ids) for run in replying]
        room = self._budget.prompt_tokens(len(replying), len(prompts)) - sum(run.guessed for run in replying)
        most = self._runner.batch - sum(len(ids) for _, ids in parts)
        for run in prompts:
            if room > 0:
                part = run.ids if len(run.ids) <= min(_SHORT, most) else run.ids[:room]
                parts.append((run, part))
                room, most = room - len(part), most - len(part)
        return parts

    def _go_on(self, run: Running, error: Exception | None) -> None:
        """Let a reply go on with its new logits, or hear of an error."""
        try:
            run.ids, run.guessed = next(run.steps) if error is None else run.steps.throw(error)
            run.total = len(run.ids)
        except StopIteration as end:
            run.ended = end.value
        except Exception as failure:
            run.ended = failure

    def _take_ended(self) -> list[Running]:
        ended = [run for run in self._running if run.ended is not None]
        self._running = [run for run in self._running if run.ended is None]
        return ended
