"""The engine is killed: the chat keeps every message, says what happened, and the next message works."""

from __future__ import annotations

import re

from desktop_app.ui.chat.question_widget import QuestionWidget
from desktop_app.ui.chat.reply_failure import ReplyFailure
from desktop_app.ui.widgets.notice import Notice
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import LONG, Person, run_events

LARGER = re.compile(r"Answer with a context of 1,024 \([\d.]+\s.B more memory\)")


def test_killed_in_mid_reply(open_window: OpenWindow) -> None:
    person = open_window(max_tokens=0)
    person.services.settings.max_tokens = 12
    person.ask("What is the capital of France?")
    person.services.settings.max_tokens = 0
    earlier = person.messages
    person.send(LONG)
    person.wait(lambda: len(person.messages[-1][1]) > 20)
    person.kill_engine()
    person.wait(lambda: not person.busy)
    broken = person.messages
    assert broken[:2] == earlier
    assert broken[2] == ("user", LONG)
    assert len(broken[3][1]) > 20
    card = card_of(person)
    assert person.buttons(card) == ["Try again", "Use a smaller context", "Choose another model"]
    assert "The engine was ended by the system" in person.sentences(card)
    assert not any(notice.isVisible() for notice in person.window.findChildren(Notice))  # said once

    person.services.settings.max_tokens = 12
    person.ask("What is the capital of Italy?")
    assert person.messages[:4] == broken
    assert person.messages[-1][1]

    person.click("Try again", card)
    person.wait(lambda: not person.busy)
    assert len(person.messages[-1][1]) > 10
    person.close()
    person = open_window()
    person.wait(lambda: person.titles)
    person.services.chats.open(person.services.chats.list.conversations[0].id)
    person.wait(lambda: person.messages)
    assert person.messages[:3] == broken[:3]


def test_killed_while_nothing_is_asked(person: Person) -> None:
    person.kill_engine()
    person.wait(lambda: person.model_state == "failed")
    assert "The engine was ended by the system" in person.sentences()
    assert person.ask("What is the capital of France?")
    assert person.model_state == "ready"
    assert "The engine was ended by the system" not in person.sentences()


def test_the_sentence_follows_the_language(open_window: OpenWindow) -> None:
    person = open_window(language="zh_CN")
    person.wait(lambda: person.model_state == "ready")
    person.kill_engine()
    person.wait(lambda: person.model_state == "failed")
    assert "引擎被系统终止" in person.sentences()


def card_of(person: Person) -> ReplyFailure:
    person.wait(lambda: any(card.isVisible() for card in person.window.findChildren(ReplyFailure)))
    return next(card for card in person.window.findChildren(ReplyFailure) if card.isVisible())


def test_a_chat_larger_than_the_context_is_answered_in_a_larger_one(open_window: OpenWindow) -> None:
    person = open_window(context=512)
    person.wait(lambda: person.model_state == "ready")
    person.send("word " * 500)
    person.wait(lambda: not person.busy)
    card = card_of(person)
    assert "but the loaded context holds 512" in person.sentences(card)
    person.wait(lambda: person.buttons(card)[1:] == ["New chat", "Settings"])
    larger = person.buttons(card)[0]
    assert LARGER.fullmatch(larger)
    person.click(larger, card)
    person.wait(lambda: not person.busy)
    assert (person.services.chats.list.path[-1].state, person.services.models.state.context) == ("done", 1024)
    assert person.services.settings.context == 512  # this time only


def test_a_chat_larger_than_any_context_of_the_model_offers_a_new_one(open_window: OpenWindow) -> None:
    person = open_window(context=512)
    person.wait(lambda: person.model_state == "ready")
    person.send("word " * 9000)
    person.wait(lambda: not person.busy)
    card = card_of(person)
    assert "was made for 8192 at most; shorten the message" in person.sentences(card)
    run_events(200)
    assert person.buttons(card) == ["Shorten the message", "New chat", "Choose another model"]
    person.click("Shorten the message", card)
    run_events(20)
    assert next(w for w in person.window.findChildren(QuestionWidget) if w.isVisible()).is_edited
    assert person.ask("Hello"), "what was too large is not read again with every later message"
    person.click("New chat", card)
    assert person.messages == []
    assert person.ask("Hello")


def test_a_reply_that_fills_the_context_says_so(open_window: OpenWindow) -> None:
    person = open_window(
        context=512, temperature=2.0, top_p=1.0, min_p=0.0, top_k=0, seed=1
    )  # it will not end by itself
    person.wait(lambda: person.model_state == "ready")
    person.services.settings.max_tokens = 1
    person.ask("tree " * 400 + LONG)
    needed = person.services.chats.list.path[-1].facts["prompt_tokens"]
    person.window.new_chat()
    person.services.settings.max_tokens = 0
    person.ask("tree " * (400 + 512 - needed - 2) + LONG)
    assert person.services.chats.list.path[-1].facts["reason"] == "full"
    card = card_of(person)
    assert "The context is full" in person.sentences(card)
    person.wait(lambda: person.buttons(card)[1:] == ["New chat", "Settings"])
    assert LARGER.fullmatch(person.buttons(card)[0])
