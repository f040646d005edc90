"""A person asks documents in the window, with the real engine and the real embedding model: whole, searched, collections."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QPushButton

from desktop_app.chat.grounding import Grounding, grounding_of
from desktop_app.ui.chat.parted_text import PartedText
from desktop_app.ui.chat.sources_box import PassageDialog, SourcesBox
from desktop_app.ui.documents import open_file
from tests.benchmarks.bench_retrieval import others
from tests.support.documents import write_pdf
from tests.support.window import Person

FACT = (
    "The train to the harbour leaves at a quarter past nine. Tickets are sold at the station and on board of the train."
)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Fifty pages, more than the context."""
    texts = [text.encode("ascii", "ignore").decode() for text in others("en")]
    pages = [FACT if n == 41 else "\n".join(texts[4 * n : 4 * n + 3]) for n in range(1, 51)]
    return write_pdf(tmp_path / "report.pdf", pages)


def grounding(person: Person) -> Grounding:
    found = grounding_of(person.services.chats.list.path[-1])
    assert found is not None
    return found


@pytest.mark.slow
def test_a_large_file_is_searched_and_its_page_is_cited(person: Person, report: Path) -> None:
    person.wait(lambda: person.model_state == "ready")
    person.services.settings.context, person.services.settings.max_tokens = 2048, 40
    person.services.models.apply_settings()
    person.wait(lambda: person.model_state == "ready" and person.services.models.state.context == 2048)
    person.window.import_files([str(report)])
    person.wait(lambda: any("report.pdf · 50 pages" in words for words in person.buttons()))
    person.ask("When does the train to the harbour leave?")
    found = grounding(person)
    assert (found.full, found.searched) == ((), ("report.pdf",))
    assert any(FACT[:40] in quotation.text and quotation.page == 41 for quotation in found.quotations)
    assert f"Searched: report.pdf · passages used: {len(found.quotations)}" in person.sentences()
    person.wait(lambda: person.find(SourcesBox).findChildren(QPushButton))
    shown = person.find(SourcesBox).findChildren(QPushButton)
    shown[0].click()
    dialog = person.find(PassageDialog)
    assert "report.pdf, page" in dialog.windowTitle()
    assert dialog.findChild(PartedText) is not None
    assert any(button.text() == "Open the file" and button.isEnabled() for button in dialog.findChildren(QPushButton))
    dialog.close()
    person.services.chats.new()
    person.services.chats.open(next(iter(person.services.chats.list.conversations)).id)
    person.wait(lambda: "Searched: report.pdf" in person.sentences())


def test_a_small_file_goes_in_whole_and_a_collection_is_asked(person: Person, tmp_path: Path) -> None:
    person.services.settings.max_tokens = 40
    person.window.import_files([str(write_pdf(tmp_path / "note.pdf", ["The door's code is 4711.", "Feed the cat."]))])
    person.wait(lambda: any("note.pdf · 2 pages" in words for words in person.buttons()))
    person.ask("What is the code?")
    assert [whole.first for whole in grounding(person).full] == [1]
    assert "Read whole: note.pdf" in person.sentences()
    (tmp_path / "library").mkdir()
    (tmp_path / "library/tea.md").write_text(
        "# Tea\n\nGreen tea is brewed at eighty degrees for three minutes.", "utf-8"
    )
    person.services.collections.update("Library", (tmp_path / "library",))
    person.wait(lambda: not person.services.collections.busy)
    person.services.chats.new()
    person.services.chats.list.set_collections(["Library"])
    person.ask("How hot is the water for green tea?")
    assert [quotation.name for quotation in grounding(person).quotations] == ["tea.md"]
    assert person.services.chats.list.current.collections == ("Library",)
    assert "Searched: Library · passages used: 1" in person.sentences()
    person.ask("Wer gewann 1954 das Endspiel?")
    assert grounding(person).found_nothing
    assert "Nothing in Library has to do with the question." in person.sentences()


def test_a_viewer_that_takes_a_page_is_told_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(open_file.shutil, "which", lambda name: "/bin/evince" if name == "evince" else None)
    file = tmp_path / "a.pdf"
    assert open_file.command_at_page(file, 7) == ["/bin/evince", "--page-label=7", str(file)]
    assert open_file.command_at_page(file, 0) is None
    assert open_file.command_at_page(tmp_path / "a.docx", 7) is None
