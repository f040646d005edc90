"""Rows of buttons in narrow places, with what is around them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QPushButton, QScrollArea, QVBoxLayout, QWidget

from desktop_app.assistant.approvals import Asked
from desktop_app.assistant.tools.workspace import workspace
from desktop_app.ui.chat.step_question import StepQuestion
from tests.support.window import run_events

pytestmark = pytest.mark.usefixtures("application")


def test_a_question_that_had_room_gets_narrower_again(tmp_path: Path) -> None:
    """A row that needs all of its width would keep its whole page wider than the window."""
    area, page = QScrollArea(widgetResizable=True), QWidget()
    question = StepQuestion(Asked(workspace(tmp_path), {"name": "report.md", "content": "words"}))
    QVBoxLayout(page).addWidget(question)
    area.setWidget(page)
    for width in (900, 300, 900, 300):
        area.resize(width, 400)
        area.show()
        run_events(50)
    assert page.width() <= area.viewport().width()
    for button in question.findChildren(QPushButton):
        assert question.rect().contains(button.geometry()), button.text()
