"""Chats of other programs: what each exports is read, with branches; what is damaged or hostile is one sentence."""

from __future__ import annotations

import json
import random
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from desktop_app.chat.attachment import Attachment
from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.export import as_json
from desktop_app.chat.history import History
from desktop_app.chat.imports.chat import Chat
from desktop_app.chat.imports.reading import UnknownExport, read_chats
from desktop_app.chat.imports.work import Imported, import_chats
from models.errors import ZhiyinError


def node(role: str, text: Any, parent: str | None, **more: Any) -> dict[str, Any]:
    message = {
        "author": {"role": role},
        "content": {"content_type": "text", "parts": [text]},
        "create_time": 1700000000.5,
        **more,
    }
    return {"message": message, "parent": parent, "children": []}


CHATGPT = [
    {
        "title": "Brewing tea",
        "create_time": 1700000000.0,
        "update_time": 1700000100.0,
        "current_node": "a2",
        "conversation_id": "c1",
        "mapping": {
            "root": {"message": None, "parent": None, "children": ["sys"]},
            "sys": node("system", "", "root"),
            "q": node("user", "How do I brew tea?", "sys"),
            "a1": node("assistant", "With water.", "q", metadata={"model_slug": "gpt-4o"}),
            "call": node("assistant", "search()", "q", recipient="browser"),
            "tool": node("tool", "results", "call"),
            "a2": node("assistant", "With **hot** water.", "tool", metadata={"model_slug": "gpt-4o"}),
        },
    },
    {"title": None, "mapping": {"x": node("user", "只有问题", None)}, "current_node": None},
]
LM_STUDIO = {
    "name": "Rivers",
    "createdAt": 1700000000000,
    "lastUsedModel": {"identifier": "qwen3-8b"},
    "messages": [
        {
            "versions": [{"role": "user", "content": [{"type": "text", "text": "Name a river."}]}],
            "currentlySelected": 0,
        },
        {
            "versions": [
                {"role": "assistant", "type": "singleStep", "content": [{"type": "text", "text": "The Rhine."}]},
                {
                    "role": "assistant",
                    "type": "multiStep",
                    "steps": [
                        {
                            "type": "contentBlock",
                            "style": {"type": "thinking"},
                            "content": [{"type": "text", "text": "A big one."}],
                        },
                        {"type": "contentBlock", "content": [{"type": "text", "text": "The Amazon."}]},
                    ],
                },
            ],
            "currentlySelected": 1,
        },
    ],
}
OPEN_WEBUI = [
    {
        "id": "w1",
        "title": "Mountains",
        "created_at": 1700000000,
        "updated_at": 1700000050,
        "chat": {
            "title": "Mountains",
            "history": {
                "currentId": "3",
                "messages": {
                    "1": {"id": "1", "parentId": None, "role": "user", "content": "Name one.", "timestamp": 1700000000},
                    "2": {"id": "2", "parentId": "1", "role": "assistant", "content": "Eiger", "model": "llama3"},
                    "3": {
                        "id": "3",
                        "parentId": "1",
                        "role": "assistant",
                        "content": '<details type="reasoning" done="true"><summary>Thought</summary>\n> high\n</details>\nK2',
                    },
                },
            },
        },
    }
]
JAN_LINES = [
    {"id": "m1", "role": "user", "created_at": 1700000000000, "content": [{"type": "text", "text": {"value": "Hi?"}}]},
    {
        "id": "m2",
        "role": "assistant",
        "created_at": 1700000001,
        "content": [{"type": "text", "text": {"value": "Hi!"}}],
    },
]


def shown(chat: Chat) -> list[tuple[str, str]]:
    """The open branch."""
    path = MessageTree(chat.messages).path(chat.conversation.leaf)
    return [(message.role, message.content) for message in path]


def written(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")
    return path


@pytest.mark.parametrize("zipped", [False, True])
def test_chatgpts_export(tmp_path: Path, zipped: bool) -> None:
    path = written(tmp_path / "conversations.json", CHATGPT)
    if zipped:
        with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
            archive.write(path, "conversations.json")
            archive.writestr("user.json", "{}")
            archive.writestr("chat.html", "<html>")
        path = tmp_path / "export.zip"
    tea, other = read_chats(path).chats
    assert (tea.conversation.title, tea.conversation.created, tea.conversation.updated) == (
        "Brewing tea",
        1.7e9,
        1.7e9 + 100,
    )
    assert shown(tea) == [("user", "How do I brew tea?"), ("assistant", "With **hot** water.")]
    assert [message.model for message in tea.messages] == ["", "gpt-4o", "gpt-4o"]
    assert other.conversation.title == "只有问题"
    assert read_chats(path).chats[0].conversation.id == tea.conversation.id


def test_lm_studios_conversation_with_versions_and_a_thought(tmp_path: Path) -> None:
    [chat] = read_chats(written(tmp_path / "1700.conversation.json", LM_STUDIO)).chats
    assert chat.conversation.title == "Rivers"
    assert shown(chat) == [("user", "Name a river."), ("assistant", "<think>\nA big one.\n</think>\n\nThe Amazon.")]
    assert [message.content for message in chat.messages][1] == "The Rhine."
    assert chat.messages[-1].model == "qwen3-8b"


def test_open_webuis_export(tmp_path: Path) -> None:
    [chat] = read_chats(written(tmp_path / "chat-export.json", OPEN_WEBUI)).chats
    assert shown(chat) == [("user", "Name one."), ("assistant", "<think>\nhigh\n</think>\n\n\nK2")]
    assert chat.messages[1].model == "llama3"


def test_jans_threads_in_a_folder_and_a_file(tmp_path: Path) -> None:
    thread = tmp_path / "threads" / "t1"
    written(thread / "thread.json", {"id": "t1", "title": "Greeting", "updated": 1700000002})
    lines = [json.dumps(line) for line in reversed(JAN_LINES)]
    (thread / "messages.jsonl").write_text("\n".join([*lines, '{"id": "m3", "role": "us']), "utf-8")
    [chat] = read_chats(tmp_path).chats
    assert chat.conversation.title == "Greeting"
    assert shown(chat) == [("user", "Hi?"), ("assistant", "Hi!")]
    assert shown(read_chats(thread / "messages.jsonl").chats[0]) == shown(chat)


def test_our_own_json_comes_back_whole(tmp_path: Path) -> None:
    chat = Chat(
        Conversation("c", "Tea", 5.0, 6.0, "r", named="user"),
        (
            Message("c", None, "user", "Hello", "q", 5.0, attachments=(Attachment("a.txt", "Text", id="n"),)),
            Message("c", "q", "assistant", "Old", "a", 6.0, "stopped", "M", {"tokens": 3}),
            Message("c", "q", "assistant", "New", "r", 6.0, model="M"),
        ),
    )
    path = tmp_path / "tea.json"
    path.write_text(as_json([chat]), "utf-8")
    [read] = read_chats(path).chats
    assert read.conversation == chat.conversation
    assert [message.attachments[0].text for message in read.messages[:1]] == ["Text"]
    assert read.messages[1:] == chat.messages[1:]


def test_an_import_adds_each_chat_once(tmp_path: Path) -> None:
    path, database = written(tmp_path / "conversations.json", CHATGPT), tmp_path / "chats.sqlite3"
    parts: list[float] = []
    assert import_chats(parts.append, lambda: False, path, database) == Imported(2, 0, 0)
    assert parts == [0.5, 1.0]
    with closing(History(database)) as history:
        for chat in history.conversations():
            if chat.title == "Brewing tea":
                history.delete(chat.id)
    assert import_chats(parts.append, lambda: False, path, database) == Imported(0, 2, 0)
    with closing(History(database)) as history:
        assert [chat.title for chat in history.conversations()] == ["只有问题"]
        assert len(history.trash()) == 1


HOSTILE = {
    "empty": b"",
    "no JSON": b"\x00\xff\xfe",
    "not a list of chats": b"[1, 2, 3]",
    "another JSON": b'{"a": 1}',
    "deep": b"[" * 200_000,
    "deep chat": b'[{"mapping": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}]",
    "numbers for texts": json.dumps([{"mapping": 7}, {"chat": "x"}]).encode(),
    "circle": json.dumps(
        [{"mapping": {"a": node("user", "x", "b"), "b": node("user", "y", "a")}, "current_node": "a"}]
    ).encode(),
    "zip of nothing": b"PK\x05\x06" + b"\x00" * 18,
    "broken zip": b"PK\x03\x04" + b"\x00" * 40,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_export_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(content)
    with pytest.raises(UnknownExport) as caught:
        read_chats(path)
    assert str(caught.value).count("\n") == 0
    with pytest.raises(ZhiyinError):
        read_chats(tmp_path / "missing.json")


def test_a_damaged_chat_leaves_the_others(tmp_path: Path) -> None:
    damaged = [CHATGPT[0], {"mapping": {"q": {"message": {"author": 7}}}}, CHATGPT[1]]
    found = read_chats(written(tmp_path / "conversations.json", damaged))
    assert (len(found.chats), found.unreadable) == (2, 1)


@pytest.mark.parametrize("value", [CHATGPT, LM_STUDIO, OPEN_WEBUI], ids=["ChatGPT", "LM Studio", "Open WebUI"])
def test_a_file_cut_off_or_changed_anywhere_is_read_or_refused(tmp_path: Path, value: Any) -> None:
    whole, path, chance = json.dumps(value).encode(), tmp_path / "x.json", random.Random(7)
    for _ in range(300):
        data = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.3 else whole)
        for _ in range(chance.randrange(1, 6)):
            if data:
                data[chance.randrange(len(data))] = chance.choice(b'{}[]",:0a\xff')
        path.write_bytes(data)
        try:
            chats = read_chats(path).chats
        except ZhiyinError:
            continue
        for chat in chats:
            MessageTree(chat.messages).path(chat.conversation.leaf)
