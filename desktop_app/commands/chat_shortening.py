"""What `zhiyin chat` offers where the next turn does not fit: the oldest turns left out, or summarised by the model first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from desktop_app.chat.conversation import Message
from desktop_app.chat.request import ReplyOptions
from desktop_app.chat.shortening import Shortener
from desktop_app.commands.terminal import say
from desktop_app.engine.client import Answers
from models.errors import ZhiyinError

_SHOWN = 60


def shortened(
    engine: Answers,
    options: ReplyOptions,
    context: int,
    path: Sequence[Message],
    error: ZhiyinError,
    choose: Callable[[], str],
) -> ReplyOptions | None:
    """Return the options with which a chat goes on after it was too long; None: it stays as it is, which is said.

    Args:
        engine: with the model.
        options: as they are.
        context: tokens that the model reads.
        path: the chat with the question that does not fit.
        error: that it does not fit.
        choose: asks the user, and returns what was typed.

    Raises:
        ZhiyinError: the model could not be asked.
    """
    needed = error.values.get("needed", 0)
    shortener = Shortener(engine, options, context)
    start = shortener.start(path, needed if isinstance(needed, int) else 0)
    if not start:
        say(
            "zhiyin: no turns can be left out so that it fits; shorten the message, or start again with a larger --ctx."
        )
        return None
    say(
        "The oldest turns can be left out: type d to leave them out, s to have the model summarise them first, or n to leave the "
        "chat as it is (a larger --ctx takes more memory: `zhiyin fit MODEL --ctx N`)."
    )
    choice = choose().strip().lower()[:1]
    if choice not in ("d", "s"):
        return None
    summary = ""
    if choice == "s":
        say("Summarising…")
        summary = shortener.summary(path, start, threading.Event())
    question = next(message.content for message in path if message.id == start)
    say(f"The model reads this chat from “{' '.join(question.split())[:_SHOWN]}” on.")
    return replace(options, reads_from=start, summary=summary)
