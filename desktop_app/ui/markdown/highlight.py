"""Colours for code, by Pygments, as ranges that a Qt document understands. No Qt here: it runs on any thread."""

from __future__ import annotations

from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Literal, Name, Number, String, _TokenType
from pygments.util import ClassNotFound

Range = tuple[int, int, str]
"""Start and length in UTF-16 units, and the theme's token that colours it."""

_LONGEST = 200_000
_ROLES: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "code_comment"),
    (String, "code_string"),
    (Number, "code_number"),
    (Literal, "code_string"),
    (Keyword, "code_keyword"),
    (Name.Function, "code_name"),
    (Name.Class, "code_name"),
    (Name.Builtin, "code_name"),
    (Name.Decorator, "code_name"),
    (Name.Tag, "code_name"),
    (Name.Attribute, "code_number"),
)


def highlight(code: str, language: str) -> list[Range]:
    """Return the coloured ranges of a code; none for an unknown language or very long code."""
    if not language or len(code) > _LONGEST:
        return []
    try:
        lexer = get_lexer_by_name(language.lower(), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return []
    ranges: list[Range] = []
    position = 0
    for kind, text in lexer.get_tokens(code):
        length = len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
        role = next((role for ancestor, role in _ROLES if ancestor in kind.split()), "")
        if role and text.strip():
            ranges.append((position, length, role))
        position += length
    return ranges
