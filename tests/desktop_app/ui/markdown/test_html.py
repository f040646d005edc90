"""A chat as HTML and PDF: what a model wrote can neither run nor load anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from desktop_app.chat.attachment import Attachment
from desktop_app.chat.conversation import Message
from desktop_app.ui.markdown.html import as_html, write_pdf
from models.errors import ZhiyinError

CHAT = [
    Message("c", None, "user", "What is <b>2 & 3</b>?", "q", attachments=(Attachment("<a>.txt", "secret"),)),
    Message(
        "c",
        "q",
        "assistant",
        "<think>Five</think>**注意：**请先备份。\n\n| a |\n| --- |\n| $x^2$ |\n\n<script>alert(1)</script>\n\n"
        "![picture](https://example.org/p.png) [link](javascript:alert(1))",
        "a",
        model="Qwen",
    ),
]


def test_what_was_written_is_there_and_nothing_runs() -> None:
    page = as_html("A <title>", CHAT, "You", "Assistant")
    assert "<h1>A &lt;title&gt;</h1>" in page
    assert "What is &lt;b&gt;2 &amp; 3&lt;/b&gt;?" in page
    assert "&lt;a&gt;.txt" in page
    assert "<strong>注意：</strong>请先备份" in page
    assert "<code>x^2</code>" in page
    assert "<blockquote class='plain'>Five</blockquote>" in page
    for forbidden in ("<script", "<img", 'javascript:alert(1)"'):
        assert forbidden not in page


def test_it_is_written_as_pdf(application: QApplication, tmp_path: Path) -> None:
    write_pdf(as_html("Tea", CHAT, "You", "Assistant"), tmp_path / "tea.pdf")
    assert (tmp_path / "tea.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(ZhiyinError, match="cannot be written"):
        write_pdf("x", tmp_path / "none" / "tea.pdf")
