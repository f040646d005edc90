"""The settings' page on the engine: a part from a file is asked about, tried, named with its reason, and taken away again."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QComboBox, QListWidget, QMessageBox

from desktop_app.engine.parts.store import AUTOMATIC, PROCESSOR, part_store
from desktop_app.ui.settings.engine_page import EnginePage
from desktop_app.ui.settings.settings_page import SettingsPage
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.engine_parts import part_archive, plug_in
from tests.support.window import Person


def page_of(person: Person) -> EnginePage:
    person.wait(lambda: person.model_state == "ready")
    person.window.open_settings("engine")
    page = person.find(EnginePage)
    idle(person)
    return page


def idle(person: Person) -> None:
    bridge = person.services.engine_parts
    person.wait(lambda: bridge.facts.known and not bridge.busy)


def parts(page: EnginePage) -> list[str]:
    rows = page.findChild(QListWidget)
    return [rows.item(i).text() for i in range(rows.count())]


def test_a_part_that_crashes_is_named_and_the_chat_goes_on(open_window: OpenWindow, tmp_path: Path) -> None:
    archive = part_archive(tmp_path / "零件 a.zip", {"libggml-vulkan.so": plug_in("aborting", tmp_path)})
    person = open_window()
    page = page_of(person)
    assert parts(page) == []
    page.add(archive)
    person.wait(lambda: page.window().findChildren(QMessageBox) or person.window.findChildren(QMessageBox))
    question = person.find(QMessageBox)
    assert "零件 a.zip is not signed by the makers of Zhiyin" in question.text()
    person.click("Use it", question)
    person.wait(lambda: part_store().parts() and not person.services.engine_parts.busy)
    idle(person)
    [line] = parts(page)
    assert line.startswith("Vulkan (")
    assert "not used: vulkan crashed in its trial" in line
    person.find(SettingsPage).close()
    person.wait(lambda: person.model_state == "ready")
    assert person.ask("Hello")


def test_what_computes_is_chosen_and_a_part_removed(open_window: OpenWindow, tmp_path: Path) -> None:
    part_store().add(
        part_archive(tmp_path / "a.zip", {"libggml-vulkan.so": plug_in("without_device", tmp_path)}), unsigned=True
    )
    person = open_window()
    page = page_of(person)
    mode = page.findChild(QComboBox)
    assert [mode.itemData(i) for i in range(mode.count())] == [AUTOMATIC, PROCESSOR, "vulkan"]
    mode.setCurrentIndex(1)
    mode.activated.emit(1)
    person.wait(lambda: part_store().mode == PROCESSOR and not person.services.engine_parts.busy)
    idle(person)
    assert "not in use" in parts(page)[0]
    page.findChild(QListWidget).setCurrentRow(0)
    person.click("Remove", page)
    question = person.find(QMessageBox)
    person.click("Remove", question)
    person.wait(lambda: not part_store().parts() and not person.services.engine_parts.busy)
    idle(person)
    assert parts(page) == []
    person.find(SettingsPage).close()


def test_a_damaged_file_is_refused_with_a_sentence(open_window: OpenWindow, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK no archive")
    person = open_window()
    page = page_of(person)
    page.add(tmp_path / "a.zip")
    person.wait(lambda: page.window().findChildren(QMessageBox))
    assert "a.zip is damaged or no engine part" in person.find(QMessageBox).text()
    person.find(QMessageBox).close()
    idle(person)
    person.find(SettingsPage).close()
