"""Matches of a search in a chat's displayed text: counted on a thread, since a chat may be long."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from desktop_app.chat.conversation import Message
from desktop_app.chat.reasoning import split_reasoning
from desktop_app.ui.markdown.formula_objects import OBJECT_SIGN
from desktop_app.ui.markdown.parser import Block, parse
from desktop_app.ui.markdown.span import Spans
from desktop_app.ui.markdown.view import split_table


@dataclass(frozen=True)
class Hit:
    """One place."""

    message: str
    """The message's id."""
    index: int
    """Which of the places in that message, from 0."""


def find_hits(messages: Iterable[Message], words: str) -> list[Hit]:
    """Return all places of some words, whatever their case, in the order of reading; reasoning is not searched."""
    pattern = re.compile(re.escape(words), re.IGNORECASE)
    return [
        Hit(message.id, index)
        for message in messages
        if pattern.search(message.content)
        for index in range(sum(len(pattern.findall(text)) for text in shown_texts(message)))
    ]


def shown_texts(message: Message) -> list[str]:
    """Return the pieces of text that a message is drawn as; words are not looked for across two of them."""
    if message.role == "tool":
        return []  # folded away
    if message.role == "user":
        return message.content.split("\n")
    return [text for block in parse(split_reasoning(message.content).answer) for text in _texts(block)]


def _texts(block: Block) -> list[str]:
    if block.kind == "code":
        return block.text.split("\n")
    if block.kind == "table":
        rows = [row for part in split_table(block) for row in part.rows]
        return [_without_formulas(cell) for row in rows for cell in row]
    return _without_formulas(block.spans).split("\n")


def _without_formulas(spans: Spans) -> str:
    """Return a text in which formulas are a sign each: they are drawn as pictures."""
    return "".join(OBJECT_SIGN if span.formula else span.text for span in spans)
