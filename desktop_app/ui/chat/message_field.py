"""A message in the making: what is typed, and above it the files and long texts that go with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_app.chat.attachment import PASTED, Attachment, Draft
from desktop_app.ui.chat.message_edit import MessageEdit, is_long

if TYPE_CHECKING:
    from desktop_app.ui.chat.attachment_chip import AttachmentChip

_BREAK = "\n\n"
_TYPED = 2000
"""Characters at the beginning of a long message that can be edited."""


class MessageField(QWidget):
    """A `MessageEdit` with the files and the long texts that were put into it; together they are the message."""

    changed = Signal()

    def __init__(self, edit: MessageEdit) -> None:
        """Begin empty, around a box."""
        super().__init__()
        self._edit = edit
        self._chips: list[AttachmentChip] = []
        self._context = 0
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(6)
        self._column.addWidget(edit)
        edit.long_text_pasted.connect(lambda text: self.attach(Attachment("", text, PASTED)))
        edit.textChanged.connect(self.changed)
        self.setFocusProxy(edit)

    @property
    def draft(self) -> Draft:
        """The whole message."""
        return Draft(self._edit.toPlainText(), tuple(chip.attachment for chip in self._chips))

    @property
    def is_blank(self) -> bool:
        """There is nothing to send."""
        return not self._chips and not self._edit.toPlainText().strip()

    def set_context(self, context: int) -> None:
        """Let each attachment say how much of the model's context it takes; 0: that is not known."""
        self._context = context
        for chip in self._chips:
            chip.set_context(context)

    def set_draft(self, draft: Draft) -> None:
        """Replace the message; the cursor goes to the end of what is typed."""
        for chip in tuple(self._chips):
            self._drop(chip)
        typed, rest = _parted(draft.text) if is_long(draft.text) else (draft.text, "")
        self._edit.setPlainText(typed)
        self._edit.moveCursor(self._edit.textCursor().MoveOperation.End)
        if rest:
            self.attach(Attachment("", rest, PASTED))
        for attachment in draft.attachments:
            self.attach(attachment)
        self.changed.emit()

    def attach(self, attachment: Attachment) -> None:
        """Put a text into the message, below what is typed; the model sees its name, too."""
        from desktop_app.ui.chat.attachment_chip import AttachmentChip

        chip = AttachmentChip(attachment, removable=True)
        chip.set_context(self._context)
        chip.removed.connect(lambda: self._remove(chip))
        self._chips.append(chip)
        self._column.insertWidget(self._column.count() - 1, chip)
        self.changed.emit()

    def _remove(self, chip: AttachmentChip) -> None:
        self._drop(chip)
        self._edit.setFocus()
        self.changed.emit()

    def _drop(self, chip: AttachmentChip) -> None:
        self._chips.remove(chip)
        self._column.removeWidget(chip)
        chip.hide()
        chip.deleteLater()


def _parted(text: str) -> tuple[str, str]:
    """Return what of a long text can be edited and the rest, cut between two paragraphs: `_BREAK` between them gives it back."""
    cut = text.rfind(_BREAK, 0, _TYPED)
    if cut <= 0 or is_long(text[:cut]):
        return "", text
    return text[:cut], text[cut + len(_BREAK) :]
