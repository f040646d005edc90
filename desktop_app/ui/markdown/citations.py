"""Numbers in brackets that stand for parts of documents become links to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from desktop_app.chat.grounding import marks_in
from desktop_app.ui.markdown.span import Span, Spans


def with_citations(spans: Spans, sources: Mapping[int, str]) -> Spans:
    """Make links of the numbers that `sources` knows; it says what each stands for. Code, links and formulas stay as they are."""
    if not sources:
        return spans
    return tuple(part for span in spans for part in _parted(span, sources))


def _parted(span: Span, sources: Mapping[int, str]) -> Iterator[Span]:
    if span.code or span.link or span.formula:
        yield span
        return
    end = 0
    for mark in marks_in(span.text):
        if mark.number not in sources:
            continue
        if mark.start > end:
            yield replace(span, text=span.text[end : mark.start])
        tip = sources[mark.number]
        yield replace(span, text=span.text[mark.start : mark.end], citation=mark.number, tip=tip)
        end = mark.end
    if end < len(span.text):
        yield replace(span, text=span.text[end:])
