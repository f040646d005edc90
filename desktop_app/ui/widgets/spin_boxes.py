"""How boxes for numbers look."""

from __future__ import annotations

from PySide6.QtWidgets import QAbstractSpinBox, QLineEdit

_INDENT = 9


def indent(box: QAbstractSpinBox) -> None:
    """Bring the number in line with the texts of other boxes: style sheets' padding does not reach it."""
    field = box.findChild(QLineEdit)
    if field is not None:
        field.setTextMargins(_INDENT, 0, 0, 0)
