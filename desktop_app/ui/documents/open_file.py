"""Opens a document in the program that the system has for it, at a page where a program takes one."""

from __future__ import annotations

import shutil
from pathlib import Path

from PySide6.QtCore import QProcess, QUrl
from PySide6.QtGui import QDesktopServices

_VIEWERS = (
    ("okular", "--page={page}"),
    ("evince", "--page-label={page}"),
    ("xreader", "--page-label={page}"),
    ("atril", "--page-label={page}"),
    ("zathura", "--page={page}"),
    ("SumatraPDF", "-page {page}"),
)
"""Programs that show PDF files, with what they are told of a page."""


def command_at_page(path: Path, page: int) -> list[str] | None:
    """Return what opens a PDF file at a page; None: no program here that is known to do so."""
    if not page or path.suffix.lower() != ".pdf":
        return None
    for program, option in _VIEWERS:
        if viewer := shutil.which(program):
            return [viewer, *option.format(page=page).split(" "), str(path)]
    return None


def open_document(path: Path, page: int = 0) -> bool:
    """Open a document; False: the system opens none of its kind."""
    command = command_at_page(path, page)
    if command is not None and QProcess.startDetached(command[0], command[1:])[0]:
        return True
    return QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
