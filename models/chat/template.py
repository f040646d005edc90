"""Chat templates: Jinja, as Hugging Face and llama.cpp use it, in a sandbox.

A template comes with a model and is untrusted: it reaches no Python object beyond the messages, and its output is bounded. Time
and memory are not: `desktop_app.processes.renderer` renders in a process that can be killed.
The settings follow transformers/utils/chat_template_utils.py, so that every published template renders as its authors saw it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models.chat.messages import TemplateForms
from models.chat.template_facts import LARGEST_PROMPT, MEGABYTE, TemplateLimit, check_size
from models.errors import ZhiyinError
from models.visible import visible

_LONGEST_REASON = 300


class _Generation(Extension):
    """`{% generation %}` … `{% endgeneration %}`: marks for training what the model writes, and changes no prompt."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(list(parser.parse_statements(("name:endgeneration",), drop_needle=True)), lineno=line)


class _TemplateRefusal(TemplateError):
    """The template itself refused the messages (`raise_exception`)."""


def render(
    template: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    path: str | os.PathLike[str] = "the model",
    tools: Sequence[Mapping[str, Any]] | None = None,
    bos: str = "",
    eos: str = "",
    add_generation_prompt: bool = True,
    **extras: Any,
) -> str:
    """Return the prompt of a chat.

    Args:
        template: the Jinja source.
        messages: OpenAI's form: role, content, optionally tool_calls and name; `models.chat.messages` fits them to the template.
        path: the template's file, for the sentences of errors.
        tools: tools in OpenAI's form, or None.
        bos: text of the beginning-of-sequence token.
        eos: text of the end-of-sequence token.
        add_generation_prompt: end with the opening of the assistant's turn.
        extras: further variables, such as `enable_thinking`.

    Raises:
        TemplateLimit: the template is too large or renders too much.
        ZhiyinError: the template is broken, or refuses the messages.
        MemoryError: it needs more memory than there is.
    """
    check_size(template, path)
    try:
        pieces = _compiled(template).generate(
            messages=_forms(template, os.fspath(path)).fitted(messages),
            tools=list(tools) if tools else None,
            documents=None,
            bos_token=bos,
            eos_token=eos,
            add_generation_prompt=add_generation_prompt,
            **extras,
        )
        return _joined(pieces, path)
    except (ZhiyinError, MemoryError):
        raise
    except _TemplateRefusal as error:
        raise ZhiyinError(
            "The chat template of {path} refuses this chat: {reason}", path=path, reason=_short(error)
        ) from error
    except SecurityError as error:
        raise ZhiyinError(
            "The chat template of {path} tries what it must not ({reason}); get the model elsewhere.",
            path=path,
            reason=_short(error),
        ) from error
    except Exception as error:  # whatever an untrusted template raises
        if _forms(template, os.fspath(path)).takes_question:
            raise ZhiyinError(
                "The chat template of {path} has no form for this chat ({reason}); change its messages, or its tools.",
                path=path,
                reason=_short(error),
            ) from error
        raise ZhiyinError(
            "The chat template of {path} cannot render this chat ({reason}); convert the model again.",
            path=path,
            reason=_short(error),
        ) from error


@lru_cache(maxsize=16)
def _compiled(template: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _Generation],
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _strftime_now
    return environment.from_string(template)


@lru_cache(maxsize=16)
def _forms(template: str, path: str) -> TemplateForms:
    """Return what forms of messages a template takes; `path` is for the sentences of errors."""

    def attempt(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None) -> str | None:
        variables = {"messages": messages, "tools": tools, "documents": None, "bos_token": "", "eos_token": ""}
        try:
            return _joined(_compiled(template).generate(**variables, add_generation_prompt=True), path)
        except (ZhiyinError, MemoryError):
            raise
        except Exception:  # whatever an untrusted template raises
            return None

    return TemplateForms(attempt)


def _joined(pieces: Iterable[str], path: str | os.PathLike[str]) -> str:
    size, parts = 0, []
    for piece in pieces:
        size += len(piece)
        if size > LARGEST_PROMPT:
            raise TemplateLimit(
                "The chat template of {path} renders more than {size} MB; get the model elsewhere.",
                path=path,
                size=LARGEST_PROMPT // MEGABYTE,
            )
        parts.append(piece)
    return "".join(parts)


def _short(error: Exception) -> str:
    """Return what an error says in one line: a template chooses the text of its refusals."""
    return visible(" ".join(str(error)[:_LONGEST_REASON].split())) or type(error).__name__


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
