"""What a model's file says of itself reaches no label, button, menu, tip or list with control or direction characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QLineEdit, QListWidget, QWidget

from desktop_app.ui.models.model_settings_dialog import ModelSettingsDialog
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.hostile_model import hostile_model
from tests.support.window import Person, run_events

_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def texts(root: QWidget) -> Iterator[str]:
    """Yield all words of a window, of what is hidden too."""
    yield root.windowTitle()
    for widget in [root, *root.findChildren(QWidget)]:
        yield from (widget.toolTip(), widget.accessibleName(), widget.accessibleDescription())
        if isinstance(widget, QLabel | QAbstractButton | QLineEdit):
            yield widget.text()
        elif isinstance(widget, QComboBox):
            yield from (widget.itemText(row) for row in range(widget.count()))
        elif isinstance(widget, QListWidget):
            yield from (widget.item(row).text() for row in range(widget.count()))
    for action in root.findChildren(QAction):
        yield from (action.text(), action.toolTip())


def raw(root: QWidget) -> set[str]:
    return {text for text in texts(root) if _HIDDEN.search(text)}


@pytest.mark.slow
def test_no_word_of_a_model_commands_the_window(
    open_window: OpenWindow, application: QApplication, starter_gguf: Path, tmp_path: Path
) -> None:
    person: Person = open_window()
    person.wait(lambda: person.model_state == "ready")
    person.window.import_files([str(hostile_model(starter_gguf, tmp_path))])
    person.wait(lambda: len(person.services.library.models) == 2)
    model = next(model for model in person.services.library.models if "evil" in model.name)
    person.wait(lambda: person.services.models.state.model == model and person.model_state in ("ready", "failed"))
    seen = {"chat": raw(person.window)}
    if person.model_state == "ready":
        person.ask("Hello")
        seen["reply"] = raw(person.window)
    person.window.findChild(QWidget, "modelPicker").menu().aboutToShow.emit()
    seen["picker"] = raw(person.window)
    person.window.open_catalogue()
    run_events(100)
    seen["models"] = raw(person.window)
    opener = person.window._dialogs
    for name, show in (
        ("my models", opener.my_models),
        ("measure", lambda: opener.measure(model)),
        ("settings", lambda: ModelSettingsDialog(person.services, model, person.window).open()),
    ):
        show()
        run_events(400)
        seen[name] = {text for window in application.topLevelWidgets() for text in raw(window)}
        for window in application.topLevelWidgets():
            if window is not person.window and window.windowFlags() & Qt.WindowType.Dialog == Qt.WindowType.Dialog:
                window.close()
    assert {name: found for name, found in seen.items() if found} == {}
    assert any("evil" in text for text in texts(person.window))
