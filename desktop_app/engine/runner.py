"""Runners of models: the interface that llama.cpp's runner and the graph runner share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from desktop_app.engine.protocol import AdapterUse
from desktop_app.engine.results import ModelInfo
from desktop_app.engine.state.cells import Assembly, Cells
from desktop_app.engine.state.snapshots import State
from models.errors import ZhiyinError

if TYPE_CHECKING:  # it imports llama_cpp: `prepare_environment` comes before that, and the planner needs none of it
    from desktop_app.engine.llama.importance import ImportanceCollector
    from desktop_app.engine.sampler import Sampler

ProgressCallback = Callable[[float], None]
"""Called with the part that is done, 0 to 1."""


class Part(NamedTuple):
    """The tokens that a step appends to a sequence."""

    sequence: Any
    ids: Sequence[int]
    guessed: int = 0
    """So many of the last ids are guesses, which `truncate` may take back: there are logits before each of them, too."""


class ContextFull(ZhiyinError):
    """The tokens do not fit in the loaded context."""

    default_code = "context-full"


class OutOfMemory(ZhiyinError):
    """The model or its context does not fit in memory."""

    default_code = "out-of-memory"


class Vocabulary(Protocol):
    """The vocabulary of a loaded model."""

    bos_text: str
    """The beginning-of-sequence token's text, "" when there is none."""
    eos_text: str
    closing: Sequence[int]
    """The tokens that the publisher's tokenizer ends a text with; no prompt ends with them."""

    def piece(self, token: int) -> bytes:
        """Return a token's bytes, b"" for control tokens; may be part of a UTF-8 character."""
        ...

    def first_piece(self, token: int) -> bytes:
        """Return a token's bytes where a text begins with it, as the publisher's decoder has it: without the blank in front."""
        ...

    def ends_word(self, token: int) -> bool:
        """Tell whether the space at a token's end stands for the end of a word: a text does not end with it."""
        ...

    def control_texts(self) -> Sequence[str]:
        """Return the texts of the tokens that only a template may write."""
        ...

    def is_end(self, token: int) -> bool:
        """Tell whether a token ends a reply."""
        ...


class RunningSequence(Protocol):
    """A sequence of tokens that a loaded model goes on with."""

    number: int
    """Of the runner's sequences."""
    streams: int
    """As many as the runner has: what llama.cpp asks of a state."""
    can_share: bool
    """Its beginning can be copied into another sequence (`take_from`)."""

    @property
    def info(self) -> ModelInfo:
        """The model."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens of the model."""
        ...

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """Texts that end a reply, from the file's own metadata."""
        ...

    @property
    def tokens(self) -> Sequence[int]:
        """The tokens that the sequence holds now."""
        ...

    def truncate(self, count: int, prompt: int = 0) -> int:
        """As `Runner.truncate`."""
        ...

    def sample(self, sampler: Sampler, back: int = 0) -> int:
        """Choose the token after the one that stands `back` places before the last, where only guesses follow it."""
        ...

    def logits(self, back: int = 0) -> np.ndarray:
        """Return the logits that `sample` chooses from: float32 [vocabulary], valid until the next tokens are computed."""
        ...

    def snapshot(self) -> None:
        """As `Runner.snapshot`."""
        ...

    def pass_on(self, *, more: bool, at_least: int) -> None:
        """Take a passing snapshot while a prompt is read, where the runner does not do so by itself.

        Args:
            more: there is more to read; else the last passing one is dropped.
            at_least: tokens between two.
        """
        ...

    @property
    def state_bytes(self) -> int:
        """The size of the whole state now; 0: it is nothing."""
        ...

    def states(self) -> Sequence[State]:
        """As `Runner.states`."""
        ...

    def restore(self, tokens: Sequence[int], states: Sequence[State]) -> None:
        """As `Runner.restore`."""
        ...

    def cells(self) -> Cells | None:
        """Return what attention keeps of each token; None: the model remembers something else, and has `states`."""
        ...

    def restore_cells(self, tokens: Sequence[int], state: Assembly) -> None:
        """Put what was kept of tokens, laid out for `number` and `streams`, in the sequence's place."""
        ...

    @property
    def unmoved(self) -> int:
        """How many tokens were computed with all before them; the others (`move`) are of use to this chat alone."""
        ...

    def movable(self, prompt: Sequence[int]) -> int:
        """Return how many tokens of a prompt it holds once it is moved."""
        ...

    def move(self, prompt: Sequence[int]) -> None:
        """Move what follows turns that a prompt leaves out to where the prompt has it; nothing changes where the model cannot."""
        ...

    def take_from(self, other: Any, count: int) -> None:
        """Copy the first tokens of another sequence of this runner; nothing changes where the model cannot."""
        ...


class Runner(Protocol):
    """One loaded model with a running sequence of tokens, or several that are computed together.

    Methods that name no sequence work on the first one.
    All methods are called from one thread; `interrupt` alone may be called from any.
    """

    info: ModelInfo
    chat_template: str | None
    tool_template: str | None
    """The template of chats with tools, where the file has one of its own for them."""
    stop_texts: tuple[str, ...]
    """Texts that end a reply, from the file's own metadata."""
    importance: ImportanceCollector | None
    """None: this runner collects none, or the load did not ask for it."""
    batch: int
    """The most tokens that `decode_together` takes."""
    memory_kind: str
    """What states depend on besides the file: another load with another one has no use for them."""
    most_guesses: int
    """The most that a step may verify in a `Part`; 0: this model cannot go back to where a guess was wrong."""
    largest_batch: int
    """The most tokens that were computed at once since the load: as much of the graph's buffer was touched."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens of the model."""
        ...

    @property
    def tokens(self) -> Sequence[int]:
        """The tokens that the sequence holds now."""
        ...

    def tokenize(self, text: str, *, add_special: bool, special: bool) -> list[int]:
        """Return token ids, with the ones that begin an input (`add_special`), never with those that end a text.

        `special`: markup such as <|im_start|> becomes its control token, unless `models.vocab.sections.CUT` stands inside it.
        """
        ...

    def truncate(self, count: int, prompt: int = 0) -> int:
        """Shorten the sequence to its first `count` tokens, or fewer where the model cannot; return how many are kept.

        `prompt`: the length of the prompt that begins with these tokens and is read next, for models whose positions depend on
        it; 0: there is none.
        """
        ...

    def decode(self, ids: Sequence[int], *, on_progress: ProgressCallback | None = None) -> None:
        """Append tokens and compute the logits after the last one.

        Raises `models.errors.Cancelled` after `interrupt`, `ContextFull` when they do not fit.
        """
        ...

    @property
    def sequences(self) -> Sequence[RunningSequence]:
        """The sequences that can be computed together."""
        ...

    def decode_together(self, parts: Sequence[Part], on_progress: ProgressCallback | None = None) -> None:
        """Append tokens to some of `sequences` and compute the logits after the last token of each, and before guesses.

        Raises as `decode`; then every sequence is as it was, or shorter where the model cannot go back so far.
        """
        ...

    def sample(self, sampler: Sampler) -> int:
        """Choose the next token from the logits after the last token."""
        ...

    def logits(self) -> np.ndarray:
        """Return the logits after the last token: float32 [vocabulary], valid until the next `decode`."""
        ...

    def logit_blocks(self, ids: Sequence[int], start: int = 0) -> Iterator[np.ndarray]:
        """Yield the logits after ids[start], ids[start + 1] … of a fresh sequence, some at a time.

        Each block is float32 [some, vocabulary] and valid until the next one is asked for.
        """
        ...

    def all_logits(self, ids: Sequence[int]) -> np.ndarray:
        """Return the logits at every position of a fresh sequence: float32 [len(ids), vocabulary]."""
        ...

    def snapshot(self) -> None:
        """Take a snapshot that `truncate` can go back to; nothing where a sequence can be shortened to any length."""
        ...

    def states(self) -> Sequence[State]:
        """Return the snapshots and the whole state now, the longest last; () where no state is worth keeping."""
        ...

    def restore(self, tokens: Sequence[int], states: Sequence[State]) -> None:
        """Put what `states` returned of the same model, for beginnings of `tokens`, in the sequence's place.

        The longest one becomes the sequence, the others its snapshots; it is empty where the model refuses them.
        """
        ...

    def save_state(self, path: Path) -> int:
        """Write the sequence's cache or recurrent state; return its bytes."""
        ...

    def load_state(self, path: Path) -> int:
        """Take up a written state; return its number of tokens."""
        ...

    def bare_speeds(self, ids: Sequence[int], tokens: int) -> tuple[float, float]:
        """Return the seconds that llama.cpp alone takes to read `ids` and to write `tokens` tokens after them.

        Raises `models.errors.UnsupportedModel` where it does not run this model.
        """
        ...

    def set_adapters(self, adapters: Sequence[AdapterUse]) -> None:
        """Put these adapters, and no others, on the model; the sequence is dropped when they differ from the ones before.

        Raises `models.errors.ZhiyinError` when one does not fit, or this runner has none; those before stay.
        """
        ...

    def interrupt(self, stop: bool) -> None:
        """Make a running `decode` give up soon (True), or let the next one run (False)."""
        ...

    def close(self) -> None:
        """Free the memory."""
        ...
