"""Arguments of calls against the schemas of their tools: what is wrong is said, and no schema makes that take long."""

from __future__ import annotations

from typing import Any

import pytest

from desktop_app.assistant.arguments import arguments_fault
from desktop_app.assistant.tool import Tool, ToolResult, schema
from desktop_app.assistant.tools.calculator import calculator

WEATHER = schema(
    ("city",),
    city={"type": "string"},
    days={"type": "integer", "minimum": 1},
    unit={"enum": ["C", "F"]},
    at={"type": "array", "items": {"type": "number"}},
)


def tool(parameters: Any) -> Tool:
    return Tool("weather", "", parameters, lambda *_: ToolResult(""))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"city": "Rome"}, ""),
        ({"city": "Rome", "days": 3, "unit": "C", "at": [1, 2.5]}, ""),
        ({"city": "Rome", "days": None}, ""),
        ({}, "'city' is a required property"),
        ({"city": None}, "city: None is not of type 'string'"),
        ({"city": 5}, "city: 5 is not of type 'string'"),
        ({"city": "Rome", "days": "three"}, "days: 'three' is not of type 'integer'"),
        ({"city": "Rome", "days": True}, "days: True is not of type 'integer'"),
        ({"city": "Rome", "days": 0}, "days: 0 is less than the minimum of 1"),
        ({"city": "Rome", "unit": "K"}, "unit: 'K' is not one of ['C', 'F']"),
        ({"city": "Rome", "at": [1, "x"]}, "at.1: 'x' is not of type 'number'"),
        ({"city": "Rome", "town": "x"}, "('town' was unexpected)"),
        ({"city": ["x" * 5000]}, " …"),
    ],
)
def test_what_is_wrong_is_said(arguments: dict[str, Any], said: str) -> None:
    fault = arguments_fault(tool(WEATHER), arguments)
    assert bool(fault) == bool(said)
    assert said in fault
    assert len(fault) < 1500


def test_a_tool_of_ours_names_what_it_takes() -> None:
    assert arguments_fault(calculator(), {"expression": "6 * 7"}) == ""
    assert "'expression' is a required property" in arguments_fault(calculator(), {"sum": "6 * 7"})


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
        {"type": "object", "properties": {"a": {"$ref": "https://192.0.2.1/schema.json"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}},
        {"type": "object", "properties": {"a": {"type": ["string", "nonsense", 3]}}},
        {"type": "object", "properties": {"a": 5}},
        {"type": "object", "required": 7},
        {
            "type": "object",
            "allOf": [{"$ref": "#/$defs/b"}] * 2,
            "$defs": {"b": {"allOf": [{"$ref": "#/$defs/b"}] * 2}},
        },
        {},
    ],
)
def test_no_schema_takes_long_or_fails(parameters: dict[str, Any]) -> None:
    assert arguments_fault(tool(parameters), {"a": "a" * 100 + "b"}) == ""
