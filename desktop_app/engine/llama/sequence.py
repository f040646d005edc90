"""One sequence of tokens in a llama.cpp context: its length, its snapshots, and where its logits lie."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING

import llama_cpp.llama_cpp as llama
import numpy as np

from desktop_app.engine.results import ModelInfo
from desktop_app.engine.sampler import Sampler
from desktop_app.engine.state.cells import Assembly, Cells, cells_of
from desktop_app.engine.state.snapshots import Snapshots, State
from desktop_app.sequences import common_prefix

if TYPE_CHECKING:
    from desktop_app.engine.llama.runner import LlamaRunner
    from desktop_app.engine.runner import Vocabulary


_WORTH_MOVING = 64
"""Tokens: fewer are sooner computed."""
_CERTAIN = 16
"""Equal tokens that are no chance."""


class LlamaSequence:
    """A sequence; see `desktop_app.engine.runner.RunningSequence`."""

    def __init__(self, runner: LlamaRunner, context: llama.llama_context_p, number: int) -> None:
        """Take the sequence of a number in a runner's context."""
        self._runner = runner
        self._context = context
        self._memory = llama.llama_get_memory(context)
        self.number, self.streams = number, runner.streams
        self._recurrent, self._hybrid = runner.kinds
        self._can_trim = not (self._recurrent or self._hybrid)
        self._window = runner.window
        self.can_share = self._can_trim and not self._window
        self._least = 0
        """Of a state that was taken up with what the window shows alone: it can be cut back to no fewer tokens."""
        self.ids: list[int] = []
        """The tokens that it holds; the runner appends what it decodes."""
        self._moved_from: int | None = None
        """From this token on it was computed with others before it, which were left out; None: nothing was moved."""
        self.row = -1
        """Of the last batch: where its logits lie; -1: its last one."""
        self._snapshots = Snapshots()
        self._passing = 0
        self._row_type = ctypes.c_float * runner.vocabulary.size

    @property
    def info(self) -> ModelInfo:
        """The model."""
        return self._runner.info

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens of the model."""
        return self._runner.vocabulary

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """Texts that end a reply."""
        return self._runner.stop_texts

    @property
    def tokens(self) -> Sequence[int]:
        """The tokens that the sequence holds now."""
        return self.ids

    def truncate(self, count: int, prompt: int = 0) -> int:
        """Shorten the sequence to its first `count` tokens; a recurrent state goes back to its last snapshot before them."""
        if count < self._least:
            self.clear()
        elif count < len(self.ids):
            self.rewind(count)
        return len(self.ids)

    def sample(self, sampler: Sampler, back: int = 0) -> int:
        """Choose the token after the one that stands `back` places before the last, where only guesses follow it."""
        if sampler.takes_best or sampler.grammar is not None:
            return sampler.choose(self.logits(back))
        return int(llama.llama_sampler_sample(sampler.chain, self._context, self.row - back))

    def logits(self, back: int = 0) -> np.ndarray:
        """Return float32 [vocabulary], the logits that `sample` chooses from."""
        row = ctypes.addressof(llama.llama_get_logits_ith(self._context, self.row - back).contents)
        return np.frombuffer(memoryview(self._row_type.from_address(row)), np.float32)

    def snapshot(self) -> None:
        """Take a snapshot of a recurrent state."""
        if not self._can_trim and self.ids:
            self._snapshots.take(len(self.ids), self._state())

    def pass_on(self, *, more: bool, at_least: int) -> None:
        """Take a passing snapshot of a recurrent state while a prompt is read, so that a stop costs a part of it, not all.

        Args:
            more: there is more to read; else the last passing one is dropped.
            at_least: tokens between two.
        """
        if self._can_trim:
            return
        if more and len(self.ids) - self._passing < at_least:
            return
        self._snapshots.drop(self._passing)
        self._passing = len(self.ids) if more else 0
        if more:
            self.snapshot()

    @property
    def state_bytes(self) -> int:
        """The size of the whole state now."""
        return int(llama.llama_state_seq_get_size_ext(self._context, self.number, 0))

    def states(self) -> Sequence[State]:
        """Return the snapshots and the whole state now."""
        if not self.ids:
            return ()
        now = len(self.ids)
        return [*(snapshot for snapshot in self._snapshots.taken if snapshot[0] < now), (now, self._state(0))]

    def restore(self, tokens: Sequence[int], states: Sequence[State]) -> None:
        """Put states in the sequence's place."""
        self.clear()
        self.ids = list(tokens[: self._restored(*states[-1], 0)])
        if not self.ids:
            self.clear()
            return
        self._least = len(self.ids) if 0 < self._window < len(self.ids) else 0
        for snapshot in states if self._recurrent else states[:-1] if self._hybrid else ():
            self._snapshots.take(*snapshot)

    def cells(self) -> Cells | None:
        """Return what attention keeps of each token; None: the model remembers something else."""
        return cells_of(self._whole(), len(self.ids)) if self.can_share else None

    def restore_cells(self, tokens: Sequence[int], state: Assembly) -> None:
        """Put what was kept of tokens in the sequence's place; it is empty where llama.cpp refuses that."""
        self.clear()
        if self._put(state.state, 0):
            self.ids = list(tokens)
        else:
            self.clear()

    @property
    def unmoved(self) -> int:
        """How many tokens were computed with all before them; the others with some that were left out."""
        return len(self.ids) if self._moved_from is None else self._moved_from

    def movable(self, prompt: Sequence[int]) -> int:
        """Return how many tokens of a prompt it holds once it is moved."""
        kept = common_prefix(self.ids, prompt)
        place = self._following(prompt, kept)
        return kept + common_prefix(self.ids[place:], prompt[kept:]) if place else kept

    def move(self, prompt: Sequence[int]) -> None:
        """Move what follows turns that a prompt leaves out to where the prompt has it, where llama.cpp can turn the keys."""
        kept = common_prefix(self.ids, prompt)
        place = self._following(prompt, kept)
        if not place:
            return
        llama.llama_memory_seq_rm(self._memory, self.number, kept, place)
        llama.llama_memory_seq_add(self._memory, self.number, place, -1, kept - place)
        del self.ids[kept:place]
        self._moved_from = kept if self._moved_from is None else min(kept, self._moved_from)

    def take_from(self, other: LlamaSequence, count: int) -> None:
        """Copy the first tokens of another sequence, where that can be cut back to them."""
        if self.can_share and count <= other.unmoved:
            self.clear()
            if self._put(other._whole(), 0):
                self.ids = list(other.ids)
            self.truncate(count)

    def restored(self, tokens: Sequence[int]) -> None:
        """Take note of the tokens that llama.cpp's memory holds after it read a file."""
        self._snapshots.clear()
        self.ids = list(tokens)

    def clear(self) -> None:
        """Forget everything."""
        llama.llama_memory_seq_rm(self._memory, self.number, -1, -1)
        self._snapshots.clear()
        self._least, self._moved_from = 0, None
        self.ids = []

    def rewind(self, count: int) -> None:
        """Bring llama.cpp's memory to the first `count` tokens, or to fewer where it cannot go back so far only."""
        snapshot = self._snapshots.back_to(count)
        if not llama.llama_memory_seq_rm(self._memory, self.number, count, -1):
            if not self._hybrid:
                self._drop()
            count = 0 if snapshot is None else self._restored(*snapshot)
            # Of a hybrid, the snapshot holds the recurrent layers: what attention keeps is cut to the same length.
            if not count or not llama.llama_memory_seq_rm(self._memory, self.number, count, -1):
                self._drop()
                count = 0
        del self.ids[count:]
        if self._moved_from is not None and count <= self._moved_from:
            self._moved_from = None

    def _drop(self) -> None:
        llama.llama_memory_seq_rm(self._memory, self.number, -1, -1)

    @property
    def _snapshot_flags(self) -> int:
        """The scope of a snapshot: everything, or the recurrent layers of a hybrid."""
        return int(llama.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY) if self._hybrid else 0

    def _state(self, flags: int | None = None) -> bytearray:
        flags = self._snapshot_flags if flags is None else flags
        state = bytearray(llama.llama_state_seq_get_size_ext(self._context, self.number, flags))
        buffer = (ctypes.c_uint8 * len(state)).from_buffer(state)
        llama.llama_state_seq_get_data_ext(self._context, buffer, len(state), self.number, flags)
        return state

    def _whole(self) -> np.ndarray:
        """Return the whole state; an array is not filled with zeros first."""
        state = np.empty(self.state_bytes, np.uint8)
        buffer = (ctypes.c_uint8 * len(state)).from_address(state.ctypes.data)
        llama.llama_state_seq_get_data_ext(self._context, buffer, len(state), self.number, 0)
        return state

    def _restored(self, count: int, state: bytes | bytearray, flags: int | None = None) -> int:
        """Take up a snapshot; return its number of tokens, or 0 where llama.cpp refuses it."""
        return (
            count if self._put(np.frombuffer(state, np.uint8), self._snapshot_flags if flags is None else flags) else 0
        )

    def _put(self, state: np.ndarray, flags: int) -> bool:
        """Hand a state to llama.cpp; return whether it took it."""
        buffer = (ctypes.c_uint8 * len(state)).from_address(state.ctypes.data)
        return bool(llama.llama_state_seq_set_data_ext(self._context, buffer, len(state), self.number, flags))

    def _following(self, prompt: Sequence[int], kept: int) -> int:
        """Return the place behind the kept tokens where it goes on as the prompt does, for the longest; 0: there is none."""
        if not self.can_share or not self._runner.can_move:
            return 0
        ids, rest = self.ids, prompt[kept:]
        begin = list(rest[:_CERTAIN])
        places = [at for at in range(kept + 1, len(ids) - _WORTH_MOVING + 1) if ids[at : at + len(begin)] == begin]
        lengths = {at: common_prefix(ids[at:], rest) for at in places}
        place = max(lengths, key=lambda at: lengths[at], default=0)
        return place if lengths.get(place, 0) >= _WORTH_MOVING else 0
