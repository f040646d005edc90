"""What a JSON schema says that no grammar holds a reply to, and the finished reply against all of it.

The check is the library jsonschema's; patterns are held by the grammar, and nothing is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from models.errors import ZhiyinError
from models.untrusted_json import InvalidJSON, decode

_NOT_HELD = (
    "not", "if", "contains", "uniqueItems", "patternProperties", "propertyNames", "minProperties", "maxProperties",
    "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties", "unevaluatedItems", "multipleOf",
)  # fmt: skip
_EMPTY: Mapping[str, Any] = {"uniqueItems": False, "multipleOf": 1, "minProperties": 0}
"""Keywords with a value that asks for nothing."""
_OF_NAMES = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTED = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_SINGLE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_LONGEST = 200


class WrongAnswer(ZhiyinError):
    """A finished answer is not what its schema asks for."""

    default_code = "wrong-answer"


def unheld_keywords(schema: Any) -> list[str]:
    """Return the keywords of a schema, once each, that no grammar holds a reply to."""
    return list(dict.fromkeys(_keywords(schema)))


def _keywords(schema: Any) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    yield from (key for key in _NOT_HELD if key in schema and schema[key] != _EMPTY.get(key))
    for key in _OF_NAMES:
        if isinstance(schema.get(key), Mapping):
            yield from (word for part in schema[key].values() for word in _keywords(part))
    for key in _LISTED:
        if isinstance(schema.get(key), list):
            yield from (word for part in schema[key] for word in _keywords(part))
    for key in _SINGLE:
        yield from _keywords(schema.get(key))


def check_answer(schema: Mapping[str, Any], answer: str) -> None:
    """Hold a finished answer to its schema.

    Raises:
        WrongAnswer: it is no JSON, or not what the schema asks for.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError, best_match
    from jsonschema.validators import extend, validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        value = decode(answer.encode(), object)
    except InvalidJSON as error:
        raise WrongAnswer("The answer is no JSON ({reason}); ask again.", reason=error.reason) from error
    kind = extend(validator_for(schema, Draft202012Validator), {"pattern": _pattern})
    try:
        fault = best_match(kind(schema, registry=Registry()).iter_errors(value))
    except (SchemaError, Unresolvable, RecursionError, TypeError, ValueError):
        return  # what the grammar was made of is held; the library sees a mistake in the rest
    if fault is not None:
        place = "$" + "".join(f"[{json.dumps(part, ensure_ascii=False)}]" for part in fault.absolute_path)
        raise WrongAnswer(
            "The answer is JSON, but not what the schema asks for ({place}: {reason}); ask again.",
            place=place,
            reason=fault.message[:_LONGEST],
        )


def _pattern(*_: Any) -> Iterator[Any]:
    """Find no fault with a text: the grammar has held it to its pattern."""
    return iter(())
