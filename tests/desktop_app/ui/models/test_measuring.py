"""Measuring an installed model in the window: by the picker's menu, in a process of its own, the result kept with the model."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QComboBox, QLabel, QMenu, QPushButton

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.results import Divergences
from desktop_app.paths import models_folder, qualities_file
from desktop_app.planning.planner import DOES_NOT_FIT
from desktop_app.quality.figures import quality_of
from desktop_app.quality.kept import Qualities
from desktop_app.ui.models.measure_dialog import MeasureDialog
from desktop_app.ui.models.model_picker import ModelPicker
from models.errors import ZhiyinError
from tests.desktop_app.ui.conftest import OpenWindow
from tests.desktop_app.ui.models.test_models import actions
from tests.desktop_app.ui.models.test_removal import STARTER
from tests.support.rwkv_world import world_model
from tests.support.window import Person


def measuring(person: Person, words: str) -> QMenu:
    menu = actions(person)[words].menu()
    assert isinstance(menu, QMenu)
    return menu


def open_dialog(person: Person, name: str, words: str = "Measure a model") -> MeasureDialog:
    entries = measuring(person, words).actions()
    next(action for action in entries if action.text().split("\t")[0] == name).trigger()
    person.wait(lambda: any(found.isVisible() for found in person.window.findChildren(MeasureDialog)))
    return next(found for found in person.window.findChildren(MeasureDialog) if found.isVisible())


def result(dialog: MeasureDialog) -> str:
    return dialog.findChild(QLabel, "qualityWords").text()


def test_what_was_measured_is_shown_in_words(open_window: OpenWindow, starter_gguf: Path) -> None:
    person = open_window(language="zh_CN")
    person.wait(lambda: person.model_state == "ready")
    assert person.find(ModelPicker).menu().actions()
    dialog = open_dialog(person, STARTER, "测量模型")
    assert result(dialog) == "还没有测量过。"
    assert not dialog.findChild(QPushButton, "primary").isEnabled(), "its original is not known"
    dialog.close()
    path = person.services.library.models[0].path
    Qualities(qualities_file()).keep(
        path, Path("original"), quality_of(Divergences([1.0, 2.0], [1.0, 1.5], [0.25, 0.5], [True, False]))
    )
    person.services.quality.refresh(person.services.library.models)
    person.wait(lambda: "50" in measuring(person, "测量模型").actions()[0].text())
    assert "50" in person.find(ModelPicker).toolTip()
    dialog = open_dialog(person, STARTER, "测量模型")
    assert "50" in result(dialog)
    assert "0.3750" in person.sentences(dialog)


def test_where_the_chats_model_is_in_the_way_it_is_unloaded_meanwhile(open_window: OpenWindow, tmp_path: Path) -> None:
    person = open_window()
    person.wait(lambda: person.model_state == "ready")
    dialog = open_dialog(person, STARTER)
    assert not any("Unload" in words for words in person.buttons(dialog))
    originals = dialog.findChild(QComboBox)
    originals.addItem("gone.gguf", tmp_path / "gone.gguf")
    originals.setCurrentIndex(originals.count() - 1)
    starter = person.services.library.models[0]
    person.services.quality.failed.emit(starter, ZhiyinError("There is no room.", code=DOES_NOT_FIT))
    states = list[str]()
    person.services.models.changed.connect(lambda: states.append(person.services.models.state.kind))
    person.click("Unload the model of the chats meanwhile", dialog)
    person.wait(lambda: "none" in states)
    person.wait(lambda: person.services.quality.current is None and person.model_state == "ready")
    assert "gone.gguf cannot be read" in person.sentences(dialog)
    assert not any("Unload" in words for words in person.buttons(dialog)), "memory is not what it lacks now"


@pytest.mark.slow
def test_a_model_is_measured_beside_the_chat(open_window: OpenWindow, tmp_path: Path) -> None:
    source = world_model(tmp_path, "7")
    for quant in ("F16", "Q8_0"):
        convert(ConvertRequest(source, models_folder() / f"tea-{quant}.gguf", quant))
    person = open_window()
    person.wait(lambda: person.model_state == "ready")
    dialog = open_dialog(person, "tea-Q8_0")
    originals = dialog.findChild(QComboBox)
    person.wait(lambda: originals.currentText() == "tea-F16.gguf")
    person.click("Measure", dialog)
    person.wait(lambda: "%" in person.sentences(dialog))
    assert person.ask("Hello"), "the chat goes on"
    person.wait(lambda: person.services.quality.current is None)
    assert "answers like the original in" in result(dialog)
    assert "tea-Q8_0: It answers like the original in" in person.sentences()
    assert Qualities(qualities_file()).of(models_folder() / "tea-Q8_0.gguf") is not None
    person.click("Measure", dialog)
    person.click("Stop", dialog)
    person.wait(lambda: person.services.quality.current is None)
    (models_folder() / "tea-F16.gguf").write_bytes(b"GGUF")
    person.click("Measure", dialog)
    person.wait(lambda: "tea-Q8_0 was not measured." in person.sentences())
