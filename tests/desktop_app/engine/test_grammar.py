"""Replies held to a grammar: a schema, a grammar of one's own, calls of a model that knows no tools."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from desktop_app.engine.client import Engine, EngineFailed
from desktop_app.engine.grammar import call_grammar, schema_grammar
from desktop_app.engine.protocol import Complete, Generate, Load, LoadSettings, SamplingSettings
from models.errors import ZhiyinError
from tests.support.commands import zhiyin

GREEDY = SamplingSettings(temperature=0, max_tokens=120)
ASKED = ({"role": "user", "content": "Tell me about Paris."},)
CITY: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "people": {"type": "integer"},
        "kind": {"enum": ["city", "village"]},
        "rivers": {"type": "array", "items": {"type": "string", "maxLength": 10}, "maxItems": 2},
    },
    "required": ["name", "people", "kind", "rivers"],
    "additionalProperties": False,
}
SUM = {
    "type": "function",
    "function": {
        "name": "calculator",
        "description": "Calculates.",
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string", "maxLength": 12}},
            "required": ["expression"],
        },
    },
}


@pytest.fixture(scope="module")
def engine(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIYIN_HOME", str(tmp_path_factory.mktemp("engine")))
        with Engine() as running:
            running.submit(Load(starter_gguf, LoadSettings(context=1024))).result(60)
            yield running


@pytest.mark.parametrize(
    "sampling",
    [
        GREEDY,
        replace(GREEDY, temperature=5.0, top_k=0, top_p=1.0, min_p=0.0, seed=1),
    ],
    ids=["greedy", "hot"],
)
def test_an_answer_is_what_its_schema_allows(engine: Engine, sampling: SamplingSettings) -> None:
    reply = engine.submit(Generate(ASKED, sampling, schema=CITY)).result(60)
    assert reply.reason == "end"
    city = json.loads(reply.text)
    assert set(city) == {"name", "people", "kind", "rivers"}
    assert isinstance(city["name"], str)
    assert isinstance(city["people"], int)
    assert city["kind"] in ("city", "village")
    assert len(city["rivers"]) <= 2


def test_a_grammar_of_ones_own_leaves_one_reply(engine: Engine) -> None:
    said = 'root ::= "知音 🎵 " [0-9]{3} "\\n"'
    for request in (Generate(ASKED, replace(GREEDY, grammar=said)), Complete("x", replace(GREEDY, grammar=said))):
        reply = engine.submit(request).result(60)
        assert reply.text.startswith("知音 🎵 ")
        assert reply.text.strip()[-3:].isdigit()
        assert reply.reason == "end"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Generate(ASKED, replace(GREEDY, grammar="root ::= unknown")), "bad-grammar"),
        (Generate(ASKED, replace(GREEDY, grammar="nonsense")), "bad-grammar"),
        (Generate(ASKED, replace(GREEDY, grammar='root ::= "a" root2{')), "bad-grammar"),
        (Generate(ASKED, GREEDY, schema={"type": "nothing"}), "bad-schema"),
        (Generate(ASKED, GREEDY, schema={"$ref": "https://example.org/schema.json"}), "bad-schema"),
        (Generate(ASKED, GREEDY, schema={"$ref": "#/definitions/missing"}), "bad-schema"),
        (Generate(ASKED, GREEDY, schema={"type": "string", "pattern": "(?=a)"}), "bad-schema"),
        (Generate(ASKED, GREEDY, schema={"enum": ["x" * 300_000]}), "bad-schema"),
    ],
)
def test_what_cannot_be_held_to_is_refused_and_the_engine_goes_on(
    engine: Engine, request_: Generate, code: str
) -> None:
    with pytest.raises(EngineFailed) as failure:
        engine.submit(request_).result(60)
    assert failure.value.code == code
    assert engine.submit(Generate(ASKED, replace(GREEDY, max_tokens=2))).result(60).tokens == 2


def test_a_model_that_knows_no_tools_answers_or_calls_and_a_call_is_whole(engine: Engine) -> None:
    """Forced to begin with a brace, the starter model can only write a whole call of the tool."""
    brace = engine.submit(Generate(ASKED, replace(GREEDY, max_tokens=40), (SUM,))).result(60)
    assert brace.text or brace.tool_calls
    hot = replace(GREEDY, temperature=3.0, top_k=0, top_p=1.0, min_p=0.0, seed=7)
    only = call_grammar([SUM]).replace("(call | text)", "call")
    reply = engine.submit(Generate(ASKED, replace(hot, grammar=only), (SUM,))).result(60)
    (call,) = reply.tool_calls
    assert reply.text.strip() == ""
    assert call["function"]["name"] == "calculator"
    assert isinstance(json.loads(call["function"]["arguments"])["expression"], str)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}, "minItems": 10**9},
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "string", "minLength": 10**9}]}}},
        {"type": "string", "maxLength": 1e9},
        {"type": "string", "pattern": "^((a{1000}){1000}){1000}$"},
        {"type": "string", "pattern": "^[^c]{1,999999999}$"},
    ],
)
def test_a_schema_that_would_fill_the_memory_is_refused(schema: Mapping[str, Any]) -> None:
    with pytest.raises(ZhiyinError, match="No reply can be held to this JSON schema"):
        schema_grammar(schema)


def tool_of(name: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}


def test_a_tool_with_a_schema_of_no_grammar_takes_any_arguments_and_spoils_no_other() -> None:
    large = tool_of("large", {"type": "object", "properties": {"a": {"type": "string", "minLength": 10**9}}})
    far = tool_of("far", {"type": "object", "properties": {"a": {"$ref": "https://192.0.2.1/x.json"}}})
    grammar = call_grammar([SUM, large, far])
    assert all(name in grammar for name in ("calculator", "large", "far", "expression"))


def test_schema_in_the_terminal(starter_gguf: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(CITY), "utf-8")
    said = ("chat", "-m", str(starter_gguf), "--prompt", "Paris?", "--temperature", "0", "--ctx", "512", "--schema")
    done = zhiyin(*said, str(schema), ZHIYIN_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kind"] in ("city", "village")
    assert "cannot be held" not in done.stderr
    schema.write_text('{"type": "integer", "minimum": 7, "maximum": 7, "not": {"const": 7}}', "utf-8")
    done = zhiyin(*said, str(schema), ZHIYIN_HOME=str(tmp_path / "home"))
    assert (done.returncode, done.stdout.strip()) == (1, "7")
    assert "cannot be held to not while it is written; the finished answer is checked for that." in done.stderr
    assert "The answer is JSON, but not what the schema asks for ($: 7 should not be valid" in done.stderr
    schema.write_text("[]", "utf-8")
    done = zhiyin(*said, str(schema), ZHIYIN_HOME=str(tmp_path / "home"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "must hold a JSON schema" in done.stderr
