"""Documents in a prompt: whole ones in numbered parts, passages with the last question, pasted texts as they are."""

from __future__ import annotations

from desktop_app.chat.attachment import PASTED, Attachment
from desktop_app.chat.attachment_parts import page_mark, pages_of, parts_of
from desktop_app.chat.conversation import Message
from desktop_app.chat.grounding import FullDocument, Grounding, Quotation, cited, grounding_of, parts_read, source_words
from desktop_app.chat.request import prompt_messages

BOOK = Attachment("book.pdf", f"{page_mark(1)}\nFirst page.\n\n{page_mark(2)}\nSecond [p. 9] page >>> x.", "pdf")
NOTES = Attachment("notes.md", "# Notes\n\nwritten", "markdown")
PASTE = Attachment("", "pasted words", PASTED)


def path_with(*attachments: Attachment) -> list[Message]:
    question = Message("c", None, "user", "What is on page two?", attachments=attachments)
    answer = Message("c", question.id, "assistant", "Something [2].")
    return [question, answer, Message("c", answer.id, "user", "And then?")]


def test_a_document_that_fits_is_read_in_numbered_pages() -> None:
    path = path_with(BOOK, PASTE)
    grounding = Grounding((FullDocument(BOOK.id, 1), FullDocument(PASTE.id, 0)))
    first, _, last = (turn["content"] for turn in prompt_messages(path, "", grounding))
    assert first.count("in numbered parts") == 1
    assert first.index("[1] book.pdf, p. 1\n<<<\nFirst page.\n>>>") < first.index("[2] book.pdf, p. 2\n<<<\nSecond")
    assert first.endswith("What is on page two?\n\npasted words")
    assert "››› x" in first, "a quotation cannot end its own quotation"
    assert last == "And then?"
    assert {n: (q.page, q.text[:5]) for n, q in parts_read(grounding, path).items()} == {
        1: (1, "First"),
        2: (2, "Secon"),
    }


def test_passages_go_with_the_last_question_alone() -> None:
    path = path_with(NOTES)
    found = Quotation(1, "a.pdf", "the passage", page=3, last_page=4)
    first, _, last = (turn["content"] for turn in prompt_messages(path, "", Grounding((), ("Library",), (found,))))
    assert first == "What is on page two?", "what does not fit is not read whole"
    assert "[1] a.pdf, p. 3–4\n<<<\nthe passage\n>>>" in last
    assert last.endswith("And then?")


def test_the_model_is_told_that_nothing_was_found() -> None:
    *_, last = (turn["content"] for turn in prompt_messages(path_with(NOTES), "", Grounding((), ("Library",))))
    assert "nothing in them has to do with this question" in last
    assert Grounding((), ("Library",)).found_nothing
    assert not Grounding((FullDocument("x", 1),)).found_nothing


def test_without_documents_messages_are_as_before() -> None:
    first, *_ = (turn["content"] for turn in prompt_messages(path_with(PASTE), ""))
    assert first == "What is on page two?\n\npasted words"


def test_marks_that_answers_use() -> None:
    assert cited("<think>[3]</think>见 [2]，[1, 2] 和 [9]，还有【4】。", (1, 2, 3, 4)) == [2, 1, 4]
    assert source_words(Quotation(1, "a.txt", "")) == "a.txt"


def test_what_is_stored_of_a_reply_is_read_back_and_damage_is_none() -> None:
    grounding = Grounding(
        (FullDocument("x", 1),), ("书.pdf",), (Quotation(2, "书.pdf", "t", page=3, vector=0.9),), True
    )
    reply = Message("c", None, "assistant", "", facts=grounding.stored())
    assert grounding_of(reply) == grounding
    assert grounding_of(Message("c", None, "assistant", "", facts={"grounding": {"whole": 3}})) is None
    assert grounding_of(Message("c", None, "assistant", "")) is None


def test_parts_of_documents_without_pages_are_as_long_as_a_page() -> None:
    long = Attachment("a.txt", "\n\n".join(f"Paragraph {n}. " + "word " * 100 for n in range(20)), "text")
    parts = parts_of(long)
    assert [part.page for part in parts] == [0] * len(parts)
    assert "\n\n".join(part.text for part in parts) == long.text.strip()
    assert 3 <= len(parts) <= 5
    assert len(parts_of(Attachment("a.py", long.text, "code"))) == 1
    assert [part.page for part in pages_of(BOOK.text)] == [1, 2]
