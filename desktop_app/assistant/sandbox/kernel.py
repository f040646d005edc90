"""The process that runs a model's Python: it confines itself before it reads a line of code, then keeps variables between runs.

One JSON object a line on its pipes. It ends with the thread that started it; whatever the code does, the application only ever
reads texts from it.
"""

from __future__ import annotations

import _thread
import ast
import builtins
import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from types import CodeType
from typing import Any, BinaryIO

from desktop_app.assistant.sandbox.confinement import INTERRUPT, confinement
from desktop_app.assistant.sandbox.drawing import FOLDER, copy_font_list
from desktop_app.chat.table import LONGEST_CELL, MOST_COLUMNS, MOST_ROWS
from desktop_app.processes.start import private_stdout

_MOST_TEXT = 200_000
_LONGEST_VALUE = 20_000


def main(parent: int) -> int:
    """Confine this process, then run what comes.

    Args:
        parent: the id of the process that started it, or `INSIDE` where what did holds it to its folder and ends it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # while there is nothing to interrupt
    pipe, messages = _private_stdin(), private_stdout()
    settings = json.loads(pipe.readline())
    work = Path(settings["work"])
    os.chdir(work)
    system = confinement()
    if system is None:
        raise OSError("this system confines no process")
    system.enter(parent, work, [Path(path) for path in settings["readable"]])
    copy_font_list(Path(settings["fonts"]), work / FOLDER)
    _send(messages, kind="ready")
    Kernel(messages, work).serve(pipe)
    os._exit(0)


def _private_stdin() -> BinaryIO:
    """Return the real standard input for requests: a program that asks for input reads its end instead of waiting."""
    pipe = os.fdopen(os.dup(0), "rb")
    nothing, writes = os.pipe()  # a container of Windows may not open the null device
    os.close(writes)
    os.dup2(nothing, 0)
    os.close(nothing)
    return pipe


def interruptible(pipe: BinaryIO) -> Iterator[bytes]:
    """Yield lines until the pipe closes; one that says to interrupt does so at once, whatever is run."""
    lines: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        for line in pipe:
            if line == INTERRUPT:
                _thread.interrupt_main()
            else:
                lines.put(line)
        lines.put(b"")

    threading.Thread(target=read, daemon=True).start()
    yield from iter(lines.get, b"")


class Kernel:
    """The interpreter; definitions stay until the process ends."""

    def __init__(self, messages: BinaryIO, work: Path) -> None:
        """Take the pipe for messages, and where figures are written."""
        self._messages, self._work = messages, work
        self._names: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
        self._runs = 0
        self._table: dict[str, Any] | None = None

    def serve(self, pipe: BinaryIO) -> None:
        """Run one piece of code after the other until the pipe closes."""
        for line in interruptible(pipe) if sys.platform == "win32" else pipe:
            self._runs += 1
            sys.stdout = sys.stderr = _Stream(self._messages)
            self._table = None
            error, value = self._run(str(json.loads(line)["code"]))
            _send(self._messages, kind="done", error=error[-_MOST_TEXT:], value=value, table=self._table)

    def _run(self, code: str) -> tuple[str, str]:
        """Return the traceback, "" where all went well, and the text of the last expression's value."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        value = ""
        try:
            body, last = _compiled(code, f"<run {self._runs}>")
            exec(body, self._names)  # noqa: S102 - this process exists for it
            if last is not None:
                result = eval(last, self._names)  # noqa: S307
                value, self._table = _shown(result), table_of(result)
            self._save_figures()
        except BaseException as error:  # SystemExit and interrupts too: the kernel goes on
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            return _explained(error), value
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return "", value

    def _save_figures(self) -> None:
        """Write the figures that were drawn as files, and close them."""
        plots = sys.modules.get("matplotlib.pyplot")
        if plots is None:
            return
        for number in plots.get_fignums():
            plots.figure(number).savefig(self._work / f"figure-{self._runs}-{number}.png", bbox_inches="tight", dpi=120)
        plots.close("all")


def _compiled(code: str, name: str) -> tuple[CodeType, CodeType | None]:
    """Return the code, and of a last line that is an expression the expression."""
    tree = ast.parse(code, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    expression = ast.Expression(last.value) if isinstance(last, ast.Expr) else None
    return compile(tree, name, "exec"), None if expression is None else compile(expression, name, "eval")


def _shown(value: Any) -> str:
    """Return a value as text; a data frame as a table."""
    if value is None:
        return ""
    text = value.to_string() if hasattr(value, "to_string") and hasattr(value, "columns") else repr(value)
    return str(text)[:_LONGEST_VALUE]


def table_of(value: Any) -> dict[str, Any] | None:
    """Return a data frame (pandas, polars) or an array with columns as a table's plain values; None: it is none."""
    try:
        columns, rows = _columns_and_rows(value)
        if not columns or len(columns) > MOST_COLUMNS:
            return None
        kept = [[str(cell)[:LONGEST_CELL] for cell in row] for row in rows[:MOST_ROWS]]
    except Exception:  # anybody's class may call itself a data frame
        return None
    return {"columns": [str(name) for name in columns], "rows": kept, "left_out": len(rows) - len(kept)}


def _columns_and_rows(value: Any) -> tuple[list[Any], list[Any]]:
    names = getattr(getattr(value, "dtype", None), "names", None)
    if names:  # a structured array of NumPy
        return list(names), list(value.ravel())
    if getattr(value, "ndim", 0) == 2 and not hasattr(value, "columns"):
        return list(range(value.shape[1])), list(value)
    if hasattr(value, "columns") and hasattr(value, "itertuples"):
        return ["", *value.columns], [*value.itertuples()]
    if hasattr(value, "columns") and hasattr(value, "rows"):
        return list(value.columns), list(value.rows())
    return [], []


def _explained(error: BaseException) -> str:
    """Return a traceback without this module's own lines."""
    own = error.__traceback__
    inner = own.tb_next if own is not None else None
    return "".join(traceback.format_exception(type(error), error, inner, limit=-20))


class _Stream(io.TextIOBase):
    """Standard output and errors: passed on as they come, up to a limit."""

    def __init__(self, messages: BinaryIO) -> None:
        self._messages, self._left = messages, _MOST_TEXT

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._left > 0 and text:
            _send(self._messages, kind="text", text=text[: self._left])
            self._left -= len(text)
            if self._left <= 0:
                _send(self._messages, kind="text", text="\n[… the rest of the output is left out …]\n")
        return len(text)


def _send(messages: BinaryIO, **fields: Any) -> None:
    # A surrogate alone is no text that JSON could carry.
    messages.write(json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
    messages.flush()
