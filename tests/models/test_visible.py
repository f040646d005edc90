"""Names of files and values of their metadata can hold what a terminal would obey."""

from __future__ import annotations

from pathlib import Path

from models.errors import BadFile
from models.visible import visible


def test_hidden_characters_are_shown() -> None:
    assert visible("a\nb\r\x1b[31m\x9b\u202egpj\u2066\u2028\ufeff") == (
        "a\\nb\\r\\x1b[31m\\x9b\\u202egpj\\u2066\\u2028\\ufeff"
    )
    assert visible("caf\udce9") == "caf\\udce9", "a byte of a name that is no UTF-8"


def test_writing_of_any_language_stays() -> None:
    for text in ("知音-7B.gguf", "می\u200cخواهم", "👩\u200d💻", "e\u0301té", "C:\\models\\a b.gguf"):
        assert visible(text) == text


def test_an_error_is_one_line() -> None:
    assert str(BadFile("{path} is damaged.", path=Path("a\nb"))) == "a\\nb is damaged."
