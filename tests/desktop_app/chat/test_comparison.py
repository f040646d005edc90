"""One question to two models: whether both fit, how they take turns, and what is kept. Real engines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from desktop_app.chat import comparison
from desktop_app.chat.attachment import Attachment, Draft
from desktop_app.chat.comparison import Answer, Comparison, Turn, fit_together, kept, path_of
from desktop_app.chat.conversation import Message
from desktop_app.library.installed_model import InstalledModel
from desktop_app.planning.configuration import Computer, RunConfiguration
from desktop_app.planning.planner import plan
from desktop_app.settings import Settings
from tests.desktop_app.planning.test_planner import LLAMA_1B, LLAMA_8B, cuda, laptop, model
from tests.support.canned_server import canned, delta, streamed


def way(config: dict[str, object], computer: Computer) -> RunConfiguration:
    found = plan(model(config, "Q4_K_M"), computer, context=4096).best
    assert found is not None
    return found


def installed(name: str) -> InstalledModel:
    return InstalledModel(
        name=name, path=Path(f"{name}.gguf"), bytes=1, architecture="llama", file_type="", identifier=f"{name}.gguf"
    )


def test_two_models_fit_where_their_plans_do_on_every_device() -> None:
    assert fit_together([way(LLAMA_8B, laptop(12)), way(LLAMA_1B, laptop(12))])
    assert not fit_together([way(LLAMA_8B, laptop(12)), way(LLAMA_8B, laptop(12))])
    with_gpu = laptop(16, cuda(0, 6))
    assert not fit_together([way(LLAMA_8B, with_gpu), way(LLAMA_1B, with_gpu)])  # both want the graphics card


def test_one_answer_becomes_a_chat_with_the_other_as_its_version() -> None:
    one, two = installed("One"), installed("Two")
    answers = [Answer(one, "done", "Tea.", {"tokens": 2}), Answer(two, "stopped", "Cof")]
    attached = Attachment("prices.txt", "Tea 2, coffee 3")
    question = Turn(Draft(" Tea or coffee? ", (attached,)), tuple(answers))
    chat, messages = kept([question], 1)
    asked, first, second = messages
    assert (chat.title, chat.leaf, chat.choices.model) == ("Tea or coffee?", second.id, two.identifier)
    assert (asked.content, first.parent, second.parent) == ("Tea or coffee?", asked.id, asked.id)
    assert [(m.content, m.model, m.state, m.facts) for m in (first, second)] == [
        ("Tea.", "One", "done", {"tokens": 2}),
        ("Cof", "Two", "stopped", {}),
    ]
    assert [(one.name, one.id == attached.id) for one in asked.attachments] == [("prices.txt", False)]
    mute = Turn(Draft("Tea?"), (answers[0], replace(answers[1], text="")))
    chat, messages = kept([mute], 0)
    assert len(messages) == 2 and chat.leaf == messages[1].id
    chat, messages = kept([mute, question], 1)
    assert [message.content for message in messages] == ["Tea or coffee?", "Tea.", "Cof"], "it never heard the first"
    chat, messages = kept([question, mute], 0)
    assert [message.content for message in messages] == ["Tea or coffee?", "Tea.", "Cof", "Tea?", "Tea."]
    assert messages[3].parent == messages[1].id and chat.leaf == messages[4].id


def test_each_model_reads_its_own_answers_before_a_further_question() -> None:
    one, two = installed("One"), installed("Two")
    first = Turn(Draft("Tea or coffee?"), (Answer(one, "done", "Tea."), Answer(two, "failed")))
    further = Draft("Why?", (Attachment("a.txt", "Because."),))
    read = [[message.whole for message in path_of([first], further, number)] for number in (0, 1)]
    assert read == [["Tea or coffee?", "Tea.", "Why?\n\na.txt:\n\nBecause."], ["Why?\n\na.txt:\n\nBecause."]]


@pytest.mark.usefixtures("data_home")
def test_a_model_on_another_computer_answers_beside_one_of_this_computer(
    starter_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    heard: list[tuple[int, Answer]] = []
    with canned(streamed(delta(content="Tea."), delta("stop"))) as server:
        far = replace(installed("Far"), remote=server.address, remote_name="far", context=4096)
        near = replace(installed("Starter"), path=starter_gguf)
        asked = [Message("", None, "user", "Tea?")]
        settings = Settings(max_tokens=3, context=512)
        Comparison((far, near), (asked, asked), settings, lambda number, one: heard.append((number, one))).run()
    answers = dict(heard)
    assert (answers[0].state, answers[1].state) == ("done", "done"), answers
    assert (answers[0].text, answers[0].facts["context"]) == ("Tea.", 4096)
    assert [body["messages"] for _, _, body in server.requests] == [[{"role": "user", "content": "Tea?"}]]
    assert "loading" not in [answer.state for number, answer in heard if number == 0]


def test_what_is_stopped_before_it_began_starts_no_engine() -> None:
    heard: list[tuple[int, str]] = []
    models = (installed("One"), installed("Two"))
    paths = [[Message("", None, "user", "Tea?")]] * 2
    comparison = Comparison(models, paths, Settings(), lambda number, one: heard.append((number, one.state)))
    comparison.stop()
    comparison.run()
    assert heard == [(0, "stopped"), (1, "stopped")]


@pytest.mark.slow
def test_models_that_do_not_fit_together_take_turns_and_a_damaged_one_stops_nothing(
    starter_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "fit_together", lambda _: False)
    damaged = tmp_path / "Damaged.gguf"
    damaged.write_bytes(starter_gguf.read_bytes()[:5000])
    models = (replace(installed("Damaged"), path=damaged), replace(installed("Starter"), path=starter_gguf))
    heard: list[tuple[int, Answer]] = []
    settings = Settings(max_tokens=3, context=512)
    paths = [[Message("", None, "user", "Hello")]] * 2
    Comparison(models, paths, settings, lambda number, answer: heard.append((number, answer))).run()
    turns = [number for number, _ in heard]
    assert turns == sorted(turns)
    answers = dict(heard)
    assert answers[0].state == "failed" and answers[0].error is not None and "Damaged" in str(answers[0].error)
    assert answers[1].state == "done" and answers[1].text and answers[1].facts["tokens"] == 3
