"""The last requests: when, by which program, of which model, how many tokens. Never what was said."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from desktop_app.engine.results import Reply

_LAST = 100
_LONGEST_NAME = 80


@dataclass
class Exchange:
    """One request and its answer."""

    program: str
    """As its User-Agent says."""
    path: str
    model: str = ""
    prompt_tokens: int = 0
    tokens: int = 0
    status: int = 0
    """0: it is under way."""
    begun: float = field(default_factory=time.time)
    """Seconds since 1970."""
    seconds: float = 0.0

    def add(self, replies: Sequence[Reply]) -> None:
        """Count the tokens of replies to one prompt."""
        self.prompt_tokens = replies[0].prompt_tokens
        self.tokens = sum(reply.tokens for reply in replies)


class Activity:
    """The last exchanges; a listener hears of each that ends."""

    def __init__(self, on_end: Callable[[Exchange], None] | None = None) -> None:
        """Begin without any."""
        self.last: deque[Exchange] = deque(maxlen=_LAST)
        self._on_end = on_end

    def begin(self, program: str, path: str) -> Exchange:
        """Note a request."""
        exchange = Exchange(_plain(program) or "?", _plain(path))
        self.last.append(exchange)
        return exchange

    def end(self, exchange: Exchange, status: int) -> None:
        """Note how a request ended."""
        exchange.status = status
        exchange.seconds = time.time() - exchange.begun
        if self._on_end is not None:
            self._on_end(exchange)


def _plain(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:_LONGEST_NAME]
