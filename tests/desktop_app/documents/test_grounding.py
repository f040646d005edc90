"""What the model reads for a message: what fits whole, passages of the rest, by the real embedding model and a real PDF."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from desktop_app.chat.attachment import PASTED, Attachment
from desktop_app.chat.conversation import Message
from desktop_app.chat.grounding import Grounding, question_texts
from desktop_app.documents.chunking import size
from desktop_app.documents.embedder import Embedder
from desktop_app.documents.extraction_process import Extractor
from desktop_app.documents.fitting import Chat, costs_of, fit, tokens_of
from desktop_app.documents.grounding import Grounder
from desktop_app.documents.indexing import Indexer
from desktop_app.documents.message_text import message_text
from desktop_app.documents.store import Store
from desktop_app.library.embedding_model import bundled_embedding_model
from models.errors import Cancelled
from tests.support.documents import write_pdf

SENTENCES = Path(__file__).parents[2] / "data" / "sentences.txt"
"""This application's own, as they once were."""
SMALL_PAGE = 52
"""Tokens: a passage of its own, and no more, since each takes time."""
FACTS = {
    7: "The lighthouse keeper repaired the lamp with a silver spoon. The light had gone out in the storm, and ships were near.",
    23: "Tomatoes grow best when they are watered early in the morning. At noon the water dries up before it reaches the roots.",
    41: "The train to the harbour leaves at a quarter past nine. Tickets are sold at the station and on board.",
}


def count(text: str) -> int:
    return round(size(text))


def ground(grounder: Grounder, chat: Chat, context: int) -> Grounding | None:
    return grounder.ground(chat, context, costs_of(chat, count))


def asked(question: str, *attachments: Attachment) -> Message:
    return Message("chat", None, "user", question, attachments=attachments)


def page_of(texts: Iterator[str]) -> str:
    """Return sentences that fill a passage, always the same: what is near to a question depends on all of them."""
    page = ""
    while size(page) < SMALL_PAGE:
        page += f" {next(texts)}"
    return page.strip()


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Attachment:
    texts = iter(SENTENCES.read_text("utf-8").splitlines())
    pages = ["\n".join(re.findall(r".{1,90}(?: |$)", FACTS.get(n) or page_of(texts))) for n in range(1, 51)]
    path = write_pdf(tmp_path_factory.mktemp("book") / "report.pdf", pages)
    with Extractor() as extractor:
        return Attachment(path.name, message_text(extractor.extract(path)), "pdf")


@pytest.fixture(scope="module")
def embedder() -> Iterator[Embedder]:
    model = bundled_embedding_model()
    assert model is not None
    with Embedder(model) as running:
        yield running


@pytest.fixture(scope="module")
def indexed_book(book: Attachment, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of collections in which the book was made for the chat: its vectors take longer than all questions."""
    path = tmp_path_factory.mktemp("indexed") / "documents.sqlite3"
    with Store(path) as opened:
        ground(Grounder(opened, embedder), Chat([asked("Which train?", book)]), 4096)
    return path


@pytest.fixture
def store_of_book(indexed_book: Path, tmp_path: Path) -> Iterator[Store]:
    with Store(Path(shutil.copy(indexed_book, tmp_path))) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "documents.sqlite3") as opened:
        yield opened


def test_what_fits_goes_in_whole_and_each_page_has_its_number(store: Store, book: Attachment) -> None:
    chat = Chat([asked("When does the train leave?", book)])
    grounding = ground(Grounder(store, None), chat, 32768)
    assert grounding is not None
    assert (grounding.searched, [whole.first for whole in grounding.full]) == ((), [1])
    text = question_texts(chat.path, grounding)[chat.path[0].id]
    for page, fact in FACTS.items():
        part = text[text.index(f"[{page}] report.pdf, p. {page}\n") : text.index(f"[{page + 1}] ")]
        assert fact[:40] in part


def test_what_does_not_fit_is_searched_and_the_pages_are_right(
    store_of_book: Store, book: Attachment, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "attach", None)  # it is read once
    grounder = Grounder(store_of_book, embedder)
    for question, page in (
        ("When does the train to the harbour leave?", 41),
        ("What is the right time to give vegetables water?", 23),
        ("灯塔看守人用什么修好了灯？", 7),
    ):
        chat = Chat([asked(question, book)])
        grounding = ground(grounder, chat, 4096)
        assert grounding is not None
        assert (grounding.full, grounding.searched, grounding.by_words) == ((), ("report.pdf",), False)
        best = next(q for q in grounding.quotations if FACTS[page][:40] in q.text)
        assert best.page <= page <= best.last_page
        assert sum(count(q.text) for q in grounding.quotations) < 4096 / 2


def test_a_small_file_beside_a_large_one_goes_in_whole(store: Store, book: Attachment) -> None:
    small = Attachment("note.md", "# Note\n\nThe code of the door is 4711.", "markdown")
    chat = Chat([asked("Which train?", book, small)])
    grounding = ground(Grounder(store, None), chat, 4096)
    assert grounding is not None
    assert ([whole.attachment for whole in grounding.full], grounding.searched) == ([small.id], ("report.pdf",))
    assert grounding.by_words
    assert min(q.number for q in grounding.quotations) == 2


def test_no_passage_is_read_twice(store: Store, tmp_path: Path) -> None:
    text = "The code of the door is 4711, and the key lies below the mat."
    (tmp_path / "note.txt").write_text(text, "utf-8")
    (tmp_path / "other.txt").write_text("The door of the garage has another code.", "utf-8")
    store.add("house", [tmp_path / "note.txt", tmp_path / "other.txt"])
    Indexer(store, None).update("house")
    chat = Chat([asked("What is the code of the door?", Attachment("note.txt", text, "text"))], ("house",))
    grounding = ground(Grounder(store, None), chat, 4096)
    assert grounding is not None
    assert [q.name for q in grounding.quotations] == ["other.txt"]
    assert grounding.quotations[0].path == str(tmp_path / "other.txt")


def test_where_nothing_is_relevant_nothing_is_quoted(
    store_of_book: Store, book: Attachment, embedder: Embedder
) -> None:
    chat = Chat([asked("怎么腌制酸菜？", book)])
    grounding = ground(Grounder(store_of_book, embedder), chat, 4096)
    assert grounding is not None
    assert grounding.found_nothing


def test_without_documents_there_is_nothing_to_ground(store: Store) -> None:
    grounder = Grounder(store, None)
    assert ground(grounder, Chat([asked("Hello")]), 4096) is None
    assert ground(grounder, Chat([asked("Hello", Attachment("", "pasted", PASTED))]), 4096) is None


def test_what_was_stopped_goes_on_from_there(store: Store, embedder: Embedder) -> None:
    sections = "".join(f"# Line {number}\n\nIts first train leaves at {number}.\n\n" for number in range(40))
    chat = Chat([asked("Which train?", Attachment("trains.md", sections, "markdown"))])
    told: list[float] = []
    with pytest.raises(Cancelled):
        Grounder(store, embedder).ground(
            chat, 512, costs_of(chat, count), lambda name, part: told.append(part), lambda: bool(told)
        )
    assert 0 < told[-1] < 1
    again: list[float] = []
    Grounder(store, embedder).ground(chat, 512, costs_of(chat, count), lambda name, part: again.append(part))
    assert again[0] > told[-1]


def test_tokens_of_a_book_are_estimated_by_samples() -> None:
    counted: list[int] = []

    def counting(text: str) -> int:
        counted.append(len(text))
        return count(text)

    text = "一些文字 and words. " * 100_000
    assert abs(tokens_of(text, counting) / count(text) - 1) < 0.05
    assert sum(counted) <= 8000


def test_a_longer_chat_leaves_less_room() -> None:
    file = Attachment("a.txt", "word " * 2000, "text")
    question = asked("What?", file)
    chat = Chat([question])
    assert fit(chat, 4096, costs_of(chat, count)).searched == ()
    answer = Message("chat", question.id, "assistant", "long " * 2000)
    later = Chat([question, answer, replace(asked("And?"), parent=answer.id)])
    assert fit(later, 4096, costs_of(later, count)).searched == (file,)
