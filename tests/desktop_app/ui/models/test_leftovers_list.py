"""What interrupted downloads left, on the page of downloads: it goes on, or is removed."""

from __future__ import annotations

from PySide6.QtWidgets import QMessageBox

from desktop_app.library.install import InstallRequest
from desktop_app.paths import downloads_folder
from desktop_app.ui.models.leftovers_list import LeftoversList
from tests.converter.hub.test_cleanup import fetched
from tests.desktop_app.ui.conftest import OpenWindow


def test_what_was_left_goes_on_or_is_removed(open_window: OpenWindow) -> None:
    folder = fetched(downloads_folder() / "org--tea", {"config.json": b"{}"})
    (folder / f".model.safetensors.{'a' * 16}.part").write_bytes(b"x" * 2000)
    person = open_window()
    asked: list[InstallRequest] = []
    person.services.conversions.install = lambda request, fetches=0: asked.append(request)  # type: ignore[method-assign, assignment, return-value]
    person.window.open_downloads()
    shown = person.find(LeftoversList)
    person.wait(shown.isVisible)
    assert "org/tea · 2.0\u00a0kB" in person.sentences(shown)
    person.click("Go on", shown)
    assert [request.source for request in asked] == ["org/tea"]
    person.click("Remove…", shown)
    question = person.find(QMessageBox, "deletion")
    assert "org/tea" in question.text()
    next(button for button in question.buttons() if button.text() == "Remove").click()
    person.wait(lambda: not shown.isVisible())
    assert not folder.exists()
