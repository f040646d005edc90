"""The local server from the window: a lamp, a switch, and who asked last."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil
import pytest
from PySide6.QtWidgets import QLabel, QLineEdit, QSpinBox, QTableWidget

from desktop_app.ui.server.lamp import ServerLamp
from desktop_app.ui.server.server_dialog import ServerDialog
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person


@contextmanager
def listening() -> Iterator[int]:
    """A port that another program uses."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    with listening() as port:
        return port


def open_dialog(person: Person, port: int) -> ServerDialog:
    person.find(ServerLamp).click()
    dialog = person.find(ServerDialog)
    field = dialog.findChild(QSpinBox)
    assert field is not None
    field.setValue(port)
    return dialog


def ask(address: str, model: str) -> dict[str, object]:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    found: dict[str, object] = httpx.post(f"{address}/chat/completions", json=body, timeout=120).json()
    return found


def test_a_switch_lets_other_programs_ask_and_shows_who_did(open_window: OpenWindow, free_port: int) -> None:
    person = open_window()
    dialog = open_dialog(person, free_port)
    person.click("Start the server", dialog)
    person.wait(lambda: person.services.server.ready)
    assert f"127.0.0.1:{free_port}" in person.find(ServerLamp).toolTip()
    address = next(field.text() for field in dialog.findChildren(QLineEdit) if field.text().endswith("/v1"))
    assert address == f"http://127.0.0.1:{free_port}/v1"
    assert ask(address, "SmolLM2-135M-Instruct")["usage"]
    table = dialog.findChild(QTableWidget)
    assert table is not None
    person.wait(lambda: table.rowCount() == 1)
    program, model, tokens = (table.item(0, column).text() for column in (1, 2, 3))
    assert program.startswith("python-httpx")
    assert (model, tokens.split(" + ")[1]) == ("SmolLM2-135M-Instruct", "3")
    person.click("Stop the server", dialog)
    assert not person.services.server.is_on
    person.wait(lambda: refuses(address))
    person.close()
    assert open_window().services.settings.server_port == free_port


def refuses(address: str) -> bool:
    try:
        httpx.get(f"{address}/models")
    except httpx.ConnectError:
        return True
    return False


def test_a_port_of_another_program_is_said_in_the_dialog(open_window: OpenWindow) -> None:
    person = open_window()
    with listening() as port:
        dialog = open_dialog(person, port)
        person.click("Start the server", dialog)
        failure = dialog.findChild(QLabel, "serverFailure")
        assert failure is not None
        person.wait(failure.isVisible)
        assert str(port) in failure.text()
        assert "--port" not in failure.text()
        assert not person.services.server.is_on


def test_a_server_that_was_killed_is_said_and_can_be_started_again(open_window: OpenWindow, free_port: int) -> None:
    person = open_window()
    dialog = open_dialog(person, free_port)
    person.click("Start the server", dialog)
    person.wait(lambda: person.services.server.ready)
    for child in psutil.Process().children():
        if "--server" in child.cmdline():
            child.kill()
    failure = dialog.findChild(QLabel, "serverFailure")
    assert failure is not None
    person.wait(failure.isVisible)
    assert not person.services.server.is_on
    person.click("Start the server", dialog)
    person.wait(lambda: person.services.server.ready)
    assert not failure.isVisible()
