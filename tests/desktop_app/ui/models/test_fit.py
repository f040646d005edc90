"""Loading by plan: what fits now decides, the user can insist, and the list says how well each model fits."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from PySide6.QtWidgets import QComboBox

from desktop_app.paths import loads_file
from desktop_app.planning.calibration import Loads
from desktop_app.planning.candidates import model_of_gguf
from desktop_app.planning.planner import plan
from desktop_app.system.memory_limits import MainMemory
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.models.model_picker import ModelPicker
from desktop_app.ui.settings.settings_page import SettingsPage
from tests.desktop_app.ui.conftest import OpenWindow
from tests.desktop_app.ui.models.test_models import a_copy, actions
from tests.desktop_app.ui.settings.test_settings import field, page_of
from tests.support.window import Person

MB = 1_000_000
RESERVE = 268_435_456
"""What the planner leaves free of a small memory."""


class Taken:
    """Counts what engine processes take from the free memory: those that a test starts, not those of other tests."""

    def __init__(self) -> None:
        self._others = set(psutil.Process().children())

    def __call__(self) -> int:
        found = [child.memory_info() for child in psutil.Process().children() if child not in self._others]
        return sum(memory.rss - getattr(memory, "shared", 0) for memory in found)


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def memory(taken: Taken, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes beyond the reserve that an engine finds on the computer; a test writes another number."""
    room = [3000 * MB]
    monkeypatch.setattr(
        "desktop_app.system.hardware.main_memory", lambda: MainMemory(4000 * MB, max(0, RESERVE + room[0] - taken()))
    )
    return room


def ready(person: Person) -> Person:
    person.wait(lambda: person.model_state == "ready")
    return person


def taken_as_planned(person: Person) -> int:
    """Bytes of main memory that the loaded model was planned to take."""
    planned = person.services.models.state.planned
    assert planned is not None
    assert planned.plan.best is not None
    return planned.plan.best.shares[0].total


def needed(person: Person) -> int:
    """Bytes of main memory that the loaded model takes at least with its context: for one chat, not for a second one."""
    state = person.services.models.state
    assert state.planned is not None
    settings = state.planned.settings
    one = plan(
        model_of_gguf(state.model.path), state.planned.computer, context=settings.context, kv_type=settings.kv_type
    )
    assert one.best is not None
    assert one.best.parallel == 1
    return one.best.shares[0].total


def badges(person: Person) -> dict[str, str]:
    """What the open list says of each model."""
    menu = person.find(ModelPicker).menu()
    entries = [action.text().split("\t") for action in menu.actions() if "\t" in action.text()]
    return {name: details.split(" · ")[-1] for name, details in entries}


def test_automatic_takes_the_planners_context_and_a_number_is_obeyed(
    open_window: OpenWindow, memory: list[int]
) -> None:
    person = ready(open_window())
    assert person.services.settings.context == 0
    state = person.services.models.state
    assert (state.info.context, state.context) == (8192, 8192)
    assert "Context: 8,192 tokens" in person.find(ModelPicker).toolTip()
    dialog = page_of(person, "chat")
    context = field(dialog, "Context")
    assert isinstance(context, QComboBox)
    assert context.currentText() == "Automatic"
    memory[0] = 10 * MB  # a number is obeyed even where the plan sees no room
    context.setCurrentIndex(context.findData(4096))
    dialog.close()
    person.wait(lambda: person.model_state == "loading")
    ready(person)
    assert person.services.models.state.info.context == 4096
    person.close()
    person = ready(open_window())
    assert person.services.models.state.info.context == 4096
    assert not person.window.findChildren(SettingsPage)


def test_less_memory_gives_a_shorter_context(open_window: OpenWindow, memory: list[int]) -> None:
    person = ready(open_window())
    memory[0] = needed(person) - 20 * MB
    person.close()
    person = ready(open_window())
    assert person.services.models.state.info.context == 4096
    assert taken_as_planned(person) <= memory[0]


def test_less_memory_gives_up_the_second_chat_before_the_context(open_window: OpenWindow, memory: list[int]) -> None:
    person = ready(open_window())
    assert person.services.models.state.planned.settings.parallel == 2
    memory[0] = needed(person) + 10 * MB
    assert memory[0] < taken_as_planned(person)
    person.close()
    person = ready(open_window())
    assert person.services.models.state.planned.settings.parallel == 1
    assert person.services.models.state.info.context == 8192


def test_what_unloading_frees_counts(open_window: OpenWindow, memory: list[int], taken: Taken) -> None:
    person = ready(open_window())
    memory[0] = needed(person) + 10 * MB
    assert memory[0] - taken() < needed(person) - 100 * MB  # beside the loaded model another one does not fit
    person.services.models.apply_settings()
    ready(person)
    assert person.services.models.state.info.context == 8192
    actions(person)  # opens the list
    person.wait(lambda: badges(person) == {"SmolLM2-135M-Instruct": "tight"})


def test_what_does_not_fit_is_refused_with_ways_that_fit(open_window: OpenWindow, memory: list[int]) -> None:
    person = ready(open_window())
    person.services.models.reload_with_context(2048)
    ready(person)
    memory[0] = needed(person) - 15 * MB
    person.services.settings.context = 0
    person.close()
    person = open_window()
    person.wait(lambda: person.model_state == "failed")
    state = person.services.models.state
    assert state.error is not None
    assert (state.error.code, state.info, person.services.models.state.context) == ("does-not-fit", None, 2048)
    assert "2048 tokens of context needs" in person.sentences()
    assert "more than is free now; a q8_0 cache fits, a context of 1024 fits." in person.sentences()
    assert {"Use a q8_0 cache", "Use a context of 1,024", "Load it all the same"} <= set(person.buttons())
    person.click("Use a context of 1,024")
    ready(person)
    assert person.services.models.state.info.context == 1024
    assert "more than is free" not in person.sentences()
    assert person.services.settings.context == 0
    person.services.models.apply_settings()
    person.wait(lambda: person.model_state == "failed")
    person.click("Use a q8_0 cache")
    ready(person)
    assert person.services.models.state.planned.settings.kv_type == "q8_0"
    person.services.models.apply_settings()
    person.wait(lambda: person.model_state == "failed")
    person.click("Load it all the same")
    ready(person)
    assert person.services.models.state.info.context == 2048
    assert person.ask("Hello")


def test_a_refusal_is_chinese_with_its_numbers(open_window: OpenWindow, memory: list[int]) -> None:
    person = ready(open_window())
    person.services.models.reload_with_context(2048)
    ready(person)
    memory[0] = needed(person) - 15 * MB
    person.services.settings.context = 0
    person.close()
    person = open_window(language="zh_CN")
    person.wait(lambda: person.model_state == "failed")
    refused = person.services.models.state.planned.plan.chosen
    assert "2048 个词元的上下文" in person.sentences()
    assert f"也需要 {size(refused.bytes)}，比现在空闲的多 {size(refused.shortfall)}；" in person.sentences()
    assert "q8_0 缓存放得下、1024 个词元的上下文放得下。" in person.sentences()


def test_the_first_reply_of_a_load_teaches_the_planner(open_window: OpenWindow, memory: list[int]) -> None:
    person = ready(open_window())
    for _ in range(2):
        person.ask("Hello")
    person.wait(lambda: Loads(loads_file()).newest("RAM"))
    person.services.models.apply_settings()
    ready(person)
    person.ask("Hello")
    person.wait(lambda: len(Loads(loads_file()).newest("RAM")) == 2)
    records = Loads(loads_file()).newest("RAM")
    assert {record.model for record in records} == {Path(person.services.models.state.model.path).stem}
    assert all(0.5 < record.actual / record.predicted < 2 for record in records)


def test_the_list_says_how_well_models_fit(
    open_window: OpenWindow, memory: list[int], starter_gguf: Path, tmp_path: Path
) -> None:
    person = ready(open_window())
    person.window.import_files([str(a_copy(starter_gguf, tmp_path, "other.gguf"))])
    person.wait(lambda: person.services.models.state.model.name == "other" and person.model_state == "ready")
    person.wait(lambda: badges(person) == dict.fromkeys(("other", "SmolLM2-135M-Instruct"), "fits"))
    memory[0] = 100 * MB
    actions(person)  # opens the list
    person.wait(lambda: badges(person) == dict.fromkeys(("other", "SmolLM2-135M-Instruct"), "too large"))
    assert not any(action.icon().isNull() for action in person.find(ModelPicker).menu().actions() if action.text())
    person.services.settings.language = "zh_CN"
    person.services.apply_setting("language")
    actions(person)
    assert set(badges(person).values()) == {"太大"}
