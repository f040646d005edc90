"""Titles by the model: which chats get one, and what of an answer is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.titles import title_of, title_request, wants_title
from desktop_app.engine.results import ModelInfo

INFO = ModelInfo(Path("m.gguf"), "m", "llama", 32000, 4096, 4096, 8_000_000_000, "Q4_K_M", True)
PATH = [Message("c", None, "user", "How do I brew tea?", "q"), Message("c", "q", "assistant", "With hot water.", "a")]


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ("Brewing tea", "Brewing tea"),
        ('  "Brewing Tea."\n', "Brewing Tea"),
        ("**Title: Brewing tea**", "Brewing tea"),
        ("标题：怎样泡茶。", "怎样泡茶"),
        ("《怎样泡茶》", "怎样泡茶"),
        ("<think>The user wants a title.</think>\n\nBrewing tea", "Brewing tea"),
        ("<think>The user wants", ""),
        ("", ""),
        ("word " * 30, ""),
    ],
)
def test_what_is_a_title(answer: str, title: str) -> None:
    assert title_of(answer) == title


def test_which_chats_get_a_title() -> None:
    chat = Conversation("c", "How do I brew tea?")
    assert wants_title(chat, PATH, INFO)
    assert not wants_title(replace(chat, named="user"), PATH, INFO)
    assert not wants_title(replace(chat, named="model"), PATH, INFO)
    assert not wants_title(chat, PATH[:1], INFO)
    assert not wants_title(chat, [PATH[0], replace(PATH[1], state="stopped")], INFO)
    assert not wants_title(chat, [*PATH, Message("c", "a", "user", "And coffee?"), PATH[1]], INFO)
    assert not wants_title(chat, PATH, None)


def test_the_request_goes_on_with_the_chat() -> None:
    request = title_request(PATH, "Be brief.")
    assert [message["role"] for message in request.messages] == ["system", "user", "assistant", "user"]
    assert request.messages[1]["content"] == "How do I brew tea?"
    assert request.thinking is False
