"""What is looked up: Chinese by one and two characters without a dictionary, words of alphabets by their stems."""

from __future__ import annotations

import sqlite3

import pytest

from desktop_app.documents.words import index_terms, match_expression, query_terms


def found(text: str, question: str) -> bool:
    database = sqlite3.connect(":memory:")
    database.execute(
        "CREATE VIRTUAL TABLE w USING fts5(t, content='', tokenize='porter unicode61 remove_diacritics 2')"
    )
    database.execute("INSERT INTO w VALUES (?)", (index_terms(text),))
    expression = match_expression(query_terms(question))
    return (
        bool(expression) and database.execute("SELECT 1 FROM w WHERE w MATCH ?", (expression,)).fetchone() is not None
    )


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("他在山上种茶。", "茶"),
        ("他在山上种茶。", "种茶吗？"),
        ("合同的违约金是多少", "违约金"),
        ("銀行利率", "利率"),
        ("running shoes", "He runs."),
        ("naïve café", "CAFE"),
        ("Ｆｕｌｌ　ｗｉｄｔｈ", "full"),
        ("state-of-the-art", "art"),
        ("version 3.11.7", "3.11.7"),
        ("カタカナのテスト", "テスト"),
        ("한국어 문서", "한국어"),
        ('quote "this" AND OR NOT', 'NOT "this"'),
    ],
)
def test_is_found(text: str, question: str) -> None:
    assert found(text, question)


@pytest.mark.parametrize(
    ("text", "question"), [("大学生", "生大"), ("什么是茶", "什么是酒"), ("abc", "…！？"), ("the a", "x")]
)
def test_is_not_found(text: str, question: str) -> None:
    assert not found(text, question)
