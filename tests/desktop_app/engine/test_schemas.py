"""Grammars of JSON schemas with references, unions and intersections, held to what the library jsonschema says of texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llama_cpp.llama_cpp as llama
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from desktop_app.chat.schema_check import WrongAnswer, check_answer, unheld_keywords
from desktop_app.engine.grammar import Grammar, call_grammar, schema_grammar
from desktop_app.engine.number_ranges import Range, integer_rule, number_rule
from desktop_app.engine.patterns import plain_pattern
from models.errors import ZhiyinError

NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
    "required": ["value"],
    "additionalProperties": False,
}
TREE = {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}}
NAMED = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
AGED = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
CASES: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "recursive": (
        TREE,
        [{"value": 1}, {"value": 1, "children": []}, {"value": 1, "children": [{"value": 2, "children": [{"value": 3}]}]}],
        [{"value": "1"}, {"value": 1, "children": [{"children": []}]}, {"value": 1, "more": 2}, []],
    ),
    "recursive at the root": (
        {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]},
        [{"next": None}, {"next": {"next": None}}],
        [{"next": 1}, {"next": {"next": 2}}, {}],
    ),
    "mutually recursive": (
        {
            "$ref": "#/$defs/a",
            "$defs": {
                "a": {"type": "array", "items": {"$ref": "#/$defs/b"}},
                "b": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "additionalProperties": False},
            },
        },
        [[], [{"a": []}], [{}, {"a": [{"a": []}]}]],
        [[1], [{"a": 1}], [{"a": [2]}], {}],
    ),
    "two definitions of one name": (
        {
            "type": "object",
            "properties": {"x": {"$ref": "#/$defs/one/T"}, "y": {"$ref": "#/$defs/two/T"}},
            "required": ["x", "y"],
            "$defs": {"one": {"T": {"enum": ["a"]}}, "two": {"T": {"enum": ["b"]}}},
        },
        [{"x": "a", "y": "b"}],
        [{"x": "b", "y": "b"}, {"x": "a", "y": "a"}],
    ),
    "a definition named as a primitive": (
        {"$ref": "#/$defs/string", "$defs": {"string": {"type": "array", "items": {"type": "string"}}}},
        [[], ["a"]],
        ["a", [1]],
    ),
    "names with signs": (
        {"$ref": "#/$defs/a~1b%20c~0", "$defs": {"a/b c~": {"const": 7}}},
        [7],
        [8, "7"],
    ),
    "by anchor and by address": (
        {
            "$id": "https://example.org/root.json",
            "type": "object",
            "properties": {"p": {"$ref": "#here"}, "q": {"$ref": "part.json"}},
            "required": ["p", "q"],
            "$defs": {"x": {"$anchor": "here", "type": "null"}, "y": {"$id": "part.json", "type": "boolean"}},
        },
        [{"p": None, "q": True}],
        [{"p": True, "q": True}, {"p": None, "q": None}],
    ),
    "draft 7": (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/definitions/T",
            "definitions": {"T": {"type": "array", "items": [{"type": "integer"}, {"type": "string"}]}},
        },
        [[1, "a"]],
        [],
    ),
    "a reference with more beside it": (
        {"$ref": "#/$defs/N", "required": ["more"], "properties": {"more": {"const": 1}}, "$defs": {"N": NAMED}},
        [{"name": "x", "more": 1}],
        [{"name": "x"}, {"more": 1}, {"name": "x", "more": 2}],
    ),
    "all of": (
        {"allOf": [NAMED, AGED]},
        [{"name": "x", "age": 1}],
        [{"name": "x"}, {"age": 1}, {"name": 1, "age": 1}],
    ),
    "all of with optional ones": (
        {"allOf": [{"type": "object", "properties": {"a": {"type": "null"}}}, AGED]},
        [{"age": 1}, {"age": 1, "a": None}],
        [{"a": None}, {"age": 1, "a": 1}],
    ),
    "any of": ({"anyOf": [{"type": "integer"}, {"const": "none"}, NAMED]}, [3, "none", {"name": "x"}], ["some", {}, None]),
    "any of beside properties": (
        {**NAMED, "anyOf": [{"required": [k], "properties": {k: {"const": v}}} for k, v in (("a", 1), ("b", 2))]},
        [{"name": "x", "a": 1}, {"name": "x", "b": 2}],
        [{"name": "x"}, {"a": 1}, {"name": "x", "b": 1}],
    ),
    "one of": ({"oneOf": [{"type": "string", "maxLength": 2}, {"type": "null"}]}, ["ab", "", None], ["abc", 1]),
    "const of every type": (
        {"enum": [None, True, 1, 1.5, "知", 'q"\\\n', [1, 2], {"a": [None]}]},
        [None, True, 1, 1.5, "知", 'q"\\\n', [1, 2], {"a": [None]}],
        [False, 2, "x", [1], {}],
    ),
    "const with a type": ({"type": "string", "enum": ["a", 1]}, ["a"], [1, "b"]),
    "types": ({"type": ["integer", "null"]}, [1, None], ["x", 1.5, []]),
    "types with items": ({"type": ["array", "null"], "items": {"type": "null"}}, [None, [], [None]], [[1], 1]),
    "no type": ({"properties": {"a": {"description": "anything"}}, "required": ["a"]}, [{"a": 1}, {"a": []}, {"a": None}], [{}]),
    "anything": ({}, [1, "x", None, [1, {"a": 2}], {"a": {}}, True], []),
    "true and false": (
        {"type": "object", "properties": {"a": True, "b": False}, "required": ["a"], "additionalProperties": False},
        [{"a": 1}, {"a": {}}],
        [{}, {"a": 1, "b": 1}],
    ),
    "more properties": (
        {"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": {"type": "integer"}},
        [{}, {"a": None}, {"b": 1, "c": 2}, {"a": None, "b": 1}],
        [{"b": "x"}, {"b": None}, {"a": 1}, {"b": 1, "a": 1}, {"a": 1, "b": 1}],
    ),
    "more properties and names that begin alike": (
        {
            "type": "object",
            "properties": {"ab": {"type": "null"}, "abc": {"type": "null"}, 'q"u': {"type": "null"}, "知": {"type": "null"}},
            "required": ["ab"],
            "additionalProperties": {"type": "integer"},
        },
        [{"ab": None}, {"ab": None, "abc": None, "知": None, "x": 1, "音": 2}, {"ab": None, 'q"u': None}, {"ab": None, "abd": 1}],
        [{"ab": 1}, {"ab": None, "abc": 1}, {"ab": None, "知": 1}, {"ab": None, 'q"u': 1}],
    ),
    "a name that is required and nowhere described": (
        {"type": "object", "properties": {}, "required": ["a"]},
        [{"a": 1}, {"a": "x"}],
        [{}, {"b": 1}],
    ),
    "counts": ({"items": {"type": "null"}, "minItems": 1, "maxItems": 2}, [[None], [None, None]], [[], [None] * 3]),
    "a tuple": ({"type": "array", "prefixItems": [{"type": "null"}, {"type": "integer"}]}, [[None, 1]], [[1, None]]),
    "an empty array": ({"type": "array", "items": False}, [[]], [[1]]),
    "formats": ({"type": "string", "format": "date"}, ["2026-12-01"], [1]),
    "a format that nobody knows": ({"type": "string", "format": "poem"}, ["roses"], [1]),
}  # fmt: skip
PATTERNS = {
    r"^\d{3}-\d{2,4}$": (["123-45", "123-4567"], ["12-45", "123-4", "123-45678", "abc-de"]),
    r"^[a-z_]+\.(txt|md)$": (["a_b.txt", "x.md"], ["a.pdf", "A.txt", "atxt"]),
    r"^.+$": (["x", "知 音", "a-b"], [""]),
    r"^[^@]+@[^@]+$": (["a@b", "知@音"], ["ab", "a@b@c"]),
    r"^(?:ab)?c$": (["c", "abc"], ["bc", "ab"]),
    r"^\w+\s\w+$": (["a b"], ["ab", "a  b"]),
    r"^a": (["a", "abc"], ["ba"]),
    r"b$": (["b", "ab"], ["ba"]),
    r"a+": (["a", "bab"], ["bb", ""]),
    r"^\$[\d,]+\/\-$": (["$1,000/-"], ["1,000/-"]),
    r"^[一-鿿]{2}$": (["知音"], ["知", "ab"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def accepts(starter_gguf: Path) -> Iterator[Callable[[str, Any], bool]]:
    """Tell whether a grammar takes a value's text, token by token of the starter model, and may end there."""
    llama.llama_log_set(SILENT, None)
    settings = llama.llama_model_default_params()
    settings.vocab_only = True
    model = llama.llama_model_load_from_file(str(starter_gguf).encode(), settings)
    vocabulary = SimpleNamespace(pointer=llama.llama_model_get_vocab(model))
    end = llama.llama_vocab_eos(vocabulary.pointer)

    def taken(text: str, value: Any) -> bool:
        written = (json.dumps(value, ensure_ascii=False) if not isinstance(value, bytes) else value.decode()).encode()
        ids = (llama.llama_token * (len(written) + 8))()
        count = llama.llama_tokenize(vocabulary.pointer, written, len(written), ids, len(ids), False, False)
        grammar = Grammar(vocabulary, text)
        try:
            for token in ids[:count]:
                if not grammar.allows(token):
                    return False
                grammar.accept(token)
            return grammar.allows(end)
        finally:
            grammar.close()

    yield taken
    llama.llama_model_free(model)


@llama.llama_log_callback
def SILENT(level: int, text: bytes, data: Any) -> None:  # noqa: N802
    """Print nothing."""


@pytest.mark.parametrize("name", CASES)
def test_a_grammar_takes_what_its_schema_does(name: str, accepts: Callable[[str, Any], bool]) -> None:
    schema, right, wrong = CASES[name]
    grammar = schema_grammar(schema)
    validator = Draft202012Validator(schema)
    for value in right:
        assert "$schema" in schema or validator.is_valid(value), value
        assert accepts(grammar, value), value
    for value in wrong:
        assert not validator.is_valid(value), value
        assert not accepts(grammar, value), value


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_holds_the_text(pattern: str, accepts: Callable[[str, Any], bool]) -> None:
    schema = {"type": "string", "pattern": pattern}
    grammar, validator = schema_grammar(schema), Draft202012Validator(schema)
    for text in PATTERNS[pattern][0]:
        assert validator.is_valid(text)
        assert accepts(grammar, text), text
    for text in PATTERNS[pattern][1]:
        assert not validator.is_valid(text)
        assert not accepts(grammar, text), text
    assert not accepts(grammar, b'"x"y"'), "a quotation mark ends the text"


@pytest.mark.parametrize(
    "pattern", ["(?=a)", r"\bx", r"a\\b", 'a"b', r"(a)\1", "a+?", "[]", "[a", "^a|b", r"^[\\]$", r"a^b"]
)
def test_a_pattern_that_no_grammar_holds_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        plain_pattern(pattern)
    with pytest.raises(ZhiyinError, match="No reply can be held to this JSON schema"):
        schema_grammar({"type": "string", "pattern": pattern})


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (
            {"$ref": "https://192.0.2.1/x.json"},
            "it refers to https://192.0.2.1/x.json, which is elsewhere and is not fetched",
        ),
        ({"$ref": "other.json#/a"}, "which is elsewhere"),
        ({"$ref": "file:///etc/passwd"}, "which is elsewhere"),
        ({"$ref": "#/$defs/missing"}, "#/$defs/missing is not in it"),
        ({"$ref": "#missing"}, "#missing is not in it"),
        ({"$ref": "#"}, "stands for itself"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "stands for itself"),
        ({"allOf": [{"$ref": "#"}, {"type": "object"}]}, "stands for itself"),
        ({"$ref": 7}, "a reference is no text"),
        ({"type": "object", "properties": []}, "schema"),
        ({"type": "object", "properties": {"a": 7}}, "schema"),
        ({"type": "nothing"}, "type is"),
        ({"anyOf": "x"}, "schema"),
        ({"allOf": [{"type": "string"}, {"type": "null"}]}, "it allows nothing"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "it allows nothing"),
        ({"type": "string", "minLength": -1}, "minLength is no count"),
        (
            {"allOf": [{"anyOf": [{"properties": {f"{m}-{n}": {}}} for n in range(20)]} for m in range(3)]},
            "alternatives",
        ),
    ],
)
def test_a_wrong_schema_is_refused_with_its_reason(schema: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(ZhiyinError, match="No reply can be held to this JSON schema") as refused:
        schema_grammar(schema)
    assert reason in str(refused.value)


def tool(name: str, parameters: Any) -> Mapping[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}


def test_tools_with_references_are_held_each_to_its_own(accepts: Callable[[str, Any], bool]) -> None:
    """Both have a definition of one name; one's parameters are a reference, the other's say no type."""
    other = {"properties": {"node": {"$ref": "#/$defs/Node"}}, "required": ["node"], "$defs": {"Node": {"enum": ["x"]}}}
    grammar = call_grammar([tool("tree", TREE), tool("other", other)])
    for name, arguments, holds in (
        ("tree", {"value": 1, "children": [{"value": 2}]}, True),
        ("tree", {"node": "x"}, False),
        ("tree", {"value": "x"}, False),
        ("other", {"node": "x"}, True),
        ("other", {"node": "y"}, False),
        ("other", {"value": 1}, False),
        ("third", {}, False),
    ):
        assert accepts(grammar, {"name": name, "arguments": arguments}) is holds, (name, arguments)


def test_a_part_that_no_grammar_holds_spoils_no_other_part(accepts: Callable[[str, Any], bool]) -> None:
    parameters = {
        "type": "object",
        "properties": {
            "far": {"$ref": "https://192.0.2.1/x.json"},
            "odd": {"type": "string", "pattern": r"(?=a)b"},
            "count": {"type": "integer"},
        },
        "required": ["far", "odd", "count"],
    }
    grammar = call_grammar([tool("t", parameters)])
    for far, odd, count, holds in (
        ({"a": 1}, "x", 1, True),
        ("y", "z", 2, True),
        (1, 5, 1, False),
        (1, "x", "1", False),
    ):
        arguments = {"far": far, "odd": odd, "count": count}
        assert accepts(grammar, {"name": "t", "arguments": arguments}) is holds, arguments


@pytest.mark.parametrize(
    "parameters",
    [{"type": "string"}, {"enum": [1]}, {"$ref": "#"}, {"allOf": 3}, {"$id": 5, "$ref": []}, {"$schema": "x:y"}],
)
def test_parameters_that_are_no_object_spoil_no_other_tool(
    parameters: Any, accepts: Callable[[str, Any], bool]
) -> None:
    grammar = call_grammar([tool("t", parameters), tool("tree", TREE)])
    assert accepts(grammar, {"name": "t", "arguments": {"a": 1}})
    assert accepts(grammar, {"name": "tree", "arguments": {"value": 1}})
    assert not accepts(grammar, {"name": "tree", "arguments": {"value": None}})


def test_an_alternative_that_stands_for_itself_adds_nothing(accepts: Callable[[str, Any], bool]) -> None:
    grammar = schema_grammar({"anyOf": [{"$ref": "#"}, {"type": "null"}]})
    assert accepts(grammar, None)
    assert not accepts(grammar, 1)


def test_a_deep_or_wide_schema_is_refused_or_held_in_time() -> None:
    deep: Any = {"type": "null"}
    for _ in range(3000):
        deep = {"type": "array", "items": deep}
    with pytest.raises(ZhiyinError, match="too deep"):
        schema_grammar(deep)
    wide = {
        "$defs": {f"d{n}": {"type": "array", "items": {"$ref": f"#/$defs/d{(n + 1) % 60}"}} for n in range(60)},
        "$ref": "#/$defs/d0",
    }
    assert "definition-59-" in schema_grammar(wide)


OWN = {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}
ENDLESS: dict[str, Any] = {
    "itself": OWN,
    "one that requires it": {
        "$ref": "#/$defs/A",
        "$defs": {
            "A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}, "required": ["b"]},
            "B": {"type": "array", "items": {"$ref": "#/$defs/A"}, "minItems": 1},
        },
    },
    "in a tuple": {"type": "array", "prefixItems": [{"type": "null"}, {"$ref": "#"}]},
    "whichever one takes": {"anyOf": [OWN, {"type": "array", "items": {"$ref": "#"}, "minItems": 2}]},
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
def test_a_schema_that_requires_itself_without_end_is_refused(name: str) -> None:
    with pytest.raises(
        ZhiyinError, match=r"No reply can be held to this JSON schema \(it requires itself without end\)"
    ):
        schema_grammar(ENDLESS[name])


def test_what_has_no_end_is_left_out_where_something_else_is_there(accepts: Callable[[str, Any], bool]) -> None:
    endless = {"type": "object", "properties": {"a": {"$ref": "#/$defs/E"}}, "required": ["a"]}
    schema = {
        "type": "object",
        "properties": {
            "one": {"anyOf": [{"$ref": "#/$defs/E"}, {"type": "null"}]},
            "two": {"$ref": "#/$defs/E"},
            "three": {"type": "array", "items": {"$ref": "#/$defs/E"}},
        },
        "required": ["one"],
        "$defs": {"E": endless},
    }
    grammar = schema_grammar(schema)
    for value in ({"one": None}, {"one": None, "three": []}):
        assert Draft202012Validator(schema).is_valid(value)
        assert accepts(grammar, value)
    assert not accepts(grammar, {"one": {"a": None}})
    assert not accepts(grammar, {"one": None, "two": None})


NUMBERS: list[tuple[dict[str, Any], list[str], list[str]]] = [
    ({"type": "integer", "minimum": 0, "maximum": 100}, ["0", "7", "99", "100"], ["-1", "101", "1000", "007", "5.5"]),
    ({"type": "integer", "minimum": -12, "exclusiveMaximum": 3}, ["-12", "-1", "0", "2"], ["-13", "3", "-20", "-0"]),
    ({"type": "integer", "exclusiveMinimum": 999}, ["1000", "1234567"], ["999", "0", "-1000"]),
    ({"type": "integer", "maximum": -5}, ["-5", "-99999"], ["-4", "0", "5"]),
    ({"type": "integer", "minimum": 4.5, "maximum": 5.5}, ["5"], ["4", "6"]),
    ({"type": "number", "minimum": 0, "maximum": 1}, ["0", "1", "0.5", "1.0", "0.000"], ["-0.1", "1.1", "2", "1.0001", "1e5"]),
    ({"type": "number", "exclusiveMinimum": 0.25, "exclusiveMaximum": 1.5},
     ["0.251", "0.3", "1", "1.49"], ["0.25", "0.2", "1.5", "0"]),
    ({"type": "number", "minimum": -2.5}, ["-2.5", "-2.49", "0", "1234.5"], ["-2.51", "-3", "-10"]),
    ({"minimum": 3, "maximum": 4}, ["3", "3.14", "4"], ["2.9", "5"]),
    ({"allOf": [{"type": "integer", "minimum": 1, "maximum": 50}, {"minimum": 10, "maximum": 90}]},
     ["10", "50"], ["9", "51", "1"]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "right", "wrong"), NUMBERS, ids=str)
def test_bounds_hold_numbers(
    schema: dict[str, Any], right: list[str], wrong: list[str], accepts: Callable[[str, Any], bool]
) -> None:
    whole = {"type": "object", "properties": {"n": schema}, "required": ["n"]}
    grammar, validator = schema_grammar(whole), Draft202012Validator(whole)
    for text in right:
        assert validator.is_valid({"n": json.loads(text)}), text
        assert accepts(grammar, f'{{"n": {text}}}'.encode()), text
    for text in wrong:
        assert not accepts(grammar, f'{{"n": {text}}}'.encode()), text


def test_bounds_that_leave_nothing_are_refused() -> None:
    for schema in (
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 5},
        {"type": "number", "minimum": 1, "exclusiveMaximum": 1},
    ):
        with pytest.raises(ZhiyinError, match="it allows nothing"):
            schema_grammar(schema)
    for bound in ("5", True, 1e300, 1e-9):
        with pytest.raises(ZhiyinError, match="a bound"):
            schema_grammar({"type": "number", "minimum": bound})


@given(
    st.fractions(-2000, 2000, max_denominator=1).map(float) | st.integers(-200_000, 200_000).map(lambda n: n / 100),
    st.integers(0, 300_000).map(lambda n: n / 100),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_rules_of_numbers_are_exact(
    low: float, size: float, open_low: bool, open_high: bool, data: st.DataObject
) -> None:
    high = round(low + size, 2)
    bounds = {
        ("exclusiveMinimum" if open_low else "minimum"): low,
        ("exclusiveMaximum" if open_high else "maximum"): high,
    }
    validator = Draft202012Validator(bounds)
    integers, numbers = (_as_pattern(rule(Range.of(bounds))) for rule in (integer_rule, number_rule))
    near = data.draw(st.sampled_from([low, high, 0.0, (low + high) / 2]))
    value = near + data.draw(st.sampled_from([0, 1, -1, 0.1, -0.1, 0.01, -0.01, 0.001, -0.001]))
    text = f"{value:.{data.draw(st.integers(0, 3))}f}"
    if text.strip("-0."):
        assert bool(numbers.fullmatch(text)) == validator.is_valid(float(text))
        if "." not in text:
            assert bool(integers.fullmatch(text)) == validator.is_valid(int(text))


def _as_pattern(rule: str) -> re.Pattern[str]:
    """Return a rule, which has no names in it, as a regular expression."""
    parts = re.findall(r'"[^"]*"|\[[^\]]*\](?:\{\d+(?:,\d+)?\})?|[()|]', rule)
    return re.compile("".join(re.escape(part[1:-1]) if part[0] == '"' else part for part in parts) or r"(?!)")


def test_keywords_that_no_grammar_holds_are_named() -> None:
    schema = {
        "type": "object",
        "properties": {
            "not": {"type": "integer", "minimum": 1},
            "list": {"type": "array", "items": {"if": {"const": 1}, "then": {"const": 1}}, "contains": {"const": 1}},
            "if": {"type": "integer", "multipleOf": 3},
            "free": {"type": "array", "uniqueItems": False},
        },
        "$defs": {"A": {"not": {"const": 5}}},
        "anyOf": [{"minProperties": 1}, {"minProperties": 2}],
    }
    assert unheld_keywords(schema) == ["contains", "if", "multipleOf", "not", "minProperties"]
    assert unheld_keywords(TREE) == []


@pytest.mark.parametrize(
    ("schema", "answer", "said"),
    [
        ({"type": "integer", "multipleOf": 3}, "9", ""),
        ({"type": "integer", "multipleOf": 3}, "10", "($: 10 is not a multiple of 3)"),
        ({"properties": {"a": {"not": {"const": 1}}}}, '{"a": 1}', '($["a"]: '),
        ({"if": {"const": 1}, "then": False}, "1", "($: "),
        ({"type": "array", "contains": {"const": 1}}, "[2]", "does not contain items"),
        ({"type": "integer"}, "nothing", "The answer is no JSON"),
        ({"$ref": "https://192.0.2.1/x.json"}, "1", ""),
        ({"type": "string", "pattern": "^(a+)+$"}, f'"{"a" * 40}b"', ""),
    ],
)
def test_a_finished_answer_is_held_to_all_of_its_schema(schema: dict[str, Any], answer: str, said: str) -> None:
    if not said:
        check_answer(schema, answer)
        return
    with pytest.raises(WrongAnswer) as failure:
        check_answer(schema, answer)
    assert said in str(failure.value)
