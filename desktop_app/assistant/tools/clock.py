"""Date and time: now, here or in another zone."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from desktop_app.assistant.tool import Output, Tool, ToolFailed, ToolResult, schema, text_argument


def clock() -> Tool:
    """Return the tool."""
    return Tool(
        "current_time",
        "Tells the date, the day of the week and the time now, here or in a time zone.",
        schema(zone={"type": "string", "description": "an IANA name such as Asia/Shanghai; empty: here"}),
        _run,
    )


def _run(arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
    zone = text_argument(arguments, "zone", "").strip()
    try:
        now = datetime.now(ZoneInfo(zone)) if zone else datetime.now().astimezone()
    except (OSError, ValueError, LookupError):
        raise ToolFailed("There is no time zone {zone}; use a name such as Asia/Shanghai.", zone=zone[:100]) from None
    return ToolResult(f"{now:%A, %Y-%m-%d %H:%M:%S} {now.tzname()} (UTC{now:%z})")
