"""Pictures in the answers of MCP servers: files of the chat, like the figures that Python draws."""

from __future__ import annotations

import base64
import binascii
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Any

from converter.atomic_write import write_file
from desktop_app.assistant.tool import Output, Picture, Tool, ToolResult
from models.system_reasons import system_reason

_MOST = 16
"""Pictures of one answer."""
_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif"}
"""How files begin -> how their names end; what a server says of a picture counts for nothing."""


def picture(part: Any, number: int) -> Picture | None:
    """Return the picture in a part of an answer; None: it is none of a kind that can be shown."""
    text = getattr(part, "data", None) if getattr(part, "type", "") == "image" else None
    text = text or getattr(getattr(part, "resource", None), "blob", None)
    if not isinstance(text, str) or number > _MOST:
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return Picture(data, f"[image {number} {token_hex(8)}]") if _kind(data) else None


def kept(tool: Tool, folder: Path) -> Tool:
    """Return a tool whose pictures are stored in a chat's folder and named in the result."""

    def run(arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
        result = tool.run(arguments, stop, output)
        for one in result.pictures:
            result = _stored(result, one, folder, tool.source)
        return replace(result, pictures=())

    return replace(tool, run=run)


def _stored(result: ToolResult, one: Picture, folder: Path, source: str) -> ToolResult:
    stem = re.sub(r"[^\w\-]", "_", source)[:40] or "image"
    names = (f"{stem}-{number}.{_kind(one.data)}" for number in count(1))
    path = next(folder / name for name in names if not os.path.lexists(folder / name))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, lambda stream: stream.write(one.data))
    except OSError as error:
        return replace(result, text=f"{result.text}\n[it could not be stored: {system_reason(error)}]")
    text = result.text.replace(one.mark, f"[image: {path.name}]", 1)
    return replace(result, text=text, files=(*result.files, path))


def _kind(data: bytes) -> str:
    return next((ending for start, ending in _KINDS.items() if data.startswith(start)), "") or (
        "webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ""
    )
