"""Writing into the chat's own work folder, and nowhere else; the user is shown what would be written."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converter.atomic_write import write_file
from desktop_app.assistant.tool import Output, Tool, ToolFailed, ToolResult, schema, text_argument
from models.sentence import Sentence
from models.system_reasons import system_reason

_LARGEST = 10 << 20
_LONGEST_NAME = 200


def workspace(folder: Path) -> Tool:
    """Return the tool that writes into a folder, which is made when it is needed."""
    return Tool(
        "write_file",
        "Writes a text file into this chat's own folder; a file of that name is replaced.",
        schema(
            ("name", "content"), name={"type": "string", "description": "the name alone"}, content={"type": "string"}
        ),
        lambda arguments, stop, output: _write(folder, arguments, stop, output),
        changes=True,
        effect=lambda arguments: _effect(folder, arguments),
    )


def _effect(folder: Path, arguments: Mapping[str, Any]) -> Sentence:
    """Say what would be written where."""
    path = folder / Path(str(arguments.get("name", ""))).name
    size = len(str(arguments.get("content", "")).encode("utf-8", "replace"))
    if path.exists():
        return Sentence("The file {path} would be replaced by one of {size} bytes.", path=path, size=size)
    return Sentence("The file {path} would be written, with {size} bytes.", path=path, size=size)


def _write(folder: Path, arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
    name, data = text_argument(arguments, "name"), text_argument(arguments, "content").encode("utf-8", "replace")
    if (
        Path(name).name != name
        or name in ("", ".", "..")
        or name.startswith(".")
        or set(name) & set('\\/:*?"<>|\0\n\r')
    ):
        raise ToolFailed("{name} is no name of a file; give one without folders.", name=name[:_LONGEST_NAME])
    if len(name.encode()) > _LONGEST_NAME or len(data) > _LARGEST:
        raise ToolFailed("The name or the text is too long.")
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise ToolFailed("{path} is no ordinary file.", path=path)
        write_file(path, lambda file: file.write(data))
    except OSError as error:
        raise ToolFailed("{path} cannot be written: {reason}.", path=path, reason=system_reason(error)) from None
    return ToolResult(f"{path} was written: {len(data)} bytes.", (path,))
