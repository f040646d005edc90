"""The core's sentences in the window's language, with numbers and sizes as it writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from PySide6.QtCore import QCoreApplication, QLocale

from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.i18n.window_words import WINDOW_WORDS
from models.sentence import Sentence, SentenceFormatter
from models.system_errors import as_zhiyin_error

_BEFORE_UNIT = re.compile(r"(?<=\}) (?=(?:s|min|h|kB|MB|GB|Mbit/s)\b)")
_COMMAND = re.compile("`([^`]+)`")
_FULL_WIDTH = "。！？"
CONTEXT = ""
"""Where the .ts file has the core's templates: Qt's tool writes those there that it finds in calls outside of Qt's classes."""


def translated(sentence: Sentence | Exception) -> str:
    """Return a sentence of the core in the window's language; where the window has other words than the terminal, in these."""
    source = sentence if isinstance(sentence, Sentence) else as_zhiyin_error(sentence)
    words = QCoreApplication.translate(CONTEXT, source.template)
    if words == source.template:  # there is no translation: English
        words = WINDOW_WORDS.get(words, words)
    return _WindowFormatter().fill(_BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", without_marks(words)), source.values)


def paragraph(sentences: Iterable[str]) -> str:
    """Return sentences one behind the other: a Chinese full stop brings its own space."""
    text = ""
    for sentence in sentences:
        text += ("" if text.endswith((*_FULL_WIDTH,)) else " ") + sentence if text else sentence
    return text


def without_marks(words: str) -> str:
    """Put commands between quotation marks, which a label shows, in place of Markdown's marks, which it does not read."""
    traditional = QLocale().script() == QLocale.Script.TraditionalHanScript
    return _COMMAND.sub(r"「\1」" if traditional else r"“\1”", words)


class _WindowFormatter(SentenceFormatter):
    """Fills in templates in the window's language."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Sentence):
            return translated(value)
        if format_spec == "size":
            return size(value)
        if format_spec == "," and isinstance(value, int):
            return QLocale().toString(value)
        if isinstance(value, float) and not format_spec:
            return number(value)
        return super().format_field(value, format_spec)

    def joined(self, parts: Sequence[str]) -> str:
        comma = QCoreApplication.translate("Lists", ", ")
        holds_lists = any(mark in part for part in parts for mark in (", ", comma))
        return (QCoreApplication.translate("Lists", "; ") if holds_lists else comma).join(parts)
