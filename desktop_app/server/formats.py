"""Response formats: a JSON schema, or the call of a tool; how each protocol writes it, in our terms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from desktop_app.chat.schema_check import unheld_keywords
from desktop_app.server.errors import APIError
from models.chat.calls.generic import call_schema
from models.chat.reply import functions

_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}


@dataclass(frozen=True)
class Answer:
    """The required form of an answer."""

    schema: Mapping[str, Any] | None = None
    """None: anything."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """What it may call, in OpenAI's form."""
    is_call: bool = False
    """It has to be a call, which the schema describes."""


def answer_of(tools: Sequence[Mapping[str, Any]], choice: Any, schema: Mapping[str, Any] | None) -> Answer:
    """Return what an answer has to be.

    Args:
        tools: in OpenAI's form.
        choice: "auto", "none", "required", or a tool, in OpenAI's form or as `{"name": ...}`; None: auto.
        schema: of the answer; None: it is free.

    Raises:
        APIError: the choice names no tool that is there.
    """
    for number, tool in enumerate(tools):
        if not functions([tool]) or not isinstance(functions([tool])[0].get("name"), str):
            where = f"tools[{number}]"
            raise APIError(400, f"Invalid value for '{where}': it must be a function with a name.", param=where)
    if choice == "none" or not tools:
        if choice == "required" or (choice is not None and not isinstance(choice, str) and not tools):
            raise APIError(400, "'tool_choice' is only allowed when 'tools' are given.", param="tool_choice")
        return Answer(schema)
    if choice is None or choice == "auto":
        return Answer(schema, tuple(tools))
    chosen = list(tools) if choice == "required" else [tool for tool in tools if _name(tool) == _chosen_name(choice)]
    if not chosen:
        message = "Invalid value for 'tool_choice': it names no tool that is given."
        raise APIError(400, message, code="invalid_value", param="tool_choice")
    return Answer(call_schema(chosen), tuple(tools), is_call=True)


def schema_of(given: Any, where: str) -> Mapping[str, Any] | None:
    """Return the schema of OpenAI's `response_format`, or of `text.format` of responses, which nests less.

    Raises:
        APIError: it is none, or it is strict and says what no grammar can hold an answer to.
    """
    if given is None:
        return None
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return _ANY_OBJECT
    form = given.get("json_schema", given) if kind == "json_schema" and _nests(given) else {}
    schema = form.get("schema")
    if not isinstance(schema, Mapping):
        message = f"Invalid value for '{where}': it must be text, json_object, or json_schema with a schema."
        raise APIError(400, message, code="invalid_value", param=where)
    if form.get("strict") is True and (words := unheld_keywords(schema)):
        message = (
            f"Invalid schema for '{where}': no answer can be held to {', '.join(words)}; leave out 'strict', or that."
        )
        raise APIError(400, message, code="invalid_value", param=where)
    return schema


def called(text: str) -> Mapping[str, Any] | None:
    """Return the call, with name and arguments, that an answer of `Answer.is_call` is; None where it was cut short."""
    try:
        call = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return call if isinstance(call, Mapping) and {"name", "arguments"} <= call.keys() else None


def _nests(given: Mapping[str, Any]) -> bool:
    return isinstance(given.get("json_schema", given), Mapping)


def _name(tool: Mapping[str, Any]) -> str:
    return str(functions([tool])[0]["name"])


def _chosen_name(choice: Any) -> str:
    if not isinstance(choice, Mapping):
        return ""
    function = choice.get("function", choice)
    return str(function.get("name", "")) if isinstance(function, Mapping) else ""
