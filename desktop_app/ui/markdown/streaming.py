"""Markdown of a growing text: what is closed is not parsed again, within an unfinished list, table, quote or paragraph either.

The rest of an unfinished block is parsed behind a few characters of Markdown that open the same block (`_Open.prefix`). What can
be closed nowhere and has grown long (code, a list in a list) is parsed once in a number of updates that grows with its length,
and what was added is shown as it is until then: so each update parses about as many characters, however long the text is.

A link whose address is defined below it (`[text][1]` … `[1]: address`) may be closed before that is read: a parser that knows the
addresses from the beginning reads the text once more (`StreamingParser.begun_again`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from markdown_it.token import Token

from desktop_app.ui.markdown.formula_rules import may_become_formula
from desktop_app.ui.markdown.parser import Block, Walker, first_number, tokens_of
from desktop_app.ui.markdown.segments import cuts
from desktop_app.ui.markdown.span import Span

_SHORT = 400
"""Characters that are parsed at each update."""
_AN_UPDATE = 128
"""Of more, so many at each update, on average."""
_QUOTED = re.compile(r" {0,3}>")
_LARGEST_NUMBER = 999_999_999
"""Of a list's item in Markdown."""


@dataclass
class _Open:
    """An unfinished block, a part of which is closed; this one is none."""

    prefix: str = ""
    """Markdown that opens the same block, in front of what is parsed."""
    closed: list[Block] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """Of the prefix."""
        return self.prefix.count("\n")

    def blocks(self, tokens: Sequence[Token]) -> list[Block]:
        """Return the whole block, of which these are the last tokens."""
        return [*self.closed, *Walker().walk(tokens)]


@dataclass
class _OpenParagraph(_Open):
    """`prefix` is the beginning of the paragraph, and is not parsed with it (`parser.CONTINUED`)."""

    prefix: str = "x"

    def blocks(self, tokens: Sequence[Token]) -> list[Block]:
        """Return the whole paragraph."""
        return [*self.closed, *Walker(continued=True).walk(tokens)]


@dataclass
class _OpenTable(_Open):
    """`prefix` is the table's head, `closed` its rows so far as one block."""

    def blocks(self, tokens: Sequence[Token]) -> list[Block]:
        """Return the whole table."""
        [rest] = Walker().walk(tokens)
        return [replace(rest, rows=self.closed[0].rows + rest.rows[1:])]


@dataclass
class _OpenList(_Open):
    """`prefix` is an item, after which the others go on; where a blank line is in it, the list is not tight any more."""

    loosened: list[Block] = field(default_factory=list)
    """`closed`, should the list still turn out not to be tight."""

    def add(self, tokens: Sequence[Token], first: int, last: int) -> None:
        """Close a part's blocks from `first` on, but for the `last` ones."""
        tight, loose = _both(tokens)
        self.closed += tight[first : len(tight) - last]
        self.loosened += loose[first : len(loose) - last]

    def blocks(self, tokens: Sequence[Token]) -> list[Block]:
        """Return the whole list, tight or not."""
        rest = Walker().walk(tokens)[1:]
        return [*(self.closed if _is_tight(tokens) else self.loosened), *rest]


class StreamingParser:
    """Parses a growing text."""

    def __init__(self, addresses: Mapping[str, str] | None = None) -> None:
        """Begin with an empty text; `addresses`: those that it defines, by markdown-it's label, as far as they are known."""
        self._known = dict(addresses or {})
        self._defined: dict[str, str] = {}
        """By what is closed."""
        self._defining: dict[str, str] = {}
        """By what is not, where it may still change."""
        self._closed: list[Block] = []
        self._offset = 0
        self._open = _Open()
        self._parsed = 0
        self._updates = 0
        """Since the last one that was parsed."""
        self._blocks: list[Block] = []

    @property
    def parsed(self) -> int:
        """Characters of the last text that its blocks were parsed from; what follows them was shown as it is."""
        return self._parsed

    def begun_again(self) -> StreamingParser | None:
        """Return a parser for the same text, where that defines addresses that its closed blocks were parsed without."""
        addresses = self._defining | self._defined
        return StreamingParser(addresses) if self._offset and addresses != self._known else None

    def update(self, text: str, *, final: bool = False) -> list[Block]:
        """Return the blocks of `text`, which begins with the text of the last call; `final`: with nothing left as it is."""
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if len(text) == self._parsed:
            return self._blocks
        self._updates += 1
        unfinished = len(text) - self._offset
        if not final and unfinished > max(_SHORT, self._updates * _AN_UPDATE):
            return _with_rest(self._blocks, text[self._parsed :])
        self._parsed, self._updates = len(text), 0
        self._blocks = self._parse(text[self._offset :])
        return self._blocks

    def _parse(self, tail: str) -> list[Block]:
        offset, lines = self._offset, self._open.lines
        environment = self._environment()
        blocks = self._blocks_of(tail, environment)
        lines += tail.count("\n", 0, self._offset - offset)
        self._defining = {}
        for label, place in _definitions(environment):
            kept = self._defined if place["map"][1] <= lines else self._defining
            kept.setdefault(label, place["href"])
        return blocks

    def _environment(self) -> dict[str, Any]:
        """Return markdown-it's environment, with the addresses that are known of what is parsed next."""
        addresses = self._known | self._defined
        return {"references": {label: {"title": "", "href": address} for label, address in addresses.items()}}

    def _blocks_of(self, tail: str, environment: dict[str, Any]) -> list[Block]:
        prefix, continued = self._open.prefix, isinstance(self._open, _OpenParagraph)
        groups = _top_level(tokens_of(prefix + tail, environment, continued=continued))
        if not groups:
            return self._closed[:]
        opened = self._open
        keep = _last_settled([group[0] for group in groups], tail, opened.lines)
        start = _offset_of(groups[keep][0], tail, opened.lines)
        lines = opened.lines
        if keep and not may_become_formula(tail[:start]):
            for group in groups[:keep]:
                self._closed += self._open.blocks(group)
                self._open = _Open()
            self._offset += start
            lines += tail.count("\n", 0, start)
            groups, tail = groups[keep:], tail[start:]
        if len(groups) == 1:
            return [*self._closed, *self._last_block(groups[0], tail, lines)]
        first, *others = groups
        blocks = [*self._closed, *self._open.blocks(first)]
        for group in others:
            blocks += _Open().blocks(group)
        return blocks

    def _last_block(self, tokens: list[Token], tail: str, lines: int) -> list[Block]:
        """Return the unfinished block, and close what can be of it.

        Args:
            tokens: its own.
            tail: the text that it begins, without the prefix.
            lines: of what was parsed before `tail`.
        """
        blocks = self._open.blocks(tokens)
        match tokens[0].type:
            case "bullet_list_open" | "ordered_list_open":
                self._close_items(tokens, tail, lines)
            case "table_open":
                self._close_rows(tokens, blocks[-1], tail, lines)
            case "blockquote_open":
                self._close_quoted(tokens, tail, lines)
            case "paragraph_open":
                self._close_pieces(tokens, blocks, tail, lines)
        return blocks

    def _close_items(self, tokens: list[Token], tail: str, lines: int) -> None:
        items = [token for token in tokens if token.type == "list_item_open" and token.level == 1]
        first = int(isinstance(self._open, _OpenList))
        keep = _last_settled(items[first:], tail, lines) + first
        if keep == first:
            return
        start = _offset_of(items[keep], tail, lines)
        mark = tokens[0].markup
        if tokens[0].type == "ordered_list_open":
            number = first_number(tokens[0]) + keep - 1
            if number > _LARGEST_NUMBER:
                return
            mark = f"{number}{mark}"
        # An item behind them says whether these are tight; the one that is there may itself be what is not.
        part = _top_level(tokens_of(f"{self._open.prefix}{tail[:start]}{mark} x\n", self._environment()))[0]
        opened = self._open if isinstance(self._open, _OpenList) else _OpenList()
        opened.add(part, first, 1)
        # As far to the right as an item may stand: none that follows lies in it.
        opened.prefix = f"   {mark} x\n" if _is_tight(part) else f"   {mark} x\n\n"
        self._open = opened
        self._offset += start

    def _close_rows(self, tokens: list[Token], block: Block, tail: str, lines: int) -> None:
        begin, end = (line - lines for line in tokens[0].map or (0, 0))
        if not isinstance(self._open, _OpenTable):
            start = _line_offset(tail, begin)
            head = tail[start : _line_offset(tail, begin + 2)] if tail.count("\n", start) > 1 else ""
            begin += 2
        else:
            head, begin = self._open.prefix, 0
        complete = min(end, tail.count("\n")) - begin
        if complete <= 0 or not head:
            return
        rows = block.rows if complete == end - begin else block.rows[: complete - (end - begin)]
        self._open = _OpenTable(head, [replace(block, rows=rows)])
        self._offset += _line_offset(tail, begin + complete)

    def _close_quoted(self, tokens: list[Token], tail: str, lines: int) -> None:
        children = [i for i, token in enumerate(tokens) if token.level == 1 and token.nesting >= 0 and token.map]
        keep = _last_settled([tokens[child] for child in children], tail, lines)
        start = _offset_of(tokens[children[keep]], tail, lines) if keep else 0
        if keep and _QUOTED.match(tail, start) and not may_become_formula(tail[:start]):
            self._closed += Walker(quote=1).walk(tokens[1 : children[keep]])
            self._offset += start

    def _close_pieces(self, tokens: list[Token], blocks: list[Block], tail: str, lines: int) -> None:
        before = len(self._open.prefix) if isinstance(self._open, _OpenParagraph) else 0
        content = tokens[1].content[before:]
        places = cuts(content)
        begin = 0 if before else _offset_of(tokens[0], tail, lines)
        if not before:
            begin += len(tail) - begin - len(tail[begin:].lstrip())
        if places and tail.startswith(content, begin):
            self._open = _OpenParagraph(closed=blocks[: len(blocks) - _blocks_of_last_piece(tokens[1])])
            self._offset += begin + places[-1]


def _definitions(environment: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the addresses that a text defines, by label and in its order, out of what its parsing left."""
    again = [(place["label"], place) for place in environment.get("duplicate_refs", ())]
    own = [(label, place) for label, place in environment["references"].items() if "map" in place]
    return sorted(own + again, key=lambda definition: int(definition[1]["map"][0]))


def _blocks_of_last_piece(inline: Token) -> int:
    """Return how many blocks the last piece of a paragraph became."""
    children = inline.children or []
    last = max(index for index, child in enumerate(children) if child.type == "cut")
    return len(Walker(continued=True).walk([Token("inline", "", 0, children=children[last + 1 :])]))


def _both(tokens: Sequence[Token]) -> tuple[list[Block], list[Block]]:
    """Return a list's blocks as they are, and as they would be were it not tight."""
    walker = Walker()
    blocks = walker.walk(tokens)
    loose = list(blocks)
    for index in walker.of_list:
        loose[index] = replace(loose[index], tight=False)
    return blocks, loose


def _is_tight(tokens: Sequence[Token]) -> bool:
    """Tell whether a list is, whose first or last item is a paragraph."""
    return any(token.type == "paragraph_open" and token.level == 2 and token.hidden for token in tokens)


def _top_level(tokens: Sequence[Token]) -> list[list[Token]]:
    """Return the tokens of each block that lies in no other."""
    groups: list[list[Token]] = []
    for token in tokens:
        if token.level == 0 and token.nesting >= 0:
            groups.append([])
        groups[-1].append(token)
    return groups


def _last_settled(blocks: Sequence[Token], tail: str, lines: int) -> int:
    """Return the index of the last block that stays one: a line that is being written may yet continue the one before it."""
    for index in range(len(blocks) - 1, 0, -1):
        block = blocks[index]
        if block.map and not block.meta.get("open") and "\n" in tail[_offset_of(block, tail, lines) :]:
            return index
    return 0


def _offset_of(token: Token, tail: str, lines: int) -> int:
    """Return where a block begins in the text behind `lines` of prefix."""
    return _line_offset(tail, (token.map or [0])[0] - lines)


def _line_offset(text: str, line: int) -> int:
    offset = 0
    for _ in range(line):
        offset = text.index("\n", offset) + 1
    return offset


def _with_rest(blocks: list[Block], rest: str) -> list[Block]:
    """Return blocks with a text that is not parsed yet."""
    if not blocks:
        return [Block("paragraph", (Span(rest),))]
    last = blocks[-1]
    if last.kind == "code":
        return [*blocks[:-1], replace(last, text=last.text + rest)]
    if last.kind == "paragraph":
        return [*blocks[:-1], replace(last, spans=(*last.spans, Span(rest)))]
    return [*blocks, Block("paragraph", (Span(rest),))]
