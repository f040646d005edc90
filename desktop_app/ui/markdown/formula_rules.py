r"""Formulas in Markdown: $...$, \(...\), $$...$$, \[...\] and LaTeX's environments.

As Pandoc has it, a dollar opens a formula before a character that is no space, and closes it after one and before no
digit: prices stay prices. \[ and \( may also be escaped brackets; what does not look like a formula is left to Markdown.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

_CLOSING = {"$$": "$$", "\\[": "\\]", "\\(": "\\)"}
_ENVIRONMENT = re.compile(
    r"\\begin\{((?:align|aligned|gather|gathered|equation|cases|[pbBvV]?matrix|split|multline|eqnarray)\*?)\}"
)
_DOLLARS = re.compile(r"\$(?=[^\s$])((?:\\.|[^\\$])*?)(?<!\s)\$(?![0-9A-Za-z])", re.DOTALL)
_SIGN = re.compile(r"[\\^_=+<>{}]")
_CHINESE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
_PROSE = re.compile(r"[A-Za-z]{2,}\s+[A-Za-z]{2,}")
_MOST_LINES = 100
_OPENING = re.compile(r"^[ >]*(?:\\\[|\$\$|\\begin\{)", re.MULTILINE)
_BLANK_LINE = re.compile(r"^[ >\t]*\n", re.MULTILINE)
_FULL_STOPS = ".,;:，。；："


def add_formulas(parser: MarkdownIt) -> None:
    """Let a parser find formulas: tokens `formula`, `formula_display` in a line and `formula_block`."""
    parser.inline.ruler.before("escape", "formula", _inline)
    parser.block.ruler.before("fence", "formula", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]})


def may_become_formula(text: str) -> bool:
    """Tell whether more lines may make the end of a text, which are blocks by now, a part of one formula."""
    end = len(text)
    for _ in range(_MOST_LINES):
        end = text.rfind("\n", 0, end)
        if end < 0:
            break
    lines = text[end + 1 :]
    blank = max((match.end() for match in _BLANK_LINE.finditer(lines)), default=0)
    return _OPENING.search(lines, blank) is not None


def _is_formula(text: str, *, display: bool = False) -> bool:
    if not text.strip() or (_CHINESE.search(text) and "\\" not in text):
        return False
    return bool(_SIGN.search(text)) or not (display or _PROSE.search(text))


def _inline(state: StateInline, silent: bool) -> bool:
    source, start, last = state.src, state.pos, state.posMax
    opening = source[start : min(start + 2, last)]
    if opening in _CLOSING:
        end = source.find(_CLOSING[opening], start + 2, last)
        content, after = source[start + 2 : end], end + 2
        display = opening != "\\("
        if end < 0 or not _is_formula(content, display=display):
            return False
    else:
        match = _DOLLARS.match(source, start, last)
        if match is None or not _is_formula(match[1]):
            return False
        content, after, display = match[1], match.end(), False
    if not silent:
        token = state.push("formula_display" if display else "formula", "", 0)
        token.content = content
    state.pos = after
    return True


def _block(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """Find a formula that begins a line and goes on to the end of one; one that is still being written ends with the text."""
    if state.is_code_block(first):
        return False
    begun = state.src[state.bMarks[first] + state.tShift[first] : state.eMarks[first]]
    environment = _ENVIRONMENT.match(begun)
    opening = environment[0] if environment else begun[:2]
    closing = f"\\end{{{environment[1]}}}" if environment else _CLOSING.get(opening, "")
    if not closing or opening == "\\(":
        return False
    lines = [begun[len(opening) :]]
    while closing not in lines[-1] and _goes_on(state, first + len(lines), min(end, first + _MOST_LINES)):
        line = first + len(lines)
        lines.append(state.getLines(line, line + 1, state.blkIndent, False))
    lines[-1], mark, rest = lines[-1].partition(closing)
    after = first + len(lines)
    content = "\n".join(lines) + rest.strip()
    if rest.strip(_FULL_STOPS + " ") or not _is_formula(content, display=True) or not (mark or after == state.lineMax):
        return False  # within a paragraph, or none
    if not silent:
        token = state.push("formula_block", "", 0)
        token.content = f"{opening}{content}{closing}" if environment else content
        token.map = [first, after]
        token.meta = {"open": after >= state.lineMax}
    state.line = after
    return True


def _goes_on(state: StateBlock, line: int, end: int) -> bool:
    return line < end and not state.isEmpty(line) and state.sCount[line] >= state.blkIndent
