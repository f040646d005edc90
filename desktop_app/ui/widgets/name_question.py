"""Asks for a name, in a field that shows one of usual length whole."""

from __future__ import annotations

from PySide6.QtWidgets import QInputDialog, QWidget

_WIDTH = 420


def ask_name(parent: QWidget, title: str, label: str, name: str = "") -> str:
    """Ask for a name, with one to begin with; "": none was given."""
    question = QInputDialog(parent)
    question.setWindowTitle(title)
    question.setLabelText(label)
    question.setTextValue(name)
    question.resize(_WIDTH, question.sizeHint().height())
    agreed = question.exec()
    question.deleteLater()
    return question.textValue().strip() if agreed else ""
