"""What cannot be used says why: every disabled button, box and menu entry of every page and dialog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPushButton,
    QWidget,
)

import desktop_app.ui
from desktop_app.ui.widgets.enabling import UNWRITTEN, enable
from tests.desktop_app.ui.test_accessibility import pages, reader
from tests.support.show_dialogs import dialogs
from tests.support.window import Person, run_events

__all__ = ["reader"]
UI = Path(desktop_app.ui.__file__).parent
INSIDE_OTHERS = (QAbstractSpinBox, QComboBox, QLineEdit)


def silent(root: QWidget) -> Iterator[str]:
    """Yield what is shown, cannot be used and does not say why; entries of boxes say it in their words."""
    for widget in root.findChildren(QWidget):
        if not widget.isVisible() or widget.window() is not root or isinstance(widget.parentWidget(), INSIDE_OTHERS):
            continue
        if isinstance(widget, QComboBox) and isinstance(model := widget.model(), QStandardItemModel):
            entries = [model.item(row) for row in range(model.rowCount())]
            for entry in entries:
                if not entry.isEnabled() and not entry.toolTip() and " · " not in entry.text():
                    yield f"entry {entry.text()!r}"
        if isinstance(widget, QAbstractButton | QComboBox | QAbstractSpinBox | QLineEdit) and not widget.isEnabled():
            words = widget.text() if isinstance(widget, QAbstractButton | QLineEdit) else widget.objectName()
            name = words or widget.accessibleName()
            if not widget.toolTip() or widget.toolTip() == widget.accessibleName():
                yield f"{type(widget).__name__} {name!r}"


def test_every_page_says_why(reader: Person) -> None:
    wrong = {page: found for page in pages(reader) if (found := list(silent(reader.window)))}
    assert wrong == {}


def test_every_dialog_says_why(reader: Person, tmp_path: Path) -> None:
    wrong = {}
    for name, show in dialogs(reader.window, tmp_path).items():
        dialog = show()
        run_events(30)
        if found := list(silent(dialog)):
            wrong[name] = found
        dialog.close()
    assert wrong == {}


def test_a_tip_of_its_own_comes_back(application: QApplication) -> None:
    button = QPushButton(toolTip="Sends it")
    enable(button, {UNWRITTEN: True})
    assert (button.isEnabled(), button.toolTip()) == (False, UNWRITTEN)
    button.setToolTip("Stops it")  # another language, another meaning
    enable(button, {UNWRITTEN: True})
    enable(button, {UNWRITTEN: False})
    assert (button.isEnabled(), button.toolTip()) == (True, "Stops it")
    enable(button, {})
    assert button.toolTip() == "Stops it"


def test_buttons_are_disabled_by_one_function() -> None:
    """A list's heading and a scroll bar are no buttons."""
    allowed = {
        "enabling.py": 1,
        "chat_view.py": 1,
        "session_end.py": 1,
        "model_picker.py": 1,
        "chat_section.py": 1,
        "calibration_choice.py": 1,
    }
    found = {}
    for path in Path("desktop_app/ui").rglob("*.py"):
        if count := path.read_text("utf-8").count(".setEnabled("):
            found[path.name] = count
    assert found == allowed
