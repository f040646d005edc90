"""One message deleted and brought back, a chat branched off, a reply that goes on: in the tree and on disk."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from desktop_app.chat.attachment import Attachment
from desktop_app.chat.changes import branched, can_go_on, leaf_without, without
from desktop_app.chat.choices import Choices
from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.history import History

NOTE = Attachment("a.txt", "Text", id="n")
CHAT = [
    Message("c", None, "user", "one", "q1", 1.0, attachments=(NOTE,)),
    Message("c", "q1", "assistant", "first", "a1", 2.0),
    Message("c", "q1", "assistant", "second", "a2", 3.0),
    Message("c", "a2", "user", "two", "q2", 4.0),
]


def parents(messages: list[Message]) -> dict[str, str | None]:
    return {message.id: message.parent for message in messages}


@pytest.mark.parametrize("removed", ["q1", "a1", "a2", "q2"])
def test_what_follows_a_deleted_message_follows_the_one_before(tmp_path: Path, removed: str) -> None:
    with closing(History(tmp_path / "chats.sqlite3")) as history:
        history.save_conversation(Conversation("c", "C", leaf="q2"))
        for message in CHAT:
            history.save_message(message)
        [gone] = [message for message in CHAT if message.id == removed]
        history.remove_message(gone)
        assert history.messages("c") == without(CHAT, removed)
        leaf = leaf_without(CHAT, "q2", removed)
        tree = MessageTree(without(CHAT, removed))
        assert leaf in tree
        assert [message.id for message in tree.path(leaf)] == [one for one in ("q1", "a2", "q2") if one != removed]
        history.put_back(gone, [message.id for message in CHAT if message.parent == removed])
        assert sorted(history.messages("c"), key=lambda message: message.created) == CHAT


def test_a_branch_is_a_chat_of_its_own(tmp_path: Path) -> None:
    old = Conversation("c", "Tea", leaf="q2", draft="half", pinned=True, choices=Choices("m"), attachments=(NOTE,))
    new, messages = branched(old, MessageTree(CHAT).path("a2"))
    with closing(History(tmp_path / "chats.sqlite3")) as history:
        history.save_conversation(old)
        for message in CHAT:
            history.save_message(message)
        assert history.add(new, messages)
        assert len(history.messages("c")) == 4
        assert history.messages(new.id) == messages
        assert history.messages("c")[0].attachments == (NOTE,)
    assert [(message.role, message.content) for message in messages] == [("user", "one"), ("assistant", "second")]
    assert (new.title, new.draft, new.pinned, new.choices, new.attachments) == ("Tea", "", False, Choices("m"), ())
    assert messages[0].attachments[0].text == "Text"
    assert not {message.id for message in messages} & {message.id for message in CHAT}


def test_which_replies_can_go_on() -> None:
    reply = CHAT[1]
    assert not can_go_on(reply)
    assert can_go_on(replace(reply, state="stopped"))
    assert can_go_on(replace(reply, state="interrupted"))
    assert can_go_on(replace(reply, facts={"reason": "length"}))
    assert not can_go_on(replace(reply, state="stopped", content=" "))
    assert not can_go_on(replace(CHAT[0], state="stopped"))
