"""Dialogs stand over the middle of the window that opened them."""

from __future__ import annotations

from PySide6.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget

from desktop_app.ui.widgets.fitting_dialog import FittingDialog
from tests.support.window import run_events


def test_a_dialog_stands_over_the_middle_of_its_window(application: QApplication) -> None:
    window, page = QWidget(), QWidget()
    window.setGeometry(120, 90, 500, 400)
    window.show()
    dialog = FittingDialog(300, window)
    QVBoxLayout(page).addWidget(QLabel("One line"))
    dialog.set_content(page, QWidget())
    dialog.move(0, 0)
    dialog.open()
    run_events(30)
    apart = dialog.geometry().center() - window.geometry().center()
    assert abs(apart.x()) <= 1 and abs(apart.y()) <= 1
