"""One question to two models: whether both fit, and what is kept of the answers. The engines are tried in the window's test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from desktop_app.chat.comparison import Answer, Comparison, fit_together, kept
from desktop_app.chat.request import ReplyOptions
from desktop_app.library.installed_model import InstalledModel
from desktop_app.planning.planner import Computer, RunConfiguration, plan
from tests.desktop_app.planning.test_planner import LLAMA_1B, LLAMA_8B, cuda, laptop, model


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
    chat, messages = kept(" Tea or coffee? ", answers, 1)
    asked, first, second = messages
    assert (chat.title, chat.leaf, chat.choices.model) == ("Tea or coffee?", second.id, two.identifier)
    assert (asked.content, first.parent, second.parent) == ("Tea or coffee?", asked.id, asked.id)
    assert [(m.content, m.model, m.state, m.facts) for m in (first, second)] == [
        ("Tea.", "One", "done", {"tokens": 2}),
        ("Cof", "Two", "stopped", {}),
    ]
    chat, messages = kept("Tea?", [answers[0], replace(answers[1], text="")], 0)
    assert len(messages) == 2 and chat.leaf == messages[1].id


def test_what_is_stopped_before_it_began_starts_no_engine() -> None:
    heard: list[tuple[int, str]] = []
    models = (installed("One"), installed("Two"))
    comparison = Comparison(models, "Tea?", ReplyOptions(), None, lambda number, one: heard.append((number, one.state)))
    comparison.stop()
    comparison.run()
    assert heard == [(0, "stopped"), (1, "stopped")]
