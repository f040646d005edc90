"""The code interpreter: Python in the sandbox where the system can enforce one, else a small interpreter that reaches nothing.

numpy and matplotlib come along: without them most of what people ask a code interpreter for cannot be done, and an application
that works offline cannot fetch them later.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from desktop_app.assistant.sandbox.pure_python import PurePython
from desktop_app.assistant.sandbox.python_kernel import PythonKernel
from desktop_app.assistant.sandbox.trial import breaches, is_enforced
from desktop_app.assistant.tool import Output, Tool, ToolResult, schema, text_argument
from models.errors import ZhiyinError

_SANDBOX = (
    "Runs Python and returns what it prints and the value of the last expression. Variables stay between calls. numpy and "
    "matplotlib are there; figures are shown to the user. There is no network; files are read and written in the current folder."
)
_PURE = (
    "Runs a subset of Python (no imports but math, re, json and datetime, no files) and returns what it prints and the value of "
    "the last expression."
)


def unconfined() -> ZhiyinError:
    """Return what is said where the system does not confine Python."""
    if could := breaches():
        return ZhiyinError(
            "A small interpreter runs instead of Python, without files and libraries: confined by this system, Python could "
            "still {what}.",
            what=could,
        )
    if platform.system() == "Linux":
        return ZhiyinError(
            "This system cannot confine Python to a folder, so that a small interpreter runs instead, without "
            "files and libraries. Install the package bubblewrap, or a kernel from Linux 6.2 on, to have the whole Python."
        )
    return ZhiyinError(
        "This system cannot confine Python to a folder, so that a small interpreter runs instead, without files and libraries."
    )


class Interpreter:
    """One chat's Python, and the tool that runs it."""

    def __init__(self, work: Path, readable: Sequence[Path] = ()) -> None:
        """Take the chat's folder, and what else may be read."""
        self.is_confined = is_enforced()
        """By the system; else only the small interpreter runs."""
        self._kernel = PythonKernel(work, readable) if self.is_confined else PurePython()

    def tool(self) -> Tool:
        """Return the tool."""
        description = _SANDBOX if self.is_confined else _PURE
        return Tool("python", description, schema(("code",), code={"type": "string"}), self._run)

    def close(self) -> None:
        """End the process."""
        self._kernel.close()

    def _run(self, arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
        return self._kernel.run(text_argument(arguments, "code"), stop, output)
