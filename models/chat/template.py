"""Chat templates: Jinja, as Hugging Face and llama.cpp use it, in a sandbox.

A template comes with a model and is untrusted: it reaches no Python object beyond the messages, and its output is bounded.
The settings follow transformers/utils/chat_template_utils.py, so that every published template renders as its authors saw it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models.errors import ZhiyinError

_LARGEST_PROMPT = 16 * 1024 * 1024
_LARGEST_TEMPLATE = 1024 * 1024


class _Generation(Extension):
    """`{% generation %}` … `{% endgeneration %}`: marks for training what the model writes, and changes no prompt."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(list(parser.parse_statements(("name:endgeneration",), drop_needle=True)), lineno=line)


class _TemplateRefusal(TemplateError):
    """The template itself refused the messages (`raise_exception`)."""


@dataclass(frozen=True)
class TemplateFacts:
    """What a template's text shows about the model."""

    reasoning: bool
    """It knows thinking blocks."""
    tools: bool
    """It renders tool lists."""


def render(
    template: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    bos: str = "",
    eos: str = "",
    add_generation_prompt: bool = True,
    **extras: Any,
) -> str:
    """Return the prompt of a chat.

    Args:
        template: the Jinja source.
        messages: OpenAI's form: role, content, optionally tool_calls and name.
        tools: tools in OpenAI's form, or None.
        bos: text of the beginning-of-sequence token.
        eos: text of the end-of-sequence token.
        add_generation_prompt: end with the opening of the assistant's turn.
        extras: further variables, such as `enable_thinking`.

    Raises:
        ZhiyinError: the template is broken, refuses the messages, or renders too much.
    """
    try:
        pieces = _compiled(template).generate(
            messages=list(messages),
            tools=list(tools) if tools else None,
            bos_token=bos,
            eos_token=eos,
            add_generation_prompt=add_generation_prompt,
            **extras,
        )
        return _joined(pieces)
    except _TemplateRefusal as error:
        raise ZhiyinError("The model's chat template refuses this chat: {reason}", reason=error.message) from error
    except SecurityError as error:
        raise ZhiyinError(
            "The model's chat template tries what it must not ({reason}); get the model elsewhere.", reason=error
        ) from error
    except (
        TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        raise ZhiyinError(
            "The model's chat template cannot render this chat ({reason}); convert the model again.", reason=error
        ) from error


@lru_cache(maxsize=64)
def template_facts(template: str) -> TemplateFacts:
    """Return what a template's text shows."""
    reasoning = re.search(r"<think>|enable_thinking|reasoning_content|<\|channel\|>", template) is not None
    tools = re.search(r"\btools\b", template) is not None
    return TemplateFacts(reasoning, tools)


@lru_cache(maxsize=16)
def _compiled(template: str) -> jinja2.Template:
    if len(template) > _LARGEST_TEMPLATE:
        raise ZhiyinError("The model's chat template is larger than 1 MB; get the model elsewhere.")
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _Generation],
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _strftime_now
    return environment.from_string(template)


def _joined(pieces: Any) -> str:
    size, parts = 0, []
    for piece in pieces:
        size += len(piece)
        if size > _LARGEST_PROMPT:
            raise ZhiyinError("The model's chat template renders more than 16 MB; get the model elsewhere.")
        parts.append(piece)
    return "".join(parts)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as transformers' templates expect it: not escaped for HTML, Chinese left readable."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> NoReturn:
    raise _TemplateRefusal(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)
