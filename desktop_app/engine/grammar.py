"""Replies that are held to a grammar: GBNF as llama.cpp reads it, made of a JSON schema or of tools.

The converter of schemas is llama-cpp-python's port of llama.cpp's own. A token is chosen as without a grammar and only looked at
again among all allowed ones where the grammar refuses it: most tokens cost next to nothing.
"""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np

from models.chat.calls.generic import call_schema
from models.errors import ZhiyinError

_LARGEST_SCHEMA = 256 * 1024
_LARGEST_GRAMMAR = 4 << 20
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


def schema_grammar(schema: Mapping[str, Any]) -> str:
    """Return the grammar of JSON that a schema allows.

    Raises:
        ZhiyinError: the schema is wrong, or asks for what no grammar can hold to.
    """
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        text = json.dumps(schema)
        _refuse_repeats(schema)
    except RecursionError:
        raise _unusable("it is too deep") from None
    if len(text) > _LARGEST_SCHEMA:
        raise _unusable("it is too large")
    try:
        grammar: str = json_schema_to_gbnf(text)
    except Exception as error:  # whatever the converter makes of a wrong schema
        raise _unusable(str(error) or type(error).__name__) from error
    if len(grammar) > _LARGEST_GRAMMAR:
        raise _unusable("its grammar is too large")
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
            raise _unusable(f"{key} is more than {_MOST_REPEATS}")
        if key == "pattern" and isinstance(value, str) and _repeats(value) > _MOST_REPEATS:
            raise _unusable("a pattern repeats something too often")


def _repeats(pattern: str) -> int:
    """Return how often something in a regular expression is repeated at most, should all repeats be in one another."""
    product = 1
    for low, high in _REPEAT.findall(pattern[:_LONGEST_PATTERN]):
        product *= max(1, int(low or 0), int(high or 0))
    return product if len(pattern) <= _LONGEST_PATTERN else _MOST_REPEATS + 1


def _unusable(reason: str) -> ZhiyinError:
    return ZhiyinError(
        "No reply can be held to this JSON schema ({reason}); simplify it.", code="bad-schema", reason=reason[:200]
    )


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
        grammar = schema_grammar(call_schema(tools))
    except ZhiyinError:  # what a server says of its own tools is anything at all
        usable = [tool if _holds(tool) else _of_any_arguments(tool) for tool in tools]
        grammar = schema_grammar(call_schema(usable))
    calls = _renamed(grammar, "call")
    return f"root ::= [ \\n]* (call | text)\ntext ::= [^{{ \\n] [^\\x00]*\n{calls}"


def _holds(tool: Mapping[str, Any]) -> bool:
    """Tell whether a grammar can be made of a tool."""
    try:
        schema_grammar(call_schema([tool]))
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
