"""A chat that is longer than the context: from which question on the model reads it, and what stands for the turns before.

Nothing is left out by itself: the user chooses it, and the chat shows where the model begins to read. Instructions and
attachments stay: of the turns before only the questions that something is attached to are read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import replace

from desktop_app.chat.conversation import Message
from desktop_app.chat.reasoning import split_reasoning
from desktop_app.chat.request import ReplyOptions, prompt_messages, read_part, with_summary
from desktop_app.engine.client import Answers
from desktop_app.engine.protocol import Generate, Prompt, SamplingSettings
from models.errors import Cancelled, ZhiyinError

_KEPT = 0.6
"""Of the context: as much is filled when turns are left out, so that this is not asked again with the next question."""
_ANSWER = 1024
"""Tokens that are left for an answer, in a small context a quarter of it."""
_LONGEST_SUMMARY = 512
"""Tokens, in a small context an eighth of it."""
_LOOK = 0.1
"""Seconds between two looks at whether to stop."""
_ASKED = (
    "Summarise our conversation so far for yourself, in the language of my messages: what I asked for, what was found or "
    "decided, names, numbers and open questions. At most 200 words, without an introduction.\n"
    "请用我所用的语言总结以上对话，供你自己继续对话时参考：我的要求、得到的结果和决定、名称、数字、未解决的问题。"
    "不超过三百字，不要开场白。"
)


class Shortener:
    """Finds out what of a chat fits, by asking its model; every call waits."""

    def __init__(self, engine: Answers, options: ReplyOptions, context: int) -> None:
        """Take a loaded model, what counts for the chat, and the tokens that the model reads at most."""
        self._engine, self._options, self._context = engine, options, context

    def start(self, path: Sequence[Message], needed: int = 0) -> str:
        """Return the question from which on a chat fits with room for more; "": none does, or there is nothing to leave out.

        Args:
            path: the messages of the branch, what is to be answered among them.
            needed: the tokens that all of it took, tools included; 0: that is not known.
        """
        later = _later_questions(path, self._options.reads_from)
        if not later or not self._context:
            return ""
        beside = max(0, needed - self._count(path, self._options.reads_from)) if needed else 0
        room = self._context - beside
        full = room - min(_ANSWER, self._context // 4)
        for fits in (
            lambda start: self._count(path, start) <= _KEPT * room,
            lambda start: self._count(path, start) <= full,
            lambda start: self._count(_without_attachments(path), start) <= _KEPT * room,
        ):
            if (place := _first(later, fits)) is not None:
                return later[place]
        return ""

    def summary(self, path: Sequence[Message], start: str, stopped: threading.Event) -> str:
        """Let the model say what the turns before a question were about, together with an earlier summary.

        Raises:
            Cancelled: it was stopped.
            ZhiyinError: the model failed, or wrote nothing.
        """
        read = read_part(path, self._options.reads_from)
        ids = [message.id for message in read]
        older, summary = _without_attachments(read[: ids.index(start)]), self._options.summary  # these stay
        while older:
            part = self._part(older, summary)
            summary = self._summarised(older[:part], summary, stopped)
            older = older[part:]
        return summary

    def _part(self, older: Sequence[Message], summary: str) -> int:
        """Return how many of the messages can be summarised at once, one turn at least."""
        ends = [number for number, message in enumerate(older) if number and message.role == "user"] + [len(older)]
        room = self._context - 2 * self._longest
        fitting = [end for end in ends if self._tokens(self._question(older[:end], summary)) <= room]
        return max(fitting, default=ends[0])

    def _summarised(self, older: Sequence[Message], summary: str, stopped: threading.Event) -> str:
        request = Generate(
            tuple(self._question(older, summary)),
            SamplingSettings(temperature=0.0, max_tokens=self._longest),
            thinking=False,
        )
        job = self._engine.submit(request)
        while True:
            try:
                reply = job.result(_LOOK)
                break
            except StillRunning:
                if stopped.is_set():
                    job.cancel()
                    raise Cancelled("Stopped.") from None
        answer = split_reasoning(reply.text).answer.strip()
        if not answer:
            raise ZhiyinError(
                "The model wrote no summary; leave the oldest turns out instead, or choose another model."
            )
        return answer

    def _question(self, older: Sequence[Message], summary: str) -> list[dict[str, str]]:
        system = with_summary(self._options.system_prompt, summary)
        return [*prompt_messages(older, system), {"role": "user", "content": _ASKED}]

    @property
    def _longest(self) -> int:
        return min(_LONGEST_SUMMARY, max(64, self._context // 8))

    def _count(self, path: Sequence[Message], start: str) -> int:
        return self._tokens(prompt_messages(read_part(path, start), self._options.system_prompt))

    def _tokens(self, messages: Sequence[dict[str, str]]) -> int:
        request = Prompt(tuple(messages), thinking=self._options.thinking, effort=self._options.effort)
        return len(self._engine.submit(request).result().ids)


def moved(path: Sequence[Message], start: str) -> list[Message]:
    """Return the messages from a question on, and those before it that stay, as a branch of their own."""
    kept: list[Message] = []
    for message in read_part(path, start):
        kept.append(replace(message, parent=kept[-1].id if kept else None))
    return kept


def _later_questions(path: Sequence[Message], start: str) -> list[str]:
    """Return the questions that a chat could begin with instead of the one that it begins with now."""
    questions = [message.id for message in path if message.role == "user"]
    return questions[questions.index(start) + 1 :] if start in questions else questions[1:]


def _without_attachments(path: Sequence[Message]) -> list[Message]:
    """Return what was said: attachments that do not fit whole are searched (`documents.fitting`)."""
    return [
        replace(message, attachments=(), content=message.content or "…") if message.attachments else message
        for message in path
    ]


def _first(later: Sequence[str], fits: Callable[[str], bool]) -> int | None:
    """Return the place of the first question with which a chat fits, each later one fitting too; None: none does."""
    if not fits(later[-1]):
        return None
    low, high = 0, len(later) - 1
    while low < high:
        middle = (low + high) // 2
        if fits(later[middle]):
            high = middle
        else:
            low = middle + 1
    return low
