"""Replies that are held to a grammar: GBNF as llama.cpp reads it, made of a JSON schema or of tools.

The converter of schemas is llama-cpp-python's port of llama.cpp's own; `schemas.py` makes them plain for it. A token is chosen as
without a grammar and only looked at again among all allowed ones where the grammar refuses it: most tokens cost next to nothing.
"""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np

from desktop_app.engine.endless import ending
from desktop_app.engine.schemas import Schemas, unusable
from models.chat.calls.generic import call_schema
from models.errors import ZhiyinError

_LARGEST_SCHEMA = 256 * 1024
_LARGEST_GRAMMAR = 4 << 20
_LARGEST_PLAIN = 1 << 20
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_MOST_REPEATS = 10_000
_LONGEST_PATTERN = 4_000
_REPEAT = re.compile(r"\{(\d{0,9})(?:,(\d{0,9}))?\}")
_REASONING = r"""reasoning ::= ([^<] | "<" ([^/] | "/" ([^t] | "t" [^h])))* "</think>" [ \n]*
"""
_HARMONY = r"""prefix ::= ("<|channel|>analysis<|message|>" [^<]* "<|end|><|start|>assistant")? "<|channel|>final<|message|>"
"""


class Grammar:
    """The state of a grammar while a reply is written."""

    def __init__(self, vocabulary: Any, text: str) -> None:
        """Begin a reply.

        Args:
            vocabulary: the model's; `pointer` is llama.cpp's.
            text: the grammar; its first rule is `root`.

        Raises:
            ZhiyinError: the grammar has a mistake, or the model's tokenizer is not llama.cpp's.
        """
        pointer = getattr(vocabulary, "pointer", None)
        if pointer is None:
            raise ZhiyinError(
                "This model's tokenizer cannot be held to a grammar; ask without a schema, or choose another model."
            )
        self._grammar = llama.llama_sampler_init_grammar(pointer, text.encode(), b"root")
        if not self._grammar:
            raise ZhiyinError("The grammar has a mistake, or is too complicated; correct it.", code="bad-grammar")

    def allows(self, token: int) -> bool:
        """Tell whether the reply may go on with a token."""
        one = np.zeros(1, TOKEN_DATA)
        one["id"] = token
        self.restrict(one)
        return bool(np.isfinite(one["logit"][0]))

    def restrict(self, candidates: np.ndarray) -> None:
        """Set the logits of tokens that the grammar refuses to minus infinity; `candidates` are TOKEN_DATA [tokens]."""
        array = token_array(candidates)
        llama.llama_sampler_apply(self._grammar, ctypes.byref(array))

    def accept(self, token: int) -> None:
        """Go on with a token that `allows` allows: llama.cpp ends the process at another one."""
        llama.llama_sampler_accept(self._grammar, token)

    def close(self) -> None:
        """Free the state."""
        llama.llama_sampler_free(self._grammar)


TOKEN_DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)], align=True)
"""llama_token_data."""


def token_array(candidates: np.ndarray) -> llama.llama_token_data_array:
    """Return llama.cpp's view of candidates (TOKEN_DATA), which must outlive it."""
    return llama.llama_token_data_array(
        data=candidates.ctypes.data_as(ctypes.POINTER(llama.llama_token_data)),
        size=len(candidates),
        selected=-1,
        sorted=False,
    )


def schema_grammar(schema: Mapping[str, Any], *, lenient: bool = False) -> str:
    """Return the grammar of JSON that a schema allows; `lenient`: a part that no grammar holds may be anything.

    Raises:
        ZhiyinError: the schema is wrong, or asks for what no grammar can hold to.
    """
    try:
        if len(json.dumps(schema)) > _LARGEST_SCHEMA:
            raise unusable("it is too large")
        schemas = Schemas(lenient=lenient)
        plain, definitions = ending(schemas.plain(schema), schemas.definitions)
        if plain is None:
            raise unusable("it requires itself without end")
        return _gbnf(plain, definitions)
    except RecursionError:
        raise unusable("it is too deep") from None


def _gbnf(plain: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return the grammar of a plain schema."""
    from desktop_app.engine.gbnf import converted

    schema = {"anyOf": [plain], "$defs": definitions}
    _refuse_repeats(schema)
    text = json.dumps(schema)
    if len(text) > _LARGEST_PLAIN:
        raise unusable("its alternatives are too many")
    try:
        grammar = converted(text)
    except RecursionError:
        raise
    except Exception as error:  # whatever the converter makes of what it does not know
        raise unusable(str(error) or type(error).__name__) from error
    if len(grammar) > _LARGEST_GRAMMAR:
        raise unusable("its grammar is too large")
    return grammar


def _refuse_repeats(schema: Any) -> None:
    """Raise where a schema repeats something so often that the grammar, which writes all of it out, fills the memory."""
    if isinstance(schema, list):
        for part in schema:
            _refuse_repeats(part)
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        _refuse_repeats(value)
        if key in _COUNTS and isinstance(value, int | float) and value > _MOST_REPEATS:
            raise unusable(f"{key} is more than {_MOST_REPEATS}")
        if key == "pattern" and isinstance(value, str) and _repeats(value) > _MOST_REPEATS:
            raise unusable("a pattern repeats something too often")


def _repeats(pattern: str) -> int:
    """Return how often something in a regular expression is repeated at most, should all repeats be in one another."""
    product = 1
    for low, high in _REPEAT.findall(pattern[:_LONGEST_PATTERN]):
        product *= max(1, int(low or 0), int(high or 0))
    return product if len(pattern) <= _LONGEST_PATTERN else _MOST_REPEATS + 1


def answer_grammar(schema: Mapping[str, Any], *, chat_format: str, reasons: bool, reasoning: bool) -> str:
    """Return the grammar of a reply whose answer is JSON of a schema.

    Args:
        schema: of the answer.
        chat_format: the name of the model's.
        reasons: the model may reason first.
        reasoning: the prompt has opened its reasoning already.
    """
    grammar = schema_grammar(schema)
    if chat_format == "harmony":
        return f"root ::= prefix answer\n{_HARMONY}{_renamed(grammar, 'answer')}"
    if reasoning:
        return f"root ::= reasoning answer\n{_REASONING}{_renamed(grammar, 'answer')}"
    if reasons:
        return f'root ::= ("<think>" reasoning)? answer\n{_REASONING}{_renamed(grammar, "answer")}'
    return grammar


def call_grammar(tools: Sequence[Mapping[str, Any]]) -> str:
    """Return the grammar of a reply that is either a whole call of a tool, in JSON, or a text that begins otherwise."""
    try:
        grammar = _calls(tools)
    except ZhiyinError:  # what a server says of its own tools is anything at all
        grammar = _calls([tool if _holds(tool) else _of_any_arguments(tool) for tool in tools])
    calls = _renamed(grammar, "call")
    return f"root ::= [ \\n]* (call | text)\ntext ::= [^{{ \\n] [^\\x00]*\n{calls}"


def _calls(tools: Sequence[Mapping[str, Any]]) -> str:
    """Return the grammar of calls; a part of an argument that no grammar holds may be anything."""
    return schema_grammar(call_schema(tools), lenient=True)


def _holds(tool: Mapping[str, Any]) -> bool:
    """Tell whether a grammar can be made of a tool."""
    try:
        _calls([tool])
    except ZhiyinError:
        return False
    return True


def _of_any_arguments(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**tool, "function": {**tool.get("function", {}), "parameters": {"type": "object"}}}


def _renamed(grammar: str, root: str) -> str:
    """Return a grammar whose first rule has another name."""
    return "\n".join(
        root + line[len("root") :] if line.startswith("root ::=") else line for line in grammar.splitlines()
    )
