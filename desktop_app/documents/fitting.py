"""Which of a chat's documents fit its context: those go into the prompt whole, passages are looked for in the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from desktop_app.chat.attachment import PASSAGES, PASTED, Attachment
from desktop_app.chat.attachment_parts import parts_of
from desktop_app.chat.conversation import Message
from desktop_app.chat.grounding import FullDocument, Grounding
from desktop_app.chat.request import read_again
from desktop_app.documents.chunking import wide_characters

Counter = Callable[[str], int]
"""Returns how many tokens a text has."""
LONG_ENOUGH = 16_384
"""Tokens of documents that a model without a limit reads: with more an answer takes minutes."""
_ANSWER = 1024
"""Tokens that are left for the answer, in a small context a quarter of it."""
_PASSAGES = 2048
"""Tokens of passages, in a small context a third of what there is."""
_INSTRUCTION = 120
"""Tokens of what the model is told about numbers."""
_AROUND = 12
"""Tokens that a chat format writes around a message, and those of a part's number and file."""
_SAMPLES, _SAMPLE = 8, 1000
"""Of a long text so many samples of so many characters are counted: a book takes as long as a few pages."""
_WIDE_TEXT = "会议决定从下个月起调整工作时间，并要求各部门在月底之前提交新的安排。"
_OTHER_TEXT = "The meeting decided to change the working hours from next month, and asked every department for a plan. "
_UNNUMBERED = (PASTED, PASSAGES)


@dataclass(frozen=True)
class Chat:
    """A chat's messages and documents at the time of a request."""

    path: Sequence[Message]
    """Its messages; the last one is the question."""
    collections: Sequence[str] = ()
    system_prompt: str = ""

    @property
    def attachments(self) -> list[Attachment]:
        """All that the model is to read, the first one first."""
        return [one for message in read_again(self.path) if message.role == "user" for one in message.attachments]


@dataclass(frozen=True)
class Costs:
    """Token costs of a chat; it can be sent to another process, as the model cannot."""

    attachments: Mapping[str, int]
    """By their ids."""
    messages: int
    """Everything else of the chat."""
    wide: float
    """Tokens of a Chinese, Japanese or Korean character."""
    other: float
    """Tokens of any other character."""

    def of(self, text: str) -> int:
        """Return about how many tokens a passage has."""
        wide = wide_characters(text)
        return round(wide * self.wide + (len(text) - wide) * self.other) + _AROUND


@dataclass(frozen=True)
class Fit:
    """The documents that fit in full, and the token budget of passages."""

    full: tuple[FullDocument, ...]
    searched: tuple[Attachment, ...]
    """Attachments that do not fit."""
    room: int
    """Tokens for passages."""
    next_number: int
    """That the first passage gets."""

    def grounding(self) -> Grounding | None:
        """Return what the model reads where nothing is searched; None: no document among it."""
        return Grounding(self.full) if self.next_number > 1 else None


def costs_of(chat: Chat, count: Counter) -> Costs:
    """Return what a chat takes, counted as the model does."""
    text = "\n".join([chat.system_prompt, *(message.content for message in chat.path)])
    return Costs(
        {one.id: tokens_of(one.text, count) for one in chat.attachments},
        tokens_of(text, count) + _AROUND * (len(chat.path) + 1),
        count(_WIDE_TEXT) / len(_WIDE_TEXT),
        count(_OTHER_TEXT) / len(_OTHER_TEXT),
    )


def tokens_of(text: str, count: Counter) -> int:
    """Return how many tokens a text has, of a long one about how many."""
    if len(text) <= _SAMPLES * _SAMPLE:
        return count(text) if text else 0
    step = (len(text) - _SAMPLE) // (_SAMPLES - 1)
    samples = [text[number * step : number * step + _SAMPLE] for number in range(_SAMPLES)]
    return int(1.03 * sum(map(count, samples)) / (_SAMPLES * _SAMPLE) * len(text)) + 1


def fit(chat: Chat, context: int, costs: Costs) -> Fit:
    """Return what of a chat's documents fits.

    Args:
        chat: what was said and attached, and which collections are asked.
        context: tokens that the model keeps in mind; 0: any number.
        costs: of that chat.
    """
    room = max(0, context - costs.messages - _INSTRUCTION - min(_ANSWER, context // 4)) if context else LONG_ENOUGH
    share = min(_PASSAGES, room // 3)
    attachments = chat.attachments
    parts = {one.id: 0 if one.kind in _UNNUMBERED else len(parts_of(one)) for one in attachments}
    taken = {one.id: costs.attachments[one.id] + _AROUND * max(1, parts[one.id]) for one in attachments}
    if chat.collections or sum(taken.values()) > room:
        left, kept = room - share, set()
        for one in reversed(attachments):  # the last ones are what the question is about
            if taken[one.id] <= left:
                kept.add(one.id)
                left -= taken[one.id]
    else:
        kept = set(taken)
    complete, number = [], 1
    for one in attachments:
        if one.id in kept:
            complete.append(FullDocument(one.id, number if parts[one.id] else 0))
            number += parts[one.id]
    return Fit(tuple(complete), tuple(one for one in attachments if one.id not in kept), share, number)
