"""The guesses of one reply."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from desktop_app.engine.speculation.draft_model import DraftModel
from desktop_app.engine.speculation.draft_pace import DraftPace
from desktop_app.engine.speculation.lookup import NOTHING, Guess, PromptLookup
from desktop_app.engine.speculation.pace import Pace


class Drafts:
    """Guesses what comes next, and learns from what came."""

    def __init__(
        self,
        pace: Pace,
        prompt: Sequence[int],
        most: int,
        alone: Callable[[], bool],
        model: tuple[DraftModel, DraftPace] | None = None,
    ) -> None:
        """Begin a reply.

        Args:
            pace: of the loaded model.
            prompt: its tokens.
            most: guesses that the runner takes in a step.
            alone: tells whether no other reply is computed beside this one: they would wait for its guesses.
            model: guesses where the context tells nothing; None: there is none.
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
        self._model = model
        self._chat = list(prompt) if model is not None else []
        self._drafted: Sequence[int] = ()
        """The model's guesses in the step under way."""
        self._asked = 0
        """So many it was asked for."""
        self._compared = self._came = 0
        """Tokens that came since, and of these so many as were guessed before the first wrong one."""
        self._began = 0.0
        """When the step under way began; 0: that is not known."""
        self.guessed = 0
        """Guesses that were computed."""
        self.right = 0
        """Of them those that came true."""

    def add(self, token: int) -> None:
        """Take note of the reply's next token."""
        self._tokens.append(token)
        if self._model is not None:
            self._chat.append(token)
            self._compare(token)
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
            self._note_step(time.perf_counter() - self._began)
        for token in self._tokens:  # only now: the first token of a reply waits for none of this
            self._lookup.add(token)
        self._tokens.clear()
        self._guess, self._hit = self._lookup.guess(self._most), 0
        self._guesses = 0
        if alone and self._guess.tokens:
            self._guesses = self._pace.worth(self._guess.match, min(most, self._most))
        self._began = time.perf_counter() if alone else 0.0
        self._drafted, self._asked, self._compared, self._came = (), 0, 0, 0
        if alone and not self._guesses:
            self._drafted = self._draft(min(most, self._most))
        self.guessed += self._guesses + len(self._drafted)
        return self._drafted or self._guess.tokens[: self._guesses]

    def _draft(self, most: int) -> Sequence[int]:
        """Return what the model guesses, where that is worth its time."""
        if self._model is None:
            return ()
        model, pace = self._model
        self._asked = pace.worth(most)
        return model.guess(self._chat, self._asked) if self._asked else ()

    def _compare(self, token: int) -> None:
        """Take note of whether the model's guess came."""
        if self._came == self._compared < len(self._drafted):
            self._came += self._drafted[self._came] == token
            self.right += self._drafted[self._compared] == token
        self._compared += 1

    def _note_step(self, seconds: float) -> None:
        if not self._asked:
            self._pace.note_step(self._guesses, seconds)
        if self._model is None or self._guesses or len(self._drafted) < self._asked:
            return
        model, pace = self._model
        if not (self._asked and model.was_behind):
            pace.note(self._asked, 1 + self._came, seconds)
