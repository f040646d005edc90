"""The window's words for tools."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from desktop_app.assistant.tool_names import CALCULATOR, CLOCK, PYTHON, WRITE
from desktop_app.ui.i18n.translate import to_translate
from models.visible import visible

SWITCHES = {
    CALCULATOR: to_translate("Tools", "Calculator"),
    CLOCK: to_translate("Tools", "Date and time"),
    PYTHON: to_translate("Tools", "Run Python"),
    WRITE: to_translate("Tools", "Write files for this chat"),
}
"""By the names in `--tools`; folders are granted one by one."""
_TOOLS = {
    "calculator": SWITCHES[CALCULATOR],
    "current_time": SWITCHES[CLOCK],
    "python": SWITCHES[PYTHON],
    "write_file": to_translate("Tools", "Write a file"),
    "read_file": to_translate("Tools", "Read a file"),
    "list_folder": to_translate("Tools", "List a folder"),
    "search_files": to_translate("Tools", "Search in files"),
}


def switch_words(name: str) -> str:
    """Return what a switch of the tools' menu is called."""
    return QCoreApplication.translate("Tools", SWITCHES[name])


def tool_words(name: str, source: str) -> str:
    """Return what a call is called: a server's tool by its own name, whatever it may be, with the server's."""
    if source or name not in _TOOLS:
        return f"{visible(name)} ({visible(source)})" if source else visible(name)
    return QCoreApplication.translate("Tools", _TOOLS[name])
