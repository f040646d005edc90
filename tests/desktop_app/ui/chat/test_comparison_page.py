"""Two models side by side in the window: asked, one of them kept as the chat. Real engines, real SQLite."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox

from desktop_app.paths import models_folder
from desktop_app.ui.chat.comparison_page import ComparisonPage
from desktop_app.ui.markdown.view import MarkdownView
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person


@pytest.fixture
def chooser(open_window: OpenWindow, starter_gguf: Path) -> Person:
    """Somebody with two models, on the page on which they are compared."""
    models_folder().mkdir(parents=True, exist_ok=True)
    shutil.copy(starter_gguf, models_folder() / "Other.gguf")
    person = open_window(max_tokens=3)
    person.wait(lambda: person.model_state == "ready")
    person.window.open_comparison()
    return person


def page(person: Person) -> ComparisonPage:
    return person.window._pages.comparison


def ask(person: Person, text: str) -> None:
    assert page(person).field.hasFocus()
    QTest.keyClicks(page(person).field, text)
    QTest.keyClick(page(person).field, Qt.Key.Key_Return)


def test_two_models_answer_and_one_of_them_goes_on(chooser: Person) -> None:
    names = [box.currentText() for box in page(chooser).findChildren(QComboBox)]
    assert len(set(names)) == 2 and chooser.services.models.state.model.label == names[0]
    ask(chooser, "Hello")
    assert chooser.model_state == "none"  # there is room for the two
    chooser.wait(lambda: chooser.buttons(page(chooser)).count("Go on with this one") == 2)
    chooser.wait(lambda: not chooser.services.comparison.busy)
    columns = page(chooser)._columns
    assert all(column.findChild(MarkdownView).has_text for column in columns)
    assert "tokens/s" in chooser.sentences(columns[0]) and "tokens/s" in chooser.sentences(columns[1])
    chooser.click("Go on with this one", columns[1])
    chats = chooser.services.chats
    assert not page(chooser).isVisible() and chooser.editor.hasFocus()
    assert [role for role, _ in chooser.messages] == ["user", "assistant"]
    assert [one.model for one in chats.versions(chats.list.path[-1])] == [
        model.name for model in (c.model for c in columns)
    ]
    assert chats.list.path[-1].model == columns[1].model.name
    chooser.ask("Again")
    assert chats.list.path[-1].model == columns[1].model.name


def has_file(person: Person) -> bool:
    return any("note.txt" in name for name in person.buttons(page(person)))


def test_further_questions_and_files_go_to_both_and_are_kept(chooser: Person, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("The tea is green.", "utf-8")
    chooser.window.import_files([str(note)])
    chooser.wait(lambda: has_file(chooser))
    assert page(chooser).isVisible() and page(chooser).field.hasFocus()
    ask(chooser, "What colour?")
    chooser.wait(lambda: not page(chooser)._busy)
    assert not has_file(chooser), "it was sent"
    assert page(chooser).field.toPlainText() == "" and page(chooser).field.hasFocus()
    ask(chooser, "Why?")
    chooser.wait(lambda: not page(chooser)._busy)
    first, second = page(chooser)._columns
    for column in (first, second):
        texts = chooser.sentences(column)
        assert texts.index("What colour?") < texts.index("note.txt") < texts.index("Why?")
        assert len(column._turns) == 2
    chooser.click("Go on with this one", first)
    path = chooser.services.chats.list.path
    assert [message.role for message in path] == ["user", "assistant", "user", "assistant"]
    assert [one.name for one in path[0].attachments] == ["note.txt"]
    assert all(len(chooser.services.chats.versions(message)) == 2 for message in path[1::2])
    chooser.window.open_comparison()
    assert "What colour?" not in chooser.sentences(page(chooser))


def test_other_models_begin_anew(chooser: Person) -> None:
    ask(chooser, "Tea?")
    chooser.wait(lambda: not page(chooser)._busy)
    chooser.click("New question", page(chooser))
    assert "Tea?" not in chooser.sentences(page(chooser)) and page(chooser).field.hasFocus()


def test_what_is_missing_is_said_with_the_way_there(person: Person) -> None:
    person.wait(lambda: person.model_state == "ready")
    person.window.open_comparison()
    assert "This takes two models; get another one first." in person.sentences(page(person))
    person.click("Get models", page(person))
    assert person.window._pages.in_catalogue


def test_the_same_model_twice_is_no_comparison(chooser: Person) -> None:
    first, second = page(chooser).findChildren(QComboBox)
    assert "Choose two different models." not in chooser.sentences(page(chooser))
    second.setCurrentIndex(first.currentIndex())
    assert "Choose two different models." in chooser.sentences(page(chooser))


def test_leaving_gives_the_chats_their_model_again(chooser: Person) -> None:
    before = chooser.services.models.state.model
    ask(chooser, "Hello")
    chooser.click("Back to the chat", page(chooser))
    chooser.ask("Hello")
    assert chooser.services.models.state.model == before
    chooser.send("Write a long story.")
    chooser.window.open_comparison()
    if chooser.busy:  # three tokens are soon written
        ask(chooser, "Hello")
        assert "A reply is being written" in chooser.sentences(page(chooser))
