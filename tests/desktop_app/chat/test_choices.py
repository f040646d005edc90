"""What was chosen for one chat alone: stored, read whatever the file holds, and counted before the settings."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from desktop_app.chat.choices import Choices, choices_from
from desktop_app.chat.conversation import Conversation
from desktop_app.chat.folders import Folder, arranged, moved
from desktop_app.chat.history import History
from desktop_app.chat.request import options_for
from desktop_app.settings import Settings

CHOICES = Choices(
    "Qwen3-8B.gguf",
    "You are a cook.",
    {"temperature": 0.2, "top_k": 7, "seed": 3, "max_tokens": 5},
    "cook",
)


def test_choices_folders_and_pins_are_stored(tmp_path: Path) -> None:
    path = tmp_path / "chats.sqlite3"
    chat = Conversation("a", "A", pinned=True, folder="work", named="user", choices=CHOICES)
    with closing(History(path)) as history:
        history.save_folders([Folder("Work", 0, id="work"), Folder("Play", 1, True, "play")])
        history.save_conversation(chat)
    with closing(History(path)) as history:
        assert history.recovery is None
        assert history.conversations() == [chat]
        assert history.folders() == [Folder("Work", 0, id="work"), Folder("Play", 1, True, "play")]
        history.delete_folder("work")
        assert [one.folder for one in history.conversations()] == [None]


@pytest.mark.parametrize(
    "stored",
    [
        None,
        7,
        [],
        {"model": 3, "instructions": [], "sampling": 7, "assistant": {}},
        {"sampling": {"temperature": "hot", "top_k": 1.5, "top_p": 7, "seed": True, "no such": 1}},
        {"a later version's": 1},
    ],
)
def test_damaged_choices_are_left_out(stored: Any) -> None:
    assert choices_from(stored) == Choices()


def test_a_damaged_row_is_mended_and_a_whole_one_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chats.sqlite3"
    with closing(History(path)) as history:
        history.save_conversation(Conversation("a", "A", choices=CHOICES))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE conversations SET choices = '{', pinned = 'yes', named = x'ff'")
    for mended in (True, False):
        with closing(History(path)) as history:
            assert (history.recovery is not None) is mended
            [chat] = history.conversations()
            assert (chat.choices, chat.pinned, chat.named) == (Choices(), False, "")


def test_a_chats_own_choices_count_before_the_settings() -> None:
    settings = Settings(system_prompt="General.", temperature=1.0, min_p=0.1, max_tokens=99, seed=-1)
    options = options_for(settings, Conversation(choices=CHOICES, thinking=True, effort="low"))
    assert options.system_prompt == "You are a cook."
    assert options.sampling == {"temperature": 0.2, "top_k": 7, "min_p": 0.1}
    assert (options.seed, options.max_tokens, options.thinking, options.effort) == (3, 5, True, "low")
    assert options_for(settings, Conversation()).system_prompt == "General."
    assert options_for(settings, Conversation(choices=Choices(instructions=""))).system_prompt == ""


def test_a_pinned_chat_is_above_all_and_the_others_are_in_their_folders() -> None:
    work, play = Folder("Work", 1, id="work"), Folder("Play", 0, id="play")
    chats = [
        Conversation("old", updated=1.0, folder="work"),
        Conversation("new", updated=2.0, folder="work"),
        Conversation("pin", updated=0.5, folder="work", pinned=True),
        Conversation("free", updated=3.0),
        Conversation("lost", updated=4.0, folder="gone"),
    ]
    found = arranged(chats, [work, play])
    assert [chat.id for chat in found.pinned] == ["pin"]
    assert [(folder.id, [chat.id for chat in held]) for folder, held in found.folders] == [
        ("play", []),
        ("work", ["new", "old"]),
    ]
    assert [chat.id for chat in found.others] == ["lost", "free"]
    assert [folder.id for folder in moved([work, play], "work", 0)] == ["work", "play"]
    assert [folder.position for folder in moved([work, play], "work", 0)] == [0, 1]
