"""Emphasis beside Chinese, Japanese and Korean: `**注意：**请先备份` is bold, though CommonMark wants a space behind the mark.

The rule is that of the draft "CJK-friendly emphasis" (github.com/tats-u/markdown-cjk-friendly), which changes nothing between
other characters. The plug-in mdit-py-cjk-friendly has it too, but wants an older markdown-it and changes all its parsers.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter

_CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\u312f\u3130-\u318f\u3190-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]"
)


def add_emphasis(parser: MarkdownIt) -> None:
    """Let a parser find `*`, `_` and `~~` by this rule."""
    parser.inline.ruler.at("emphasis", _emphasis)
    parser.inline.ruler.at("strikethrough", _strikethrough)


def _emphasis(state: StateInline, silent: bool) -> bool:
    marker = state.src[state.pos]
    if silent or marker not in "*_":
        return False
    count = _run(state)
    opens, closes = _flanks(state, count, inside_words=marker == "*")
    for _ in range(count):
        state.push("text", "", 0).content = marker
        state.delimiters.append(Delimiter(ord(marker), count, len(state.tokens) - 1, -1, opens, closes))
    state.pos += count
    return True


def _strikethrough(state: StateInline, silent: bool) -> bool:
    if silent or state.src[state.pos] != "~":
        return False
    count = _run(state)
    if count < 2:
        return False
    opens, closes = _flanks(state, count, inside_words=True)
    if count % 2:
        state.push("text", "", 0).content = "~"
    for _ in range(count // 2):
        state.push("text", "", 0).content = "~~"
        state.delimiters.append(Delimiter(ord("~"), 0, len(state.tokens) - 1, -1, opens, closes))
    state.pos += count
    return True


def _run(state: StateInline) -> int:
    """Return how many of the same marks follow each other."""
    end, marker = state.pos, state.src[state.pos]
    while end < state.posMax and state.src[end] == marker:
        end += 1
    return end - state.pos


def _flanks(state: StateInline, count: int, *, inside_words: bool) -> tuple[bool, bool]:
    """Tell whether marks may open and close emphasis, by the characters before and behind them."""
    end = state.pos + count
    before = state.src[state.pos - 1] if state.pos else " "
    behind = state.src[end] if end < state.posMax else " "
    left = _leans(behind, before)
    right = _leans(before, behind)
    if inside_words:
        return left, right
    return left and (not right or _is_loose(before)), right and (not left or _is_loose(behind))


def _leans(inner: str, outer: str) -> bool:
    """Tell whether marks belong to the character on their inner side: CommonMark 0.31.2, 6.2, with the draft's exceptions."""
    if isWhiteSpace(ord(inner)):
        return False
    return not _is_punctuation(inner) or bool(_CJK.match(inner)) or isWhiteSpace(ord(outer)) or _is_loose(outer)


def _is_loose(character: str) -> bool:
    """Tell whether a mark may stand beside a character without a space between."""
    return _is_punctuation(character) or bool(_CJK.match(character))


def _is_punctuation(character: str) -> bool:
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)
