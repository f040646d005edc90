"""A chat that is longer than the context goes on: with its last turns, with a summary of the others, or in a chat of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop_app.chat.attachment import Attachment
from desktop_app.chat.changes import branched
from desktop_app.chat.choices import Choices, choices_from
from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.request import ReplyOptions, options_for, reply_request
from desktop_app.chat.shortening import Shortener, moved
from desktop_app.commands.chat_shortening import shortened
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings
from desktop_app.settings import Settings
from models.errors import Cancelled, ZhiyinError
from tests.support.byte_llama import byte_llama

CONTEXT = 1024
SYSTEM = "Be brief."


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine() as running:
        settings = LoadSettings(context=4096, threads=1)
        running.submit(Load(byte_llama(tmp_path_factory.mktemp("model")), settings)).result(60)
        yield running


def chat(*sizes: int, attached: dict[int, int] | None = None) -> list[Message]:
    """Return a chat of questions of so many characters with replies of ten, and one question at its end."""
    path: list[Message] = []
    for number, size in enumerate(sizes):
        for role, text in (("user", f"{number}" * size), ("assistant", "x" * 10)):
            count = (attached or {}).get(number, 0) if role == "user" else 0
            attachments = (Attachment("a" * count, f"{number}.txt"),) if count else ()
            parent = path[-1].id if path else None
            path.append(Message("chat", parent, role, text, id=f"{role}{number}", attachments=attachments))
    return path[:-1]


def shortener(engine: Engine, reads_from: str = "") -> Shortener:
    return Shortener(engine, ReplyOptions(SYSTEM, reads_from=reads_from), CONTEXT)


def sent(path: list[Message], reads_from: str = "", summary: str = "") -> list[str]:
    options = ReplyOptions(SYSTEM, reads_from=reads_from, summary=summary)
    return [message["content"] for message in reply_request(path, options, {}).messages]


def test_as_many_turns_stay_as_leave_room_for_more(engine: Engine) -> None:
    path = chat(*[150] * 8)
    assert shortener(engine).start(path) == "user5"  # three turns are less than 60 percent of the context
    assert shortener(engine).start(path, needed=1700) == "user6"  # tools take a part of it, too
    assert shortener(engine, reads_from="user6").start(path) == "user7"
    assert shortener(engine, reads_from="user7").start(path) == ""


def test_what_cannot_be_shortened_is_not(engine: Engine) -> None:
    assert shortener(engine).start(chat(2000)) == ""
    assert shortener(engine).start(chat(100, 2000)) == ""
    assert shortener(engine).start(chat(500, 900)) == ""
    assert shortener(engine).start(chat(500, 700)) == "user1"  # more than 60 percent, with room for an answer
    assert Shortener(engine, ReplyOptions(), 0).start(chat(500, 700)) == ""


def test_attachments_are_cut_last(engine: Engine) -> None:
    path = chat(100, 300, 300, 100, attached={0: 400})
    start = shortener(engine).start(path)
    assert start == "user3"
    texts = sent(path, reads_from=start)
    assert texts[0] == SYSTEM
    assert "a" * 400 in texts[1]
    assert "1" * 300 not in "".join(texts)
    # One that does not fit is searched (`documents.fitting`); what was said is all that counts then.
    assert shortener(engine).start(chat(100, 300, 300, 300, attached={0: 4000})) == "user3"


def test_the_chat_is_read_from_there_in_branches_that_have_the_question() -> None:
    path = chat(10, 10, 10)
    assert sent(path, reads_from="user1")[1:] == ["1" * 10, "x" * 10, "2" * 10]
    assert sent(path, reads_from="elsewhere", summary="of another branch") == sent(path)
    assert reply_request(path, ReplyOptions(reads_from="user1"), {}).shortened
    assert not reply_request(path, ReplyOptions(), {}).shortened
    assert "What was said" in sent(path, reads_from="user1", summary="What was said")[0]


def test_what_was_chosen_is_stored_with_the_chat() -> None:
    choices = Choices(reads_from="user1", summary="What was said")
    assert choices_from(choices.stored()) == choices
    options = options_for(Settings(), Conversation(choices=choices))
    assert (options.reads_from, options.summary) == ("user1", "What was said")
    assert choices_from({"reads_from": 1, "summary": []}) == Choices()


def test_the_model_summarises_what_is_left_out_part_by_part(engine: Engine) -> None:
    path = chat(700, 700, 100)
    asking = Shortener(engine, ReplyOptions(SYSTEM), 2048)
    assert asking.summary(path, "user2", threading.Event())
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(Cancelled):
        asking.summary(path, "user2", stopped)


def test_the_last_turns_become_a_branch_of_their_own() -> None:
    path = chat(10, 10, 10, attached={0: 20})
    kept = moved(path, "user2")
    assert [message.id for message in kept] == ["user0", "user2"]
    assert [message.parent for message in kept] == [None, "user0"]


def test_a_copy_of_a_chat_is_read_from_the_same_question_on() -> None:
    path = chat(10, 10, 10)
    old = Conversation("chat", choices=Choices(reads_from="user1", summary="What was said"))
    new, copies = branched(old, path)
    assert new.choices == Choices(reads_from=copies[2].id, summary="What was said")
    assert branched(old, path[:1])[0].choices == Choices()


@pytest.mark.parametrize(
    ("typed", "expected"), [("d", "user1"), ("s", "user1"), ("c", "user1"), ("n", None), ("l", None)]
)
def test_the_terminal_says_what_can_be_done_and_does_it(
    typed: str, expected: str | None, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ZhiyinError("This chat needs {needed} tokens.", code="context-full", needed=2100)
    found = shortened(
        engine, ReplyOptions(SYSTEM), 2048, chat(900, 900, 100), error, lambda: typed, lambda needed: None
    )
    assert (found.options.reads_from if found else None) == expected
    assert bool(found and found.options.summary) == (typed == "s")
    assert bool(found and found.new_chat) == (typed == "c")
    said = capsys.readouterr().err
    assert "leave the oldest turns out" in said
    assert "a larger context" not in said
    assert ("The model reads this chat from “1111" in said) == (expected is not None)
    assert shortened(engine, ReplyOptions(SYSTEM), 2048, chat(3000), error, lambda: "d", lambda needed: None) is None
    assert "shorten the message" in capsys.readouterr().err


def test_a_shortened_chat_is_not_read_from_its_beginning(engine: Engine, tmp_path: Path) -> None:
    path = chat(*[150] * 6)
    whole = engine.submit(reply_request(path, ReplyOptions(SYSTEM, max_tokens=2), {})).result(60)
    path += [Message("chat", path[-1].id, "assistant", whole.text, id="last")]
    path += [Message("chat", "last", "user", "and now?", id="next")]
    options = ReplyOptions(SYSTEM, max_tokens=2, reads_from="user3")
    reply = engine.submit(reply_request(path, options, {})).result(60)
    assert reply.prompt_tokens - reply.reused_tokens < 40
    assert reply.reused_tokens > 400
