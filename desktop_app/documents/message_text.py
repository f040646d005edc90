"""A document's text as it goes into a message: its pages are numbered, so that an answer can name one."""

from __future__ import annotations

from desktop_app.chat.attachment_parts import page_mark
from desktop_app.documents.document import Document


def message_text(document: Document) -> str:
    """Return all of the text, each page of several behind its number, each sheet behind its name."""
    if len(document.pages) < 2:
        return document.text.strip()
    parts = []
    for page in document.pages:
        if page.blocks:
            parts.append(f"{page_mark(page.number, page.name)}\n{page.text.strip()}")
    return "\n\n".join(parts)
