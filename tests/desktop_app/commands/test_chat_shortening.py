"""`zhiyin chat` where the next message does not fit: it goes on with what the user chose, recorded chats too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from desktop_app.assistant.toolbox import Toolbox
from desktop_app.chat.request import ReplyOptions
from desktop_app.commands.chat import _answer, _Chat
from desktop_app.commands.chat_record import ChatRecord, open_record
from desktop_app.commands.chat_tools import ToolChat
from desktop_app.commands.session import Session, find_model, loaded_by_plan
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings
from tests.support.byte_llama import byte_llama

OPTIONS = ReplyOptions("Be brief.", max_tokens=2)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    path = byte_llama(tmp_path_factory.mktemp("model"))
    with Engine() as engine:
        info = engine.submit(Load(path, LoadSettings(context=1024, threads=1))).result(60)
        yield Session(engine, find_model(str(path)), info)


def asked(chat: _Chat, *messages: str, choose: Callable[[], str] | None = None) -> list[int]:
    return [_answer(chat, lambda text=text: chat.ask(text), choose) for text in messages]  # type: ignore[misc]


@pytest.mark.parametrize(("sizes", "start"), [((470, 180, 380), "2"), ((390, 390, 250), "3")])
def test_a_message_that_does_not_fit_is_asked_again(session: Session, sizes: tuple[int, ...], start: str) -> None:
    chat = _Chat(session.engine, session.info, OPTIONS, {})
    first, second, third = (f"{number}" * size for number, size in enumerate(sizes, 1))
    assert asked(chat, first, second) == [0, 0]
    assert asked(chat, third) == [1]
    assert asked(chat, third, choose=lambda: "n") == [1]
    assert len(chat.messages) == 4
    assert asked(chat, third, choose=lambda: "d") == [0]
    assert [message.content[0] for message in chat.messages if message.id == chat.options.reads_from] == [start]
    assert asked(chat, "5") == [0]


def test_a_new_chat_takes_the_last_turns_along(session: Session) -> None:
    chat = _Chat(session.engine, session.info, OPTIONS, {})
    assert asked(chat, "1" * 470, "2" * 180) == [0, 0]
    assert asked(chat, "3" * 380, choose=lambda: "c") == [0]
    assert [message.content[0] for message in chat.messages if message.role == "user"] == ["2", "3"]
    assert not chat.options.reads_from


def test_a_larger_context_is_offered_with_its_memory_and_loaded(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    with loaded_by_plan(session.model, LoadSettings(threads=1), 1024) as own:
        chat = _Chat(own.engine, own.info, OPTIONS, own.model.sampling, session=own)
        assert asked(chat, "1" * 1040) == [1]
        assert asked(chat, "1" * 1040, choose=lambda: "l") == [0]
        assert (own.info.context, chat.info.context) == (2048, 2048)
        assert own.planned.settings.context == 2048
    said = capsys.readouterr().err
    assert re.search(r"^  l  a larger context: 2048 tokens, [0-9.]+ [kMG]?B more memory$", said, re.MULTILINE)
    assert "  d  " not in said, "there is no turn to leave out"


def test_a_recorded_chat_goes_on_in_a_new_one(session: Session, data_home: Path) -> None:
    with open_record(last=False) as record:
        acting = ToolChat(session, Toolbox([], data_home, None, []), record.step, allow_all=False)
        chat = _Chat(session.engine, session.info, OPTIONS, {}, acting, record)
        chat.go_on()
        assert asked(chat, "1" * 470, "2" * 180) == [0, 0]
        old = record.conversation.id
        assert asked(chat, "3" * 380, choose=lambda: "c") == [0]
        assert record.conversation.id != old
    with open_record(last=True) as record:
        assert record.conversation.id != old
        assert [message.content[0] for message in record.path if message.role == "user"] == ["2", "3"]
        assert record.path[-1].role == "assistant"


def test_a_recorded_chat_keeps_what_was_chosen(session: Session, data_home: Path) -> None:
    def opened(record: ChatRecord) -> _Chat:
        acting = ToolChat(session, Toolbox([], data_home, None, []), record.step, allow_all=False)
        chat = _Chat(session.engine, session.info, OPTIONS, {}, acting, record)
        chat.go_on()
        return chat

    with open_record(last=False) as record:
        chat = opened(record)
        assert asked(chat, "1" * 380, "2" * 380) == [0, 0]
        assert asked(chat, "3" * 300, choose=lambda: "d") == [0]
        start = chat.options.reads_from
        assert start
    with open_record(last=True) as record:
        again = opened(record)
        assert again.options.reads_from == start
        assert [message.content[0] for message in again.messages if message.role == "user"] == ["1", "2", "3"]
        assert asked(again, "5") == [0]
