"""A chat as a page of HTML that stands alone: no script, nothing from elsewhere, whatever a model wrote. Also as PDF."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from PySide6.QtCore import QMarginsF
from PySide6.QtGui import QPageLayout, QPageSize, QPdfWriter, QTextDocument

from desktop_app.chat.conversation import Message
from desktop_app.chat.reasoning import split_reasoning
from desktop_app.chat.steps import result_text
from desktop_app.ui.markdown.emphasis_rules import add_emphasis
from desktop_app.ui.markdown.formula_rules import add_formulas
from models.errors import ZhiyinError

_STYLE = """
body { font-family: system-ui, "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", sans-serif; line-height: 1.65;
  max-width: 46em; margin: 2em auto; padding: 0 1em; color: #1c1f22; background: #ffffff; }
h2.who { font-size: 1em; color: #1f6f64; margin: 2em 0 .3em; }
pre { background: #f3f4f1; padding: .8em 1em; overflow-x: auto; white-space: pre-wrap; }
code { font-family: ui-monospace, "Cascadia Mono", Menlo, monospace; font-size: .92em; }
table { border-collapse: collapse; } th, td { border: 1px solid #dedfda; padding: .3em .7em; }
blockquote { color: #5b6167; border-left: 3px solid #dedfda; margin-left: 0; padding-left: 1em; }
.plain { white-space: pre-wrap; } .attached { color: #5b6167; }
"""
_FORMULAS = ("formula", "formula_display", "formula_block")
_MARGIN = 18.0
"""Millimetres."""
_RESOLUTION = 144


def as_html(title: str, messages: Sequence[Message], person: str, model: str) -> str:
    """Return a branch of a chat; `person` and `model` say who speaks, in the user's language."""
    parser = _parser()
    parts = [f"<h1>{escape(title)}</h1>"]
    for message in messages:
        if message.role == "user":
            parts.append(_heading(person) + _question(message))
        elif message.role == "tool":
            name = escape(str(message.facts.get("tool", "")))
            parts.append(f"<p><b>{name}</b></p><pre>{escape(result_text(message).strip())}</pre>")
        else:
            reply = split_reasoning(message.content)
            thought = f"<blockquote class='plain'>{escape(reply.reasoning)}</blockquote>" if reply.reasoning else ""
            parts.append(_heading(message.model or model) + thought + parser.render(reply.answer))
    return (
        "<!DOCTYPE html>\n<html><head><meta charset='utf-8'>"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def write_pdf(html: str, path: Path) -> None:
    """Write a page as PDF; on any thread.

    Raises:
        ZhiyinError: the file cannot be written.
    """
    writer = QPdfWriter(str(path))
    writer.setResolution(_RESOLUTION)
    writer.setPageSize(QPageSize(QPageSize.PageSizeId.A4))
    writer.setPageMargins(QMarginsF(_MARGIN, _MARGIN, _MARGIN, _MARGIN), QPageLayout.Unit.Millimeter)
    document = QTextDocument()
    document.setDocumentMargin(0)
    document.setHtml(html)
    document.print_(writer)
    if not path.exists() or not path.stat().st_size:
        raise ZhiyinError("{path} cannot be written; choose another place.", path=path)


def _heading(who: str) -> str:
    return f"<h2 class='who'>{escape(who)}</h2>"


def _question(message: Message) -> str:
    names = "".join(
        f"<p class='attached'>{escape(one.name or one.text[:80])} ({len(one.text)})</p>" for one in message.attachments
    )
    return names + f"<div class='plain'>{escape(message.content.strip())}</div>"


def _parser() -> MarkdownIt:
    """Return a parser that finds what the window finds; images are not loaded, HTML is text."""
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable(["image"])
    add_formulas(parser)
    add_emphasis(parser)
    for name in _FORMULAS:
        parser.add_render_rule(name, _source)
    return parser


def _source(renderer: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, env: EnvType) -> str:
    """Return a formula as it was written."""
    token = tokens[place]
    return f"<code>{escape(token.content)}</code>" + ("<br>" if token.type == _FORMULAS[2] else "")
