"""Remedies of `zhiyin chat` where the next turn does not fit: fewer turns, a summary of them, a new chat, a larger context."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from desktop_app.chat.conversation import Message
from desktop_app.chat.request import ReplyOptions
from desktop_app.chat.shortening import Shortener
from desktop_app.commands.terminal import human_bytes, say
from desktop_app.engine.client import Answers
from models.errors import ZhiyinError

_SHOWN = 60


@dataclass(frozen=True)
class Larger:
    """A longer context that the memory takes."""

    context: int
    bytes: int
    """More than now."""
    load: Callable[[], None]
    """Loads the model with it."""


@dataclass(frozen=True)
class Shortened:
    """How the chat goes on."""

    options: ReplyOptions
    new_chat: bool = False
    """In a new chat, which begins with the question that `options.reads_from` names."""


def shortened(
    engine: Answers,
    options: ReplyOptions,
    context: int,
    path: Sequence[Message],
    error: ZhiyinError,
    choose: Callable[[], str],
    larger: Callable[[int], Larger | None],
) -> Shortened | None:
    """Ask how a chat goes on that was too long, and do it; None: it stays as it is, which is said.

    Args:
        engine: with the model.
        options: as they are.
        context: tokens that the model reads.
        path: the chat with the question that does not fit.
        error: that it does not fit.
        choose: asks the user, and returns what was typed.
        larger: finds a context of more than so many tokens.

    Raises:
        ZhiyinError: the model could not be asked, or not be loaded.
    """
    given = error.values.get("needed", 0)
    needed = given if isinstance(given, int) else 0
    shortener = Shortener(engine, options, context)
    start, longer = shortener.start(path, needed), larger(needed)
    if not start and longer is None:
        say("zhiyin: no turns can be left out so that it fits; shorten the message, or start a new chat.")
        return None
    say("\n".join(_ways(start, longer)))
    choice = choose().strip().lower()[:1]
    if choice == "l" and longer is not None:
        longer.load()
        return Shortened(options)
    if choice not in ("d", "s", "c") or not start:
        return None
    summary = ""
    if choice == "s":
        say("Summarising…")
        summary = shortener.summary(path, start, threading.Event())
    question = next(message.content for message in path if message.id == start)
    say(f"The model reads this chat from “{' '.join(question.split())[:_SHOWN]}” on.")
    return Shortened(replace(options, reads_from=start, summary=summary), choice == "c")


def _ways(start: str, longer: Larger | None) -> list[str]:
    """Return what may be typed, a line each."""
    lines = ["Type a letter to go on:"]
    if start:
        lines += [
            "  d  leave the oldest turns out",
            "  s  have the model summarise them first",
            "  c  a new chat that begins with the last turns",
        ]
    if longer is not None:
        lines.append(f"  l  a larger context: {longer.context} tokens, {human_bytes(longer.bytes)} more memory")
    return [*lines, "  n  leave the chat as it is"]
