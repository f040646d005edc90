"""Models on other computers in the window: added by address, chosen like a model, shown as what they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QLineEdit

from desktop_app.remote.addresses import key_for
from desktop_app.settings import Settings
from desktop_app.ui.bridges.tokens_bridge import TokensBridge
from desktop_app.ui.models.model_picker import ModelPicker
from desktop_app.ui.models.remotes_dialog import RemotesDialog
from desktop_app.ui.settings.network_section import NetworkSection
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.canned_server import answer, canned, delta, streamed
from tests.support.window import Person

LIST = answer(b'{"data": [{"id": "big-model", "max_model_len": 4096}, {"id": "other"}]}')


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


def entry(person: Person, beginning: str) -> QAction:
    menu = person.find(ModelPicker).menu()
    menu.aboutToShow.emit()
    return next(action for action in menu.actions() if action.text().startswith(beginning))


def add(person: Person, address: str, key: str = "") -> RemotesDialog:
    entry(person, "Models on other computers").trigger()
    dialog = person.find(RemotesDialog)
    dialog.findChild(QLineEdit, "remoteAddress").setText(address)
    dialog.findChildren(QLineEdit)[1].setText(key)
    person.click("Add", dialog)
    return dialog


def test_a_server_is_added_and_answers_in_place_of_a_model(person: Person, open_window: OpenWindow) -> None:
    with canned(streamed(delta(content="Paris."), delta("stop")), listing=LIST) as server:
        dialog = add(person, server.address.removesuffix("/v1"), "k1")
        person.wait(lambda: len(person.services.library.listing.remote) == 2)
        assert "Its models are in the menu" in person.sentences(dialog)
        assert key_for(server.address) == "k1"
        dialog.reject()
        local = person.services.library.models[0]
        entry(person, "big-model").trigger()
        picker = person.find(ModelPicker)
        assert "not on this computer" in picker.text()
        assert server.address in picker.toolTip()
        assert len(server.requests) == 1  # nothing is sent before there is a question
        assert person.ask("Capital of France?") == "Paris."
        assert server.requests[1][2]["model"] == "big-model"
        person.wait(lambda: person.services.chats.list.path[-1].model == "big-model")
        person.services.choose_model(local)
        person.wait(lambda: person.model_state == "ready")
        asked = len(server.requests)
        assert "not on this computer" not in picker.text()
        person.services.chats.new()
        person.ask("Hello")
        assert len(server.requests) == asked
        entry(person, "big-model").trigger()
        person.close()
        again = open_window()
        again.wait(lambda: again.model_state == "ready")
        assert "big-model" in again.find(ModelPicker).text()
        assert len(server.requests) == asked


def test_what_goes_wrong_is_said_and_a_server_forgotten(person: Person) -> None:
    refusal = answer(b'{"error": {"message": "no"}}', "401 Unauthorized")
    with canned(refusal, listing=refusal) as server:
        dialog = add(person, server.address, "wrong")
        person.wait(lambda: "refuses the key" in person.sentences(dialog))
        assert key_for(server.address) == ""
        assert person.services.library.listing.remote == []
    failing = answer(b"", "503 Busy")
    with canned(failing, listing=LIST) as server:
        dialog.findChild(QLineEdit, "remoteAddress").setText(server.address)
        person.click("Add", dialog)
        person.wait(lambda: len(person.services.library.listing.remote) == 2)
        dialog.reject()
        entry(person, "other").trigger()
        person.send("Hello")
        person.wait(lambda: not person.busy)
        assert person.services.chats.list.path[-1].state == "failed"
        person.wait(lambda: "failed (503" in person.sentences())
        dialog = add(person, server.address)
        person.wait(lambda: "Its models are in the menu" in person.sentences(dialog))
        person.click("Remove", dialog)
        person.wait(lambda: person.services.library.listing.remote == [])


def test_own_networks_are_checked(application: object, data_home: Path) -> None:
    settings = Settings()
    section = NetworkSection(settings, TokensBridge(settings))
    field = section.findChild(QLineEdit, "ownNetworks")
    field.setText("8.8.8.0/24")
    field.editingFinished.emit()
    assert section.settings.own_networks == ""
    assert any("no network of your own" in label.text() for label in section.findChildren(QLabel))
    field.setText("192.168.1.0/24")
    field.editingFinished.emit()
    assert section.settings.own_networks == "192.168.1.0/24"
    workers = section.findChild(QLineEdit, "workers")
    workers.setText("http://gpu")
    workers.editingFinished.emit()
    assert section.settings.workers == ""
    assert any("no address of a worker" in label.text() for label in section.findChildren(QLabel))
    workers.setText("gpu 192.168.1.5:7000")
    workers.editingFinished.emit()
    assert section.settings.workers == "gpu:50052, 192.168.1.5:7000"


def test_a_worker_that_is_missing_is_said_and_taken_back(person: Person) -> None:
    person.services.settings.workers = "127.0.0.1:1"
    person.services.apply_setting("workers")
    person.wait(lambda: person.model_state == "failed")
    assert "engine part rpc" in str(person.services.models.state.error)
    person.services.settings.workers = ""
    person.services.apply_setting("workers")
    person.wait(lambda: person.model_state == "ready")
