"""Index terms of a text: words of alphabets, and of Chinese each character and each pair of neighbours.

Pairs of characters find Chinese words of two and more characters without a dictionary, single ones those of one character.
"""

from __future__ import annotations

import re
import unicodedata

_WIDE = (
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_PARTS = re.compile(rf"([{_WIDE}]+)|([^\W_{_WIDE}]+(?:[.'’-][^\W_{_WIDE}]+)*)")
_MOST_TERMS = 64
_STOP_WORDS = (
    "a an and are as at be but by can did do does for from had has have how i if in is it its me my not of on or our so than "
    "that the their them then there they this to was we were what when where which who why will with would you your "
    "的 了 是 在 和 与 吗 呢 啊 吧 么 什么 怎么 怎样 如何 为什 哪些 哪个 多少 一个 我们 他们 你们 这个 那个 这些 "
    "那些 可以 请问 有没 没有 是否 的是 是什 是怎 么样 么是 了吗 的吗"
)
_STOP = frozenset(_STOP_WORDS.split())
"""Words of nearly every question."""


def index_terms(text: str) -> str:
    """Return what of a text is indexed, separated by spaces."""
    terms: list[str] = []
    for wide, word in _PARTS.findall(unicodedata.normalize("NFKC", text)):
        if wide:
            terms += [*wide, *(wide[at : at + 2] for at in range(len(wide) - 1))]
        else:
            terms.append(word.lower())
            if len(parts := re.split(r"[.'’-]", word.lower())) > 1:
                terms += parts
    return " ".join(terms)


def query_terms(text: str) -> list[str]:
    """Return what of a question is looked up: pairs of characters, and single ones where they stand alone."""
    queries: list[str] = []
    for wide, word in _PARTS.findall(unicodedata.normalize("NFKC", text)):
        if wide:
            queries += [wide] if len(wide) == 1 else [wide[at : at + 2] for at in range(len(wide) - 1)]
        else:
            queries.append(word.lower())
    terms = list(dict.fromkeys(queries))
    telling = [term for term in terms if term not in _STOP]
    return (telling or terms)[:_MOST_TERMS]


def match_expression(terms: list[str]) -> str:
    """Return FTS5's expression for any of the terms."""
    return " OR ".join('"' + term.replace('"', '""') + '"' for term in terms)


def stem(term: str) -> str:
    """Return a word without its commonest English endings: enough to tell whether two words are one."""
    for ending in ("ing", "edly", "ed", "es", "ly", "s", "e"):
        if term.endswith(ending) and len(term) - len(ending) >= 3 and term.isascii():
            return term[: -len(ending)]
    return term
