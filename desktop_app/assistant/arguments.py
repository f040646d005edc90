"""Whether a call's arguments are what its tool takes, by the tool's JSON schema.

Schemas of MCP servers are untrusted: what could take long (patterns, references, comparing all items of a list) is not looked at,
and nothing is fetched. The server looks at the arguments, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from desktop_app.assistant.tool import Tool

_MOST = 3
"""Faults that are named."""
_LONGEST = 300
_LEFT_OUT = ("pattern", "patternProperties", "propertyNames", "uniqueItems", "format")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def arguments_fault(tool: Tool, arguments: Mapping[str, Any]) -> str:
    """Return what is wrong with a call's arguments, for the model; "": nothing, or the schema is none."""
    required = tool.parameters.get("required")
    required = required if isinstance(required, list) else []
    given = {name: value for name, value in arguments.items() if value is not None or name in required}
    faults = []
    try:
        faults = [_short(fault) for fault in islice(_faults(tool.parameters, given), _MOST)]
    except Exception:
        return ""
    return f"The arguments are not what {tool.name} takes: {'; '.join(faults)}." if faults else ""


def _faults(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[str]:
    if _refers(schema):
        missing = [name for name in schema.get("required", ()) if name not in arguments]
        yield from (f"{name!r} is a required property" for name in missing)
        return
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    kind = extend(Draft202012Validator, dict.fromkeys(_LEFT_OUT, lambda *_: ()))
    for error in kind(dict(schema)).iter_errors(dict(arguments)):
        place = ".".join(map(str, error.absolute_path))
        yield f"{place}: {error.message}" if place else error.message


def _refers(schema: Any) -> bool:
    """Tell whether a schema has references, which can make it as large as one likes."""
    if isinstance(schema, Mapping):
        return any(key in schema for key in _REFERENCES) or any(map(_refers, schema.values()))
    return isinstance(schema, list) and any(map(_refers, schema))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
