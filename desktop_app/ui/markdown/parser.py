"""Markdown to blocks that the window can draw. No HTML is made or understood; nothing is loaded (growing texts: `streaming.py`).

A line break stays a line break, as people expect of a chat (poems, addresses).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any, Literal

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from desktop_app.ui.markdown.emphasis_rules import add_emphasis
from desktop_app.ui.markdown.formula import formula
from desktop_app.ui.markdown.formula_rules import add_formulas
from desktop_app.ui.markdown.link_rules import add_links
from desktop_app.ui.markdown.segments import cuts
from desktop_app.ui.markdown.span import Span, Spans

Kind = Literal["paragraph", "heading", "code", "table", "rule", "formula"]

_URL = re.compile(r"https?://[^\s<>\"'`，。；：！？、）】」]*[^\s<>\"'`，。；：！？、）】」.,;:!?)\]*_~]")
_TASK = re.compile(r"\[([ xX])\] ")
_BULLETS = "•◦▪"
_PARTING = ("formula_display", "cut")
_LEVEL_IN_LIST = 2
"""Of markdown-it's tokens: a paragraph of an item of a list that lies in nothing else."""
_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
add_formulas(_PARSER)
add_emphasis(_PARSER)
add_links(_PARSER)
CONTINUED = "continued"
"""In the parser's environment: the text goes on from the middle of a paragraph, and a character stands for what was before."""


def _inline_in_pieces(state: StateCore) -> None:
    """Parse the texts of blocks: long ones in pieces, whose first ones stay as they are while the text grows."""
    continued = state.env.pop(CONTINUED, False)
    for token in state.tokens:
        if token.type != "inline":
            continue
        text, continued = token.content[continued:], False
        token.children = []
        places = [0, *cuts(text), len(text)]
        for start, end in pairwise(places):
            if start:
                token.children.append(Token("cut", "", 0))
            state.md.inline.parse(text[start:end], state.md, state.env, token.children)


_PARSER.core.ruler.at("inline", _inline_in_pieces)


@dataclass(frozen=True)
class Block:
    """A paragraph, heading, code box, table, rule or formula; lists and quotes are paragraphs with an indentation."""

    kind: Kind
    spans: Spans = ()
    level: int = 0
    """Of a heading, 1 to 6."""
    depth: int = 0
    """How many lists it lies in."""
    marker: str = ""
    """What stands before a list item's first paragraph: • or 3. or ☐."""
    quote: int = 0
    """How many quotes it lies in."""
    tight: bool = False
    """A paragraph of a list without blank lines between its items."""
    text: str = ""
    """Code."""
    language: str = ""
    rows: tuple[tuple[Spans, ...], ...] = ()
    """Of a table; the first one is its head."""
    alignments: tuple[str, ...] = ()
    """left, center or right for each column."""
    continued: bool = False
    """A paragraph that goes on from the block before: it was too long for one."""


def parse(text: str) -> list[Block]:
    """Return the blocks of a text."""
    return Walker().walk(tokens_of(text))


def tokens_of(text: str, environment: dict[str, Any] | None = None, *, continued: bool = False) -> list[Token]:
    """Return markdown-it's tokens.

    Args:
        text: Markdown.
        environment: markdown-it's, with the addresses of links (`references`) that are defined elsewhere; gets the text's own.
        continued: the first character stands for the beginning of a paragraph.
    """
    environment = {} if environment is None else environment
    environment[CONTINUED] = continued
    return _PARSER.parse(text, environment)


@dataclass
class _List:
    marker: str
    number: int | None = None


class Walker:
    """Turns markdown-it's nested tokens into a flat list of blocks."""

    def __init__(self, *, quote: int = 0, continued: bool = False) -> None:
        """`quote`: how many quotes all of it lies in; `continued`: it begins in the middle of a paragraph."""
        self.of_list: list[int] = []
        """Which blocks are tight as long as the outermost list is."""
        self._blocks: list[Block] = []
        self._lists: list[_List] = []
        self._quote = quote
        self._continued = continued
        self._in_list = False
        self._marker = ""
        self._tight = False
        self._heading = 0
        self._rows: list[list[Spans]] = []
        self._alignments: list[str] = []
        self._in_table = False

    def walk(self, tokens: Iterable[Token]) -> list[Block]:
        """Return the blocks of markdown-it's tokens."""
        for token in tokens:
            handler = getattr(self, f"_{token.type}", None)
            if handler is not None:
                handler(token)
        return self._blocks

    def _add(self, block: Block) -> None:
        if self._in_list:
            self.of_list.append(len(self._blocks))
        self._blocks.append(
            replace(block, depth=len(self._lists), marker=self._marker, quote=self._quote, tight=self._tight)
        )
        self._marker, self._tight = "", False

    def _bullet_list_open(self, token: Token) -> None:
        self._lists.append(_List(_BULLETS[min(len(self._lists), len(_BULLETS) - 1)]))

    def _ordered_list_open(self, token: Token) -> None:
        self._lists.append(_List("", first_number(token)))

    def _list_close(self, token: Token) -> None:
        self._lists.pop()

    _bullet_list_close = _ordered_list_close = _list_close

    def _list_item_open(self, token: Token) -> None:
        current = self._lists[-1]
        if current.number is None:
            self._marker = current.marker
        else:
            self._marker = f"{current.number}."
            current.number += 1

    def _list_item_close(self, token: Token) -> None:
        self._add_bare_marker()

    def _add_bare_marker(self) -> None:
        """Show the marker of an item that has no text of its own."""
        if self._marker:
            self._tight = True
            self._add(Block("paragraph"))

    def _blockquote_open(self, token: Token) -> None:
        self._quote += 1

    def _blockquote_close(self, token: Token) -> None:
        self._quote -= 1

    def _paragraph_open(self, token: Token) -> None:
        self._tight = token.hidden
        self._in_list = token.level == _LEVEL_IN_LIST and token.hidden

    def _paragraph_close(self, token: Token) -> None:
        self._in_list = False

    def _heading_open(self, token: Token) -> None:
        self._heading = int(token.tag[1])

    def _heading_close(self, token: Token) -> None:
        self._heading = 0

    def _inline(self, token: Token) -> None:
        if self._in_table:
            self._rows[-1].append(_spans(token.children or []))
        elif self._heading:
            self._add(Block("heading", _spans(token.children or []), level=self._heading))
        else:
            children = token.children or []
            if self._marker and children and (task := _TASK.match(children[0].content)):
                self._marker = "☐" if task[1] == " " else "☑"
                children[0].content = children[0].content[task.end() :]
            self._add_paragraph(children)

    def _add_paragraph(self, children: Sequence[Token]) -> None:
        """Add a paragraph; formulas that are to stand alone part it, and cuts where it is long."""
        tight, continued = self._tight, self._continued
        self._continued = False
        for kind, group in groupby(children, key=lambda child: child.type if child.type in _PARTING else ""):
            members = list(group)
            self._tight = tight
            if kind == "formula_display":
                continued = False
                for member in members:
                    self._formula_block(member)
            elif kind == "cut":
                continued = True
            else:
                spans = _spans(members)
                if apart_from_others := continued or len(members) < len(children):
                    spans = _stripped(spans)
                if spans or not apart_from_others:
                    self._add(Block("paragraph", spans, continued=continued))

    def _formula_block(self, token: Token) -> None:
        self._add(Block("formula", _formula(token)))

    def _fence(self, token: Token) -> None:
        self._add_bare_marker()
        language = token.info.split()[0] if token.info.split() else ""
        self._add(Block("code", text=token.content.rstrip("\n"), language=language))

    _code_block = _fence

    def _hr(self, token: Token) -> None:
        self._add(Block("rule"))

    def _table_open(self, token: Token) -> None:
        self._in_table, self._rows, self._alignments = True, [], []

    def _tr_open(self, token: Token) -> None:
        self._rows.append([])

    def _th_open(self, token: Token) -> None:
        self._alignments.append(str(token.attrGet("style") or "text-align:left").rpartition(":")[2])

    def _table_close(self, token: Token) -> None:
        self._in_table = False
        rows = tuple(tuple(row) for row in self._rows)
        self._add(Block("table", rows=rows, alignments=tuple(self._alignments)))


def first_number(ordered_list: Token) -> int:
    """Return what an ordered list counts from."""
    start = ordered_list.attrGet("start")
    return 1 if start is None else int(start)


def _spans(children: Sequence[Token]) -> Spans:
    """Return the styled runs of an inline token's children."""
    spans: list[Span] = []
    style = Span("")
    for child in children:
        match child.type:
            case "text":
                spans += _linkified(replace(style, text=child.content))
            case "code_inline":
                spans.append(replace(style, text=child.content, code=True))
            case "formula" | "formula_display":
                spans += [replace(span, bold=style.bold or span.bold) for span in _formula(child)]
            case "softbreak" | "hardbreak":
                spans.append(replace(style, text="\n"))
            case "image":  # named, never loaded
                address = _address(child, "src")
                spans.append(replace(style, text=child.content or address, link=address))
            case _:
                style = _restyled(style, child)
    return tuple(span for span in spans if span.text)


def _formula(token: Token) -> Spans:
    source = token.content.strip()
    return tuple(replace(span, formula=source) for span in formula(source))


def _stripped(spans: Spans) -> Spans:
    """Take the line breaks and spaces at both ends away."""
    parts = list(spans)
    while parts and not parts[0].text.strip():
        del parts[0]
    while parts and not parts[-1].text.strip():
        del parts[-1]
    if parts:
        parts[0] = replace(parts[0], text=parts[0].text.lstrip())
        parts[-1] = replace(parts[-1], text=parts[-1].text.rstrip())
    return tuple(parts)


def _restyled(style: Span, mark: Token) -> Span:
    """Return the style after a mark that opens or closes one."""
    match mark.type.rpartition("_")[0]:
        case "strong":
            return replace(style, bold=mark.nesting > 0)
        case "em":
            return replace(style, italic=mark.nesting > 0)
        case "s":
            return replace(style, strike=mark.nesting > 0)
        case "link":
            return replace(style, link=_address(mark, "href"))
    return style


def _address(token: Token, attribute: str) -> str:
    return safe_link(str(token.attrGet(attribute) or ""))


def safe_link(address: str) -> str:
    """Return an address that may be opened in the browser, or ""."""
    return address if re.match(r"https?://[^\s]+$", address, re.IGNORECASE) else ""


def _linkified(span: Span) -> list[Span]:
    """Split a text at the addresses in it."""
    if span.link or "://" not in span.text:
        return [span]
    parts: list[Span] = []
    end = 0
    for match in _URL.finditer(span.text):
        parts += [replace(span, text=span.text[end : match.start()]), replace(span, text=match[0], link=match[0])]
        end = match.end()
    return [*parts, replace(span, text=span.text[end:])]
