"""JSON schemas as llama-cpp-python's converter understands them: with names of our own, unions and intersections written out.

The converter resolves references from the document's start alone, mixes up definitions of the same name, takes `{}` for an
object and forgets what stands beside `anyOf`. What comes out of here has none of that: `$ref` to `#/$defs/NAME` (recursive ones
too), `anyOf` without anything beside it, one `type` each. Every text that the result allows is allowed by the schema, but for
keywords that no grammar holds (`chat/schema_check.py` names them). Source: JSON Schema 2020-12, Core and Validation; references
by the library `referencing`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from desktop_app.engine.number_ranges import BOUNDS, Range, integer_rule, number_rule
from desktop_app.engine.patterns import plain_pattern
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from referencing import Resource
    from referencing._core import Resolver

Schema = Mapping[str, Any]

_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
ANY: Schema = {"type": ["object", "array", "string", "number", "boolean", "null"]}
_FORMATS = ("date", "time", "date-time", "uuid", "uuid1", "uuid2", "uuid3", "uuid4", "uuid5")
_IMPLIED = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties", "maxProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "contains", "uniqueItems"),
    "string": ("pattern", "minLength", "maxLength", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
"""Keywords of a type: a schema that says none means the type whose keywords it uses."""
_MEANING = {
    "type",
    "enum",
    "const",
    "$ref",
    "anyOf",
    "oneOf",
    "allOf",
    *(word for words in _IMPLIED.values() for word in words),
}
_LARGEST = ("minItems", "minLength", "minProperties", "minimum", "exclusiveMinimum")
_SMALLEST = ("maxItems", "maxLength", "maxProperties", "maximum", "exclusiveMaximum")
_MOST_ALTERNATIVES = 256


def unusable(reason: str) -> ZhiyinError:
    """Return what is said where no grammar can be made."""
    return ZhiyinError(
        "No reply can be held to this JSON schema ({reason}); simplify it.", code="bad-schema", reason=reason[:200]
    )


class Schemas:
    """Makes schemas plain; what they refer to is gathered as definitions."""

    def __init__(self, *, lenient: bool = False) -> None:
        """Gather nothing yet; `lenient`: a part that no grammar can hold may be anything, else it is refused."""
        self.definitions: dict[str, Schema] = {}
        self._lenient = lenient
        self._names: dict[int, str] = {}
        self._documents: list[Any] = []
        """Kept: names are by the identity of their parts."""

    def plain(self, document: Schema) -> Schema:
        """Return a schema made plain; raises ZhiyinError: it is wrong, refers elsewhere, or asks for what no grammar holds."""
        from referencing import Registry

        self._documents.append(document)
        try:
            resource = _resource(document)
            address = resource.id() or ""
            registry: Registry[Any] = Registry().with_resource(address, resource).crawl()
        except (LookupError, AttributeError, TypeError, ValueError) as error:
            raise unusable("a part of it is no schema") from error
        return self._plain(document, registry.resolver(address), ())

    def _part(self, schema: Any, resolver: Resolver[Any]) -> Schema:
        """Return what stands for a value within another one."""
        try:
            return self._plain(schema, resolver, ())
        except ZhiyinError:
            if not self._lenient:
                raise
            return ANY

    def _plain(self, schema: Any, resolver: Resolver[Any], above: tuple[int, ...]) -> Schema:
        """Return a schema made plain; `above` are the definitions that it stands for, with nothing written in between."""
        if schema is True:
            return ANY
        if not isinstance(schema, Mapping):
            raise unusable("it allows nothing" if schema is False else "a part of it is no schema")
        resolver = _within(schema, resolver)
        if "$ref" in schema and not (schema.keys() & _MEANING) - {"$ref"}:
            return self._reference(schema["$ref"], resolver, above)
        if (
            isinstance(all_of := schema.get("allOf"), list)
            and len(all_of) == 1
            and not (schema.keys() & _MEANING) - {"allOf"}
        ):
            return self._plain(all_of[0], resolver, above)
        alternatives = self._alternatives(schema, resolver, above)
        if not alternatives:
            raise unusable("it allows nothing")
        return alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}

    def _reference(self, reference: Any, resolver: Resolver[Any], above: tuple[int, ...]) -> Schema:
        target, inner = _looked_up(reference, resolver)
        if id(target) in above:
            raise unusable(f"{reference} stands for itself")
        name = self._names.get(id(target))
        if name is None:
            name = self._names[id(target)] = f"definition-{len(self._names)}-"
            try:
                self.definitions[name] = self._plain(target, inner, (*above, id(target)))
            except ZhiyinError:
                del self._names[id(target)]
                raise
        return {"$ref": f"#/$defs/{name}"}

    def _alternatives(self, schema: Schema, resolver: Resolver[Any], above: tuple[int, ...]) -> list[Schema]:
        """Return what a schema allows, one kind of value each."""
        result: list[Schema] = []
        for flat, of in self._flat(schema, resolver, above):
            if flat.keys() <= {"$ref"} and flat:
                result.append(flat)
                continue
            for kind in _types(flat):
                one = self._of_type(kind, flat, of)
                if one is not None and one not in result:
                    result.append(one)
        return result

    def _flat(
        self, schema: Schema, resolver: Resolver[Any], above: tuple[int, ...]
    ) -> list[tuple[Schema, Resolver[Any]]]:
        """Return alternatives without references, unions and intersections at their top."""
        resolver = _within(schema, resolver)
        own = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf", "oneOf", "allOf")}
        results: list[tuple[Schema, Resolver[Any]]] = [({}, resolver)]
        parts: list[list[tuple[Schema, Resolver[Any]]]] = []
        if "$ref" in schema:
            target, inner = _looked_up(schema["$ref"], resolver)
            if id(target) in above:
                raise unusable(f"{schema['$ref']} stands for itself")
            parts.append(self._of_part(target, inner, (*above, id(target))))
        parts += [self._of_part(part, resolver, above) for part in _list(schema, "allOf")]
        parts.append([(own, resolver)])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                alone = not (schema.keys() & _MEANING) - {key}
                parts.append(self._union(_list(schema, key), resolver, above, keep=alone))
        for part in parts:
            results = [
                (merged, right_resolver if not left else left_resolver)
                for left, left_resolver in results
                for right, right_resolver in part
                if (merged := self._merged(left, left_resolver, right, right_resolver)) is not None
            ]
            if len(results) > _MOST_ALTERNATIVES:
                raise unusable("it has too many alternatives")
        return results

    def _of_part(
        self, schema: Any, resolver: Resolver[Any], above: tuple[int, ...]
    ) -> list[tuple[Schema, Resolver[Any]]]:
        if schema is True:
            return [({}, resolver)]
        if schema is False:
            return []
        if not isinstance(schema, Mapping):
            raise unusable("a part of it is no schema")
        return self._flat(schema, resolver, above)

    def _union(
        self, schemas: Sequence[Any], resolver: Resolver[Any], above: tuple[int, ...], *, keep: bool
    ) -> list[tuple[Schema, Resolver[Any]]]:
        """Return alternatives; one that no grammar holds is left out, as long as another one is there.

        `keep`: nothing is beside the union, so that a reference in it can stay one.
        """
        results: list[tuple[Schema, Resolver[Any]]] = []
        failure = None
        for schema in schemas:
            try:
                is_reference = isinstance(schema, Mapping) and not (schema.keys() & _MEANING) - {"$ref"}
                if keep and is_reference and "$ref" in schema:
                    results.append((self._reference(schema["$ref"], resolver, above), resolver))
                else:
                    results += self._of_part(schema, resolver, above)
            except ZhiyinError as error:
                failure = error
        if failure is not None and (not results or not (self._lenient or "stands for itself" in str(failure))):
            raise failure
        return results

    def _merged(
        self, left: Schema, left_resolver: Resolver[Any], right: Schema, right_resolver: Resolver[Any]
    ) -> Schema | None:
        """Return what both allow, by keywords; None: nothing."""
        if not left.keys() & _MEANING or not right:
            return right if not left.keys() & _MEANING else left
        return _both(self._inner(left, left_resolver), self._inner(right, right_resolver))

    def _inner(self, schema: Schema, resolver: Resolver[Any]) -> Schema:
        """Return a schema whose inner ones are plain already, so that another document's may stand beside them."""
        result = dict(schema)
        if isinstance(properties := schema.get("properties"), Mapping):
            result["properties"] = {
                name: _Plain(self._value(part, resolver)) for name, part in properties.items() if part is not False
            }
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), Mapping | _Plain):
                result[key] = _Plain(self._value(schema[key], resolver))
        for key in ("prefixItems", "items"):
            if isinstance(schema.get(key), list):
                result[key] = [_Plain(self._value(part, resolver)) for part in schema[key]]
        return result

    def _of_type(self, kind: str, schema: Schema, resolver: Resolver[Any]) -> Schema | None:
        """Return a plain schema of one type; None: nothing is allowed."""
        if "const" in schema or "enum" in schema:
            return _of_values(kind, schema)
        makers: dict[str, Callable[[Schema, Resolver[Any]], Schema | None]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._number,
            "number": self._number,
        }
        maker = makers.get(kind)
        return {"type": kind} if maker is None else maker({**schema, "type": kind}, resolver)

    def _number(self, schema: Schema, resolver: Resolver[Any]) -> Schema | None:
        """Return a number's schema: one with bounds has the rule that holds them."""
        kind = schema["type"]
        if not schema.keys() & set(BOUNDS):
            return {"type": kind}
        try:
            numbers = Range.of(schema)
        except ValueError as error:
            if self._lenient:
                return {"type": kind}
            raise unusable(f"a bound {error}") from error
        rule = integer_rule(numbers) if kind == "integer" else number_rule(numbers)
        return {"type": kind, "rule": rule} if rule else None

    def _object(self, schema: Schema, resolver: Resolver[Any]) -> Schema | None:
        properties = schema.get("properties", {})
        required = [name for name in _names(schema) if isinstance(name, str)]
        additional = schema.get("additionalProperties")
        if not isinstance(properties, Mapping):
            raise unusable("properties are no object")
        if not properties and not required and additional in (None, True):
            return {"type": "object"}
        if any(properties.get(name) is False for name in required):
            return None
        parts = {name: self._value(part, resolver) for name, part in properties.items() if part is not False}
        rest = None if additional in (None, False) else self._value(additional, resolver)
        for name in required:
            if name not in parts:
                if additional is False:
                    return None
                parts[name] = rest or ANY
        result: dict[str, Any] = {"type": "object", "properties": parts, "required": required}
        return {**result, "additionalProperties": rest if rest is not None and "*" not in parts else False}

    def _array(self, schema: Schema, resolver: Resolver[Any]) -> Schema | None:
        first = schema.get("prefixItems", schema["items"] if isinstance(schema.get("items"), list) else [])
        bounds = {key: _count(schema[key], key) for key in ("minItems", "maxItems") if key in schema}
        if bounds.get("maxItems", 1 << 60) < bounds.get("minItems", 0):
            return None
        if first:
            return {"type": "array", "items": [self._value(part, resolver) for part in first]}
        items = schema.get("items", True)
        if items is False or bounds.get("maxItems") == 0:
            return {"enum": [[]]}
        return {"type": "array", "items": self._value(items, resolver), **bounds}

    def _string(self, schema: Schema, resolver: Resolver[Any]) -> Schema | None:
        if isinstance(schema.get("pattern"), str):
            try:
                return {"type": "string", "pattern": plain_pattern(schema["pattern"])}
            except ValueError as error:
                if not self._lenient:
                    raise unusable(f"the pattern {schema['pattern']}: {error}") from error
        if schema.get("format") in _FORMATS:
            return {"type": "string", "format": schema["format"]}
        bounds = {key: _count(schema[key], key) for key in ("minLength", "maxLength") if key in schema}
        return {"type": "string", **bounds} if bounds.get("maxLength", 1 << 60) >= bounds.get("minLength", 0) else None

    def _value(self, schema: Any, resolver: Resolver[Any]) -> Schema:
        return schema.schema if isinstance(schema, _Plain) else self._part(schema, resolver)


class _Plain:
    """A schema that is plain already."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema


def _resource(schema: Schema) -> Resource[Any]:
    from referencing.exceptions import CannotDetermineSpecification
    from referencing.jsonschema import DRAFT202012, specification_with

    specification = DRAFT202012
    if isinstance(dialect := schema.get("$schema"), str):
        with suppress(CannotDetermineSpecification):  # one of somebody's own
            specification = specification_with(dialect, default=DRAFT202012)
    return specification.create_resource(schema)


def _within(schema: Schema, resolver: Resolver[Any]) -> Resolver[Any]:
    """Return what resolves references in a schema: one with an address is a document of its own."""
    return resolver.in_subresource(_resource(schema)) if isinstance(schema.get("$id"), str) else resolver


def _looked_up(reference: Any, resolver: Resolver[Any]) -> tuple[Any, Resolver[Any]]:
    """Return where a reference leads; nothing is fetched."""
    from referencing.exceptions import Unresolvable

    if not isinstance(reference, str):
        raise unusable("a reference is no text")
    try:
        resolved = resolver.lookup(reference)
    except (Unresolvable, ValueError, LookupError, TypeError, AttributeError) as error:
        if reference.startswith("#"):
            raise unusable(f"{reference} is not in it") from error
        raise unusable(
            f"it refers to {reference}, which is elsewhere and is not fetched; put it in with $defs"
        ) from error
    return resolved.contents, resolved.resolver


def _types(schema: Schema) -> tuple[str, ...]:
    """Return the types that a schema allows."""
    stated = schema.get("type")
    if stated is None:
        if "const" in schema or "enum" in schema:
            return ("value",)
        implied = [kind for kind, words in _IMPLIED.items() if schema.keys() & set(words)]
        return tuple(implied) or tuple(ANY["type"])
    kinds = [stated] if isinstance(stated, str) else stated
    if not isinstance(kinds, list) or not all(isinstance(kind, str) and kind in _TYPES for kind in kinds):
        raise unusable(f"type is {json.dumps(stated)[:80]}")
    return ("value",) if "const" in schema or "enum" in schema else tuple(kinds)


def _of_values(kind: str, schema: Schema) -> Schema | None:
    """Return the values that are listed and of a type that is allowed."""
    listed = schema["enum"] if "enum" in schema else [schema["const"]]
    if not isinstance(listed, list):
        raise unusable("enum is no list")
    stated = schema.get("type")
    kinds = [stated] if isinstance(stated, str) else stated
    values = [value for value in listed if kinds is None or any(_is_of(value, name) for name in kinds)]
    if "enum" in schema and "const" in schema:
        values = [value for value in values if value == schema["const"]]
    return {"enum": values} if values else None


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    python: dict[str, type | tuple[type, ...]] = {
        "object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "null": type(None),
    }  # fmt: skip
    return isinstance(value, python.get(kind, ()))


def _both(left: Schema, right: Schema) -> Schema | None:
    """Return the keywords of two schemas that both have to hold; None: no value can be both."""
    result = {**left, **right}
    shared = left.keys() & right.keys()
    if "type" in shared:
        kinds = _common(_listed(left["type"]), _listed(right["type"]))
        if not kinds:
            return None
        result["type"] = kinds
    if "enum" in shared:
        result["enum"] = [value for value in left["enum"] if value in right["enum"]]
    for key in shared & {*_LARGEST, *_SMALLEST}:
        result[key] = (max if key in _LARGEST else min)(left[key], right[key])
    if "const" in shared and left["const"] != right["const"]:
        return None
    if "pattern" in shared and left["pattern"] != right["pattern"]:
        raise unusable("two patterns hold for one text")
    result |= _both_objects(left, right)
    return result


def _both_objects(left: Schema, right: Schema) -> dict[str, Any]:
    """Return properties, names and the rest of two objects' schemas."""
    result: dict[str, Any] = {}
    if "properties" in left and "properties" in right:
        shared = left["properties"].keys() & right["properties"].keys()
        for name in shared:
            one, other = left["properties"][name], right["properties"][name]
            if one.schema not in (other.schema, ANY) and other.schema != ANY:
                raise unusable(f"{name} is held to two schemas")
        taken = {name: part for name, part in left["properties"].items() if part.schema != ANY}
        result["properties"] = {**left["properties"], **right["properties"], **taken}
    if "required" in left or "required" in right:
        result["required"] = list(dict.fromkeys([*_names(left), *_names(right)]))
    closed = [schema for schema in (left, right) if schema.get("additionalProperties") is False]
    if closed:
        result["additionalProperties"] = False
        allowed = [set(schema.get("properties", {})) for schema in closed]
        properties = result.get("properties", {**left.get("properties", {}), **right.get("properties", {})})
        result["properties"] = {
            name: part for name, part in properties.items() if all(name in names for names in allowed)
        }
    return result


def _common(left: Iterable[str], right: Iterable[str]) -> list[str]:
    """Return types that are in both; an integer is a number, too."""
    left, right = set(left), set(right)
    kinds = left & right
    if "integer" in left | right and "number" in left | right:
        kinds |= {"integer"}
    return [kind for kind in _TYPES if kind in kinds and not (kind == "integer" and "number" in kinds)]


def _listed(kinds: Any) -> list[str]:
    return [kinds] if isinstance(kinds, str) else [kind for kind in kinds if isinstance(kind, str)]


def _names(schema: Schema) -> list[Any]:
    names = schema.get("required", [])
    return names if isinstance(names, list) else []


def _list(schema: Schema, key: str) -> list[Any]:
    parts = schema.get(key, [])
    if not isinstance(parts, list):
        raise unusable(f"{key} is no list")
    return parts


def _count(value: Any, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != int(value):
        raise unusable(f"{key} is no count")
    return int(value)
