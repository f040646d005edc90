"""One reply: prompt into the cache, tokens out of the sampler, text to the listener. The same for every runner."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from desktop_app.engine.grammar import Grammar
from desktop_app.engine.protocol import SamplingSettings
from desktop_app.engine.reply_pieces import ReplyPieces
from desktop_app.engine.results import Reply
from desktop_app.engine.runner import ContextFull, ProgressCallback, Runner, RunningSequence
from desktop_app.engine.sampler import NO_TOKEN, Sampler
from desktop_app.engine.speculation.drafts import Drafts
from desktop_app.sequences import common_prefix
from models.chat.chat_formats import ReplyFilter
from models.errors import Cancelled, ZhiyinError

if TYPE_CHECKING:
    import numpy as np

_TEXT_SECONDS = 1 / 30
"""Between two pieces of text: that looks smooth, and each wakes the other process, which delays the next token."""


@dataclass(frozen=True)
class OutputFilter:
    """Post-processing of generated tokens."""

    filter: ReplyFilter | None = None
    """Changes the text."""
    opening: str = ""
    """What the prompt wrote of the reply already; it becomes part of the text."""
    marks: Mapping[int, bytes] = field(default_factory=dict)
    """Control tokens that the filter is to see, with what stands for them in the text."""
    told: int = 0
    """Characters of the opening that the listener has: the reply was begun before."""
    begins: bool = False
    """The first token is a text's first; otherwise a text is gone on with."""


class Step(NamedTuple):
    """The tokens to append next."""

    ids: Sequence[int]
    guessed: int = 0
    """As in `desktop_app.engine.runner.Part`."""


Generation = Generator[Step, None, Reply]
"""A reply being computed: it yields what is to be appended next, and goes on when the logits are there."""


def generate(
    runner: Runner,
    prompt: Sequence[int],
    sampling: SamplingSettings,
    on_text: Callable[[str], None],
    on_progress: ProgressCallback,
) -> Reply:
    """Compute a reply to `prompt`, whose progress is told to `on_progress`; other arguments as in `generation`."""
    return decoded(runner, generation(runner.sequences[0], prompt, sampling, on_text), on_progress)


def decoded(runner: Runner, steps: Generation, on_progress: ProgressCallback) -> Reply:
    """Run a reply without guesses to its end; `on_progress` hears of the part of the prompt that is done."""
    try:
        step = next(steps)
        while True:
            try:
                runner.decode(step.ids, on_progress=on_progress)
            except Cancelled as stop:
                step = steps.throw(stop)
            else:
                step = next(steps)
    except StopIteration as end:
        reply: Reply = end.value
        return reply


def generation(
    runner: RunningSequence,
    prompt: Sequence[int],
    sampling: SamplingSettings,
    on_text: Callable[[str], None],
    shown: OutputFilter | None = None,
    settled: int | None = None,
    on_token: Callable[[int, np.ndarray], None] | None = None,
    drafts: Drafts | None = None,
) -> Generation:
    """Compute a reply to `prompt`; a prompt that begins like the cached sequence re-uses the cache.

    Whoever runs it decodes what it yields, or throws `Cancelled` into it, which ends the reply as usual.

    Args:
        runner: a sequence of the loaded model.
        prompt: token ids.
        sampling: how tokens are chosen.
        on_text: hears of the reply's pieces, the first one at once, the others at most 30 times a second.
        shown: post-processing of the generated tokens; None: none.
        settled: tokens with which the next turn's prompt will begin too, whatever the reply is; None: all.
        on_token: hears of each token of the reply and of the logits that it was chosen from, which are there until it returns.
        drafts: guesses tokens; None: none.

    Raises:
        ZhiyinError: the grammar has a mistake.
        ContextFull: the prompt alone does not fit; a reply that runs into the limit ends with the reason "full".
    """
    start = time.perf_counter()
    reused = runner.truncate(min(common_prefix(runner.tokens, prompt), len(prompt) - 1), len(prompt))
    shown = shown or OutputFilter()
    text = _TextStream((*sampling.stop, *runner.stop_texts), on_text, shown)
    pieces = ReplyPieces(runner.vocabulary, shown.marks, begins=shown.begins)
    grammar = Grammar(runner.vocabulary, sampling.grammar) if sampling.grammar else None
    sampler = Sampler(sampling, runner.info.vocabulary_size, prompt, grammar)
    prompt_end = start
    written = _Written(runner, drafts)
    try:
        yield from _read(runner, prompt, len(prompt) if settled is None else settled)
        prompt_end = time.perf_counter()
        reason = "length"
        while not sampling.max_tokens or written.count < sampling.max_tokens:
            token = runner.sample(sampler, written.unverified)
            if token == NO_TOKEN or runner.vocabulary.is_end(token):
                reason = "end"
                break
            if on_token is not None:
                on_token(token, runner.logits(written.unverified))
            written.count += 1
            if text.add(pieces.add(token)):
                reason = "stop"
                break
            if written.is_full:
                reason = "full"
                break
            if not written.was_guessed(token):
                yield from written.go_on(token, sampling.max_tokens)
    except Cancelled:
        reason = "cancelled"
    finally:
        sampler.close()
        written.drop_unverified()
    cut = reason in ("cancelled", "length", "full")
    if cut:
        text.add(pieces.rest())
    text.finish(cut=cut)
    end = time.perf_counter()
    return Reply(
        text=text.whole,
        reason=reason,
        prompt_tokens=len(prompt),
        reused_tokens=reused,
        tokens=written.count,
        prompt_seconds=max(prompt_end - start, 0.0),
        seconds=end - prompt_end,
        stop=text.stop if text.stop in sampling.stop else "",
        guessed_tokens=0 if drafts is None else drafts.guessed,
        right_guesses=0 if drafts is None else drafts.right,
    )


def check_room(runner: RunningSequence | Runner, prompt: Sequence[int]) -> None:
    """Raise `ContextFull` when a prompt leaves no room for a reply, and `ZhiyinError` when there is none to reply to."""
    if not prompt:
        raise ZhiyinError(
            "This chat becomes an empty prompt for {name}; write a message, or choose another model.",
            name=runner.info.name,
        )
    room = runner.info.context
    trained = runner.info.trained_context
    if room and len(prompt) >= room and 0 < trained <= len(prompt):
        raise ContextFull(
            "This chat needs {needed} tokens, but {name} was made for {limit} at most; shorten the message, start a new chat, "
            "or choose a model with a longer context.",
            needed=len(prompt),
            name=runner.info.name,
            limit=trained,
        )
    if room and len(prompt) >= room:
        raise ContextFull(
            "This chat needs {needed} tokens, but the loaded context holds {room}; load the model with a larger "
            "context or start a new chat.",
            needed=len(prompt),
            room=room,
        )


class _Written:
    """The tokens of a reply, and the guesses at the sequence's end that the model has not confirmed yet."""

    def __init__(self, runner: RunningSequence, drafts: Drafts | None) -> None:
        self.count = 0
        """Tokens of the reply."""
        self.unverified = 0
        self._runner = runner
        self._drafts = drafts

    @property
    def is_full(self) -> bool:
        """The context holds no further token."""
        context = self._runner.info.context
        return bool(context) and len(self._runner.tokens) - self.unverified >= context

    def was_guessed(self, token: int) -> bool:
        """Tell whether the reply's next token is the guess that the sequence goes on with; drop the guesses where not."""
        if self._drafts is not None:
            self._drafts.add(token)
        if self.unverified and self._runner.tokens[-self.unverified] == token:
            self.unverified -= 1
            return True
        self.drop_unverified()
        return False

    def go_on(self, token: int, most: int) -> Generator[Step, None, None]:
        """Have a token computed, with guesses after it; `most`: tokens of the whole reply, 0: no limit."""
        guesses: Sequence[int] = ()
        if self._drafts is not None:
            room = self._runner.info.context - len(self._runner.tokens) - 1
            guesses = self._drafts.next(min(room, most - self.count - 1) if most else room)
        yield Step((token, *guesses), len(guesses))
        self.unverified = len(guesses)

    def drop_unverified(self) -> None:
        """Shorten the sequence to what the model wrote."""
        if self.unverified:
            self._runner.truncate(len(self._runner.tokens) - self.unverified)
            self.unverified = 0


def _read(runner: RunningSequence, prompt: Sequence[int], settled: int) -> Generator[Step, None, None]:
    """Read what is not read yet of a prompt.

    A model that cannot go back a little is remembered where the question begins, for another question, and just before what
    the next turn may write otherwise, for another answer: there a token may also merge with what follows.
    """
    runner.snapshot()
    turn = min(settled, len(prompt)) - 1
    if not runner.info.can_trim and turn > len(runner.tokens):
        yield Step(prompt[len(runner.tokens) : turn])
        runner.snapshot()
    yield Step(prompt[len(runner.tokens) :])


class _TextStream:
    """Turns token bytes into text, holding back split characters, what may become a stop text, and what no screen would show."""

    def __init__(self, stops: Sequence[str], on_text: Callable[[str], None], shown: OutputFilter) -> None:
        self.whole = shown.opening
        self.stop = ""
        """The stop text that appeared."""
        self._sent = shown.told
        self._opened = len(shown.opening)
        self._next_piece = 0.0
        self._reply = shown.filter
        self._stops = [stop for stop in stops if stop]
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""
        self._on_text = on_text
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, piece: bytes) -> bool:
        """Take a token's bytes; return True when a stop text appeared."""
        self._held += self._decoder.decode(piece)
        matches = [(at, stop) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if matches:
            at, self.stop = min(matches)
            self._held = self._held[:at]
            self._flush(len(self._held))
            self._held = ""
            return True
        self._flush(len(self._held) - self._possible_stop())
        now = time.monotonic()
        if now >= self._next_piece and self._sent < len(self.whole):
            self._next_piece = now + _TEXT_SECONDS
            self._send()
        return False

    def finish(self, *, cut: bool) -> None:
        """Send what was held back; `cut`: the model did not end here."""
        self._held += self._decoder.decode(b"", final=True)
        self._flush(len(self._held))
        if self._reply is not None:
            self.whole += self._reply.finish(cut=cut)
        if not self._sent and len(self.whole) == self._opened:  # not a word came: there is no reply
            self.whole = ""
        self._send()

    def _possible_stop(self) -> int:
        """Return how many characters at the end could be the beginning of a stop text."""
        for size in range(min(self._longest - 1, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stops):
                return size
        return 0

    def _flush(self, count: int) -> None:
        if count > 0:
            ready, self._held = self._held[:count], self._held[count:]
            self.whole += ready if self._reply is None else self._reply.feed(ready)

    def _send(self) -> None:
        ready, self._sent = self.whole[self._sent :], len(self.whole)
        if ready:
            self._on_text(ready)
