"""Notations of tool calls, and the parsing they share: JSON values, tool names, typed arguments."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from models.chat.reply import ToolCall, functions, offered

Tools = Sequence[Mapping[str, Any]]
"""In OpenAI's form."""
LONGEST_CALL = 1 << 20
"""Characters. A model that writes more into one call has lost its way; the code of an interpreter is far shorter."""

INTERPRETERS = ("python", "code_interpreter", "interpreter", "ipython")
"""What the tool that takes Python code may be named."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


@dataclass(frozen=True)
class CallRead:
    """The calls that a text begins with."""

    end: int
    """Where the text goes on after them."""
    calls: tuple[ToolCall, ...]


@dataclass(frozen=True)
class CallNotation:
    """How a family's models write tool calls."""

    read: Callable[[str, Tools, bool], CallRead | None]
    """(text that begins with a call, tools, whether the reply has ended) -> the calls; None: it goes on, or is no call."""
    openings: tuple[str, ...] = ()
    """The texts with which a call begins, wherever in an answer."""
    closings: tuple[str, ...] = ()
    """The marks that are no text wherever they stand, though nothing was opened."""
    strays: tuple[str, ...] = ()
    """What may stand behind a call by mistake, and is text anywhere else."""
    begins: Callable[[str, Tools], bool | None] | None = None
    """Of notations without an opening: whether an answer that begins like this is a call; None: the beginning is too short."""
    in_reasoning: bool = False
    """An opening ends the reasoning, too: the model leaves the closing tag out."""
    marks: tuple[str, ...] = ()
    """The control tokens in it, whose text the scanner must see."""


def broken(reason: str, name: str = "") -> ToolCall:
    """Return a call that cannot be made; the reason is for the model."""
    return ToolCall(name[:100].encode("utf-8", "replace").decode(), {}, fault=reason)


def interpreter_call(code: str, tools: Tools) -> ToolCall:
    """Return the call of the tool that takes Python code."""
    name = next((name for name in INTERPRETERS if name in offered(tools)), INTERPRETERS[0])
    return checked(name, {"code": code.strip("\n")}, tools)


def checked(name: Any, arguments: Any, tools: Tools, identifier: Any = "") -> ToolCall:
    """Return a call of an offered tool with an object of arguments, else one with a fault."""
    identifier = identifier if isinstance(identifier, str) else ""
    if not isinstance(name, str) or not name:
        return broken("The call has no name of a tool.")
    if name not in offered(tools):
        return broken(
            f"There is no tool named {name[:100]!r}; the tools are: {', '.join(sorted(offered(tools)))}.", name
        )
    if isinstance(arguments, str) and arguments.strip():  # JSON in a text, as OpenAI's API has it
        try:
            arguments = loads(arguments)
        except ValueError:
            return broken("The arguments must be a JSON object.", name)
    arguments = arguments or {}
    if not isinstance(arguments, Mapping):
        return broken("The arguments must be a JSON object.", name)
    return ToolCall(name, arguments, identifier)


def no_json(what: str, text: str, at: int = 0) -> str:
    """Return what is wrong with JSON that begins at `at`, where it is not whole or none at all."""
    start = after_space(text, at)
    try:
        _DECODER.raw_decode(text, start)
        reason = "something else follows"
    except json.JSONDecodeError as error:
        reason = f"{error.msg}, at character {error.pos - start + 1}"
    except RecursionError:
        reason = "it is nested too deep"
    except ValueError as error:
        reason = str(error)[:100]
    return f"{what} is not whole, or no valid JSON: {reason}."


def loads(text: str) -> Any:
    """Return a JSON value; raises ValueError, for NaN and Infinity too."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError(str(error)) from error


def read_json(text: str, at: int) -> tuple[Any, int] | None:
    """Return the JSON value that begins at `at`, after spaces, and where it ends; None where there is no whole one."""
    at = after_space(text, at)
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None


def after_space(text: str, at: int) -> int:
    """Return where the next character that is no space stands, or the end."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def schema_of(name: str, tools: Tools) -> Mapping[str, Any]:
    """Return the schemas of a tool's parameters by their names, as far as there are any."""
    schema = next((function.get("parameters") for function in functions(tools) if function.get("name") == name), None)
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return properties if isinstance(properties, Mapping) else {}


def types_of(schema: Any) -> set[str]:
    """Return the JSON types that a schema allows, as far as it says so; enumerated values count as their types."""
    if not isinstance(schema, Mapping):
        return set()
    declared = schema.get("type")
    types = (
        {declared}
        if isinstance(declared, str)
        else set(map(str, declared))
        if isinstance(declared, (list, tuple))
        else set()
    )
    for key in ("anyOf", "oneOf"):
        choices = schema.get(key)
        if isinstance(choices, (list, tuple)):
            types = types.union(*map(types_of, choices))
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if not types and isinstance(values, (list, tuple)):
        types = {"string" for value in values if isinstance(value, str)}
    return types


def typed(text: str, schema: Any) -> Any:
    """Return an argument that stands in tags of its own: a text as it is, any other value as the JSON that it is.

    Where a parameter may be a text or something else, JSON of one of the other types is that, all else is the text.
    """
    types = types_of(schema)
    if types == {"string"}:
        return text
    try:
        value = loads(text)
    except ValueError:
        return text
    others = tuple(kind for name in types - {"string"} for kind in _TYPES.get(name, ()))
    if "string" in types and (not isinstance(value, others) or (isinstance(value, bool) and "boolean" not in types)):
        return text
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    """Return a number; what is too large for one could not be passed on as JSON."""
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


_DECODER = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)
