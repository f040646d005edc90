"""Looking for models on a host from the page of the catalogue, as a person does it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QRadioButton, QTabBar, QTextEdit, QTreeWidget

from desktop_app.library.install import InstallRequest
from desktop_app.network import OFFLINE, ONLINE, switch
from desktop_app.ui.models.catalogue_list import Lines, words_of
from desktop_app.ui.models.catalogue_page import CataloguePage
from desktop_app.ui.models.conversion_dialog import ConversionDialog
from desktop_app.ui.models.hub_results import HubResults
from tests.desktop_app.ui.conftest import OpenWindow
from tests.desktop_app.ui.models.test_conversions import checkpoint
from tests.support.hub_server import HubServer, Repository
from tests.support.window import Person

CARD = "---\nlicense: mit\n---\n# Tea\n\nMade of *leaves*. ![a picture](https://example.com/x.png)\n"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    folder = tmp_path_factory.mktemp("tea")
    checkpoint(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()} | {"README.md": CARD.encode()}
    with HubServer() as running:
        facts = {"downloads": 12, "cardData": {"license": "mit"}, "config": {"architectures": ["LlamaForCausalLM"]}}
        running.repositories["org/tea"] = Repository({"main": files}, facts=facts)
        running.repositories["org/tea-of-others"] = Repository({"main": {"x.txt": b"x"}}, gated=True)
        yield running


def open_search(person: Person, words: str) -> HubResults:
    person.window.open_catalogue()
    page = person.find(CataloguePage)
    QTest.keyClicks(page.search_field, words)
    person.click(next(words for words in person.buttons(page) if words.startswith("Search 127.0.0.1")))
    return person.find(HubResults)


def found_in(results: HubResults) -> list[Lines]:
    return [words_of(results.list.row_at(number)) for number in range(results.list.model().rowCount())]


def test_a_search_shows_what_there_is_and_how_it_would_run(open_window: OpenWindow, server: HubServer) -> None:
    person = open_window(endpoint=server.endpoint)
    person.window.open_catalogue()
    assert server.requests == [], "nobody is asked before the user asks"
    results = open_search(person, "tea")
    person.wait(lambda: len(found_in(results)) == 2)
    assert [lines.name for lines in found_in(results)] == ["org/tea", "org/tea-of-others"]
    person.wait(lambda: all("Looking" not in lines.nature for lines in found_in(results)))
    first, other = found_in(results)
    assert first.badge == "fits"
    assert "mit · 12 downloads" in first.purpose
    assert "to download" in first.nature
    assert "gated: its licence has to be accepted" in other.purpose
    assert "holds no weights" in other.warning
    results.list.act(results.list.model().index(0, 0))
    dialog = person.find(ConversionDialog)
    person.wait(lambda: dialog.findChild(QTreeWidget).topLevelItemCount())
    tabs = dialog.findChild(QTabBar)
    tabs.setCurrentIndex(1)
    person.wait(lambda: "licence: mit · 12 downloads" in person.sentences(dialog))
    person.wait(lambda: any("Made of leaves" in view.toPlainText() for view in dialog.findChildren(QTextEdit)))
    tabs.setCurrentIndex(2)
    files = dialog.findChildren(QTreeWidget)[-1]
    names = [files.topLevelItem(row).text(0) for row in range(files.topLevelItemCount())]
    assert {"README.md", "config.json"} <= set(names)
    dialog.reject()
    person.click("Back to the catalogue")
    assert results.isHidden()


def test_offline_is_said(open_window: OpenWindow, server: HubServer) -> None:
    person = open_window(endpoint=server.endpoint)
    switch(OFFLINE)
    results = open_search(person, "tea")
    person.wait(lambda: "switched to offline" in person.sentences(results))
    assert server.requests == []
    switch("asked")
    QTest.keyClick(person.find(CataloguePage).search_field, Qt.Key.Key_Return)
    person.wait(lambda: len(found_in(results)) == 2)


def test_a_ready_made_file_and_converting_here_are_both_offered(
    open_window: OpenWindow, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"tea-Q8_0.gguf": b"x" * 70_000, "tea-Q2_K.gguf": b"x" * 20_000}
    server.repositories["org/tea-GGUF"] = Repository({"main": made})
    person = open_window(endpoint=server.endpoint)
    asked: list[InstallRequest] = []
    person.services.conversions.install = lambda request, fetches=0: asked.append(request)  # type: ignore[method-assign, assignment, return-value]

    def opened() -> tuple[ConversionDialog, list[QRadioButton]]:
        person.window._dialogs.convert(InstallRequest("org/tea"))
        dialog = person.window.findChildren(ConversionDialog)[-1]
        person.wait(lambda: len([b for b in dialog.findChildren(QRadioButton) if b.isVisible()]) == 2)
        return dialog, [button for button in dialog.findChildren(QRadioButton) if button.isVisible()]

    dialog, [ready, convert] = opened()
    assert ready.text() == "Ready-made by org: 70.0\u00a0kB to download (Q8_0)"
    assert ready.isChecked(), "the publisher's own file of the planned quantization"
    assert convert.text().startswith("Convert here: ")
    offers = dialog.findChild(QTreeWidget)
    assert [offers.topLevelItem(row).text(0) for row in range(offers.topLevelItemCount())] == ["Q8_0", "Q2_K"]
    person.click("Download", dialog)
    dialog, [_, convert] = opened()
    convert.click()
    monkeypatch.setattr("desktop_app.ui.models.conversion_dialog.free_space", lambda _: 70_000)
    dialog._show_choice()
    assert "The ready-made file fits: choose it above." in person.sentences(dialog)
    monkeypatch.undo()
    dialog._show_choice()
    assert offers is not dialog.findChild(QTreeWidget)
    person.click("Download", dialog)
    assert [(one.source, one.quant, one.way) for one in asked] == [
        ("org/tea-GGUF", "Q8_0", "auto"),
        ("org/tea", "Q8_0", "convert"),
    ]


def test_a_host_is_asked_as_one_types_where_that_is_allowed(open_window: OpenWindow, server: HubServer) -> None:
    person = open_window(endpoint=server.endpoint)
    person.window.open_catalogue()
    page = person.find(CataloguePage)
    person.wait(lambda: page._overview is not None)
    QTest.keyClicks(page.search_field, "tea-of")
    QTest.qWait(1000)
    assert server.requests == [], "the usual position: what is typed looks in the catalogue"
    switch(ONLINE)
    QTest.keyClicks(page.search_field, "-")
    results = person.find(HubResults)
    person.wait(lambda: [lines.name for lines in found_in(results)] == ["org/tea-of-others"])
    for _ in range(4):
        QTest.keyClick(page.search_field, Qt.Key.Key_Backspace)
    person.wait(lambda: len(found_in(results)) == 2)
    searches = [request.query["search"] for request in server.requests if request.path == "/api/models"]
    assert searches == ["tea-of-", "tea"], "once for all that was typed without a rest"
