"""The guesses of one reply."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from desktop_app.engine.speculation.lookup import NOTHING, Guess, PromptLookup
from desktop_app.engine.speculation.pace import Pace


class Drafts:
    """Guesses what comes next, and learns from what came."""

    def __init__(self, pace: Pace, prompt: Sequence[int], most: int, alone: Callable[[], bool]) -> None:
        """Begin a reply.

        Args:
            pace: of the loaded model.
            prompt: its tokens.
            most: guesses that the runner takes in a step.
            alone: tells whether no other reply is computed beside this one: they would wait for its guesses.
        """
        self._pace = pace
        self._tokens = list(prompt)
        """Those that the lookup does not know yet."""
        self._lookup = PromptLookup(())
        self._most = most
        self._alone = alone
        self._guess: Guess = NOTHING
        self._hit = 0
        """So many tokens of the guess came."""
        self._guesses = 0
        """In the step under way."""
        self._began = 0.0
        """When the step under way began; 0: that is not known."""
        self.guessed = 0
        """Guesses that were computed."""
        self.right = 0
        """Of them those that came true."""

    def add(self, token: int) -> None:
        """Take note of the reply's next token."""
        self._tokens.append(token)
        guess = self._guess
        if self._hit < len(guess.tokens):
            is_right = guess.tokens[self._hit] == token
            self._pace.note_guess(guess.match + self._hit, is_right)
            self.right += is_right and self._hit < self._guesses
            self._hit += 1
            if not is_right:
                self._guess = NOTHING

    def next(self, most: int) -> Sequence[int]:
        """Return the guesses that are to be computed in the next step, at most so many."""
        alone = self._alone()
        if self._began and alone:
            self._pace.note_step(self._guesses, time.perf_counter() - self._began)
        for token in self._tokens:  # only now: the first token of a reply waits for none of this
            self._lookup.add(token)
        self._tokens.clear()
        self._guess, self._hit = self._lookup.guess(self._most), 0
        self._guesses = 0
        if alone and self._guess.tokens:
            self._guesses = self._pace.worth(self._guess.match, min(most, self._most))
        self.guessed += self._guesses
        self._began = time.perf_counter() if alone else 0.0
        return self._guess.tokens[: self._guesses]
