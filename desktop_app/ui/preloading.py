"""Imports what the first paint did without, on a thread while the user looks about, so that no click waits for it."""

from __future__ import annotations

import importlib
import pkgutil
from contextlib import suppress

import desktop_app.ui

_FIRST = ("chat.request", "chat.titles", "documents.fitting", "ui.chat.question_widget", "ui.chat.reply_widget")
"""What sending a message and reading its reply need."""
_WORK = (
    *("assistant.loop", "assistant.tools.python", "backup", "chat.export", "chat.history", "chat.imports.work"),
    *(
        "chat.shortening",
        "chat.text_file",
        "documents.extraction_process",
        "documents.message_text",
        "documents.service",
    ),
    *("documents.watching", "library.catalogue", "library.first_model", "library.installed", "library.other_hosts"),
    *("library.download_record", "library.duplicates", "library.model_care", "library.renaming", "library.storage"),
    *("planning.load_plan", "processes.worker", "remote.engine", "server.process", "system.hardware"),
)
"""What functions of the window import beside parts of it."""


def preload() -> None:
    """Import all of the window and what it uses, a module at a time."""
    for name in (*_FIRST, *_WORK):
        importlib.import_module(f"desktop_app.{name}")
    for module in pkgutil.walk_packages(desktop_app.ui.__path__, f"{desktop_app.ui.__name__}."):
        with suppress(ImportError):  # a part of Qt that this system lacks is missed where it is needed
            importlib.import_module(module.name)
