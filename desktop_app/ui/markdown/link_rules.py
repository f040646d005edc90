"""Links and pictures for markdown-it, without looking for the end of a bracket where no link can follow.

markdown-it reads on from each bracket to the end of the text: work that grows with the square of the brackets' number.
"""

from __future__ import annotations

from collections.abc import Callable

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline, image, link

_Rule = Callable[[StateInline, bool], bool]


def add_links(parser: MarkdownIt) -> None:
    """Put the rules in the place of markdown-it's own."""
    parser.inline.ruler.at("link", _where_one_can_be(link))
    parser.inline.ruler.at("image", _where_one_can_be(image))


def _where_one_can_be(rule: _Rule) -> _Rule:
    """Return a rule that is asked only where an address follows a bracket, or one was defined elsewhere in the text."""

    def asked(state: StateInline, silent: bool) -> bool:
        can_be = state.src.find("](", state.pos) >= 0 or bool(state.env.get("references"))
        return can_be and rule(state, silent)

    return asked
