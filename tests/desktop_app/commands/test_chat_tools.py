"""`zhiyin chat --tools`: steps on stderr, the answer on stdout, and nothing is changed unasked."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.history import History
from tests.support.commands import zhiyin


def test_a_question_with_tools_is_answered(starter_gguf: Path, tmp_path: Path) -> None:
    said = ("chat", "-m", str(starter_gguf), "--prompt", "Say hello.", "--temperature", "0", "--max-tokens", "30")
    done = zhiyin(*said, "--ctx", "2048", "--tools", "calculator,time", ZHIYIN_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() or "→" in done.stderr


def test_wrong_tools_are_refused_before_a_model_is_loaded(tmp_path: Path) -> None:
    done = zhiyin("chat", "--prompt", "x", "--tools", "nothing", ZHIYIN_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no tool nothing; choose among calculator" in done.stderr


def test_a_schema_and_tools_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text("{}", "utf-8")
    said = ("chat", "--prompt", "x", "--tools", "time", "--schema", str(tmp_path / "schema.json"))
    done = zhiyin(*said, ZHIYIN_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "A schema holds the whole reply" in done.stderr


def test_an_answer_that_its_schema_does_not_allow_ends_with_1(starter_gguf: Path, tmp_path: Path) -> None:
    """A script takes no half JSON, and none that the grammar could not hold to the schema, for an answer."""
    said = (
        "chat",
        "-m",
        str(starter_gguf),
        "--prompt",
        "x",
        "--temperature",
        "0",
        "--ctx",
        "1024",
        "--max-tokens",
        "8",
    )
    schema = tmp_path / "schema.json"
    cases = {'{"type": "string", "minLength": 200}': "cut off", '{"const": 8, "multipleOf": 7}': "not a multiple of 7"}
    for text, fault in cases.items():
        schema.write_text(text, "utf-8")
        done = zhiyin(*said, "--schema", str(schema), ZHIYIN_HOME=str(tmp_path))
        assert done.returncode == 1, done.stdout
        assert fault in done.stderr


def test_a_chat_with_tools_is_stored_and_what_was_cut_off_in_it_is_finished(starter_gguf: Path, tmp_path: Path) -> None:
    call = {"id": "call00000", "name": "calculator", "arguments": {"expression": "6 * 7"}}
    with closing(History(tmp_path / "chats.sqlite3")) as history:
        history.save_conversation(Conversation("chat", "Sums", leaf="asks"))
        history.save_message(Message("chat", None, "user", "6 * 7?", "asks"))
        history.save_step(Message("chat", "asks", "assistant", "", "calls", facts={"tool_calls": [call]}))
    said = ("chat", "-m", str(starter_gguf), "--prompt", "Thanks.", "--max-tokens", "8", "--ctx", "2048")
    done = zhiyin(*said, "--temperature", "0", "--continue", "--tools", "calculator", ZHIYIN_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert 'calculator(expression="6 * 7")' in done.stderr
    with closing(History(tmp_path / "chats.sqlite3")) as history:
        (chat,) = history.conversations()
        branch = MessageTree(history.messages("chat")).path(chat.leaf)
    assert [message.role for message in branch[:4]] == ["user", "assistant", "tool", "assistant"]
    assert branch[2].content == "42"
    assert "Thanks." in [message.content for message in branch]
    assert branch[-1].role == "assistant"


def test_without_a_chat_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    done = zhiyin("chat", "--prompt", "x", "--continue", ZHIYIN_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "zhiyin: There is no chat to go on with; leave out --continue.\n"
