"""One sequence of tokens in a llama.cpp context: its length, its snapshots, and where its logits lie."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING

import llama_cpp.llama_cpp as llama
import numpy as np

from desktop_app.engine.results import ModelInfo
from desktop_app.engine.sampler import Sampler
from desktop_app.engine.state.snapshots import Snapshots, State

if TYPE_CHECKING:
    from desktop_app.engine.llama.runner import LlamaRunner
    from desktop_app.engine.runner import Vocabulary


class LlamaSequence:
    """A sequence; see `desktop_app.engine.runner.RunningSequence`."""

    def __init__(self, runner: LlamaRunner, context: llama.llama_context_p, number: int) -> None:
        """Take the sequence of a number in a runner's context."""
        self._runner = runner
        self._context = context
        self._memory = llama.llama_get_memory(context)
        self.number = number
        self._recurrent, self._hybrid = runner.kinds
        self._can_trim = not (self._recurrent or self._hybrid)
        self.ids: list[int] = []
        """The tokens that it holds; the runner appends what it decodes."""
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
        if count < len(self.ids):
            self.rewind(count)
        return len(self.ids)

    def sample(self, sampler: Sampler) -> int:
        """Choose the next token from the logits after the last token."""
        if sampler.takes_best or sampler.grammar is not None:
            return sampler.choose(self.logits())
        return int(llama.llama_sampler_sample(sampler.chain, self._context, self.row))

    def logits(self) -> np.ndarray:
        """Return float32 [vocabulary], the logits after the last token."""
        row = ctypes.addressof(llama.llama_get_logits_ith(self._context, self.row).contents)
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

    def states(self) -> Sequence[State]:
        """Return a recurrent model's snapshots and its state now."""
        if not self._recurrent or not self.ids:
            return ()
        now = len(self.ids)
        return [*(snapshot for snapshot in self._snapshots.taken if snapshot[0] < now), (now, self._state())]

    def restore(self, tokens: Sequence[int], states: Sequence[State]) -> None:
        """Put a recurrent model's states in the sequence's place."""
        self.clear()
        self.ids = list(tokens[: self._restored(*states[-1])])
        if self.ids:
            for snapshot in states:
                self._snapshots.take(*snapshot)
        else:
            self.clear()

    def take_up(self, tokens: Sequence[int]) -> None:
        """Take note of the tokens that llama.cpp's memory holds after it read a file."""
        self._snapshots.clear()
        self.ids = list(tokens)

    def clear(self) -> None:
        """Forget everything."""
        llama.llama_memory_seq_rm(self._memory, self.number, -1, -1)
        self._snapshots.clear()
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

    def _drop(self) -> None:
        llama.llama_memory_seq_rm(self._memory, self.number, -1, -1)

    @property
    def _snapshot_flags(self) -> int:
        """What a snapshot holds: everything, or of a hybrid the recurrent layers alone."""
        return int(llama.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY) if self._hybrid else 0

    def _state(self) -> bytearray:
        state = bytearray(llama.llama_state_seq_get_size_ext(self._context, self.number, self._snapshot_flags))
        buffer = (ctypes.c_uint8 * len(state)).from_buffer(state)
        llama.llama_state_seq_get_data_ext(self._context, buffer, len(state), self.number, self._snapshot_flags)
        return state

    def _restored(self, count: int, state: bytes | bytearray) -> int:
        """Take up a snapshot; return its number of tokens, or 0 where llama.cpp refuses it."""
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        read = llama.llama_state_seq_set_data_ext(self._context, buffer, len(state), self.number, self._snapshot_flags)
        return count if read else 0
