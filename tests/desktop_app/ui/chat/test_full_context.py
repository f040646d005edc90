"""A chat whose next turn does not fit goes on: the card says how, and the chat shows from where on the model reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
from desktop_app.paths import database_file
from desktop_app.ui.chat.question_widget import QuestionWidget
from desktop_app.ui.chat.reading_mark import ReadingMark
from desktop_app.ui.chat.reply_failure import ReplyFailure
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person, run_events

WORDS = ("tree", "stone", "river", "cloud")
DROP, SUMMARISE, MOVE = "Leave the oldest turns out", "Summarise them first", "New chat with the last turns"


def marked(person: Person) -> list[str]:
    """Return the questions that are marked, each with the words of the mark."""
    return [
        f"{mark.parent().message.content[:5]}: {person.sentences(mark)}"
        for mark in person.window.findChildren(ReadingMark)
        if mark.isVisible() and isinstance(mark.parent(), QuestionWidget)
    ]


@pytest.fixture
def person(data_home: Path, open_window: OpenWindow) -> Person:
    """Someone whose fourth question does not fit."""
    path: list[Message] = []
    for word in WORDS[:3]:
        for role, text in (("user", f"{word} " * 130), ("assistant", "Yes.")):
            path.append(Message("chat", path[-1].id if path else None, role, text))
    history = History(database_file())
    history.add(Conversation("chat", title="Words", leaf=path[-1].id), path)
    history.close()
    person = open_window(context=512, max_tokens=1)
    person.wait(lambda: person.model_state == "ready" and person.services.chats.list.conversations)
    person.services.chats.open("chat")
    person.wait(lambda: person.services.chats.list.current.id == "chat")
    person.ask(f"{WORDS[3]} " * 130)
    return person


def card_of(person: Person) -> ReplyFailure:

    def cards() -> list[ReplyFailure]:
        return [card for card in person.window.findChildren(ReplyFailure) if card.isVisible()]

    person.wait(lambda: cards() and DROP in person.buttons(cards()[0]))
    person.wait(lambda: any("more memory" in words for words in person.buttons(cards()[0])))
    return cards()[0]


def test_the_oldest_turns_are_left_out_and_the_chat_shows_it(person: Person) -> None:
    card = card_of(person)
    ways = person.buttons(card)
    assert (ways[:2], ways[3:]) == ([DROP, SUMMARISE], [MOVE])
    assert "more memory)" in ways[2]
    assert len(marked(person)) == 1
    assert "it holds what follows here" in marked(person)[0]
    person.click(DROP, card)
    person.wait(lambda: not person.services.chats.replies.busy)
    assert person.services.chats.list.path[-1].state == "done"
    assert len(marked(person)) == 1
    assert "reads the chat from here on" in marked(person)[0]
    assert person.ask("Hello")
    chats = person.services.chats
    start = chats.list.current.choices.reads_from
    assert chats.list.tree[start].content.split()[0] in WORDS[1:]
    person.click("Let it read all", person.window.findChildren(ReadingMark)[0])
    run_events(20)
    assert chats.list.current.choices.reads_from == ""
    assert marked(person) == []


@pytest.mark.slow  # the starter model writes a hundred words
def test_the_model_summarises_what_is_left_out(person: Person) -> None:
    person.click(SUMMARISE, card_of(person))
    chats = person.services.chats
    person.wait(lambda: chats.list.current.choices.summary != "" and not chats.replies.busy)
    assert chats.list.path[-1].state == "done"
    assert "its own summary" in marked(person)[0]


def test_a_new_chat_takes_the_last_turns_along(person: Person) -> None:
    chats = person.services.chats
    old = chats.list.current.id
    person.click(MOVE, card_of(person))
    person.wait(lambda: chats.list.current.id != old and not chats.replies.busy)
    assert chats.list.path[-1].state == "done"
    assert chats.list.path[-2].content.startswith(WORDS[3])
    assert len(chats.list.path) < 2 * len(WORDS)
    assert marked(person) == []
