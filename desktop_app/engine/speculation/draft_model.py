"""A small model of the same vocabulary that guesses what a large one writes: its most probable tokens, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from desktop_app.engine.runner import Runner
from desktop_app.sequences import DRAFT_CONTEXT, MOST_GUESSES, common_prefix

_KEPT = DRAFT_CONTEXT // 2
"""Of a chat's newest tokens: so many are read where more do not fit, so that a long chat costs no long wait."""


class DraftModel:
    """The small model, loaded beside the large one with a context of `DRAFT_CONTEXT` tokens."""

    def __init__(self, runner: Runner) -> None:
        """Take a loaded model that can go back to where a guess was wrong."""
        self._runner = runner
        self._start = 0
        """The place in the chat from which on it is read."""
        self.was_behind = False
        """The last guess took more reading than guessing."""

    def guess(self, tokens: Sequence[int], most: int) -> list[int]:
        """Return what may follow the tokens of a chat, at most so many."""
        runner = self._runner
        read = self._read_part(tokens, most)
        kept = runner.truncate(min(common_prefix(runner.tokens, read), len(read) - 1))
        self.was_behind = len(read) - kept > 2 * MOST_GUESSES
        runner.decode(read[kept:])
        guesses: list[int] = []
        while True:
            token = int(runner.logits().argmax())
            if runner.vocabulary.is_end(token):
                return guesses
            guesses.append(token)
            if len(guesses) == most:
                return guesses
            runner.decode((token,))

    def close(self) -> None:
        """Free the memory."""
        self._runner.close()

    def _read_part(self, tokens: Sequence[int], most: int) -> Sequence[int]:
        """Return the end of a chat that is read: it begins at the same place for as long as there is room."""
        room = (self._runner.info.context or DRAFT_CONTEXT) - most
        if not 0 < len(tokens) - self._start <= room:
            self._start = max(0, len(tokens) - min(_KEPT, room))
        return tokens[self._start :]
