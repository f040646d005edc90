"""`zhiyin prompt`: what a chat looks like to the model."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from desktop_app.chat.request import report_moved_system
from desktop_app.commands.options import add_json, add_model, add_thinking
from desktop_app.commands.session import find_model, load
from desktop_app.commands.terminal import print_json
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import LoadSettings, Prompt
from models.errors import BadFile
from models.regular_file import read_regular
from models.system_reasons import system_reason
from models.untrusted_json import InvalidJSON, decode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser)
    parser.add_argument("--messages", type=Path, required=True, metavar="FILE.json", help="a list of role and content")
    parser.add_argument("--tools", type=Path, metavar="FILE.json", help="a list of tools in OpenAI's form")
    add_thinking(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the rendered prompt, without a newline of our own."""
    messages = _read_list(arguments.messages)
    for number, message in enumerate(messages, 1):
        _check(arguments.messages, number, message)
    tools = _read_list(arguments.tools) if arguments.tools else []
    model = find_model(arguments.model)
    with Engine() as engine:
        report_moved_system(load(engine, model, LoadSettings(context=512), ()), messages)
        rendered = engine.submit(
            Prompt(tuple(messages), tuple(tools), arguments.thinking, arguments.effort or "")
        ).result()
    if arguments.json:
        print_json({"prompt": rendered.prompt, "ids": rendered.ids})
    else:
        print(rendered.prompt, end="")
    return 0


def _read_list(path: Path) -> list[dict[str, Any]]:
    try:
        value = decode(read_regular(path), object)
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error
    except InvalidJSON as error:
        raise BadFile("{path} is not JSON ({reason}); correct it.", path=path, reason=error.reason) from error
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadFile(
            '{path} must hold a list of objects, such as [{{"role": "user", "content": "Hello"}}].', path=path
        )
    return value


def _check(path: Path, number: int, message: Mapping[str, Any]) -> None:
    """Raise `BadFile` where a message is not as OpenAI's API writes one."""
    calls = message.get("tool_calls")
    if not isinstance(message.get("role"), str) or ("content" not in message and calls is None):
        raise BadFile("{path} has a message without a role or without content; complete it.", path=path)
    content = message.get("content")
    if not (content is None or isinstance(content, str) or _all_objects(content)):
        raise BadFile(
            "{path}: the content of message {number} is neither a text nor a list of parts; correct it.",
            path=path,
            number=number,
        )
    if not (calls is None or (_all_objects(calls) and all(map(_is_call, calls)))):
        raise BadFile(
            "{path}: message {number} has tool_calls that are no list of functions with a name and arguments; correct them.",
            path=path,
            number=number,
        )


def _all_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_call(call: Mapping[str, Any]) -> bool:
    """Tell whether a call has a name, and arguments that are an object, or the JSON text of one, or left out."""
    function = call.get("function", call)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        return False
    arguments = function.get("arguments")
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments = decode(arguments.encode("utf-8", "replace"), object)
        except InvalidJSON:
            return False
    return not arguments or isinstance(arguments, dict)
