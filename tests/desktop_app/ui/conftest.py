"""The real window off screen, with the real engine process, the starter model and SQLite."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from desktop_app.paths import settings_file
from desktop_app.settings import Settings, save_settings
from desktop_app.ui.app import create_window, make_application
from tests.support.window import Person

OpenWindow = Callable[..., Person]


@pytest.fixture(scope="session")
def application() -> QApplication:
    return make_application()


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    """Let the engine compute with one thread: several would wait for each other where other tests run beside these."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {random.choice(sorted(allowed))})
    yield
    os.sched_setaffinity(0, allowed)


@pytest.fixture
def open_window(application: QApplication, data_home: Path) -> Iterator[OpenWindow]:
    """Open the window; with settings the first time, as it was left the next times."""
    opened: list[Person] = []

    def start(**settings: object) -> Person:
        if settings or not opened:
            defaults = {"language": "en", "theme": "light", "temperature": 0.0, "max_tokens": 6, "welcomed": True}
            save_settings(Settings(**(defaults | settings)), settings_file())  # type: ignore[arg-type]
        window = create_window(application)
        window.show()
        opened.append(Person(window))
        return opened[-1]

    yield start
    for person in opened:
        person.close()
        person.window.deleteLater()
        person.services.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def person(open_window: OpenWindow) -> Person:
    """A user before the window, with the starter model loaded."""
    person = open_window()
    person.wait(lambda: person.model_state == "ready")
    return person
