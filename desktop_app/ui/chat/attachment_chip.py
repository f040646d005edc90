"""Stands for an attachment, above the message box and in a message: its name and size; a click shows its text."""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QDialogButtonBox, QFrame, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from desktop_app.chat.attachment import PASSAGES, PASTED, Attachment
from desktop_app.chat.attachment_parts import page_count
from desktop_app.documents.chunking import about_size
from desktop_app.ui.chat.parted_text import PartedText
from desktop_app.ui.chat.sources_box import shortened
from desktop_app.ui.i18n.formats import number
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.fitting_dialog import FittingDialog
from desktop_app.ui.widgets.icons import IconButton, icon

_GLIMPSE = 400
"""Characters that a tip shows."""
_ICONS = {PASTED: "copy", PASSAGES: "search"}
_WIDTH = 640


class AttachmentChip(QFrame):
    """One attachment; what is not sent yet can be removed."""

    removed = Signal()

    def __init__(self, attachment: Attachment, *, removable: bool) -> None:
        """Show an attachment."""
        super().__init__()
        self.setObjectName("attachmentChip")
        self.attachment = attachment
        self._context = 0
        self._look = QPushButton()
        self._look.setObjectName("attachmentName")
        self._look.setCursor(Qt.CursorShape.PointingHandCursor)
        self._look.clicked.connect(self._show_text)
        self._close = IconButton("close", size=14) if removable else None
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 1, 4, 1)
        row.setSpacing(0)
        row.addWidget(self._look)
        if self._close is not None:
            self._close.clicked.connect(self.removed)
            row.addWidget(self._close)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language and the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._retranslate()

    @property
    def title(self) -> str:
        """The attachment's name; a text without one is a long text."""
        return self.attachment.name or self.tr("Long text")

    def _retranslate(self) -> None:
        text = self.attachment.text
        words = " · ".join([shortened(self.title), *self._facts()])
        self._look.setText(words.replace("&", "&&"))  # Qt would take it for the mark of a key
        self._look.setIcon(icon(_ICONS.get(self.attachment.kind, "file"), theme.current().muted, 16))
        self._look.setAccessibleName(words)
        glimpse = text[:_GLIMPSE].replace("&", "&amp;").replace("<", "&lt;")  # a tip takes what looks like HTML for it
        more = "…" if len(text) > _GLIMPSE else ""
        self._look.setToolTip(f"<p style='white-space:pre-wrap'>{glimpse}{more}</p>")
        if self._close is not None:
            self._close.set_words(self.tr("Remove"))

    def _facts(self) -> list[str]:
        """Return how long it is, and how much of the context that takes."""
        text = self.attachment.text
        if self.attachment.kind == PASTED:
            return [self.tr("{count} characters").format(count=number(len(text), 0))]
        tokens, pages = about_size(text), page_count(text)
        facts = [self.tr("{count} pages").format(count=number(pages, 0))] if pages else []
        facts.append(self.tr("about {count} tokens").format(count=number(tokens, 0)))
        if self._context and tokens > self._context:
            facts.append(self.tr("more than the context holds: it is searched"))
        elif self._context:
            facts.append(self.tr("{percent} % of the context").format(percent=math.ceil(100 * tokens / self._context)))
        return facts

    def set_context(self, context: int) -> None:
        """Say how much of the context it takes; 0: that is not known."""
        if context != self._context:
            self._context = context
            self._retranslate()

    def _show_text(self) -> None:
        dialog = AttachmentDialog(self.title, self.attachment.text, self.window())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()


class AttachmentDialog(FittingDialog):
    """Shows what the model reads of an attachment."""

    def __init__(self, title: str, text: str, parent: QWidget | None = None) -> None:
        """Show the beginning of a text."""
        super().__init__(_WIDTH, parent)
        self.setWindowTitle(title)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 18, 20, 8)
        column.addWidget(PartedText(text))
        column.addStretch()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.button(QDialogButtonBox.StandardButton.Close).setText(self.tr("Close"))
        buttons.rejected.connect(self.reject)
        self.set_content(page, buttons)
