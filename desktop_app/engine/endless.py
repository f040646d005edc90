"""Schemas that require themselves: what has no end is taken out, or refused where nothing else is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]


def ending(plain: Schema, definitions: Mapping[str, Schema]) -> tuple[Schema | None, dict[str, Schema]]:
    """Return a plain schema and its definitions without what no text of an end satisfies; None: there is none at all.

    Args:
        plain: a schema as `schemas.py` makes it.
        definitions: what it refers to, by name.
    """
    ends: set[str] = set()
    while more := {name for name, schema in definitions.items() if name not in ends and _ends(schema, ends)}:
        ends |= more
    kept = {name: _kept(definitions[name], ends) for name in definitions if name in ends}
    return (_kept(plain, ends) if _ends(plain, ends) else None), kept


def _ends(schema: Schema, ends: set[str]) -> bool:
    """Tell whether a text satisfies a schema, as far as the definitions in `ends` have some."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2] in ends
    if "anyOf" in schema:
        return any(_ends(one, ends) for one in schema["anyOf"])
    if "properties" in schema:
        return all(_ends(schema["properties"][name], ends) for name in schema.get("required", ()))
    items = schema.get("items")
    if isinstance(items, Mapping):
        return not schema.get("minItems") or _ends(items, ends)
    return not isinstance(items, Sequence) or all(_ends(item, ends) for item in items)


def _kept(schema: Schema, ends: set[str]) -> Schema:
    """Return a schema that has an end without the parts that have none."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [_kept(one, ends) for one in schema["anyOf"] if _ends(one, ends)]}
    if "properties" in schema:
        parts = {name: _kept(part, ends) for name, part in schema["properties"].items() if _ends(part, ends)}
        rest = schema.get("additionalProperties")
        if isinstance(rest, Mapping):
            rest = _kept(rest, ends) if _ends(rest, ends) else False
        return {**schema, "properties": parts, "additionalProperties": rest}
    items = schema.get("items")
    if isinstance(items, Mapping):
        return {**schema, "items": _kept(items, ends)} if _ends(items, ends) else {"enum": [[]]}
    return {**schema, "items": [_kept(item, ends) for item in items]} if isinstance(items, Sequence) else schema
